"""What the tests of exports share: contents, a source, a mover that freezes, and how a finished export looks."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable

from penstock.errors import FencedError, StoreUnavailableError
from penstock.model import Direction
from penstock.stores.base import Abilities, Versioning
from penstock.transfer import crc64
from penstock.transfer.transfer import Checkpoint, Lane, Outcome, StopReason, Transfer, Verdict
from tests.fixtures.gate import KIB, Gate, RecordingHooks, transfer
from tests.fixtures.memorystore import MemoryStore

KEY = "in/data.bin"
CONTENT = random.Random(9).randbytes(5 * 64 * KIB + 321)  # six parts
OTHER = random.Random(10).randbytes(len(CONTENT))
SMALL = CONTENT[: 10 * KIB]
DEADLINE_S = 60.0
LONG_AGO_NS = 1_600_000_000_123_456_789
VERSIONED = Abilities(crc64=True, part_etag_is_md5=True, versioning=Versioning.ENABLED)
UNABLE = Abilities(crc64=True, part_etag_is_md5=True)
LOST = StoreUnavailableError("the answer was lost")


def export(**changes: object) -> Transfer:
    return transfer(Direction.EXPORT, **changes)


def write(gate: Gate, content: bytes = CONTENT, modify_ns: int = LONG_AGO_NS) -> None:
    gate.target.write_bytes(content)
    os.utime(gate.target, ns=(modify_ns, modify_ns))


def later() -> int:
    """A clock by which every source has been quiet for a while, so that nothing waits for its stamps to age."""
    return time.time_ns() + 10_000_000_000


def check_complete(outcome: Outcome, store: MemoryStore, content: bytes = CONTENT) -> None:
    assert (outcome.verdict, outcome.code, outcome.message) == (Verdict.COMPLETE, None, "")
    assert store.content(KEY) == content
    assert (outcome.bytes_total, outcome.bytes_done, outcome.actual_bytes) == (len(content),) * 3
    assert outcome.detail is not None
    assert outcome.detail.checksum == f"crc64:{crc64.update(content)}"
    assert outcome.detail.modify_time_ns == LONG_AGO_NS
    assert outcome.checkpoint is None
    assert store.unfinished() == []


def lane_of(content: bytes) -> Lane:
    return Lane.SMALL if content is SMALL else Lane.LARGE


def drain_after(gate: Gate, store: MemoryStore, parts: int) -> RecordingHooks:
    """Hooks that drain once the store holds so many parts."""
    gate.narrow()
    hooks = RecordingHooks()

    def look(progress: object) -> None:
        if sum(len(entry.parts) for entry in store._uploads.values()) >= parts:
            hooks.stop = StopReason.DRAIN

    hooks.on_progress = look
    return hooks


class Frozen:
    """A mover that stops dead at a checkpoint, as a killed one would: nothing is cleaned up.

    `durable` holds the records that were kept before, `refused` the one at which it froze.
    """

    def __init__(self, gate: Gate, store: MemoryStore, at: Callable[[Checkpoint], bool]) -> None:
        self.durable: list[Checkpoint] = []
        self.refused: list[Checkpoint] = []
        self._reached, self._released = threading.Event(), threading.Event()
        self._at = at
        hooks = RecordingHooks()
        hooks.on_checkpoint = self._look
        self._thread = threading.Thread(target=lambda: gate.move(export(), store, hooks=hooks))
        self._thread.start()
        assert self._reached.wait(DEADLINE_S)

    def _look(self, record: Checkpoint) -> None:
        if not self._at(record):
            self.durable.append(record)
            return
        self.refused.append(record)
        self._reached.set()
        assert self._released.wait(DEADLINE_S)
        raise FencedError("somebody else owns it now")

    def release(self) -> None:
        """Wake it up: it finds itself fenced off."""
        self._released.set()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
