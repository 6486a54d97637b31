"""Many faults at once, by chance: whatever a seed brings, nothing is torn, lost or left behind. The seed is printed, and replays.

PENSTOCK_CHAOS_SEED=7 PENSTOCK_CHAOS_FILES=2000 make test PYTEST_ARGS="tests/faults/chaos/test_seeded.py -s"
"""

from __future__ import annotations

import os
import random

import pytest

from penstock.model import ConflictPolicy, Direction
from penstock.transfer.transfer import Lane, Verdict
from tests.faults.chaos.conftest import Opener
from tests.faults.chaos.stand import LARGE, LIMITS
from tests.fixtures.chance import seed_of
from tests.fixtures.chaosfaults import FAULTS, SILENT
from tests.fixtures.chaosproxy import Dice

FILES = int(os.environ.get("PENSTOCK_CHAOS_FILES", "160"))
SEED = seed_of("CHAOS")
BATCH = 40
BLIND = frozenset({"ListParts answers 501", "no such upload"})  # definite words: no store says them now and then
FITTING = [fault for name, fault in FAULTS.items() if name not in SILENT and name not in BLIND]


@pytest.mark.seeded
@pytest.mark.parametrize("batch", range(-(-FILES // BATCH)))
def test_whatever_a_seed_brings(open_case: Opener, batch: int) -> None:
    for number in range(batch * BATCH, min((batch + 1) * BATCH, FILES)):
        seed = SEED + number
        print(f"PENSTOCK_CHAOS_SEED={seed} PENSTOCK_CHAOS_FILES=1")
        move_one(open_case, seed)


def move_one(open_case: Opener, seed: int) -> None:
    """One file; everything about it comes out of the seed."""
    dice = random.Random(seed)
    direction = dice.choice(list(Direction))
    policy = dice.choice(list(ConflictPolicy))
    stand = open_case(versioning=dice.choice(["Never", "Enabled"]), workers=dice.choice([1, 3]))
    stand.key = f"seeded/{seed}.bin"
    content = LARGE[: dice.choice([0, 1, 1000, 60_000, LIMITS.small_file_max_bytes + 1, 150_000, len(LARGE)])]
    lane = Lane.LARGE if len(content) > LIMITS.small_file_max_bytes else dice.choice(list(Lane))
    stand.proxy.dice(
        Dice(seed=seed, chance=dice.choice([0.05, 0.2, 0.5]), faults=FITTING, nth_max=dice.choice([2, 6, 20]))
    )
    if direction is Direction.IMPORT:
        stand.seed(content)
        ending = stand.carry(stand.what(direction, policy), lane)
        stand.judge_import(ending, content)
    else:
        stand.write(content)
        ending = stand.carry(stand.what(direction, policy), lane)
        stand.judge_export(ending, content)
    assert ending.verdict in {Verdict.COMPLETE, Verdict.FAILED}, stand.told(ending)
