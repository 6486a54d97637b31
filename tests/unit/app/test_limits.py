"""How many connections may callers have, under each limit on open files?"""

from __future__ import annotations

import resource

import pytest

from penstock.app.limits import CONNECTIONS_MAX, FEWEST, OURS, connections_within_limit

WANTED = CONNECTIONS_MAX + OURS
ENDLESS = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "count"),
    [
        (1024, 1 << 20, WANTED, CONNECTIONS_MAX),
        (1024, ENDLESS, WANTED, CONNECTIONS_MAX),
        (1024, 1024, 1024, 1024 - OURS),
        (1024, 2048, 2048, 2048 - OURS),
        (20_000, 20_000, None, CONNECTIONS_MAX),
        (ENDLESS, ENDLESS, None, CONNECTIONS_MAX),
        (256, 256, 256, FEWEST),
    ],
)
def test_what_is_ours_is_kept(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int | None, count: int
) -> None:
    said: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: said.append(limits))
    assert connections_within_limit() == count
    assert said == ([] if raised is None else [(raised, hard)])
