"""Is each documented refusal of each operation answered, with its status, where it is due?

One line a refusal, over one server with a few nouns in every state; where more has to happen first, other tests have the
mark.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.api import places
from penstock.api.errors import ApiError
from penstock.api.options import ApiOptions, BucketCodes, Fidelity
from penstock.api.protocol import VERSION
from penstock.errors import PermissionDeniedError
from tests.fixtures import enginestand
from tests.fixtures.apicaller import FILE_SYSTEM, OLD_FILE_SYSTEM, OLDEST_FILE_SYSTEM, OWNER, STRANGER, Response
from tests.fixtures.apiserver import ApiServer, serving
from tests.fixtures.inmemory import memory_directory
from tests.fixtures.memorystore import Fault, Raise
from tests.fixtures.refusals import Refusal, refresh_paths, refusal
from tests.fixtures.registered import registered_bucket

LONG = 1 << 10  # what a URL may not hold goes into a form
NUL = "/a\x00/"
NOTHING = "df-0000000000000000"
FILTER = {"Filters.1.Key": "Status", "Filters.1.Value": "no such"}
STRANGE_FILTER = {"Filters.1.Key": "Color", "Filters.1.Value": "red"}
OTHER_POLICY = {"TaskAction": "Import", "ConflictPolicy": "KEEP_LATEST"}

SYSTEM = {"FileSystemId": FILE_SYSTEM}
FLOW = {**SYSTEM, "DataFlowId": "{flow}"}
STREAM = {**FLOW, "DataFlowTaskId": "{stream}"}
USUAL: Mapping[str, dict[str, str]] = {
    "CreateDataFlow": {
        **SYSTEM,
        "FileSystemPath": "/data/",
        "SourceStorage": "oss://examplebucket",
        "SourceStoragePath": "/prefix/",
    },
    "DescribeDataFlows": SYSTEM,
    "ModifyDataFlow": FLOW,
    "StartDataFlow": FLOW,
    "StopDataFlow": FLOW,
    "DeleteDataFlow": FLOW,
    "CreateDataFlowTask": {**FLOW, "TaskAction": "StreamImport", "ConflictPolicy": "KEEP_LATEST"},
    "DescribeDataFlowTasks": SYSTEM,
    "CancelDataFlowTask": {**FLOW, "TaskId": "{stream}"},
    "CreateDataFlowSubTask": {**STREAM, "SrcFilePath": "/a", "DstFilePath": "/a"},
    "DescribeDataFlowSubTasks": SYSTEM,
    "CreateFileSystem": {"FileSystemType": "bmcpfs", "ProtocolType": "cpfs", "StorageType": "bm_advance_400"},
    "ModifyFileSystem": SYSTEM,
    "DeleteFileSystem": SYSTEM,
    "CreateFileset": {**SYSTEM, "FileSystemPath": "/data/new/"},
    "ModifyFileset": {**SYSTEM, "FsetId": "{fileset}"},
    "DeleteFileset": {**SYSTEM, "FsetId": "{fileset}"},
    "CancelDataFlowSubTask": {**STREAM, "DataFlowSubTaskId": "{file}"},
}
"""What each action takes as it stands."""


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


# -------------------------------------------------------------------------------- refusals that want something to happen first

EXPORT = {**USUAL["CreateDataFlowTask"], "TaskAction": "StreamExport"}


@pytest.fixture(scope="module")
def denied() -> Iterator[ApiServer]:
    """A strict server that tells by the product's codes what is wrong with a bucket."""
    options = ApiOptions(fidelity=Fidelity.STRICT, bucket_codes=BucketCodes.BUCKET)
    with memory_directory() as home, serving(Path(home), options) as server:
        yield server


def refused(server: ApiServer, line: Refusal) -> None:
    given = {**USUAL[line.action], **line.wire}
    response = server.ask(line.action, given)
    assert (response.status, response.code) == (ApiError(line.code, "").http_status, line.code), response.text


@pytest.mark.rule("FLOW-7")
@pytest.mark.code("CreateDataFlow", "DataFlow.Bucket.NotExist")
@pytest.mark.code("CreateDataFlow", "DataFlow.Bucket.AccessDenied")
@pytest.mark.code("CreateDataFlow", "DataFlow.Bucket.RegionUnmatched")
@pytest.mark.code("CreateDataFlow", "AssumeRoleFailed")
def test_buckets_by_the_products_codes(denied: ApiServer) -> None:
    def ask(code: str, source: str = "oss://examplebucket") -> None:
        wire = {**USUAL["CreateDataFlow"], "SourceStorage": source}
        refused(denied, Refusal(action="CreateDataFlow", code=code, wire=wire))

    def no_credentials() -> None:
        raise PermissionDeniedError("secrets.toml holds nothing for it")

    ask("DataFlow.Bucket.NotExist", "oss://none")
    denied.add_bucket(registered_bucket("far", region="us-west-1"))
    ask("DataFlow.Bucket.RegionUnmatched", "oss://far")
    denied.stores["examplebucket"].script(Fault("bucket_tags", action=Raise(PermissionDeniedError("no"))))
    ask("DataFlow.Bucket.AccessDenied")
    denied.opening = no_credentials
    try:
        ask("AssumeRoleFailed")
    finally:
        denied.opening = lambda: None


@pytest.mark.rule("TASK-1")
@pytest.mark.code("CreateDataFlowTask", "InvalidTaskAction.PermissionDenied")
@pytest.mark.parametrize("action", ["Export", "StreamExport"])
def test_a_bucket_that_takes_no_exports(server: ApiServer, action: str) -> None:
    server.add_bucket(registered_bucket("shut", exports=False))
    flow = server.make_flow(SourceStorage="oss://shut")
    wire = {**EXPORT, "DataFlowId": flow, "TaskAction": action}
    refused(server, Refusal(action="CreateDataFlowTask", code="InvalidTaskAction.PermissionDenied", wire=wire))
    server.make_stream(flow)


@pytest.mark.rule("TASK-9")
@pytest.mark.code("CancelDataFlowTask", "InvalidStatus.ResourceMismatch")
def test_a_stream_of_the_other_flavour_that_is_not_done(server: ApiServer) -> None:
    system = replace(server.registry.file_systems[FILE_SYSTEM], file_system_id="cpfs-1")
    server.registry = replace(server.registry, file_systems={**server.registry.file_systems, "cpfs-1": system})
    flow = server.make_flow(FileSystemId="cpfs-1")
    stream = server.make_stream(flow, FileSystemId="cpfs-1")
    server.make_sub_task(flow, stream, FileSystemId="cpfs-1")
    wire = {"FileSystemId": "cpfs-1", "DataFlowId": flow, "TaskId": stream}
    refused(server, Refusal(action="CancelDataFlowTask", code="InvalidStatus.ResourceMismatch", wire=wire))


@pytest.mark.code("CancelDataFlowTask", "OperationDenied.ConflictOperation")
def test_a_batch_that_is_canceled_already(server: ApiServer) -> None:
    flow = server.make_flow()
    wire = {**USUAL["CreateDataFlowTask"], **OTHER_POLICY, "DataFlowId": flow}
    batch = server.make("CreateDataFlowTask", "TaskId", wire)
    server.run(server.catalog.batches.begin)
    ids = {**SYSTEM, "DataFlowId": flow, "TaskId": batch}
    server.make("CancelDataFlowTask", "RequestId", ids)
    refused(server, Refusal(action="CancelDataFlowTask", code="OperationDenied.ConflictOperation", wire=ids))


@pytest.mark.rule("FILTER-1")
@pytest.mark.code("DescribeDataFlowTasks", "InvalidDataFlow.NotFound")
def test_tasks_of_a_dataflow_that_strictly_has_to_be_there(denied: ApiServer) -> None:
    wire = {"Filters.1.Key": "DataFlowIds", "Filters.1.Value": NOTHING}
    refused(denied, Refusal(action="DescribeDataFlowTasks", code="InvalidDataFlow.NotFound", wire=wire))
    flow = denied.make_flow()
    wire["Filters.1.Value"] = f"{NOTHING},{flow}"
    assert denied.ask("DescribeDataFlowTasks", {**SYSTEM, **wire}).body["TaskInfo"] == {"Task": []}


@pytest.mark.code("CreateDataFlow", "OperationDenied.DependencyViolation")
def test_an_eleventh_dataflow(server: ApiServer) -> None:
    for number in range(10):
        server.make_flow(SourceStoragePath=f"/{number}/")
    line = Refusal(action="CreateDataFlow", code="OperationDenied.DependencyViolation", wire={})
    refused(server, line)


@pytest.mark.code("CreateDataFlow", "IdempotentParameterMismatch")
@pytest.mark.code("*", "IdempotentParameterMismatch")
def test_a_token_that_was_used_otherwise(server: ApiServer) -> None:
    server.make_flow(ClientToken="once")
    wire = {"ClientToken": "once", "Description": "another"}
    refused(server, Refusal(action="CreateDataFlow", code="IdempotentParameterMismatch", wire=wire))


@pytest.mark.code("*", "UnsupportedHTTPMethod")
@pytest.mark.code("*", "InvalidParameter.Format")
@pytest.mark.code("*", "InvalidTimeStamp.Format")
@pytest.mark.code("*", "SignatureDoesNotMatch")
@pytest.mark.code("*", "InvalidSignatureMethod")
@pytest.mark.code("*", "InvalidSecurityToken.MismatchWithAccessKey")
@pytest.mark.code("*", "Forbidden.RAM")
def test_what_any_action_answers(world: ApiServer) -> None:
    def is_refused(response: Response, code: str) -> None:
        assert (response.status, response.code) == (ApiError(code, "").http_status, code), response.text

    def signed_by(algorithm: str) -> Response:
        called = {"x-acs-action": "DescribeDataFlows", "x-acs-version": VERSION}
        headers = {
            **called,
            "authorization": f"{algorithm} Credential=a",
            "host": world.host,
        }
        return world.send("POST", "/", headers)

    is_refused(world.send("PUT", "/", {"x-acs-action": "DescribeDataFlows"}), "UnsupportedHTTPMethod")
    is_refused(world.ask("DescribeDataFlows", {**SYSTEM, "Format": "YAML"}), "InvalidParameter.Format")
    is_refused(world.ask("DescribeDataFlows", SYSTEM, changes={"x-acs-date": "yesterday"}), "InvalidTimeStamp.Format")
    other_secret = replace(OWNER, secret="another")
    is_refused(world.ask("DescribeDataFlows", SYSTEM, key=other_secret), "SignatureDoesNotMatch")
    is_refused(signed_by("ACS3-HMAC-SM3"), "InvalidSignatureMethod")
    token = {"x-acs-security-token": "token", "x-acs-accesskey-id": OWNER.access_key_id}
    is_refused(world.ask("DescribeDataFlows", SYSTEM, changes=token), "InvalidSecurityToken.MismatchWithAccessKey")
    is_refused(world.ask("DescribeDataFlows", SYSTEM, key=STRANGER), "Forbidden.RAM")


@pytest.mark.rule("FLOW-4")
@pytest.mark.code("*", "ServiceTimeout")
def test_a_file_system_that_does_not_answer(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr(places, "_trouble", lambda *_: held.wait(60))
    with serving(memory_path, ApiOptions(file_system_time_s=0.05)) as server:
        try:
            refused(server, Refusal(action="CreateDataFlow", code="ServiceTimeout", wire={}))
        finally:
            held.set()


@pytest.mark.parametrize(
    "line",
    [
        refusal("CreateDataFlow", "OperationDenied.DataFlowNotSupported"),
        refusal("DescribeDataFlows", "OperationDenied.DataFlowNotSupported"),
        refusal("ModifyDataFlow", "OperationDenied.DataFlowNotSupported"),
        refusal("StartDataFlow", "OperationDenied.DataFlowNotSupported"),
        refusal("StopDataFlow", "OperationDenied.DataFlowNotSupported"),
        refusal("DeleteDataFlow", "OperationDenied.DataFlowNotSupported"),
        refusal("CreateDataFlowTask", "OperationDenied.DataFlowNotSupported"),
        refusal("DescribeDataFlowTasks", "OperationDenied.DataFlowNotSupported"),
        refusal("CancelDataFlowTask", "OperationDenied.DataFlowNotSupported"),
    ],
)
def test_a_file_system_of_another_kind_strictly_has_no_dataflows(denied: ApiServer, line: Refusal) -> None:
    system = replace(denied.registry.file_systems[FILE_SYSTEM], file_system_id="extreme-1")
    denied.registry = replace(denied.registry, file_systems={**denied.registry.file_systems, "extreme-1": system})
    refused(denied, replace(line, wire={"FileSystemId": "extreme-1"}))
