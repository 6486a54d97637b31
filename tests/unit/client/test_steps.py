"""Do the client's steps ask as often as they should, and no more: waits, retries, and looks at many files among others'?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from penstock.client.bulk import FileToMove
from penstock.client.requests import wait_for
from penstock.client.signing import Call
from penstock.client.steps import IDS_MAX, PAGE_MAX, Ground, Pause, Steps, patiently
from penstock.client.values import StreamFacts
from penstock.client.window import BY_ID_MAX, Moving, Window
from penstock.errors import ApiRefusedError, ApiUnreachableError, SubTaskGoneError, WaitOverError
from penstock.model import ConflictPolicy, Direction

STREAM = StreamFacts(
    task_id="t", flow_id="df", direction=Direction.EXPORT, directory="/", target_directory="/",
    policy=ConflictPolicy.OVERWRITE_EXISTING, status="Executing",
)  # fmt: skip
CALL = Call(action="DescribeDataFlows", parameters={})


class World:
    """A clock, what was said, and a service with so many sub-tasks of one stream, of which some have ended."""

    def __init__(self, count: int = 0) -> None:
        self.now_s = 100.0
        self.said: list[str] = []
        self.calls: list[Call] = []
        self.pauses: list[float] = []
        self.ids = [f"s{number:06}" for number in range(count)]
        self.ended: set[str] = set()
        self.ground = Ground(
            file_system_id="fs",
            silence_max_s=60,
            on_wait=self.said.append,
            clock=lambda: self.now_s,
            entropy=lambda size: b"\1" * size,
        )

    def window(self, mine: range, *, most: int = 4096) -> Window:
        """One that follows some of the sub-tasks."""
        window = Window(self.ground, STREAM, in_flight_max=most)
        for number in mine:
            name = self.ids[number]
            window.under_way[name] = Moving(name, FileToMove(source=name, target=name))
        return window

    def run(self, steps: Steps[Any], answer: Callable[[Call], Any] | None = None) -> Any:
        """Carry out steps; an answer that is an error is raised."""
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    self.pauses.append(step.seconds)
                    self.now_s += step.seconds
                    step = steps.send({})
                    continue
                self.calls.append(step)
                self.now_s += 0.001
                came = (answer or self.described)(step)
                step = steps.throw(came) if isinstance(came, Exception) else steps.send(came)
        except StopIteration as end:
            return end.value

    def described(self, call: Call) -> dict[str, Any]:
        """A page, newest first."""
        parameters: dict[str, Any] = dict(call.parameters)
        (asked,) = parameters["Filters"]
        if asked["Key"] == "DataFlowSubTaskIds":
            wanted = asked["Value"].split(",")
            assert len(wanted) <= IDS_MAX
            found, token = [each for each in wanted if each in self.ids], None
        else:
            start = int(str(parameters.get("NextToken") or len(self.ids)))
            found = self.ids[max(0, start - PAGE_MAX) : start][::-1]
            token = str(start - PAGE_MAX) if start > PAGE_MAX else None
        rows = {"DataFlowSubTask": [self._row(each) for each in found]}
        return {"DataFlowSubTask": rows, "NextToken": token} if token else {"DataFlowSubTask": rows}

    def _row(self, sub_task_id: str) -> dict[str, Any]:
        stats = {"BytesTotal": 1, "BytesDone": 0, "ActualBytes": 0, "AverageSpeed": 0}
        ids = {"DataFlowSubTaskId": sub_task_id, "DataFlowId": "df", "DataFlowTaskId": "t"}
        state = {"Status": "COMPLETE" if sub_task_id in self.ended else "RUNNING", "Progress": 0}
        return {**ids, **state, "SrcFilePath": "/a", "DstFilePath": "/a", "ProgressStats": stats}


def wait(world: World, window: Window, *, timeout_s: float | None = None) -> Steps[Any]:
    (moving,) = window.under_way.values()
    return wait_for(world.ground, window, moving, timeout_s=timeout_s, on_progress=lambda _: None)


def test_each_pause_of_a_wait_is_followed_by_a_look() -> None:
    world = World(1)
    with pytest.raises(WaitOverError, match="has not ended within 3 s"):
        world.run(wait(world, world.window(range(1)), timeout_s=3))
    assert world.pauses[:5] == [0.05, 0.1, 0.2, 0.4, 0.8]
    assert len(world.calls) == len(world.pauses) + 1


def test_a_look_that_somebody_else_has_made_is_not_made_again() -> None:
    world = World(1)
    window = world.window(range(1))
    one, other = wait(world, window), wait(world, window)
    step = next(one)
    assert isinstance(step, Call)
    assert isinstance(one.send(world.described(step)), Pause)
    assert isinstance(next(other), Pause)  # it has just been looked
    one.close()
    other.close()


def test_a_look_costs_no_more_behind_a_million_others() -> None:
    """A few hundred of ours at the end, one far behind them, and other programs' files in between."""
    world = World(20_000)
    window = world.window(range(19_500, 20_000))
    window.under_way = world.window(range(1)).under_way | window.under_way
    world.ended = set(world.ids[:1] + world.ids[19_900:])
    world.run(window.look())
    assert len(world.calls) <= 2 + 2 * 501 // PAGE_MAX + 10
    assert set(window.ended) == world.ended
    few = world.window(range(BY_ID_MAX))
    world.calls.clear()
    world.run(few.look())
    assert len(world.calls) == BY_ID_MAX // IDS_MAX


def test_all_that_lag_behind_have_their_turn() -> None:
    world = World(30_000)
    window = world.window(range(300))  # so far behind that no walk comes to them
    world.ended = set(world.ids[:300])
    for _ in range(3):
        world.run(window.look())
    assert len(window.ended) == 300


def test_what_the_service_does_not_know_any_more_is_said() -> None:
    world = World(2)
    window = world.window(range(2))
    world.ids.pop()
    with pytest.raises(SubTaskGoneError, match="s000001"):
        world.run(window.look())
    assert list(window.under_way) == ["s000000"]


FULL = ApiRefusedError("too many wait", code="Throttling.User", status=400, retry_after_s=7)
BUSY = ApiRefusedError("going down", code="ServiceUnavailable", status=503)
SILENT = ApiUnreachableError("it does not answer")


def test_the_wish_to_wait_is_granted_as_long_as_it_lasts() -> None:
    world = World()
    script = iter([FULL] * 100 + [{"RequestId": "R"}])
    assert world.run(patiently(world.ground, CALL), lambda _: next(script)) == {"RequestId": "R"}
    assert world.pauses == [7.0] * 100
    assert len(world.said) == 1


@pytest.mark.parametrize("error", [BUSY, SILENT])
def test_silence_is_borne_for_a_while(error: Exception) -> None:
    world = World()
    told: list[Exception] = []
    with pytest.raises(type(error)):
        world.run(patiently(world.ground, CALL, on_silence=told.append), lambda _: error)
    assert 60 <= world.now_s - 100 <= 62
    assert len(told) == len(world.calls)
    assert world.said == [f"{error}; asking again for 60 s"]


def test_another_refusal_is_final() -> None:
    world = World()
    refusal = ApiRefusedError("no", code="Forbidden.RAM", status=403)
    with pytest.raises(ApiRefusedError, match="no"):
        world.run(patiently(world.ground, CALL), lambda _: refusal)
    assert len(world.calls) == 1
