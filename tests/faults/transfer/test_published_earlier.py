"""An attempt published its file and died before it said so: is it COMPLETE, though it is withdrawn, or fails for good, then?"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from penstock import failpoints
from penstock.errors import FailureCode, StoreUnavailableError
from penstock.model import Condition, ConflictPolicy, Guarantee
from penstock.stores.base import Abilities
from penstock.transfer import crc64
from penstock.transfer.attempt import NOT_COMPARED
from penstock.transfer.directories import Directory
from penstock.transfer.names import partial_name
from penstock.transfer.root import Root
from penstock.transfer.shared_sync import Enrolled
from penstock.transfer.transfer import Intent, Lane, Outcome, StopReason, Transfer, Verdict
from penstock.transfer.unseen import FOUND
from tests.faults.transfer.exports import CONTENT, KEY, SMALL, export, lane_of, write
from tests.faults.transfer.meddling import a_directory, behind_a_link
from tests.fixtures.gate import KIB, Gate, transfer
from tests.fixtures.memorystore import Fault, MemoryStore, Raise

AWAY = StoreUnavailableError("it is away")
MIDDLING = CONTENT[: 60 * KIB]


@pytest.fixture
def store() -> MemoryStore:
    """A bucket with a small object to import."""
    made = MemoryStore()
    made.seed(KEY, SMALL)
    return made


def again(what: Transfer, **changes: object) -> Transfer:
    """The next attempt, after one of which nobody has told the end."""
    return replace(what, attempt=2, begun=True, **changes)


def withdrawn(gate: Gate, store: MemoryStore, **changes: object) -> Outcome:
    return gate.move(again(transfer(), intent=Intent.WITHDRAW, **changes), store)


# -------------------------------------------------------------------------------------------------------------- imports


@pytest.mark.parametrize("content", [b"", SMALL, MIDDLING], ids=["empty", "small", "middling"])
@pytest.mark.parametrize("policy", ConflictPolicy)
def test_a_published_import_is_complete_though_it_is_canceled(
    gate: Gate, store: MemoryStore, content: bytes, policy: ConflictPolicy
) -> None:
    store.seed(KEY, content)
    began_ns = time.time_ns()  # a directory that was made since might be another one
    first = gate.move(transfer(conflict_policy=policy), store, lane=Lane.SMALL)
    assert first.verdict is Verdict.COMPLETE
    outcome = withdrawn(gate, store, conflict_policy=policy, first_attempt_ns=began_ns)
    assert (outcome.verdict, outcome.tidy, outcome.note) == (Verdict.COMPLETE, False, FOUND)
    assert outcome.detail == first.detail
    assert (outcome.bytes_total, outcome.bytes_done, outcome.actual_bytes) == (len(content),) * 3
    replaces = policy is ConflictPolicy.OVERWRITE_EXISTING
    assert outcome.guarantee is (Guarantee.ATOMIC if replaces else Guarantee.BEST_EFFORT)


class Crash(BaseException):
    """The mover is gone, at once."""


@pytest.mark.parametrize("content", [SMALL, MIDDLING], ids=["small", "middling"])
@pytest.mark.parametrize("policy", ConflictPolicy)
@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "EIO"])
def test_a_name_that_was_not_made_durable_is_made_so_by_the_next_attempt(
    gate: Gate,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    *,
    content: bytes,
    policy: ConflictPolicy,
    is_killed: bool,
) -> None:
    """Also where the policy keeps what is at the target: the bytes are ours, and are told as moved."""
    store.seed(KEY, content)

    def passing(point: str) -> None:
        if point == "renamed":
            raise Crash if is_killed else OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(failpoints, "passing", passing)
        if is_killed:
            with pytest.raises(Crash):
                gate.move(transfer(conflict_policy=policy), store, lane=Lane.SMALL)
        else:
            assert gate.move(transfer(conflict_policy=policy), store, lane=Lane.SMALL).verdict is Verdict.RETRY
    assert gate.target.read_bytes() == content
    synced: list[int] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", noted)
    outcome = gate.move(again(transfer(conflict_policy=policy)), store, lane=Lane.SMALL)
    assert (outcome.verdict, outcome.actual_bytes) == (Verdict.COMPLETE, len(content))
    assert gate.base.stat().st_ino in synced


@pytest.mark.parametrize("policy", [ConflictPolicy.SKIP_THE_FILE, ConflictPolicy.KEEP_LATEST])
def test_another_file_that_is_kept_is_made_durable_and_noted_where_something_was_begun(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, policy: ConflictPolicy
) -> None:
    """It may be ours all the same: of an object that is another one by now."""
    gate.target.write_bytes(bytes(len(SMALL)))
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    outcome = gate.move(again(transfer(conflict_policy=policy)), store, lane=Lane.SMALL)
    assert (outcome.verdict, outcome.actual_bytes) == (Verdict.SKIPPED, 0)
    assert outcome.note.startswith(
        "an earlier attempt ended without a word, and may have published what lies at /base/data.bin"
    )
    assert synced == [gate.base.stat().st_ino]


def test_a_cancel_that_stops_the_next_attempt_finds_it_too(gate: Gate, store: MemoryStore) -> None:
    gate.move(transfer(), store, lane=Lane.SMALL)
    gate.hooks.stop = StopReason.CANCEL
    assert gate.move(again(transfer()), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE


def test_what_a_later_attempt_began_is_removed_before_it_is_said(gate: Gate, store: MemoryStore) -> None:
    gate.move(transfer(), store, lane=Lane.SMALL)
    (gate.base / os.fsdecode(partial_name("subtask-1"))).write_bytes(b"half of")
    assert withdrawn(gate, store).verdict is Verdict.COMPLETE
    assert gate.helpers() == []


def _older(gate: Gate, store: MemoryStore) -> None:
    gate.target.write_bytes(b"older")


def _same_size(gate: Gate, store: MemoryStore) -> None:
    gate.target.write_bytes(SMALL[::-1])
    stamp_ns = store.head(KEY).last_modified_ns
    os.utime(gate.target, ns=(stamp_ns, stamp_ns))


def _other_time(gate: Gate, store: MemoryStore) -> None:
    gate.target.write_bytes(SMALL)
    os.utime(gate.target, ns=(1_500_000_000_000_000_000,) * 2)


def _a_link(gate: Gate, store: MemoryStore) -> None:
    gate.target.symlink_to("nowhere")


def _nothing(gate: Gate, store: MemoryStore) -> None:
    pass


@pytest.mark.parametrize("there", [_older, _same_size, _other_time, _a_link, _nothing])
def test_what_an_import_would_not_have_made_is_not_taken_for_it(
    gate: Gate, store: MemoryStore, there: Callable[[Gate, MemoryStore], None]
) -> None:
    there(gate, store)
    before = os.lstat(gate.target) if there is not _nothing else None
    assert withdrawn(gate, store).verdict is Verdict.CANCELED
    assert before is None or os.lstat(gate.target).st_ino == before.st_ino


def test_without_a_checksum_size_and_time_have_to_do(gate: Gate) -> None:
    store = MemoryStore(abilities=Abilities(part_etag_is_md5=True))
    store.seed(KEY, SMALL)
    assert gate.move(transfer(), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    outcome = withdrawn(gate, store)
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, f"{FOUND}; {NOT_COMPARED}")


def test_a_store_that_is_away_keeps_it_canceling_and_says_why(gate: Gate, store: MemoryStore) -> None:
    gate.move(transfer(), store, lane=Lane.SMALL)
    store.script(Fault("head", times=99, action=Raise(AWAY)))
    outcome = withdrawn(gate, store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.STORE_UNAVAILABLE)


@pytest.mark.parametrize("there", [_nothing, _a_link, _older], ids=["nothing", "link", "older, nothing begun"])
def test_nobody_waits_for_the_store_where_nothing_can_have_been_published(
    gate: Gate, store: MemoryStore, there: Callable[[Gate, MemoryStore], None]
) -> None:
    there(gate, store)
    store.script(Fault("head", times=99, action=Raise(AWAY)))
    what = transfer(intent=Intent.WITHDRAW, attempt=2, begun=there is not _older)
    assert gate.move(what, store).verdict is Verdict.CANCELED
    assert store.calls_of("head") == []


def test_a_name_that_may_not_be_durable_is_told(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(root: Root, held: Directory) -> Enrolled:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Root, "enroll", fail)
    outcome = gate.move(transfer(), store, lane=Lane.SMALL)
    assert (outcome.verdict, outcome.begun) == (Verdict.RETRY, True)
    assert gate.target.read_bytes() == SMALL


def test_a_final_failure_without_the_object_says_what_may_lie_there(gate: Gate, store: MemoryStore) -> None:
    gate.move(transfer(), store, lane=Lane.SMALL)
    outcome = gate.move(again(transfer()), MemoryStore(), lane=Lane.SMALL)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND)
    assert "may have published what lies at /base/data.bin" in outcome.message


def test_a_final_failure_of_a_first_attempt_says_no_such_thing(gate: Gate) -> None:
    gate.target.write_bytes(SMALL)
    outcome = gate.move(transfer(), MemoryStore(), lane=Lane.SMALL)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND)
    assert "earlier attempt" not in outcome.message


# -------------------------------------------------------------------------------------------------------------- exports


def _grown(gate: Gate) -> None:
    gate.target.write_bytes(gate.target.read_bytes() + b"x")


def _ambiguous(gate: Gate) -> None:
    (gate.base / "rival").write_text("the other reading")


@pytest.mark.parametrize("change", [_grown, a_directory, behind_a_link, _ambiguous])
@pytest.mark.parametrize("content", [SMALL, CONTENT], ids=["small", "large"])
def test_a_published_export_is_complete_though_its_source_is_refused_now(
    gate: Gate, change: Callable[[Gate], None], content: bytes
) -> None:
    store = MemoryStore()
    write(gate, content)
    what, lane = export(condition=Condition(size_bytes=len(content))), lane_of(content)
    first = gate.move(what, store, lane=lane)
    assert first.verdict is Verdict.COMPLETE
    kept = gate.hooks.checkpoints[-1] if gate.hooks.checkpoints else None
    change(gate)
    rival = "base/rival" if change is _ambiguous else ""
    outcome = gate.move(again(what, checkpoint=kept, rival=rival), store, lane=lane)
    assert (outcome.verdict, outcome.code, outcome.checkpoint) == (Verdict.COMPLETE, None, None)
    assert outcome.detail is not None
    assert outcome.detail.checksum == f"crc64:{crc64.update(content)}"
    assert store.content(KEY) == content


def test_an_export_that_published_nothing_fails_as_before(gate: Gate) -> None:
    store = MemoryStore()
    store.seed(KEY, b"theirs")
    gate.target.mkdir()
    outcome = gate.move(again(export()), store, lane=Lane.SMALL)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.SOURCE_IS_DIRECTORY)
    assert store.content(KEY) == b"theirs"


def test_a_final_failure_waits_for_the_store_that_knows(gate: Gate) -> None:
    store = MemoryStore()
    write(gate, SMALL)
    gate.move(export(), store, lane=Lane.SMALL)
    a_directory(gate)
    store.script(Fault("head", times=99, action=Raise(AWAY)))
    outcome = gate.move(again(export()), store, lane=Lane.SMALL)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.SOURCE_IS_DIRECTORY)
    assert "it is away" in outcome.message
