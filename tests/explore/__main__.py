"""Search on with examples and seeds of chance, round after round, where an ordinary run is the same each time.

python -m tests.explore --seconds 300      ends with the first round that fails, and says how to play it again
python -m tests.explore --seed 7           one round
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from itertools import count

SEEDED = ("CANCEL", "CHAOS", "CRASH", "FUZZ", "HISTORY", "POWER", "SOAK", "TEST")
"""PENSTOCK_..._SEED, as tests ask for them."""


def round_of(seed: int, workers: int, more: list[str]) -> int:
    """Everything that is made up, from this seed; pytest's exit code."""
    seeds = {f"PENSTOCK_{what}_SEED": str(seed) for what in SEEDED}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-n",
        str(workers),
        "--dist",
        "loadgroup",
    ]
    command += ["--timeout", "1800", "--hypothesis-profile", "explore", "--hypothesis-seed", str(seed)]
    return subprocess.run(
        [*command, "-m", "hypothesis or seeded", *more], env={**os.environ, **seeds}, check=False
    ).returncode


def main() -> int:
    """Rounds until one fails or the time is over; a round is not cut off."""
    parser = argparse.ArgumentParser(prog="python -m tests.explore", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=0, help="play this round; 0: rounds of chance")
    parser.add_argument("--workers", type=int, default=2)
    asked, more = parser.parse_known_args()
    until_s = time.monotonic() + asked.seconds
    for number in count(1):
        seed = asked.seed or random.SystemRandom().randrange(1, 1 << 32)
        print(f"explore: round {number}, EXPLORE_SEED={seed}", flush=True)
        code = round_of(seed, asked.workers, more)
        if code:
            print(f"explore: found something; make explore EXPLORE_SEED={seed} plays it again", flush=True)
            return code
        if asked.seed or time.monotonic() > until_s:
            break
    print("explore: nothing was found", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
