"""A middling object on its way in: a grain at a time out of the answer into the partial file, its checksum computed as it comes.

Calls the stream, `place` and `part_file`. Whatever ends it early, the partial file is gone then.
"""

from __future__ import annotations

from typing import NamedTuple

from penstock.stores.base import ObjectStream
from penstock.transfer import crc64, objects
from penstock.transfer.attempt import Attempt
from penstock.transfer.meter import PartMeter
from penstock.transfer.part_file import PartFile, whole_file
from penstock.transfer.partial import PartialFile
from penstock.transfer.place import Place


class Arrived(NamedTuple):
    """A partial file with all bytes of the object, which are not synced yet."""

    partial: PartialFile
    crc64: int


def arrive(attempt: Attempt, place: Place, stream: ObjectStream, counted: PartMeter) -> Arrived:
    """Read the whole body into a new partial file, and compare it. The caller closes or discards that file.

    Raises StoreError, TransferError, StoppedError, FencedError.
    """
    place.make()
    try:
        partial = PartialFile.create(place.directory, place.partial_name)
        try:
            crc = _received(attempt, stream, partial, counted)
            objects.compare(attempt, stream.info, crc)
        except BaseException:
            let_go(attempt, place, partial)
            raise
    except OSError as error:
        raise place.refusal(error) from error
    return Arrived(partial, crc)


def let_go(attempt: Attempt, place: Place, partial: PartialFile) -> None:
    """Remove a partial file that is not to be published, durably; one that may be another's by now is only closed.

    Raises OSError.
    """
    try:
        if not attempt.is_fenced and partial.discard():
            place.sync()
    except OSError:
        attempt.has_begun = True
        raise
    finally:
        partial.close()


def _received(attempt: Attempt, stream: ObjectStream, partial: PartialFile, counted: PartMeter) -> int:
    size = stream.length_bytes
    if size >= attempt.limits.direct_min_bytes:
        partial.open_direct()  # nothing is reserved: one writer grows its file as cheaply as it fills it
    crc, done = crc64.EMPTY, 0
    with attempt.meter.moving(), attempt.grains.lent() as grain:
        file: PartFile = whole_file(partial, grain)
        while done < size:
            piece = file.room(size - done)
            count = objects.received(stream, piece, done, size)
            crc = crc64.update(piece[:count], crc)
            file.took(count)
            done += count
            counted.reach(done)
            attempt.check_cancel()
        file.flush()
    return crc
