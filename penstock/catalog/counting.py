"""Changes of a task's counters and of its dataflow's waiting count, gathered over a batch and written once.

Written in the transaction that changes the rows they count, so that they are never wrong.
"""

from __future__ import annotations

from collections import Counter

from penstock.catalog.session import Session
from penstock.model import SubTaskStatus

_NAMES = (
    *(status.value.lower() for status in SubTaskStatus),
    "moved",
    "bytes_total",
    "bytes_done",
    "actual_bytes",
    "moving_ns",
)


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
        """Write all changes: one statement a task, one a dataflow whose waiting count has changed."""
        waiting: Counter[int] = Counter()
        for (data_flow_number, task_number), counters in sorted(self._tasks.items()):
            if any(counters.values()):
                session.run("tasks.count", number=task_number, **{name: counters[name] for name in _NAMES})
            waiting[data_flow_number] += counters["created"]
        for data_flow_number, change in sorted(waiting.items()):
            if change:
                session.run("data_flows.count_waiting", number=data_flow_number, waiting=change)
        self._tasks.clear()

    def _of(self, data_flow_number: int, task_number: int) -> Counter[str]:
        counters = self._tasks.get((data_flow_number, task_number))
        if counters is None:
            counters = self._tasks[data_flow_number, task_number] = Counter()
        return counters
