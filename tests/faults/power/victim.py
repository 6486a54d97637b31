"""One import whose system calls somebody spoils, as a program: some attempts and a tidying. Each says in a line what came of it.

`python -m tests.faults.power.victim DIRECTORY small|middling|large [ATTEMPTS|canceled|killed]`, two and the tidying by
default; one that is canceled in its midst; one whose mover is killed when the file has its name, and another one. The target
is `base/data.bin` in DIRECTORY, with other bytes before; `new-small` lies in directories that are still to be made,
`skip-small` keeps what is there (nothing is), `latest-small` only what is newer (it is not).
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import sys
from pathlib import Path

from msgspec.structs import replace

from penstock import failpoints
from penstock.model import ConflictPolicy
from penstock.transfer.transfer import Intent, Lane, Outcome, Progress, StopReason, Transfer
from tests.fixtures.gate import KIB, LIMITS, Gate, open_gate, transfer
from tests.fixtures.memorystore import MemoryStore

OLD = b"what was there before"
OLD_NS = 1_500_000_000_000_000_000
MODIFIED_NS = 1_600_000_000_000_000_000
LARGE = random.Random(3).randbytes(3 * LIMITS.part_size_bytes + 77)
MIDDLING_MAX_BYTES = 2 * LIMITS.part_size_bytes
BODIES = {"small": LARGE[:5000], "middling": LARGE[: MIDDLING_MAX_BYTES - 5], "large": LARGE}


POLICIES = {
    "skip": ConflictPolicy.SKIP_THE_FILE,
    "latest": ConflictPolicy.KEEP_LATEST,
    "new": ConflictPolicy.OVERWRITE_EXISTING,
}


def what(kind: str) -> Transfer:
    """The import of that kind."""
    sort, _, _ = kind.rpartition("-")
    return transfer(
        path="base/new/deep/data.bin" if sort == "new" else "base/data.bin",
        conflict_policy=POLICIES.get(sort, ConflictPolicy.OVERWRITE_EXISTING),
    )


def body_of(kind: str) -> bytes:
    """The source's bytes."""
    return BODIES[kind.rpartition("-")[2]]


def old_of(kind: str) -> bytes | None:
    """What is at the target before; None where nothing is."""
    return None if kind.startswith(("new-", "skip-")) else OLD


def make_old(target: Path, kind: str) -> None:
    """Put it there, if there is such a thing, and it is not there yet."""
    old = old_of(kind)
    if old is not None and not target.exists():
        target.write_bytes(old)
        os.utime(target, ns=(OLD_NS, OLD_NS))


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
    moved, target, store = ready(directory, kind)
    if is_canceled:
        gate.hooks.on_progress = lambda progress: cancel(gate, progress)
    body, begun = body_of(kind), False
    for number in range(1, (attempts or 2) + 1):
        outcome = gate.move(replace(moved, attempt=number, begun=begun), store, lane=lane_of(kind))
        begun |= outcome.begun
        say(gate, outcome, target, body)
    if not attempts:
        say(gate, gate.move(replace(moved, attempt=3, intent=Intent.TIDY), store), target, body)


def ready(directory: Path, kind: str) -> tuple[Transfer, Path, MemoryStore]:
    """What is moved, to where, and out of which bucket."""
    moved = what(kind)
    target = directory / moved.path
    if target.parent.exists():
        make_old(target, kind)
    return moved, target, a_bucket(kind)


def killed(directory: Path, kind: str) -> None:
    """An attempt that dies when its file has the target's name, before that is durable; and the next, in another process."""
    (directory / "base").mkdir(parents=True, exist_ok=True)
    moved, target, store = ready(directory, kind)
    mover = os.fork()
    if mover == 0:
        failpoints.passing = lambda point: os.kill(os.getpid(), signal.SIGKILL) if point == "renamed" else None
        a_gate(directory).move(moved, store, lane=lane_of(kind))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(mover, 0)[1]) == -signal.SIGKILL
    gate = a_gate(directory)
    say(gate, gate.move(replace(moved, attempt=2, begun=True), store, lane=lane_of(kind)), target, body_of(kind))


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
    elif sys.argv[3:] == ["killed"]:
        killed(Path(sys.argv[1]), sys.argv[2])
    else:
        main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
