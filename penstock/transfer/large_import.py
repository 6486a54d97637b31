"""Import of a large file: parallel ranged GETs into the partial file, journaled part by part, verified whole, published.

Calls the store, the part pool and `place`. What an earlier attempt left is read again before it is believed.
"""

from __future__ import annotations

from contextlib import suppress

from penstock.errors import (
    FailureCode,
    IntegrityError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RangeNotSatisfiableError,
    StoppedError,
    StoreError,
    TransferError,
)
from penstock.model import FileDetail
from penstock.stores.base import ByteRange, ObjectInfo
from penstock.transfer import crc64, objects, ownership, pagecache, posix
from penstock.transfer.attempt import Attempt
from penstock.transfer.flusher import Flusher
from penstock.transfer.identity import Identity
from penstock.transfer.journal import Journal, Publishing, Recorded, SourceIdentity
from penstock.transfer.landing import keep, land, stays, wanted
from penstock.transfer.meter import PartMeter
from penstock.transfer.mtime import TIME_NOT_KEPT, is_held, of_object
from penstock.transfer.part_file import PartFile, part_file
from penstock.transfer.partial import PartialFile
from penstock.transfer.parts import Workspace
from penstock.transfer.place import Place
from penstock.transfer.plan import Plan, PlannedPart, plan_import
from penstock.transfer.policy import Decision
from penstock.transfer.steps import run_through
from penstock.transfer.transfer import Outcome

_SPOILT = frozenset({FailureCode.SOURCE_CHANGED, FailureCode.HELPER_NAME_TAKEN})
_CHANGED = (PreconditionFailedError, RangeNotSatisfiableError, ObjectNotFoundError)


def import_large(attempt: Attempt, place: Place, info: ObjectInfo) -> Outcome:
    """Move one object part by part. Raises StoreError, TransferError, StoppedError, FencedError."""
    objects.require_identity(attempt, info)
    objects.check_source_object(attempt, info)
    attempt.meter.learn(objects.detail_of(info, None))
    if wanted(attempt, place, of_object(info)) is Decision.KEEP:
        return keep(attempt, place, info)
    place.make()
    work = _LargeImport(attempt, place, info)
    try:
        return work.run()
    except OSError as error:  # after such an error nothing of this inode is believed: the next attempt starts anew
        work.discard()
        raise place.refusal(error) from error
    except _CHANGED as error:
        work.discard()
        raise objects.changed(info.key) from error
    except IntegrityError:
        work.discard()
        raise
    except (StoreError, TransferError, StoppedError) as error:
        is_spoilt = isinstance(error, TransferError) and error.code in _SPOILT
        if is_spoilt or place.is_astray():
            work.discard()
        raise
    finally:
        work.close()


class _LargeImport:
    """The partial file and its journal while they grow."""

    def __init__(self, attempt: Attempt, place: Place, info: ObjectInfo) -> None:
        self._attempt = attempt
        self._place = place
        self._info = info
        self._partial: PartialFile | None = None
        self._journal: Journal | None = None
        self._recorded = Recorded()
        self._ours: Identity | None = None  # which file the partial file is
        self._crcs: dict[int, int] = {}
        self._is_promised = False
        self._is_landing = False  # an error may deny a renaming that was carried out
        self._is_published = False

    def run(self) -> Outcome:
        partial, journal, plan = self._open()
        partial.open_direct()
        flusher = Flusher(
            partial.descriptor, unsynced_bytes_max=self._attempt.limits.unsynced_bytes_max, synced=journal.sync
        )

        def move(part: PlannedPart, workspace: Workspace) -> None:
            self._move(part, workspace, partial, journal, flusher)

        self._attempt.run_parts(plan, move)
        crc = plan.combined(self._crcs)
        objects.compare(self._attempt, self._info, crc)
        objects.check_unchanged(self._attempt, self._info)
        return self._publish(partial, journal, objects.detail_of(self._info, crc), crc)

    def discard(self) -> None:
        """Remove what was begun, durably, unless it is or may be published, or this attempt has lost its sub-task."""
        if self._is_published or self._attempt.is_fenced:
            return
        try:
            if self._is_landing and self._may_be_published():
                return  # what became of it the next attempt reads off the journal
            if self._ours is not None:
                self._place.disown(self._ours, self._take_back)
            is_changed = False
            if self._journal is not None:
                is_changed = self._journal.remove()  # first: a journal without its partial file means "published"
                if is_changed and self._is_promised:
                    self._place.sync()  # and durably: nobody promises that names go in order, should the power be cut
            if self._partial is not None:
                is_changed |= self._partial.discard()
            if is_changed:
                self._place.sync()
            self._attempt.begin_nothing()
        except OSError as error:
            raise self._place.refusal(error) from error

    def _may_be_published(self) -> bool:
        return self._partial is not None and (not self._partial.is_named() or self._partial.is_shared())

    def _take_back(self) -> None:
        if self._is_promised and self._journal is not None:
            self._journal.take_back()

    def close(self) -> None:
        """Let go of both files and of the lock."""
        if self._journal is not None:
            self._journal.close()
        if self._partial is not None:
            self._partial.close()

    # ------------------------------------------------------------------------------------------------------- beginning

    def _open(self) -> tuple[PartialFile, Journal, Plan]:
        """Take over what fits this very object, else start anew."""
        there = self._place.whereabouts()
        if there is not None:
            self._attempt.begin_in(there)
        resumed = self._resume()
        if resumed is not None:
            return resumed
        plan = plan_import(self._info.size_bytes, self._attempt.limits.part_size_bytes)
        self._place.give_up()
        self._attempt.has_begun = True
        partial = self._partial = PartialFile.create(self._place.directory, self._place.partial_name)
        self._ours = Identity.of(partial.state())
        posix.reserve(partial.descriptor, self._info.size_bytes)
        source = _identity(self._info, plan.part_size_bytes)
        journal = self._journal = Journal.create(self._place.directory, self._place.journal_name, source, self._ours)
        self._place.sync()
        return partial, journal, plan

    def _resume(self) -> tuple[PartialFile, Journal, Plan] | None:
        partial = self._partial = self._place.reopen_partial(self._place.read_journal())
        if partial is None:
            return None
        self._attempt.has_begun = True
        found = None if partial.is_shared() else self._place.reopen_journal()
        if found is not None:
            self._journal, recorded = found
            source, ours = recorded.source, recorded.partial
            is_ours = ours is not None and ours.is_of(partial.state())
            if is_ours and source is not None and source == _identity(self._info, source.part_size_bytes):
                self._recorded, self._ours = recorded, ours
                plan = Plan(size_bytes=source.size_bytes, part_size_bytes=source.part_size_bytes)
                return partial, self._journal, plan
            self._journal.close()
            self._journal = None
        partial.close()
        self._partial = None
        return None

    # ----------------------------------------------------------------------------------------------------------- parts

    def _move(
        self, part: PlannedPart, workspace: Workspace, partial: PartialFile, journal: Journal, flusher: Flusher
    ) -> None:
        """Bring one part into the partial file, or find that it is there. Runs in the pool."""
        counted = PartMeter(self._attempt.meter)
        recorded = self._recorded.parts.get(part.number)
        if recorded is not None and recorded == self._read_again(part, workspace, partial):
            self._crcs[part.number] = recorded
            counted.keep(part.length_bytes)
            return
        file = part_file(partial, flusher, part.offset, workspace.buffer())
        crc = self._fetch(part, workspace, file, counted)
        self._crcs[part.number] = crc
        journal.record_part(part.number, crc)

    def _read_again(self, part: PlannedPart, workspace: Workspace, partial: PartialFile) -> int | None:
        """The checksum of what the disk holds of a part; None if it is not all there."""
        buffer = workspace.buffer()
        crc = crc64.EMPTY
        done = 0
        while done < part.length_bytes:
            self._attempt.check_stop()
            piece = buffer[: part.length_bytes - done]
            if posix.read_full(partial.descriptor, piece, part.offset + done) < len(piece):
                return None
            crc = crc64.update(piece, crc)
            done += len(piece)
        pagecache.drop_behind(partial.descriptor, part.offset, part.length_bytes)
        return crc

    def _fetch(self, part: PlannedPart, workspace: Workspace, file: PartFile, counted: PartMeter) -> int:
        """Read a range into its place; a try that breaks off is continued where it ended."""
        attempt = self._attempt
        crc = crc64.EMPTY
        done = 0

        def read_on() -> None:
            nonlocal crc, done
            rest = ByteRange(offset=part.offset + done, length_bytes=part.length_bytes - done)
            with attempt.meter.moving(), objects.opened(attempt, self._info, rest) as stream:
                while done < part.length_bytes:
                    attempt.check_stop()
                    piece = file.room(part.length_bytes - done)
                    count = objects.received(stream, piece, done, part.length_bytes)
                    crc = crc64.update(piece[:count], crc)
                    file.took(count)
                    done += count
                    workspace.moved(count)
                    counted.reach(done)

        attempt.persist(read_on)
        file.flush()
        return crc

    # ------------------------------------------------------------------------------------------------------ publishing

    def _publish(self, partial: PartialFile, journal: Journal, detail: FileDetail, crc: int) -> Outcome:
        attempt, place = self._attempt, self._place
        asked = ownership.of_object(self._info, attempt.choices)
        sealed = partial.seal(detail.modify_time_ns, asked)
        partial.drop_cache()
        if sealed.size_bytes != detail.size_bytes:
            raise TransferError(
                FailureCode.SOURCE_CHANGED, f"the partial file of /{attempt.transfer.path} was changed by somebody else",
                waiting_helps=True,
            )  # fmt: skip
        over = place.target()
        self._is_promised = True
        journal.record_publishing(
            Publishing(
                inode=sealed.inode,
                size_bytes=detail.size_bytes,
                crc64=crc,
                modify_ns=detail.modify_time_ns,
                compared=int(self._info.crc64 is not None),
                owner_kept=int(asked.is_given_to(sealed)),
                time_kept=int(is_held(detail.modify_time_ns, sealed.modify_ns)),
                over_inode=0 if over is None else over.inode,
                over_birth_ns=0 if over is None else over.birth_ns,
                over_change_ns=0 if over is None else over.change_ns,
            )
        )
        if not partial.is_named():
            words = "its partial file was removed or replaced by somebody else; it is begun anew"
            raise TransferError(FailureCode.HELPER_NAME_TAKEN, f"/{attempt.transfer.path}: {words}", waiting_helps=True)
        self._is_landing = True
        guarantee = run_through(land(attempt, place, sealed, of_object(self._info)))
        self._is_landing = False
        if guarantee is None:
            self.discard()
            return stays(attempt, place, detail)
        self._is_published = True
        with suppress(OSError):  # the target tells it as well, as long as nobody touches it
            journal.record_published()  # at once: until then somebody may take the file away, and nothing tells that it was there
        place.sync()
        if not asked.is_given_to(sealed):
            attempt.add_note(ownership.OWNER_NOT_KEPT)
        if not is_held(detail.modify_time_ns, sealed.modify_ns):
            attempt.add_note(TIME_NOT_KEPT)
        return attempt.published_with_journal(detail, guarantee)


def _identity(info: ObjectInfo, part_size_bytes: int) -> SourceIdentity:
    return SourceIdentity(
        key=info.key,
        etag=info.etag,
        version_id=info.version_id,
        size_bytes=info.size_bytes,
        part_size_bytes=part_size_bytes,
    )
