"""One import whose system calls somebody spoils: two attempts and a tidying, as a program. Each says in a line what came of it.

`python -m tests.faults.power.victim DIRECTORY small|large`: the target is `base/data.bin` in DIRECTORY, with other bytes
before; `new-small` lies in directories that are still to be made.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import sys
from pathlib import Path

from msgspec.structs import replace

from penstock.transfer.transfer import Intent, Lane, Outcome, Transfer
from tests.fixtures.gate import KIB, LIMITS, Gate, open_gate, transfer
from tests.fixtures.memorystore import MemoryStore

OLD = b"what was there before"
LARGE = random.Random(3).randbytes(3 * LIMITS.part_size_bytes + 77)
BODIES = {"small": LARGE[:5000], "large": LARGE}


def what(kind: str) -> Transfer:
    """The import of that kind."""
    return transfer(path="base/new/deep/data.bin" if kind.startswith("new-") else "base/data.bin")


def main(directory: Path, kind: str) -> None:
    """Both attempts, whatever comes of the first."""
    gate: Gate = open_gate(directory, workers=1)
    gate.limits = dataclasses.replace(LIMITS, unsynced_bytes_max=2 * LIMITS.part_size_bytes, part_tries=1)
    moved = what(kind)
    target = directory / moved.path
    if target.parent.exists():
        target.write_bytes(OLD)
    body = BODIES[kind.removeprefix("new-")]
    store = MemoryStore(chunk_bytes=64 * KIB)
    store.seed(moved.key, body)
    lane = Lane.SMALL if kind.endswith("small") else Lane.LARGE
    for number in (1, 2):
        say(gate, gate.move(replace(moved, attempt=number), store, lane=lane), target, body)
    say(gate, gate.move(replace(moved, attempt=3, intent=Intent.TIDY), store), target, body)


def say(gate: Gate, outcome: Outcome, target: Path, body: bytes) -> None:
    there = target.read_bytes() if target.exists() else b""
    told = {
        "verdict": outcome.verdict,
        "code": outcome.code or "",
        "message": outcome.message,
        "left": gate.helpers(),
        "target": {OLD: "old", body: "new", b"": "none"}.get(there, "torn"),
    }
    os.write(1, json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
