"""With a delay: does the API answer the cloud's words meanwhile, refuse what the cloud refuses, and filter by them?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fixtures.apicaller import FILE_SYSTEM, Response
from tests.fixtures.apiserver import ApiServer

DELAY_S = 60
SYSTEM = {"FileSystemId": FILE_SYSTEM}


@pytest.fixture
def slow(server: ApiServer) -> ApiServer:
    """A server whose changes take a minute."""
    server.bounds = replace(server.bounds, transition_delay_s=DELAY_S)
    server.restart()
    return server


def pass_delay(server: ApiServer) -> None:
    """A minute later, as the engine sees it."""
    server.ahead_ns += DELAY_S * 1_000_000_000
    server.run(lambda: server.catalog.end_transitions(due_ns=server.now_ns(), limit=100))


def flow_statuses(server: ApiServer, **more: str) -> list[str]:
    body = server.ask("DescribeDataFlows", SYSTEM | more).body
    return [flow["Status"] for flow in body["DataFlowInfo"]["DataFlow"]]


def by_status(status: str) -> dict[str, str]:
    return {"Filters.1.Key": "Status", "Filters.1.Value": status}


def refused(response: Response, code: str = "InvalidState") -> None:
    assert (response.status, response.code) == (403, f"OperationDenied.{code}"), response.text


@pytest.mark.rule("FLOW-18")
@pytest.mark.parametrize(
    ("action", "before", "meanwhile", "after"),
    [
        ("", [], "Starting", ["Running"]),
        pytest.param(
            *("StopDataFlow", [], "Stopping", ["Stopped"]),
            marks=[
                pytest.mark.code("StopDataFlow", "OperationDenied.ConflictOperation"),
                pytest.mark.code("DeleteDataFlow", "OperationDenied.InvalidState"),
            ],
        ),
        pytest.param(
            *("ModifyDataFlow", [], "Updating", ["Running"]),
            marks=pytest.mark.code("ModifyDataFlow", "OperationDenied.ConflictOperation"),
        ),
        pytest.param(
            *("DeleteDataFlow", [], "Deleting", []),
            marks=pytest.mark.code("DeleteDataFlow", "OperationDenied.ConflictOperation"),
        ),
        pytest.param(
            *("StartDataFlow", ["StopDataFlow"], "Starting", ["Running"]),
            marks=pytest.mark.code("StartDataFlow", "OperationDenied.ConflictOperation"),
        ),
    ],
)
def test_each_change_is_answered_in_the_clouds_words(
    slow: ApiServer, action: str, before: list[str], meanwhile: str, after: list[str]
) -> None:
    ids = SYSTEM | {"DataFlowId": slow.make_flow()}
    for done in [*before, action] if action else []:
        pass_delay(slow)
        assert slow.ask(done, ids).status == 200
    assert flow_statuses(slow) == [meanwhile]
    assert flow_statuses(slow, **by_status(meanwhile)) == [meanwhile]
    for other in ("StopDataFlow", "StartDataFlow", "ModifyDataFlow", "DeleteDataFlow"):
        is_same = other == (action or "StartDataFlow")
        refused(slow.ask(other, ids), "ConflictOperation" if is_same else "InvalidState")
    refused(
        slow.ask("CreateDataFlowTask", ids | {"TaskAction": "StreamImport", "ConflictPolicy": "OVERWRITE_EXISTING"})
    )
    slow.restart()
    assert flow_statuses(slow) == [meanwhile]
    pass_delay(slow)
    assert flow_statuses(slow) == after


@pytest.mark.rule("TASK-12")
def test_a_stream_is_pending_and_takes_no_sub_tasks_yet(slow: ApiServer) -> None:
    flow = slow.make_flow()
    pass_delay(slow)
    stream = slow.make_stream(flow)
    (task,) = slow.ask("DescribeDataFlowTasks", SYSTEM | by_status("Pending")).body["TaskInfo"]["Task"]
    assert (task["Status"], task["TaskId"]) == ("Pending", stream)
    assert "StartTime" not in task
    sub_task = SYSTEM | {"DataFlowId": flow, "DataFlowTaskId": stream, "SrcFilePath": "/a", "DstFilePath": "/a"}
    refused(slow.ask("CreateDataFlowSubTask", sub_task))
    pass_delay(slow)
    (task,) = slow.ask("DescribeDataFlowTasks", SYSTEM | by_status("Executing")).body["TaskInfo"]["Task"]
    assert task["StartTime"] > task["CreateTime"]
    assert slow.ask("CreateDataFlowSubTask", sub_task).status == 200


@pytest.mark.rule("TASK-12")
def test_a_pending_stream_can_be_cancelled(slow: ApiServer) -> None:
    flow = slow.make_flow()
    pass_delay(slow)
    ids = SYSTEM | {"DataFlowId": flow, "TaskId": slow.make_stream(flow)}
    assert slow.ask("CancelDataFlowTask", ids).status == 200
    pass_delay(slow)
    (task,) = slow.ask("DescribeDataFlowTasks", SYSTEM).body["TaskInfo"]["Task"]
    assert task["Status"] == "Canceled"
