"""Many small files taken forward together: does each get its own outcome, whatever becomes of its companions?"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from penstock.engine import small_lane
from penstock.engine.board import Board
from penstock.engine.lines import Line
from penstock.engine.messages import MoverLimits
from penstock.engine.outbox import Outbox
from penstock.engine.running import Running
from penstock.engine.small_lane import SmallLane
from penstock.errors import FailureCode, PreconditionFailedError, StoreUnavailableError, ThrottledError
from penstock.model import ConflictPolicy, Direction
from penstock.stores.base import Store
from penstock.transfer import mover as gate_door
from penstock.transfer import pagecache, posix
from penstock.transfer.grains import Grains
from penstock.transfer.moment import Moments
from penstock.transfer.steps import Steps
from penstock.transfer.transfer import Lane, Outcome, StopReason, Transfer, Verdict
from tests.fixtures.gate import LIMITS, Gate, open_gate, transfer
from tests.fixtures.memorystore import Damage, Fault, Hold, MemoryStore, Raise
from tests.fixtures.memorystore import Gate as Barrier
from tests.fixtures.waiting import wait_until

PATIENCE_S = 20.0
CONTENT = random.Random(5).randbytes(3000)
DEADLINE_NS = 60_000_000_000


@dataclass(slots=True)
class Company:
    """A small lane whose loop the test steps by hand, over a real directory and a bucket in memory."""

    gate: Gate
    store: MemoryStore
    moments: Moments = field(default_factory=lambda: Moments(lambda: 0.0))
    limits: MoverLimits = field(default_factory=lambda: MoverLimits(small_files=32, small_threads=2))
    elsewhere: dict[str, Store] = field(default_factory=dict)
    admit: Callable[[Transfer], bool] = lambda _: True
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    runnings: dict[str, Running] = field(default_factory=dict)
    board: Board = field(init=False)
    line: Line = field(init=False)
    lane: SmallLane = field(init=False)
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self.board, descriptor = Board.make(self.limits.small_files)
        os.close(descriptor)
        self.line = Line(lambda one: self.admit(one))  # noqa: PLW0108  (tests put another one there)
        self.outbox = Outbox(
            mover="m", limits=self.limits, send=lambda _: None, pressed=lambda: False, clock_s=time.monotonic
        )
        self.lane = SmallLane(
            limits=self.limits,
            line=self.line,
            board=self.board,
            begin=self._begin,
            end=self._end,
            clock_s=time.monotonic,
            moments=self.moments,
        )
        self.lane._helpers.start()

    def _begin(self, running: Running) -> Steps[Outcome]:
        self.order.append(running.transfer.sub_task_id)
        running.begin()
        return gate_door.steps(
            running.transfer,
            root=self.gate.root,
            store=self.elsewhere.get(running.transfer.bucket, self.store),
            hooks=running,
            limits=LIMITS,
            parts=self.gate.pool,
            grains=self.gate.grains,
            lane=Lane.SMALL,
            now_ns=lambda: time.time_ns() + DEADLINE_NS,  # no source is fresh
            jitter=lambda: 0.5,
        )

    def _end(self, ended: list[tuple[Running, Outcome]]) -> None:
        self.outcomes.update((outcome.sub_task_id, outcome) for _, outcome in ended)

    def give(self, *transfers: Transfer) -> None:
        """Put them in the line."""
        made = [
            Running(one, number=len(self.runnings) + at, desk=self.outbox, clock_s=time.monotonic)
            for at, one in enumerate(transfers, 1)
        ]
        self.runnings.update((running.transfer.sub_task_id, running) for running in made)
        self.line.add(made)

    def until(self, count: int) -> dict[str, Outcome]:
        """Step until so many have ended."""
        deadline_s = time.monotonic() + PATIENCE_S
        while len(self.outcomes) < count:
            assert time.monotonic() < deadline_s, f"{len(self.outcomes)} of {count} ended"
            self.lane.step()
        return self.outcomes

    def imports(self, *names: str, **changes: Any) -> list[Transfer]:
        """Imports of objects that are there."""
        for name in names:
            self.store.seed(f"in/{name}", CONTENT + name.encode())
        return [
            transfer(sub_task_id=name, path=f"base/{name}", key=f"in/{name}", **{"task_id": "t", **changes})
            for name in names
        ]

    def exports(self, *names: str, **changes: Any) -> list[Transfer]:
        """Exports of files that are there."""
        for name in names:
            (self.gate.base / name).write_bytes(CONTENT + name.encode())
        return [
            transfer(
                Direction.EXPORT,
                sub_task_id=name,
                path=f"base/{name}",
                key=f"out/{name}",
                **{"task_id": "t", **changes},
            )
            for name in names
        ]

    def check_imported(self, *names: str) -> None:
        """They are COMPLETE and there, whole."""
        for name in names:
            assert (self.outcomes[name].verdict, self.outcomes[name].message) == (Verdict.COMPLETE, "")
            assert (self.gate.base / name).read_bytes() == CONTENT + name.encode()

    def check_exported(self, *names: str) -> None:
        """They are COMPLETE and there, whole."""
        for name in names:
            assert (self.outcomes[name].verdict, self.outcomes[name].message) == (Verdict.COMPLETE, "")
            assert self.store.content(f"out/{name}") == CONTENT + name.encode()


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    moments = Moments(lambda: 0.0)  # each lasts as long as what it was begun for
    gate = open_gate(tmp_path / "fs", moments=moments)
    yield Company(gate, MemoryStore(), moments=moments)
    gate.close()


GOOD = tuple(f"good{number}" for number in range(6))


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
    looks: list[bytes] = []
    real = company.gate.root._opener

    def opener(root: int, path: bytes, flags: int) -> int:
        looks.append(path)
        return real(root, path, flags)

    company.gate.root._opener = opener
    company.give(*company.imports(*GOOD))
    company.until(1 + len(GOOD))
    company.check_imported(*GOOD)
    assert 2 <= len(looks) <= 4 < len(GOOD)
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


def test_a_directory_that_another_program_has_locked_holds_up_nobody_else(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that waits for its turn there waits in a helper: the loop goes on, and the wait ends with the lock."""
    barrier, waiters = Barrier(), set[int]()

    def rest(*_: object) -> None:
        waiters.add(threading.get_ident())
        barrier.hold()

    monkeypatch.setattr("penstock.transfer.attempt.Attempt.rest", rest)
    company.gate.base.joinpath("late").write_bytes(b"old")
    os.utime(company.gate.base / "late", (1, 1))
    lock = os.open(company.gate.base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        company.give(*company.imports("late", conflict_policy=ConflictPolicy.KEEP_LATEST), *company.imports(*GOOD))
        company.until(len(GOOD))
        company.check_imported(*GOOD)
        assert barrier.reached.wait(PATIENCE_S)
        assert company.gate.base.joinpath("late").read_bytes() == b"old"
        assert threading.get_ident() not in waiters
    finally:
        os.close(lock)
        barrier.open()
    company.until(len(GOOD) + 1)
    company.check_imported("late")
    assert company.gate.helpers() == []


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
    under_way: set[str] = set()

    def admit(one: Transfer) -> bool:
        ended = set(company.outcomes)
        if len(under_way - ended) >= 3:
            return False
        under_way.add(one.sub_task_id)
        return True

    company.admit = admit
    names = [f"n{number}" for number in range(20)]
    company.give(*company.imports(*names))
    company.until(len(names))
    company.check_imported(*names)


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
