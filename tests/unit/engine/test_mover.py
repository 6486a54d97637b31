"""Inside one mover: turns by task, stops that are heard, and an outcome for whatever happens."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from penstock.engine.board import Board
from penstock.engine.harbour import CREDENTIALS_LOOK_EVERY_S, Harbour
from penstock.engine.lines import Line
from penstock.engine.messages import Control, Lane, Lease, MoverLimits, Places, Report
from penstock.engine.mover import Mover, places_by_lane
from penstock.engine.outbox import Outbox
from penstock.engine.running import Running
from penstock.engine.throttle import SILENT_S, Throttle
from penstock.errors import FailureCode, FencedError, StoppedError, StoreUnavailableError, TransferError
from penstock.model import Bucket, Credentials, FileSystem
from penstock.stores.base import Store
from penstock.stores.keychain import Keys
from penstock.transfer.root import Root
from penstock.transfer.steps import Pause, Steps
from penstock.transfer.transfer import Intent, Outcome, StopReason, Transfer, Verdict
from tests.fixtures.gate import transfer
from tests.fixtures.memorystore import MemoryStore
from tests.fixtures.registered import registered_bucket
from tests.fixtures.waiting import wait_until

LIMITS = MoverLimits(small_files=1, small_threads=1, large_files=1, sweep_threads=1)
BUCKET = registered_bucket("memory")


@dataclass(slots=True)
class Bench:
    """A mover whose `move` does what the test says, and everything that it reports."""

    mover: Mover
    harbour: Harbour
    board: Board
    act: Callable[[Running, Lane], Outcome]
    root: Path
    opened: list[MemoryStore] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    secrets: Path = Path()

    def take(self, *transfers: Transfer, lane: Lane = Lane.SMALL) -> None:
        self.mover.take(Lease(transfers=transfers, lane=lane))

    def ended(self, count: int) -> list[Outcome]:
        """The first `count` outcomes."""
        wait_until(lambda: len(self.outcomes) >= count, 30, f"{len(self.outcomes)} of {count} outcomes came")
        return self.outcomes[:count]


def done(running: Running, verdict: Verdict = Verdict.COMPLETE) -> Outcome:
    return Outcome(sub_task_id=running.transfer.sub_task_id, attempt=running.transfer.attempt, verdict=verdict)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = tmp_path / "root"
    root.mkdir()
    secrets = tmp_path / "secrets.toml"
    secrets.write_text('[bucket.memory]\naccess_key_id = "a"\naccess_key_secret = "b"\n')
    places = Places(file_systems=(FileSystem(file_system_id="fs-1", root=str(root)),), buckets=(BUCKET,))
    made: list[Bench] = []

    def open_memory(bucket: Bucket, credentials: Keys) -> Store:
        made[0].opened.append(MemoryStore(bucket.name))
        return made[0].opened[-1]

    def move(transfer: Transfer, *, root: Root, store: Store, hooks: Running, lane: Lane) -> Steps[Outcome]:
        made[0].order.append(transfer.sub_task_id)
        yield Pause.ASIDE
        return made[0].act(hooks, lane)

    def keep(report: Report) -> None:
        made[0].outcomes += report.outcomes
        made[0].reports.append(report)

    seconds = count()  # each file moves a second after the one before: the credentials are looked at for each
    harbour = Harbour(
        places=places, secrets_path=secrets, store_opener=open_memory, clock_s=lambda: float(next(seconds))
    )
    lines = {lane: Line() for lane in Lane}
    board, descriptor = Board.make(sum(places_by_lane(LIMITS).values()))
    outbox = Outbox(mover="m", limits=LIMITS, send=keep, pressed=lambda: False, clock_s=lambda: 0.0)
    mover = Mover(
        limits=LIMITS,
        lines=lines,
        harbour=harbour,
        outbox=outbox,
        board=board,
        throttle=Throttle(threads=places_by_lane(LIMITS), clock_s=lambda: 0.0),
        move=move,
        clock_s=lambda: 0.0,
    )
    made.append(Bench(mover, harbour, board, lambda running, _: done(running), root, secrets=secrets))
    mover.start()

    os.close(descriptor)
    return made[0]


def test_tasks_take_turns(bench: Bench) -> None:
    gate = threading.Event()
    bench.act = lambda running, _: (gate.wait(60), done(running))[1]
    bench.take(*[transfer(sub_task_id=f"a{number}", task_id="a") for number in range(4)])
    bench.take(transfer(sub_task_id="b0", task_id="b"))
    gate.set()
    bench.ended(5)
    assert bench.order.index("b0") <= 2


def test_what_is_under_way_stands_on_the_board(bench: Bench) -> None:
    arrived, gate = threading.Event(), threading.Event()

    def hold(running: Running, _: Lane) -> Outcome:
        arrived.set()
        gate.wait(60)
        return done(running)

    bench.act = hold
    bench.take(transfer(sub_task_id="a"), transfer(sub_task_id="b"))
    assert arrived.wait(60)
    assert bench.board.begun() == {1}
    gate.set()
    bench.ended(2)
    wait_until(lambda: bench.board.begun() == frozenset(), 30, "the board was not wiped")


def test_a_waiting_file_that_is_canceled_is_withdrawn_past_all_others(bench: Bench) -> None:
    gate = threading.Event()
    seen: list[Intent] = []

    def hold(running: Running, lane: Lane) -> Outcome:
        if lane is Lane.SWEEP:
            seen.append(running.transfer.intent)
            return done(running, Verdict.CANCELED)
        gate.wait(60)
        return done(running)

    bench.act = hold
    bench.take(transfer(sub_task_id="a"), transfer(sub_task_id="b"), transfer(sub_task_id="c"))
    wait_until(lambda: bench.order == ["a"], 30, "nothing began")
    bench.mover.obey(Control(canceled=(("c", 1),)))
    assert bench.ended(1)[0].verdict is Verdict.CANCELED
    assert seen == [Intent.WITHDRAW]
    gate.set()
    assert {outcome.sub_task_id for outcome in bench.ended(3)} == {"a", "b", "c"}


def test_a_running_file_hears_why_it_should_stop(bench: Bench) -> None:
    def until_stopped(running: Running, _: Lane) -> Outcome:
        wait_until(running.stop_reason, 30, "no reason came")
        return done(running, Verdict.CANCELED if running.stop_reason() is StopReason.CANCEL else Verdict.RETURNED)

    bench.act = until_stopped
    bench.take(transfer(sub_task_id="a"))
    wait_until(lambda: bench.order, 30, "nothing began")
    bench.mover.obey(Control(canceled=(("a", 1),)))
    assert bench.ended(1)[0].verdict is Verdict.CANCELED


@pytest.mark.parametrize("control", [Control(fenced=(("b", 1),)), Control(yielded=(("b", 1),)), Control(drain=True)])
def test_what_has_not_begun_is_returned_as_it_came(bench: Bench, control: Control) -> None:
    gate = threading.Event()
    bench.act = lambda running, _: (gate.wait(60), done(running))[1]
    bench.take(transfer(sub_task_id="a"), transfer(sub_task_id="b"))
    wait_until(lambda: bench.order, 30, "nothing began")
    bench.mover.obey(control)
    assert (bench.ended(1)[0].sub_task_id, bench.ended(1)[0].verdict) == ("b", Verdict.RETURNED)
    gate.set()
    assert bench.ended(2)[1].verdict is Verdict.COMPLETE


@pytest.mark.parametrize("how", ["fenced", "yielded", "drain", "given while draining"])
def test_what_has_not_begun_is_returned_by_one_message(bench: Bench, how: str) -> None:
    """Hundreds wait in a mover: each by itself would be a message out of the thread that has to hear the next control."""
    names = [f"b{number}" for number in range(20)]
    waiting = [transfer(sub_task_id=name) for name in names]
    if how == "given while draining":
        bench.mover.obey(Control(drain=True))
        bench.take(*waiting)
    else:
        gate = threading.Event()
        bench.act = lambda running, _: (gate.wait(60), done(running))[1]
        bench.take(transfer(sub_task_id="a"), *waiting)
        wait_until(lambda: bench.order, 30, "nothing began")
        attempts = tuple((name, 1) for name in names)
        controls = {
            "fenced": Control(fenced=attempts),
            "yielded": Control(yielded=attempts),
            "drain": Control(drain=True),
        }
        bench.mover.obey(controls[how])
    assert {outcome.sub_task_id for outcome in bench.ended(20)} == set(names)
    assert [len(report.outcomes) for report in bench.reports if report.outcomes] == [20]
    if how != "given while draining":
        gate.set()
        bench.ended(21)


def test_after_a_drain_everything_goes_back_at_once(bench: Bench) -> None:
    bench.mover.obey(Control(drain=True))
    bench.take(transfer(sub_task_id="a"))
    assert bench.ended(1)[0].verdict is Verdict.RETURNED
    assert bench.order == []


@pytest.mark.parametrize(
    ("error", "verdict", "code"),
    [
        (RuntimeError("a bug"), Verdict.RETRY, FailureCode.INTERNAL),
        (StoreUnavailableError("500"), Verdict.RETRY, FailureCode.STORE_UNAVAILABLE),
        (TransferError(FailureCode.SOURCE_NOT_FOUND, "gone"), Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND),
        (TransferError(FailureCode.NO_SPACE, "full", waiting_helps=True), Verdict.RETRY, FailureCode.NO_SPACE),
        (StoppedError("stop"), Verdict.RETURNED, None),
        (FencedError("lost"), Verdict.RETURNED, None),
    ],
    ids=repr,
)
def test_whatever_happens_becomes_an_outcome(
    bench: Bench, error: Exception, verdict: Verdict, code: FailureCode | None
) -> None:
    def fail(running: Running, _: Lane) -> Outcome:
        raise error

    bench.act = fail
    bench.take(transfer(sub_task_id="a"))
    (outcome,) = bench.ended(1)
    assert (outcome.verdict, outcome.code) == (verdict, code)
    knows_how_far_it_came = isinstance(error, (StoreUnavailableError, TransferError))
    assert outcome.begun is not knows_how_far_it_came
    bench.act = lambda running, _: done(running)
    bench.take(transfer(sub_task_id="b"))
    assert bench.ended(2)[1].verdict is Verdict.COMPLETE


def test_names_that_are_no_utf8_do_not_stop_the_report(bench: Bench) -> None:
    def fail(running: Running, _: Lane) -> Outcome:
        raise TransferError(FailureCode.IO_ERROR, "cannot read /a\udcff")

    bench.act = fail
    bench.take(transfer(sub_task_id="a"))
    assert bench.ended(1)[0].message == "cannot read /a\\udcff"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"file_system_id": "fs-9"}, FailureCode.FILE_SYSTEM_UNAVAILABLE),
        ({"bucket": "other"}, FailureCode.BUCKET_NOT_REGISTERED),
    ],
)
def test_what_is_not_registered_here_yet_is_tried_again(
    bench: Bench, changes: dict[str, Any], code: FailureCode
) -> None:
    bench.take(transfer(sub_task_id="a", **changes))
    (outcome,) = bench.ended(1)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, code)


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("intent", [Intent.WITHDRAW, Intent.TIDY])
def test_what_was_never_begun_is_canceled_though_its_file_system_is_away(
    bench: Bench, intent: Intent, begun: bool
) -> None:
    bench.root.rmdir()
    bench.take(transfer(sub_task_id="a", intent=intent, begun=begun), lane=Lane.SWEEP)
    (outcome,) = bench.ended(1)
    nothing = intent is Intent.WITHDRAW and not begun
    assert outcome.verdict is (Verdict.CANCELED if nothing else Verdict.RETRY)


def test_credentials_that_are_missing_can_be_mended(bench: Bench) -> None:
    bench.secrets.write_text("")
    bench.take(transfer(sub_task_id="a"))
    (outcome,) = bench.ended(1)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.BUCKET_ACCESS_DENIED)
    bench.secrets.write_text('[bucket.memory]\naccess_key_id = "a"\naccess_key_secret = "b"\n')
    bench.take(transfer(sub_task_id="b"))
    assert bench.ended(2)[1].verdict is Verdict.COMPLETE


def test_a_store_is_opened_once_and_anew_when_its_credentials_change(bench: Bench) -> None:
    bench.take(*[transfer(sub_task_id=f"a{number}") for number in range(3)])
    bench.ended(3)
    assert len(bench.opened) == 1
    bench.secrets.write_text('[bucket.memory]\naccess_key_id = "a"\naccess_key_secret = "another"\n')
    bench.take(transfer(sub_task_id="b"))
    bench.ended(4)
    assert [store.closed for store in bench.opened] == [True, False]


def test_credentials_count_for_a_tenth_of_a_second_and_not_past_another_registry(tmp_path: Path) -> None:
    secrets, now_s, opened = tmp_path / "secrets.toml", [5.0], list[str]()

    def open_memory(bucket: Bucket, credentials: Keys) -> MemoryStore:
        assert isinstance(credentials, Credentials)
        opened.append(credentials.access_key_secret)
        return MemoryStore(bucket.name)

    def keep(secret: str) -> None:
        secrets.write_text(f'[bucket.memory]\naccess_key_id = "a"\naccess_key_secret = "{secret}"\n')

    places = Places(buckets=(BUCKET,))
    harbour = Harbour(places=places, secrets_path=secrets, store_opener=open_memory, clock_s=lambda: now_s[0])

    def secret_used() -> str:
        with harbour.store("memory", Intent.MOVE):
            return opened[-1]

    keep("one")
    assert secret_used() == "one"
    keep("another")
    assert secret_used() == "one"
    now_s[0] += CREDENTIALS_LOOK_EVERY_S
    assert secret_used() == "another"
    keep("the third")
    harbour.place(places)
    assert secret_used() == "the third"


def test_a_store_in_use_is_closed_by_its_last_user(bench: Bench) -> None:
    gate = threading.Event()
    bench.act = lambda running, _: (gate.wait(60), done(running))[1]
    bench.take(transfer(sub_task_id="a"))
    wait_until(lambda: bench.opened, 30, "no store was opened")
    bench.secrets.write_text('[bucket.memory]\naccess_key_id = "a"\naccess_key_secret = "another"\n')
    bench.take(transfer(sub_task_id="b"), lane=Lane.LARGE)
    wait_until(lambda: len(bench.opened) == 2, 30, "no other store was opened")
    assert not bench.opened[0].closed
    gate.set()
    bench.ended(2)
    wait_until(lambda: bench.opened[0].closed, 30, "the old store was not closed")
    assert not bench.opened[1].closed


def test_a_root_in_doubt_is_opened_anew(bench: Bench) -> None:
    roots: list[Root] = []
    with bench.harbour.root("fs-1") as root:
        roots.append(root)
    bench.act = lambda running, _: Outcome(
        sub_task_id="a", attempt=1, verdict=Verdict.RETRY, code=FailureCode.FILE_SYSTEM_UNAVAILABLE, message="unmounted"
    )
    bench.take(transfer(sub_task_id="a"))
    bench.ended(1)
    with bench.harbour.root("fs-1") as root:
        assert root is not roots[0]


def test_helper_files_of_an_import_can_be_removed_without_the_bucket(bench: Bench) -> None:
    bench.take(transfer(sub_task_id="a", bucket="other", intent=Intent.WITHDRAW), lane=Lane.SWEEP)
    assert bench.ended(1)[0].verdict is Verdict.COMPLETE  # what this bench's `move` says: it was reached
    assert bench.order == ["a"]


def test_a_drain_waits_for_no_file_of_a_bucket_that_has_fallen_silent(bench: Bench) -> None:
    """It is told to go on while something comes, and for a few seconds more."""
    now_s, let_go = [100.0], threading.Event()
    throttle = Throttle(threads=places_by_lane(LIMITS), clock_s=lambda: now_s[0])
    bench.mover._throttle = throttle
    held: list[Running] = []

    def hold(running: Running, _: Lane) -> Outcome:
        held.append(running)
        assert let_go.wait(60)
        return done(running, Verdict.RETURNED)

    bench.act = hold
    bench.take(transfer(sub_task_id="a", bucket="memory"))
    wait_until(lambda: bool(held), 30, "it did not begin")
    pacer = throttle.pacer("memory")
    assert pacer.enter(0)
    pacer.sent()
    bench.mover.obey(Control(drain=True))
    for _ in range(3):
        now_s[0] += SILENT_S - 1
        bench.mover.halt_step()
        assert held[0].stop_reason() is StopReason.DRAIN
        pacer.moved()
    now_s[0] += SILENT_S
    assert bench.mover.halt_step() == 1
    assert held[0].stop_reason() is StopReason.HALT
    let_go.set()
    bench.ended(1)
    assert bench.mover.halt_step() == 0
