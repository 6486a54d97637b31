"""Reading an object back: its bytes are fetched once more, and what counts of them is their checksum.

All ranges are of one object, or it is no reading. Where each object that was written is read back, large ones are read by several
threads at once, as they were sent; a reading for a doubt is rare, and costs as few requests as can be. Calls the store and the
part pool; compares nothing and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from penstock.errors import ObjectNotFoundError, PreconditionFailedError, RangeNotSatisfiableError
from penstock.stores.base import ByteRange, ObjectInfo
from penstock.transfer import crc64, objects
from penstock.transfer.attempt import Attempt
from penstock.transfer.parts import Workspace
from penstock.transfer.plan import Plan, PlannedPart, plan_import

_ALONE_BYTES = 64 << 20  # asked for at a time: what answers that break off cost in tries is counted anew for each


def read(attempt: Attempt, info: ObjectInfo, *, check: Callable[[], None] | None = None) -> int:
    """The CRC-64 of this very object's bytes. `check` is looked at while a small one is read (default: `check_stop`).

    Raises StoreError, StoppedError, FencedError; TransferError (SourceChanged, waiting helps) when there is another one now, as
    far as ETag, version and size tell, or none.
    """
    limits, reads_back = attempt.limits, attempt.store.options.reads_back
    reading = _Reading(attempt, info, check or attempt.check_stop)
    try:
        if info.size_bytes <= limits.small_file_max_bytes or attempt.is_withdrawing or not reads_back:
            return reading.alone()
        return reading.in_pool(plan_import(info.size_bytes, limits.part_size_bytes))
    except (PreconditionFailedError, ObjectNotFoundError, RangeNotSatisfiableError) as error:
        raise objects.changed(info.key) from error


class _Reading:
    """One object's bytes on their way, and nowhere to go."""

    def __init__(self, attempt: Attempt, info: ObjectInfo, check: Callable[[], None]) -> None:
        self._attempt = attempt
        self._info = info
        self._check = check
        self._crcs: dict[int, int] = {}

    def alone(self) -> int:
        """In this thread, which waits for nobody else's parts."""
        crc = crc64.EMPTY
        with self._attempt.grains.lent() as grain:
            for part in Plan(size_bytes=self._info.size_bytes, part_size_bytes=_ALONE_BYTES).parts():
                crc = self._fetched(part, grain, _uncounted, crc)
        return crc

    def in_pool(self, plan: Plan) -> int:
        """Part by part, several at once."""
        self._attempt.run_parts(plan, self._part)
        return plan.combined(self._crcs)

    def _part(self, part: PlannedPart, workspace: Workspace) -> None:
        self._crcs[part.number] = self._fetched(part, workspace.buffer(), workspace.moved, crc64.EMPTY)

    def _fetched(self, part: PlannedPart, buffer: memoryview, moved: Callable[[int], None], crc: int) -> int:
        """The checksum of what came before (`crc`) and of one range; a try that breaks off is continued where it ended."""
        done, wanted = 0, part.length_bytes

        def read_on() -> None:
            nonlocal crc, done
            rest = ByteRange(offset=part.offset + done, length_bytes=wanted - done)
            with objects.opened(self._attempt, self._info, rest) as stream:
                while done < wanted:
                    self._check()
                    count = objects.received(stream, buffer[: wanted - done], done, wanted)
                    crc = crc64.update(buffer[:count], crc)
                    done += count
                    moved(count)

        self._attempt.persist(read_on, check=self._check)
        return crc


def _uncounted(count: int) -> None:
    """The pool alone asks how fast its parts move."""
