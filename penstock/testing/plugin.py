"""The pytest plugin, which pytest finds by itself once Penstock is installed: the fixtures `penstock` and `penstock_session`.

Imports nothing of Penstock before a test wants one of them. Each process of pytest-xdist has a stand-in of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from penstock.testing.service import Service


@pytest.fixture(scope="session")
def penstock_seed() -> int | None:
    """What ids are made of: the same calls get the same ids. Another one, or None, by a fixture of that name in a conftest."""
    return 1


@pytest.fixture(scope="session")
def penstock_session(penstock_seed: int | None) -> Iterator[Service]:
    """A stand-in that lasts as long as the session, and forgets nothing by itself."""
    from penstock.testing.process import running  # noqa: PLC0415  most sessions of whoever has Penstock want none

    with running(seed=penstock_seed) as service:
        yield service


@pytest.fixture
def penstock(penstock_session: Service) -> Service:
    """A stand-in that has forgotten all that was before this test."""
    penstock_session.reset()
    return penstock_session
