"""Import of a small file: one GET into one buffer, checked, written beside the target, published. No journal.

Calls the store and `place`. Nothing is made in the file system before the bytes are there and sound.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.errors import ObjectNotFoundError
from penstock.model import Guarantee
from penstock.stores.base import ObjectInfo, ObjectStream
from penstock.transfer import crc64, objects, ownership
from penstock.transfer.attempt import Attempt
from penstock.transfer.landing import land, wanted
from penstock.transfer.meter import PartMeter
from penstock.transfer.mtime import TIME_NOT_KEPT, is_held, of_object
from penstock.transfer.partial import PartialFile
from penstock.transfer.place import Place
from penstock.transfer.policy import Decision
from penstock.transfer.posix import write_all
from penstock.transfer.transfer import Lane, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fetched:
    """A whole object, read and compared."""

    info: ObjectInfo
    content: bytearray
    crc64: int


def import_small(attempt: Attempt, place: Place) -> Outcome:
    """Move one object that fits one buffer. Raises StoreError, TransferError, StoppedError, FencedError."""
    counted = PartMeter(attempt.meter)
    try:
        fetched = attempt.persist(lambda: _fetch(attempt, place, counted), check=attempt.check_cancel)
    except ObjectNotFoundError as error:
        raise objects.explain_missing(attempt) from error
    if isinstance(fetched, Outcome):
        return fetched
    attempt.check_cancel()
    place.make()
    detail = objects.detail_of(fetched.info, fetched.crc64)
    try:
        guarantee = _publish(attempt, place, fetched)
        if guarantee is None:
            return attempt.skipped(detail, Guarantee.ATOMIC)
        place.sync()
    except OSError as error:
        raise place.refusal(error) from error
    return attempt.published(detail, guarantee)


def _fetch(attempt: Attempt, place: Place, counted: PartMeter) -> _Fetched | Outcome:
    """Read the object; or the outcome, if nothing is to be read."""
    with attempt.store.get(attempt.transfer.key) as stream:
        info = stream.info
        if info.size_bytes > attempt.limits.small_file_max_bytes:
            if attempt.lane is Lane.SMALL:
                return attempt.large(info.size_bytes)
            raise objects.changed(info.key)  # it was small when it was looked at
        objects.check_source_object(attempt, info)
        attempt.meter.learn(objects.detail_of(info, None))
        if wanted(attempt, place, of_object(info)) is Decision.KEEP:
            return attempt.skipped(objects.detail_of(info, info.crc64), Guarantee.ATOMIC)
        with attempt.meter.moving():
            content = _read(attempt, stream, counted)
    crc = crc64.update(content)
    objects.compare(attempt, info, crc)
    return _Fetched(info=info, content=content, crc64=crc)


def _read(attempt: Attempt, stream: ObjectStream, counted: PartMeter) -> bytearray:
    content = bytearray(stream.length_bytes)
    view = memoryview(content)
    filled = 0
    while filled < len(view):
        count = stream.readinto(view[filled : filled + attempt.limits.buffer_bytes])
        if count == 0:
            raise objects.ended_early(stream.info, filled, len(view))
        filled += count
        counted.reach(filled)
        attempt.check_cancel()
    return content


def _publish(attempt: Attempt, place: Place, fetched: _Fetched) -> Guarantee | None:
    """None when the policy keeps what is there. Raises OSError; the partial file is gone either way."""
    partial = PartialFile.create(place.directory, place.partial_name)
    guarantee: Guarantee | None = None
    try:
        write_all(partial.descriptor, memoryview(fetched.content), 0)
        source = of_object(fetched.info)
        asked = ownership.of_object(fetched.info, attempt.choices)
        sealed = partial.seal(source.ns, asked)
        guarantee = land(attempt, place, sealed, source)
        if guarantee is not None and not asked.is_given_to(sealed):
            attempt.add_note(ownership.OWNER_NOT_KEPT)
        if guarantee is not None and not is_held(source.ns, sealed.modify_ns):
            attempt.add_note(TIME_NOT_KEPT)
    finally:
        if guarantee is None and not attempt.is_fenced and partial.discard():
            place.sync()
        partial.close()
    return guarantee
