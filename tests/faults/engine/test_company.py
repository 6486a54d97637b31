"""Many small files taken forward together: does each get its own outcome, whatever becomes of its companions?"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from penstock.engine.messages import MoverLimits
from penstock.engine.running import Running
from penstock.errors import FailureCode, PreconditionFailedError, StoreUnavailableError, ThrottledError
from penstock.model import ConflictPolicy, Direction
from penstock.transfer import pagecache, posix
from penstock.transfer.grains import Grains
from penstock.transfer.transfer import StopReason, Transfer, Verdict
from tests.faults.engine.company import GOOD, PATIENCE_S, Company, slow_down
from tests.fixtures.gate import LIMITS
from tests.fixtures.memorystore import Damage, Fault, Hold, Raise
from tests.fixtures.memorystore import Gate as Barrier


@pytest.fixture(params=["quick", "slow"])
def company(company: Company, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Company:
    """The loop takes the files forward, and their own hands."""
    if request.param == "slow":
        slow_down(company, monkeypatch)
    return company


TROUBLES: dict[str, tuple[Fault | None, Verdict, FailureCode | None]] = {
    "missing": (None, Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND),
    "damaged": (
        Fault("get", key="in/damaged", action=Damage(at_byte=7), times=9),
        Verdict.RETRY,
        FailureCode.CHECKSUM_MISMATCH,
    ),
    "throttled": (
        Fault("get", key="in/throttled", action=Raise(ThrottledError("slow down", retry_after_s=30.0)), times=9),
        Verdict.RETRY,
        FailureCode.STORE_THROTTLED,
    ),
    "changed": (
        Fault("get", key="in/changed", action=Raise(PreconditionFailedError("another one", status=412)), times=9),
        Verdict.RETRY,
        FailureCode.SOURCE_CHANGED,
    ),
    "away": (
        Fault("get", key="in/away", action=Raise(StoreUnavailableError("500")), times=9),
        Verdict.RETRY,
        FailureCode.STORE_UNAVAILABLE,
    ),
    "unlucky": (Fault("get", key="in/unlucky", action=Raise(StoreUnavailableError("500"))), Verdict.COMPLETE, None),
}


def test_one_import_of_each_trouble_harms_no_companion(company: Company) -> None:
    given: list[Transfer] = []
    for name, (fault, _, _) in TROUBLES.items():
        given += company.imports(name)
        if fault is not None:
            company.store.script(fault)
    company.store.delete("in/missing")
    large = company.imports("large")
    company.store.seed("in/large", bytes(LIMITS.small_file_max_bytes + 1))
    company.gate.base.joinpath("folder").mkdir()
    folder = company.imports("folder")
    mixed = [*company.imports(*GOOD[:3]), *given, *large, *folder, *company.imports(*GOOD[3:])]
    company.give(*mixed)
    outcomes = company.until(len(mixed))
    company.check_imported(*GOOD, "unlucky")
    for name, (_, verdict, code) in TROUBLES.items():
        assert (outcomes[name].verdict, outcomes[name].code) == (verdict, code), name
    assert outcomes["large"].verdict is Verdict.LARGE
    assert outcomes["folder"].code is FailureCode.TARGET_IS_DIRECTORY
    assert company.gate.helpers() == []


def test_one_export_of_each_trouble_harms_no_companion(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["taken", "bad", "throttled", "unlucky"]
    given = [*company.exports(*GOOD[:3]), *company.exports(*names, conflict_policy=ConflictPolicy.SKIP_THE_FILE)]
    given += company.exports("gone", "changed", *GOOD[3:])
    company.store.seed("out/taken", b"somebody else's")
    company.store.script(
        Fault("put", key="out/bad", action=Damage(at_byte=3), times=9),
        Fault("put", key="out/throttled", action=Raise(ThrottledError("slow down", retry_after_s=30.0)), times=9),
        Fault("put", key="out/unlucky", action=Raise(StoreUnavailableError("500"))),
    )
    company.gate.base.joinpath("gone").unlink()
    real = posix.read_full

    def read_full(descriptor: int, buffer: memoryview, offset: int) -> int:
        count = real(descriptor, buffer, offset)
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("/changed"):
            company.gate.base.joinpath("changed").write_bytes(b"another")
        return count

    monkeypatch.setattr("penstock.transfer.small_export.read_full", read_full)
    company.give(*given)
    outcomes = company.until(len(given))
    company.check_exported(*GOOD, "unlucky")
    assert outcomes["taken"].verdict is Verdict.SKIPPED
    assert company.store.content("out/taken") == b"somebody else's"
    assert outcomes["bad"].code is FailureCode.BAD_OBJECT_LEFT
    assert outcomes["throttled"].code is FailureCode.STORE_THROTTLED
    assert outcomes["gone"].code is FailureCode.SOURCE_NOT_FOUND
    assert outcomes["changed"].code is FailureCode.SOURCE_CHANGED


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_file_that_cannot_be_written_or_synced_is_alone_with_it(
    company: Company, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real, count = os.fsync, [0]

    def fsync(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".partial"):
            count[0] += 1
            if count[0] == 3:
                raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    company.give(*company.imports(*GOOD))
    outcomes = company.until(len(GOOD))
    failed = [name for name in GOOD if outcomes[name].verdict is not Verdict.COMPLETE]
    assert len(failed) == 1
    assert outcomes[failed[0]].verdict is Verdict.RETRY
    assert not (company.gate.base / failed[0]).exists()
    company.check_imported(*(name for name in GOOD if name not in failed))
    assert company.gate.helpers() == []


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        (StopReason.CANCEL, Verdict.CANCELED),
        (StopReason.FENCED, Verdict.RETURNED),
        (StopReason.DRAIN, Verdict.COMPLETE),
    ],
)
@pytest.mark.parametrize("moment", ["write", "name"])
def test_a_stop_between_two_stages_is_heard(
    company: Company, monkeypatch: pytest.MonkeyPatch, reason: StopReason, verdict: Verdict, moment: str
) -> None:
    """After the bytes are written it still counts; after the file has its name it comes too late for a cancel."""
    target = "penstock.transfer.small_import.start_writeback" if moment == "write" else "os.rename"
    real = pagecache.start_writeback if moment == "write" else os.rename

    def act(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        if moment == "write" or args[1] == b"good3":  # names are given one by one
            company.runnings["good3"].stop(reason)

    monkeypatch.setattr(target, act)
    company.give(*company.imports("good3"))
    company.give(*company.imports(*(name for name in GOOD if name != "good3")))
    outcomes = company.until(len(GOOD))
    assert outcomes["good3"].verdict is (verdict if moment == "write" else Verdict.COMPLETE)
    is_there = (company.gate.base / "good3").exists()
    assert is_there == (outcomes["good3"].verdict is Verdict.COMPLETE)
    company.check_imported(*(name for name in GOOD if name != "good3"))
    if reason is not StopReason.FENCED:
        assert company.gate.helpers() == []


def test_a_straggler_holds_nobody_up(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first try fails, and the second is held: all others end meanwhile, more than there are places."""
    barrier = Barrier()
    company.store.script(
        Fault("get", key="in/late", action=Raise(StoreUnavailableError("500"))),
    )
    monkeypatch.setattr(
        "penstock.transfer.attempt.Attempt.pause", lambda *_: barrier.hold()
    )  # the wait before the second try
    names = [f"n{number}" for number in range(100)]
    company.give(*company.imports("late"), *company.imports(*names))
    company.until(len(names))
    assert "late" not in company.outcomes
    company.check_imported(*names)
    barrier.open()
    company.until(len(names) + 1)
    company.check_imported("late")


@pytest.mark.parametrize("direction", list(Direction))
def test_of_middling_bodies_few_grains_are_in_memory(
    company: Company, monkeypatch: pytest.MonkeyPatch, direction: Direction
) -> None:
    """Memory: a body beyond what is moved in company is never whole in memory, and a grain of it only while a helper moves it."""
    monkeypatch.setattr(f"penstock.transfer.small_{direction.name.lower()}.INLINE_MAX_BYTES", 1000)
    held, most, times = [0], [0], [0]
    lent = Grains.lent
    lock = threading.Lock()

    @contextmanager
    def counted(grains: Grains) -> Iterator[memoryview]:
        with lock:
            held[0] += 1
            times[0] += 1
            most[0] = max(most[0], held[0])
        with lent(grains) as grain:
            yield grain
        with lock:
            held[0] -= 1

    monkeypatch.setattr(Grains, "lent", counted)
    names = [f"n{number}" for number in range(60)]
    is_import = direction is Direction.IMPORT
    company.give(*(company.imports(*names) if is_import else company.exports(*names)))
    company.until(len(names))
    (company.check_imported if is_import else company.check_exported)(*names)
    assert times[0] >= len(names)
    assert 0 < most[0] <= company.limits.small_threads
    assert held[0] == 0


def test_two_tasks_take_turns(company: Company) -> None:
    company.limits = MoverLimits(small_files=4, small_threads=1)
    company.__post_init__()
    company.give(*company.imports(*(f"a{number}" for number in range(40)), task_id="a"))
    company.give(*company.imports(*(f"b{number}" for number in range(4)), task_id="b"))
    company.until(44)
    assert max(company.order.index(f"b{number}") for number in range(4)) < 8


def test_no_more_begin_than_are_admitted(company: Company) -> None:
    admitted, unasked = set[str](), set[str]()

    def admit(one: Transfer) -> bool:
        unasked.update(set(company.order) - admitted)
        if len(admitted - set(company.outcomes)) >= 3:
            return False
        admitted.add(one.sub_task_id)
        return True

    company.admit = admit
    names = [f"n{number}" for number in range(20)]
    company.give(*company.imports(*names))
    company.until(len(names))
    company.check_imported(*names)
    assert sorted(company.order) == sorted(admitted), "each begins once"
    assert unasked == set(), "some had begun before they were admitted"


def test_who_is_added_right_after_the_last_look_is_not_slept_over(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rings no bell, for the lane is awake, and has been looked for already."""
    take_now, late = company.line.take_now, company.imports("late")
    waits_ms: list[float] = []
    patience_ms = company.lane._patience_ms

    def take(may_begin: Callable[[Transfer], bool]) -> Running | None:
        found = take_now(may_begin)
        if late:
            company.give(late.pop())
        return found

    def patience() -> float:
        waits_ms.append(patience_ms())
        return waits_ms[-1]

    monkeypatch.setattr(company.line, "take_now", take)
    monkeypatch.setattr(company.lane, "_patience_ms", patience)
    company.lane.step()
    assert company.order == ["late"]
    assert waits_ms == [0]
    company.until(1)
    company.check_imported("late")


def test_what_is_under_way_stands_on_the_board(company: Company) -> None:
    barrier = Barrier()
    company.store.script(Fault("get", key="in/good1", action=Hold(barrier)))
    company.store._begun_max = 0
    company.give(*company.imports(*GOOD[:2]))
    stepping = threading.Thread(target=company.until, args=(2,))
    stepping.start()
    assert barrier.reached.wait(PATIENCE_S)
    assert 2 in company.board.begun()
    barrier.open()
    stepping.join(PATIENCE_S)
    assert company.board.begun() == frozenset()
