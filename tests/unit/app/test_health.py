"""When is a service ready, and how often may anybody make it look?"""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.app.health import KEPT_S, Health, Stage, as_text
from tests.fixtures.ledger import Book


@pytest.mark.anyio
async def test_it_is_ready_with_a_catalog_and_a_mover_and_in_no_other_stage(tmp_path: Path) -> None:
    now_s, movers = [0.0], [1]
    health = Health(lambda: now_s[0])
    assert "starting" in as_text(await health.reasons()).decode()
    book = await Book(tmp_path / "catalog.db").open()
    try:
        lost = [""]
        health.watch(book.catalog, lambda: movers[0], loss=lambda: lost[0])
        assert "starting" in as_text(await health.reasons()).decode()
        health.stage = Stage.SERVING
        assert await health.reasons() == ()
        movers[0] = 0
        assert await health.reasons() == ()  # remembered: who asks often makes nobody look
        now_s[0] += KEPT_S + 1
        assert await health.reasons() == ("no mover is up: nothing moves",)
        movers[0], lost[0] = 1, "the catalog was taken away"
        now_s[0] += KEPT_S + 1
        assert await health.reasons() == ("the catalog was taken away",)
    finally:
        await book.close()
    health.stage = Stage.DRAINING
    assert "stopping" in as_text(await health.reasons()).decode()
