"""Is a refusal answered where it is due, when something has to happen first?"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.api import places
from penstock.api.errors import ApiError
from penstock.api.founder import NoFounder
from penstock.api.options import ApiOptions, BucketCodes, Fidelity
from penstock.api.protocol import VERSION
from penstock.errors import PermissionDeniedError
from tests.fixtures.apicaller import FILE_SYSTEM, OWNER, STRANGER, Response
from tests.fixtures.apiserver import ApiServer, serving
from tests.fixtures.inmemory import memory_directory
from tests.fixtures.memorystore import Fault, Raise
from tests.fixtures.refusals import Refusal, refusal
from tests.fixtures.registered import registered_bucket
from tests.protocol.api.usual import NOTHING, OTHER_POLICY, SYSTEM, USUAL

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
    own = {"FileSystemId": "cpfs-1", "FileSystemPath": "/data/set/"}
    fset_id = server.make("CreateFileset", "FsetId", own)
    flow = server.make_flow(**own, FsetId=fset_id, Throughput="600")
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
def test_what_any_action_answers(shared: ApiServer) -> None:
    def is_refused(response: Response, code: str) -> None:
        assert (response.status, response.code) == (ApiError(code, "").http_status, code), response.text

    def signed_by(algorithm: str) -> Response:
        called = {"x-acs-action": "DescribeDataFlows", "x-acs-version": VERSION}
        headers = {
            **called,
            "authorization": f"{algorithm} Credential=a",
            "host": shared.host,
        }
        return shared.send("POST", "/", headers)

    is_refused(shared.send("PUT", "/", {"x-acs-action": "DescribeDataFlows"}), "UnsupportedHTTPMethod")
    is_refused(shared.ask("DescribeDataFlows", {**SYSTEM, "Format": "YAML"}), "InvalidParameter.Format")
    is_refused(shared.ask("DescribeDataFlows", SYSTEM, changes={"x-acs-date": "yesterday"}), "InvalidTimeStamp.Format")
    other_secret = replace(OWNER, secret="another")
    is_refused(shared.ask("DescribeDataFlows", SYSTEM, key=other_secret), "SignatureDoesNotMatch")
    is_refused(signed_by("ACS3-HMAC-SM3"), "InvalidSignatureMethod")
    token = {"x-acs-security-token": "token", "x-acs-accesskey-id": OWNER.access_key_id}
    is_refused(shared.ask("DescribeDataFlows", SYSTEM, changes=token), "InvalidSecurityToken.MismatchWithAccessKey")
    is_refused(shared.ask("DescribeDataFlows", SYSTEM, key=STRANGER), "Forbidden.RAM")


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


@pytest.mark.rule("FS-4")
@pytest.mark.code("CreateFileSystem", "OperationDenied.InvalidState")
def test_a_service_that_may_make_no_file_systems(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fixtures.apiserver.MemoryFounder", lambda _server: NoFounder())
    with serving(memory_path) as server:
        refused(server, Refusal(action="CreateFileSystem", code="OperationDenied.InvalidState", wire={}))


@pytest.mark.code("CreateFileSystem", "IdempotentParameterMismatch")
def test_a_token_of_a_file_system_that_was_used_otherwise(server: ApiServer) -> None:
    made = {**USUAL["CreateFileSystem"], "ClientToken": "once"}
    assert server.ask("CreateFileSystem", made).status == 200
    wire = {"ClientToken": "once", "Description": "another one"}
    refused(server, Refusal(action="CreateFileSystem", code="IdempotentParameterMismatch", wire=wire))
