"""Is each fault that can be armed felt by the vendor's SDK, counted, and gone when it is removed?"""

from __future__ import annotations

import time

import pytest
from alibabacloud_nas20170626 import models as nas
from alibabacloud_nas20170626.client import Client
from darabonba.exceptions import DaraException

from penstock.errors import ApiRefusedError
from penstock.testing import Service
from tests.e2e.sdk import Flow
from tests.fixtures.waiting import wait_until

LONG_S = 30.0


def _describe(client: Client, penstock: Service) -> str:
    """The status of the first dataflow."""
    request = nas.DescribeDataFlowsRequest(file_system_id=penstock.file_system_id)
    found = client.describe_data_flows(request).body.data_flow_info.data_flow
    return str(found[0].status) if found else ""


def _refusal(client: Client, penstock: Service) -> DaraException:
    with pytest.raises(DaraException) as caught:
        _describe(client, penstock)
    return caught.value


def test_the_next_file_fails_with_this_code_and_no_other_does(penstock: Service, exporting: Flow) -> None:
    fault_id = penstock.fail_next(path="/train/a.*", code="ChecksumMismatch", message="The bits have rotted.")
    item = exporting.wait(exporting.move("/a.pt", "/a.pt"))
    assert (item["Status"], item["ErrorMsg"]) == ("FAILED", "ChecksumMismatch: The bits have rotted.")
    assert penstock.keys() == []
    assert exporting.wait(exporting.move("/a.pt", "/a.pt"))["Status"] == "COMPLETE"
    assert penstock.get("run/a.pt") == b"weights"
    (fault,) = penstock.faults()
    assert (fault.fault_id, fault.used, fault.count) == (fault_id, 1, 1)


def test_a_held_file_runs_until_it_is_released_or_canceled(penstock: Service, exporting: Flow) -> None:
    fault_id = penstock.hold_next(path="*.pt", count=2)
    released, canceled = exporting.move("/a.pt", "/a.pt"), exporting.move("/a.pt", "/b.pt")
    wait_until(lambda: penstock.faults()[0].used == 2, LONG_S, "both are held")
    assert exporting.describe(released)["Status"] == "RUNNING"
    exporting.cancel(canceled)
    assert exporting.wait(canceled)["Status"] == "CANCELED"
    penstock.remove(fault_id)
    assert exporting.wait(released)["Status"] == "COMPLETE"
    assert penstock.keys() == ["run/a.pt"]
    assert penstock.faults() == []


def test_a_slow_file_is_on_its_way_for_so_long(penstock: Service, exporting: Flow) -> None:
    penstock.slow_next(bytes_per_s=10)
    began_s = time.monotonic()
    item = exporting.wait(exporting.move("/a.pt", "/a.pt"))
    assert item["Status"] == "COMPLETE"
    assert time.monotonic() - began_s >= 7 / 10


def test_the_next_file_expires(penstock: Service, exporting: Flow) -> None:
    penstock.expire_next(task_id=exporting.task_id)
    assert exporting.wait(exporting.move("/a.pt", "/a.pt"))["Status"] == "EXPIRED"
    assert exporting.wait(exporting.move("/a.pt", "/b.pt"))["Status"] == "COMPLETE"


def test_the_next_call_is_refused_with_this_code_and_status(penstock: Service, client: Client) -> None:
    penstock.refuse_next("DescribeDataFlows", code="Throttling.User", message="Slowly.", retry_after_s=7)
    error = _refusal(client, penstock)
    assert (error.code, error.statusCode, error.message.startswith("code: 400, Slowly.")) == (
        "Throttling.User",
        400,
        True,
    )
    penstock.refuse_next("Describe*", code="ServiceUnavailable", status=503, count=2)
    assert [_refusal(client, penstock).code for _ in range(2)] == ["ServiceUnavailable"] * 2
    assert _describe(client, penstock) == ""


def test_calls_beyond_so_many_a_second_are_throttled(penstock: Service, client: Client) -> None:
    fault_id = penstock.throttle("DescribeDataFlows", calls_per_s=1)
    codes = []
    for _ in range(3):
        try:
            codes.append(_describe(client, penstock))
        except DaraException as error:
            codes.append(str(error.code))
    assert codes[0] == ""
    assert "Throttling.User" in codes
    penstock.remove(fault_id)
    assert _describe(client, penstock) == ""


def test_an_answer_that_is_lost_was_given_all_the_same(penstock: Service, client: Client) -> None:
    (penstock.root / "train").mkdir()
    penstock.lose_next("CreateDataFlow")
    request = nas.CreateDataFlowRequest(
        file_system_id=penstock.file_system_id,
        file_system_path="/train/",
        source_storage=penstock.storage,
        source_storage_path="/run/",
        client_token="once",
    )
    with pytest.raises(Exception, match=r"(?i)connection|remote|closed"):
        client.create_data_flow(request)
    again = client.create_data_flow(request).body.data_flow_id
    assert again == penstock.client.flows()[0].flow_id


def test_a_delayed_answer_comes_later(penstock: Service, client: Client) -> None:
    penstock.delay_next("DescribeDataFlows", delay_s=0.3)
    began_s = time.monotonic()
    assert _describe(client, penstock) == ""
    assert time.monotonic() - began_s >= 0.3


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("burn", {}),
        ("slow", {}),
        ("throttle", {}),
        ("answer", {"Status": 200}),
        ("answer", {"ErrorCode": "a b"}),
        ("fail", {"FailureCode": "Nonsense"}),
    ],
)
def test_what_cannot_be_armed_is_refused(penstock: Service, kind: str, more: dict[str, str]) -> None:
    with pytest.raises(ApiRefusedError):
        penstock.call("ArmStandInFault", Kind=kind, **more)
    assert penstock.faults() == []
