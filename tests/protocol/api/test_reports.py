"""Are reports handed out by links that were made here, for as long as they are good, and to nobody else?"""

from __future__ import annotations

import csv
import http.client
import io
import json
from urllib.parse import urlsplit

import pytest

from tests.fixtures import enginestand
from tests.fixtures.apicaller import FILE_SYSTEM
from tests.fixtures.apiserver import ApiServer

LINES = 5000
DAY_NS = 86_400_000_000_000


@pytest.fixture
def task(server: ApiServer) -> str:
    """A batch that has ended: all it has listed was skipped."""
    flow = server.make_flow()
    asked = {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow, "TaskAction": "Import", "ConflictPolicy": "KEEP_LATEST"}
    made = str(server.ask("CreateDataFlowTask", asked).body["TaskId"])
    enginestand.end_batch(server, made, lines=LINES)
    return made


def link(server: ApiServer) -> str:
    """The link to the one report, as it is answered."""
    (task,) = server.ask("DescribeDataFlowTasks", {"FileSystemId": FILE_SYSTEM}).body["TaskInfo"]["Task"]
    (report,) = task["Reports"]["Report"]
    assert report["Name"] == "SkippedFilesReport"
    return str(report["Path"])


def fetched(server: ApiServer, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


@pytest.mark.rule("BATCH-4")
def test_a_link_names_the_host_that_was_called_and_needs_no_key(server: ApiServer, task: str) -> None:
    url = link(server)
    assert url.startswith(f"http://{server.host}/?Report=SkippedFilesReport&TaskId={task}&Expires=")
    server.restart()
    status, body = fetched(server, path_of(url))
    assert status == 200
    lines = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    assert [line["SrcFilePath"] for line in lines] == [f"/ü/{number}" for number in range(LINES)]


@pytest.mark.usefixtures("task")
def test_whoever_looks_at_calls_is_not_told_what_opens_a_link(server: ApiServer) -> None:
    url = link(server)
    (call,) = [one for one in server.api.witness.calls() if one.action == "DescribeDataFlowTasks"]
    told = json.dumps(call.answer)
    assert url.partition("&Signature=")[0] in told
    assert "Signature=" not in told


@pytest.mark.rule("BATCH-4")
def test_a_link_ends_and_so_does_a_report(server: ApiServer, task: str) -> None:
    old = path_of(link(server))
    server.ahead_ns += DAY_NS + 2_000_000_000
    status, body = fetched(server, old)
    assert (status, json.loads(body)["Code"]) == (400, "InvalidTimeStamp.Expired")
    server.ahead_ns = 0
    assert fetched(server, old)[0] == 200
    before = {"tokens_before_ns": 0, "nonces_before_ns": 0, "limit": 100}
    server.run(lambda: server.catalog.prune(sub_tasks_before_ns=server.now_ns(), **before))
    status, body = fetched(server, old)
    assert (status, json.loads(body)["Code"]) == (404, "InvalidTaskId.NotFound")


@pytest.mark.rule("BATCH-4")
def test_what_was_not_made_here_opens_nothing(server: ApiServer, task: str) -> None:
    good = path_of(link(server))
    wrong = {
        good.replace("Skipped", "Failed"): "SignatureDoesNotMatch",
        good.replace(task, "task-0000000000000001"): "SignatureDoesNotMatch",
        good.rpartition("&")[0]: "SignatureDoesNotMatch",
        good + "%C3%BC": "SignatureDoesNotMatch",
        good.replace("SkippedFilesReport", "Any"): "InvalidParameter.Format",
        "/?Report=" + "x" * 5000: "RequestURITooLong",
        "/?Report=": "InvalidParameter.Format",
    }
    for path, code in wrong.items():
        status, body = fetched(server, path)
        assert (status // 100, json.loads(body)["Code"]) == (4, code), path
    assert fetched(server, good)[0] == 200
