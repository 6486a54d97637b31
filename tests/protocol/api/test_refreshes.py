"""Do the actions of auto-refresh do what the vendor's SDK asks, and refuse what its documents refuse?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from alibabacloud_nas20170626 import models as nas

from penstock.api.errors import ApiError
from tests.fixtures.apicaller import FILE_SYSTEM, OLDEST_FILE_SYSTEM
from tests.fixtures.apiserver import ApiServer
from tests.fixtures.refusals import Refusal, refresh_paths, refusal


@pytest.fixture(scope="module")
def flow(shared: ApiServer) -> str:
    """A dataflow with directories `1` to `6`, and one in `1`."""
    for name in ("1/a", "2", "3", "4", "5", "6"):
        (shared.home / "root" / "data" / name).mkdir(parents=True)
    return shared.make_flow()


def described(server: ApiServer, flow: str) -> dict[str, Any]:
    """The dataflow as DescribeDataFlows answers it."""
    filters = {"Filters.1.Key": "DataFlowIds", "Filters.1.Value": flow}
    (found,) = server.ask("DescribeDataFlows", {"FileSystemId": FILE_SYSTEM, **filters}).body["DataFlowInfo"][
        "DataFlow"
    ]
    return dict(found)


def settings(server: ApiServer, flow: str) -> tuple[str, int, list[str]]:
    found = described(server, flow)
    paths = [one["RefreshPath"] for one in found["AutoRefresh"]["AutoRefresh"]]
    return found["AutoRefreshPolicy"], found["AutoRefreshInterval"], paths


def apply(server: ApiServer, flow: str, *paths: str, **more: Any) -> None:
    """ApplyDataFlowAutoRefresh by the SDK."""
    wanted = [nas.ApplyDataFlowAutoRefreshRequestAutoRefreshs(refresh_path=path) for path in paths]
    request = nas.ApplyDataFlowAutoRefreshRequest(
        file_system_id=FILE_SYSTEM, data_flow_id=flow, auto_refreshs=wanted, **more
    )
    server.sdk().apply_data_flow_auto_refresh(request)


@pytest.mark.rule("REFRESH-1")
@pytest.mark.rule("REFRESH-2")
@pytest.mark.rule("REFRESH-3")
@pytest.mark.rule("REFRESH-4")
def test_paths_come_and_go_and_the_rest_stays(shared: ApiServer, flow: str) -> None:
    apply(shared, flow, "/2/", dry_run=True)
    assert settings(shared, flow) == ("None", 10, [])
    apply(shared, flow, "/2/", auto_refresh_policy="ImportChanged", auto_refresh_interval=30)
    apply(shared, flow, "/3/", "/1/a/")
    assert settings(shared, flow) == ("ImportChanged", 30, ["/2/", "/3/", "/1/a/"])
    sdk = shared.sdk()
    sdk.modify_data_flow_auto_refresh(
        nas.ModifyDataFlowAutoRefreshRequest(
            file_system_id=FILE_SYSTEM, data_flow_id=flow, auto_refresh_interval=526_600
        )
    )
    assert settings(shared, flow)[:2] == ("ImportChanged", 526_600)
    sdk.cancel_data_flow_auto_refresh(
        nas.CancelDataFlowAutoRefreshRequest(file_system_id=FILE_SYSTEM, data_flow_id=flow, refresh_path="/3/")
    )
    assert settings(shared, flow)[2] == ["/2/", "/1/a/"]
    shared.restart()
    assert settings(shared, flow) == ("ImportChanged", 526_600, ["/2/", "/1/a/"])


@pytest.mark.rule("REFRESH-3")
def test_a_stopped_dataflow_is_told_to_refresh_less(server: ApiServer) -> None:
    (server.home / "root" / "data" / "a").mkdir()
    flow = server.make_flow(**refresh_paths("/a/"), AutoRefreshPolicy="ImportChanged", AutoRefreshInterval="5")
    assert settings(server, flow) == ("ImportChanged", 5, ["/a/"])
    for action, more in (
        ("StopDataFlow", {}),
        ("ModifyDataFlowAutoRefresh", {"AutoRefreshPolicy": "None"}),
        ("CancelDataFlowAutoRefresh", {"RefreshPath": "/a/"}),
    ):
        assert server.ask(action, {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow} | more).status == 200
    assert settings(server, flow) == ("None", 5, [])


# -------------------------------------------------------------------------------------------------------------- refusals

APPLY, MODIFY, CANCEL = "ApplyDataFlowAutoRefresh", "ModifyDataFlowAutoRefresh", "CancelDataFlowAutoRefresh"
FLOW = {"FileSystemId": FILE_SYSTEM, "DataFlowId": "{flow}"}
USUAL = {APPLY: FLOW | refresh_paths("/3/"), MODIFY: FLOW, CANCEL: FLOW | {"RefreshPath": "/2/"}}


@pytest.fixture(scope="module")
def ids(flow: str, shared: ApiServer) -> dict[str, str]:
    """A dataflow that refreshes `/2/` and `/1/a/`, one that is stopped, one that is about to be."""
    stopped, slow = (shared.make_flow(SourceStoragePath=f"/{name}/") for name in ("stopped", "slow"))
    other = shared.make_flow(SourceStoragePath="/refused/")
    apply(shared, other, "/2/", "/1/a/")
    shared.ask("StopDataFlow", {"FileSystemId": FILE_SYSTEM, "DataFlowId": stopped})
    shared.bounds = replace(shared.bounds, transition_delay_s=3600.0)
    shared.restart()
    shared.ask("StopDataFlow", {"FileSystemId": FILE_SYSTEM, "DataFlowId": slow})
    return {"flow": other, "stopped": stopped, "slow": slow}


@pytest.mark.rule("REFRESH-1")
@pytest.mark.rule("REFRESH-2")
@pytest.mark.rule("REFRESH-3")
@pytest.mark.parametrize(
    "line",
    [
        refusal("ApplyDataFlowAutoRefresh", "IllegalCharacters", ClientToken="\0"),
        refusal("ApplyDataFlowAutoRefresh", "MissingFileSystemId", FileSystemId=""),
        refusal("ApplyDataFlowAutoRefresh", "MissingDataFlowId", DataFlowId=""),
        refusal("ApplyDataFlowAutoRefresh", "MissingAutoRefreshs", refresh_paths("")),
        refusal("ApplyDataFlowAutoRefresh", "InvalidFilesystemVersion.NotSupport", FileSystemId=OLDEST_FILE_SYSTEM),
        refusal("ApplyDataFlowAutoRefresh", "OperationDenied.InvalidState", DataFlowId="{stopped}"),
        refusal("ApplyDataFlowAutoRefresh", "OperationDenied.ConflictOperation", DataFlowId="{slow}"),
        refusal("ApplyDataFlowAutoRefresh", "OperationDenied.NestedDir", refresh_paths("/1/")),
        refusal("ApplyDataFlowAutoRefresh", "OperationDenied.NestedDir", refresh_paths("/")),
        refusal("ApplyDataFlowAutoRefresh", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("ApplyDataFlowAutoRefresh", "InvalidDataFlow.NotFound", DataFlowId="df-0000000000000000"),
        refusal("ApplyDataFlowAutoRefresh", "InvalidRefreshPath.InvalidParameter", refresh_paths("3")),
        refusal("ApplyDataFlowAutoRefresh", "InvalidRefreshPath.NotFound", refresh_paths("/none/")),
        refusal("ApplyDataFlowAutoRefresh", "InvalidRefreshPath.AlreadyExist", refresh_paths("/2/")),
        refusal(
            "ApplyDataFlowAutoRefresh", "InvalidRefreshPath.TooManyPaths", refresh_paths("/3/", "/4/", "/5/", "/6/")
        ),
        refusal("ApplyDataFlowAutoRefresh", "InvalidRefreshPolicy.InvalidParameter", AutoRefreshPolicy="Always"),
        refusal("ApplyDataFlowAutoRefresh", "InvalidRefreshInterval.OutOfBounds", AutoRefreshInterval="4"),
        refusal("ModifyDataFlowAutoRefresh", "IllegalCharacters", ClientToken="\0"),
        refusal("ModifyDataFlowAutoRefresh", "MissingFileSystemId", FileSystemId=""),
        refusal("ModifyDataFlowAutoRefresh", "MissingDataFlowId", DataFlowId=""),
        refusal("ModifyDataFlowAutoRefresh", "OperationDenied.ConflictOperation", DataFlowId="{slow}"),
        refusal("ModifyDataFlowAutoRefresh", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("ModifyDataFlowAutoRefresh", "InvalidDataFlow.NotFound", DataFlowId="df-0000000000000000"),
        refusal("ModifyDataFlowAutoRefresh", "InvalidRefreshPolicy.InvalidParameter", AutoRefreshPolicy="Always"),
        refusal("ModifyDataFlowAutoRefresh", "InvalidRefreshInterval.OutOfBounds", AutoRefreshInterval="526601"),
        refusal("CancelDataFlowAutoRefresh", "IllegalCharacters", ClientToken="\0"),
        refusal("CancelDataFlowAutoRefresh", "MissingFileSystemId", FileSystemId=""),
        refusal("CancelDataFlowAutoRefresh", "MissingDataFlowId", DataFlowId=""),
        refusal("CancelDataFlowAutoRefresh", "MissingRefreshPath", RefreshPath=""),
        refusal("CancelDataFlowAutoRefresh", "OperationDenied.ConflictOperation", DataFlowId="{slow}"),
        refusal("CancelDataFlowAutoRefresh", "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none"),
        refusal("CancelDataFlowAutoRefresh", "InvalidDataFlow.NotFound", DataFlowId="df-0000000000000000"),
        refusal("CancelDataFlowAutoRefresh", "InvalidRefreshPath.InvalidParameter", RefreshPath="2"),
        refusal("CancelDataFlowAutoRefresh", "InvalidRefreshPath.NotFound", RefreshPath="/3/"),
    ],
)
def test_a_refusal(shared: ApiServer, ids: dict[str, str], line: Refusal) -> None:
    given = {**USUAL[line.action], **line.wire}
    asked = {name: text.format(**ids) if "{" in text else text for name, text in given.items() if text}
    response = shared.ask(line.action, asked)
    assert (response.status, response.code) == (ApiError(line.code, "").http_status, line.code), response.text
    assert settings(shared, ids["flow"]) == ("None", 10, ["/2/", "/1/a/"])
