"""How an export is known to have arrived, beyond the checksum that the store tells: its words for the record, and reading back.

Calls the store; reads what was written once more where the bucket asks for it. Whoever calls compares.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from penstock.errors import ObjectNotFoundError, PreconditionFailedError, StoreError
from penstock.model import Verification
from penstock.stores.base import ByteRange, ObjectStream
from penstock.transfer import crc64
from penstock.transfer.attempt import Attempt
from penstock.transfer.objects import ended_early
from penstock.transfer.parts import PartJob, Workspace
from penstock.transfer.plan import Plan, PlannedPart
from penstock.transfer.refusals import ARCHIVED


def note(attempt: Attempt, told: int | None) -> None:
    """Say in the record how this export was compared; nothing to say where it was the checksum that the store told (`told`)."""
    abilities = attempt.store.abilities
    if told is not None:
        if attempt.store.options.reads_back:
            attempt.add_note(Verification.READ_BACK.value)
    elif abilities.checksum.value:
        attempt.add_note(Verification(abilities.checksum.value.lower()).value)
    else:
        is_md5 = abilities.content_md5 or abilities.part_etag_is_md5
        attempt.add_note((Verification.MD5 if is_md5 else Verification.NONE).value)


def read_whole(attempt: Attempt, *, version_id: str, etag: str) -> int | None:
    """The checksum of our object as the store gives it back now; None when it has given way to another, or is archived."""

    def read() -> int:
        crc = crc64.EMPTY
        with (
            attempt.grains.lent() as grain,
            attempt.stoppable.get(attempt.transfer.key, version_id=_pinned(version_id), if_match=etag) as stream,
        ):
            left = stream.length_bytes
            while left:
                count = _some(stream, grain)
                crc = crc64.update(grain[:count], crc)
                left -= count
                attempt.check_cancel()
        return crc

    try:
        return attempt.persist(read, check=attempt.check_cancel)
    except StoreError as error:
        if not _is_gone(error):
            raise
        return None


def read_by_parts(attempt: Attempt, plan: Plan, *, version_id: str, etag: str) -> int | None:
    """The same for a large object, part by part through the pool."""
    work = _Reading(attempt, version_id=_pinned(version_id), etag=etag)
    try:
        attempt.run_parts(PartJob(size_bytes=part.length_bytes, work=work.job(part)) for part in plan.parts())
    except StoreError as error:
        if not _is_gone(error):
            raise
        return None
    return crc64.combine_all((work.crcs[part.number], part.length_bytes) for part in plan.parts())


class _Reading:
    """Checksums of parts, as they are read again by several threads."""

    def __init__(self, attempt: Attempt, *, version_id: str, etag: str) -> None:
        self._attempt = attempt
        self._version_id = version_id
        self._etag = etag
        self._lock = threading.Lock()
        self.crcs: dict[int, int] = {}

    def job(self, part: PlannedPart) -> Callable[[Workspace], None]:
        return lambda workspace: self._attempt.persist(lambda: self._read(part, workspace))

    def _read(self, part: PlannedPart, workspace: Workspace) -> None:
        attempt, crc, done = self._attempt, crc64.EMPTY, 0
        wanted = ByteRange(offset=part.offset, length_bytes=part.length_bytes)
        key, buffer = attempt.transfer.key, workspace.buffer()
        with attempt.stoppable.get(key, version_id=self._version_id, byte_range=wanted, if_match=self._etag) as stream:
            while done < part.length_bytes:
                attempt.check_stop()
                count = _some(stream, buffer[: part.length_bytes - done])
                crc = crc64.update(buffer[:count], crc)
                workspace.moved(count)
                done += count
        with self._lock:
            self.crcs[part.number] = crc


def _some(stream: ObjectStream, buffer: memoryview) -> int:
    count = stream.readinto(buffer)
    if count == 0:
        raise ended_early(stream.info, 0, stream.length_bytes)
    return count


def _pinned(version_id: str) -> str:
    return "" if version_id == "null" else version_id


def _is_gone(error: StoreError) -> bool:
    """Whether what was to be read is not there any more, or is archived: then there is nothing to compare."""
    return isinstance(error, ObjectNotFoundError | PreconditionFailedError) or error.code in ARCHIVED
