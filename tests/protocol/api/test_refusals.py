"""Is each documented refusal of each operation answered, with its status, where it is due?

One line a refusal, over one server with a few nouns in every state; where more has to happen first, other tests have the
mark.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from penstock.api.errors import ApiError
from tests.fixtures import enginestand
from tests.fixtures.apicaller import OLD_FILE_SYSTEM, OLDEST_FILE_SYSTEM
from tests.fixtures.apiserver import ApiServer, serving
from tests.fixtures.inmemory import memory_directory
from tests.fixtures.refusals import Refusal, refresh_paths, refusal
from tests.fixtures.registered import registered_bucket
from tests.protocol.api.usual import FILTER, FLOW, NOTHING, NUL, OTHER_POLICY, STRANGE_FILTER, SYSTEM, USUAL

LONG = 1 << 10  # what a URL may not hold goes into a form


@pytest.fixture(scope="module")
def nouns(world: ApiServer) -> Mapping[str, str]:
    """The ids that wires name in braces."""
    root = world.home / "root"
    (root / "file").touch()
    (root / "link").symlink_to("data")
    (root / "out").symlink_to("/")
    flow, stopped = world.make_flow(), world.make_flow(SourceStoragePath="/stopped/")
    elsewhere = world.make_flow(SourceStoragePath="/elsewhere/")
    world.make("StopDataFlow", "RequestId", {**SYSTEM, "DataFlowId": stopped})
    stream, ended = world.make_stream(flow), world.make_stream(flow)
    world.make("CancelDataFlowTask", "RequestId", {**FLOW, "DataFlowId": flow, "TaskId": ended})
    finished = world.make_sub_task(flow, stream, "/done", "/done")
    enginestand.complete(world, stream)
    batch = {**SYSTEM, "DataFlowId": elsewhere, **OTHER_POLICY, "Directory": "/a/"}
    return {
        "flow": flow,
        "stopped": stopped,
        "elsewhere": elsewhere,
        "stream": stream,
        "ended": ended,
        "file": world.make_sub_task(flow, stream),
        "finished": finished,
        "fileset": world.make(
            "CreateFileset", "FsetId", {**SYSTEM, "FileSystemPath": "/set/", "DeletionProtection": "true"}
        ),
        "batch": world.make("CreateDataFlowTask", "TaskId", batch),
    }


@pytest.fixture(scope="module")
def world() -> Iterator[ApiServer]:
    """The server of all lines."""
    with memory_directory() as home, serving(Path(home)) as server:
        server.add_bucket(registered_bucket("gone"))
        yield server


@pytest.mark.parametrize(
    "line",
    [
        refusal("CreateDataFlow", "IllegalCharacters", FileSystemPath=NUL),
        refusal("CreateDataFlow", "MissingFileSystemId", FileSystemId=""),
        refusal("CreateDataFlow", "MissingSourceStorage", SourceStorage=""),
        refusal("CreateDataFlow", "InvalidFilesystemVersion.NotSupport", FileSystemId=OLDEST_FILE_SYSTEM),
        refusal("CreateDataFlow", "OperationDenied.ConflictOperation", SourceStorage="oss://second"),
        refusal("CreateDataFlow", "OperationDenied.DependBucketTag", SourceStorage="oss://untagged"),
        refusal("CreateDataFlow", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("CreateDataFlow", "InvalidFileSystemPath.NotFound", FileSystemPath="/none/"),
        refusal("CreateDataFlow", "InvalidThroughput.OutOfBounds", Throughput="601"),
        refusal("CreateDataFlow", "InvalidDescription.InvalidFormat", Description="1st"),
        refusal("CreateDataFlow", "InvalidRefreshPath.InvalidParameter", {"AutoRefreshs.1.RefreshPath": "a"}),
        refusal("CreateDataFlow", "InvalidRefreshPath.Duplicated", refresh_paths("/a/", "/a/")),
        refusal("CreateDataFlow", "InvalidRefreshPath.NotFound", refresh_paths("/none/")),
        refusal(
            "CreateDataFlow",
            "InvalidAutoRefresh.TooManyAutoRefreshes",
            refresh_paths("/1/", "/2/", "/3/", "/4/", "/5/", "/6/"),
        ),
        refusal("CreateDataFlow", "InvalidRefreshPolicy.InvalidParameter", AutoRefreshPolicy="Always"),
        refusal("CreateDataFlow", "InvalidRefreshInterval.OutOfBounds", AutoRefreshInterval="4"),
        refusal("CreateDataFlow", "InvalidSourceStorage.NotFound", SourceStorage="oss://none"),
        refusal("CreateDataFlow", "InvalidSourceStorage.NotSupport", SourceStorage="nfs://examplebucket"),
        refusal("CreateDataFlow", "InvalidSourceStorage.InvalidParameter", SourceStorage="examplebucket"),
        refusal("CreateDataFlow", "InvalidSourceSecurityType.NotSupport", SourceSecurityType="SSL"),
        refusal("CreateDataFlow", "InvalidParameter.InvalidFormat", DryRun="perhaps"),
        refusal("DescribeDataFlows", "IllegalCharacters", NextToken=NUL),
        refusal("DescribeDataFlows", "MissingFileSystemId", FileSystemId=""),
        refusal("DescribeDataFlows", "InvalidFilesystemVersion.NotSupport", FileSystemId=OLDEST_FILE_SYSTEM),
        refusal("DescribeDataFlows", "InvalidFilterValue", FILTER),
        refusal("DescribeDataFlows", "InvalidFilterParam", STRANGE_FILTER),
        refusal("DescribeDataFlows", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("DescribeDataFlows", "InvalidParameter.InvalidNextToken", NextToken="none"),
        refusal("DescribeDataFlows", "InvalidParameter.InvalidMaxResults", MaxResults="9"),
        refusal("ModifyDataFlow", "IllegalCharacters", Description=NUL),
        refusal("ModifyDataFlow", "MissingFileSystemId", FileSystemId=""),
        refusal("ModifyDataFlow", "MissingDataFlowId", DataFlowId=""),
        refusal("ModifyDataFlow", "OperationDenied.InvalidState", DataFlowId="{stopped}"),
        refusal("ModifyDataFlow", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("ModifyDataFlow", "InvalidDataFlow.NotFound", DataFlowId=NOTHING),
        refusal("ModifyDataFlow", "InvalidThroughput.OutOfBounds", Throughput="601"),
        refusal("ModifyDataFlow", "InvalidDescription.InvalidFormat", Description="1st"),
        refusal("ModifyDataFlow", "InvalidFilesystemVersion.NotSupport", FileSystemId=OLDEST_FILE_SYSTEM),
        refusal("StartDataFlow", "IllegalCharacters", ClientToken=NUL),
        refusal("StartDataFlow", "MissingFileSystemId", FileSystemId=""),
        refusal("StartDataFlow", "MissingDataFlowId", DataFlowId=""),
        refusal("StartDataFlow", "OperationDenied.InvalidState"),
        refusal("StartDataFlow", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("StartDataFlow", "InvalidDataFlow.NotFound", DataFlowId=NOTHING),
        refusal("StopDataFlow", "IllegalCharacters", ClientToken=NUL),
        refusal("StopDataFlow", "MissingFileSystemId", FileSystemId=""),
        refusal("StopDataFlow", "MissingDataFlowId", DataFlowId=""),
        refusal("StopDataFlow", "OperationDenied.InvalidState", DataFlowId="{stopped}"),
        refusal("StopDataFlow", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("StopDataFlow", "InvalidDataFlow.NotFound", DataFlowId=NOTHING),
        refusal("DeleteDataFlow", "IllegalCharacters", ClientToken=NUL),
        refusal("DeleteDataFlow", "MissingFileSystemId", FileSystemId=""),
        refusal("DeleteDataFlow", "MissingDataFlowId", DataFlowId=""),
        refusal("DeleteDataFlow", "OperationDenied.DependencyViolation"),
        refusal("DeleteDataFlow", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("DeleteDataFlow", "InvalidDataFlow.NotFound", DataFlowId=NOTHING),
        refusal("CreateDataFlowTask", "IllegalCharacters", Directory=NUL),
        refusal("CreateDataFlowTask", "MissingFileSystemId", FileSystemId=""),
        refusal("CreateDataFlowTask", "MissingDataFlowId", DataFlowId=""),
        refusal("CreateDataFlowTask", "MissingTaskAction", TaskAction=""),
        refusal("CreateDataFlowTask", "MissingConflictPolicy", ConflictPolicy=""),
        refusal("CreateDataFlowTask", "InvalidFilesystemVersion.NotSupport", FileSystemId=OLD_FILE_SYSTEM),
        refusal("CreateDataFlowTask", "OperationDenied.InvalidState", DataFlowId="{stopped}"),
        refusal("CreateDataFlowTask", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("CreateDataFlowTask", "InvalidParameter.InvalidFormat", OTHER_POLICY, EntryList="a"),
        refusal("CreateDataFlowTask", "InvalidParameter.SizeTooLarge", OTHER_POLICY, EntryList="a" * (64 << 10)),
        refusal("CreateDataFlowTask", "InvalidDataFlow.NotFound", DataFlowId=NOTHING),
        refusal("CreateDataFlowTask", "InvalidTaskAction.NotSupported", TaskAction="Evict"),
        refusal("CreateDataFlowTask", "InvalidSrcTaskId.NotFound", OTHER_POLICY, SrcTaskId="{batch}"),
        refusal("CreateDataFlowTask", "InvalidSrcTaskId.TaskIdInvalid", OTHER_POLICY, SrcTaskId="{stream}"),
        refusal(
            "CreateDataFlowTask", "InvalidSrcTaskId.TaskIdNotFound", OTHER_POLICY, SrcTaskId="task-0000000000000001"
        ),
        refusal("CreateDataFlowTask", "InvalidDataType.NotSupported", DataType="Metadata"),
        refusal("DescribeDataFlowTasks", "IllegalCharacters", NextToken=NUL),
        refusal("DescribeDataFlowTasks", "MissingFileSystemId", FileSystemId=""),
        refusal("DescribeDataFlowTasks", "InvalidFilesystemVersion.NotSupport", FileSystemId=OLDEST_FILE_SYSTEM),
        refusal("DescribeDataFlowTasks", "InvalidParameter.InvalidNextToken", NextToken="none"),
        refusal("DescribeDataFlowTasks", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("DescribeDataFlowTasks", "InvalidParameter.InvalidMaxResults", MaxResults="101"),
        refusal("DescribeDataFlowTasks", "InvalidFilterParam", STRANGE_FILTER),
        refusal("DescribeDataFlowTasks", "InvalidFilterValue", FILTER),
        refusal("CancelDataFlowTask", "IllegalCharacters", ClientToken=NUL),
        refusal("CancelDataFlowTask", "MissingFileSystemId", FileSystemId=""),
        refusal("CancelDataFlowTask", "MissingDataFlowId", DataFlowId=""),
        refusal("CancelDataFlowTask", "MissingTaskId", TaskId=""),
        refusal("CancelDataFlowTask", "OperationDenied.DependencyViolation"),
        refusal("CancelDataFlowTask", "OperationDenied.InvalidState", TaskId="{ended}"),
        refusal("CancelDataFlowTask", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("CancelDataFlowTask", "InvalidDataFlow.NotFound", DataFlowId=NOTHING),
        refusal("CancelDataFlowTask", "InvalidTaskId.NotFound", TaskId="task-0000000000000000"),
        refusal("CreateDataFlowSubTask", "IllegalCharacters", SrcFilePath="/a/../b"),
        refusal("CreateDataFlowSubTask", "MissingFileSystemId", FileSystemId=""),
        refusal("CreateDataFlowSubTask", "MissingDataFlowId", DataFlowId=""),
        refusal("CreateDataFlowSubTask", "MissingDataFlowTaskId", DataFlowTaskId=""),
        refusal("CreateDataFlowSubTask", "MissingSrcFilePath", SrcFilePath=""),
        refusal("CreateDataFlowSubTask", "MissingDstFilePath", DstFilePath=""),
        refusal("CreateDataFlowSubTask", "InvalidFilesystemVersion.NotSupport", FileSystemId=OLD_FILE_SYSTEM),
        refusal("CreateDataFlowSubTask", "OperationDenied.InvalidState", DataFlowTaskId="{ended}"),
        refusal("CreateDataFlowSubTask", "InvalidParameter.InvalidFormat", SrcFilePath="a"),
        refusal("CreateDataFlowSubTask", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("CreateDataFlowSubTask", "InvalidDataFlow.NotFound", DataFlowId=NOTHING),
        refusal("CreateDataFlowSubTask", "InvalidTaskId.NotFound", DataFlowTaskId="task-0000000000000000"),
        refusal("DescribeDataFlowSubTasks", "IllegalCharacters", NextToken=NUL),
        refusal("DescribeDataFlowSubTasks", "MissingFileSystemId", FileSystemId=""),
        refusal("DescribeDataFlowSubTasks", "InvalidFilesystemVersion.NotSupport", FileSystemId=OLD_FILE_SYSTEM),
        refusal("DescribeDataFlowSubTasks", "InvalidFilterValue", FILTER),
        refusal("DescribeDataFlowSubTasks", "InvalidFilterParam", STRANGE_FILTER),
        refusal("DescribeDataFlowSubTasks", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("DescribeDataFlowSubTasks", "InvalidParameter.InvalidNextToken", NextToken="none"),
        refusal("DescribeDataFlowSubTasks", "InvalidParameter.InvalidMaxResults", MaxResults="19"),
        refusal("CancelDataFlowSubTask", "IllegalCharacters", ClientToken=NUL),
        refusal("CancelDataFlowSubTask", "MissingFileSystemId", FileSystemId=""),
        refusal("CancelDataFlowSubTask", "MissingDataFlowId", DataFlowId=""),
        refusal("CancelDataFlowSubTask", "MissingTaskId", DataFlowTaskId=""),
        refusal("CancelDataFlowSubTask", "MissingDataFlowSubTaskId", DataFlowSubTaskId=""),
        refusal("CancelDataFlowSubTask", "OperationDenied.InvalidState", DataFlowSubTaskId="{finished}"),
        refusal("CancelDataFlowSubTask", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("CancelDataFlowSubTask", "InvalidDataFlow.NotFound", DataFlowId=NOTHING),
        refusal("CancelDataFlowSubTask", "InvalidTaskId.NotFound", DataFlowTaskId="task-0000000000000000"),
        refusal("CancelDataFlowSubTask", "InvalidSubTaskId.NotFound", DataFlowSubTaskId="subTaskId-none"),
        refusal("CreateFileSystem", "MissingProtocolType", ProtocolType=""),
        refusal("CreateFileSystem", "InvalidParameter.InvalidFormat", FileSystemType="standard"),
        refusal("CreateFileSystem", "InvalidParameter.InvalidFormat", EncryptType="1"),
        refusal("CreateFileSystem", "InvalidDescription.InvalidFormat", Description="x"),
        refusal("DeleteFileSystem", "MissingFileSystemId", FileSystemId=""),
        refusal("DeleteFileSystem", "OperationDenied.DependencyViolation"),
        refusal("DeleteFileSystem", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("ModifyFileSystem", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("ModifyFileSystem", "InvalidParameter.InvalidFormat", {"Options": '{{"EnableOplock":true}}'}),
        refusal("ModifyFileSystem", "InvalidParameter.InvalidFormat", {"AutoUpgradeConfig.enabled": "true"}),
        refusal("CreateFileset", "MissingFileSystemPath", FileSystemPath=""),
        refusal("CreateFileset", "InvalidFilesystemVersion.NotSupport", FileSystemId=OLD_FILE_SYSTEM),
        refusal("CreateFileset", "OperationDenied.AlreadyExists", FileSystemPath="/set/"),
        refusal("CreateFileset", "OperationDenied.AlreadyExists", FileSystemPath="/data/"),
        refusal("CreateFileset", "OperationDenied.NestedDir", FileSystemPath="/set/inner/"),
        refusal("CreateFileset", "OperationDenied.TooManyDepths", FileSystemPath="/1/2/3/4/5/6/7/8/9/"),
        refusal("CreateFileset", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("CreateFileset", "InvalidFileSystemPath.ParentNotFound", FileSystemPath="/none/new/"),
        refusal("CreateFileset", "InvalidFileSystemPath.NotDirectory", FileSystemPath="/file/new/"),
        refusal("CreateFileset", "InvalidFileSystemPath.InvalidCharacters", FileSystemPath="/data/../new/"),
        refusal("CreateFileset", "InvalidFilesetPath.InvalidParameter", FileSystemPath="/data/new"),
        refusal("CreateFileset", "InvalidFilesetPath.InvalidParameter", FileSystemPath="/"),
        refusal("CreateFileset", "InvalidFilesetPath.InvalidParameter", FileSystemPath="/link/new/"),
        refusal("CreateFileset", "InvalidFilesetPath.InvalidParameter", FileSystemPath="/out/new/"),
        refusal("CreateFileset", "InvalidParameter.InvalidFormat", {"Quota.SizeLimit": str((10 << 30) + 1)}),
        refusal("ModifyFileset", "IllegalCharacters", ClientToken=NUL),
        refusal("ModifyFileset", "MissingFileSystemId", FileSystemId=""),
        refusal("ModifyFileset", "MissingFsetId", FsetId=""),
        refusal("ModifyFileset", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("ModifyFileset", "InvalidFsetId.NotFound", FsetId="fset-0000000000000000"),
        refusal("DeleteFileset", "IllegalCharacters", ClientToken=NUL),
        refusal("DeleteFileset", "MissingFileSystemId", FileSystemId=""),
        refusal("DeleteFileset", "MissingFsetId", FsetId=""),
        refusal("DeleteFileset", "InvalidOperation.DeletionProtection"),
        refusal("DeleteFileset", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("DeleteFileset", "InvalidFsetId.NotFound", FsetId="fset-0000000000000000"),
    ],
)
def test_a_refusal(world: ApiServer, nouns: Mapping[str, str], line: Refusal) -> None:
    given = {
        name: text.format(**nouns) if "{" in text else text
        for name, text in {**USUAL[line.action], **line.wire}.items()
    }
    asked = {name: text for name, text in given.items() if text}
    response = (world.ask_form if max(map(len, asked.values()), default=0) > LONG else world.ask)(line.action, asked)
    assert (response.status, response.code) == (ApiError(line.code, "").http_status, line.code), response.text
