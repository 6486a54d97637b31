"""A file system each of whose calls waits: are many files' calls under way at once, and is all else as on a quick one?"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.engine.messages import MoverLimits
from penstock.model import ConflictPolicy, Direction
from penstock.transfer import posix, publish, shared_sync, small_export, source_file
from penstock.transfer.partial import PartialFile
from penstock.transfer.root import Root
from penstock.transfer.transfer import StopReason, Verdict
from tests.faults.engine.company import GOOD, PATIENCE_S, Company, slow_down
from tests.fixtures.memorystore import Gate as Barrier
from tests.fixtures.waiting import wait_until

HANDS = 5
"""That many of the files have to be in one call at once, or nobody gets out of it."""
_NEVER = threading.Event()


@pytest.fixture
def slow(company: Company, monkeypatch: pytest.MonkeyPatch) -> Company:
    slow_down(company, monkeypatch)
    return company


def all_at_once(monkeypatch: pytest.MonkeyPatch, where: object, name: str) -> None:
    """From now on who comes there waits until HANDS are there."""
    barrier, real, lock, left = threading.Barrier(HANDS), getattr(where, name), threading.Lock(), [HANDS]

    def together(*args: Any, **kwargs: Any) -> Any:
        with lock:
            left[0] -= 1
            is_one_of_them = left[0] >= 0
        if is_one_of_them:
            barrier.wait(PATIENCE_S)
        return real(*args, **kwargs)

    monkeypatch.setattr(where, name, together)


IMPORT_CALLS: dict[str, tuple[object, str]] = {
    "look": (posix, "look_path"),
    "create": (PartialFile, "create"),
    "dress": (PartialFile, "dress"),
    "sync": (PartialFile, "settle"),
    "rename": (publish, "publish_over"),
}
EXPORT_CALLS: dict[str, tuple[object, str]] = {
    "look": (source_file, "look"),
    "read": (small_export, "read_full"),
    "look again": (source_file.SourceFile, "check_unchanged"),
}


@pytest.mark.parametrize("call", IMPORT_CALLS)
def test_calls_of_many_imports_are_under_way_at_once(slow: Company, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    given = slow.imports(*GOOD)
    all_at_once(monkeypatch, *IMPORT_CALLS[call])
    slow.give(*given)
    slow.until(len(GOOD))
    slow.check_imported(*GOOD)
    assert slow.gate.helpers() == []
    assert slow.board.begun() == frozenset()


@pytest.mark.parametrize("call", EXPORT_CALLS)
def test_calls_of_many_exports_are_under_way_at_once(slow: Company, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    given = slow.exports(*GOOD)
    all_at_once(monkeypatch, *EXPORT_CALLS[call])
    slow.give(*given)
    slow.until(len(GOOD))
    slow.check_exported(*GOOD)


def test_who_gets_a_name_while_the_directory_is_synced_shares_the_next_sync(
    slow: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is synced, named, and then covered by a sync of its directory that began later; two do for all."""
    slow.give(*slow.imports("first"))
    slow.until(1)
    barrier, log, real_sync = Barrier(), list[str](), shared_sync.sync_directory
    real_over, real_settle = publish.publish_over, PartialFile.settle

    def sync(descriptor: int) -> None:
        begun = len(log)
        if not any(line.startswith("directory") for line in log):
            barrier.hold()
        real_sync(descriptor)
        log.append(f"directory {begun}")

    def settle(partial: PartialFile, *args: Any) -> Any:
        found = real_settle(partial, *args)
        log.append("synced")
        return found

    def over(directory: int, partial: bytes, name: bytes, inode: int) -> None:
        real_over(directory, partial, name, inode)
        log.append("named")

    monkeypatch.setattr(shared_sync, "sync_directory", sync)
    monkeypatch.setattr(publish, "publish_over", over)
    monkeypatch.setattr(PartialFile, "settle", settle)
    slow.give(*slow.imports(*GOOD))
    stepping = threading.Thread(target=slow.until, args=(1 + len(GOOD),))
    stepping.start()
    try:
        wait_until(lambda: log.count("named") == len(GOOD), PATIENCE_S, "a sync of the directory held somebody up")
        assert list(slow.outcomes) == ["first"], "nobody is done before the directory is synced"
    finally:
        barrier.open()
        stepping.join(PATIENCE_S)
    slow.check_imported(*GOOD)
    syncs = [int(line.split()[1]) for line in log if line.startswith("directory")]
    assert len(syncs) == 2
    assert log[: syncs[-1]].count("named") == len(GOOD)
    assert all(log[:at].count("named") <= log[:at].count("synced") for at in range(len(log)))


def test_a_hand_that_hangs_holds_up_nobody(slow: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file's sync never comes back: all others end, more than there are places."""
    barrier, real, lock, left = Barrier(), PartialFile.settle, threading.Lock(), [1]

    def settle(partial: PartialFile, *args: Any) -> Any:
        with lock:
            left[0] -= 1
            is_held = left[0] == 0
        if is_held:
            barrier.hold()
        return real(partial, *args)

    monkeypatch.setattr(PartialFile, "settle", settle)
    names = [f"n{number}" for number in range(100)]
    slow.give(*slow.imports(*names))
    slow.until(len(names) - 1)
    (held,) = set(names) - set(slow.outcomes)
    slow.runnings[held].stop(StopReason.CANCEL)
    barrier.open()
    slow.until(len(names))
    assert slow.outcomes[held].verdict is Verdict.CANCELED
    slow.check_imported(*(name for name in names if name != held))
    assert slow.gate.helpers() == []


@pytest.mark.parametrize("direction", list(Direction))
def test_a_file_system_that_is_quick_again_needs_no_hands(slow: Company, direction: Direction) -> None:
    """The loop takes a step now and then by itself; once those wait no longer it takes them all."""
    slow.lane._slowness._slow = dict.fromkeys(slow.lane._slowness._slow, 0.0)  # it is time for a look
    made: Callable[..., Any] = slow.imports if direction is Direction.IMPORT else slow.exports
    slowness = slow.lane._slowness
    rounds = 0
    while slowness._slow:
        rounds += 1
        assert rounds <= 100, "it is believed to be slow for ever"
        slow.give(*made(f"n{rounds}"))
        slow.until(rounds)
        slowness._slow = dict.fromkeys(slowness._slow, 0.0)
    (slow.check_imported if direction is Direction.IMPORT else slow.check_exported)(*slow.outcomes)


def test_latest_wins_when_many_replace_side_by_side(slow: Company) -> None:
    """Under KEEP_LATEST files of one directory take turns; hands of one mover as well."""
    for name in GOOD:
        slow.gate.base.joinpath(name).write_bytes(b"old")
        os.utime(slow.gate.base / name, (1, 1))
    slow.give(*slow.imports(*GOOD, conflict_policy=ConflictPolicy.KEEP_LATEST))
    slow.until(len(GOOD))
    slow.check_imported(*GOOD)
    assert slow.gate.helpers() == []


@pytest.fixture
def other(company: Company) -> Iterator[str]:
    """A file system of its own: another root over the same directory, with its own descriptors."""
    root = company.roots["fs-other"] = Root.open(company.gate.root.file_system, moments=company.moments)
    yield "fs-other"
    root.close()


def keep_waiting(
    company: Company, monkeypatch: pytest.MonkeyPatch, file_system_id: str, wait: Callable[[], None]
) -> None:
    """From now on every look at that file system's root waits first."""
    real, root = Root.check, company.roots[file_system_id]

    def check(self: Root) -> None:
        if self is root:
            wait()
        real(self)

    monkeypatch.setattr(Root, "check", check)


def test_a_far_file_system_that_hangs_holds_up_no_other(
    company: Company, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its calls are none of the loop's from the first one on, and some places are left, also where the bucket is the same."""
    company.far.add(other)
    barrier = threading.Event()

    def hang() -> None:
        assert barrier.wait(PATIENCE_S)

    keep_waiting(company, monkeypatch, other, hang)
    hung = [f"hung{number}" for number in range(2 * company.limits.small_files)]
    names = [f"n{number}" for number in range(100)]
    company.give(*company.imports(*hung, file_system_id=other, task_id="hung"))
    company.lane.step()
    assert 0 < len(company.board.begun()) <= company.limits.small_files * 3 // 4
    company.give(*company.imports(*names))
    try:
        company.until(len(names))
        assert not set(hung) & set(company.outcomes)
    finally:
        barrier.set()
    company.until(len(names) + len(hung))
    company.check_imported(*names, *hung)


def test_a_near_file_system_whose_calls_wait_holds_up_the_loop_once(
    company: Company, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 0.1 s a call: one step shows it, measured or not, and the loop takes no other one."""
    loop, waits = threading.get_ident(), list[float]()

    def wait() -> None:
        if threading.get_ident() == loop:
            waits.append(0.1)
        _NEVER.wait(0.1)

    keep_waiting(company, monkeypatch, other, wait)
    slow = [f"slow{number}" for number in range(40)]
    company.give(*company.imports(*slow, file_system_id=other, task_id="slow"), *company.imports(*GOOD))
    company.until(len(slow) + len(GOOD))
    company.check_imported(*slow, *GOOD)
    assert 1 <= len(waits) <= 8, "two steps of up to four looks each"
    assert set(company.lane._slowness._slow) == {other}


def test_where_no_thread_can_be_started_helpers_do_it(slow: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's bound is no reason for the mover to end."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    slow.give(*slow.imports(*GOOD))
    slow.until(len(GOOD))
    slow.check_imported(*GOOD)
    assert slow.lane._hands._up == 0


def test_a_hand_comes_up_only_when_all_are_busy(slow: Company) -> None:
    for number in range(5):
        slow.give(*slow.imports(f"n{number}"))
        slow.until(number + 1)
    assert slow.lane._hands._up == 1


@pytest.mark.parametrize("places", range(1, 9))
def test_a_lane_of_few_places_moves_far_files_too(company: Company, places: int) -> None:
    few = Company(company.gate, company.store, limits=MoverLimits(small_files=places, small_threads=1), far={"fs-1"})
    few.give(*few.imports(*GOOD))
    few.until(len(GOOD))
    few.check_imported(*GOOD)
