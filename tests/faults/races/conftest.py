"""How many races are run, by which seed, where what came of them is told, and who races."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.faults.matrix.world import World
from tests.faults.matrix.worlds import Worlds
from tests.faults.races import impatientservice
from tests.faults.races.buckets import Address
from tests.faults.races.exportarena import Arena, open_arena
from tests.faults.races.striking import Rival

SERVICE = (sys.executable, "-m", impatientservice.__name__)
SEED = int(os.environ.get("PENSTOCK_RACES_SEED", "0"))
RACES = int(os.environ.get("PENSTOCK_RACES", "0"))
"""How many of each kind; 0 is a number that takes a moment."""


class Score:
    """What came of the races, in words."""

    def __init__(self) -> None:
        self.counts = Counter[str]()

    def rounds(self, few: int, *, share: int = 1) -> range:
        """One for each race to run: a share of what `make races` asks for, or so few."""
        return range(RACES // share or few)

    def __getitem__(self, words: str) -> int:
        return self.counts[words]

    def count(self, words: str) -> None:
        """One more that ended so."""
        self.counts[words] += 1

    def require(self, *sides: str) -> None:
        """Each of these has to have come about, or it was no race."""
        assert all(self.counts[words] for words in sides), f"not all of {sides} ever came about: {self}"

    def __str__(self) -> str:
        return ", ".join(f"{words}: {count}" for words, count in sorted(self.counts.items()))


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """The same for the same test and seed."""
    print(f"PENSTOCK_RACES_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture
def score(request: pytest.FixtureRequest) -> Iterator[Score]:
    """Empty; `make races` shows what is in it at the end."""
    made = Score()
    yield made
    print(f"{request.node.name}: {made}")


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """A service with little patience, beside a bucket server that lives on."""
    made = Worlds(lambda: World(tmp_path_factory.mktemp("races"), service=SERVICE))
    yield made
    made.end()


@pytest.fixture(scope="module")
def rival(addresses: Mapping[str, Address]) -> Iterator[Rival]:
    """Another client of the buckets that the module names as its `addresses`."""
    with Rival("tests.faults.races.objectrival", {"buckets": addresses}) as made:
        yield made


@pytest.fixture
def arena(tmp_path: Path, addresses: Mapping[str, Address], rival: Rival, chance: random.Random) -> Iterator[Arena]:
    """Two that write to the same buckets."""
    with open_arena(tmp_path, addresses, rival, chance) as made:
        yield made
