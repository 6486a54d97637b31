"""Does a mover say what it has to say: outcomes and questions at once, progress in a calm rhythm?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from penstock.engine.messages import Figures, MoverLimits, Report
from penstock.engine.outbox import Outbox
from penstock.engine.running import Running
from penstock.errors import FencedError, StoppedError
from penstock.model import FileDetail
from penstock.transfer.transfer import Checkpoint, Intent, Outcome, Progress, StopReason, Verdict
from tests.fixtures.gate import transfer
from tests.fixtures.waiting import wait_until

DETAIL = FileDetail(modify_time_ns=1, size_bytes=100)
RECORD = Checkpoint(key="k", intent_ns=1)
LIMITS = MoverLimits(progress_after_s=0.3, progress_every_s=1.0)


@dataclass(slots=True)
class Desk:
    """An outbox by hand: its clock, and what it sent."""

    now_s: float = 100.0
    sent: list[Report] = field(default_factory=list)
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self.outbox = Outbox(
            mover="m", limits=LIMITS, send=self.sent.append, pressed=lambda: False, clock_s=lambda: self.now_s
        )

    def running(self, name: str = "s", intent: Intent = Intent.MOVE) -> Running:
        made = Running(
            transfer(sub_task_id=name, intent=intent), number=1, desk=self.outbox, clock_s=lambda: self.now_s
        )
        made.begin()
        self.outbox.watch(made)
        return made

    def told(self) -> list[int]:
        return [progress.bytes_done for report in self.sent for progress in report.progress]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def at(done: int, name: str = "s") -> Progress:
    return Progress(
        sub_task_id=name, attempt=1, bytes_total=100, bytes_done=done, actual_bytes=done, moving_ns=1, detail=DETAIL
    )


def outcome(name: str = "s") -> Outcome:
    return Outcome(sub_task_id=name, attempt=1, verdict=Verdict.COMPLETE)


def test_progress_is_told_after_a_while_and_then_once_a_second(desk: Desk) -> None:
    running = desk.running()
    running.progress(at(1))
    desk.outbox.step()
    assert desk.told() == []
    desk.now_s += 0.4
    desk.outbox.step()
    running.progress(at(2))
    desk.now_s += 0.5
    desk.outbox.step()
    assert desk.told() == [1]
    running.progress(at(3))
    desk.now_s += 0.5
    desk.outbox.step()
    assert desk.told() == [1, 3]


def test_a_file_that_stands_still_says_nothing_new(desk: Desk) -> None:
    running = desk.running()
    running.progress(at(1))
    desk.now_s += 5
    assert desk.outbox.step()
    desk.now_s += 5
    assert not desk.outbox.step()


def test_a_file_that_has_ended_tells_only_its_outcome(desk: Desk) -> None:
    running = desk.running()
    running.progress(at(1))
    desk.now_s += 5
    desk.outbox.ended([(running, outcome())])
    desk.outbox.step()
    assert desk.told() == []
    assert [report.outcomes for report in desk.sent] == [(outcome(),)]


def test_the_thread_tells_progress_of_a_file_that_began_while_nothing_else_happened() -> None:
    desk = Desk()
    threading.Thread(target=desk.outbox.run, daemon=True).start()
    running = desk.running()
    running.progress(at(7))
    desk.now_s += 1
    wait_until(lambda: desk.told() == [7], 30, "the progress was not told")


@pytest.fixture
def asking(desk: Desk) -> Iterator[tuple[Running, threading.Thread, list[object]]]:
    """An attempt whose thread waits for a checkpoint."""
    running = desk.running()
    ended: list[object] = []

    def ask() -> None:
        try:
            running.checkpoint(RECORD)
            ended.append(None)
        except (FencedError, StoppedError) as error:
            ended.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    wait_until(desk.outbox.step, 30, "nothing was asked")
    yield running, thread, ended
    thread.join(60)
    assert not thread.is_alive()


Asking = tuple[Running, threading.Thread, list[object]]


def test_a_checkpoint_returns_when_it_is_durable(desk: Desk, asking: Asking) -> None:
    running, thread, ended = asking
    (request,) = desk.sent[-1].checkpoints
    assert (request.sub_task_id, request.attempt, request.record) == ("s", 1, RECORD)
    assert ended == []
    desk.outbox.checkpointed((request.sequence,))
    thread.join(60)
    assert ended == [None]
    assert running.record == RECORD


def test_a_refused_checkpoint_fences_the_attempt(desk: Desk, asking: Asking) -> None:
    running, thread, ended = asking
    desk.outbox.refused((desk.sent[-1].checkpoints[0].sequence,))
    thread.join(60)
    assert isinstance(ended[0], FencedError)
    assert running.stop_reason() is StopReason.FENCED


@pytest.mark.parametrize(("reason", "error"), [(StopReason.FENCED, FencedError), (StopReason.CANCEL, StoppedError)])
def test_a_stop_ends_the_wait_for_an_answer_that_stays_away(
    asking: Asking, reason: StopReason, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.engine.running.STOP_PATIENCE_S", 0.3)
    running, thread, ended = asking
    running.stop(reason)
    thread.join(60)
    assert isinstance(ended[0], error)


def test_the_stronger_reason_to_stop_counts(desk: Desk) -> None:
    running = desk.running()
    for reason in (StopReason.DRAIN, StopReason.CANCEL, StopReason.DRAIN):
        running.stop(reason)
    assert running.stop_reason() is StopReason.CANCEL
    running.stop(StopReason.FENCED)
    running.stop(StopReason.CANCEL)
    assert running.stop_reason() is StopReason.FENCED


def test_a_withdrawal_is_not_canceled_itself(desk: Desk) -> None:
    running = desk.running(intent=Intent.WITHDRAW)
    running.stop(StopReason.CANCEL)
    assert running.stop_reason() is None


def test_what_comes_of_a_file_that_was_alone_is_sent_by_who_brings_it(desk: Desk) -> None:
    alone, other = desk.running("s"), desk.running("t")
    desk.outbox.ended([(alone, outcome("s"))])
    assert desk.sent == []  # another one is under way: the thread gathers what ends
    desk.outbox.ended([(other, outcome("t"))])
    assert desk.sent == []
    assert desk.outbox.step()
    assert [report.outcomes for report in desk.sent] == [(outcome("s"), outcome("t"))]
    desk.outbox.ended([(desk.running("u"), outcome("u"))])
    assert [report.outcomes for report in desk.sent[1:]] == [(outcome("u"),)]
    assert not desk.outbox.step()


def test_figures_travel_with_what_is_said_now_and_then_and_at_once_when_they_are_asked_for() -> None:
    desk = Desk()
    figures = iter(Figures(cpu_s=float(number), resident_bytes=0) for number in range(9))
    desk.outbox = Outbox(
        mover="m",
        limits=LIMITS,
        send=desk.sent.append,
        pressed=lambda: False,
        clock_s=lambda: desk.now_s,
        figures=lambda: next(figures),
    )

    def told() -> float | None:
        assert desk.outbox.step()
        said = desk.sent[-1].figures
        return None if said is None else said.cpu_s

    desk.outbox.show_life()
    assert told() == 0.0
    desk.outbox.show_life()
    assert told() is None
    desk.outbox.show_figures()
    assert told() == 1.0
    desk.now_s += 5
    desk.outbox.show_life()
    assert told() == 2.0
    assert not desk.outbox.step()
