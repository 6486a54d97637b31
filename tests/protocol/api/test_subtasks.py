"""Do the operations on sub-tasks do what the ledger says, and does a refusal change nothing?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.api.options import ApiOptions, Fidelity, PathBase
from penstock.catalog.verbs import Settling
from penstock.errors import CatalogUnavailableError, TooManyWaitingError
from penstock.model import FileDetail
from tests.fixtures import enginestand
from tests.fixtures.apicaller import FILE_SYSTEM, Response
from tests.fixtures.apiserver import ApiServer, serving


class Stream:
    """A server with one open stream, Directory `/test/`, DstDirectory `/mnt/`."""

    def __init__(self, server: ApiServer, **changes: str) -> None:
        self.server = server
        self.flow = server.make_flow()
        self.task = server.make_stream(self.flow, **{"Directory": "/test/", "DstDirectory": "/mnt/", **changes})
        self.ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": self.flow, "DataFlowTaskId": self.task}

    def create(self, **changes: str) -> Response:
        wire = {**self.ids, "SrcFilePath": "/a", "DstFilePath": "/a", **changes}
        return self.server.ask("CreateDataFlowSubTask", wire)

    def cancel(self, sub_task: str) -> Response:
        return self.server.ask("CancelDataFlowSubTask", {**self.ids, "DataFlowSubTaskId": sub_task})

    def listed(self, max_results: str = "100", token: str = "", **filters: str) -> Response:
        wire = {"FileSystemId": FILE_SYSTEM, "MaxResults": max_results, "NextToken": token}
        for number, (key, value) in enumerate(filters.items(), start=1):
            wire |= {f"Filters.{number}.Key": key, f"Filters.{number}.Value": value}
        response = self.server.ask("DescribeDataFlowSubTasks", wire)
        assert response.status == 200, response.text
        return response

    def found(self, **filters: str) -> list[dict[str, Any]]:
        items = self.listed(**filters).body["DataFlowSubTask"]["DataFlowSubTask"]
        assert isinstance(items, list)
        return items

    def refused(self, status: int, code: str, **changes: str) -> str:
        before = self.found(DataFlowTaskIds=self.task)
        response = self.create(**changes)
        assert (response.status, response.code) == (status, code), response.text
        assert self.found(DataFlowTaskIds=self.task) == before
        return str(response.body["Message"])


@pytest.fixture
def stream(server: ApiServer) -> Stream:
    return Stream(server)


@pytest.fixture(scope="module")
def open_stream(shared: ApiServer) -> Stream:
    return Stream(shared)


# ---------------------------------------------------------------------------------------------------------------- create


@pytest.mark.rule("SUB-1")
@pytest.mark.rule("SUB-5")
def test_a_new_sub_task_waits_and_nothing_was_asked(stream: Stream) -> None:
    asked = len(stream.server.stores["examplebucket"].calls)
    made = stream.create(SrcFilePath="/none.xml").body["DataFlowSubTaskId"]
    (item,) = stream.found()
    assert len(item.pop("CreateTime")) == len("2024-10-23 16:28:16")
    assert item == stream.ids | {
        "DataFlowSubTaskId": made,
        "SrcFilePath": "/prefix/test/none.xml",
        "DstFilePath": "/data/mnt/a",
        "Status": "CREATED",
        "Progress": 0,
        "ProgressStats": {"BytesTotal": 0, "BytesDone": 0, "ActualBytes": 0, "AverageSpeed": 0},
        "ErrorMsg": "",
    }
    assert len(stream.server.stores["examplebucket"].calls) == asked


@pytest.mark.rule("PARAM-1")
@pytest.mark.parametrize("name", ["FileSystemId", "DataFlowId", "DataFlowTaskId", "SrcFilePath", "DstFilePath"])
def test_what_has_to_be_there(open_stream: Stream, name: str) -> None:
    open_stream.refused(400, f"Missing{name}", **{name: ""})


@pytest.mark.rule("PATH-1")
@pytest.mark.rule("PATH-4")
@pytest.mark.parametrize("name", ["SrcFilePath", "DstFilePath"])
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/../../etc/passwd", 400, "IllegalCharacters"),
        ("/a/../../b", 400, "IllegalCharacters"),
        ("/a/./b", 400, "IllegalCharacters"),
        ("/a//b", 400, "IllegalCharacters"),
        ("/a\0b", 400, "IllegalCharacters"),
        ("/a\x1bb", 400, "IllegalCharacters"),
        ("a", 404, "InvalidParameter.InvalidFormat"),
        ("/", 404, "InvalidParameter.InvalidFormat"),
        ("/a/", 404, "InvalidParameter.InvalidFormat"),
        ("/" + "a" * 1023, 404, "InvalidParameter.InvalidFormat"),
        ("/.penstock-0123456789abcdef.partial", 404, "InvalidParameter.InvalidFormat"),
    ],
)
def test_paths_that_leave_the_dataflow_or_cannot_be(
    open_stream: Stream, name: str, path: str, status: int, code: str
) -> None:
    assert name in open_stream.refused(status, code, **{name: path})


@pytest.mark.rule("PATH-3")
@pytest.mark.parametrize("action", ["StreamImport", "StreamExport"])
def test_full_paths_that_cannot_exist(server: ApiServer, action: str) -> None:
    stream = Stream(server, TaskAction=action)
    key, file = ("SrcFilePath", "DstFilePath") if action == "StreamImport" else ("DstFilePath", "SrcFilePath")
    code = "InvalidParameter.InvalidFormat"
    stream.refused(404, code, **{key: "/" + "k" * 1016})
    stream.refused(404, code, **{key: "/" + "é" * 510})
    stream.refused(404, code, **{file: "/" + "n" * 256})
    stream.refused(404, code, **{file: "/n" * 509})
    # a key may hold names that no file can have
    assert stream.create(**{key: "/" + "k" * 600}).status == 200


@pytest.mark.rule("SUB-3")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Condition", '{"Size": 5}'),
        ("Condition.size", "5"),
        ("Condition.ModifyTime", "yesterday"),
        ("Condition.ModifyTime", "1.5"),
        ("Condition.ModifyTime", str(1 << 63)),
        ("Condition.Size", "-1"),
        ("Condition.Size", str(1 << 63)),
    ],
)
def test_conditions_that_mean_nothing(open_stream: Stream, name: str, text: str) -> None:
    open_stream.refused(404, "InvalidParameter.InvalidFormat", **{name: text})


@pytest.mark.rule("SUB-3")
def test_a_condition_reaches_the_engine(stream: Stream) -> None:
    stream.create(**{"Condition.ModifyTime": "-1725897600000000001", "Condition.Size": "0"})
    (claimed,) = enginestand.claim(stream.server, stream.task)
    condition = claimed.sub_task.condition
    assert (condition.modify_time_ns, condition.size_bytes) == (-1_725_897_600_000_000_001, 0)


@pytest.mark.rule("SUB-PATH-4")
def test_a_path_with_two_readings_is_marked(stream: Stream) -> None:
    header = "x-penstock-path-base"
    assert header not in stream.create(SrcFilePath="/x", DstFilePath="/x").headers
    for paths in ({"SrcFilePath": "/test/x"}, {"DstFilePath": "/mnt/x"}):
        assert stream.create(**paths).headers[header] == "dataflow"
    claims = enginestand.claim(stream.server, stream.task)
    rivals = {claimed.sub_task.source: claimed.rival for claimed in claims}
    assert rivals["/prefix/test/x"] in ("/prefix/test/test/x", "")
    assert "/prefix/test/test/x" in rivals.values()


@pytest.mark.rule("SUB-PATH-2")
def test_relative_to_the_task_where_configured(tmp_path: Path) -> None:
    with serving(tmp_path, ApiOptions(subtask_path_base=PathBase.TASK)) as server:
        stream = Stream(server)
        response = stream.create(SrcFilePath="/test/x", DstFilePath="/mnt/x")
        assert "x-penstock-path-base" not in response.headers
        (item,) = stream.found()
        assert (item["SrcFilePath"], item["DstFilePath"]) == ("/prefix/test/test/x", "/data/mnt/mnt/x")


@pytest.mark.rule("PATH-5")
@pytest.mark.rule("SUB-PATH-3")
def test_the_whole_bucket_and_the_whole_file_system(server: ApiServer) -> None:
    flow = server.make_flow(FileSystemPath="/", SourceStoragePath="/")
    task = server.make_stream(flow)
    server.make_sub_task(flow, task, "/bmcpfs/test/file.xml", "/file.xml")
    (claimed,) = enginestand.claim(server, task)
    assert (claimed.sub_task.source, claimed.sub_task.target) == ("/bmcpfs/test/file.xml", "/file.xml")
    assert claimed.rival == ""


@pytest.mark.rule("SUB-2")
def test_states_that_take_no_sub_task(stream: Stream) -> None:
    ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": stream.flow}
    assert stream.server.ask("StopDataFlow", ids).status == 200
    stream.refused(403, "OperationDenied.InvalidState")
    assert stream.server.ask("StartDataFlow", ids).status == 200
    assert stream.server.ask("CancelDataFlowTask", ids | {"TaskId": stream.task}).status == 200
    stream.refused(403, "OperationDenied.InvalidState")
    assert stream.server.ask("DeleteDataFlow", ids).status == 200
    assert stream.create().code == "InvalidDataFlow.NotFound"


@pytest.mark.rule("SUB-9")
@pytest.mark.rule("TASK-10")
@pytest.mark.rule("FLOW-12")
def test_unknown_ids(open_stream: Stream) -> None:
    open_stream.refused(404, "InvalidFileSystem.NotFound", FileSystemId="bmcpfs-none")
    open_stream.refused(404, "InvalidDataFlow.NotFound", DataFlowId="df-0000000000000000")
    open_stream.refused(404, "InvalidTaskId.NotFound", DataFlowTaskId="task-0000000000000000")
    for sub_task in ("subTaskId-0000000000000000000", "x"):
        response = open_stream.cancel(sub_task)
        assert (response.status, response.code) == (404, "InvalidSubTaskId.NotFound")


@pytest.mark.code("*", "ServiceUnavailable")
@pytest.mark.code("*", "Throttling.User")
@pytest.mark.code("CreateDataFlowSubTask", "Throttling.User")
@pytest.mark.rule("SUB-10")
@pytest.mark.rule("RPC-6")
@pytest.mark.rule("RPC-13")
def test_a_full_catalog_asks_to_come_back(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise TooManyWaitingError("a million sub-tasks wait")

    def broken(*_: object) -> None:
        raise CatalogUnavailableError("the disk is full")

    for refuse, status, code in [(full, 400, "Throttling.User"), (broken, 503, "ServiceUnavailable")]:
        monkeypatch.setattr(stream.server.catalog, "create_sub_task", refuse)
        response = stream.create()
        assert (response.status, response.code) == (status, code)
        assert response.headers["x-acs-retry-after"] == "1"


# -------------------------------------------------------------------------------------------------------------- describe


@pytest.mark.rule("SUB-4")
@pytest.mark.rule("SUB-6")
def test_what_an_attempt_leaves_is_answered(stream: Stream) -> None:
    for name in ("/done", "/failed", "/unknown"):
        stream.create(SrcFilePath=name, DstFilePath=name)
    done, failed, unknown = enginestand.claim(stream.server, stream.task)
    assert {item["Status"] for item in stream.found()} == {"RUNNING"}
    enginestand.settle(stream.server, done, Settling.COMPLETE)
    enginestand.settle(
        stream.server,
        failed,
        Settling.FAILED,
        error_code="ConditionNotMet",
        error_message="size is 3",
        bytes_total=100,
        bytes_done=33,
    )
    bare = FileDetail(modify_time_ns=-1, size_bytes=0)
    enginestand.settle(
        stream.server, unknown, Settling.COMPLETE, detail=bare, bytes_total=0, bytes_done=0, actual_bytes=0
    )
    third, second, first = stream.found()
    assert (first["Status"], first["Progress"], first["ErrorMsg"]) == ("COMPLETE", 10000, "")
    assert first["FileDetail"] == {
        "ModifyTime": 1_721_167_603_000_000_001,
        "Size": 68,
        "Checksum": "crc64:8503095054509441234",
    }
    assert first["ProgressStats"] == {"BytesTotal": 68, "BytesDone": 68, "ActualBytes": 68, "AverageSpeed": 34}
    assert (second["Status"], second["Progress"]) == ("FAILED", 3300)
    assert second["ErrorMsg"] == "ConditionNotMet: size is 3"
    assert (third["Status"], third["Progress"]) == ("COMPLETE", 10000)
    assert third["FileDetail"] == {"ModifyTime": -1, "Size": 0}
    assert all(len(item[name]) == 19 for item in (first, second) for name in ("CreateTime", "StartTime", "EndTime"))


@pytest.mark.rule("SUB-16")
@pytest.mark.parametrize("fidelity", list(Fidelity))
def test_what_is_complete_says_how_it_was_compared(tmp_path: Path, fidelity: Fidelity) -> None:
    with serving(tmp_path, ApiOptions(fidelity=fidelity)) as server:
        stream = Stream(server)
        notes = ["", "md5", "read-back; the owner was not kept", "not compared", ""]
        for number in range(len(notes) + 1):
            stream.create(SrcFilePath=f"/{number}", DstFilePath=f"/{number}")
        *done, failed = enginestand.claim(stream.server, stream.task)
        for note, claimed in zip(notes[:-1], done[:-1], strict=True):
            enginestand.settle(server, claimed, Settling.COMPLETE, note=note, guarantee="atomic")
        enginestand.settle(server, done[-1], Settling.COMPLETE, actual_bytes=0, guarantee="best effort")
        enginestand.settle(server, failed, Settling.FAILED, error_code="ConditionNotMet")
        told = [item.get("Record") for item in reversed(stream.found())]
    if fidelity is Fidelity.STRICT:
        assert told == [None] * (len(notes) + 1)
        return
    compared = ["crc64", "md5", "read-back", "not compared"]
    assert told == [
        *(
            {"Guarantee": "atomic", "Verification": word, "Note": remarks}
            for word, remarks in zip(compared, ["", "", "the owner was not kept", ""], strict=True)
        ),
        {"Guarantee": "best effort", "Verification": "", "Note": ""},
        None,
    ]


@pytest.mark.rule("SUB-16")
@pytest.mark.parametrize("note", ["", "somebody may have it"])
def test_what_is_canceled_has_a_record_where_it_is_doubtful(stream: Stream, note: str) -> None:
    stream.create(SrcFilePath="/a", DstFilePath="/a")
    (claimed,) = enginestand.claim(stream.server, stream.task)
    stream.cancel(claimed.sub_task.sub_task_id)
    enginestand.settle(stream.server, claimed, Settling.CANCELED, note=note)
    (item,) = stream.found()
    assert item["Status"] == "CANCELED"
    assert item.get("Record") == ({"Guarantee": "", "Verification": "", "Note": note} if note else None)


@pytest.mark.rule("FILTER-1")
@pytest.mark.rule("FILTER-3")
def test_filters(stream: Stream) -> None:
    first, second, third = (
        stream.create(SrcFilePath=f"/{name}", DstFilePath=f"/{name}").body["DataFlowSubTaskId"] for name in "abc"
    )
    assert stream.cancel(third).status == 200
    for filters, wanted in [
        ({}, [third, second, first]),
        ({"DataFlowSubTaskIds": f"{first},{third}"}, [third, first]),
        ({"DataFlowSubTaskIds": first[:-1]}, []),
        ({"DataFlowIds": stream.flow}, [third, second, first]),
        ({"DataFlowTaskIds": "task-0000000000000000"}, []),
        ({"Status": "CREATED"}, [second, first]),
        ({"Status": "CREATED,CANCELED"}, [third, second, first]),
        ({"SrcFilePath": "/prefix/test/a"}, [first]),
        ({"SrcFilePath": "/test/a"}, []),
        ({"DstFilePath": "/data/mnt/b"}, [second]),
        ({"DstFilePath": "/data/mnt/b", "Status": "CANCELED"}, []),
    ]:
        assert [item["DataFlowSubTaskId"] for item in stream.found(**filters)] == wanted, filters


@pytest.mark.rule("PAGE-2")
def test_pages_are_whole_newest_first_and_end(stream: Stream) -> None:
    made = [stream.create(SrcFilePath=f"/{number}").body["DataFlowSubTaskId"] for number in range(45)]
    seen: list[str] = []
    token, sizes = "", []
    while True:
        body = stream.listed("20", token, Status="CREATED").body
        items = body["DataFlowSubTask"]["DataFlowSubTask"]
        seen += [item["DataFlowSubTaskId"] for item in items]
        sizes.append(len(items))
        if "NextToken" not in body:
            break
        token = body["NextToken"]
    assert seen == made[::-1]
    assert sizes == [20, 20, 5]
    wire = {"FileSystemId": FILE_SYSTEM, "NextToken": token}
    assert stream.server.ask("DescribeDataFlowSubTasks", wire).code == "InvalidParameter.InvalidNextToken"


@pytest.mark.rule("PAGE-1")
@pytest.mark.rule("FILTER-2")
@pytest.mark.parametrize(
    ("wire", "code"),
    [
        ({"MaxResults": "19"}, "InvalidParameter.InvalidMaxResults"),
        ({"MaxResults": "101"}, "InvalidParameter.InvalidMaxResults"),
        ({"Filters.1.Key": "Status", "Filters.1.Value": "DONE"}, "InvalidFilterValue"),
        ({"Filters.1.Key": "SrcFilePath", "Filters.1.Value": "/" + "a" * 1023}, "InvalidFilterValue"),
        ({"Filters.1.Key": "FsetIds", "Filters.1.Value": "a"}, "InvalidFilterParam"),
    ],
)
def test_questions_that_mean_nothing(shared: ApiServer, wire: dict[str, str], code: str) -> None:
    response = shared.ask("DescribeDataFlowSubTasks", {"FileSystemId": FILE_SYSTEM, **wire})
    assert (response.status, response.code) == (404, code)


@pytest.mark.rule("RPC-12")
def test_the_walkthroughs_other_name(shared: ApiServer) -> None:
    response = shared.ask("DescribeDataFlowSubTask", {"FileSystemId": FILE_SYSTEM})
    assert response.status == 200
    assert "DataFlowSubTask" in response.body


# ---------------------------------------------------------------------------------------------------------------- cancel


@pytest.mark.rule("SUB-8")
def test_cancel(stream: Stream) -> None:
    def refused(sub_task: str) -> None:
        before = stream.found()
        response = stream.cancel(sub_task)
        assert (response.status, response.code) == (403, "OperationDenied.InvalidState")
        assert stream.found() == before

    def status(sub_task: str) -> str:
        return str(stream.found(DataFlowSubTaskIds=sub_task)[0]["Status"])

    waiting, running, done = (
        stream.create(SrcFilePath=f"/{name}", DstFilePath=f"/{name}").body["DataFlowSubTaskId"] for name in "abc"
    )
    assert stream.cancel(waiting).body.keys() == {"RequestId"}
    assert status(waiting) == "CANCELED"
    refused(waiting)
    claims = {claimed.sub_task.sub_task_id: claimed for claimed in enginestand.claim(stream.server, stream.task)}
    enginestand.settle(stream.server, claims[done], Settling.COMPLETE)
    refused(done)
    assert stream.server.ask("StopDataFlow", {"FileSystemId": FILE_SYSTEM, "DataFlowId": stream.flow}).status == 200
    assert stream.cancel(running).status == 200
    assert status(running) == "CANCELING"
    refused(running)


@pytest.mark.rule("PARAM-1")
def test_the_vendors_name_for_a_missing_task(open_stream: Stream) -> None:
    for name, code in [
        ("FileSystemId", "MissingFileSystemId"),
        ("DataFlowId", "MissingDataFlowId"),
        ("DataFlowTaskId", "MissingTaskId"),
        ("DataFlowSubTaskId", "MissingDataFlowSubTaskId"),
    ]:
        wire = open_stream.ids | {"DataFlowSubTaskId": "subTaskId-1", name: ""}
        assert open_stream.server.ask("CancelDataFlowSubTask", wire).code == code


@pytest.fixture(scope="module", autouse=True)
def _quiet(shared: ApiServer) -> Iterator[None]:
    """The shared server answers at the end as it did at the start: no refusal has hurt it."""
    assert shared.ask("DescribeFileSystems", {}).status == 200
    yield
    assert shared.ask("DescribeFileSystems", {}).status == 200
