"""One import whose system calls somebody spoils, as a program: some attempts and a tidying. Each says in a line what came of it.

`python -m tests.faults.power.victim DIRECTORY small|middling|large [ATTEMPTS|canceled]`, two and the tidying by default; one that
is canceled in its midst. The target is `base/data.bin` in DIRECTORY, with other bytes before; `new-small` lies in directories
that are still to be made.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import sys
from pathlib import Path

from msgspec.structs import replace

from penstock.transfer.transfer import Intent, Lane, Outcome, Progress, StopReason, Transfer
from tests.fixtures.gate import KIB, LIMITS, Gate, open_gate, transfer
from tests.fixtures.memorystore import MemoryStore

OLD = b"what was there before"
MODIFIED_NS = 1_600_000_000_000_000_000
LARGE = random.Random(3).randbytes(3 * LIMITS.part_size_bytes + 77)
MIDDLING_MAX_BYTES = 2 * LIMITS.part_size_bytes
BODIES = {"small": LARGE[:5000], "middling": LARGE[: MIDDLING_MAX_BYTES - 5], "large": LARGE}


def what(kind: str) -> Transfer:
    """The import of that kind."""
    return transfer(path="base/new/deep/data.bin" if kind.startswith("new-") else "base/data.bin")


def body_of(kind: str) -> bytes:
    """The source's bytes."""
    return BODIES[kind.removeprefix("new-")]


def lane_of(kind: str) -> Lane:
    """Which lane moves it."""
    return Lane.LARGE if kind.endswith("large") else Lane.SMALL


def a_gate(directory: Path) -> Gate:
    """A gate with one worker, which writes a part in one go and syncs now and then."""
    gate = open_gate(directory, workers=1)
    part_bytes = LIMITS.part_size_bytes
    gate.limits = dataclasses.replace(
        LIMITS,
        small_file_max_bytes=MIDDLING_MAX_BYTES,
        unsynced_bytes_max=2 * part_bytes,
        buffer_bytes=part_bytes,
        part_tries=1,
    )
    gate.narrow()
    return gate


def a_bucket(kind: str) -> MemoryStore:
    """With the source."""
    store = MemoryStore(chunk_bytes=64 * KIB)
    store.seed(what(kind).key, body_of(kind), modified_ns=MODIFIED_NS)
    return store


def main(directory: Path, kind: str, attempts: int = 0, *, is_canceled: bool = False) -> None:
    """All attempts, whatever comes of the first."""
    gate = a_gate(directory)
    if is_canceled:
        gate.hooks.on_progress = lambda progress: cancel(gate, progress)
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


def cancel(gate: Gate, progress: Progress) -> None:
    """Half of it is there."""
    if progress.bytes_done * 2 > (progress.bytes_total or 0) > 0:
        gate.hooks.stop = StopReason.CANCEL


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
    if sys.argv[3:] == ["canceled"]:
        main(Path(sys.argv[1]), sys.argv[2], 1, is_canceled=True)
    else:
        main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
