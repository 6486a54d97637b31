"""Export of a small or middling file: read, looked at again, PUT in one request, compared.

A small one is read whole into one buffer. A middling one is read twice, a grain at a time: to prove what it is, and while it is
sent. Calls the store, `standing`, `whole_body` and the source file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from penstock.errors import (
    FailureCode,
    IntegrityError,
    PreconditionFailedError,
    StoreError,
    StoreUnavailableError,
    TransferError,
)
from penstock.model import ConflictPolicy, Guarantee
from penstock.stores.base import ObjectInfo, Precondition, PutResult
from penstock.transfer import crc64, soundness, standing, verification, versioned
from penstock.transfer.attempt import Attempt
from penstock.transfer.mtime import of_file
from penstock.transfer.objects import head_or_none
from penstock.transfer.policy import Decision
from penstock.transfer.posix import read_full
from penstock.transfer.source_file import SourceFile
from penstock.transfer.steps import INLINE_MAX_BYTES, Pause, Steps
from penstock.transfer.transfer import Outcome
from penstock.transfer.verification import Evidence
from penstock.transfer.whole_body import WholeBody, checksum, pieces

_JUST_SEND_MAX_BYTES = INLINE_MAX_BYTES  # up to here sending costs no more than asking first


def export_small(attempt: Attempt, source: SourceFile) -> Steps[Outcome]:
    """Move one file that fits one buffer. Raises StoreError, TransferError, StoppedError, FencedError."""
    if source.state.size_bytes > INLINE_MAX_BYTES or standing.must_ask(attempt, standing.of_put(attempt)):
        yield Pause.ASIDE
    return (yield from _SmallExport(attempt, source).run())


class _SmallExport:
    """The file's bytes, and what is known of the target key."""

    def __init__(self, attempt: Attempt, source: SourceFile) -> None:
        self._attempt = attempt
        self._source = source
        self._time = of_file(source.state.modify_ns)
        self._create_only = standing.kept_now(attempt, standing.of_put(attempt))
        self._content = bytearray()  # of a small file
        self._is_middling = source.state.size_bytes > INLINE_MAX_BYTES
        self._crc = crc64.EMPTY
        replaces = attempt.transfer.conflict_policy is ConflictPolicy.OVERWRITE_EXISTING
        self._decision = Decision.REPLACE if replaces else Decision.CREATE

    def run(self) -> Steps[Outcome]:
        attempt = self._attempt
        mine: ObjectInfo | None = None
        if self._must_look():
            yield Pause.ASIDE
            found = standing.stand(attempt, self._time)
            if found.decision is Decision.KEEP:
                return attempt.skipped(self._source.detail(None), self._guarantee(Decision.CREATE))
            self._decision, mine = found.decision, found.mine
        elif attempt.transfer.attempt > 1 or attempt.transfer.begun:  # an earlier one may have been done, unheard
            yield Pause.ASIDE
            mine = standing.published_earlier(attempt)
        self._read()
        attempt.check_cancel()
        if mine is not None:
            evidence = self._holds(mine)
            if evidence is not None:
                return self._found(mine, evidence, Guarantee.BEST_EFFORT)
            soundness.remove_damaged(attempt, mine, self._source.state)
        return (yield from self._put())

    def _must_look(self) -> bool:
        """Whether the key has to be looked at before anything is sent.

        Not where it does not matter what is there; and under SKIP a store that refuses atomically needs not be asked first,
        if it is known to do so still.
        """
        policy = self._attempt.transfer.conflict_policy
        if policy is ConflictPolicy.OVERWRITE_EXISTING:
            return False
        may_just_send = (
            self._create_only is Guarantee.ATOMIC
            and versioned.is_as_probed(self._attempt) is True
            and policy is ConflictPolicy.SKIP_THE_FILE
            and self._source.state.size_bytes <= _JUST_SEND_MAX_BYTES
        )
        return not may_just_send

    # --------------------------------------------------------------------------------------------------------- reading

    def _read(self) -> None:
        """The whole file, as it was at one moment. Raises TransferError (SourceChanged)."""
        source = self._source
        is_proven = source.rest_ns(self._attempt.now_ns) == 0
        if self._is_middling:
            self._crc = checksum(self._attempt, source)
        else:
            self._content = bytearray(source.state.size_bytes)
            self._fill(self._content)
            self._crc = crc64.update(self._content)
        if not is_proven and self._crc != self._read_again():
            raise source.changed()
        source.check_unchanged()

    def _read_again(self) -> int:
        """The checksum of a second reading: it tells what time stamps cannot tell yet."""
        self._source.forget_cached()
        if self._is_middling:
            return checksum(self._attempt, self._source)
        content = bytearray(len(self._content))
        self._fill(content)
        return crc64.update(content)

    def _fill(self, content: bytearray) -> None:
        try:
            count = read_full(self._source.descriptor, memoryview(content), 0)
        except OSError as error:
            raise self._source.refusal(error) from error
        if count < len(content):
            raise self._source.changed()

    # --------------------------------------------------------------------------------------------------------- sending

    def _put(self) -> Steps[Outcome]:
        tries = 0
        while True:
            self._attempt.check_cancel()
            try:
                result, evidence = yield from self._sent()
            except StoreError as error:
                trouble = error
            else:
                return (yield from self._finish(result.version_id, evidence))
            if isinstance(trouble, StoreUnavailableError):
                self._attempt.check_cancel()  # it may have been given up for that
            yield Pause.ASIDE
            tries += 1
            outcome = self._after(trouble, tries)
            if outcome is not None:
                return outcome

    def _sent(self) -> Steps[tuple[PutResult, Evidence]]:
        """One PUT, and what tells what came of it.

        A small body is sent in company, if a connection is there; a larger one by a thread that may wait.
        """
        store, key = self._attempt.store, self._attempt.transfer.key
        self._attempt.has_sent = True
        with self._attempt.meter.moving():
            started = None
            if not self._is_middling:
                if not store.is_warm:
                    yield Pause.ASIDE  # to connect and to send; the answer is waited for in company again
                metadata, precondition = self._asked()
                body = [memoryview(self._content)]
                started = store.begin_put(key, body, crc64=self._crc, metadata=metadata, precondition=precondition)
            if started is None:
                yield Pause.ASIDE
                result = self._put_and_wait()
            else:
                try:
                    yield started
                except BaseException:
                    self._attempt.give_up()
                    started.abandon()
                    raise
                result = started.result()
        self._compare(result.crc64)
        if not store.options.reads_back:
            return result, verification.answered(self._attempt, result.crc64)
        yield Pause.ASIDE
        evidence = verification.of_put(self._attempt, result, self._source.state.size_bytes)
        self._compare(evidence.crc64)
        return result, evidence

    def _compare(self, told: int | None) -> None:
        """Raises IntegrityError."""
        key, bucket = self._attempt.transfer.key, self._attempt.store.bucket
        if told not in {None, self._crc}:
            raise IntegrityError(
                f"{key!r} was sent with crc64 {self._crc}, the store has {told}", bucket=bucket, key=key
            )

    def _put_and_wait(self) -> PutResult:
        store, key = self._attempt.stoppable, self._attempt.transfer.key
        metadata, precondition = self._asked()
        if not self._is_middling:
            body = [memoryview(self._content)]
            return store.put(key, body, crc64=self._crc, metadata=metadata, precondition=precondition)
        with self._attempt.grains.lent() as grain:
            streamed = WholeBody(self._attempt, self._source, grain, self._crc)
            return store.put(key, streamed, crc64=self._crc, metadata=metadata, precondition=precondition)

    def _asked(self) -> tuple[Mapping[str, str], Precondition]:
        metadata = standing.metadata(self._attempt, self._source.state, self._crc)
        return metadata, standing.precondition(self._decision, self._create_only)

    def _after(self, error: StoreError, tries: int) -> Outcome | None:
        """What is to be done about a PUT that failed, for the `tries`-th time; None: send again. Raises the error itself."""
        attempt = self._attempt
        if isinstance(error, PreconditionFailedError):
            outcome = self._refused()
            if outcome is None and tries >= attempt.limits.part_tries:
                raise standing.restless(attempt) from error
            if self._decision is Decision.CREATE and standing.may_be_marked(attempt):
                self._create_only = Guarantee.BEST_EFFORT
            return outcome
        if isinstance(error, IntegrityError):
            return self._bad(error, tries)
        if not attempt.may_try_again(error, tries):
            raise error
        attempt.pause(tries, error, attempt.check_cancel)
        return None if self._create_only is Guarantee.ATOMIC else self._look_again()

    def _finish(self, version_id: str, evidence: Evidence) -> Steps[Outcome]:
        attempt = self._attempt
        if version_id == "null":
            yield Pause.ASIDE  # what that means has to be asked
        if not versioned.learn(attempt, version_id):
            self._create_only = Guarantee.BEST_EFFORT  # versioning is not what it was when the bucket was probed
        held = self._guarantee(self._decision)
        if standing.may_yield(attempt, held):
            yield Pause.ASIDE
            if standing.yields(attempt, version_id, self._time, held):
                return attempt.skipped(self._source.detail(None), held)
        return self._published(evidence, held)

    def _found(self, mine: ObjectInfo, evidence: Evidence, held: Guarantee) -> Outcome:
        """An object of an earlier try, whole: it counts as moved, unless it lies on a foreign one."""
        if not versioned.learn(self._attempt, mine.version_id):
            self._create_only = held = Guarantee.BEST_EFFORT
        if self._attempt.transfer.conflict_policy is ConflictPolicy.OVERWRITE_EXISTING:
            held = Guarantee.ATOMIC
        if standing.yields(self._attempt, mine.version_id, self._time, held):
            return self._attempt.skipped(self._source.detail(None), held)
        return self._published(evidence, held)

    def _look_again(self) -> Outcome | None:
        """Whether the try whose answer was lost was published, or somebody else was meanwhile. None: send again."""
        if self._attempt.transfer.conflict_policy is ConflictPolicy.OVERWRITE_EXISTING:
            return None
        return self._stand_again(Guarantee.BEST_EFFORT)

    def _refused(self) -> Outcome | None:
        """Something is there: ours, of a try whose answer was lost, or foreign. None: send again."""
        return self._stand_again(Guarantee.ATOMIC)

    def _stand_again(self, held: Guarantee) -> Outcome | None:
        """What the key holds now decides: ours is found, a foreign one may be kept. None: send again."""
        found = standing.stand(self._attempt, self._time)
        evidence = None if found.mine is None else self._holds(found.mine)
        if found.mine is not None and evidence is not None:
            return self._found(found.mine, evidence, held)
        if found.decision is Decision.KEEP:
            return self._attempt.skipped(self._source.detail(None), held)
        self._decision = found.decision
        return None

    def _bad(self, error: IntegrityError, tries: int) -> Outcome | None:
        """A damaged object may be there under our name: found sound after all, removed, or overwritten at once (None)."""
        attempt, key = self._attempt, self._attempt.transfer.key
        info = head_or_none(attempt, key)
        is_left = info is not None and versioned.is_mine(attempt, info)
        if info is not None and is_left:
            evidence = (
                None if info.crc64 is None else self._holds(info)
            )  # what its metadata say of it proves nothing now
            if evidence is not None:
                return self._found(info, evidence, self._guarantee(self._decision))
            if standing.can_delete_exactly(info):
                versioned.remove(attempt, info.version_id)
                is_left = False
        if tries < attempt.limits.part_tries:
            if is_left:
                self._decision = Decision.REPLACE
            return None
        if is_left:
            raise TransferError(
                FailureCode.BAD_OBJECT_LEFT,
                f"the object {key!r} in bucket {attempt.store.bucket} is damaged and could not be mended: remove it; {error}",
            )
        raise error

    # ------------------------------------------------------------------------------------------------------ describing

    def _holds(self, info: ObjectInfo) -> Evidence | None:
        """What tells that the object is of this very file, and whole, as far as can be told; None: it is not.

        Where no checksum does, its ETag may: metadata say what was sent, not what came, and an earlier attempt may have died
        between a PUT that was damaged on its way and its repair. The ETag of an object that was put together from parts has a
        dash, and tells nothing.
        """
        attempt, state = self._attempt, self._source.state
        if not standing.holds(info, modify_ns=state.modify_ns, size_bytes=state.size_bytes, crc64=self._crc):
            return None
        evidence = verification.told(attempt, info)
        if evidence.crc64 is not None:
            return evidence if evidence.crc64 == self._crc else None
        if not info.etag or "-" in info.etag or not attempt.store.abilities.part_etag_is_md5:
            return verification.unheard(attempt, evidence)
        return evidence if info.etag.lower() == self._md5() else None

    def _md5(self) -> str:
        digest = hashlib.md5(self._content, usedforsecurity=False)
        if self._is_middling:
            with self._attempt.grains.lent() as grain:
                for piece in pieces(self._attempt, self._source, grain):
                    digest.update(piece)
        return digest.hexdigest()

    def _guarantee(self, decision: Decision) -> Guarantee:
        return standing.guarantee(self._attempt, decision, self._create_only)

    def _published(self, evidence: Evidence, held: Guarantee) -> Outcome:
        verification.note(self._attempt, evidence)
        return self._attempt.published(self._source.detail(self._crc), held)
