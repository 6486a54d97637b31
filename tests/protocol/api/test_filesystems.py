"""Does DescribeFileSystems list what a key may see, by filter and page?"""

from dataclasses import replace

import pytest
from alibabacloud_nas20170626 import models

from penstock.model import AccessKey, FileSystem
from tests.fixtures.apicaller import FILE_SYSTEM, OLD_FILE_SYSTEM, READER, STRANGER
from tests.fixtures.apiserver import ApiServer


def ids(server: ApiServer, **parameters: str) -> list[str]:
    response = server.ask("DescribeFileSystems", parameters)
    assert response.status == 200, response.text
    return [system["FileSystemId"] for system in response.body["FileSystems"]["FileSystem"]]


def test_one_of_ours(shared: ApiServer) -> None:
    body = shared.ask("DescribeFileSystems", {"FileSystemId": FILE_SYSTEM}).body
    (system,) = body["FileSystems"]["FileSystem"]
    assert len(system.pop("CreateTime")) == len("2024-10-23T16:28:16Z")
    assert system == {
        "FileSystemId": FILE_SYSTEM,
        "FileSystemType": "bmcpfs",
        "ProtocolType": "cpfs",
        "Version": "2.7.0",
        "Status": "Running",
        "Description": "the first",
        "RegionId": "cn-hangzhou",
        "MountTargets": {"MountTarget": []},
        "Packages": {"Package": []},
        "SupportedFeatures": {"SupportedFeature": ["FileSystem", "DataFlow"]},
        "Tags": {"Tag": []},
        "VswIds": {"VswId": []},
    }
    assert (body["PageNumber"], body["PageSize"], body["TotalCount"]) == (1, 10, 1)


@pytest.mark.rule("FS-2")
def test_filters_and_pages(shared: ApiServer) -> None:
    everything = ids(shared)
    assert everything[0] == FILE_SYSTEM, "newest first"
    assert len(everything) == 3
    assert [ids(shared, PageSize="2", PageNumber=number) for number in "123"] == [everything[:2], everything[2:], []]
    assert ids(shared, FileSystemType="all") == everything
    assert ids(shared, FileSystemType="cpfs, bmcpfs") == everything
    for parameters in (
        {"FileSystemType": "cpfs,standard"},
        {"StorageType": "bm_advance_400"},
        {"VpcId": "vpc-1"},
        {"ResourceGroupId": "rg-1"},
        {"Tag.1.Key": "a", "Tag.1.Value": "b"},
    ):
        assert ids(shared, **parameters) == []
    body = shared.sdk().describe_file_systems(models.DescribeFileSystemsRequest(page_size=1)).body
    assert (body.total_count, len(body.file_systems.file_system)) == (3, 1)


@pytest.mark.rule("FS-2")
@pytest.mark.parametrize("parameters", [{"PageNumber": "0"}, {"PageSize": "0"}, {"PageSize": "101"}, {"PageSize": "x"}])
def test_pages_that_are_none(shared: ApiServer, parameters: dict[str, str]) -> None:
    response = shared.ask("DescribeFileSystems", parameters)
    assert (response.status, response.code) == (404, "InvalidParameter.InvalidFormat")


@pytest.mark.rule("FS-1")
def test_unknown_file_systems(shared: ApiServer) -> None:
    for action in ("DescribeFileSystems", "DescribeDataFlows", "DescribeDataFlowTasks", "DescribeDataFlowSubTasks"):
        response = shared.ask(action, {"FileSystemId": "bmcpfs-none"})
        assert (response.status, response.code) == (404, "InvalidFileSystem.NotFound")


@pytest.mark.rule("RAM-3")
def test_only_what_the_key_may_see(server: ApiServer) -> None:
    limited = AccessKey(access_key_id="LTAI-old", secret="s", file_systems=("bmcpfs-old*",))
    keys = {**server.registry.access_keys, limited.access_key_id: limited}
    server.registry = replace(server.registry, access_keys=keys)
    body = server.ask("DescribeFileSystems", {}, key=limited).body
    assert body["TotalCount"] == 2
    assert all(system["FileSystemId"].startswith("bmcpfs-old") for system in body["FileSystems"]["FileSystem"])
    assert server.ask("DescribeFileSystems", {}, key=STRANGER).body["TotalCount"] == 0
    refused = [server.ask("DescribeFileSystems", {"FileSystemId": name}, key=limited) for name in (FILE_SYSTEM, "none")]
    assert {response.code for response in refused} == {"Forbidden.RAM"}


@pytest.mark.rule("RAM-1")
@pytest.mark.rule("RAM-2")
def test_without_the_right_what_exists_and_what_does_not_look_the_same(shared: ApiServer) -> None:
    flow = shared.make_flow()
    answers = set()
    for system in (FILE_SYSTEM, OLD_FILE_SYSTEM, "bmcpfs-none"):
        for data_flow in (flow, "df-none"):
            for key in (READER, STRANGER):
                response = shared.ask("DeleteDataFlow", {"FileSystemId": system, "DataFlowId": data_flow}, key=key)
                answers.add((response.status, response.code, response.body["Message"]))
    assert len(answers) == 1
    assert answers.pop()[:2] == (403, "Forbidden.RAM")
    assert shared.ask("DescribeDataFlows", {"FileSystemId": FILE_SYSTEM}, key=READER).status == 200
    assert shared.ask("DescribeDataFlows", {"FileSystemId": FILE_SYSTEM}, key=STRANGER).code == "Forbidden.RAM"


def test_a_file_system_that_is_registered_while_we_run(server: ApiServer) -> None:
    new = FileSystem(file_system_id="cpfs-new", root="/", created_ns=server.now_ns())
    server.registry = replace(server.registry, file_systems={**server.registry.file_systems, "cpfs-new": new})
    assert ids(server, FileSystemType="cpfs") == ["cpfs-new"]
