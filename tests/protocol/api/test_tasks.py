"""Do the operations on tasks do what the ledger says, and does a refusal change nothing?"""

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.api.options import ApiOptions, Fidelity
from penstock.catalog.verbs import Settling
from tests.fixtures import enginestand
from tests.fixtures.apicaller import FILE_SYSTEM, OLD_FILE_SYSTEM
from tests.fixtures.apiserver import ApiServer, serving

STREAM = {"FileSystemId": FILE_SYSTEM, "TaskAction": "StreamImport", "ConflictPolicy": "KEEP_LATEST"}


@pytest.fixture(scope="module")
def flow(shared: ApiServer) -> str:
    return shared.make_flow()


def listed(server: ApiServer, **filters: str) -> list[dict[str, Any]]:
    wire = {"FileSystemId": FILE_SYSTEM, "MaxResults": "100"}
    for number, (key, value) in enumerate(filters.items(), start=1):
        wire |= {f"Filters.{number}.Key": key, f"Filters.{number}.Value": value}
    response = server.ask("DescribeDataFlowTasks", wire)
    assert response.status == 200, response.text
    found = response.body["TaskInfo"]["Task"]
    assert isinstance(found, list)
    return found


def refused(server: ApiServer, status: int, code: str, action: str, **parameters: str) -> None:
    before = listed(server)
    response = server.ask_form(action, parameters)  # lists are too long for a URL
    assert (response.status, response.code) == (status, code), response.text
    assert listed(server) == before


# ---------------------------------------------------------------------------------------------------------------- create


@pytest.mark.rule("TASK-5")
@pytest.mark.rule("TASK-7")
@pytest.mark.rule("TASK-11")
def test_a_new_stream_is_executing_and_answered_whole(server: ApiServer) -> None:
    flow = server.make_flow()
    task = server.make_stream(flow, Directory="/test/", CreateDirIfNotExist="True")
    (found,) = listed(server)
    for name in ("CreateTime", "StartTime"):
        assert len(found.pop(name)) == len("2024-10-23 16:28:16")
    assert found == {
        "FilesystemId": FILE_SYSTEM,
        "DataFlowId": flow,
        "TaskId": task,
        "SourceStorage": "oss://examplebucket",
        "FileSystemPath": "/data/",
        "FsPath": "/data/",
        "Originator": "User",
        "TaskAction": "StreamImport",
        "DataType": "MetaAndData",
        "ConflictPolicy": "OVERWRITE_EXISTING",
        "Directory": "/test/",
        "DstDirectory": "/test/",
        "Status": "Executing",
        "Progress": 0,
        "ProgressStats": dict.fromkeys(
            (
                "FilesTotal",
                "FilesDone",
                "ActualFiles",
                "BytesTotal",
                "BytesDone",
                "ActualBytes",
                "AverageSpeed",
                "RemainTime",
            ),
            0,
        ),
        "ErrorMsg": "",
    }
    server.make_stream(flow)
    assert [(each["Directory"], each["DstDirectory"]) for each in listed(server)] == [("/", "/"), ("/test/", "/test/")]


@pytest.mark.rule("PARAM-1")
@pytest.mark.rule("TASK-3")
@pytest.mark.parametrize("name", ["FileSystemId", "DataFlowId", "TaskAction", "ConflictPolicy"])
def test_what_has_to_be_there(shared: ApiServer, flow: str, name: str) -> None:
    parameters = {other: value for other, value in (STREAM | {"DataFlowId": flow}).items() if other != name}
    refused(shared, 400, f"Missing{name}", "CreateDataFlowTask", **parameters)


@pytest.mark.rule("TASK-1")
@pytest.mark.rule("TASK-3")
@pytest.mark.rule("TASK-4")
@pytest.mark.rule("COMPARE-1")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"TaskAction": "Evict"}, "InvalidTaskAction.NotSupported"),
        ({"TaskAction": "Inventory", "ConflictPolicy": ""}, "InvalidTaskAction.NotSupported"),
        ({"TaskAction": "Inventory"}, "InvalidTaskAction.NotSupported"),
        ({"TaskAction": "streamimport"}, "InvalidTaskAction.NotSupported"),
        ({"DataType": "Data"}, "InvalidDataType.NotSupported"),
        ({"DataType": "Metadata"}, "InvalidDataType.NotSupported"),
        ({"ConflictPolicy": "SKIP"}, "InvalidParameter.InvalidFormat"),
        ({"EntryList": '["/a"]'}, "InvalidTaskAction.NotSupported"),
        ({"Includes": '["/a/"]', "Directory": "/"}, "InvalidTaskAction.NotSupported"),
        ({"TransferFileListPath": "/lists/"}, "InvalidTaskAction.NotSupported"),
        ({"SrcTaskId": "task-1"}, "InvalidTaskAction.NotSupported"),
        ({"CompareChecksum": "Stored"}, "InvalidTaskAction.NotSupported"),
        ({"TaskAction": "Export", "CompareChecksum": "Stored"}, "InvalidTaskAction.NotSupported"),
        ({"TaskAction": "Compare", "TransferFileListPath": "/lists/"}, "InvalidTaskAction.NotSupported"),
        ({"TaskAction": "Compare", "CompareChecksum": "stored"}, "InvalidParameter.InvalidFormat"),
        ({"Directory": "/test"}, "InvalidParameter.InvalidFormat"),
        ({"DstDirectory": "test/"}, "InvalidParameter.InvalidFormat"),
        ({"CreateDirIfNotExist": "yes"}, "InvalidParameter.InvalidFormat"),
        ({"EntryList": json.dumps(["/" + "e" * 1000] * 70)}, "InvalidParameter.SizeTooLarge"),
    ],
)
def test_streams_that_cannot_be(shared: ApiServer, flow: str, changes: dict[str, str], code: str) -> None:
    refused(shared, 404, code, "CreateDataFlowTask", **{**STREAM, "DataFlowId": flow, **changes})


@pytest.mark.rule("PATH-2")
@pytest.mark.parametrize("name", ["EntryList", "Includes"])
@pytest.mark.parametrize("entry", ["/\\ud800/", "/a\\udfffb/", "/../", "/\\u0007/"])
def test_entries_that_no_name_can_be(shared: ApiServer, flow: str, name: str, entry: str) -> None:
    asked = {"TaskAction": "Import", "Directory": "/" if name == "Includes" else "", name: f'["/a/","{entry}"]'}
    refused(shared, 400, "IllegalCharacters", "CreateDataFlowTask", **{**STREAM, "DataFlowId": flow, **asked})


@pytest.mark.rule("PATH-2")
@pytest.mark.parametrize("name", ["Directory", "DstDirectory", "TransferFileListPath"])
@pytest.mark.parametrize("path", ["/../", "/a/../b/", "/a//", "/\t/"])
def test_directories_without_a_way_out(shared: ApiServer, flow: str, name: str, path: str) -> None:
    refused(shared, 400, "IllegalCharacters", "CreateDataFlowTask", **STREAM, DataFlowId=flow, **{name: path})


@pytest.mark.rule("TASK-2")
@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"EntryList": "[1]"}, 404, "InvalidParameter.InvalidFormat"),
        ({"EntryList": "{}"}, 404, "InvalidParameter.InvalidFormat"),
        ({"EntryList": "["}, 404, "InvalidParameter.InvalidFormat"),
        ({"EntryList": "[" * 60_000}, 404, "InvalidParameter.InvalidFormat"),
        ({"EntryList": "[]"}, 404, "InvalidParameter.InvalidFormat"),
        ({"EntryList": '["/a/../b"]'}, 400, "IllegalCharacters"),
        ({"EntryList": '["/.penstock-a"]'}, 404, "InvalidParameter.InvalidFormat"),
        ({"EntryList": '["/' + "a" * 1023 + '"]'}, 404, "InvalidParameter.InvalidFormat"),
        ({"EntryList": '["/a"]', "TransferFileListPath": "/l/"}, 404, "InvalidParameter.InvalidFormat"),
        ({"Directory": "/a/", "TransferFileListPath": "/l/"}, 404, "InvalidParameter.InvalidFormat"),
        ({"TransferFileListPath": "/l"}, 404, "InvalidParameter.InvalidFormat"),
        ({"Directory": "/a/", "Includes": '["/' + "b" * 3000 + '/"]'}, 404, "InvalidParameter.InvalidFormat"),
        ({"DataType": "Metadata"}, 404, "InvalidDataType.NotSupported"),
        ({"TaskAction": ""}, 400, "MissingTaskAction"),
        ({"ConflictPolicy": ""}, 400, "MissingConflictPolicy"),
        ({"EntryList": '["a"]'}, 404, "InvalidParameter.InvalidFormat"),
        ({"EntryList": '["/a"]', "Directory": "/a/"}, 404, "InvalidParameter.InvalidFormat"),
        ({"Includes": '["/a/"]'}, 404, "InvalidParameter.InvalidFormat"),
        ({"Directory": "/a/", "Includes": '["a"]'}, 404, "InvalidParameter.InvalidFormat"),
        ({"EntryList": '["/' + "a" * (64 << 10) + '"]'}, 404, "InvalidParameter.SizeTooLarge"),
    ],
)
def test_batches_that_cannot_be(shared: ApiServer, flow: str, changes: dict[str, str], status: int, code: str) -> None:
    for action in ("Import", "Export"):
        parameters = {**STREAM, "DataFlowId": flow, "TaskAction": action, **changes}
        refused(shared, status, code, "CreateDataFlowTask", **parameters)


def batch(server: ApiServer, flow: str, action: str = "Import", **more: str) -> str:
    """A new batch task's id."""
    response = server.ask_form("CreateDataFlowTask", {**STREAM, "DataFlowId": flow, "TaskAction": action, **more})
    assert response.status == 200, response.text
    return str(response.body["TaskId"])


@pytest.mark.rule("TASK-2")
@pytest.mark.rule("TASK-13")
def test_a_batch_waits_for_its_place_and_is_answered_as_it_was_asked(server: ApiServer) -> None:
    flow = server.make_flow()
    asked = {"Directory": "/a/", "Includes": '["/b/","/c/"]', "DstDirectory": "/d/"}
    task = batch(server, flow, **asked)
    (found,) = listed(server)
    assert (found["TaskId"], found["Status"], found["TaskAction"]) == (task, "Pending", "Import")
    assert found.items() >= asked.items()
    assert {"Reports", "ReportPath", "StartTime", "EntryList"}.isdisjoint(found)
    refused(
        server, 403, "OperationDenied.DependencyViolation", "DeleteDataFlow", FileSystemId=FILE_SYSTEM, DataFlowId=flow
    )
    ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow, "TaskId": task}
    assert server.ask("CancelDataFlowTask", ids).status == 200
    assert listed(server)[0]["Status"] == "Canceled"
    refused(server, 403, "OperationDenied.InvalidState", "CancelDataFlowTask", **ids)


@pytest.mark.rule("TASK-2")
def test_a_batchs_dry_run_makes_nothing_and_its_token_makes_one(server: ApiServer) -> None:
    flow = server.make_flow()
    assert batch(server, flow, DryRun="True") == ""
    assert listed(server) == []
    assert batch(server, flow, ClientToken="one") == batch(server, flow, ClientToken="one")
    assert len(listed(server)) == 1


@pytest.mark.rule("TASK-14")
def test_an_earlier_batch_is_copied(server: ApiServer) -> None:
    flow = server.make_flow()
    first = batch(server, flow, "Export", EntryList='["/a","/b/"]', DstDirectory="/saved/")
    batch(server, flow, "", SrcTaskId=first, ConflictPolicy="SKIP_THE_FILE")
    second = listed(server)[0]
    copied = {"TaskAction": "Export", "EntryList": '["/a","/b/"]', "DstDirectory": "/saved/", "Directory": "/"}
    assert second.items() >= copied.items()
    assert second["ConflictPolicy"] == "SKIP_THE_FILE"
    batch(server, flow, "Export", SrcTaskId=first, DstDirectory="/")
    assert listed(server)[0]["DstDirectory"] == "/"
    batch(server, flow, "Export", SrcTaskId=first, Directory="/own/")
    third = listed(server)[0]
    assert "EntryList" not in third
    assert (third["Directory"], third["DstDirectory"]) == ("/own/", "/own/")


@pytest.mark.rule("TASK-14")
def test_what_cannot_be_copied(server: ApiServer) -> None:
    flow, other = server.make_flow(), server.make_flow(FileSystemPath="/other/")
    stream, elsewhere = server.make_stream(flow), batch(server, other)
    wrong = {
        "nonsense": "InvalidSrcTaskId.TaskIdInvalid",
        stream: "InvalidSrcTaskId.TaskIdInvalid",
        "task-0000000000000001": "InvalidSrcTaskId.TaskIdNotFound",
        elsewhere: "InvalidSrcTaskId.NotFound",
    }
    for task, code in wrong.items():
        asked = {**STREAM, "DataFlowId": flow, "TaskAction": "Import", "SrcTaskId": task}
        refused(server, 404, code, "CreateDataFlowTask", **asked)
    export = {**STREAM, "DataFlowId": other, "TaskAction": "Export", "SrcTaskId": elsewhere}
    refused(server, 404, "InvalidSrcTaskId.TaskIdInvalid", "CreateDataFlowTask", **export)


@pytest.mark.rule("VERSION-1")
def test_a_directory_is_made_from_2_6_0_on(shared: ApiServer) -> None:
    asked = {**STREAM, "FileSystemId": OLD_FILE_SYSTEM, "DataFlowId": "df-1", "TaskAction": "Import"}
    code = "InvalidFilesystemVersion.NotSupport"
    refused(shared, 400, code, "CreateDataFlowTask", **asked, CreateDirIfNotExist="true")
    refused(shared, 404, "InvalidDataFlow.NotFound", "CreateDataFlowTask", **asked)


@pytest.mark.rule("VERSION-1")
def test_streams_need_2_6_0(shared: ApiServer) -> None:
    for action, parameters in [
        ("CreateDataFlowTask", STREAM | {"DataFlowId": "df-1"}),
        ("CreateDataFlowSubTask", {"DataFlowId": "a", "DataFlowTaskId": "b", "SrcFilePath": "/a", "DstFilePath": "/a"}),
        ("DescribeDataFlowSubTasks", {}),
    ]:
        code = "InvalidFilesystemVersion.NotSupport"
        refused(shared, 400, code, action, **(parameters | {"FileSystemId": OLD_FILE_SYSTEM}))


@pytest.mark.rule("TASK-6")
@pytest.mark.rule("FLOW-12")
def test_the_dataflow_is_running(server: ApiServer) -> None:
    flow = server.make_flow()
    assert server.ask("StopDataFlow", {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow}).status == 200
    refused(server, 403, "OperationDenied.InvalidState", "CreateDataFlowTask", **STREAM, DataFlowId=flow)
    refused(server, 404, "InvalidDataFlow.NotFound", "CreateDataFlowTask", **STREAM, DataFlowId="df-1")


# -------------------------------------------------------------------------------------------------------------- describe


@pytest.mark.rule("TASK-8")
def test_progress_is_counted(server: ApiServer) -> None:
    flow = server.make_flow()
    task = server.make_stream(flow)
    for number in range(5):
        server.make_sub_task(flow, task, f"/{number}", f"/{number}")
    moved, skipped, failed, running, _ = enginestand.claim(server, task)
    enginestand.settle(server, moved, Settling.COMPLETE)
    enginestand.settle(server, skipped, Settling.COMPLETE, skipped=True, actual_bytes=0, moving_ns=0)
    enginestand.settle(server, failed, Settling.FAILED, error_code="SourceNotFound", error_message="none")
    enginestand.settle(server, running, Settling.RETURNED)
    (found,) = listed(server)
    assert found["Progress"] == 2
    assert found["ProgressStats"] == {
        "FilesTotal": 5,
        "FilesDone": 2,
        "ActualFiles": 1,
        "BytesTotal": 136,
        "BytesDone": 136,
        "ActualBytes": 68,
        "AverageSpeed": 34,
        "RemainTime": 0,
    }
    assert "Reports" not in found


@pytest.mark.rule("FILTER-1")
@pytest.mark.rule("FILTER-5")
def test_filters(server: ApiServer) -> None:
    flow, other = server.make_flow(), server.make_flow(SourceStoragePath="/other/")
    first = server.make_stream(flow)
    second = server.make_stream(other, TaskAction="StreamExport")
    ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow, "TaskId": first}
    assert server.ask("CancelDataFlowTask", ids).status == 200
    for filters, wanted in [
        ({}, [second, first]),
        ({"TaskIds": f"{first},{second}"}, [second, first]),
        ({"TaskId": first}, [first]),
        ({"DataFlowIds": other}, [second]),
        ({"TaskActions": "StreamImport"}, [first]),
        ({"TaskActions": "StreamImport,StreamExport"}, [second, first]),
        ({"TaskActions": "Import"}, []),
        ({"Originator": "User"}, [second, first]),
        ({"Originator": "System"}, []),
        ({"DataTypes": "MetaAndData"}, [second, first]),
        ({"DataTypes": "Data"}, []),
        ({"Status": "Canceled"}, [first]),
        ({"Status": "Canceled,Executing"}, [second, first]),
        ({"CreateTimeBegin": "2020-01-01T00:00Z"}, [second, first]),
        ({"CreateTimeEnd": "2020-01-01T00:00Z"}, []),
        ({"StartTimeBegin": "2020-01-01T00:00Z", "StartTimeEnd": "9999-01-01T00:00Z"}, [second, first]),
        ({"EndTimeBegin": "2020-01-01T00:00Z"}, [first]),
    ]:
        assert [task["TaskId"] for task in listed(server, **filters)] == wanted, filters
    response = server.ask(
        "DescribeDataFlowTasks", {"FileSystemId": FILE_SYSTEM, "WithReports": "False", "Format": "json"}
    )
    assert len(response.body["TaskInfo"]["Task"]) == 2


@pytest.mark.rule("FILTER-2")
@pytest.mark.rule("PAGE-1")
@pytest.mark.parametrize(
    ("wire", "code"),
    [
        ({"Filters.1.Key": "Status", "Filters.1.Value": "Running"}, "InvalidFilterValue"),
        ({"Filters.1.Key": "CreateTimeBegin", "Filters.1.Value": "2020-01-01"}, "InvalidFilterValue"),
        (
            {
                "Filters.1.Key": "TaskId",
                "Filters.1.Value": "a",
                "Filters.2.Key": "TaskIds",
                "Filters.2.Value": "a",
            },
            "InvalidFilterParam",
        ),
        ({"MaxResults": "9"}, "InvalidParameter.InvalidMaxResults"),
        ({"NextToken": "x"}, "InvalidParameter.InvalidNextToken"),
        ({"WithReports": "maybe"}, "InvalidParameter.InvalidFormat"),
    ],
)
def test_questions_that_mean_nothing(shared: ApiServer, wire: dict[str, str], code: str) -> None:
    refused(shared, 404, code, "DescribeDataFlowTasks", FileSystemId=FILE_SYSTEM, **wire)


# ---------------------------------------------------------------------------------------------------------------- cancel


@pytest.mark.rule("TASK-9")
def test_a_stream_with_live_sub_tasks_stays_open(server: ApiServer) -> None:
    flow = server.make_flow()
    task = server.make_stream(flow)
    ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow, "TaskId": task}
    server.make_sub_task(flow, task)
    refused(server, 403, "OperationDenied.DependencyViolation", "CancelDataFlowTask", **ids)
    (claimed,) = enginestand.claim(server, task)
    refused(server, 403, "OperationDenied.DependencyViolation", "CancelDataFlowTask", **ids)
    enginestand.settle(server, claimed, Settling.COMPLETE)
    assert server.ask("CancelDataFlowTask", ids).body.keys() == {"RequestId"}
    assert listed(server)[0]["Status"] == "Canceled"
    refused(server, 403, "OperationDenied.InvalidState", "CancelDataFlowTask", **ids)


@pytest.mark.rule("TASK-10")
def test_unknown_ids(shared: ApiServer, flow: str) -> None:
    for task in ("task-0000000000000000", "x", "subTaskId-1"):
        ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow, "TaskId": task}
        refused(shared, 404, "InvalidTaskId.NotFound", "CancelDataFlowTask", **ids)
    refused(shared, 400, "MissingTaskId", "CancelDataFlowTask", FileSystemId=FILE_SYSTEM, DataFlowId=flow)


@pytest.mark.rule("COMPARE-1")
@pytest.mark.rule("COMPARE-4")
def test_a_comparison_is_answered_as_it_was_asked_and_copied(server: ApiServer) -> None:
    flow = server.make_flow()
    first = batch(server, flow, "Compare", Directory="/a/", Includes='["/b/"]', CompareChecksum="Read")
    batch(server, flow, "", SrcTaskId=first)
    for found in listed(server):
        asked = {"TaskAction": "Compare", "CompareChecksum": "Read", "DstDirectory": "/a/", "Includes": '["/b/"]'}
        assert found.items() >= asked.items()
        assert set(found["CompareStats"].values()) == {0}


@pytest.mark.rule("COMPARE-1")
def test_strict_fidelity_knows_no_comparison(tmp_path: Path) -> None:
    with serving(tmp_path, ApiOptions(fidelity=Fidelity.STRICT)) as server:
        asked = {**STREAM, "DataFlowId": server.make_flow(), "TaskAction": "Compare"}
        refused(server, 404, "InvalidTaskAction.NotSupported", "CreateDataFlowTask", **asked)
