"""How an export is known to have arrived: what its bytes were compared by, its words for the record, and reading back.

Calls the store; what was written is read once more where the bucket asks for it. An object that is archived cannot be read: what
else is told of it has to do, and the record says so. Whoever calls compares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from penstock.errors import FailureCode, IntegrityError, StoreError, TransferError
from penstock.model import Verification
from penstock.stores.base import Abilities, Checksum, ObjectInfo, PutResult
from penstock.transfer import crc64, objects, readback
from penstock.transfer.attempt import Attempt
from penstock.transfer.refusals import ARCHIVED

_Check = Callable[[], None]

UNREADABLE = "archived, so it could not be read"
GAVE_WAY = "it had given way to another before it could be read back"
BY_ITSELF = "judged by what it tells of itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What tells an object's bytes: `crc64`, if anything does, and `by` what they were compared.

    `remark`, for the record: why it was not read though it was to be.
    """

    crc64: int | None
    by: Verification
    remark: str = ""

    @property
    def is_unread(self) -> bool:
        """Whether it was to be read, and could not be."""
        return self.remark != ""


def note(attempt: Attempt, evidence: Evidence) -> None:
    """Say in the record how this export was compared; nothing to say where it was the checksum that the store told."""
    if evidence.by is not Verification.CRC64:
        attempt.add_note(evidence.by.value)
    if evidence.remark:
        attempt.add_note(evidence.remark)


def answered(attempt: Attempt, told: int | None) -> Evidence:
    """Of bodies whose answers were heard: the checksum that the store told of the whole, else what guarded them on their way."""
    by = _heard(attempt.store.abilities) if told is None else Verification.CRC64
    return Evidence(crc64=told, by=by)


def unheard(attempt: Attempt, evidence: Evidence) -> Evidence:
    """The same where no answer to a body was heard, and its ETag tells nothing: what the store refuses by itself is all."""
    return replace(evidence, by=_guarded(attempt.store.abilities))


def told(attempt: Attempt, info: ObjectInfo) -> Evidence:
    """Of an object that was found: as it is read back where the bucket asks for that, else as the store tells it.

    Raises as `readback.read`, but for archived ones.
    """
    evidence = answered(attempt, info.crc64)
    return _read(attempt, info, evidence) if attempt.store.options.reads_back else evidence


def found(attempt: Attempt, info: ObjectInfo) -> Evidence:
    """The same; where nothing tells it the object is read. Raises as `told`."""
    evidence = told(attempt, info)
    return evidence if evidence.crc64 is not None else read(attempt, info, evidence)


def read(attempt: Attempt, info: ObjectInfo, evidence: Evidence) -> Evidence:
    """What reading it tells, beyond `evidence`, that was found out before. An archived one is judged by its size and by what it
    says of itself: nobody can ever tell more of it. Raises as `told`."""
    tried = evidence if evidence.is_unread else _read(attempt, info, evidence)
    return replace(tried, remark=f"{UNREADABLE}: {BY_ITSELF}") if tried.is_unread else tried


def of_written(attempt: Attempt, info: ObjectInfo, evidence: Evidence, *, check: _Check | None = None) -> Evidence:
    """Of what was written just now, as it is read back; of what has given way to another, or is archived, `evidence`, and why it
    is no more. `check` as in `readback.read`. Raises StoreError, StoppedError, FencedError."""
    try:
        return _read(attempt, info, evidence, check=check)
    except TransferError as error:
        if error.code is not FailureCode.SOURCE_CHANGED:
            raise
    return gave_way(attempt, evidence.crc64)


def gave_way(attempt: Attempt, told: int | None) -> Evidence:
    """Of what was to be read back, and is not there any more: as `answered`."""
    return replace(answered(attempt, told), remark=GAVE_WAY)


def of_put(attempt: Attempt, result: PutResult, size_bytes: int) -> Evidence:
    """Of what a PUT of so many bytes has stored, as it is read back: its answer names it, so one request is all. Of none there is
    nothing to read: their number is looked at.

    A drain lets it end. Raises IntegrityError where more or less is there; StoreError, StoppedError, FencedError.
    """
    key, evidence = attempt.transfer.key, answered(attempt, result.crc64)
    if size_bytes:
        sent = ObjectInfo(
            key=key, size_bytes=size_bytes, etag=result.etag, last_modified_ns=0, version_id=result.version_id
        )
        evidence = of_written(attempt, sent, evidence, check=attempt.check_cancel)
        if not evidence.is_unread:
            return evidence
    info = objects.head_or_none(
        attempt, key
    )  # no bytes have no range; and of other bytes than were sent there may be more or less
    if info is None or info.etag != result.etag:
        return replace(evidence, remark=evidence.remark or GAVE_WAY)
    if info.size_bytes != size_bytes:
        raise IntegrityError(
            f"{key!r} was sent with {size_bytes} bytes, the store has {info.size_bytes}",
            bucket=attempt.store.bucket,
            key=key,
        )
    return evidence


def _read(attempt: Attempt, info: ObjectInfo, evidence: Evidence, *, check: _Check | None = None) -> Evidence:
    """As it is read; `evidence`, and why it is no more, of an archived one. An empty one is not: its size tells all its bytes."""
    if not info.size_bytes:
        by_store = evidence if evidence.crc64 == crc64.EMPTY else unheard(attempt, evidence)
        return replace(by_store, crc64=crc64.EMPTY)
    try:
        return Evidence(crc64=readback.read(attempt, info, check=check), by=Verification.READ_BACK)
    except StoreError as error:
        if error.code not in ARCHIVED:
            raise
    return replace(evidence, remark=UNREADABLE)


def _heard(abilities: Abilities) -> Verification:
    """What was compared of a body: where CRC-64 is told, it alone."""
    guarded = _guarded(abilities)
    is_by_etag = guarded is Verification.NONE and abilities.part_etag_is_md5 and not abilities.crc64
    return Verification.MD5 if is_by_etag else guarded


def _guarded(abilities: Abilities) -> Verification:
    """What the store itself compares with each body, and refuses."""
    if abilities.crc64:
        return Verification.NONE  # nothing is sent along then
    if abilities.checksum is not Checksum.NONE:
        return Verification(abilities.checksum.value.lower())
    return Verification.MD5 if abilities.content_md5 else Verification.NONE
