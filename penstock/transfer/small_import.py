"""Import of a small or middling file: one GET, checked, written beside the target, published. No journal.

Calls the store, `arriving` and `place`. Of what is small nothing is made in the file system before all bytes are there and sound;
what is middling is written as it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from penstock import failpoints
from penstock.errors import (
    ObjectNotFoundError,
    RangeNotSatisfiableError,
    SizeUntoldError,
    StoreError,
    StoreUnavailableError,
)
from penstock.model import Guarantee
from penstock.stores.base import ByteRange, ObjectInfo, ObjectStream
from penstock.transfer import crc64, objects, ownership
from penstock.transfer.arriving import arrive, let_go
from penstock.transfer.attempt import Attempt
from penstock.transfer.landing import land, may_keep, stays, wanted
from penstock.transfer.meter import PartMeter
from penstock.transfer.mtime import TIME_NOT_KEPT, ModifyTime, is_held, of_object
from penstock.transfer.pagecache import start_writeback
from penstock.transfer.partial import PartialFile
from penstock.transfer.place import Place
from penstock.transfer.policy import Decision, check_condition
from penstock.transfer.posix import look_open_here, write_all
from penstock.transfer.steps import INLINE_MAX_BYTES, Pause, Steps
from penstock.transfer.transfer import Lane, Outcome

_Opener = Callable[[Attempt], Steps[AbstractContextManager[ObjectStream]]]


class _Fetched(NamedTuple):
    """A whole object, read and compared: in memory, or in the partial file."""

    info: ObjectInfo
    time: ModifyTime
    crc64: int
    content: bytearray | None = None
    partial: PartialFile | None = None


def import_small(attempt: Attempt, place: Place) -> Steps[Outcome]:
    """Move one object that fits one buffer. Raises StoreError, TransferError, StoppedError, FencedError."""
    try:
        fetched = yield from _fetched(attempt, place)
    except ObjectNotFoundError as error:
        missing = error
    else:
        return fetched if isinstance(fetched, Outcome) else (yield from _published(attempt, place, fetched))
    yield Pause.ASIDE
    raise objects.explain_missing(attempt, missing) from missing


def _published(attempt: Attempt, place: Place, fetched: _Fetched) -> Steps[Outcome]:
    detail = objects.described(fetched.info, fetched.time, fetched.crc64)
    try:
        guarantee = yield from _publish(attempt, place, fetched)
        if guarantee is None:
            return stays(attempt, place, detail)
        enrolled = place.enroll()
        try:
            yield Pause.NAMED
        except BaseException:
            enrolled.drop()
            raise
        enrolled.wait()
    except OSError as error:
        raise place.refusal(error) from error
    return attempt.published(detail, guarantee)


# ------------------------------------------------------------------------------------------------------------- reading


def _fetched(attempt: Attempt, place: Place) -> Steps[_Fetched | Outcome]:
    """As `Attempt.persist`, with the first try in company."""
    counted = PartMeter(attempt.meter)
    opened, tries = (_opened if attempt.store.asks_whole() else _measured), 0
    while True:
        attempt.check_cancel()
        try:
            return (yield from _fetch(attempt, place, counted, opened))
        except SizeUntoldError:
            if opened is _measured:
                raise
            opened = _measured
            continue
        except StoreError as error:
            if isinstance(error, StoreUnavailableError):
                attempt.check_cancel()  # it may have been given up for that
            tries += 1
            if not attempt.may_try_again(error, tries):
                raise
            trouble = error
        yield Pause.ASIDE
        attempt.pause(tries, trouble, attempt.check_cancel)


def _fetch(attempt: Attempt, place: Place, counted: PartMeter, opened: _Opener) -> Steps[_Fetched | Outcome]:
    """Read the object; or the outcome, if nothing is to be read."""
    with (yield from opened(attempt)) as stream:
        info = stream.info
        if info.size_bytes > attempt.limits.small_file_max_bytes:
            if attempt.lane is Lane.SMALL:
                return attempt.large(info.size_bytes, place.whereabouts())
            raise objects.changed(info.key)  # it was small when it was looked at
        if stream.length_bytes != info.size_bytes:
            raise objects.changed(info.key)  # it was shorter when it was measured
        time = of_object(info)
        check_condition(attempt.transfer.condition, modify_ns=time.ns, size_bytes=info.size_bytes)
        attempt.meter.learn(objects.described(info, time, None))
        if may_keep(attempt) and wanted(attempt, place, time) is Decision.KEEP:
            return stays(attempt, place, objects.described(info, time, info.crc64))
        if stream.length_bytes > INLINE_MAX_BYTES:
            yield Pause.ASIDE
            arrived = arrive(attempt, place, stream, counted)
            return _Fetched(info, time, arrived.crc64, partial=arrived.partial)
        with attempt.meter.moving():
            content = yield from _read(attempt, stream, counted)
    crc = crc64.update(content)
    objects.compare(attempt, info, crc)
    return _Fetched(info, time, crc, content=content)


def _opened(attempt: Attempt) -> Steps[AbstractContextManager[ObjectStream]]:
    """The object's answer. It is asked for at once if a connection is there, else by a thread that may wait for one."""
    store, key = attempt.store, attempt.transfer.key
    if not store.is_warm:
        yield Pause.ASIDE  # to connect; the answer is waited for in company again
    started = store.begin_get(key)
    if started is None:
        yield Pause.ASIDE
        return attempt.stoppable.get(key)
    try:
        yield started
        if started.is_asked_anew:
            yield Pause.ASIDE
        attempt.check_cancel()
    except BaseException:
        started.abandon()
        raise
    return started.result()


def _measured(attempt: Attempt) -> Steps[AbstractContextManager[ObjectStream]]:
    """The same where an answer without a length cannot be told from one that broke off (something on the way cuts it into
    chunks): a range's answer tells the size of its object, and as many bytes are asked for as a small file may have, so that
    this one request is all. An empty object has no range; HEAD tells that."""
    yield Pause.ASIDE
    whole = ByteRange(offset=0, length_bytes=attempt.limits.small_file_max_bytes)
    try:
        return attempt.stoppable.get(attempt.transfer.key, byte_range=whole)
    except RangeNotSatisfiableError as error:
        info = objects.require(attempt)
        if info.size_bytes:
            raise objects.changed(info.key) from error
        return nullcontext(_Empty(info))


class _Empty:
    """The body of an object that has none."""

    length_bytes = 0

    def __init__(self, info: ObjectInfo) -> None:
        self.info = info

    def fileno(self) -> int:
        return -1

    def is_there(self) -> bool:
        return True

    def came(self) -> None:
        pass

    def readinto(self, buffer: memoryview) -> int:  # noqa: ARG002
        return 0


def _read(attempt: Attempt, stream: ObjectStream, counted: PartMeter) -> Steps[bytearray]:
    size = stream.length_bytes
    content = bytearray(size)
    view = memoryview(content)
    filled = 0
    while filled < size:
        if stream.fileno() >= 0:  # never for chunks: the thread that asked for them aside reads them, too
            yield stream
        filled += objects.received(stream, view[filled:], filled, size)
        counted.reach(filled)
        attempt.check_cancel()
    return content


# ---------------------------------------------------------------------------------------------------------- publishing


def _publish(attempt: Attempt, place: Place, fetched: _Fetched) -> Steps[Guarantee | None]:
    """None when the policy keeps what is there. Raises OSError; the partial file is gone either way."""
    partial = fetched.partial
    if partial is None:
        place.make()
        partial = PartialFile.create(place.directory, place.partial_name)
    guarantee: Guarantee | None = None
    try:
        if fetched.content is not None:
            _write(partial, fetched.content)
        source = fetched.time
        asked = ownership.of_object(fetched.info, attempt.choices)
        # All that is to be synced is done before the pause: what a journal commits for the first of many, it has for all.
        partial.dress(source.ns, asked, access_ns=attempt.now_ns())
        start_writeback(partial.descriptor, 0, 0)
        yield Pause.WRITTEN
        attempt.check_cancel()
        if place.is_local:
            sealed = partial.settle(look_open_here)
        else:
            sealed = partial.settle()
            partial.confirm()
        yield Pause.SYNCED  # so that one look at where the path leads is right before the renames of all that are synced
        guarantee = yield from land(attempt, place, sealed, source)
        if guarantee is not None and not asked.is_given_to(sealed):
            attempt.add_note(ownership.OWNER_NOT_KEPT)
        if guarantee is not None and not is_held(source.ns, sealed.modify_ns):
            attempt.add_note(TIME_NOT_KEPT)
    finally:
        if guarantee is None:
            let_go(attempt, place, partial)
        else:
            partial.close()
    return guarantee


def _write(partial: PartialFile, content: bytearray) -> None:
    failpoints.passing("partial.write")
    write_all(partial.descriptor, memoryview(content), 0)
    failpoints.passing("partial.written")
    content.clear()  # many wait for their syncs together
