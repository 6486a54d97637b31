"""Has everything that is seen its words, and is the timeline told in its order?"""

from __future__ import annotations

import string
from dataclasses import replace

import pytest

from penstock.catalog.live import Limit, Limiter
from penstock.catalog.views import Happening, HappeningKind, InFull, Line, Listed, Wait
from penstock.console.timeline import attempts, timeline
from penstock.console.wording import LIMITS, flow_trouble, happening_words, limit_words, wait_in_full, wait_words
from penstock.model import DataFlowStatus, Direction, SubTaskStatus
from tests.unit.console.things import CREATED_NS, flow, sub_task, task

WAITING = frozenset({Wait.IN_LINE, Wait.LARGE_LINE, Wait.BEHIND, Wait.FLOW, Wait.TASK})


def listed(wait: Wait = Wait.NONE, **changes: object) -> Listed:
    return Listed(
        sub_task=sub_task(**changes), direction=Direction.EXPORT, wait=wait, failures=0, next_try_ns=None,
        cancel_asked_ns=None,
    )  # fmt: skip


def kept(line: Line, *happenings: Happening, left_out: int = 0, **changes: object) -> InFull:
    return InFull(
        listed=listed(line.wait, **changes), task=task(), flow=flow(), line=line, happenings=happenings,
        left_out=left_out, as_of_ns=CREATED_NS,
    )  # fmt: skip


def happening(kind: HappeningKind, after_ns: int, **changes: object) -> Happening:
    whole = {
        "kind": kind, "at_ns": CREATED_NS + after_ns, "last_ns": CREATED_NS + after_ns, "times": 1, "attempt": 1,
        "code": "", "message": "", "due_ns": None,
    }  # fmt: skip
    return Happening(**(whole | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("limiter", Limiter)
def test_every_limiter_has_words_and_names_what_it_is_about(limiter: Limiter) -> None:
    said = limit_words(Limit(limiter=limiter, about="examplebucket"))
    names_something = any(name for _, name, _, _ in string.Formatter().parse(LIMITS[limiter].title))
    assert ("examplebucket" in said.title) is names_something
    assert said.words.endswith(".")


@pytest.mark.parametrize("kind", HappeningKind)
def test_every_happening_has_words(kind: HappeningKind) -> None:
    assert happening_words(kind).title


@pytest.mark.parametrize("wait", Wait)
def test_what_waits_says_why_in_short_and_in_full(wait: Wait) -> None:
    waits = wait in WAITING
    row = listed(wait, status=SubTaskStatus.CREATED)
    assert bool(wait_words(row)) is (waits or wait is Wait.AGAIN)
    assert bool(wait_in_full(kept(Line(wait=wait), status=SubTaskStatus.CREATED))) is waits


def test_the_place_in_line_is_told_as_far_as_it_is_known() -> None:
    def words(line: Line) -> str:
        said = wait_in_full(kept(line, status=SubTaskStatus.CREATED))
        assert said is not None
        return said.words

    assert words(Line(wait=Wait.IN_LINE, before=0, of=3)) == "It is the next one of its task."
    assert words(Line(wait=Wait.IN_LINE, before=1200, of=5000)).startswith(
        "1,200 of its task are before it; 5,000 wait"
    )
    assert "20,000 or more" in words(Line(wait=Wait.IN_LINE, before=20_000, is_more=True, of=10**6))


@pytest.mark.parametrize("status", [DataFlowStatus.MISCONFIGURED, DataFlowStatus.STOPPED])
def test_a_dataflow_that_does_not_run_needs_somebody(status: DataFlowStatus) -> None:
    whole = InFull(
        listed=listed(Wait.FLOW, status=SubTaskStatus.CREATED), task=task(), flow=flow(status=status),
        line=Line(wait=Wait.FLOW), happenings=(), left_out=0, as_of_ns=CREATED_NS,
    )  # fmt: skip
    said = wait_in_full(whole)
    assert said is not None
    assert said.title.startswith("Needs you")


def test_what_happened_is_told_in_order_from_creation_to_end() -> None:
    failed = happening(
        HappeningKind.FAILED_TRY, 5, code="StoreUnavailable", message="no answer (request id 64F0)", times=3,
        last_ns=CREATED_NS + 9, due_ns=CREATED_NS + 20,
    )  # fmt: skip
    events = timeline(kept(Line(wait=Wait.FINAL), failed, ended_ns=CREATED_NS + 30))
    assert [event.key for event in events] == ["created", "started", f"failed-try-{CREATED_NS + 5}", "ended"]
    assert (events[2].request_id, events[2].times, events[2].last_ns) == ("64F0", 3, CREATED_NS + 9)
    assert events[2].title == "A try failed: the store does not answer"
    assert events[3].title == "Complete"


def test_the_last_happening_and_the_end_are_one_event() -> None:
    last = happening(HappeningKind.FAILED, 8, code="StoreRefused", message="no (request id AB12)")
    events = timeline(
        kept(
            Line(wait=Wait.FINAL), last, status=SubTaskStatus.FAILED, error_code="StoreRefused",
            error_message="no (request id AB12)", ended_ns=CREATED_NS + 8,
        )
    )  # fmt: skip
    assert [event.key for event in events] == ["created", "started", "ended"]
    assert (events[2].request_id, events[2].words) == ("AB12", "no (request id AB12)")


def test_what_was_left_out_is_counted_where_it_was() -> None:
    tries = [happening(HappeningKind.FAILED_TRY, number * 10) for number in range(1, 5)]
    events = timeline(kept(Line(wait=Wait.AGAIN), *tries, left_out=1234, ended_ns=None, status=SubTaskStatus.RUNNING))
    assert [event.key for event in events][:4] == ["created", "started", f"failed-try-{CREATED_NS + 10}", "left-out"]
    assert events[3].title == "1,234 more"


def test_a_target_that_was_kept_is_told_apart() -> None:
    events = timeline(kept(Line(wait=Wait.FINAL), actual_bytes=0))
    assert events[-1].words == "The target was kept, as the conflict policy asks."


def test_attempts_add_up_whoever_took_it_up_how_often() -> None:
    calm = kept(Line(wait=Wait.NONE), status=SubTaskStatus.RUNNING, attempt=2)  # it found itself large: no incident
    assert (attempts(calm).number, attempts(calm).handed_back) == (1, 0)
    told = (
        happening(HappeningKind.RETURNED, 1, attempt=2),
        happening(HappeningKind.FAILED_TRY, 2, attempt=4, times=2),
        happening(HappeningKind.RESCUED, 3, attempt=5),
        happening(HappeningKind.FAILED_TRY, 4, attempt=6),
    )
    stormy = kept(Line(wait=Wait.NONE), *told, status=SubTaskStatus.RUNNING, attempt=7, ended_ns=None)
    assert (attempts(stormy).number, attempts(stormy).handed_back, attempts(stormy).is_more) == (4, 2, False)
    numbers = [event.attempt for event in timeline(stormy) if "try failed" in event.title]
    assert numbers == [2, 3]  # two of the same in a row are one event


def test_a_row_tells_its_place_in_line() -> None:
    row = listed(Wait.LARGE_LINE, status=SubTaskStatus.RUNNING, error_code="WaitingForTurn")
    assert wait_words(replace(row, line=Line(wait=Wait.LARGE_LINE, before=3))).endswith(": 3 of its task before it")
    assert wait_words(replace(row, line=Line(wait=Wait.LARGE_LINE))).endswith(": the next of its task")
    many = Line(wait=Wait.LARGE_LINE, before=1000, is_more=True)
    assert "more than 1,000" in wait_words(replace(row, line=many))


def test_a_dataflow_says_in_words_what_the_api_says_in_one() -> None:
    assert "Lengthen the interval" in flow_trouble("ThroughputTooLow")
    assert [flow_trouble(told) for told in ("", "StoreForbidden: no")] == ["", "StoreForbidden: no"]
