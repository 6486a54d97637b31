"""How many CreateDataFlowSubTask a second does the service answer, durably, and how fast: alone, and while files move?

Alone means that the bucket's server takes connections and never answers, so that what is accepted waits and nothing moves.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.dataset import SOURCE_BUCKET
from bench.lean import Answers, quantile
from bench.scenarios.memory import mute
from bench.scenarios.scenario import Choices, Found, Row, Scenario
from bench.service import Penstock
from bench.stage import Stage, silence


def measure(stage: Stage, _choices: Choices, _names: Sequence[str]) -> Found:
    """Rows: alone with many connections, alone with one, describe, and while small files move."""
    count, connections = stage.scale.creates, stage.scale.create_connections
    rows: list[Row] = []
    with stage.another("requests") as service, mute() as port:
        flow = service.flow(SOURCE_BUCKET, "/in/")
        silence(service, SOURCE_BUCKET, port)
        task = service.task(flow, "StreamImport", "/none/", "/none/")
        for number in range(stage.scale.runs):
            calls = [service.sub_task(flow, task, f"{number}-{index:07d}") for index in range(count)]
            rows.append(_row(stage, "create, nothing moves", service, calls, connections))
        calls = [service.sub_task(flow, task, f"one-{index:07d}") for index in range(min(count, 500))]
        rows.append(_row(stage, "create, one at a time", service, calls, 1))
        ids = _some_ids(service, task)
        calls = [service.signed("DescribeDataFlowSubTasks", Filters=_of(each)) for each in ids * (count // len(ids))]
        rows.append(_row(stage, "describe one by id", service, calls, connections))
    rows.append(_while_moving(stage))
    return {"requests": rows}


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


def _row(stage: Stage, what: str, service: Penstock, calls: list[bytes], connections: int) -> Row:
    before = service.account.cpu()
    answers = service.ask(calls, connections=connections)
    cpu_s = service.account.cpu().since(before).total_s
    row = as_row(what, answers, connections, cpu_s)
    stage.say(
        f"  {what}: {answers.per_second:,.0f}/s, p50 {answers.quantile_s(0.5) * 1e3:.1f} ms, "
        f"p99 {answers.quantile_s(0.99) * 1e3:.1f} ms, {1e6 * cpu_s / len(calls):.0f} µs CPU each"
    )
    return row


def as_row(what: str, answers: Answers, connections: int, cpu_s: float) -> Row:
    """Plain values."""
    return {
        "what": what,
        "calls": len(answers.latencies_s),
        "connections": connections,
        "per_second": answers.per_second,
        "p50_s": quantile(answers.latencies_s, 0.5),
        "p99_s": quantile(answers.latencies_s, 0.99),
        "cpu_s_per_call": cpu_s / len(answers.latencies_s),
    }


SCENARIO = Scenario(measure=measure, sets=("small",))
