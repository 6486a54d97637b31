"""Many small files that go into one directory: moved away, locked, or not to be synced, does each file hear the truth?"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.engine import small_lane
from penstock.errors import FailureCode
from penstock.model import ConflictPolicy
from penstock.transfer.transfer import Verdict
from tests.faults.engine.company import GOOD, PATIENCE_S, Company
from tests.fixtures.memorystore import Fault, Hold
from tests.fixtures.memorystore import Gate as Barrier
from tests.fixtures.waiting import wait_until


def test_a_company_of_imports_syncs_its_directory_once(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    company.give(*company.imports(*GOOD))
    company.gate.root.make_durable(company.gate.root.open_directory(b"base"), "base/x", base="base")
    monkeypatch.setattr(small_lane, "SYNCS_SLOW_S", 60.0)  # where a disk is slow helpers sync as well, each for itself
    monkeypatch.setattr(os, "fsync", fsync)
    company.until(len(GOOD))
    company.check_imported(*GOOD)
    assert company.gate.helpers() == []
    assert len([path for path in synced if path.endswith(".partial")]) == len(GOOD)
    assert len([path for path in synced if path.endswith("/base")]) == 1
    assert all(".partial" in path for path in synced[: len(GOOD)])  # names are made durable after what they name
    assert company.board.begun() == frozenset()


def test_a_company_looks_at_its_directory_twice(company: Company) -> None:
    """Where its files begin, and right before they are published: not once for each of them."""
    company.give(*company.imports("first"))
    company.until(1)
    steps, looks = 0, Counter[int]()
    real = company.gate.root._opener

    def opener(root: int, path: bytes, flags: int) -> int:
        looks[steps] += 1
        return real(root, path, flags)

    company.gate.root._opener = opener
    company.give(*company.imports(*GOOD))
    while len(company.outcomes) < 1 + len(GOOD):  # on a busy machine answers come one by one, each in a step of its own
        steps += 1
        company.lane.step()
    company.check_imported(*GOOD)
    assert looks.total() >= 2
    assert max(looks.values()) <= 4 < len(GOOD)
    assert company.gate.root.directories._shared == {}  # nothing is held while nothing moves


def moved_away(base: Path, outside: Path) -> None:
    base.rename(outside)


def made_anew(base: Path, outside: Path) -> None:
    base.rename(outside)
    base.mkdir()


def made_a_link(base: Path, outside: Path) -> None:
    base.rename(outside)
    base.with_name("elsewhere").mkdir()
    base.symlink_to("elsewhere")


def made_a_link_out(base: Path, outside: Path) -> None:
    base.rename(outside)
    base.symlink_to(outside)


@pytest.mark.parametrize("change", [moved_away, made_anew, made_a_link, made_a_link_out])
@pytest.mark.parametrize("at", [1, 4, len(GOOD)])
def test_a_directory_that_changes_between_files_of_a_company_gets_none_of_them(
    company: Company, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path, Path], None], at: int
) -> None:
    """While the `at`-th of them is synced it is taken away: no name may appear in it, nor where its path leads now."""
    base, outside = company.gate.base, company.gate.path.with_name("outside")
    real, count = os.fsync, [0]

    def fsync(descriptor: int) -> None:
        real(descriptor)
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".partial"):
            count[0] += 1
            if count[0] == at:
                change(base, outside)

    given = company.imports(*GOOD)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(small_lane, "SYNCS_SLOW_S", 60.0)  # else a slow disk's helpers may have named some before that
    company.give(*given)
    outcomes = company.until(len(GOOD))
    assert {outcomes[name].code for name in GOOD} == {FailureCode.FILE_SYSTEM_UNAVAILABLE}
    assert {outcomes[name].verdict for name in GOOD} == {Verdict.RETRY}
    assert list(outside.iterdir()) == []
    assert not any(path.is_file() for path in company.gate.path.rglob("*"))
    if change is made_anew:
        company.outcomes.clear()
        company.give(*company.imports("after"))
        company.until(1)
        company.check_imported("after")


def test_files_of_one_company_go_where_their_path_led_when_they_began(company: Company) -> None:
    """The first ones have begun when their directory is replaced; those that begin after them go into the new one."""
    barrier = Barrier()
    company.store.script(Fault("get", key="in/good0", action=Hold(barrier)))
    company.store._begun_max = 0
    outside = company.gate.path.with_name("outside")
    company.give(*company.imports("good0"))
    stepping = threading.Thread(target=company.until, args=(len(GOOD),))
    stepping.start()
    assert barrier.reached.wait(PATIENCE_S)
    made_anew(company.gate.base, outside)
    company.give(*company.imports(*GOOD[1:]))
    wait_until(lambda: len(company.outcomes) == len(GOOD) - 1, PATIENCE_S, "the others did not end")
    barrier.open()
    stepping.join(PATIENCE_S)
    company.check_imported(*GOOD[1:])
    outcomes = company.outcomes
    assert outcomes["good0"].code is FailureCode.FILE_SYSTEM_UNAVAILABLE
    assert list(outside.iterdir()) == []


def test_a_root_that_goes_away_is_seen_by_the_next_that_begins(company: Company) -> None:
    """As an unmount: the path of the root leads to another directory."""
    company.give(*company.imports(*GOOD))
    company.until(len(GOOD))
    company.gate.path.rename(company.gate.path.with_name("unmounted"))
    company.gate.path.mkdir()
    company.gate.base.mkdir()
    company.give(*company.imports("late1", "late2"))
    outcomes = company.until(len(GOOD) + 2)
    assert {outcomes[name].code for name in ("late1", "late2")} == {FailureCode.FILE_SYSTEM_UNAVAILABLE}
    assert list(company.gate.base.iterdir()) == []


def test_a_failed_sync_of_the_directory_is_told_to_all_it_was_for(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.give(*company.imports("first"))
    company.until(1)
    monkeypatch.setattr(
        "penstock.transfer.shared_sync.sync_directory",
        lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "broken")),
    )
    company.give(*company.imports(*GOOD))
    outcomes = company.until(1 + len(GOOD))
    assert {outcomes[name].code for name in GOOD} == {FailureCode.IO_ERROR}


def test_a_directory_that_another_program_has_locked_holds_up_nobody_else(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that waits for its turn there waits in a helper: the loop goes on, and the wait ends with the lock.

    What is there already is looked at in a helper first. So it may reach the lock before the others end or after that, and the
    loop has to go round all the time.
    """
    barrier, waiters = Barrier(), set[int | None]()

    def rest(*_: object) -> None:
        waiters.add(threading.get_ident())
        barrier.hold()

    monkeypatch.setattr("penstock.transfer.attempt.Attempt.rest", rest)
    company.gate.base.joinpath("late").write_bytes(b"old")
    os.utime(company.gate.base / "late", (1, 1))
    stepping = threading.Thread(target=company.until, args=(1 + len(GOOD),))
    lock = os.open(company.gate.base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        company.give(*company.imports("late", conflict_policy=ConflictPolicy.KEEP_LATEST), *company.imports(*GOOD))
        stepping.start()
        wait_until(lambda: len(company.outcomes) == len(GOOD), PATIENCE_S, "the others did not end")
        company.check_imported(*GOOD)
        assert barrier.reached.wait(PATIENCE_S)
        assert company.gate.base.joinpath("late").read_bytes() == b"old"
        assert stepping.ident not in waiters
    finally:
        os.close(lock)
        barrier.open()
    stepping.join(PATIENCE_S)
    company.check_imported("late")
    assert company.gate.helpers() == []
