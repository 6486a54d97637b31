"""Is damage found that no checksum of the store tells, where objects are read back? And what becomes of archived ones?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from penstock.errors import (
    FailureCode,
    PermissionDeniedError,
    SizeUntoldError,
    StoreRefusedError,
    StoreUnavailableError,
)
from penstock.model import Verification
from penstock.stores.base import Abilities, Checksum, Overwrite, StoreOptions, Versioning
from penstock.transfer import crc64
from penstock.transfer.transfer import Intent, Lane, Verdict
from penstock.transfer.verification import BY_ITSELF, GAVE_WAY, UNREADABLE
from tests.faults.transfer.exports import (
    CONTENT,
    KEY,
    LONG_AGO_NS,
    OTHER,
    SMALL,
    check_complete,
    export,
    lane_of,
    write,
)
from tests.fixtures.gate import KIB, Gate, transfer
from tests.fixtures.memorybucket import md5_of
from tests.fixtures.memorystore import Damage, Fault, Meanwhile, MemoryStore, Raise, Truncate

ARCHIVED = StoreRefusedError("it is archived", code="InvalidObjectState", status=403)


BY_ETAG = Abilities(part_etag_is_md5=True)
COMPARED = [
    pytest.param(Abilities(), "not compared; ", id="nothing"),
    pytest.param(Abilities(crc64=True, part_etag_is_md5=True), "", id="crc64"),
    pytest.param(Abilities(checksum=Checksum.CRC32C, content_md5=True), "crc32c; ", id="crc32c"),
    pytest.param(Abilities(content_md5=True), "md5; ", id="md5"),
    pytest.param(BY_ETAG, "md5; ", id="etag"),
]
"""What a store can do, and what the record says of an object that could not be read."""


def reading_back(abilities: Abilities) -> MemoryStore:
    store = MemoryStore(abilities=abilities)
    store.options = StoreOptions(reads_back=True)
    return store


def blind(versioning: Versioning = Versioning.NEVER, *, crc64: bool = False) -> MemoryStore:
    store = MemoryStore(abilities=Abilities(versioning=versioning, crc64=crc64))
    store.options = StoreOptions(reads_back=True)
    return store


@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
def test_what_came_back_is_what_the_record_says(gate: Gate, content: bytes) -> None:
    store = blind()
    write(gate, content)
    outcome = gate.move(export(), store, lane=lane_of(content))
    check_complete(outcome, store, content)
    assert outcome.note == Verification.READ_BACK


@pytest.mark.parametrize(("abilities", "compared"), COMPARED)
def test_an_empty_object_is_not_read_and_the_record_does_not_say_that_it_was(
    gate: Gate, abilities: Abilities, compared: str
) -> None:
    store = reading_back(abilities)
    write(gate, b"")
    outcome = gate.move(export(), store, lane=Lane.SMALL)
    check_complete(outcome, store, b"")
    assert (outcome.note, store.calls_of("get")) == (compared.removesuffix("; "), [])


@pytest.mark.parametrize("reads_back", [False, True], ids=["store", "read-back"])
@pytest.mark.parametrize(("abilities", "compared"), COMPARED)
@pytest.mark.parametrize("what_comes", ["the next attempt", "a cancel"])
def test_nor_does_that_of_one_that_is_found(
    gate: Gate, what_comes: str, abilities: Abilities, compared: str, reads_back: bool
) -> None:
    """An earlier attempt died before it could say anything. An ETag was compared with no answer then."""
    store = MemoryStore(abilities=abilities)
    store.options = StoreOptions(reads_back=reads_back)
    write(gate, b"")
    assert gate.move(export(), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    intent = Intent.WITHDRAW if what_comes == "a cancel" else Intent.MOVE
    outcome = gate.move(export(attempt=2, intent=intent), store, lane=Lane.SMALL)
    assert outcome.verdict is Verdict.COMPLETE
    is_by_etag = abilities == BY_ETAG and what_comes == "the next attempt" and not reads_back
    guarded = "not compared" if abilities == BY_ETAG and not is_by_etag else compared.removesuffix("; ")
    assert (outcome.note, store.calls_of("get")) == (guarded, [])
    assert len(store.calls_of("put")) == 1


@pytest.mark.parametrize("versioning", [Versioning.NEVER, Versioning.ENABLED], ids=str)
@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
def test_damage_is_found_and_mended(gate: Gate, content: bytes, versioning: Versioning) -> None:
    """The first reading finds another byte: that object goes, or is overwritten, and the file is sent again."""
    store = blind(versioning)
    write(gate, content)
    store.script(Fault("get", action=Damage(3)))
    outcome = gate.move(export(), store, lane=lane_of(content))
    if outcome.verdict is Verdict.RETRY:
        assert outcome.code is FailureCode.CHECKSUM_MISMATCH
        outcome = gate.move(export(attempt=2, checkpoint=outcome.checkpoint, begun=True), store, lane=Lane.LARGE)
    check_complete(outcome, store, content)
    assert outcome.note == Verification.READ_BACK
    assert len(list(store.list_versions(prefix=KEY))) == 1


@pytest.mark.parametrize(("abilities", "compared"), COMPARED)
@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
def test_of_an_object_that_gave_way_meanwhile_the_record_says_what_was_compared_before(
    gate: Gate, content: bytes, abilities: Abilities, compared: str
) -> None:
    store = reading_back(abilities)
    write(gate, content)
    other = b"of somebody else"

    def overwrite() -> None:
        store.put(KEY, [other], crc64=crc64.update(other), metadata={}, precondition=Overwrite())

    store.script(Fault("get", action=Meanwhile(overwrite)))
    outcome = gate.move(export(), store, lane=lane_of(content))
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, f"{compared}{GAVE_WAY}")
    assert store.content(KEY) == other


@pytest.mark.parametrize("content", [b"", SMALL, CONTENT], ids=["empty", "small", "large"])
def test_so_it_does_of_one_that_was_replaced_before_it_was_looked_for(gate: Gate, content: bytes) -> None:
    store = reading_back(Abilities(crc64=True, part_etag_is_md5=True))
    write(gate, content)
    store.script(
        Fault("get", action=Meanwhile(lambda: store.seed(KEY, b"theirs"))),
        Fault("head", action=Meanwhile(lambda: store.seed(KEY, b"theirs"))),
    )
    outcome = gate.move(export(), store, lane=lane_of(content))
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, GAVE_WAY)


@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
def test_trouble_while_reading_back_is_tried_again(gate: Gate, content: bytes) -> None:
    store = blind()
    write(gate, content)
    store.script(Fault("get", times=2, action=Raise(StoreUnavailableError("cut off"))))
    outcome = gate.move(export(), store, lane=lane_of(content))
    check_complete(outcome, store, content)
    assert (outcome.note, len(store.calls_of("put", "complete"))) == (Verification.READ_BACK, 1)


@pytest.mark.parametrize(("abilities", "compared"), COMPARED)
@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
def test_an_object_that_goes_into_an_archive_cannot_be_read_back(
    gate: Gate, content: bytes, abilities: Abilities, compared: str
) -> None:
    store = reading_back(abilities)
    write(gate, content)
    store.script(Fault("get", times=99, action=Raise(ARCHIVED)))
    outcome = gate.move(export(), store, lane=lane_of(content))
    check_complete(outcome, store, content)
    assert outcome.note == f"{compared}{UNREADABLE}"


@pytest.mark.parametrize("kept", [b"", SMALL[:-1], SMALL + b"!"], ids=["emptied", "shorter", "longer"])
def test_one_that_an_archive_has_stored_shorter_or_longer_is_sent_once_more(gate: Gate, kept: bytes) -> None:
    """That much is told without reading it."""
    store = blind()
    write(gate, SMALL)
    store.script(
        Fault("get", action=Meanwhile(lambda: spoil(store, kept))), Fault("get", times=99, action=Raise(ARCHIVED))
    )
    outcome = gate.move(export(), store, lane=Lane.SMALL)
    check_complete(outcome, store, SMALL)
    assert (outcome.note, len(store.calls_of("put"))) == (f"not compared; {UNREADABLE}", 2)


@pytest.mark.parametrize("versioning", [Versioning.NEVER, Versioning.ENABLED], ids=str)
@pytest.mark.parametrize("kept", [b"", SMALL[:-1], SMALL + b"!"], ids=["emptied", "shorter", "longer"])
def test_one_that_was_stored_shorter_or_longer_is_damaged_and_has_not_given_way(
    gate: Gate, kept: bytes, versioning: Versioning
) -> None:
    """Its ETag is that of what was sent."""
    store = blind(versioning)
    write(gate, SMALL)
    store.script(Fault("get", action=Meanwhile(lambda: spoil(store, kept))))
    outcome = gate.move(export(), store, lane=Lane.SMALL)
    check_complete(outcome, store, SMALL)
    assert outcome.note == Verification.READ_BACK
    assert len(list(store.list_versions(prefix=KEY))) == 1


def test_an_empty_file_is_not_taken_for_read_back_where_something_was_stored(gate: Gate) -> None:
    store = blind()
    write(gate, b"")
    store.script(Fault("head", action=Meanwhile(lambda: spoil(store, b"!"))))
    outcome = gate.move(export(), store, lane=Lane.SMALL)
    check_complete(outcome, store, b"")
    assert (outcome.note, len(store.calls_of("put"))) == ("not compared", 2)


def spoil(store: MemoryStore, content: bytes) -> None:
    """The newest object has these bytes, and goes by the ETag that it had."""
    stored = store._versions[KEY][-1]
    store._versions[KEY][-1] = replace(
        stored, info=structs.replace(stored.info, size_bytes=len(content)), content=content
    )


@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
def test_a_reading_that_breaks_off_goes_on_where_it_ended(gate: Gate, content: bytes) -> None:
    store = blind()
    write(gate, content)
    store.script(Fault("get", action=Truncate(after_bytes=KIB)))
    outcome = gate.move(export(), store, lane=lane_of(content))
    check_complete(outcome, store, content)
    asked = [call.byte_range for call in store.calls_of("get") if call.byte_range is not None]
    assert sum(wanted.length_bytes for wanted in asked) == len(content) + asked[0].length_bytes - KIB


@pytest.mark.parametrize(("abilities", "compared"), COMPARED)
@pytest.mark.parametrize("what_comes", ["the next attempt", "a cancel", "a source that is gone"])
@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
def test_an_archived_one_that_is_found_is_judged_by_what_can_be_told(
    gate: Gate, content: bytes, what_comes: str, abilities: Abilities, compared: str
) -> None:
    """An earlier attempt died before it could say anything. That nobody can read it makes it neither damaged nor unpublished."""
    store = reading_back(abilities)
    write(gate, content)
    store.script(Fault("get", times=99, action=Raise(ARCHIVED)))
    assert gate.move(export(), store, lane=lane_of(content)).verdict is Verdict.COMPLETE
    last = gate.hooks.checkpoints[-1] if content is CONTENT else None
    if what_comes == "a source that is gone":
        gate.target.unlink()
    intent = Intent.WITHDRAW if what_comes == "a cancel" else Intent.MOVE
    outcome = gate.move(export(attempt=2, checkpoint=last, intent=intent), store, lane=lane_of(content))
    assert (outcome.verdict, outcome.code) == (Verdict.COMPLETE, None)
    said = outcome.note.split("; ")
    assert said[-1] in {UNREADABLE, f"{UNREADABLE}: {BY_ITSELF}"}
    is_of_etag = abilities == BY_ETAG and content is SMALL and what_comes != "the next attempt"
    # Without the file nobody knows what the ETag has to be: the word of an answer that was not heard is nobody's.
    assert said[:-1] == (["not compared"] if is_of_etag else compared.split("; ")[:-1])
    assert (store.content(KEY), len(store.calls_of("put", "complete"))) == (content, 1)


@pytest.mark.parametrize("abilities", [Abilities(crc64=True), Abilities(part_etag_is_md5=True)], ids=["crc64", "etag"])
@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
def test_an_archived_one_that_is_known_to_be_damaged_is_sent_once_more(
    gate: Gate, content: bytes, abilities: Abilities
) -> None:
    """It has the right size, its CRC-64 or ETag is another: no reading is needed to see that."""
    store = reading_back(abilities)
    write(gate, content)
    store.script(Fault("get", times=99, action=Raise(ARCHIVED)))
    assert gate.move(export(), store, lane=lane_of(content)).verdict is Verdict.COMPLETE
    last = gate.hooks.checkpoints[-1] if content is CONTENT else None
    stored = store._versions[KEY][-1]
    bad = b"!" + content[1:]
    told = crc64.update(bad) if abilities.crc64 else None
    info = structs.replace(stored.info, etag=md5_of(bad) if content is SMALL else "A1B2", crc64=told)
    store._versions[KEY][-1] = replace(stored, info=info, content=bad)
    outcome = gate.move(export(attempt=2, checkpoint=last), store, lane=lane_of(content))
    if content is CONTENT and not abilities.crc64:
        assert outcome.note.endswith(BY_ITSELF)  # such an ETag tells nothing, nor does anything else
        return
    check_complete(outcome, store, content)


def test_an_archived_one_whose_length_is_not_told_is_looked_at_again(gate: Gate) -> None:
    """Its first byte would tell, and cannot be had."""
    store = blind()
    write(gate, SMALL)
    store.script(Fault("get", times=99, action=Raise(ARCHIVED)))
    assert gate.move(export(), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    gate.target.unlink()
    store.script(
        Fault("get", times=99, action=Raise(ARCHIVED)),
        Fault("head", action=Raise(SizeUntoldError("no length"))),
    )
    outcome = gate.move(export(attempt=2), store, lane=Lane.SMALL)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.STORE_REFUSED)
    assert gate.move(export(attempt=3), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE


@pytest.mark.parametrize("versioning", [Versioning.NEVER, Versioning.ENABLED], ids=str)
def test_archived_ones_of_a_file_that_was_changed_are_not_in_the_way(gate: Gate, versioning: Versioning) -> None:
    """What an earlier upload has made is looked at before the next one is begun: it is neither read nor removed."""
    store = blind(versioning)
    write(gate, CONTENT)
    store.script(Fault("get", times=99, action=Raise(ARCHIVED)))
    assert gate.move(export(), store).verdict is Verdict.COMPLETE
    write(gate, OTHER, modify_ns=LONG_AGO_NS + 7)
    outcome = gate.move(export(attempt=2, checkpoint=gate.hooks.checkpoints[-1]), store)
    assert (outcome.verdict, store.content(KEY)) == (Verdict.COMPLETE, OTHER)
    assert len(list(store.list_versions(prefix=KEY))) == (2 if versioning is Versioning.ENABLED else 1)


def test_what_was_read_for_a_doubt_is_said_to_be_read(gate: Gate) -> None:
    """Nobody asked for it: the store tells nothing, and a mover died."""
    store = MemoryStore(abilities=Abilities(checksum=Checksum.CRC32C))
    write(gate, CONTENT)
    assert gate.move(export(), store).note == "crc32c"
    what = export(attempt=2, intent=Intent.WITHDRAW, checkpoint=gate.hooks.checkpoints[-1])
    assert gate.move(what, store).note == Verification.READ_BACK


@pytest.mark.parametrize("tells_crc64", [False, True], ids=["blind", "telling"])
@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
def test_a_withdrawal_reads_what_it_finds_before_it_vouches_for_it(
    gate: Gate, content: bytes, tells_crc64: bool
) -> None:
    store = blind(crc64=tells_crc64)
    write(gate, content)
    assert gate.move(export(), store, lane=lane_of(content)).verdict is Verdict.COMPLETE
    last = gate.hooks.checkpoints[-1] if content is CONTENT else None
    before = len(store.calls_of("get"))
    what = export(attempt=2, intent=Intent.WITHDRAW, checkpoint=last)
    outcome = gate.move(what, store, lane=lane_of(content))
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, Verification.READ_BACK)
    assert len(store.calls_of("get")) == before + 1
    store.script(Fault("get", action=Damage(3)))
    assert gate.move(what, store, lane=lane_of(content)).code is FailureCode.BAD_OBJECT_LEFT


# ------------------------------------------------------------------------------------------------------------- archives


@pytest.mark.parametrize("lane", list(Lane))
def test_an_archived_object_is_refused_with_the_mending_step(gate: Gate, lane: Lane) -> None:
    store = MemoryStore()
    store.seed("in/data.bin", CONTENT if lane is Lane.LARGE else SMALL)
    store.script(Fault("get", times=99, action=Raise(ARCHIVED)))
    outcome = gate.move(transfer(), store, lane=lane)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.SOURCE_ARCHIVED)
    assert store.restored == []
    assert gate.helpers() == []


@pytest.mark.parametrize("lane", list(Lane))
def test_an_archived_object_is_restored_and_waited_for_where_that_is_wanted(gate: Gate, lane: Lane) -> None:
    content = CONTENT if lane is Lane.LARGE else SMALL
    store = MemoryStore()
    store.options = StoreOptions(restore_days=2)
    store.seed("in/data.bin", content)
    store.script(Fault("get", action=Raise(ARCHIVED)))
    outcome = gate.move(transfer(), store, lane=lane)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.SOURCE_ARCHIVED)
    assert "is being restored" in outcome.message
    assert outcome.retry_after_s
    assert store.restored == ["in/data.bin"]
    again = gate.move(transfer(attempt=2, begun=outcome.begun), store, lane=lane)
    assert again.verdict is Verdict.COMPLETE
    assert gate.target.read_bytes() == content


def test_an_object_that_may_not_be_restored_is_a_matter_of_rights(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    store.options = StoreOptions(restore_days=2)
    store.seed("in/data.bin", SMALL)
    store.script(Fault("get", times=99, action=Raise(ARCHIVED)))

    def deny(key: str, *, version_id: str = "") -> None:
        raise PermissionDeniedError("denied")

    monkeypatch.setattr(store, "restore", deny)
    outcome = gate.move(transfer(), store, lane=Lane.SMALL)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.BUCKET_ACCESS_DENIED)
    assert "could not be restored" in outcome.message
