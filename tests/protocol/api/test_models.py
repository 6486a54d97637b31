"""Does the server know every parameter that the vendor's SDK sends, and fill every field that it reads?

What is never filled has its reason in docs/fidelity.md (scripts/fidelity/names.toml); both directions are compared.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from penstock.api.dispatch import OPERATIONS
from penstock.api.notbuilt import NOT_BUILT
from penstock.api.operation import Origin
from penstock.catalog.verbs import Settling
from scripts.fidelity import sdk
from scripts.fidelity.rows import lies_below
from scripts.fidelity.sdk import leaves
from tests.fixtures import enginestand, fidelity
from tests.fixtures.apicaller import FILE_SYSTEM
from tests.fixtures.apiserver import ApiServer

VENDORS = {name for name, operation in OPERATIONS.items() if operation.origin is Origin.VENDOR}
NAMES = sorted(VENDORS)
EXTENSIONS = {"Bandwidth", "CompareChecksum"}
"""Parameters that the vendor does not have."""


def test_every_action_of_the_sdk_is_built_or_listed() -> None:
    actions = set(sdk.committed().actions)
    assert len(actions) > 100
    assert actions == VENDORS | NOT_BUILT
    assert not VENDORS & NOT_BUILT
    assert not set(OPERATIONS) & actions - VENDORS


@pytest.mark.rule("RPC-2")
@pytest.mark.parametrize("action", NAMES)
def test_every_parameter_of_the_sdk_is_read(action: str) -> None:
    read = {name for parameter in OPERATIONS[action].parameters for name in parameter.names}
    sent = set(sdk.committed().family[action].parameters)
    assert sent <= read <= sent | EXTENSIONS


def answers(server: ApiServer) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation's answer at least once, with all that can happen to the nouns."""
    ids: dict[str, str] = {"FileSystemId": FILE_SYSTEM}

    def ask(action: str, **parameters: str) -> tuple[str, dict[str, Any]]:
        response = server.ask(action, ids | parameters)
        assert response.status == 200, response.text
        return action, response.body

    flow = ask(
        "CreateDataFlow", FileSystemPath="/data/", SourceStorage="oss://examplebucket", SourceStoragePath="/prefix/"
    )
    yield flow
    ids["DataFlowId"] = flow[1]["DataFlowId"]
    yield ask("ModifyDataFlow", Description="described")
    (server.home / "root" / "data" / "live").mkdir()
    yield ask("ApplyDataFlowAutoRefresh", **{"AutoRefreshs.1.RefreshPath": "/live/"})
    yield ask("ModifyDataFlowAutoRefresh", AutoRefreshPolicy="ImportChanged")
    yield ask("CancelDataFlowAutoRefresh", RefreshPath="/live/")
    yield ask("ApplyDataFlowAutoRefresh", **{"AutoRefreshs.1.RefreshPath": "/live/"})
    yield ask("DescribeDataFlows")
    yield ask("StopDataFlow")
    yield ask("StartDataFlow")
    task = ask("CreateDataFlowTask", TaskAction="StreamImport", ConflictPolicy="KEEP_LATEST")
    yield task
    ids |= {"TaskId": task[1]["TaskId"], "DataFlowTaskId": task[1]["TaskId"]}
    for number in range(24):
        yield ask("CreateDataFlowSubTask", SrcFilePath=f"/{number}", DstFilePath=f"/{number}")
    first, *rest = enginestand.claim(server, ids["TaskId"])
    enginestand.settle(server, first, Settling.COMPLETE)
    enginestand.settle(server, rest[0], Settling.FAILED, error_code="SourceNotFound", error_message="there is none")
    yield ask("CancelDataFlowSubTask", DataFlowSubTaskId=rest[1].sub_task.sub_task_id)
    for claimed in rest[1:]:
        done = Settling.CANCELED if claimed is rest[1] else Settling.COMPLETE
        enginestand.settle(server, claimed, done)
    yield ask("DescribeDataFlowSubTasks", MaxResults="20")
    yield ask("CancelDataFlowTask")
    for _ in range(10):
        yield ask("CreateDataFlowTask", TaskAction="StreamExport", ConflictPolicy="KEEP_LATEST")
    yield ask("DescribeDataFlowTasks", MaxResults="10")
    yield ask("DescribeDataFlowTasks", **{"Filters.1.Key": "Status", "Filters.1.Value": "Canceled"})
    batch = {"TaskAction": "Import", "ConflictPolicy": "KEEP_LATEST"}
    yield ask("CreateDataFlowTask", **batch, Directory="/a/", Includes='["/b/"]')
    yield ask("CreateDataFlowTask", **batch, TransferFileListPath="/lists/")
    enginestand.end_batch(server, ask("CreateDataFlowTask", **batch, EntryList='["/a"]')[1]["TaskId"])
    yield ask("DescribeDataFlowTasks", MaxResults="10")
    for number in range(9):
        yield ask(
            "CreateDataFlow",
            FileSystemPath="/other/",
            SourceStorage="oss://second",
            SourceStoragePath=f"/{number}/",
        )
    yield ask("DeleteDataFlow", DataFlowId=_last_flow(server))
    yield ask("CreateDataFlow", FileSystemPath="/other/", SourceStorage="oss://second", SourceStoragePath="/again/")
    yield ask("DescribeDataFlows", MaxResults="10")
    yield ask("DescribeFileSystems")
    system = replace(server.registry.file_systems[FILE_SYSTEM], file_system_id="cpfs-1")
    server.registry = replace(server.registry, file_systems={**server.registry.file_systems, "cpfs-1": system})
    general = {"FileSystemId": "cpfs-1"}
    bound = ask("CreateFileset", **general, FileSystemPath="/bound/")[1]["FsetId"]
    yield ask("CreateDataFlow", **general, FsetId=bound, SourceStorage="oss://second", Throughput="600")
    yield ask("DescribeDataFlows", **general)
    made = ask("CreateFileSystem", FileSystemType="bmcpfs", ProtocolType="cpfs", StorageType="bm_advance_400")
    yield made
    yield ask("ModifyFileSystem", FileSystemId=made[1]["FileSystemId"], Description="described")
    yield ask("DeleteFileSystem", FileSystemId=made[1]["FileSystemId"])
    limits = {"SizeLimit": str(10 << 30), "FileCountLimit": "10000"}
    for number in range(12):
        fileset = ask("CreateFileset", FileSystemPath=f"/data/{number}/", **{"Quota.SizeLimit": str(10 << 30)})
    yield fileset
    own = {"FsetId": fileset[1]["FsetId"]}
    yield ask("SetFilesetQuota", **own, **limits)
    yield ask("GetFileset", **own)
    yield ask("DescribeFilesets", MaxResults="10")
    yield ask("ModifyFileset", **own, Description="described")
    yield ask("CancelFilesetQuota", **own)
    yield ask("DeleteFileset", **own)


def _last_flow(server: ApiServer) -> str:
    listed = server.ask("DescribeDataFlows", {"FileSystemId": FILE_SYSTEM}).body["DataFlowInfo"]["DataFlow"]
    return str(listed[0]["DataFlowId"])


OURS = {"DescribeDataFlowSubTasks": ("DataFlowSubTask.DataFlowSubTask[].Record",)}
"""What the vendor does not have, by operation: rule SUB-16."""


@pytest.fixture(scope="module")
def observed(shared: ApiServer) -> dict[str, set[str]]:
    """The paths of all values that were answered, by operation."""
    found: dict[str, set[str]] = {}
    for action, body in answers(shared):
        found.setdefault(action, set()).update(leaves(body))
    return found


@pytest.mark.parametrize("action", NAMES)
def test_every_field_that_the_sdk_reads_is_filled_or_excused(action: str, observed: dict[str, set[str]]) -> None:
    known = set(sdk.committed().family[action].fields)
    excuses = fidelity.never_filled().get(action, set())
    unfilled = known - observed[action]
    covered = {leaf for leaf in unfilled for excuse in excuses if lies_below(leaf, excuse)}
    assert unfilled == covered, "fields that are neither filled nor excused"
    ours = {leaf for leaf in observed[action] - known if any(lies_below(leaf, each) for each in OURS.get(action, ()))}
    assert observed[action] - ours <= known, "fields that the SDK does not know"
    assert bool(ours) == (action in OURS)
    for excuse in excuses:
        assert any(lies_below(leaf, excuse) for leaf in unfilled), f"{excuse} is no field that stays empty"
        assert not any(lies_below(leaf, excuse) for leaf in observed[action]), f"{excuse} is filled"
