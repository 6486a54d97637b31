"""What never changes about a stream once it is open: its direction, its directories, its dataflow's two ends.

Read from the catalog once and kept in a bounded table, so that each of a million sub-tasks costs one transaction and no
further query. States are not kept here: the transaction that takes a sub-task judges them.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.catalog.catalog import Catalog
from penstock.model import Direction, TaskAction


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The constant part of a task and its dataflow, source and target seen from the task's direction."""

    action: TaskAction
    direction: Direction
    bucket: str  # scheme://name, whatever account the dataflow names
    source_root: str
    target_root: str
    source_directory: str
    target_directory: str


class Streams:
    """The table. One event loop; oldest entries go first."""

    def __init__(self, catalog: Catalog, *, max_count: int) -> None:
        self._catalog = catalog
        self._max_count = max_count
        self._known: dict[tuple[str, str, str], Stream] = {}

    async def find(self, file_system_id: str, data_flow_id: str, task_id: str) -> Stream:
        """Raises DataFlowNotFoundError, TaskNotFoundError."""
        key = (file_system_id, data_flow_id, task_id)
        stream = self._known.get(key)
        if stream is None:
            stream = await self._read(*key)
            while len(self._known) >= self._max_count:
                del self._known[next(iter(self._known))]
            self._known[key] = stream
        return stream

    async def _read(self, file_system_id: str, data_flow_id: str, task_id: str) -> Stream:
        flow = await self._catalog.data_flow(file_system_id, data_flow_id)
        task = await self._catalog.task(file_system_id, data_flow_id, task_id)
        importing = task.direction is Direction.IMPORT
        return Stream(
            action=task.action,
            direction=task.direction,
            bucket=f"{flow.source_storage.partition('://')[0]}://{flow.bucket}",
            source_root=flow.source_storage_path if importing else flow.file_system_path,
            target_root=flow.file_system_path if importing else flow.source_storage_path,
            source_directory=task.directory,
            target_directory=task.target_directory,
        )
