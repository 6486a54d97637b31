"""Changes of counters, gathered over a batch and written once: a task's, its dataflow's, and what ended in this hour.

Written in the transaction that changes the rows they count, so that they are never wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from penstock.catalog.session import Session
from penstock.model import FINAL_SUB_TASK_STATUSES, SubTaskStatus

HOUR_NS = 3_600_000_000_000

_NAMES = (
    *(status.value.lower() for status in SubTaskStatus),
    "moved",
    "bytes_total",
    "bytes_done",
    "actual_bytes",
    "moving_ns",
)
_FINAL = tuple(sorted(status.value.lower() for status in FINAL_SUB_TASK_STATUSES))
_OF_FLOW = ("canceling", *_FINAL)
_ENDS = (*_FINAL, "bytes_in", "bytes_out")


class Tally:
    """What has changed so far."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[int, int], Counter[str]] = {}

    def moved_on(self, data_flow_number: int, task_number: int, before: str, after: str, count: int = 1) -> None:
        """`count` sub-tasks have gone from one status to another."""
        counters = self._of(data_flow_number, task_number)
        counters[before.lower()] -= count
        counters[after.lower()] += count

    def add(self, data_flow_number: int, task_number: int, **amounts: int) -> None:
        """Others of the counters have grown by these amounts."""
        counters = self._of(data_flow_number, task_number)
        for name, amount in amounts.items():
            counters[name] += amount

    def write(self, session: Session) -> None:
        """Write all changes: one statement a task, one a dataflow whose waiting count has changed, two for all that ended."""
        waiting: Counter[int] = Counter()
        for (data_flow_number, task_number), counters in sorted(self._tasks.items()):
            if any(counters.values()):
                session.run("tasks.count", number=task_number, **{name: counters[name] for name in _NAMES})
            waiting[data_flow_number] += counters["created"]
        for data_flow_number, change in sorted(waiting.items()):
            if change:
                session.run("data_flows.count_waiting", number=data_flow_number, waiting=change)
        _count_ends(session, self._tasks)
        self._tasks.clear()

    def _of(self, data_flow_number: int, task_number: int) -> Counter[str]:
        counters = self._tasks.get((data_flow_number, task_number))
        if counters is None:
            counters = self._tasks[data_flow_number, task_number] = Counter()
        return counters


def count_for_task(session: Session, task_number: int, **amounts: int) -> None:
    """Change counters of a task alone: of one that has no sub-tasks, and has moved nothing that its dataflow counts."""
    session.run("tasks.count", number=task_number, **(dict.fromkeys(_NAMES, 0) | amounts))


def _count_ends(session: Session, tasks: Mapping[tuple[int, int], Counter[str]]) -> None:
    """Count what ended, and what is being withdrawn, for its dataflow: ever, and in this hour."""
    changed = {key: counters for key, counters in tasks.items() if any(counters[name] for name in _OF_FLOW)}
    if not changed:
        return
    moved = sorted({task for (_, task), counters in changed.items() if counters["actual_bytes"]})
    importing = dict(map(tuple, session.rows_in("counts.directions", moved)))
    flows: dict[int, Counter[str]] = {}
    for (flow, task), counters in sorted(changed.items()):
        sums = flows.setdefault(flow, Counter())
        for name in _OF_FLOW:
            sums[name] += counters[name]
        if counters["actual_bytes"]:
            sums["bytes_in" if importing[task] else "bytes_out"] += counters["actual_bytes"]
    session.add("counts.add_to_totals", [{"data_flow_number": flow, **_of(sums)} for flow, sums in flows.items()])
    hour_ns = session.now_ns - session.now_ns % HOUR_NS
    session.add(
        "counts.add_to_hour",
        [
            {"hour_ns": hour_ns, "data_flow_number": flow, **_of(sums)}
            for flow, sums in flows.items()
            if any(sums[name] for name in _FINAL)
        ],
    )


def _of(sums: Counter[str]) -> dict[str, int]:
    return {name: sums[name] for name in ("canceling", *_ENDS)}
