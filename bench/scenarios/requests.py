"""How many CreateDataFlowSubTask a second does the service answer, durably, and how fast: alone, while many wait or files move?

Alone means that the bucket's server takes connections and never answers, so that what is accepted waits and nothing moves. How
many wait when a row begins stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.dataset import SOURCE_BUCKET
from bench.lean import Answers, quantile
from bench.scenarios.memory import mute
from bench.scenarios.scenario import Choices, Found, Row, Scenario
from bench.service import Penstock
from bench.stage import Stage, silence

BULK_CONNECTIONS = 4
SLICE = 20_000
"""So many are handed over at once where many are to wait."""


def measure(stage: Stage, _choices: Choices, _names: Sequence[str]) -> Found:
    """Rows: alone with many connections, alone with one, describe, by both doors while many wait, and while small files move."""
    count, connections = stage.scale.creates, stage.scale.create_connections
    rows: list[Row] = []
    room = 2 * max(stage.scale.creates_waiting) + stage.scale.runs * count
    with stage.another("requests", settings={"waiting_max": room}) as service, mute() as port:
        flow = service.flow(SOURCE_BUCKET, "/in/")
        silence(service, SOURCE_BUCKET, port)
        crowd = _Crowd(stage, service, flow)
        rows += [crowd.row("create, nothing moves", count, connections) for _ in range(stage.scale.runs)]
        rows.append(crowd.row("create, one at a time", min(count, 500), 1))
        ids = _some_ids(service, crowd.task)
        calls = [service.signed("DescribeDataFlowSubTasks", Filters=_of(each)) for each in ids * (count // len(ids))]
        rows.append(_row(stage, "describe one by id", service, calls, connections) | {"waiting": crowd.waiting})
        for waiting in stage.scale.creates_waiting:
            crowd.grow(waiting)
            rows.append(crowd.row("create, many wait", count, connections))
            rows.append(crowd.bulk_row("bulk door, many wait", count))
    rows.append(_while_moving(stage))
    return {"requests": rows}


class _Crowd:
    """Sub-tasks of one stream that wait, more and more of them."""

    def __init__(self, stage: Stage, service: Penstock, flow: str) -> None:
        self._stage = stage
        self._service = service
        self._flow = flow
        self.task = service.task(flow, "StreamImport", "/none/", "/none/")
        self.waiting = 0

    def row(self, what: str, count: int, connections: int) -> Row:
        """So many more, each by a call of its own."""
        calls = [self._service.sub_task(self._flow, self.task, name) for name in self._names(count)]
        row = _row(self._stage, what, self._service, calls, connections) | {"waiting": self.waiting}
        self.waiting += count
        return row

    def bulk_row(self, what: str, count: int) -> Row:
        """So many more through the bulk door: calls and latencies are those of pages, the rest is of files."""
        calls = self._service.bulk(self._flow, self.task, self._names(count))
        row = _row(self._stage, what, self._service, calls, BULK_CONNECTIONS, files=count) | {"waiting": self.waiting}
        self.waiting += count
        return row

    def grow(self, count: int) -> None:
        """Until at least so many wait."""
        while self.waiting < count:
            more = min(SLICE, count - self.waiting)
            calls = self._service.bulk(self._flow, self.task, self._names(more))
            self._service.ask(calls, connections=BULK_CONNECTIONS)
            self.waiting += more

    def _names(self, count: int) -> list[str]:
        return [f"{number:09d}" for number in range(self.waiting, self.waiting + count)]


def _of(identifier: str) -> list[dict[str, str]]:
    return [{"Key": "DataFlowSubTaskIds", "Value": identifier}]


def _some_ids(service: Penstock, task: str) -> list[str]:
    filters = [{"Key": "DataFlowTaskIds", "Value": task}]
    answer = service.call("DescribeDataFlowSubTasks", Filters=filters, MaxResults=100)
    return [str(each["DataFlowSubTaskId"]) for each in answer["DataFlowSubTask"]["DataFlowSubTask"]]


def _while_moving(stage: Stage) -> Row:
    """Imports of the small set, created at full speed while they are moved."""
    service, arena = stage.penstock, stage.arena
    names = stage.datasets["small"].files_set.names()
    (flow,) = [each for direction, each in arena.flows.items() if direction == "import"]
    task = service.task(flow, "StreamImport", "/small/", "/moving/")
    rounds = max(1, stage.scale.creates // len(names))
    calls = [service.sub_task(flow, task, name, f"{turn}/{name}") for turn in range(rounds) for name in names]
    row = _row(stage, "create, while these files move", service, calls, stage.scale.create_connections)
    service.wait(task, len(calls), every_s=0.2, limit_s=600)
    return row


def _row(stage: Stage, what: str, service: Penstock, calls: list[bytes], connections: int, *, files: int = 0) -> Row:
    """`files`: of how many they speak; each of one where that is 0."""
    before = service.account.cpu()
    answers = service.ask(calls, connections=connections)
    cpu_s = service.account.cpu().since(before).total_s
    row = as_row(what, answers, connections, cpu_s, files=files or len(calls))
    stage.say(
        f"  {what}: {row['per_second']:,.0f}/s, p50 {1e3 * row['p50_s']:.1f} ms, p99 {1e3 * row['p99_s']:.1f} ms, "
        f"{1e6 * row['cpu_s_per_call']:.0f} µs CPU each"
    )
    return row


def as_row(what: str, answers: Answers, connections: int, cpu_s: float, *, files: int) -> Row:
    """Plain values; what is told for each is for each of `files`."""
    return {
        "what": what,
        "calls": len(answers.latencies_s),
        "connections": connections,
        "per_second": files / answers.wall_s,
        "p50_s": quantile(answers.latencies_s, 0.5),
        "p99_s": quantile(answers.latencies_s, 0.99),
        "cpu_s_per_call": cpu_s / files,
    }


SCENARIO = Scenario(measure=measure, sets=("small",))
