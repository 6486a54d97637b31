"""Do the operations on dataflows do what the ledger says, and does a refusal change nothing?"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.api.options import ApiOptions, Fidelity
from penstock.errors import PermissionDeniedError, StoreError, StoreUnavailableError
from penstock.model import FileSystem
from tests.fixtures.apicaller import FILE_SYSTEM, OLD_FILE_SYSTEM, OLDEST_FILE_SYSTEM
from tests.fixtures.apiserver import ApiServer, serving
from tests.fixtures.memorystore import Fault, Gate, Hold, Raise
from tests.fixtures.refusals import refresh_paths
from tests.fixtures.registered import registered_bucket

FLOW = {
    "FileSystemId": FILE_SYSTEM,
    "FileSystemPath": "/data/",
    "SourceStorage": "oss://examplebucket",
    "SourceStoragePath": "/prefix/",
}


def listed(server: ApiServer, **filters: str) -> list[dict[str, str]]:
    wire = {"FileSystemId": FILE_SYSTEM}
    for number, (key, value) in enumerate(filters.items(), start=1):
        wire |= {f"Filters.{number}.Key": key, f"Filters.{number}.Value": value}
    response = server.ask("DescribeDataFlows", wire)
    assert response.status == 200, response.text
    found = response.body["DataFlowInfo"]["DataFlow"]
    assert isinstance(found, list)
    return found


def refused(server: ApiServer, status: int, code: str, action: str = "CreateDataFlow", **changes: str) -> str:
    """The message of a refusal that has to come, and that has to change nothing."""
    before = listed(server)
    response = server.ask(action, {**(FLOW if action == "CreateDataFlow" else {}), **changes})
    assert (response.status, response.code) == (status, code), response.text
    assert listed(server) == before
    return str(response.body["Message"])


# ---------------------------------------------------------------------------------------------------------------- create


@pytest.mark.rule("FLOW-13")
def test_a_new_dataflow_is_running_and_answered_whole(server: ApiServer) -> None:
    made = server.make_flow(Description="Bucket01 DataFlow", SourceSecurityType="NONE")
    (flow,) = listed(server)
    times = {flow.pop("CreateTime"), flow.pop("UpdateTime")}
    assert all(len(time) == len("2024-10-23T16:28:16Z") for time in times)
    assert flow == FLOW | {
        "DataFlowId": made,
        "SourceSecurityType": "NONE",
        "Description": "Bucket01 DataFlow",
        "Status": "Running",
        "ErrorMessage": "",
        "AutoRefreshPolicy": "None",
        "AutoRefreshInterval": 10,
        "AutoRefresh": {"AutoRefresh": []},
    }


@pytest.mark.rule("PARAM-1")
@pytest.mark.parametrize("name", list(FLOW))
def test_what_has_to_be_there(shared: ApiServer, name: str) -> None:
    for parameters in ({other: value for other, value in FLOW.items() if other != name}, FLOW | {name: ""}):
        response = shared.ask("CreateDataFlow", parameters)
        assert (response.status, response.code) == (400, f"Missing{name}")


@pytest.mark.rule("FLOW-1")
@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("oss://nowhere", "InvalidSourceStorage.NotFound"),
        ("s3://examplebucket", "InvalidSourceStorage.NotFound"),
        ("oss://s3.bucket", "InvalidSourceStorage.NotFound"),
        ("nfs://examplebucket", "InvalidSourceStorage.NotSupport"),
        ("http://127.0.0.1:9/examplebucket", "InvalidSourceStorage.NotSupport"),
        ("examplebucket", "InvalidSourceStorage.InvalidParameter"),
        ("oss://", "InvalidSourceStorage.InvalidParameter"),
        ("oss://Example", "InvalidSourceStorage.InvalidParameter"),
        ("oss://examplebucket/prefix", "InvalidSourceStorage.InvalidParameter"),
        ("oss://examplebucket.evil.example:80@x", "InvalidSourceStorage.InvalidParameter"),
        ("oss://12a:examplebucket", "InvalidSourceStorage.InvalidParameter"),
        ("oss://" + "b" * 129, "InvalidSourceStorage.InvalidParameter"),
    ],
)
def test_only_registered_buckets_are_sources(shared: ApiServer, source: str, code: str) -> None:
    message = refused(shared, 404, code, SourceStorage=source)
    if code.endswith("NotFound"):
        assert "penstock bucket add" in message


@pytest.mark.rule("FLOW-1")
def test_buckets_of_other_accounts_and_kinds(server: ApiServer) -> None:
    server.make_flow(SourceStorage="oss://1234567890:examplebucket")
    server.make_flow(SourceStorage="s3://s3.bucket", FileSystemPath="/other/")
    assert [flow["SourceStorage"] for flow in listed(server)] == [
        "s3://s3.bucket",
        "oss://1234567890:examplebucket",
    ]


@pytest.mark.rule("FLOW-2")
def test_the_bucket_carries_the_tag(server: ApiServer) -> None:
    message = refused(server, 403, "OperationDenied.DependBucketTag", SourceStorage="oss://untagged")
    assert "cpfs-dataflow=true" in message
    server.stores["untagged"].tags["cpfs-dataflow"] = "True"
    refused(server, 403, "OperationDenied.DependBucketTag", SourceStorage="oss://untagged")
    server.add_bucket(registered_bucket("waived", tag_check=False)).tags.clear()
    server.make_flow(SourceStorage="oss://waived")


@pytest.mark.code("CreateDataFlow", "InvalidSourceStorage.NeedVersioning")
@pytest.mark.rule("FLOW-3")
def test_a_second_dataflow_needs_versioning(server: ApiServer) -> None:
    server.make_flow(SourceStorage="oss://unversioned")
    refused(server, 404, "InvalidSourceStorage.NeedVersioning", SourceStorage="oss://unversioned")
    refused(server, 404, "InvalidSourceStorage.NeedVersioning", SourceStorage="oss://1:unversioned", FileSystemPath="/")
    for number in range(2):
        server.make_flow(FileSystemPath="/other/", SourceStoragePath=f"/{number}/")
    waived = server.add_bucket(registered_bucket("waived", versioning_check=False))
    waived._abilities = server.stores["unversioned"]._abilities
    for number in range(2):
        server.make_flow(SourceStorage="oss://waived", FileSystemPath="/oss/", SourceStoragePath=f"/{number}/")


@pytest.mark.rule("FLOW-7")
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PermissionDeniedError("no"), "InvalidSourceStorage.PermissionDenied"),
        (StoreUnavailableError("nobody answers"), "InvalidSourceStorage.Unreachable"),
    ],
)
def test_a_bucket_that_cannot_be_asked(server: ApiServer, error: StoreError, code: str) -> None:
    server.stores["examplebucket"].script(Fault("bucket_tags", action=Raise(error)))
    refused(server, 404, code)


@pytest.mark.code("CreateDataFlow", "InvalidSourceStorage.PermissionDenied")
@pytest.mark.rule("FLOW-7")
def test_a_bucket_without_credentials_tells_no_file_names(server: ApiServer) -> None:
    def nothing_to_open_it_with() -> None:
        raise PermissionDeniedError("secrets.toml holds nothing for it")

    server.opening = nothing_to_open_it_with
    assert "secrets" not in refused(server, 404, "InvalidSourceStorage.PermissionDenied")


@pytest.mark.rule("FLOW-7")
def test_a_bucket_that_is_gone(server: ApiServer) -> None:
    server.stores["second"].bucket_exists = False
    refused(server, 404, "InvalidSourceStorage.NotFound", SourceStorage="oss://second")


@pytest.mark.code("CreateDataFlow", "InvalidSourceStorage.Unreachable")
@pytest.mark.rule("FLOW-7")
def test_a_bucket_that_does_not_answer(tmp_path: Path) -> None:
    gate = Gate()
    with serving(tmp_path, ApiOptions(store_time_s=0.05)) as server:
        server.stores["examplebucket"].script(Fault("bucket_tags", action=Hold(gate)))
        try:
            refused(server, 404, "InvalidSourceStorage.Unreachable")
        finally:
            gate.open()


@pytest.mark.rule("FLOW-4")
def test_the_directory_exists_beneath_the_root(server: ApiServer) -> None:
    root = Path(server.registry.file_systems[FILE_SYSTEM].root)
    (root / "file").write_text("")
    (root / "out").symlink_to("/usr")
    (root / "in").symlink_to("data")
    message = refused(server, 404, "InvalidFileSystemPath.NotFound", FileSystemPath="/data/none/")
    assert f"mkdir -p '{root}/data/none'" in message
    message = refused(server, 404, "InvalidFileSystemPath.NotFound", FileSystemPath="/file/")
    assert f"no directory: '{root}/file'" in message
    for path in ("/out/", "/out/lib/"):
        message = refused(server, 404, "InvalidFileSystemPath.NotFound", FileSystemPath=path)
        assert "leads out of the file system" in message
    server.make_flow(FileSystemPath="/in/")
    server.make_flow(FileSystemPath="/", SourceStoragePath="/")


@pytest.mark.rule("FLOW-4")
@pytest.mark.code("CreateDataFlow", "OperationDenied.DependMountpoint")
def test_a_root_that_is_gone_is_no_missing_directory(server: ApiServer) -> None:
    system = server.registry.file_systems[FILE_SYSTEM]
    gone = replace(system, root=f"{system.root}-gone")
    server.registry = replace(server.registry, file_systems={FILE_SYSTEM: gone})
    refused(server, 403, "OperationDenied.DependMountpoint")
    server.registry = replace(
        server.registry, file_systems={FILE_SYSTEM: replace(system, root=f"{system.root}/" + "n" * 256)}
    )
    refused(server, 503, "ServiceUnavailable")


@pytest.mark.rule("PATH-2")
@pytest.mark.parametrize("name", ["FileSystemPath", "SourceStoragePath"])
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/data", 404, "InvalidParameter.InvalidFormat"),
        ("data/", 404, "InvalidParameter.InvalidFormat"),
        ("/" + "d" * 1023 + "/", 404, "InvalidParameter.InvalidFormat"),
        ("/data/../", 400, "IllegalCharacters"),
        ("/data//", 400, "IllegalCharacters"),
        ("/da\0ta/", 400, "IllegalCharacters"),
    ],
)
def test_both_ends_are_directories(shared: ApiServer, name: str, path: str, status: int, code: str) -> None:
    refused(shared, status, code, **{name: path})


@pytest.mark.rule("FLOW-5")
def test_one_path_is_bound_to_one_bucket(server: ApiServer) -> None:
    server.make_flow()
    refused(server, 403, "OperationDenied.ConflictOperation", SourceStorage="oss://second")
    server.make_flow()
    server.make_flow(SourceStorage="oss://123:examplebucket")  # the same bucket, written with its account
    (Path(server.registry.file_systems[FILE_SYSTEM].root) / "data/nested").mkdir()
    server.make_flow(FileSystemPath="/data/nested/", SourceStorage="oss://second")


@pytest.mark.rule("FLOW-6")
def test_ten_dataflows_a_file_system(server: ApiServer) -> None:
    for number in range(10):
        server.make_flow(SourceStoragePath=f"/{number}/")
    refused(server, 403, "OperationDenied.DependencyViolation")
    ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": listed(server)[0]["DataFlowId"]}
    assert server.ask("DeleteDataFlow", ids).status == 200
    server.make_flow()


@pytest.mark.rule("FLOW-8")
def test_ssl_needs_an_https_endpoint(server: ApiServer) -> None:
    refused(server, 404, "InvalidSourceSecurityType.NotSupport", SourceSecurityType="SSL")
    refused(server, 404, "InvalidSourceSecurityType.NotSupport", SourceSecurityType="TLS")
    server.make_flow(SourceSecurityType="ssl", SourceStorage="oss://secure")
    assert listed(server)[0]["SourceSecurityType"] == "SSL"


@pytest.mark.rule("FLOW-9")
@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("a", 404, "InvalidDescription.InvalidFormat"),
        ("a" * 129, 404, "InvalidDescription.InvalidFormat"),
        ("1a", 404, "InvalidDescription.InvalidFormat"),
        ("a.b", 404, "InvalidDescription.InvalidFormat"),
        ("http://a", 404, "InvalidDescription.InvalidFormat"),
        ("https://a", 404, "InvalidDescription.InvalidFormat"),
        ("数据流", 400, "IllegalCharacters"),
        ("a\nb", 400, "IllegalCharacters"),
    ],
)
def test_descriptions(shared: ApiServer, text: str, status: int, code: str) -> None:
    refused(shared, status, code, Description=text)


@pytest.mark.rule("FLOW-10")
def test_filesets_and_throughput_are_judged_and_let_go(server: ApiServer) -> None:
    refused(server, 404, "InvalidThroughput.OutOfBounds", Throughput="700")
    server.make_flow(FsetId="fset-1", Throughput="600", AutoRefreshPolicy="None", AutoRefreshInterval="10")


@pytest.mark.rule("FLOW-19")
@pytest.mark.code("CreateDataFlow", "MissingThroughput")
def test_a_dataflow_is_limited_by_what_was_bought_and_by_what_is_asked(server: ApiServer) -> None:
    general = FileSystem(file_system_id="cpfs-general", root=str(server.home / "root"))
    systems = {**server.registry.file_systems, general.file_system_id: general}
    server.registry = replace(server.registry, file_systems=systems)
    refused(server, 400, "MissingThroughput", FileSystemId=general.file_system_id)
    refused(server, 404, "InvalidParameter.InvalidFormat", Bandwidth="-1")
    flow = server.make_flow(Throughput="600", Bandwidth="20")
    own = {"FileSystemId": general.file_system_id, "FileSystemPath": "/data/set/"}
    fset_id = server.make("CreateFileset", "FsetId", own)
    both = server.make_flow(**own, FsetId=fset_id, Throughput="600")
    assert server.run(server.catalog.rates) == {flow: 20_000_000, both: 600_000_000}
    assert "Throughput" not in listed(server)[0]
    assert int(listed(server)[0]["Bandwidth"]) == 20
    wanted = {"FileSystemId": general.file_system_id, "Filters.1.Key": "ThroughputList"}
    for words, count in (("600,1200", 1), ("1500", 0)):
        found = server.ask("DescribeDataFlows", wanted | {"Filters.1.Value": words}).body["DataFlowInfo"]["DataFlow"]
        assert [one["Throughput"] for one in found] == [600] * count
    changes = {"FileSystemId": general.file_system_id, "DataFlowId": both, "Throughput": "1200", "Bandwidth": "900"}
    assert server.ask("ModifyDataFlow", changes).status == 200
    assert (
        server.ask("ModifyDataFlow", changes | {"Throughput": "", "Bandwidth": "", "Description": "same"}).status == 200
    )
    assert server.run(server.catalog.rates)[both] == 900_000_000
    assert server.ask("ModifyDataFlow", changes | {"Bandwidth": "0"}).status == 200
    assert (
        server.ask("ModifyDataFlow", {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow, "Bandwidth": "0"}).status == 200
    )
    assert server.run(server.catalog.rates) == {both: 1_200_000_000}


@pytest.mark.rule("FLOW-11")
@pytest.mark.parametrize(
    ("wire", "code"),
    [
        ({"AutoRefreshInterval": "526601"}, "InvalidRefreshInterval.OutOfBounds"),
        (refresh_paths("/a/../b/"), "InvalidRefreshPath.InvalidParameter"),
        (refresh_paths("/a/", "/a/b/"), "InvalidRefreshPath.InvalidParameter"),
    ],
)
def test_what_may_be_refreshed_is_judged(shared: ApiServer, wire: dict[str, str], code: str) -> None:
    refused(shared, 404, code, **wire)


@pytest.mark.rule("VERSION-1")
def test_versions(shared: ApiServer) -> None:
    code = "InvalidFilesystemVersion.NotSupport"
    refused(shared, 400, code, FileSystemId=OLDEST_FILE_SYSTEM)
    refused(shared, 400, code, FileSystemId=OLD_FILE_SYSTEM, SourceStorage="oss://1:examplebucket")
    for action in ("DescribeDataFlows", "DescribeDataFlowTasks", "DescribeDataFlowSubTasks"):
        refused(shared, 400, code, action, FileSystemId=OLDEST_FILE_SYSTEM)


# --------------------------------------------------------------------------------------- modify, start, stop, delete


@pytest.mark.rule("FLOW-14")
def test_stop_start_and_modify(server: ApiServer) -> None:
    ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": server.make_flow()}
    assert server.ask("ModifyDataFlow", ids | {"Description": "changed"}).body.keys() == {"RequestId"}
    assert listed(server)[0]["Description"] == "changed"
    assert server.ask("ModifyDataFlow", ids).status == 200
    assert listed(server)[0]["Description"] == "changed"
    refused(server, 403, "OperationDenied.InvalidState", "StartDataFlow", **ids)
    assert server.ask("StopDataFlow", ids).status == 200
    assert listed(server)[0]["Status"] == "Stopped"
    for action in ("StopDataFlow", "ModifyDataFlow"):
        refused(server, 403, "OperationDenied.InvalidState", action, **ids, Description="again")
    assert server.ask("StartDataFlow", ids).status == 200
    assert listed(server)[0]["Status"] == "Running"


@pytest.mark.rule("FLOW-17")
def test_a_bucket_of_another_region_and_a_prefix_that_is_not_there_are_taken(server: ApiServer) -> None:
    server.add_bucket(registered_bucket("far", region="us-west-1"))
    server.make_flow(SourceStorage="oss://far", SourceStoragePath="/not/there/")


@pytest.mark.rule("FLOW-15")
def test_delete(server: ApiServer) -> None:
    flow = server.make_flow()
    task = server.make_stream(flow)
    ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow}
    refused(server, 403, "OperationDenied.DependencyViolation", "DeleteDataFlow", **ids)
    assert server.ask("CancelDataFlowTask", ids | {"TaskId": task}).status == 200
    assert server.ask("DeleteDataFlow", ids).status == 200
    assert listed(server) == []
    assert server.ask("DescribeDataFlowTasks", {"FileSystemId": FILE_SYSTEM}).body["TaskInfo"] == {"Task": []}
    refused(server, 404, "InvalidDataFlow.NotFound", "DeleteDataFlow", **ids)


@pytest.mark.rule("FLOW-12")
@pytest.mark.parametrize("action", ["ModifyDataFlow", "StartDataFlow", "StopDataFlow", "DeleteDataFlow"])
def test_unknown_ids(shared: ApiServer, action: str) -> None:
    for flow in ("df-0000000000000000", "nonsense", "../etc", "d" * 128):
        refused(shared, 404, "InvalidDataFlow.NotFound", action, FileSystemId=FILE_SYSTEM, DataFlowId=flow)
    refused(shared, 404, "InvalidFileSystem.NotFound", action, FileSystemId="bmcpfs-none", DataFlowId="df-1")
    refused(shared, 400, "MissingDataFlowId", action, FileSystemId=FILE_SYSTEM)


# ---------------------------------------------------------------------------------------------------------------- strict


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with serving(tmp_path_factory.mktemp("strict"), ApiOptions(fidelity=Fidelity.STRICT)) as server:
        yield server


@pytest.mark.rule("FLOW-10")
@pytest.mark.rule("FLOW-14")
def test_strict_refuses_what_is_for_the_other_flavour(strict: ApiServer) -> None:
    code = "OperationDenied.DataFlowNotSupported"
    refused(strict, 403, code, FsetId="fset-1")
    refused(strict, 403, code, Throughput="600")
    ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": strict.make_flow()}
    for action in ("StartDataFlow", "StopDataFlow"):
        refused(strict, 403, code, action, **ids)
    refused(strict, 403, code, "ModifyDataFlow", **ids, Throughput="600")
    refused(strict, 403, code, "ModifyDataFlow", **ids, Bandwidth="20")


@pytest.mark.rule("FLOW-11")
@pytest.mark.code("CreateDataFlow", "OperationDenied.AutoRefreshNotSupport")
@pytest.mark.code("ApplyDataFlowAutoRefresh", "OperationDenied.DataFlowNotSupported")
@pytest.mark.code("CancelDataFlowAutoRefresh", "OperationDenied.DataFlowNotSupported")
@pytest.mark.code("ModifyDataFlowAutoRefresh", "OperationDenied.DataFlowNotSupported")
def test_strict_has_no_auto_refresh(strict: ApiServer) -> None:
    flow = {"FileSystemId": FILE_SYSTEM, "DataFlowId": "df-0"}
    for verb, wire in [("Apply", refresh_paths("/a/")), ("Cancel", {"RefreshPath": "/a/"}), ("Modify", {})]:
        refused(strict, 403, "OperationDenied.DataFlowNotSupported", f"{verb}DataFlowAutoRefresh", **flow, **wire)
    refused(strict, 403, "OperationDenied.AutoRefreshNotSupport", AutoRefreshPolicy="ImportChanged")
    refused(strict, 403, "OperationDenied.AutoRefreshNotSupport", **refresh_paths("/a/"))


# -------------------------------------------------------------------------------------------------------------- describe


@pytest.mark.rule("FILTER-1")
@pytest.mark.rule("FILTER-3")
@pytest.mark.rule("FILTER-4")
def test_filters(server: ApiServer) -> None:
    first = server.make_flow(Description="the first one")
    second = server.make_flow(FileSystemPath="/other/", SourceStorage="oss://second", SourceStoragePath="/where,else/")
    server.ask("StopDataFlow", {"FileSystemId": FILE_SYSTEM, "DataFlowId": second})
    for filters, wanted in [
        ({}, [second, first]),
        ({"DataFlowIds": first}, [first]),
        ({"DataFlowIds": f"{first},{second}"}, [second, first]),
        ({"DataFlowIds": first[:8]}, []),
        ({"FileSystemPath": "the"}, [second]),
        ({"FileSystemPath": "/"}, [second, first]),
        ({"SourceStoragePath": "re,el"}, [second]),
        ({"Description": "first"}, [first]),
        ({"Description": "%"}, []),
        ({"SourceStorage": "oss://second"}, [second]),
        ({"SourceStorage": "oss://sec"}, []),
        ({"Status": "Running"}, [first]),
        ({"Status": "Running,Stopped"}, [second, first]),
        ({"Status": "Stopped", "FileSystemPath": "data"}, []),
        ({"FsetIds": "fset-1"}, []),
        ({"ThroughputList": "600"}, []),
    ]:
        assert [flow["DataFlowId"] for flow in listed(server, **filters)] == wanted, filters


@pytest.mark.rule("FILTER-2")
@pytest.mark.rule("PAGE-1")
@pytest.mark.parametrize(
    ("wire", "code"),
    [
        ({"Filters.1.Key": "TaskIds", "Filters.1.Value": "a"}, "InvalidFilterParam"),
        ({"Filters.1.Key": "Status", "Filters.1.Value": "running"}, "InvalidFilterValue"),
        ({"Filters.1.Key": "Status", "Filters.1.Value": "Deleted"}, "InvalidFilterValue"),
        ({"MaxResults": "9"}, "InvalidParameter.InvalidMaxResults"),
        ({"MaxResults": "101"}, "InvalidParameter.InvalidMaxResults"),
        ({"MaxResults": "many"}, "InvalidParameter.InvalidMaxResults"),
        ({"NextToken": "nonsense"}, "InvalidParameter.InvalidNextToken"),
        ({"NextToken": "A" * 32}, "InvalidParameter.InvalidNextToken"),
    ],
)
def test_questions_that_mean_nothing(shared: ApiServer, wire: dict[str, str], code: str) -> None:
    refused(shared, 404, code, "DescribeDataFlows", FileSystemId=FILE_SYSTEM, **wire)
