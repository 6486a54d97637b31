"""Does the judge of histories see each kind of contradiction, and none in a history that can be true?"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from penstock.errors import ApiRefusedError, ApiUnreachableError
from tests.fixtures.history import History, Recorded, Refusal, Rules, Span

FLOW, TASK = "df-1", "task-1"
MISSING = object()


class Story:
    """Tells a history, one call after the other; each takes ten units of time, unless `at` says when it was."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.history = History(rules)
        self.now = 0

    def tell(self, action: str, came: Any, *, at: tuple[int, int] | None = None, **parameters: Any) -> None:
        began, ended = at or (self.now + 1, self.now + 10)
        self.now = max(self.now, ended)
        span = Span(began_ns=began, ended_ns=ended)
        self.history.add(Recorded(action=action, parameters=parameters, span=span, came=came))

    def create(self, made: str | Refusal | None, *, path: str = "/a", token: str = "", **more: Any) -> None:
        came = {"DataFlowSubTaskId": made} if isinstance(made, str) else made
        named: dict[str, Any] = {"DataFlowId": FLOW, "DataFlowTaskId": TASK, "SrcFilePath": path, "DstFilePath": path}
        if token:
            named["ClientToken"] = token
        self.tell("CreateDataFlowSubTask", came, **named, **more)

    def bulk(self, made: list[str] | None, *, token: str = "", paths: str = "ab") -> None:
        entries = json.dumps([{"SrcFilePath": f"/{one}", "DstFilePath": f"/{one}"} for one in paths])
        came = None
        if made is not None:
            results = [{"DataFlowSubTaskId": one} if one else {"Code": "IllegalCharacters"} for one in made]
            came = {"DataFlowSubTask": {"DataFlowSubTask": results}}
        named: dict[str, Any] = {"DataFlowId": FLOW, "DataFlowTaskId": TASK, "SubTasks": entries, "ClientToken": token}
        self.tell("CreateDataFlowSubTasks", came, **named)

    def show(
        self, *items: Mapping[str, Any], at: tuple[int, int] | None = None, more: str = "", **filters: str
    ) -> None:
        asked: dict[str, Any] = {}
        for number, (key, value) in enumerate(filters.items(), start=1):
            asked |= {f"Filters.{number}.Key": key, f"Filters.{number}.Value": value}
        answer = {"DataFlowSubTask": {"DataFlowSubTask": list(items)}, **({"NextToken": more} if more else {})}
        self.tell("DescribeDataFlowSubTasks", answer, at=at, **asked)

    def show_task(
        self, total: int, done: int = 0, *, status: str = "Executing", at: tuple[int, int] | None = None
    ) -> None:
        stats = {"FilesTotal": total, "FilesDone": done, "ActualFiles": done, "BytesDone": done, "ActualBytes": done}
        item = {"TaskId": TASK, "Status": status, "Progress": done, "ProgressStats": stats}
        self.tell("DescribeDataFlowTasks", {"TaskInfo": {"Task": [item]}}, at=at)

    def cancel(self, name: str, came: Any = MISSING) -> None:
        self.tell("CancelDataFlowSubTask", {} if came is MISSING else came, DataFlowSubTaskId=name)

    def close(self, came: Any = MISSING) -> None:
        self.tell("CancelDataFlowTask", {} if came is MISSING else came, TaskId=TASK)

    def delete(self, came: Any = MISSING) -> None:
        self.tell("DeleteDataFlow", {} if came is MISSING else came, DataFlowId=FLOW)


def item(name: str = "s1", status: str = "CREATED", *, path: str = "/data/a", **more: Any) -> dict[str, Any]:
    """A sub-task as it is described when all is well."""
    started = status not in {"CREATED", "EXPIRED"}
    complete = status == "COMPLETE"
    done = 100 if complete else 25 if started else 0
    made: dict[str, Any] = {
        "FileSystemId": "fs",
        "DataFlowId": FLOW,
        "DataFlowTaskId": TASK,
        "DataFlowSubTaskId": name,
        "SrcFilePath": path,
        "DstFilePath": path,
        "Status": status,
        "Progress": 10_000 if complete else 2_500 if started else 0,
        "ProgressStats": {
            "BytesTotal": 100 if started else 0, "BytesDone": done, "ActualBytes": done, "AverageSpeed": done
        },
        "ErrorMsg": "SourceNotFound: no such file" if status == "FAILED" else "",
        "CreateTime": "t0",
    }  # fmt: skip
    if started:
        made |= {"StartTime": "t1", "FileDetail": {"ModifyTime": 5, "Size": 100, "Checksum": "crc64:7"}}
    if status in {"COMPLETE", "FAILED", "CANCELED", "EXPIRED"}:
        made["EndTime"] = "t2"
    made |= more
    return {name: value for name, value in made.items() if value is not MISSING}


def stats(**more: int) -> dict[str, int]:
    return {"BytesTotal": 100, "BytesDone": 25, "ActualBytes": 25, "AverageSpeed": 25, **more}


def good_life(story: Story) -> None:
    story.create("s1")
    for status in ("CREATED", "RUNNING", "RUNNING", "COMPLETE", "COMPLETE"):
        story.show(item(status=status))
    story.show_task(1, 1)
    story.close()
    story.delete()
    story.show()


def polls_that_skip(story: Story) -> None:
    story.create("s1")
    story.cancel("s1")
    story.show(item(status="COMPLETE"))


def answers_that_cross(story: Story) -> None:
    """Asked before the other answer was there, so either may be the older one."""
    story.create("s1", at=(0, 1))
    story.show(item(status="COMPLETE"), at=(5, 20))
    story.show(item(status="CREATED"), at=(19, 30))


def an_answer_that_was_lost(story: Story) -> None:
    story.create(None, token="t")
    story.create("s1", token="t")
    story.create(None, path="/b")
    story.create(Refusal(code="ServiceUnavailable", status=503), path="/c")
    story.create(Refusal(code="Throttling.User", status=429), path="/d")
    story.show(item("s3", path="/data/c"), item("s2", path="/data/b"), item("s1"))


def a_lost_bulk_call(story: Story) -> None:
    story.bulk(None, token="t")
    story.show(item("s2", path="/data/b"), item("s1", path="/data/a"))
    story.bulk(["s1", "s2"], token="t")
    story.bulk(["", "s3"], token="u")


def a_cancel_that_lost_its_answer(story: Story) -> None:
    story.create("s1")
    story.cancel("s1", None)
    story.show(item(status="CANCELING"))
    story.show(item(status="CANCELED"))


def what_no_filter_has_to_show(story: Story) -> None:
    story.create("s1")
    story.show(item(status="RUNNING"))
    story.show(Status="RUNNING")  # it may have ended
    story.show(item("s1", status="COMPLETE"), more="and so on")  # a page, and no walk
    story.show(DataFlowTaskIds="task-2")
    story.show(DstFilePath="/other")


GOOD = [
    good_life,
    polls_that_skip,
    answers_that_cross,
    an_answer_that_was_lost,
    a_lost_bulk_call,
    a_cancel_that_lost_its_answer,
    what_no_filter_has_to_show,
]


@pytest.mark.parametrize("tell", GOOD, ids=lambda tell: tell.__name__)
def test_what_can_be_true_is_believed(tell: Callable[[Story], None]) -> None:
    story = Story()
    tell(story)
    assert story.history.faults() == []
    story.history.check()


def after(*statuses: str, **more: Any) -> Callable[[Story], None]:
    """It was created, and shown in each of these statuses; the last time with something else as well."""

    def tell(story: Story) -> None:
        story.create("s1")
        if set(statuses) & {"CANCELING", "CANCELED"}:
            story.cancel("s1", None)
        for status in statuses[:-1]:
            story.show(item(status=status))
        story.show(item(status=statuses[-1], **more))

    return tell


def told(*calls: Callable[[Story], object]) -> Callable[[Story], None]:
    def tell(story: Story) -> None:
        for call in calls:
            call(story)

    return tell


def detail(**more: Any) -> dict[str, Any]:
    return {"ModifyTime": 5, "Size": 100, "Checksum": "crc64:7", **more}


BAD: dict[str, tuple[Callable[[Story], None], str]] = {
    "two checksums": (after("COMPLETE", "COMPLETE", FileDetail=detail(Checksum="crc64:8")), "ended with checksum"),
    "another end": (after("FAILED", "FAILED", ErrorMsg="Other: words"), "had ended, and changed"),
    "complete after canceled": (after("CANCELED", "COMPLETE"), "it is COMPLETE, asked"),
    "running after failed": (after("FAILED", "RUNNING"), "it is RUNNING, asked"),
    "back to the start": (after("RUNNING", "CREATED"), "it is CREATED, asked"),
    "running while canceling": (after("CANCELING", "RUNNING"), "it is RUNNING, asked"),
    "expired after it ran": (after("RUNNING", "EXPIRED"), "it is EXPIRED, asked"),
    "a status of its own": (after("PAUSED"), "no status that is drawn"),
    "too far": (after("RUNNING", Progress=10_001), "Progress 10001"),
    "done before its time": (after("RUNNING", Progress=10_000), "RUNNING with Progress 10000"),
    "complete and not done": (after("COMPLETE", Progress=9_999), "COMPLETE with Progress 9999"),
    "complete and too short": (after("COMPLETE", ProgressStats=stats()), "COMPLETE with 25 of 100"),
    "more than there is": (after("RUNNING", ProgressStats=stats(BytesDone=101)), "'BytesDone': 101"),
    "more than the file": (after("RUNNING", FileDetail=detail(Size=20)), "of a file of 20 bytes"),
    "wrong progress": (after("RUNNING", Progress=2_499), "Progress 2499 for 25 of 100"),
    "progress of nothing": (after("CREATED", ProgressStats=stats()), "and there is progress"),
    "ended without an end": (after("COMPLETE", EndTime=MISSING), "COMPLETE with EndTime"),
    "never started": (after("RUNNING", StartTime=MISSING), "RUNNING with StartTime"),
    "started anew": (after("RUNNING", "RUNNING", StartTime="t9"), "its StartTime was"),
    "another path": (after("RUNNING", "RUNNING", DstFilePath="/x"), "its DstFilePath was"),
    "failed without words": (after("FAILED", ErrorMsg=""), "FAILED with ErrorMsg"),
    "a cancel that was forgotten": (
        told(lambda s: s.create("s1"), lambda s: s.cancel("s1"), lambda s: s.show(item(status="RUNNING"))),
        "after a cancel was accepted",
    ),
    "a cancel that was refused without need": (
        told(
            lambda s: s.create("s1"),
            lambda s: s.cancel("s1", Refusal(code="OperationDenied.InvalidState", status=403)),
            lambda s: s.show(item(status="CREATED")),
        ),
        "after a cancel was refused",
    ),
    "canceled by nobody": (
        told(lambda s: s.create("s1"), lambda s: s.show(item(status="CANCELED"))),
        "nobody had asked",
    ),
    "one token, two sub-tasks": (
        told(lambda s: s.create("s1", token="t"), lambda s: s.create("s2", token="t")),
        "ClientToken t has made",
    ),
    "one token, other words": (
        told(lambda s: s.create("s1", token="t"), lambda s: s.create("s1", token="t", path="/b")),
        "with other parameters",
    ),
    "one bulk token, two answers": (
        told(lambda s: s.bulk(["s1", "s2"], token="t"), lambda s: s.bulk(["s1", "s3"], token="t")),
        "ClientToken t has made",
    ),
    "too few results": (told(lambda s: s.bulk(["s1"])), "2 files were asked for, and 1 results"),
    "made twice behind a token": (
        told(
            lambda s: s.create(None, token="t"),
            lambda s: s.create("s1", token="t"),
            lambda s: s.show(item("s2"), item("s1")),
        ),
        "s2: no create explains it",
    ),
    "made twice, counted": (
        told(lambda s: s.create("s1"), lambda s: s.show_task(2)),
        "2 files, and 1 were asked for",
    ),
    "one id for two": (told(lambda s: s.create("s1"), lambda s: s.create("s1", path="/b")), "answered to two creates"),
    "vanished": (told(lambda s: s.create("s1"), lambda s: s.show()), "s1 was accepted and is missing"),
    "vanished by name": (
        told(lambda s: s.create("s1"), lambda s: s.show(DataFlowSubTaskIds="s0,s1")),
        "s1 was accepted and is missing",
    ),
    "vanished among the ended": (
        told(
            lambda s: s.create("s1"),
            lambda s: s.show(item(status="COMPLETE"), DataFlowTaskIds=TASK),
            lambda s: s.show(Status="COMPLETE,FAILED"),
        ),
        "s1 was accepted and is missing",
    ),
    "twice in a walk": (
        told(lambda s: s.create("s1"), lambda s: s.show(item(), item())),
        "2 times in one walk",
    ),
    "oldest first": (
        told(lambda s: s.bulk(["s1", "s2"]), lambda s: s.show(item("s1"), item("s2", path="/data/b"))),
        "not newest first",
    ),
    "not what was asked": (
        told(lambda s: s.create("s1"), lambda s: s.show(item(status="RUNNING"), Status="FAILED")),
        "has Status RUNNING",
    ),
    "shown after its dataflow was deleted": (
        told(lambda s: s.create("s1"), lambda s: s.delete(), lambda s: s.show(item())),
        "its dataflow was deleted",
    ),
    "live in a closed stream": (
        told(lambda s: s.create("s1"), lambda s: s.close(), lambda s: s.show(item(status="RUNNING"))),
        "after its stream was closed",
    ),
    "taken by a closed stream": (told(lambda s: s.close(), lambda s: s.create("s1")), "a stream that was closed"),
    "opened again": (
        told(lambda s: s.show_task(0, status="Canceled"), lambda s: s.show_task(0)),
        "it is Executing, asked",
    ),
    "uncounted": (told(lambda s: s.create("s1"), lambda s: s.show_task(0)), "its FilesTotal is 0, and 1 were known"),
    "uncounted when complete": (
        told(lambda s: s.create("s1"), lambda s: s.show(item(status="COMPLETE")), lambda s: s.show_task(1)),
        "its FilesDone is 0, and 1 were known",
    ),
    "a counter that fell": (
        told(
            lambda s: s.create(None),
            lambda s: s.create(None),
            lambda s: s.show_task(2),
            lambda s: s.show_task(1),
        ),
        "its FilesTotal fell from 2 to 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_true_is_named(name: str) -> None:
    tell, words = BAD[name]
    story = Story()
    tell(story)
    assert any(words in fault for fault in story.history.faults()), story.history.faults()
    with pytest.raises(AssertionError, match="contradictions in the history of"):
        story.history.check()


def test_what_is_old_may_be_removed() -> None:
    story = Story(Rules(retention_s=1))
    story.create("s1", at=(0, 10))
    story.show(at=(20, 999_999_999))
    assert len(story.history.faults()) == 1
    story.show(at=(999_999_990, 1_000_000_000))
    assert len(story.history.faults()) == 1


def test_strangers_explain_what_nobody_here_has_asked_for() -> None:
    story = Story(Rules(strangers=True))
    story.show(item("s2"), item("s1", status="CANCELED"))
    story.show_task(7)
    assert story.history.faults() == []


def test_a_walk_is_judged_as_one() -> None:
    story = Story()
    story.bulk(["s1", "s2"])
    story.show(item("s2", path="/data/b"), more="token")
    assert story.history.faults() == []
    story.history.add_walk({}, Span(began_ns=50, ended_ns=60), [item("s2", path="/data/b")])
    assert story.history.faults() == ["s1 was accepted and is missing in a walk with {}"]


def test_what_a_call_raises_is_written_down_and_raised() -> None:
    log = io.StringIO()
    history = History(log=log)

    def refuse() -> Mapping[str, Any]:
        raise ApiRefusedError("no", code="Throttling.User", status=429, request_id="", hint="")

    def vanish() -> Mapping[str, Any]:
        raise ApiUnreachableError("gone")

    with pytest.raises(ApiRefusedError):
        history.observe("CancelDataFlowSubTask", {"DataFlowSubTaskId": "s1"}, refuse)
    with pytest.raises(ApiUnreachableError):
        history.observe("CancelDataFlowSubTask", {"DataFlowSubTaskId": "s1"}, vanish)
    assert history.observe("DescribeFilesystems", {}, lambda: {"TotalCount": 0}) == {"TotalCount": 0}
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line.get("refused") for line in lines] == ["429 Throttling.User", None, None]
    assert [line.get("answer") for line in lines] == [None, None, {"TotalCount": 0}]
    assert history.faults() == []
