"""The trail from an API request to what it has made: one line of the log for each call that has made something.

A call that moves one file takes a fraction of a millisecond, of which a line of its own would be a tenth: so what is to be said
is gathered for a moment and written at once. What a SIGKILL finds gathered is not written. Called on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from penstock import telemetry
from penstock.api.operation import Operation, Reply

FLUSH_S = 0.25
GATHERED_MAX = 512

_EVENT = "api.made"
_FIELDS = ("request_id", "action", "task_id", "first_id", "last_id", "count")
_MANY, _SUB_TASK = "DataFlowSubTask", "DataFlowSubTaskId"


class Trail:
    """`made` for each reply to a call that changes something; `flush` when no more come."""

    def __init__(self) -> None:
        self._gathered: list[tuple[str, str, str, str, str, int]] = []

    def made(self, operation: Operation, reply: Reply, wire: Mapping[str, str], request_id: str) -> None:
        """Note what this call has made, if anything. The ids of many are in order: all of them lie from the first to the last."""
        made = _ids_of(operation, reply)
        if not made or not made[0]:
            return  # nothing, or a dry run
        if not self._gathered:
            asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        task_id = wire.get("DataFlowTaskId", "")
        self._gathered.append((request_id, operation.name, task_id, made[0], made[-1], len(made)))
        if len(self._gathered) >= GATHERED_MAX:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        gathered, self._gathered = self._gathered, []
        telemetry.events(_EVENT, _FIELDS, gathered)


def _ids_of(operation: Operation, reply: Reply) -> Sequence[str]:
    if operation.answers_id:
        return (str(reply.fields.get(operation.answers_id, "")),)
    many = reply.fields.get(_MANY) if operation.recall is not None else None
    results = many[_MANY] if isinstance(many, Mapping) else ()
    found = [one.get(_SUB_TASK, "") for one in results if isinstance(one, Mapping)] if isinstance(results, list) else []
    return [str(one) for one in found if one]
