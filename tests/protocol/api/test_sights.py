"""Do the overview and the detail tell what is so, in whole numbers, to those who may see it and to nobody else?"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from penstock.api.options import ApiOptions, Fidelity
from penstock.catalog.verbs import Settling
from penstock.errors import FailureCode
from penstock.model import AccessKey
from tests.fixtures import enginestand
from tests.fixtures.apicaller import FILE_SYSTEM, OLD_FILE_SYSTEM, OLDEST_FILE_SYSTEM, OWNER, READER, STRANGER
from tests.fixtures.apiserver import ApiServer, serving
from tests.protocol.api.bulkdoor import Door, entries, ids_of

OVERVIEW, DETAIL = "DescribeOverview", "DescribeDataFlowSubTaskDetail"
FAILED = {"error_code": FailureCode.SOURCE_NOT_FOUND, "error_message": "there is no object (request id 5F-1)"}


def overview(server: ApiServer, key: AccessKey = OWNER, **wire: str) -> dict[str, Any]:
    answer = server.ask(OVERVIEW, wire, key=key)
    assert answer.status == 200, answer.text
    return answer.body


@pytest.mark.rule("SEE-1")
def test_the_overview_counts_what_there_is_by_dataflow_and_in_all(door: Door) -> None:
    server = door.server
    ids_of(door.results(entries(5)))
    done, failed, waits, *_ = enginestand.claim(server, door.task, limit=3)
    enginestand.settle(server, done, Settling.COMPLETE)
    enginestand.settle(server, failed, Settling.FAILED, **FAILED)
    due_ns = server.now_ns() + 60_000_000_000
    enginestand.settle(server, waits, Settling.RETRY, due_ns=due_ns, **FAILED)
    body = overview(server)
    assert abs(body["NowNs"] - server.now_ns()) < 60_000_000_000
    counts = {"Waiting": 2, "Running": 1, "Canceling": 0, "Complete": 1, "Failed": 1, "Canceled": 0, "Expired": 0}
    assert body["Ledger"]["Counts"] == {**counts, "BytesIn": 68, "BytesOut": 0}
    (flow,) = body["DataFlows"]["DataFlow"]
    assert flow["Counts"] == body["Ledger"]["Counts"]
    assert (flow["FileSystemId"], flow["DataFlowId"], flow["Status"]) == (FILE_SYSTEM, door.flow, "Running")
    day, hours = body["Ledger"]["Day"], body["Ledger"]["Hours"]["Hour"]
    assert (day["Complete"], day["Failed"], day["BytesIn"]) == (1, 1, 68)
    assert day["SinceNs"] == body["Ledger"]["CountedSinceNs"] <= body["NowNs"]
    assert len(hours) == 24
    assert sum(hour["Complete"] for hour in hours) == 1
    first, second = body["Troubles"]["Trouble"]
    assert {first["Kind"], second["Kind"]} == {"failed", "failed-try"}
    told = first if first["Kind"] == "failed-try" else second
    assert (told["Code"], told["RequestId"], told["DueNs"]) == ("SourceNotFound", "5F-1", due_ns)
    assert told["DataFlowSubTaskId"] == waits.sub_task.sub_task_id
    assert not {"Engine", "Movers", "Buckets"} & set(body)  # there is no engine in this server
    assert overview(server, MaxTroubles="1")["Troubles"]["Trouble"] == [first]


@pytest.mark.rule("SEE-1")
@pytest.mark.rule("SEE-3")
def test_each_key_sees_its_own_file_systems_only(door: Door) -> None:
    server = door.server
    assert overview(server, READER)["DataFlows"]["DataFlow"]
    assert overview(server, STRANGER)["DataFlows"]["DataFlow"] == []
    assert overview(server, FileSystemId=OLD_FILE_SYSTEM)["DataFlows"]["DataFlow"] == []
    assert overview(server, FileSystemId=FILE_SYSTEM)["DataFlows"]["DataFlow"]
    refused = server.ask(OVERVIEW, {"FileSystemId": FILE_SYSTEM}, key=STRANGER)
    assert (refused.status, refused.code) == (403, "Forbidden.RAM")
    missing = server.ask(OVERVIEW, {"FileSystemId": "bmcpfs-none"})
    assert (missing.status, missing.code) == (404, "InvalidFileSystem.NotFound")
    older = server.ask(OVERVIEW, {"FileSystemId": OLDEST_FILE_SYSTEM})
    assert (older.status, older.code) == (400, "InvalidFilesystemVersion.NotSupport")
    for name in ("MaxMoving", "MaxTroubles"):
        wrong = server.ask(OVERVIEW, {name: "101"})
        assert (wrong.status, wrong.code) == (404, "InvalidParameter.InvalidFormat")


@pytest.mark.rule("SEE-2")
def test_one_sub_task_is_told_in_full(door: Door) -> None:
    server = door.server
    made = ids_of(door.results(entries(3)))
    wire = {"FileSystemId": FILE_SYSTEM, "DataFlowSubTaskId": made[2]}
    body = server.ask(DETAIL, wire, key=READER).body
    assert (body["Wait"], body["Line"]) == ("in-line", {"Before": 2, "IsMore": False, "Of": 3, "First": ""})
    assert (body["Direction"], body["TaskAction"], body["DataFlowStatus"]) == ("import", "StreamImport", "Running")
    assert (body["Attempts"], body["Happenings"], body["HappeningsLeftOut"]) == (0, {"Happening": []}, 0)
    assert not {"StartedNs", "EndedNs", "NextTryNs", "Live"} & set(body)
    first, *_ = enginestand.claim(server, door.task)
    due_ns = server.now_ns() + 60_000_000_000
    enginestand.settle(server, first, Settling.RETRY, due_ns=due_ns, **FAILED)
    body = server.ask(DETAIL, wire | {"DataFlowSubTaskId": made[0]}).body
    listed = next(item for item in door.found() if item["DataFlowSubTaskId"] == made[0])
    assert body["SubTask"] == listed
    assert (body["Wait"], body["NextTryNs"], body["Failures"], body["Attempts"]) == ("again", due_ns, 1, 1)
    (happening,) = body["Happenings"]["Happening"]
    assert (happening["Kind"], happening["Times"], happening["Attempt"]) == ("failed-try", 1, 1)
    assert (happening["Code"], happening["RequestId"], happening["DueNs"]) == ("SourceNotFound", "5F-1", due_ns)


@pytest.mark.rule("SEE-2")
@pytest.mark.rule("SEE-3")
def test_who_may_not_see_it_or_names_nothing_is_refused(door: Door) -> None:
    server = door.server
    (made,) = ids_of(door.results(entries(1)))
    wire = {"FileSystemId": FILE_SYSTEM, "DataFlowSubTaskId": made}
    narrow = {"DataFlowSubTaskId": made, "FileSystemId": OLD_FILE_SYSTEM}
    for key, given, status, code in (
        (STRANGER, wire, 403, "Forbidden.RAM"),
        (OWNER, narrow, 400, "InvalidFilesystemVersion.NotSupport"),
        (OWNER, {"FileSystemId": FILE_SYSTEM}, 400, "MissingDataFlowSubTaskId"),
        (OWNER, {"DataFlowSubTaskId": made}, 400, "MissingFileSystemId"),
        (OWNER, wire | {"DataFlowSubTaskId": made[:-1] + "?"}, 404, "InvalidSubTaskId.NotFound"),
        (OWNER, wire | {"DataFlowSubTaskId": "subTaskId-0000"}, 404, "InvalidSubTaskId.NotFound"),
    ):
        answer = server.ask(DETAIL, given, key=key)
        assert (answer.status, answer.code) == (status, code), answer.text


@pytest.mark.rule("SEE-1")
@pytest.mark.rule("SEE-2")
def test_both_have_a_shape_in_xml(door: Door) -> None:
    (made,) = ids_of(door.results(entries(1)))
    overview = door.server.ask(OVERVIEW, {"Format": "XML"}).text
    root = ElementTree.fromstring(overview)
    assert root.tag == "DescribeOverviewResponse"
    assert root.findtext("DataFlows/DataFlow/DataFlowId") == door.flow
    detail = door.server.ask(DETAIL, {"FileSystemId": FILE_SYSTEM, "DataFlowSubTaskId": made, "Format": "XML"}).text
    assert ElementTree.fromstring(detail).findtext("Line/IsMore") == "false"


@pytest.mark.rule("SEE-4")
def test_strict_fidelity_has_neither(tmp_path: Path) -> None:
    with serving(tmp_path, ApiOptions(fidelity=Fidelity.STRICT)) as server:
        for action in (OVERVIEW, DETAIL):
            answer = server.ask(action, {"FileSystemId": FILE_SYSTEM, "DataFlowSubTaskId": "x"})
            assert (answer.status, answer.code) == (404, "InvalidApi.NotFound")
