"""Does an import land where its path leads, durably, on directories that are moved, made anew, or read-only?"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from penstock.errors import FailureCode
from penstock.transfer import posix
from penstock.transfer.mtime import OWN_NAME, TIME_NOT_KEPT
from penstock.transfer.place import Place
from penstock.transfer.transfer import Intent, Lane, StopReason, Verdict
from tests.faults.transfer.imports import CONTENT, SMALL, check_complete, drain_after
from tests.fixtures.gate import KIB, Gate, transfer
from tests.fixtures.memorystore import Fault, Meanwhile, MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    """A bucket that holds the object to import."""
    made = MemoryStore(chunk_bytes=16 * KIB)
    made.seed("in/data.bin", CONTENT)
    return made


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Inodes that were synced, in order."""
    found: list[int] = []
    plain = os.fsync

    def remember(descriptor: int) -> None:
        found.append(os.fstat(descriptor).st_ino)
        plain(descriptor)

    monkeypatch.setattr(os, "fsync", remember)
    return found


@pytest.mark.parametrize("stop", [None, StopReason.CANCEL, StopReason.DRAIN])
def test_a_directory_moved_away_meanwhile_gets_nothing_and_keeps_nothing(
    gate: Gate, store: MemoryStore, stop: StopReason | None
) -> None:
    (gate.base / "d").mkdir()
    outside = gate.path.with_name("outside")

    def go() -> None:
        (gate.base / "d").rename(outside)
        gate.hooks.stop = stop

    store.script(Fault("get", nth=2, action=Meanwhile(go)))
    outcome = gate.move(transfer(path="base/d/x"), store)
    assert list(outside.iterdir()) == []
    if stop is StopReason.CANCEL:
        assert outcome.verdict is Verdict.CANCELED
    elif stop is None:
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.FILE_SYSTEM_UNAVAILABLE)
        assert "moved or removed" in outcome.message
        assert gate.move(transfer(path="base/d/x", attempt=2), store).verdict is Verdict.COMPLETE
        assert (gate.base / "d/x").read_bytes() == CONTENT


def test_a_directory_made_anew_is_durable_even_with_the_same_inode_number(
    gate: Gate, store: MemoryStore, synced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers are made alike: whether a file system uses one again at once is its own affair."""
    monkeypatch.setattr(posix, "identify", lambda descriptor: (1, 2, 0))
    store.seed("in/data.bin", SMALL)
    for attempt in (1, 2):
        synced.clear()
        outcome = gate.move(transfer(path="base/n/x", attempt=attempt), store, lane=Lane.SMALL)
        assert outcome.verdict is Verdict.COMPLETE
        assert os.stat(gate.base).st_ino in synced
        shutil.rmtree(gate.base / "n")


def test_directories_are_told_apart_by_their_birth(gate: Gate) -> None:
    descriptor = os.open(gate.base, os.O_RDONLY)
    found = os.fstat(descriptor)
    device, inode, birth_ns = posix.identify(descriptor)
    os.close(descriptor)
    assert (device, inode) == (found.st_dev, found.st_ino)
    assert birth_ns == 0 or birth_ns <= found.st_ctime_ns


@pytest.mark.parametrize("intent", [Intent.WITHDRAW, Intent.TIDY])
def test_what_is_removed_stays_removed(gate: Gate, store: MemoryStore, synced: list[int], intent: Intent) -> None:
    gate.move(transfer(), store, hooks=drain_after(gate, 2))
    base = os.stat(gate.base).st_ino
    synced.clear()
    gate.move(transfer(attempt=2, intent=intent), store)
    assert gate.helpers() == []
    assert synced == [base, base]  # the journal first, and durably, before its partial file
    gate.move(transfer(attempt=3, intent=intent), store)
    assert synced == [base, base]  # nothing was there: nothing to sync


@pytest.mark.parametrize("intent", list(Intent))
@pytest.mark.parametrize("instead", ["link that leads out", "link in a circle", "file"])
def test_what_was_begun_is_removed_once_its_directory_is_back(
    gate: Gate, store: MemoryStore, intent: Intent, instead: str
) -> None:
    within, aside = gate.base / "sub", gate.base / "aside"
    within.mkdir()
    what = transfer(path="base/sub/data.bin", sub_task_id="subtask-1")
    gate.move(what, store, hooks=drain_after(gate, 2))
    helpers = gate.helpers()
    assert len(helpers) == 2
    within.rename(aside)
    if instead == "file":
        within.write_bytes(b"")
    else:
        within.symlink_to("/" if instead == "link that leads out" else "sub")
    waited = gate.move(replace(what, attempt=2, intent=intent, begun=True), store)
    expected = FailureCode.TARGET_NOT_DIRECTORY if instead == "file" else FailureCode.OUTSIDE_FILE_SYSTEM
    assert (waited.verdict, waited.code) == (Verdict.RETRY, expected)
    assert all(name in waited.message for name in helpers), (helpers, waited.message)
    within.unlink()
    aside.rename(within)
    again = Intent.WITHDRAW if intent is Intent.MOVE else intent
    gate.move(replace(what, attempt=4, intent=again), store)
    assert gate.helpers() == []


@pytest.mark.parametrize("missing", ["base/sub", "base"])
def test_a_directory_that_is_moved_away_is_looked_at_once_more(gate: Gate, store: MemoryStore, missing: str) -> None:
    """Who cancels is not kept waiting for it; but it is not forgotten either what was begun in it."""
    (gate.base / "sub").mkdir()
    what = transfer(path="base/sub/data.bin")
    drained = gate.move(what, store, hooks=drain_after(gate, 2))
    assert drained.begun
    moved, aside = gate.path / missing, gate.path / "aside"
    moved.rename(aside)
    withdrawn = gate.move(replace(what, attempt=2, intent=Intent.WITHDRAW, begun=True), store)
    assert (withdrawn.verdict, withdrawn.tidy) == (Verdict.CANCELED, True)
    waits = gate.move(replace(what, attempt=3, intent=Intent.TIDY, begun=True), store)
    assert (waits.verdict, waits.code) == (Verdict.RETRY, FailureCode.FILE_SYSTEM_UNAVAILABLE)
    assert "is missing, and may come back" in waits.message
    aside.rename(moved)
    assert len(gate.helpers()) == 2
    tidied = gate.move(replace(what, attempt=4, intent=Intent.TIDY, begun=True), store)
    assert (tidied.verdict, gate.helpers()) == (Verdict.TIDIED, [])


def test_a_failure_in_a_directory_that_is_moved_away_is_looked_at_once_more(gate: Gate, store: MemoryStore) -> None:
    (gate.base / "sub").mkdir()
    what = transfer(path="base/sub/data.bin")
    gate.move(what, store, hooks=drain_after(gate, 2))
    (gate.base / "sub").rename(gate.path / "aside")
    store.delete("in/data.bin", version_id="")
    failed = gate.move(replace(what, attempt=2, begun=True), store)
    assert (failed.verdict, failed.code, failed.tidy) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND, True)


@pytest.mark.parametrize("path", ["base/sub/data.bin", "gone/data.bin"])
def test_a_directory_in_which_nothing_was_begun_is_not_waited_for(gate: Gate, store: MemoryStore, path: str) -> None:
    for begins in (True, False):
        what = transfer(path=path, base=path.partition("/")[0], attempt=5, intent=Intent.WITHDRAW, begun=begins)
        withdrawn = gate.move(what, store)
        assert (withdrawn.verdict, withdrawn.tidy, withdrawn.begun) == (Verdict.CANCELED, begins, False)


def test_what_is_discarded_is_not_looked_for(gate: Gate, store: MemoryStore) -> None:
    """A mover that holds the directory while it is moved removes its files itself, and knows that."""
    (gate.base / "sub").mkdir()

    def go() -> None:
        (gate.base / "sub").rename(gate.path / "aside")
        gate.hooks.stop = StopReason.CANCEL

    store.script(Fault("get", nth=2, action=Meanwhile(go)))
    withdrawn = gate.move(transfer(path="base/sub/data.bin"), store)
    assert (withdrawn.verdict, withdrawn.tidy, gate.helpers()) == (Verdict.CANCELED, False, [])


def test_what_could_not_be_removed_is_told(gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.seed("in/data.bin", SMALL)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(posix, "unlink_if_there", refuse)
    monkeypatch.setattr(os, "fsync", refuse)
    failed = gate.move(transfer(), store, lane=Lane.SMALL)
    assert (failed.verdict, failed.begun, len(gate.helpers())) == (Verdict.RETRY, True, 1)


def test_a_first_attempt_that_is_canceled_waits_for_what_it_has_begun(gate: Gate, store: MemoryStore) -> None:
    within, aside = gate.base / "sub", gate.base / "aside"
    within.mkdir()
    gate.narrow()

    def look(progress: object) -> None:
        if gate.helpers() and gate.hooks.stop is None:
            within.rename(aside)
            within.write_bytes(b"")
            gate.hooks.stop = StopReason.CANCEL

    gate.hooks.on_progress = look
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Place, "is_astray", lambda place: False)  # as if it were moved right after that look
        outcome = gate.move(transfer(path="base/sub/data.bin"), store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.TARGET_NOT_DIRECTORY)


@pytest.mark.parametrize("intent", [Intent.WITHDRAW, Intent.MOVE])
def test_where_nothing_was_begun_nothing_is_waited_for(gate: Gate, store: MemoryStore, intent: Intent) -> None:
    (gate.base / "sub").symlink_to("/")
    outcome = gate.move(transfer(path="base/sub/data.bin", intent=intent), store)
    assert outcome.verdict is (Verdict.CANCELED if intent is Intent.WITHDRAW else Verdict.FAILED)


def read_only(plain: Callable[..., object]) -> Callable[..., object]:
    """As the kernel: refused before it is looked whether there is such a name, but for opening."""

    def refuse(path: bytes, *args: object, **kwargs: object) -> object:
        if b".penstock-" not in os.fsencode(path):
            return plain(path, *args, **kwargs)
        if plain is os_open:
            flags = args[0]
            assert isinstance(flags, int)
            if not flags & os.O_CREAT:
                os.stat(path, dir_fd=kwargs["dir_fd"], follow_symlinks=False)  # type: ignore[arg-type]
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    return refuse


os_open = os.open


@pytest.mark.parametrize("begun", [False, True])
def test_a_read_only_file_system_is_waited_for(gate: Gate, store: MemoryStore, begun: bool) -> None:
    if begun:
        gate.move(transfer(), store, hooks=drain_after(gate, 2))
        store.script(Fault("head", action=Meanwhile(lambda: None)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "unlink", read_only(os.unlink))
        patched.setattr(os, "open", read_only(os_open))
        outcome = gate.move(transfer(attempt=2), store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.READ_ONLY)
    check_complete(gate.move(transfer(attempt=3), store), gate)


def test_a_file_that_an_earlier_attempt_brought_has_a_speed(gate: Gate, store: MemoryStore) -> None:
    gate.move(transfer(), store)
    gate.target.unlink()
    outcome = gate.move(transfer(attempt=2), store)  # the journal tells that it was published
    assert (outcome.verdict, outcome.actual_bytes) == (Verdict.COMPLETE, len(CONTENT))
    assert outcome.moving_ns > 0


@pytest.mark.parametrize("lane", [Lane.SMALL, Lane.LARGE])
def test_a_time_that_the_file_system_cannot_hold_is_noted(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, lane: Lane
) -> None:
    plain = os.utime

    def clamp(path: int, *, ns: tuple[int, int]) -> None:
        plain(path, ns=(ns[0], max(ns[1], -(2**31) * 10**9)))

    monkeypatch.setattr(os, "utime", clamp)
    content = SMALL if lane is Lane.SMALL else CONTENT
    for asked_ns, noted in ((-(2**63) + 1, True), (5, False)):
        store.seed("in/data.bin", content, metadata={OWN_NAME: str(asked_ns)})
        what = replace(transfer(), sub_task_id=f"s{asked_ns}")
        outcome = gate.move(what, store, lane=lane)
        assert outcome.verdict is Verdict.COMPLETE
        assert (TIME_NOT_KEPT in outcome.note) is noted
        if lane is Lane.LARGE:
            again = gate.move(replace(what, attempt=2), store)
            assert (TIME_NOT_KEPT in again.note) is noted
