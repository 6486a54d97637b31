"""One call of every action that would be carried out, over things that are there: what fuzzing begins with."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from penstock.api.dispatch import ALIASES, OPERATIONS
from tests.fixtures.apicaller import FILE_SYSTEM, ApiCaller

ACTIONS = sorted([*OPERATIONS, *ALIASES])
NEW_SYSTEM = {"FileSystemType": "bmcpfs", "ProtocolType": "cpfs", "StorageType": "bm_advance_400"}
FORGETFUL = frozenset({"nonces_even", "nonces_odd", "nonce_turn"})
"""A refused call leaves its nonce, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A dataflow with a stream and a waiting sub-task and with an idle stream; and another dataflow, which is stopped."""

    flow: str
    task: str
    sub_task: str
    idle: str
    stopped: str
    fileset: str
    system: str


def make_world(server: ApiCaller, number: int) -> World:
    """Things that no other world has."""
    for name in (f"w{number}/live", f"w{number}/more", f"s{number}"):
        (server.home / "root" / name).mkdir(parents=True, exist_ok=True)
    flow = server.make_flow(FileSystemPath=f"/w{number}/", SourceStoragePath=f"/w{number}/")
    stopped = server.make_flow(FileSystemPath=f"/s{number}/", SourceStoragePath=f"/s{number}/")
    server.make("StopDataFlow", "RequestId", {"FileSystemId": FILE_SYSTEM, "DataFlowId": stopped})
    refreshed = {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow, "AutoRefreshs.1.RefreshPath": "/live/"}
    server.make("ApplyDataFlowAutoRefresh", "RequestId", refreshed)
    task = server.make_stream(flow)
    return World(
        flow=flow,
        task=task,
        sub_task=server.make_sub_task(flow, task),
        idle=server.make_stream(flow),
        stopped=stopped,
        system=server.make("CreateFileSystem", "FileSystemId", NEW_SYSTEM),
        fileset=server.make("CreateFileset", "FsetId", {"FileSystemId": FILE_SYSTEM, "FileSystemPath": f"/f{number}/"}),
    )


def call_of(action: str, world: World) -> dict[str, str]:
    """Parameters with which the action succeeds, all of its own and none that is useless."""
    own = {"FileSystemId": FILE_SYSTEM}
    flow = own | {"DataFlowId": world.flow}
    stream = flow | {"DataFlowTaskId": world.task}
    fileset = own | {"FsetId": world.fileset}
    filters = {"Filters.1.Key": "FsetIds", "Filters.1.Value": "", "MaxResults": "20"}
    entries = [
        {"SrcFilePath": "/e", "DstFilePath": "/e", "Condition": {"Size": 5, "ModifyTime": "1725897600000000001"}}
    ]
    calls: Mapping[str, dict[str, str]] = {
        "DescribeFileSystems": own | {"FileSystemType": "cpfs", "PageNumber": "1", "PageSize": "10"},
        "CreateFileSystem": NEW_SYSTEM | {"Description": "a file system", "DryRun": "true"},
        "DeleteFileSystem": {"FileSystemId": world.system},
        "ModifyFileSystem": {"FileSystemId": world.system, "Description": "another"},
        "CreateFileset": own
        | {
            "FileSystemPath": f"/new-{world.flow}/",
            "Description": "a fileset",
            "DeletionProtection": "true",
            "Quota.SizeLimit": str(10 << 30),
            "Quota.FileCountLimit": "10000",
            "DryRun": "true",
        },
        "DescribeFilesets": own
        | filters
        | {"Filters.1.Key": "FsetIds", "Filters.1.Value": world.fileset}
        | {"OrderByField": "SizeLimit", "SortOrder": "desc"},
        "GetFileset": fileset,
        "ModifyFileset": fileset | {"Description": "another"},
        "DeleteFileset": fileset | {"DryRun": "true"},
        "SetFilesetQuota": fileset | {"SizeLimit": str(10 << 30), "FileCountLimit": "10000"},
        "CancelFilesetQuota": fileset,
        "CreateDataFlow": own
        | {
            "FileSystemPath": "/other/",
            "SourceStorage": "oss://second",
            "SourceStoragePath": "/other/",
            "Description": "a dataflow",
            "DryRun": "true",
        },
        "DescribeDataFlows": own | filters | {"Filters.1.Key": "DataFlowIds", "Filters.1.Value": world.flow},
        "ModifyDataFlow": flow | {"Description": "another"},
        "ApplyDataFlowAutoRefresh": flow
        | {
            "AutoRefreshs.1.RefreshPath": "/more/",
            "AutoRefreshPolicy": "ImportChanged",
            "AutoRefreshInterval": "30",
            "DryRun": "true",
        },
        "ModifyDataFlowAutoRefresh": flow | {"AutoRefreshPolicy": "None", "AutoRefreshInterval": "20"},
        "CancelDataFlowAutoRefresh": flow | {"RefreshPath": "/live/", "DryRun": "true"},
        "StartDataFlow": own | {"DataFlowId": world.stopped, "DryRun": "true"},
        "StopDataFlow": flow | {"DryRun": "true"},
        "DeleteDataFlow": own | {"DataFlowId": world.stopped, "DryRun": "true"},
        "CreateDataFlowTask": flow
        | {"TaskAction": "StreamExport", "ConflictPolicy": "SKIP_THE_FILE", "DryRun": "true"},
        "DescribeDataFlowTasks": own | filters | {"Filters.1.Key": "TaskIds", "Filters.1.Value": world.task},
        "CancelDataFlowTask": flow | {"TaskId": world.idle, "DryRun": "true"},
        "CreateDataFlowSubTask": stream
        | {
            "SrcFilePath": "/f",
            "DstFilePath": "/f",
            "Condition.Size": "5",
            "Condition.ModifyTime": "1725897600000000001",
        },
        "DescribeDataFlowSubTasks": own
        | filters
        | {"Filters.1.Key": "DataFlowSubTaskIds", "Filters.1.Value": world.sub_task},
        "CancelDataFlowSubTask": stream | {"DataFlowSubTaskId": world.sub_task, "DryRun": "true"},
        "DescribeOverview": own | {"MaxMoving": "5", "MaxTroubles": "5"},
        "DescribeDataFlowSubTaskDetail": own | {"DataFlowSubTaskId": world.sub_task},
        "CreateDataFlowSubTasks": stream | {"SubTasks": json.dumps(entries)},
    }
    return calls[ALIASES[action].name if action in ALIASES else action]


def ledger(server: ApiCaller) -> dict[str, list[tuple[object, ...]]]:
    """Everything that the catalog knows, but nonces."""
    with closing(sqlite3.connect(f"file:{server.home / 'catalog.db'}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: database.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall()
            for name in tables
            if name not in FORGETFUL
        }
