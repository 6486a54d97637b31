"""What do a page of sub-tasks and a moved file cost as the catalog grows from 10^4 to 10^7 rows? One catalog, grown in steps.

All calls go through the real API over one kept connection; files move for real. The rows are finished sub-tasks: copies, made
by SQL while the service is stopped, of rows that real imports left in this catalog (see `bench.crowd`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

from bench.crowd import FAILED_OF, Crowd, Model
from bench.dataset import SOURCE_BUCKET
from bench.lean import quantile
from bench.scenarios.scenario import Choices, Found, Row, Scenario
from bench.service import Penstock
from bench.stage import Stage
from penstock.client import Parameter

STREAMS = 2
PAGE_ROWS = 100
DEEP = 10
SETTLED_S = 60.0
GROWTH_ROUNDS = 3
ROWS_LEAST = DEEP * PAGE_ROWS * FAILED_OF * STREAMS
"""With fewer a deep page of what has failed in one stream is not full."""
Filters = list[dict[str, str]]


def measure(stage: Stage, _choices: Choices, names: Sequence[str]) -> Found:
    """Rows of `pages`, of `growth`, or of both."""
    found: Found = {name: [] for name in names}
    with stage.another("growing") as service:
        flow = service.flow(SOURCE_BUCKET, "/in/")
        models = [_model(stage, service, flow, number) for number in range(STREAMS)]
        crowd = Crowd(service.home / "catalog.db", models)
        for rows in stage.scale.rows:
            begun = time.perf_counter()
            service.pause()
            crowd.grow(rows)
            service.go_on()
            stage.say(f"  {rows:,} rows, made in {time.perf_counter() - begun:.0f} s")
            if "pages" in found:
                found["pages"] += _pages(stage, service, flow, crowd, models)
            if "growth" in found:
                found["growth"].append(_growth(stage, service, flow, rows))
    for rows_of in found.values():
        _against_the_smallest(rows_of)
    return found


def _model(stage: Stage, service: Penstock, flow: str, number: int) -> Model:
    """A stream with one import that goes well and one of an object that is not there."""
    task = service.task(flow, "StreamImport", "/small/", f"/model-{number}/")
    name = stage.datasets["small"].files_set.names()[0]
    service.ask([service.sub_task(flow, task, name), service.sub_task(flow, task, "absent")], connections=1)
    until = time.monotonic() + SETTLED_S
    while True:
        ended = {each["Status"]: each for each in _sub_tasks(service, [_filter("DataFlowTaskIds", task)])}
        if set(ended) == {"COMPLETE", "FAILED"}:
            break
        if time.monotonic() > until:
            raise TimeoutError(f"the models did not end: {ended}")
        time.sleep(0.05)
    complete, failed = ended["COMPLETE"], ended["FAILED"]
    return Model(
        task_id=task,
        complete_id=complete["DataFlowSubTaskId"],
        complete_paths=(complete["SrcFilePath"], complete["DstFilePath"]),
        failed_id=failed["DataFlowSubTaskId"],
        failed_paths=(failed["SrcFilePath"], failed["DstFilePath"]),
    )


def _filter(key: str, value: str) -> dict[str, str]:
    return {"Key": key, "Value": value}


def _sub_tasks(service: Penstock, filters: Filters) -> list[Row]:
    found: list[Row] = service.call("DescribeDataFlowSubTasks", Filters=filters)["DataFlowSubTask"]["DataFlowSubTask"]
    return found


# ------------------------------------------------------------------------------------------------------------------ pages


def _pages(stage: Stage, service: Penstock, flow: str, crowd: Crowd, models: Sequence[Model]) -> list[Row]:
    """The first page and a deep one along each index."""
    count = stage.scale.page_samples
    picked = crowd.picked(count)
    failed = _filter("Status", "FAILED")
    along: dict[str, list[Filters]] = {
        "file system": [[]],
        "dataflow, status": [[_filter("DataFlowIds", flow), failed]],
        "task, status": [[_filter("DataFlowTaskIds", models[0].task_id), failed]],
        "status": [[failed]],
        "id": [[_filter("DataFlowSubTaskIds", each.sub_task_id)] for each in picked],
        "source": [[_filter("SrcFilePath", each.source)] for each in picked],
        "target": [[_filter("DstFilePath", each.target)] for each in picked],
    }
    found: list[Row] = []
    for name, choices in along.items():
        is_list = len(choices) == 1
        pages = [("first", "")] if not is_list else [("first", ""), (f"{DEEP}th", _token(service, choices[0]))]
        for page, token in pages:
            calls = [_page_call(service, choices[number % len(choices)], token) for number in range(count)]
            service.ask(calls[: count // 10], connections=1)  # the first looks find nothing in memory
            calls = [_page_call(service, choices[number % len(choices)], token) for number in range(count)]
            answers = service.ask(calls, connections=1)
            p50_s = quantile(answers.latencies_s, 0.5)
            found.append(
                {
                    "rows": crowd.count,
                    "filter": name,
                    "page": page,
                    "answered": _answered(service, choices[0], token, wanted=PAGE_ROWS if is_list else 1),
                    "value_s": p50_s,
                    "p50_s": p50_s,
                    "p99_s": quantile(answers.latencies_s, 0.99),
                }
            )
            stage.say(f"  {crowd.count:,} rows, by {name}, {page} page: p50 {p50_s * 1e3:.2f} ms")
    return found


def _asking(filters: Filters, token: str) -> dict[str, Parameter | None]:
    return {"Filters": list(filters) or None, "MaxResults": PAGE_ROWS, "NextToken": token or None}


def _page_call(service: Penstock, filters: Filters, token: str) -> bytes:
    return service.signed("DescribeDataFlowSubTasks", **_asking(filters, token))


def _token(service: Penstock, filters: Filters) -> str:
    """The token of a deep page."""
    token = ""
    for _ in range(DEEP - 1):
        token = str(service.call("DescribeDataFlowSubTasks", **_asking(filters, token))["NextToken"])
    return token


def _answered(service: Penstock, filters: Filters, token: str, *, wanted: int) -> int:
    """How many sub-tasks are on that page. Raises ValueError when it is not full: then it would measure nothing."""
    answer = service.call("DescribeDataFlowSubTasks", **_asking(filters, token))
    count = len(answer["DataFlowSubTask"]["DataFlowSubTask"])
    if count != wanted:
        raise ValueError(f"{count} sub-tasks on a page by {filters}, instead of {wanted}")
    return count


# ----------------------------------------------------------------------------------------------------------------- growth


def _growth(stage: Stage, service: Penstock, flow: str, rows: int) -> Row:
    """What one more file costs, from CreateDataFlowSubTask to COMPLETE, with so many rows there: the median of three rounds."""
    names = stage.datasets["small"].files_set.names()
    count = stage.scale.growth_files
    costs, speeds = [], []
    for number in range(GROWTH_ROUNDS + 1):
        task = service.task(flow, "StreamImport", "/small/", f"/grown-{rows}-{number}/")
        calls = [
            service.sub_task(
                flow, task, names[index % len(names)], f"{index // len(names)}/{names[index % len(names)]}"
            )
            for index in range(count)
        ]
        before, begun = service.account.cpu(), time.perf_counter()
        service.ask(calls, connections=stage.scale.create_connections)
        service.wait(task, count, every_s=0.05, limit_s=600)
        if number:  # the first round warms up
            speeds.append(count / (time.perf_counter() - begun))
            costs.append(service.account.cpu().since(before).total_s / count)
    stage.say(f"  {rows:,} rows: {median(costs) * 1e6:.0f} µs CPU a file, {median(speeds):,.0f} files/s")
    return {
        "rows": rows,
        "files": count,
        "per_second": median(speeds),
        "cpu_s_per_file": median(costs),
        "value_s": median(costs),
    }


def _against_the_smallest(rows: list[Row]) -> None:
    """Each row's figure over that of the same question at the fewest rows."""
    smallest: dict[tuple[object, object], float] = {}
    for row in rows:
        first = smallest.setdefault((row.get("filter"), row.get("page")), row["value_s"])
        row["ratio"] = row.pop("value_s") / first


SCENARIO = Scenario(measure=measure, sets=("small",))
