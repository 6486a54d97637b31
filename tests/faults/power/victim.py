"""One import whose system calls somebody spoils, as a program: some attempts and a tidying. Each says in a line what came of it.

`python -m tests.faults.power.victim DIRECTORY small|large [ATTEMPTS]`, two and the tidying by default. The target is
`base/data.bin` in DIRECTORY, with other bytes before; `new-small` lies in directories that are still to be made.
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
MODIFIED_NS = 1_600_000_000_000_000_000
LARGE = random.Random(3).randbytes(3 * LIMITS.part_size_bytes + 77)
BODIES = {"small": LARGE[:5000], "large": LARGE}


def what(kind: str) -> Transfer:
    """The import of that kind."""
    return transfer(path="base/new/deep/data.bin" if kind.startswith("new-") else "base/data.bin")


def body_of(kind: str) -> bytes:
    """The source's bytes."""
    return BODIES[kind.removeprefix("new-")]


def lane_of(kind: str) -> Lane:
    """Which lane moves it."""
    return Lane.SMALL if kind.endswith("small") else Lane.LARGE


def a_gate(directory: Path) -> Gate:
    """A gate with one worker, which writes a part in one go and syncs now and then."""
    gate = open_gate(directory, workers=1)
    part_bytes = LIMITS.part_size_bytes
    gate.limits = dataclasses.replace(LIMITS, unsynced_bytes_max=2 * part_bytes, buffer_bytes=part_bytes, part_tries=1)
    gate.narrow()
    return gate


def a_bucket(kind: str) -> MemoryStore:
    """With the source."""
    store = MemoryStore(chunk_bytes=64 * KIB)
    store.seed(what(kind).key, body_of(kind), modified_ns=MODIFIED_NS)
    return store


def main(directory: Path, kind: str, attempts: int = 0) -> None:
    """All attempts, whatever comes of the first."""
    gate = a_gate(directory)
    moved = what(kind)
    target = directory / moved.path
    if target.parent.exists() and not target.exists():
        target.write_bytes(OLD)
    body = body_of(kind)
    store = a_bucket(kind)
    for number in range(1, (attempts or 2) + 1):
        say(gate, gate.move(replace(moved, attempt=number), store, lane=lane_of(kind)), target, body)
    if not attempts:
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
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
