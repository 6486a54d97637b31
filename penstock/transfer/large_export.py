"""Export of a large file: a multipart upload whose intent and id are durable, parts checked one by one, completed at the end.

Calls the store, the part pool, `uploads`, `standing`, `overtaking` and the source file. Parts that an earlier attempt sent are
listed, read again locally and compared before they are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from penstock import failpoints
from penstock.errors import (
    FailureCode,
    IntegrityError,
    PreconditionFailedError,
    StoreError,
    TransferError,
    UploadNotFoundError,
)
from penstock.model import Guarantee
from penstock.stores.base import ObjectInfo, Part, PutResult
from penstock.transfer import (
    assembled,
    crc64,
    overtaking,
    pagecache,
    soundness,
    standing,
    uploads,
    verification,
    versioned,
)
from penstock.transfer.attempt import Attempt
from penstock.transfer.mtime import of_file, of_object
from penstock.transfer.objects import head_or_none
from penstock.transfer.part_body import PartBody
from penstock.transfer.parts import Workspace
from penstock.transfer.plan import Plan, PlannedPart, plan_export
from penstock.transfer.policy import Decision
from penstock.transfer.source_file import SourceFile
from penstock.transfer.transfer import Checkpoint, Outcome, Promise
from penstock.transfer.verification import Evidence


def export_large(attempt: Attempt, source: SourceFile) -> Outcome:
    """Move one file part by part. Raises StoreError, TransferError, StoppedError, FencedError."""
    work = _LargeExport(attempt, source)
    outcome = work.run()
    if outcome is None:  # the whole object came out bad: overwrite it at once
        outcome = work.run()
    if outcome is None:
        raise TransferError(
            FailureCode.BAD_OBJECT_LEFT,
            f"the object {attempt.transfer.key!r} in bucket {attempt.store.bucket} is damaged and could not be mended:"
            " remove it",
        )
    return outcome


class _LargeExport:
    """One upload: its parts so far, and what is known of the target key."""

    def __init__(self, attempt: Attempt, source: SourceFile) -> None:
        self._attempt = attempt
        self._source = source
        self._time = of_file(source.state.modify_ns)
        self._create_only = standing.kept_now(attempt, standing.of_complete(attempt))
        self._decision = Decision.CREATE
        self._parts: dict[int, Part] = {}
        self._crcs: dict[int, int] = {}
        self._leaves_bad = False
        # Parts are read at the same time, which the kernel takes for random access, or else it reads far into the part behind,
        # which would then pass for one that was cached before.
        pagecache.read_by_hand(source.descriptor)

    def run(self) -> Outcome | None:
        """None: the object that was completed is bad, is ours, and cannot be deleted exactly."""
        attempt = self._attempt
        found = standing.stand(attempt, self._time)
        if found.decision is Decision.KEEP:
            return self._gives_way(Guarantee.BEST_EFFORT)
        self._decision = found.decision
        attempt.meter.learn(self._source.detail(None))
        if found.mine is not None and not self._leaves_bad:
            outcome = self._completed_earlier(found.mine)
            if outcome is not None:
                return outcome
        plan, record, listed = self._resume()
        if isinstance(record, Outcome):
            return record
        self._send(plan, record, listed)
        self._source.check_unchanged()
        crc = plan.combined(self._crcs)
        return self._complete(plan, record, crc)

    # ------------------------------------------------------------------------------------------------------- beginning

    def _resume(self) -> tuple[Plan, Checkpoint | Outcome, Mapping[int, Part]]:
        """The upload to go on with and its listed parts, or a new one, or the outcome if it was completed already."""
        attempt, state = self._attempt, self._source.state
        record = attempt.checkpoint
        plan = plan_export(state.size_bytes, attempt.limits.part_size_bytes, attempt.store.limits)
        if record is not None and uploads.fits(record, attempt, state):
            kept = Plan(size_bytes=state.size_bytes, part_size_bytes=record.part_size_bytes)
            upload_id = record.upload_id
            try:
                listed = attempt.persist(lambda: list(attempt.stoppable.list_parts(record.key, upload_id)))
                return kept, record, {part.number: part for part in listed}
            except UploadNotFoundError:
                info = standing.published_earlier(attempt)
                outcome = None if info is None else self._completed_earlier(info)
                outcome = outcome or overtaking.after(attempt, record)
                if outcome is not None:
                    return plan, outcome, {}
        uploads.abandon(attempt)
        soundness.settle(attempt)
        metadata = standing.metadata(attempt, state, None)
        return plan, uploads.begin(attempt, state, plan, metadata), {}

    def _completed_earlier(self, info: ObjectInfo) -> Outcome | None:
        """The object is our own: compare it with the file, which is read once more for that. None if it is another file's."""
        attempt, state = self._attempt, self._source.state
        if (of_object(info).ns, info.size_bytes) != (state.modify_ns, state.size_bytes):
            soundness.remove_damaged(attempt, info, self._source.state)
            return None
        plan = plan_export(info.size_bytes, attempt.limits.part_size_bytes, attempt.store.limits)
        attempt.run_parts(plan, self._read_only)
        self._source.check_unchanged()
        crc = plan.combined(self._crcs)
        evidence = self._holds(info, crc)
        if evidence is None:
            soundness.remove_damaged(attempt, info, self._source.state)
            return None
        uploads.clear(attempt)
        return self._settled(info.version_id, evidence, crc)

    # ----------------------------------------------------------------------------------------------------------- parts

    def _send(self, plan: Plan, record: Checkpoint, listed: Mapping[int, Part]) -> None:
        def move(part: PlannedPart, workspace: Workspace) -> None:
            self._move(part, workspace, record.upload_id, listed.get(part.number))

        self._attempt.run_parts(plan, move)

    def _move(self, part: PlannedPart, workspace: Workspace, upload_id: str, listed: Part | None) -> None:
        """Send one part, or find that the store has these very bytes. Runs in the pool."""
        attempt = self._attempt
        body = PartBody(attempt, self._source, part, workspace)
        crc = None if listed is None else self._same(listed, body)
        if crc is not None:
            body.was_sent()
        if crc is None or listed is None:
            listed, crc = attempt.persist(lambda: self._put_part(part, upload_id, body))
        self._parts[part.number] = listed
        self._crcs[part.number] = crc
        body.is_sent()

    def _put_part(self, part: PlannedPart, upload_id: str, body: PartBody) -> tuple[Part, int]:
        store, key = self._attempt.stoppable, self._attempt.transfer.key
        failpoints.passing("part.send")
        with self._attempt.meter.moving():
            sent = store.put_part(key, upload_id, part.number, body, crc64=None)
        failpoints.passing("part.sent")
        if sent.crc64 not in {None, body.crc64}:
            raise IntegrityError(
                f"part {part.number} of {key!r} was sent with crc64 {body.crc64}, the store has {sent.crc64}",
                bucket=store.bucket,
                key=key,
            )
        return sent, body.crc64

    def _same(self, listed: Part, body: PartBody) -> int | None:
        """The checksum, if the store can prove that its part holds these bytes; None to send it again."""
        by_md5 = listed.crc64 is None and self._attempt.store.abilities.part_etag_is_md5
        if listed.size_bytes != body.length_bytes or (listed.crc64 is None and not by_md5):
            return None
        crc = crc64.EMPTY
        digest = hashlib.md5(usedforsecurity=False)
        for piece in body.preview():
            crc = crc64.update(piece, crc)
            if by_md5:
                digest.update(piece)
        return crc if (listed.etag.lower() == digest.hexdigest() if by_md5 else listed.crc64 == crc) else None

    def _read_only(self, part: PlannedPart, workspace: Workspace) -> None:
        """Learn one part's checksum without sending it."""
        body = PartBody(self._attempt, self._source, part, workspace)
        self._crcs[part.number] = crc64.of_pieces(body.preview())
        body.let_go()

    # ------------------------------------------------------------------------------------------------------ completing

    def _complete(self, plan: Plan, record: Checkpoint, crc: int) -> Outcome | None:
        attempt = self._attempt
        parts = [self._parts[part.number] for part in plan.parts()]
        self._expect(record, parts, crc)
        tries = 0
        self._create_only = standing.kept_now(attempt, self._create_only)  # the parts may have taken hours
        while True:
            attempt.check_cancel()
            if self._decision is not Decision.REPLACE and self._create_only is not Guarantee.ATOMIC:
                kept = self._keeps(crc)  # the store will not refuse: look once more, right before
                if kept is not None:
                    return kept
            failpoints.passing("upload.complete")
            try:
                result = attempt.stoppable.complete(
                    record.key,
                    record.upload_id,
                    parts,
                    precondition=standing.precondition(self._decision, self._create_only),
                )
            except PreconditionFailedError as error:
                tries += 1
                kept = self._keeps(crc)
                if kept is not None:
                    return kept
                self._refused(error, tries)
            except UploadNotFoundError as error:
                return self._lost(crc, error)
            except StoreError as error:  # whether it was completed is unknown
                tries += 1
                if not self._may_complete_again(error, tries):
                    raise
                attempt.pause(tries, error, attempt.check_cancel)
                kept = self._completed_meanwhile(crc)
                if kept is not None:
                    return kept
            else:
                failpoints.passing("upload.completed")
                return self._verify(result, crc)

    def _expect(self, record: Checkpoint, parts: Sequence[Part], crc: int) -> None:
        """Make durable what the object has to be, and what lies at its key: who finds either after a death here has nothing else
        to judge by."""
        abilities = self._attempt.store.abilities
        etag = assembled.etag_of(parts) if abilities.part_etag_is_md5 and not abilities.crc64 else ""
        expected = replace(record, crc64=crc, etag=etag, over=overtaking.look(self._attempt))
        if expected != record:
            self._attempt.save(expected)

    def _refused(self, error: PreconditionFailedError, tries: int) -> None:
        """Complete was refused for the `tries`-th time, and the key is free, or may be replaced by now. Raises TransferError."""
        if tries >= self._attempt.limits.part_tries:
            raise standing.restless(self._attempt) from error
        if self._decision is Decision.CREATE and standing.may_be_marked(self._attempt):
            self._create_only = Guarantee.BEST_EFFORT

    def _may_complete_again(self, error: StoreError, tries: int) -> bool:
        """Not with the same parts if the store lacks one that it acknowledged: the next attempt compares them all."""
        return not isinstance(error, IntegrityError) and self._attempt.may_try_again(error, tries)

    def _keeps(self, crc: int) -> Outcome | None:
        """The outcome, if what has appeared at the key stays or is our own; None to go on."""
        attempt = self._attempt
        found = standing.stand(attempt, self._time)
        evidence = None if found.mine is None else self._holds(found.mine, crc)
        if found.mine is not None and evidence is not None:
            uploads.clear(attempt)
            return self._settled(found.mine.version_id, evidence, crc)
        if found.decision is Decision.KEEP:
            return overtaking.finished(attempt) or self._gives_way(self._guarantee())
        self._decision = found.decision
        return None

    def _gives_way(self, held: Guarantee) -> Outcome:
        """What is at the key stays: nothing of ours is left beneath it that is damaged."""
        attempt = self._attempt
        uploads.abandon(attempt)
        soundness.settle(attempt)
        return attempt.skipped(self._source.detail(None), held)

    def _lost(self, crc: int, error: UploadNotFoundError) -> Outcome:
        """The upload is gone: completed by a try whose answer was lost, or aborted by somebody else."""
        attempt = self._attempt
        record = attempt.checkpoint  # which stays until both looks are had
        completed = self._completed_meanwhile(crc)
        if completed is None and record is not None:
            completed = overtaking.after(attempt, record)
        if completed is None:
            uploads.forget(attempt)
            raise error
        return completed

    def _completed_meanwhile(self, crc: int) -> Outcome | None:
        """The outcome, if the object is there, ours and whole: some stores answer a repeated Complete with a 500."""
        attempt = self._attempt
        info = standing.published_earlier(attempt)
        evidence = None if info is None else self._holds(info, crc)
        if info is None or evidence is None:
            return None
        uploads.clear(attempt)
        return self._settled(info.version_id, evidence, crc)

    def _verify(self, result: PutResult, crc: int) -> Outcome | None:
        """Compare the whole object's checksum, and make room for a foreign version that came in between."""
        attempt, key = self._attempt, self._attempt.transfer.key
        version_id, reads_back = result.version_id, attempt.store.options.reads_back
        evidence: Evidence | None = verification.answered(attempt, result.crc64)
        if result.crc64 not in {None, crc}:
            evidence = None
        elif result.crc64 is None or reads_back:
            info = head_or_none(attempt, key)
            if info is not None and versioned.is_mine(attempt, info):
                version_id = version_id or info.version_id
                promise = attempt.promises[0]  # `_expect` has put it there
                evidence = assembled.has_come_out(attempt, info, promise, result.crc64)
            elif reads_back:
                evidence = verification.gave_way(attempt, result.crc64)
        if evidence is None:
            uploads.disown(attempt)  # whoever replaces that one has not replaced the file
        uploads.forget(attempt)
        if evidence is None:
            if version_id in {"", "null"}:
                self._leaves_bad = True
                return None
            versioned.remove(attempt, version_id)
            raise TransferError(
                FailureCode.CHECKSUM_MISMATCH,
                f"{key!r} was sent with crc64 {crc}, the store put other bytes together; that version was deleted",
                waiting_helps=True,
            )
        return self._settled(version_id, evidence, crc)

    def _settled(self, version_id: str, evidence: Evidence, crc: int) -> Outcome:
        """The object is there, and whole: it counts as moved, unless it lies on a foreign one."""
        attempt = self._attempt
        if not versioned.learn(attempt, version_id):
            self._create_only = Guarantee.BEST_EFFORT  # versioning is not what it was when the bucket was probed
        held = self._guarantee()
        if standing.yields(attempt, version_id, self._time, held):
            return attempt.skipped(self._source.detail(None), held)
        verification.note(attempt, evidence)
        return attempt.published(self._source.detail(crc), held)

    # ------------------------------------------------------------------------------------------------------ describing

    def _holds(self, info: ObjectInfo, crc: int) -> Evidence | None:
        """What tells that the object is of this very file, and whole, as far as can be told; None: it is not."""
        attempt, state = self._attempt, self._source.state
        if not standing.holds(info, modify_ns=state.modify_ns, size_bytes=state.size_bytes, crc64=crc):
            return None
        wanted = Promise(modify_ns=state.modify_ns, size_bytes=state.size_bytes, crc64=crc, etag="")
        told = [promise for promise in attempt.promises if replace(promise, etag="") == wanted]
        return assembled.is_one_of(attempt, info, told or [wanted])

    def _guarantee(self) -> Guarantee:
        return standing.guarantee(self._attempt, self._decision, self._create_only)
