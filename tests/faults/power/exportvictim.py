"""One export whose system calls somebody spoils, as a program: two attempts and a farewell. Each says in a line what came of it.

`python -m tests.faults.power.exportvictim DIRECTORY small|middling|large`. The source, `base/data.bin` in DIRECTORY, is there,
with the bytes of BODIES; its key holds other ones. The farewell tidies up after what is COMPLETE, and withdraws anything else.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import sys
import time
from pathlib import Path

from msgspec.structs import replace

from penstock.model import Direction
from penstock.transfer.transfer import Intent, Lane, Outcome, Transfer, TransferLimits, Verdict
from tests.fixtures.gate import KIB, LIMITS, Gate, open_gate, transfer
from tests.fixtures.memorystore import MemoryStore

OLD = b"what was there before"
PART_BYTES = 64 * KIB
GRAIN_BYTES = 32 * KIB
LARGE = random.Random(5).randbytes(4 * PART_BYTES + 77)
BODIES = {"small": LARGE[:5000], "middling": LARGE[: 3 * GRAIN_BYTES], "large": LARGE}
LANES = {"small": Lane.SMALL, "middling": Lane.SMALL, "large": Lane.LARGE}
LATER_NS = 1_000_000_000
LIMITS_HERE: TransferLimits = dataclasses.replace(
    LIMITS,
    small_file_max_bytes=3 * GRAIN_BYTES,
    grain_bytes=GRAIN_BYTES,
    part_size_bytes=PART_BYTES,
    buffer_bytes=PART_BYTES,
    part_tries=1,
)


def what() -> Transfer:
    """The export of `base/data.bin`."""
    return transfer(Direction.EXPORT)


def a_gate(directory: Path) -> Gate:
    """One whose reads are one after the other, long after the source was written."""
    gate = open_gate(directory, workers=1)
    gate.limits = LIMITS_HERE
    gate.clock = lambda: time.time_ns() + LATER_NS
    gate.narrow()
    return gate


def main(directory: Path, kind: str) -> None:
    """All attempts, whatever comes of the first."""
    gate, store, moved = a_gate(directory), MemoryStore(chunk_bytes=GRAIN_BYTES), what()
    store.seed(moved.key, OLD)
    outcome = gate.move(moved, store, lane=LANES[kind])
    say(gate, store, outcome, kind)
    if outcome.verdict is Verdict.RETRY:
        outcome = gate.move(replace(moved, attempt=2, checkpoint=outcome.checkpoint), store, lane=LANES[kind])
        say(gate, store, outcome, kind)
    intent = Intent.TIDY if outcome.verdict is Verdict.COMPLETE else Intent.WITHDRAW
    say(gate, store, gate.move(replace(moved, attempt=3, checkpoint=outcome.checkpoint, intent=intent), store), kind)


def say(gate: Gate, store: MemoryStore, outcome: Outcome, kind: str) -> None:
    told = {
        "verdict": outcome.verdict,
        "code": outcome.code or "",
        "message": outcome.message,
        "left": gate.helpers(),
        "uploads": len(store.unfinished()),
        "target": {OLD: "old", BODIES[kind]: "new"}.get(store.content(what().key), "torn"),
    }
    os.write(1, json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
