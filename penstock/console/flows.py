"""Dataflows and their tasks as the API describes them, read with the visitor's rights, as values for pages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.console.amounts import ns_of
from penstock.console.viewer import RefusedError, Viewer
from penstock.console.wording import flow_trouble

_NOT_TO_BE_SEEN = frozenset({"Forbidden.RAM", "InvalidFileSystem.NotFound", "InvalidParameter.Format"})
PAGE = 100
PAGES_MAX = 10
"""A file system has ten dataflows at most, unless an operator has raised that: then no more than these are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One dataflow."""

    file_system_id: str
    id: str
    path: str
    storage: str
    prefix: str
    security: str
    description: str
    status: str
    error: str
    created_ns: int
    updated_ns: int
    refresh_policy: str = "None"
    refresh_minutes: int = 0
    refresh_paths: tuple[str, ...] = ()
    limits: tuple[int, ...] = ()  # in MB a second
    fset_id: str = ""
    throughput: int = 0  # what was bought

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.storage.partition("://")[2].rpartition(":")[2]

    @property
    def source(self) -> str:
        """`oss://bucket/prefix/`."""
        return f"{self.storage}{self.prefix}"

    def parameters(self) -> dict[str, str | int]:
        """What the call that makes the same again is told."""
        told: dict[str, str | int] = {
            "file_system_id": self.file_system_id,
            "file_system_path": self.path,
            "source_storage": self.storage,
            "source_storage_path": self.prefix,
            "source_security_type": self.security if self.security == "SSL" else "",
            "description": self.description,
            "fset_id": self.fset_id,
            "throughput": self.throughput,
        }
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One task of a dataflow."""

    id: str
    action: str
    status: str
    directory: str
    target_directory: str
    conflict_policy: str
    files: int
    files_done: int
    bytes_done: int
    speed: int
    error: str
    created_ns: int


async def all_flows(viewer: Viewer) -> tuple[Flow, ...]:
    """Of every file system that the visitor sees, newest first."""
    file_systems = [
        each for each in sorted(viewer.reach.registry().file_systems) if viewer.may("DescribeDataFlows", each)
    ]
    found = await asyncio.gather(*(_flows(viewer, each) for each in file_systems))
    return tuple(sorted((flow for some in found for flow in some), key=lambda flow: -flow.created_ns))


async def flow_of(viewer: Viewer, file_system_id: str, data_flow_id: str) -> Flow | None:
    """One dataflow; None where there is none that the visitor may see."""
    filters = {"Filters.1.Key": "DataFlowIds", "Filters.1.Value": data_flow_id}
    result = await viewer.perform("DescribeDataFlows", {"FileSystemId": file_system_id, **filters})
    if result.code in _NOT_TO_BE_SEEN:
        return None
    if not result.ok:
        raise RefusedError(result)
    found = _listed(result.body, "DataFlowInfo", "DataFlow")
    return _flow(found[0]) if found else None


async def streams_of(viewer: Viewer, flow: Flow) -> tuple[Stream, ...]:
    """The newest tasks of a dataflow."""
    parameters = {
        "FileSystemId": flow.file_system_id,
        "Filters.1.Key": "DataFlowIds",
        "Filters.1.Value": flow.id,
        "MaxResults": str(PAGE),
    }
    body = await viewer.read("DescribeDataFlowTasks", parameters)
    return tuple(_stream(each) for each in _listed(body, "TaskInfo", "Task"))


async def _flows(viewer: Viewer, file_system_id: str) -> list[Flow]:
    flows: list[Flow] = []
    token = ""
    for _ in range(PAGES_MAX):
        parameters = {"FileSystemId": file_system_id, "MaxResults": str(PAGE)} | ({"NextToken": token} if token else {})
        body = await viewer.read("DescribeDataFlows", parameters)
        flows += [_flow(each) for each in _listed(body, "DataFlowInfo", "DataFlow")]
        token = str(body.get("NextToken", ""))
        if not token:
            break
    return flows


def _listed(body: Mapping[str, Any], info: str, name: str) -> list[Mapping[str, Any]]:
    return list(body[info][name])


def _flow(told: Mapping[str, Any]) -> Flow:
    return Flow(
        file_system_id=told["FileSystemId"],
        id=told["DataFlowId"],
        path=told["FileSystemPath"],
        storage=told["SourceStorage"],
        prefix=told["SourceStoragePath"],
        security=told["SourceSecurityType"],
        description=told["Description"],
        status=told["Status"],
        error=flow_trouble(told["ErrorMessage"]),
        created_ns=ns_of(told["CreateTime"]),
        updated_ns=ns_of(told["UpdateTime"]),
        refresh_policy=told["AutoRefreshPolicy"],
        refresh_minutes=told["AutoRefreshInterval"],
        refresh_paths=tuple(each["RefreshPath"] for each in told["AutoRefresh"]["AutoRefresh"]),
        limits=tuple(told[name] for name in ("Throughput", "Bandwidth") if name in told),
        fset_id=told.get("FsetId", ""),
        throughput=told.get("Throughput", 0),
    )


def _stream(told: Mapping[str, Any]) -> Stream:
    progress = told["ProgressStats"]
    return Stream(
        id=told["TaskId"],
        action=told["TaskAction"],
        status=told["Status"],
        directory=told["Directory"],
        target_directory=told["DstDirectory"],
        conflict_policy=told["ConflictPolicy"],
        files=progress["FilesTotal"],
        files_done=progress["FilesDone"],
        bytes_done=progress["BytesDone"],
        speed=progress["AverageSpeed"],
        error=told["ErrorMsg"],
        created_ns=ns_of(told["CreateTime"]),
    )
