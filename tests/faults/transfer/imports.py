"""What the tests of imports share: contents, how a finished import looks, hooks that drain in the middle."""

from __future__ import annotations

import random

from penstock.transfer import crc64
from penstock.transfer.transfer import Outcome, StopReason, Verdict
from tests.fixtures.gate import KIB, Gate, RecordingHooks
from tests.fixtures.memorystore import MemoryStore

CONTENT = random.Random(7).randbytes(5 * 64 * KIB + 123)  # six parts
OTHER = random.Random(8).randbytes(len(CONTENT))
SMALL = CONTENT[: 10 * KIB]
DEADLINE_S = 60.0


def check_complete(outcome: Outcome, gate: Gate, content: bytes = CONTENT) -> None:
    assert (outcome.verdict, outcome.code, outcome.message) == (Verdict.COMPLETE, None, "")
    assert gate.target.read_bytes() == content
    assert (outcome.bytes_total, outcome.bytes_done, outcome.actual_bytes) == (len(content),) * 3
    assert outcome.detail is not None
    assert outcome.detail.checksum == f"crc64:{crc64.update(content)}"


def ranges(store: MemoryStore) -> list[tuple[int, int]]:
    """The ranges that were asked, as (offset, length)."""
    found = [call.byte_range for call in store.calls_of("get")]
    return sorted((asked.offset, asked.length_bytes) for asked in found if asked is not None)


def drain_after(gate: Gate, parts: int) -> RecordingHooks:
    """Hooks that drain once so many parts are done."""
    gate.narrow()
    hooks = RecordingHooks()

    def look(progress: object) -> None:
        if hooks.progressed[-1].bytes_done >= parts * 64 * KIB:
            hooks.stop = StopReason.DRAIN

    hooks.on_progress = look
    return hooks
