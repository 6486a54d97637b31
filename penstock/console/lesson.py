"""How far the newcomer's four steps are, by what the service says: the lesson keeps no state of its own.

Reads through the API with the visitor's rights. A dataflow of the example's directory and an embedded bucket is the lesson's;
its newest open import is the stream, and the newest sub-task of that the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.console.example import DIRECTORY
from penstock.console.flows import Flow, Stream, all_flows, streams_of
from penstock.console.viewer import Viewer
from penstock.model import Bucket, BucketKind, FileSystem

IMPORT, POLICY = "StreamImport", "OVERWRITE_EXISTING"
ACTIONS = ("CreateDataFlow", "CreateDataFlowTask", "CreateDataFlowSubTask", "DescribeDataFlowSubTasks")
_OPEN = ("Executing", "Pending")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The file of the lesson, as the API describes it."""

    id: str
    status: str
    bytes_done: int
    bytes_total: int
    speed: int
    checksum: str
    error: str
    record: Mapping[str, str]

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status not in ("CREATED", "RUNNING", "CANCELING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What is there by now. `place` and `bucket` are None where the visitor has nothing to learn on."""

    place: FileSystem | None
    bucket: Bucket | None
    flow: Flow | None = None
    stream: Stream | None = None
    moved: Moved | None = None
    is_first: bool = True

    @property
    def step(self) -> int:
        """Which of the four steps is next; 5 when all are done."""
        if self.flow is None:
            return 1
        if self.stream is None:
            return 2
        if self.moved is None:
            return 3
        return 5 if self.moved.status == "COMPLETE" else 4


async def lesson_of(viewer: Viewer) -> Lesson:
    """How far it is."""
    registry = viewer.reach.registry()
    embedded = {name: bucket for name, bucket in registry.buckets.items() if bucket.kind is BucketKind.EMBEDDED}
    places = [
        file_system
        for each, file_system in sorted(registry.file_systems.items())
        if all(viewer.may(action, each) for action in ACTIONS)
    ]
    places.sort(
        key=lambda place: not place.root.startswith(viewer.reach.home + os.sep)
    )  # our own, rather than a real one
    flows = await all_flows(viewer)
    if not places or not embedded:
        return Lesson(place=None, bucket=None, is_first=not flows)
    flow = next((each for each in flows if each.path == DIRECTORY and each.bucket in embedded), None)
    if flow is None:
        return Lesson(place=places[0], bucket=next(iter(embedded.values())), is_first=not flows)
    streams = await streams_of(viewer, flow)
    stream = next((each for each in streams if each.action == IMPORT and each.status in _OPEN), None)
    return Lesson(
        place=registry.file_systems.get(flow.file_system_id),
        bucket=embedded[flow.bucket],
        flow=flow,
        stream=stream,
        moved=await _moved(viewer, flow, stream) if stream is not None else None,
        is_first=len(flows) == 1,
    )


async def _moved(viewer: Viewer, flow: Flow, stream: Stream) -> Moved | None:
    parameters = {
        "FileSystemId": flow.file_system_id,
        "Filters.1.Key": "DataFlowTaskIds",
        "Filters.1.Value": stream.id,
    }
    body = await viewer.read("DescribeDataFlowSubTasks", parameters)
    found: list[Mapping[str, Any]] = list(body["DataFlowSubTask"]["DataFlowSubTask"])
    if not found:
        return None
    told = found[0]
    return Moved(
        id=told["DataFlowSubTaskId"],
        status=told["Status"],
        bytes_done=told["ProgressStats"]["BytesDone"],
        bytes_total=told["ProgressStats"]["BytesTotal"],
        speed=told["ProgressStats"]["AverageSpeed"],
        checksum=told.get("FileDetail", {}).get("Checksum", ""),
        error=told["ErrorMsg"],
        record=told.get("Record", {}),
    )
