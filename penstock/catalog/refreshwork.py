"""What the catalog's verbs on auto-refreshes take and give: plain values. The verbs are methods of `refreshes.Refreshes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penstock.catalog.batchwork import BatchFile, Remark
from penstock.model import RefreshPolicy, TaskAction

EVERYTHING = "\U0010ffff"
"""Behind a prefix: a key that no object beneath it comes after."""

MINUTE_NS = 60_000_000_000

Marks = Mapping[bytes, bytes]
"""Of objects, by a digest of their key: a digest of how each was seen last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """A dataflow's auto-refresh, as it is looked at.

    `look_ns` is when the look that is under way began, 0 while none is. `is_working`: the dataflow is Running. `has_manual`:
    somebody's batch of it is not over, and comes first. `waiting` are files that the last look found and nobody moves yet.
    """

    data_flow_id: str
    file_system_id: str
    file_system_path: str
    source_storage: str
    source_storage_path: str
    policy: RefreshPolicy
    interval_ns: int
    paths: Sequence[str]
    due_ns: int
    look_ns: int
    waiting: int
    is_working: bool
    has_manual: bool
    action: TaskAction = TaskAction.IMPORT
    directory: str = "/"
    target_directory: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look has seen between two keys: marks of all objects there, and what of them is to be imported."""

    look_ns: int
    path: str
    behind: str
    until: str
    marks: Marks
    files: Sequence[BatchFile]
    remarks: Sequence[Remark]
