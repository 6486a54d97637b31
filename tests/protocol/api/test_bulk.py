"""Does the bulk door take many files as the one-file call takes each, once, and refuse as a whole what concerns the whole?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_tea_openapi.utils_models import OpenApiRequest, Params
from darabonba.runtime import RuntimeOptions

from penstock.api.options import ApiOptions, Fidelity, PathBase
from penstock.errors import CatalogUnavailableError
from penstock.model import AccessKey
from tests.fixtures import enginestand
from tests.fixtures.apicaller import FILE_SYSTEM, OLD_FILE_SYSTEM, READER, STRANGER
from tests.fixtures.apiserver import ApiServer, serving
from tests.protocol.api.bulkdoor import ACTION, Door, entries, entry, ids_of, results


@pytest.fixture(scope="module")
def open_door(shared: ApiServer) -> Door:
    return Door(shared)


# ------------------------------------------------------------------------------------------------------------- the whole


@pytest.mark.rule("BULK-1")
@pytest.mark.rule("BULK-2")
def test_a_thousand_files_in_one_call_are_a_thousand_ordinary_sub_tasks(door: Door) -> None:
    made = ids_of(door.results(entries(1000)))
    assert len(set(made)) == 1000
    assert made == sorted(made)
    listed = door.found()[::-1]
    assert [item["DataFlowSubTaskId"] for item in listed] == made
    assert [item["SrcFilePath"] for item in listed] == [f"/prefix/test/{number:04}" for number in range(1000)]
    assert [item["DstFilePath"] for item in listed] == [f"/data/mnt/{number:04}" for number in range(1000)]
    alone = door.one(entry("/alone", "/alone"))
    (last, *_) = door.found()
    assert last["DataFlowSubTaskId"] == alone.body["DataFlowSubTaskId"] > made[-1]
    varying = {"DataFlowSubTaskId", "SrcFilePath", "DstFilePath", "CreateTime"}
    assert {k: v for k, v in last.items() if k not in varying} == {
        k: v for k, v in listed[0].items() if k not in varying
    }
    wire = {"FileSystemId": FILE_SYSTEM, "Filters.1.Key": "TaskIds", "Filters.1.Value": door.task}
    (task,) = door.server.ask("DescribeDataFlowTasks", wire).body["TaskInfo"]["Task"]
    assert task["ProgressStats"]["FilesTotal"] == 1001
    claimed = enginestand.claim(door.server, door.task)
    assert [row.sub_task.sub_task_id for row in claimed] == made[: len(claimed)]


@pytest.mark.rule("BULK-1")
@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        ("", "MissingSubTasks", "SubTasks"),
        ("[]", "InvalidParameter.InvalidFormat", "at least one"),
        ("{}", "InvalidParameter.InvalidFormat", "JSON array"),
        ('"/a"', "InvalidParameter.InvalidFormat", "JSON array"),
        ("null", "InvalidParameter.InvalidFormat", "JSON array"),
        ("[{", "InvalidParameter.InvalidFormat", "JSON array"),
        ('[{"SrcFilePath":"/a"}] x', "InvalidParameter.InvalidFormat", "JSON array"),
        ('[{"SrcFilePath":"/\\ud800","DstFilePath":"/a"}]', "InvalidParameter.InvalidFormat", "JSON array"),
        ("[" * 100_000, "InvalidParameter.InvalidFormat", "JSON array"),
        ('[{"a":' * 100_000, "InvalidParameter.InvalidFormat", "JSON array"),
        ('[{"a":' + "[" * 100_000 + "]" * 100_000 + "}]", "InvalidParameter.InvalidFormat", "JSON array"),
        ('[{"Size":1e999}]', "InvalidParameter.InvalidFormat", "JSON array"),
        ("[NaN]", "InvalidParameter.InvalidFormat", "JSON array"),
        (json.dumps(entries(1001)), "InvalidParameter.SizeTooLarge", "1001"),
        (json.dumps(entries(2), indent=1), "IllegalCharacters", "SubTasks"),
    ],
)
def test_what_is_no_list_of_files(open_door: Door, given: str, code: str, says: str) -> None:
    status = 400 if code in {"MissingSubTasks", "IllegalCharacters"} else 404
    assert says in open_door.refused(status, code, given)


@pytest.mark.rule("BULK-1")
@pytest.mark.rule("RPC-7")
def test_a_thousand_long_paths_fit_and_a_body_is_bounded(door: Door) -> None:
    def path(number: int) -> str:
        return f"/{number:06}" + "/abcdefghi" * 100  # 1,007 letters: beneath `/prefix/test` a key of 1,019 bytes

    made = door.results([entry(path(number), path(number)) for number in range(1000)])
    assert len(set(ids_of(made))) == 1000
    announced = {"content-type": "application/x-www-form-urlencoded", "content-length": str((4 << 20) + 1)}
    refused = door.server.send("POST", "/", {"host": door.server.host, **announced})
    assert (refused.status, refused.code) == (413, "RequestEntityTooLarge")


@pytest.mark.rule("BULK-3")
@pytest.mark.parametrize("name", ["FileSystemId", "DataFlowId", "DataFlowTaskId"])
def test_what_has_to_be_there(open_door: Door, name: str) -> None:
    open_door.refused(400, f"Missing{name}", entries(1), **{name: ""})


@pytest.mark.rule("BULK-3")
def test_unknown_ids_and_rights(door: Door) -> None:
    given = entries(2)
    door.refused(404, "InvalidFileSystem.NotFound", given, FileSystemId="bmcpfs-none")
    door.refused(400, "InvalidFilesystemVersion.NotSupport", given, FileSystemId=OLD_FILE_SYSTEM)
    door.refused(404, "InvalidDataFlow.NotFound", given, DataFlowId="df-0000000000000000")
    door.refused(404, "InvalidTaskId.NotFound", given, DataFlowTaskId="task-0000000000000000")
    other = door.server.make_flow(FileSystemPath="/other/")
    door.refused(404, "InvalidTaskId.NotFound", given, DataFlowId=other)
    wire = {**door.ids, "SubTasks": json.dumps(given)}
    for key in (READER, STRANGER):
        for parameters in (wire, wire | {"FileSystemId": "bmcpfs-none"}):
            response = door.server.ask(ACTION, parameters, key=key)
            assert (response.status, response.code) == (403, "Forbidden.RAM")
    forged = AccessKey(access_key_id="LTAI-owner", secret="guessed")
    assert door.server.ask(ACTION, wire, key=forged).code == "SignatureDoesNotMatch"
    assert door.found() == []


@pytest.mark.rule("BULK-3")
def test_states_that_take_no_sub_task(door: Door) -> None:
    ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": door.flow}
    for given in (entries(2), [entry("no", "no")]):  # also where no entry could be accepted anyway
        assert door.server.ask("StopDataFlow", ids).status == 200
        door.refused(403, "OperationDenied.InvalidState", given)
        assert door.server.ask("StartDataFlow", ids).status == 200
    assert door.server.ask("CancelDataFlowTask", ids | {"TaskId": door.task}).status == 200
    for given in (entries(2), [entry("no", "no")]):
        door.refused(403, "OperationDenied.InvalidState", given)


@pytest.mark.rule("BULK-8")
def test_strict_fidelity_has_no_such_action(tmp_path: Path) -> None:
    with serving(tmp_path, ApiOptions(fidelity=Fidelity.STRICT)) as server:
        door = Door(server)
        assert "strict" in door.refused(404, "InvalidApi.NotFound", entries(1))


@pytest.mark.rule("BULK-3")
def test_a_catalog_that_takes_nothing_has_taken_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise CatalogUnavailableError("the disk is full")

    monkeypatch.setattr(door.server.catalog, "create_sub_tasks", broken)
    response = door.send(entries(2))
    assert (response.status, response.code) == (503, "ServiceUnavailable")
    assert response.headers["x-acs-retry-after"] == "1"


# ------------------------------------------------------------------------------------------------------------ each entry


WRONG = [
    entry("/../../etc/passwd"),
    entry("/a//b"),
    entry("/a\0b"),
    entry("/a\nb"),
    entry("/a", "/b/"),
    entry("a"),
    entry("/", "/"),
    entry("/a", "/" + "a" * 1023),
    entry("/" + "k" * 1016),
    entry("/a", "/" + "n" * 256),
    entry("/a", "/n" * 509),
    entry("/.penstock-0123456789abcdef.partial"),
    entry("/a", "/.penstock-0123456789abcdef.partial"),
    entry("/a", ""),
    entry("", "/a"),
    entry(Condition={"Size": -1}),
    entry(Condition={"Size": 1 << 63}),
    entry(Condition={"ModifyTime": "yesterday"}),
    entry(Condition={"ModifyTime": 1.5}),
]


@pytest.mark.rule("BULK-2")
@pytest.mark.parametrize("number", range(len(WRONG)))
def test_an_entry_is_refused_as_the_one_file_call_refuses_it(open_door: Door, number: int) -> None:
    before = open_door.found()
    wrong = WRONG[number]
    alone = open_door.one(wrong)
    assert alone.status != 200
    first, second, third = open_door.results([entry("/x"), wrong, entry("/y")])
    assert second["Code"] == alone.code
    if "number" not in second["Message"]:  # a text of the query is told otherwise than a value of JSON
        assert second["Message"] == alone.body["Message"]
    assert [item["DataFlowSubTaskId"] for item in open_door.found()[:2]] == [
        third["DataFlowSubTaskId"],
        first["DataFlowSubTaskId"],
    ]
    assert len(open_door.found()) == len(before) + 2


@pytest.mark.rule("BULK-5")
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (7, "InvalidParameter.InvalidFormat"),
        ("/a", "InvalidParameter.InvalidFormat"),
        (None, "InvalidParameter.InvalidFormat"),
        ([], "InvalidParameter.InvalidFormat"),
        ({}, "MissingSrcFilePath"),
        ({"SrcFilePath": "/a"}, "MissingDstFilePath"),
        (entry(None), "MissingSrcFilePath"),
        (entry(5), "InvalidParameter.InvalidFormat"),
        (entry(True), "InvalidParameter.InvalidFormat"),
        (entry(["/a"]), "InvalidParameter.InvalidFormat"),
        (entry("/a", {"b": 1}), "InvalidParameter.InvalidFormat"),
        (entry(Condition="x"), "InvalidParameter.InvalidFormat"),
        (entry(Condition=""), "InvalidParameter.InvalidFormat"),
        (entry(Condition=[5]), "InvalidParameter.InvalidFormat"),
        (entry(condition={"Size": 5}), "InvalidParameter.InvalidFormat"),
        (entry(**{"Condition.Size": 5}), "InvalidParameter.InvalidFormat"),
        (entry(Condition={"size": 5}), "InvalidParameter.InvalidFormat"),
        (entry(Condition={"Size": 5, "ETag": "x"}), "InvalidParameter.InvalidFormat"),
        (entry(Condition={"Size": True}), "InvalidParameter.InvalidFormat"),
        (entry(Condition={"Size": 5.0}), "InvalidParameter.InvalidFormat"),
        (entry(Condition={"Size": "5.0"}), "InvalidParameter.InvalidFormat"),
        (entry(Condition={"Size": [5]}), "InvalidParameter.InvalidFormat"),
        (entry(Condition={"Size": 10**30}), "InvalidParameter.InvalidFormat"),
        (entry(ClientToken="t"), "InvalidParameter.InvalidFormat"),
        (entry(DryRun=True), "InvalidParameter.InvalidFormat"),
        (entry(dataFlowTaskId="task-1"), "InvalidParameter.InvalidFormat"),
    ],
)
def test_an_entry_of_another_shape(open_door: Door, wrong: object, code: str) -> None:
    first, second = open_door.results([wrong, entry("/x")])
    assert first["Code"] == code
    assert first["Message"]
    assert second["DataFlowSubTaskId"]


@pytest.mark.rule("BULK-5")
def test_what_is_not_known_is_tolerated_and_a_condition_reaches_the_engine(door: Door) -> None:
    largest = (1 << 63) - 1
    given = [
        entry("/0", "/0", Comment={"deep": [[["er"]]]}),
        entry("/1", "/1", Condition={"ModifyTime": -1_725_897_600_000_000_001, "Size": 0}),
        entry("/2", "/2", Condition={"ModifyTime": "-1725897600000000001", "Size": str(largest)}),
        entry("/3", "/3", Condition={"ModifyTime": None, "Size": ""}),
        entry("/4", "/4", Condition=None),
        entry("/5", "/5", Condition={}),
    ]
    assert len(ids_of(door.results(given))) == 6
    claims = [row.sub_task.condition for row in enginestand.claim(door.server, door.task)]
    time_ns = -1_725_897_600_000_000_001
    assert [(c.modify_time_ns, c.size_bytes) for c in claims] == [
        (None, None), (time_ns, 0), (time_ns, largest), (None, None), (None, None), (None, None),
    ]  # fmt: skip


@pytest.mark.rule("BULK-2")
def test_all_refused_is_still_an_answer(door: Door) -> None:
    response = door.send([entry("no", "no")] * 3)
    assert (response.status, response.body["RefusedCount"]) == (200, 3)
    assert door.found() == []


@pytest.mark.rule("BULK-2")
def test_the_same_file_twice_is_as_two_calls(door: Door) -> None:
    door.one(entry("/x", "/x"))
    made = ids_of(door.results([entry("/a", "/a"), entry("/b", "/a"), entry("/a", "/a"), entry("/c", "/x")]))
    assert len(set(made)) == 4
    claimed = [row.sub_task.sub_task_id for row in enginestand.claim(door.server, door.task)]
    assert claimed[1:] == [made[0]]  # the others stand behind the first of their target
    assert len(door.found()) == 5


@pytest.mark.rule("BULK-7")
def test_a_path_means_what_it_means_to_the_one_file_call(door: Door) -> None:
    header = "x-penstock-path-base"
    given = [entry("/test/x", "/mnt/x"), entry("/x", "/mnt/y")]
    response = door.send(given)
    assert response.headers[header] == "dataflow"
    assert header not in door.send([entry("/x", "/x")]).headers
    for each in given:
        door.one(each)
    listed = [(item["SrcFilePath"], item["DstFilePath"]) for item in door.found()[::-1]]
    assert listed[:2] == listed[3:] == [("/prefix/test/x", "/data/mnt/x"), ("/prefix/test/x", "/data/mnt/y")]
    assert header not in door.send(given, PathBase="task").headers
    listed = [(item["SrcFilePath"], item["DstFilePath"]) for item in door.found()[1::-1]]
    assert listed == [("/prefix/test/test/x", "/data/mnt/mnt/x"), ("/prefix/test/x", "/data/mnt/mnt/y")]
    door.refused(404, "InvalidParameter.InvalidFormat", given, PathBase="root")


@pytest.mark.rule("BULK-7")
def test_a_call_may_ask_for_the_walkthroughs_reading(tmp_path: Path) -> None:
    with serving(tmp_path, ApiOptions(subtask_path_base=PathBase.TASK)) as server:
        door = Door(server)
        ids_of(door.results([entry("/test/x", "/mnt/x")]))
        ids_of(door.results([entry("/test/x", "/mnt/x")], PathBase="walkthrough"))
        paths = [item["SrcFilePath"] for item in door.found()]
        assert paths == ["/prefix/test/x", "/prefix/test/test/x"]


@pytest.mark.rule("BULK-2")
@pytest.mark.rule("PATH-3")
def test_an_export_has_its_keys_on_the_other_side(server: ApiServer) -> None:
    door = Door(server, TaskAction="StreamExport")
    long_key, long_name = "/" + "k" * 600, "/" + "n" * 256
    good, bad = door.results([entry("/a", long_key), entry(long_name, "/a")])
    assert good["DataFlowSubTaskId"]
    assert (bad["Code"], "SrcFilePath" in bad["Message"]) == ("InvalidParameter.InvalidFormat", True)


# --------------------------------------------------------------------------------------------------------------- callers


@pytest.mark.rule("BULK-1")
def test_every_signature_and_shape(door: Door) -> None:
    wire = {**door.ids, "SubTasks": json.dumps([entry("/ü &+%=", "/日本"), entry("no", "no")])}
    answers = [
        door.server.ask(ACTION, wire),
        door.server.ask_form(ACTION, wire),
        door.server.ask_older(ACTION, wire),
        door.server.ask_older(ACTION, wire, method="GET"),
    ]
    for answer in answers:
        first, second = results(answer)
        assert first["DataFlowSubTaskId"]
        assert second["Code"] == "InvalidParameter.InvalidFormat"
    assert {(item["SrcFilePath"], item["DstFilePath"]) for item in door.found()} == {
        ("/prefix/test/ü &+%=", "/data/mnt/日本")
    }
    xml = door.server.ask_form(ACTION, wire | {"Format": "XML"}).text
    assert "<CreateDataFlowSubTasksResponse>" in xml
    assert "<DataFlowSubTask><DataFlowSubTask><DataFlowSubTaskId>" in xml
    assert "</DataFlowSubTask><DataFlowSubTask><Code>InvalidParameter.InvalidFormat</Code>" in xml


@pytest.mark.rule("BULK-1")
@pytest.mark.parametrize("config", [{}, {"signature_algorithm": "v2"}], ids=["V3", "1.0"])
def test_the_vendors_sdk_drives_it_by_its_generic_call(door: Door, config: dict[str, Any]) -> None:
    client = door.server.sdk(**config)
    params = Params(
        action=ACTION,
        version="2017-06-26",
        protocol="HTTP",
        pathname="/",
        method="POST",
        auth_type="AK",
        style="RPC",
        req_body_type="formData",
        body_type="json",
    )
    body = {"SubTasks": json.dumps([entry("/s d/k+%", "/s d/k+%"), entry("no", "no")])}
    request = OpenApiRequest(query=door.ids, body=body)
    answer = client.call_api(params, request, RuntimeOptions())["body"]
    assert answer["RefusedCount"] == 1
    (item,) = door.found()
    assert item["DataFlowSubTaskId"] == answer["DataFlowSubTask"]["DataFlowSubTask"][0]["DataFlowSubTaskId"]
    assert item["SrcFilePath"] == "/prefix/test/s d/k+%"
