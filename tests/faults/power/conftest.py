"""Recordings, made once; every test here needs strace, and says loudly when it may not trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.power import strace
from tests.faults.power.recording import Recording, Way, record


@pytest.fixture(scope="session", autouse=True)
def _traced() -> None:
    strace.require()


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Way], Recording]]:
    """The recording of a way."""
    place: Path = tmp_path_factory.mktemp("power")
    made: dict[Way, Recording] = {}

    def get(way: Way) -> Recording:
        if way not in made:
            (place / way).mkdir()
            made[way] = record(way, place / way)
        return made[way]

    yield get
    made.clear()
