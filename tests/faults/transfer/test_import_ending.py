"""Does a cancel leave nothing, a fence touch nothing, and a race for the target replace nothing?"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from penstock.errors import FailureCode
from penstock.model import ConflictPolicy, Guarantee
from penstock.transfer import crc64, posix
from penstock.transfer.transfer import Intent, Lane, StopReason, Verdict
from tests.faults.transfer.imports import CONTENT, DEADLINE_S, SMALL, check_complete, drain_after
from tests.fixtures.gate import KIB, Gate, transfer
from tests.fixtures.memorystore import Fault, Meanwhile, MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    """A bucket that holds the object to import."""
    made = MemoryStore(chunk_bytes=16 * KIB)
    made.seed("in/data.bin", CONTENT)
    return made


# ---------------------------------------------------------------------------------------------- cancel, fence, withdraw


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_cancel_leaves_nothing_but_directories(gate: Gate, store: MemoryStore, size: str) -> None:
    store.seed("in/data.bin", SMALL if size == "small" else CONTENT)
    gate.hooks.on_progress = lambda progress: setattr(gate.hooks, "stop", StopReason.CANCEL)
    lane = Lane.SMALL if size == "small" else Lane.LARGE
    outcome = gate.move(transfer(path="base/new/x"), store, lane=lane)
    assert outcome.verdict is Verdict.CANCELED
    assert gate.helpers() == []
    assert not (gate.base / "new/x").exists()


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_fenced_attempt_publishes_nothing(gate: Gate, store: MemoryStore, size: str) -> None:
    store.seed("in/data.bin", SMALL if size == "small" else CONTENT)
    gate.hooks.on_progress = lambda progress: setattr(gate.hooks, "stop", StopReason.FENCED)
    outcome = gate.move(transfer(), store, lane=Lane.SMALL if size == "small" else Lane.LARGE)
    assert outcome.verdict is Verdict.RETURNED
    assert not gate.target.exists()


def test_a_small_file_is_finished_on_a_drain_but_not_begun(gate: Gate, store: MemoryStore) -> None:
    store.seed("in/data.bin", SMALL)
    gate.hooks.on_progress = lambda progress: setattr(gate.hooks, "stop", StopReason.DRAIN)
    check_complete(gate.move(transfer(), store, lane=Lane.SMALL), gate, SMALL)
    assert gate.move(transfer(), store, lane=Lane.SMALL).verdict is Verdict.RETURNED


def test_withdrawing_what_was_published_finds_it_complete(gate: Gate, store: MemoryStore) -> None:
    gate.move(transfer(), store)
    gate.target.write_text("changed since")
    outcome = gate.move(transfer(attempt=2, intent=Intent.WITHDRAW), store)
    assert (outcome.verdict, outcome.tidy) == (Verdict.COMPLETE, True)
    assert outcome.detail is not None
    assert outcome.detail.checksum == f"crc64:{crc64.update(CONTENT)}"
    assert gate.target.read_text() == "changed since"
    again = gate.move(transfer(attempt=3), store)
    assert again.verdict is Verdict.COMPLETE
    assert gate.target.read_text() == "changed since"


def test_withdrawing_what_was_begun_leaves_nothing(gate: Gate, store: MemoryStore) -> None:
    gate.move(transfer(), store, hooks=drain_after(gate, 2))
    assert len(gate.helpers()) == 2
    gate.hooks.stop = StopReason.CANCEL
    store.bucket_exists = False  # an import is withdrawn without its store
    outcome = gate.move(transfer(attempt=2, intent=Intent.WITHDRAW), store)
    assert outcome.verdict is Verdict.CANCELED
    assert gate.helpers() == []


@pytest.mark.parametrize("path", ["base/none/x", "elsewhere/x", "../x", "base/.penstock-x", "base/x/"])
def test_withdrawing_what_was_never_begun_is_canceled(gate: Gate, store: MemoryStore, path: str) -> None:
    outcome = gate.move(transfer(path=path, base=path.split("/", maxsplit=1)[0], intent=Intent.WITHDRAW), store)
    assert outcome.verdict is Verdict.CANCELED
    assert list(gate.base.iterdir()) == []


def test_a_root_that_is_gone_keeps_a_cancel_waiting(gate: Gate, store: MemoryStore) -> None:
    gate.path.rename(gate.path.with_name("away"))
    for intent in Intent:
        outcome = gate.move(transfer(intent=intent, attempt=2, begun=True), store)
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.FILE_SYSTEM_UNAVAILABLE)
    for attempt in (1, 7):
        outcome = gate.move(transfer(intent=Intent.WITHDRAW, attempt=attempt), store)
        assert outcome.verdict is Verdict.CANCELED  # nothing was begun, so nobody has to look
    gate.path.with_name("away").rename(gate.path)


# -------------------------------------------------------------------------------------------------------- at the target


@pytest.mark.parametrize("policy", [ConflictPolicy.SKIP_THE_FILE, ConflictPolicy.KEEP_LATEST])
@pytest.mark.parametrize("there", ["file", "dangling link"])
def test_a_name_that_appears_while_bytes_move_is_kept(
    gate: Gate, store: MemoryStore, policy: ConflictPolicy, there: str
) -> None:
    def appear() -> None:
        if there == "file":
            gate.target.write_text("theirs")
        else:
            gate.target.symlink_to("nowhere")

    store.script(Fault("head", nth=2, action=Meanwhile(appear)))
    outcome = gate.move(transfer(conflict_policy=policy), store)
    assert (outcome.verdict, outcome.actual_bytes, outcome.bytes_done) == (Verdict.SKIPPED, 0, len(CONTENT))
    assert gate.helpers() == []
    assert gate.target.is_symlink() or gate.target.read_text() == "theirs"


@pytest.mark.parametrize("size", ["small", "large"])
def test_racing_for_a_name_under_skip_never_replaces(gate: Gate, store: MemoryStore, size: str) -> None:
    """Another program makes the same name at the same instant, many times over."""
    content, lane, races = (SMALL, Lane.SMALL, 150) if size == "small" else (CONTENT[: 100 * KIB], Lane.LARGE, 60)
    store.seed("in/data.bin", content)
    barrier = threading.Barrier(2)
    theirs: list[bool] = []

    def race() -> None:
        for number in range(races):
            barrier.wait(DEADLINE_S)
            for _ in range(number % 40):  # vary the moment
                os.path.exists(gate.base)
            try:
                descriptor = os.open(gate.base / f"n{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                os.write(descriptor, b"theirs")
                os.close(descriptor)
                theirs.append(True)
            except FileExistsError:
                theirs.append(False)
            barrier.wait(DEADLINE_S)

    racer = threading.Thread(target=race)
    racer.start()
    for number in range(races):
        what = transfer(sub_task_id=f"s{number}", path=f"base/n{number}", conflict_policy=ConflictPolicy.SKIP_THE_FILE)
        barrier.wait(DEADLINE_S)
        outcome = gate.move(what, store, lane=lane)
        barrier.wait(DEADLINE_S)
        assert outcome.guarantee is Guarantee.ATOMIC
        assert outcome.verdict is (Verdict.SKIPPED if theirs[number] else Verdict.COMPLETE)
        assert (gate.base / f"n{number}").read_bytes() == (b"theirs" if theirs[number] else content)
        gate.move(replace(what, intent=Intent.TIDY), store)
    racer.join(DEADLINE_S)
    assert gate.helpers() == []


def test_a_published_hard_link_whose_partial_name_is_still_there_is_complete(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between link and unlink, where there is no renameat2."""

    def cannot(*args: object) -> None:
        raise OSError(errno.EINVAL, "NFS")

    monkeypatch.setattr(posix, "rename_without_replacing", cannot)
    monkeypatch.setattr(os, "unlink", kill_instead(os.unlink))
    with pytest.raises(KeyboardInterrupt):
        gate.move(transfer(conflict_policy=ConflictPolicy.SKIP_THE_FILE), store)
    monkeypatch.undo()
    assert len(gate.helpers()) == 2
    assert gate.target.exists()
    outcome = gate.move(transfer(attempt=2, conflict_policy=ConflictPolicy.SKIP_THE_FILE), store)
    check_complete(outcome, gate)
    assert [name[-8:] for name in gate.helpers()] == [".journal"]
    assert os.stat(gate.target).st_nlink == 1


def kill_instead(plain: Callable[..., None]) -> Callable[..., None]:
    def unlink(path: bytes, **kwargs: object) -> None:
        if path.endswith(b".partial"):
            raise KeyboardInterrupt
        plain(path, **kwargs)

    return unlink


def test_the_target_directory_appears_only_with_a_sound_file(gate: Gate, store: MemoryStore, tmp_path: Path) -> None:
    missing = gate.move(transfer(key="none", path="base/a/b/x"), store, lane=Lane.SMALL)
    assert (missing.verdict, missing.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND)
    assert list(gate.base.iterdir()) == []


@pytest.mark.parametrize("policy", [ConflictPolicy.SKIP_THE_FILE, ConflictPolicy.KEEP_LATEST])
def test_what_was_begun_goes_when_a_later_attempt_finds_the_name_taken(
    gate: Gate, store: MemoryStore, policy: ConflictPolicy
) -> None:
    """The other's file comes between the look at the target and the answer about the object."""
    store.seed("in/data.bin", CONTENT)
    wish = transfer(conflict_policy=policy)
    assert gate.move(wish, store, hooks=drain_after(gate, 3)).verdict is Verdict.RETURNED
    assert gate.helpers() != []
    store.script(Fault("head", action=Meanwhile(lambda: gate.target.write_bytes(b"theirs"))))
    later = gate.move(replace(wish, attempt=2), store)
    assert later.verdict is Verdict.SKIPPED
    assert gate.target.read_bytes() == b"theirs"
    assert gate.helpers() == []
