"""What does an import leave, and what does it do again, when stores, sources and disks fail under it?"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec import structs

from penstock.errors import FailureCode, PermissionDeniedError, StoreUnavailableError, ThrottledError
from penstock.stores.base import Abilities, Versioning
from penstock.transfer import posix
from penstock.transfer.transfer import Intent, Lane, Outcome, Verdict
from tests.faults.transfer.imports import CONTENT, DEADLINE_S, OTHER, SMALL, check_complete, drain_after, ranges
from tests.fixtures.descriptors import opened_in
from tests.fixtures.gate import KIB, Gate, RecordingHooks, transfer
from tests.fixtures.memorybucket import StoredObject
from tests.fixtures.memorystore import Damage, Fault, Hold, Meanwhile, MemoryStore, Raise, Truncate
from tests.fixtures.memorystore import Gate as StoreGate


@pytest.fixture
def store() -> MemoryStore:
    """A bucket that holds the object to import."""
    made = MemoryStore(chunk_bytes=16 * KIB)
    made.seed("in/data.bin", CONTENT)
    return made


# ---------------------------------------------------------------------------------------------------------- the network


def test_a_part_that_breaks_off_goes_on_where_it_ended(gate: Gate, store: MemoryStore) -> None:
    store.script(Fault("get", nth=2, action=Truncate(20 * KIB)), Fault("get", nth=3, action=Truncate(40 * KIB)))
    check_complete(gate.move(transfer(), store), gate)
    asked = ranges(store)
    assert len(asked) == 8
    assert sum(length for _, length in asked) < len(CONTENT) + 2 * 64 * KIB
    done = [progress.bytes_done for progress in gate.hooks.progressed]
    assert done == sorted(done)
    assert done[-1] == len(CONTENT)


def test_a_store_that_stays_away_keeps_what_is_done(gate: Gate, store: MemoryStore) -> None:
    store.script(Fault("get", nth=4, times=99, action=Raise(StoreUnavailableError("no answer"))))
    first = gate.move(transfer(), store)
    assert (first.verdict, first.code) == (Verdict.RETRY, FailureCode.STORE_UNAVAILABLE)
    assert len(gate.helpers()) == 2
    assert not gate.target.exists()
    fresh = MemoryStore(chunk_bytes=16 * KIB)
    fresh.seed("in/data.bin", CONTENT, modified_ns=store.head("in/data.bin").last_modified_ns)
    check_complete(gate.move(transfer(attempt=2), fresh), gate)
    assert 3 <= len(ranges(fresh)) <= 5  # siblings of the part that failed end at their next look


def test_a_long_pause_that_the_store_asks_for_is_left_to_the_engine(gate: Gate, store: MemoryStore) -> None:
    store.script(Fault("get", nth=1, times=99, action=Raise(ThrottledError("slow down", retry_after_s=30.0))))
    outcome = gate.move(transfer(), store)
    assert (outcome.verdict, outcome.code, outcome.retry_after_s) == (Verdict.RETRY, FailureCode.STORE_THROTTLED, 30.0)
    small = gate.move(transfer(sub_task_id="s2", path="base/x"), store, lane=Lane.SMALL)
    assert (small.verdict, small.retry_after_s) == (Verdict.RETRY, 30.0)


def test_lacking_rights_wait(gate: Gate, store: MemoryStore) -> None:
    store.script(Fault("head", action=Raise(PermissionDeniedError("403"))))
    outcome = gate.move(transfer(), store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.BUCKET_ACCESS_DENIED)


def test_bytes_damaged_on_their_way_are_never_published(gate: Gate, store: MemoryStore) -> None:
    store.script(Fault("get", nth=3, action=Damage(5)))
    outcome = gate.move(transfer(), store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.CHECKSUM_MISMATCH)
    assert not gate.target.exists()
    assert gate.helpers() == []
    check_complete(gate.move(transfer(attempt=2), store), gate)


def test_a_small_file_damaged_on_its_way_is_read_again_at_once(gate: Gate, store: MemoryStore) -> None:
    store.seed("in/data.bin", SMALL)
    store.script(Fault("get", action=Damage(5)), Fault("get", nth=2, action=Truncate(100)))
    check_complete(gate.move(transfer(), store, lane=Lane.SMALL), gate, SMALL)
    assert len(store.calls_of("get")) == 3


@pytest.mark.usefixtures("kind")
def test_a_small_file_is_one_request(gate: Gate, store: MemoryStore) -> None:
    store.seed("in/data.bin", SMALL)
    check_complete(gate.move(transfer(), store, lane=Lane.SMALL), gate, SMALL)
    assert [call.verb for call in store.calls] == ["get"]
    assert gate.helpers() == []


def test_a_large_file_in_the_small_lane_is_not_begun(gate: Gate, store: MemoryStore) -> None:
    outcome = gate.move(transfer(path="base/new/x"), store, lane=Lane.SMALL)
    assert (outcome.verdict, outcome.bytes_total) == (Verdict.LARGE, len(CONTENT))
    assert [call.verb for call in store.calls] == ["get"]
    assert list(gate.base.iterdir()) == []


# ---------------------------------------------------------------------------------------------------- a restless source


@pytest.mark.parametrize("verb", ["get", "head"])
@pytest.mark.parametrize("removed", [False, True])
def test_an_object_overwritten_while_it_is_read_is_tried_again(
    gate: Gate, store: MemoryStore, verb: str, removed: bool
) -> None:
    def meanwhile() -> None:
        if removed:
            store.remove("in/data.bin")
        else:
            store.seed("in/data.bin", OTHER)

    nth = 4 if verb == "get" else 2  # the second HEAD is the look right before publishing
    store.script(Fault(verb, nth=nth, action=Meanwhile(meanwhile)))
    outcome = gate.move(transfer(), store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.SOURCE_CHANGED)
    assert gate.helpers() == []
    assert not gate.target.exists()
    again = gate.move(transfer(attempt=2), store)
    if removed:
        assert (again.verdict, again.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND)
    else:
        check_complete(again, gate, OTHER)


class WeakStore(MemoryStore):
    """Tells weak ETags, and compares If-Match strictly: a weak one matches nothing."""

    def _find(self, key: str, version_id: str) -> StoredObject:
        found = super()._find(key, version_id)
        return replace(found, info=structs.replace(found.info, has_weak_etag=True))


@pytest.mark.parametrize("is_overwritten", [False, True])
def test_ranges_of_an_object_with_a_weak_etag_are_asked_without_if_match_and_compared(
    gate: Gate, is_overwritten: bool
) -> None:
    store = WeakStore(abilities=Abilities(crc64=True), chunk_bytes=16 * KIB)
    store.seed("in/data.bin", CONTENT)
    if is_overwritten:
        store.script(Fault("get", nth=4, action=Meanwhile(lambda: store.seed("in/data.bin", OTHER))))
    outcome = gate.move(transfer(), store)
    assert {call.if_match for call in store.calls_of("get")} == {""}
    if is_overwritten:
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.SOURCE_CHANGED)
        assert not gate.target.exists()
    else:
        check_complete(outcome, gate)


def test_a_version_is_pinned(gate: Gate) -> None:
    store = MemoryStore(abilities=Abilities(crc64=True, versioning=Versioning.ENABLED), chunk_bytes=16 * KIB)
    pinned = store.seed("in/data.bin", CONTENT)
    store.script(Fault("get", nth=3, action=Meanwhile(lambda: store.seed("in/data.bin", OTHER))))
    check_complete(gate.move(transfer(), store), gate)
    assert {call.version_id for call in store.calls_of("get")} == {pinned.version_id}


def test_another_object_between_attempts_is_read_from_its_beginning(gate: Gate, store: MemoryStore) -> None:
    hooks = drain_after(gate, 3)
    assert gate.move(transfer(), store, hooks=hooks).verdict is Verdict.RETURNED
    store.seed("in/data.bin", OTHER)
    before = len(ranges(store))
    check_complete(gate.move(transfer(attempt=2), store), gate, OTHER)
    assert len(ranges(store)) - before == 6


# ------------------------------------------------------------------------------------------------------------- resuming


def test_a_drain_keeps_parts_and_the_next_attempt_fetches_the_rest(gate: Gate, store: MemoryStore) -> None:
    outcome = gate.move(transfer(), store, hooks=drain_after(gate, 3))
    assert outcome.verdict is Verdict.RETURNED
    assert len(gate.helpers()) == 2
    before = len(ranges(store))
    check_complete(gate.move(transfer(attempt=2), store), gate)
    assert len(ranges(store)) - before <= 3
    assert gate.helpers() == [gate.helpers()[0]]
    assert gate.move(transfer(attempt=2, intent=Intent.TIDY), store).verdict is Verdict.TIDIED
    assert gate.helpers() == []


@pytest.mark.parametrize("damage", ["byte", "hole", "short", "gone", "journal"])
def test_what_the_journal_knows_is_read_again_before_it_is_trusted(gate: Gate, store: MemoryStore, damage: str) -> None:
    gate.move(transfer(), store, hooks=drain_after(gate, 4))
    partial = next(gate.base.glob(".penstock-*.partial"))
    journal = next(gate.base.glob(".penstock-*.journal"))
    if damage == "byte":
        with open(partial, "rb+") as file:
            file.seek(70 * KIB)
            byte = file.read(1)[0]
            file.seek(70 * KIB)
            file.write(bytes([byte ^ 1]))
    elif damage == "hole":
        os.truncate(partial, 0)
        os.truncate(partial, len(CONTENT))
    elif damage == "short":
        os.truncate(partial, 100 * KIB)
    elif damage == "gone":
        partial.unlink()
    else:
        journal.write_bytes(journal.read_bytes()[:-5])
    before = len(ranges(store))
    check_complete(gate.move(transfer(attempt=2), store), gate)
    fetched = len(ranges(store)) - before
    assert fetched >= 1
    assert fetched == 6 or damage not in {"hole", "gone"}


def test_a_mover_that_hangs_keeps_its_partial_file_to_itself(gate: Gate, store: MemoryStore) -> None:
    held = StoreGate()
    store.script(Fault("get", nth=2, action=Hold(held)))
    outcomes: list[Outcome] = []
    hung = threading.Thread(target=lambda: outcomes.append(gate.move(transfer(), store, hooks=RecordingHooks())))
    hung.start()
    assert held.reached.wait(DEADLINE_S)
    for intent in (Intent.MOVE, Intent.WITHDRAW):
        second = gate.move(transfer(attempt=2, intent=intent), store)
        assert second.verdict is Verdict.RETRY
        assert "another mover" in second.message
    held.open()
    hung.join(DEADLINE_S)
    check_complete(outcomes[0], gate)


@pytest.mark.usefixtures("kind")
def test_a_small_partial_file_is_held_until_it_has_its_name(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it was closed early, where closing may tell an error, or not: nobody else gets its lock before it is published."""
    store.seed("in/data.bin", SMALL)
    seen: list[bool] = []
    plain = os.rename

    def rename(old: bytes, new: bytes, **where: int) -> None:
        descriptor = os.open(old, os.O_RDONLY, dir_fd=where["src_dir_fd"])
        seen.append(posix.try_lock(descriptor))
        os.close(descriptor)
        plain(old, new, **where)

    monkeypatch.setattr(os, "rename", rename)
    open_before = opened_in(gate.path)
    check_complete(gate.move(transfer(), store, lane=Lane.SMALL), gate, SMALL)
    assert seen == [False]
    assert opened_in(gate.path) == open_before


# ------------------------------------------------------------------------------------------------------------- the disk


def failing_once(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> list[str]:
    """Let the first os.`name` on a partial file fail, after it was really done."""
    struck: list[str] = []
    plain: Callable[..., object] = getattr(os, name)

    def fail(descriptor: int, *rest: object) -> object:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        result = plain(descriptor, *rest)
        if path.endswith(".partial") and not struck:
            struck.append(path)
            raise OSError(number, os.strerror(number))
        return result

    monkeypatch.setattr(os, name, fail)
    return struck


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("fsync", errno.EIO),
        ("fsync", errno.ENOSPC),
        ("close", errno.EDQUOT),
        ("pwrite", errno.ENOSPC),
        ("pwrite", errno.EIO),
        ("utime", errno.EIO),
    ],
)
def test_an_inode_whose_error_was_told_is_not_believed_again(
    gate: Gate, store: MemoryStore, size: str, call: str, number: int
) -> None:
    code = FailureCode.IO_ERROR if number == errno.EIO else FailureCode.NO_SPACE
    content = SMALL if size == "small" else CONTENT
    store.seed("in/data.bin", content)
    lane = Lane.SMALL if size == "small" else Lane.LARGE
    with pytest.MonkeyPatch.context() as patched:
        if call == "utime":
            plain = os.utime

            def fail(*args: object, **kwargs: object) -> None:
                patched.setattr(os, "utime", plain)
                raise OSError(number, os.strerror(number))

            patched.setattr(os, "utime", fail)
        else:
            failing_once(patched, call, number)
        outcome = gate.move(transfer(), store, lane=lane)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, code)
    assert gate.helpers() == []
    assert not gate.target.exists()
    check_complete(gate.move(transfer(attempt=2), store, lane=lane), gate, content)


def test_a_full_disk_is_noticed_before_bytes_move(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, size_bytes: int) -> bool:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(posix, "reserve", full)
    outcome = gate.move(transfer(), store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.NO_SPACE)
    assert store.calls_of("get") == []
    assert gate.helpers() == []


def test_an_error_of_the_last_directory_sync_is_told_and_then_the_file_is_found_published(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = os.stat(gate.base).st_ino
    plain = os.fsync

    def fail(descriptor: int) -> None:
        plain(descriptor)
        if os.fstat(descriptor).st_ino == directory and gate.target.exists():
            raise OSError(errno.EIO, "journal aborted")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        outcome = gate.move(transfer(), store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.IO_ERROR)
    check_complete(gate.move(transfer(attempt=2), store), gate)
    assert len(ranges(store)) == 6  # nothing was moved again


def test_unsynced_bytes_are_bounded(gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    plain = os.fdatasync

    def remember(descriptor: int) -> None:
        synced.append(descriptor)
        plain(descriptor)

    monkeypatch.setattr(os, "fdatasync", remember)
    gate.limits = replace(gate.limits, unsynced_bytes_max=128 * KIB)
    check_complete(gate.move(transfer(), store), gate)
    assert len(synced) >= 4  # the data twice or more, the journal each time
