"""Does a general-purpose file system (`cpfs-`) do what its kind's ledger lines say, to the vendor's SDK?"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from alibabacloud_nas20170626 import models

from penstock.api.options import ApiOptions, Fidelity
from penstock.catalog.filesetwork import NewFileset, Quota
from penstock.catalog.verbs import Call
from tests.fixtures.apicaller import FILE_SYSTEM
from tests.fixtures.apiserver import ApiServer, serving
from tests.fixtures.refusals import Refusal, refusal

SYSTEM = "cpfs-099394bd928c0000"
OWN = {"FileSystemId": SYSTEM}


@pytest.fixture(scope="module", params=[Fidelity.STRICT, Fidelity.LENIENT])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server with a general-purpose file system over the same root."""
    with serving(tmp_path_factory.mktemp("home"), ApiOptions(fidelity=request.param)) as server:
        system = replace(server.registry.file_systems[FILE_SYSTEM], file_system_id=SYSTEM)
        server.registry = replace(server.registry, file_systems={**server.registry.file_systems, SYSTEM: system})
        yield server


@pytest.fixture(scope="module")
def ids(world: ApiServer) -> Mapping[str, str]:
    """A fileset with a dataflow, a free one, and one whose directory is not made."""
    bound = world.make("CreateFileset", "FsetId", OWN | {"FileSystemPath": "/bound/", "Description": "of a team"})
    asked = {"FsetId": bound, "SourceStorage": "oss://examplebucket", "Throughput": "600"}
    new = NewFileset(
        file_system_id=SYSTEM, file_system_path="/unmade/", description="", deletion_protection=False, quota=Quota()
    )
    return {
        "bound": bound,
        "flow": world.make("CreateDataFlow", "DataFlowId", OWN | asked),
        "free": world.make("CreateFileset", "FsetId", OWN | {"FileSystemPath": "/free/"}),
        "unmade": world.run(lambda: world.catalog.filesets.create(Call(access_key_id="k", action="a"), new)),
    }


@pytest.mark.rule("KIND-1")
def test_a_dataflow_is_bound_to_a_fileset_and_tells_of_it(world: ApiServer, ids: Mapping[str, str]) -> None:
    sdk = world.sdk()

    def described(fset_id: str) -> list[models.DescribeDataFlowsResponseBodyDataFlowInfoDataFlow]:
        filters = [models.DescribeDataFlowsRequestFilters(key="FsetIds", value=fset_id)]
        asked = models.DescribeDataFlowsRequest(file_system_id=SYSTEM, filters=filters)
        return list(sdk.describe_data_flows(asked).body.data_flow_info.data_flow)

    (flow,) = described(ids["bound"])
    assert (flow.data_flow_id, flow.fset_id, flow.fset_description) == (ids["flow"], ids["bound"], "of a team")
    assert (flow.file_system_path, flow.source_storage_path) == ("/bound/", "/")
    assert described(ids["free"]) == []
    own = {"file_system_id": SYSTEM, "data_flow_id": ids["flow"]}
    sdk.stop_data_flow(models.StopDataFlowRequest(**own))
    sdk.start_data_flow(models.StartDataFlowRequest(**own))
    task = models.CreateDataFlowTaskRequest(**own, task_action="Import", directory="/")
    assert sdk.create_data_flow_task(task).body.task_id


@pytest.mark.rule("KIND-2")
def test_streams_are_for_the_other_kind_where_it_is_strict(world: ApiServer, ids: Mapping[str, str]) -> None:
    asked = OWN | {"DataFlowId": ids["flow"], "TaskAction": "StreamImport", "DryRun": "true"}
    is_strict = world.options.fidelity is Fidelity.STRICT
    assert world.ask("CreateDataFlowTask", asked).code == ("InvalidTaskAction.NotSupported" if is_strict else "")


@pytest.mark.rule("KIND-1")
@pytest.mark.rule("KIND-2")
@pytest.mark.rule("KIND-3")
@pytest.mark.parametrize(
    "line",
    [
        refusal("CreateDataFlow", "MissingFsetId", FsetId=""),
        refusal("CreateDataFlow", "MissingThroughput", Throughput=""),
        refusal("CreateDataFlow", "InvalidFsetId.NotFound", FsetId="fset-0000000000000000"),
        refusal("CreateDataFlow", "OperationDenied.FsetAlreadyInUse", FsetId="{bound}", SourceStorage="oss://second"),
        refusal("CreateDataFlow", "OperationDenied.DependFset", FsetId="{unmade}"),
        refusal("CreateDataFlow", "InvalidParameter.InvalidFormat", FileSystemPath="/data/"),
        refusal("CreateDataFlowTask", "NotImplemented", TaskAction="Evict"),
        refusal("CreateDataFlowTask", "NotImplemented", DataType="Metadata"),
        refusal("CreateDataFlowTask", "InvalidDataType.NotSupported", DataType="Color"),
        refusal("CreateFileset", "OperationDenied.FilesetNotSupported", {"Quota.SizeLimit": str(10 << 30)}),
        refusal("SetFilesetQuota", "OperationDenied.FilesetNotSupported"),
        refusal("DeleteFileset", "OperationDenied.DependencyViolation"),
    ],
)
def test_a_refusal(world: ApiServer, ids: Mapping[str, str], line: Refusal) -> None:
    usual: Mapping[str, dict[str, str]] = {
        "CreateDataFlow": {"FsetId": "{free}", "SourceStorage": "oss://second", "Throughput": "600"},
        "CreateDataFlowTask": {"DataFlowId": "{flow}", "TaskAction": "Import", "Directory": "/"},
        "CreateFileset": {"FileSystemPath": "/new/"},
        "SetFilesetQuota": {"FsetId": "{bound}", "SizeLimit": str(10 << 30)},
        "DeleteFileset": {"FsetId": "{bound}"},
    }
    given = OWN | {name: text.format(**ids) for name, text in {**usual[line.action], **line.wire}.items()}
    response = world.ask(line.action, {name: text for name, text in given.items() if text})
    assert response.code == line.code, response.text


@pytest.mark.rule("KIND-3")
def test_it_is_made_and_listed_by_its_type(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        asked = {"FileSystemType": "cpfs", "ProtocolType": "cpfs", "StorageType": "advance_100"}
        made = server.make("CreateFileSystem", "FileSystemId", asked)
        assert made.startswith("cpfs-")
        (found,) = server.ask("DescribeFileSystems", {"FileSystemType": "cpfs"}).body["FileSystems"]["FileSystem"]
        assert (found["FileSystemId"], found["FileSystemType"]) == (made, "cpfs")
