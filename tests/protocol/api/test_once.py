"""Does a call happen once: by its ClientToken, by its nonce, after a restart, and not at all when it is a dry run?"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from penstock.model import AccessKey
from tests.fixtures.apicaller import FILE_SYSTEM, OWNER, Response
from tests.fixtures.apiserver import ApiServer
from tests.fixtures.signing import v3_headers

FLOW = {
    "FileSystemId": FILE_SYSTEM,
    "FileSystemPath": "/data/",
    "SourceStorage": "oss://examplebucket",
    "SourceStoragePath": "/prefix/",
}


def state(server: ApiServer) -> Any:
    """Everything that can be asked for, without RequestIds."""
    actions = ("DescribeDataFlows", "DescribeDataFlowTasks", "DescribeDataFlowSubTasks")
    return [
        {
            name: value
            for name, value in server.ask(action, {"FileSystemId": FILE_SYSTEM}).body.items()
            if name != "RequestId"
        }
        for action in actions
    ]


def writes(server: ApiServer) -> dict[str, dict[str, str]]:
    """One call of each operation that changes something, each of which would be accepted."""
    flow = server.make_flow()
    busy, idle = server.make_stream(flow), server.make_stream(flow)
    sub_task = server.make_sub_task(flow, busy)
    stopped = server.make_flow(SourceStoragePath="/stopped/")
    server.ask("StopDataFlow", {"FileSystemId": FILE_SYSTEM, "DataFlowId": stopped})
    one = {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow}
    return {
        "CreateDataFlow": FLOW,
        "ModifyDataFlow": one | {"Description": "other"},
        "CreateDataFlowTask": one | {"TaskAction": "StreamExport", "ConflictPolicy": "KEEP_LATEST"},
        "CreateDataFlowSubTask": one | {"DataFlowTaskId": busy, "SrcFilePath": "/a", "DstFilePath": "/b"},
        "CancelDataFlowSubTask": one | {"DataFlowTaskId": busy, "DataFlowSubTaskId": sub_task},
        "CancelDataFlowTask": one | {"TaskId": idle},
        "StartDataFlow": {"FileSystemId": FILE_SYSTEM, "DataFlowId": stopped},
        "DeleteDataFlow": {"FileSystemId": FILE_SYSTEM, "DataFlowId": stopped},
        "StopDataFlow": one,
    }


ANSWERS = {"CreateDataFlow": "DataFlowId", "CreateDataFlowTask": "TaskId", "CreateDataFlowSubTask": "DataFlowSubTaskId"}


@pytest.mark.rule("DRY-1")
def test_a_dry_run_changes_nothing_and_answers_an_empty_id(server: ApiServer) -> None:
    calls = writes(server)
    before = state(server)
    for action, parameters in calls.items():
        response = server.ask(action, parameters | {"DryRun": "True", "ClientToken": f"dry-{action}"})
        assert response.status == 200, response.text
        body = response.body
        assert len(body.pop("RequestId")) == 36
        assert body == ({ANSWERS[action]: ""} if action in ANSWERS else {})
    assert state(server) == before
    for action, parameters in calls.items():
        # the dry run kept no token: the same one does it now
        assert server.ask(action, parameters | {"ClientToken": f"dry-{action}"}).status == 200
    assert state(server) != before


@pytest.mark.rule("DRY-1")
@pytest.mark.parametrize(
    ("action", "parameters", "code"),
    [
        ("CreateDataFlow", FLOW | {"SourceStorage": "oss://untagged"}, "OperationDenied.DependBucketTag"),
        ("CreateDataFlow", FLOW | {"FileSystemPath": "/none/"}, "InvalidFileSystemPath.NotFound"),
        ("DeleteDataFlow", {"FileSystemId": FILE_SYSTEM, "DataFlowId": "df-1"}, "InvalidDataFlow.NotFound"),
    ],
)
def test_a_dry_run_tells_what_would_be_refused(
    shared: ApiServer, action: str, parameters: dict[str, str], code: str
) -> None:
    assert shared.ask(action, parameters | {"DryRun": "true"}).code == code


@pytest.mark.rule("IDEM-1")
@pytest.mark.rule("IDEM-2")
@pytest.mark.rule("IDEM-3")
def test_a_token_stands_for_one_result(server: ApiServer) -> None:
    calls = writes(server)
    first = {action: answer(server.ask(action, calls[action] | {"ClientToken": f"t-{action}"})) for action in calls}
    after = state(server)
    for _ in range(2):
        for action, parameters in calls.items():
            again = server.ask(action, {"Unknown": "x", **parameters, "ClientToken": f"t-{action}"})
            assert answer(again) == first[action]
        server.restart()
    for action, parameters in calls.items():
        wire = parameters | {
            "FileSystemPath": "/other/",
            "Description": "a b",
            "DstDirectory": "/o/",
            "DstFilePath": "/o",
        }
        different = "DataFlowId" if action not in ANSWERS and action != "ModifyDataFlow" else ""
        changed = wire | ({different: "df-1"} if different else {})
        refused = server.ask(action, changed | {"ClientToken": f"t-{action}"})
        assert (refused.status, refused.code) == (400, "IdempotentParameterMismatch"), action
    refused = server.ask("StopDataFlow", calls["StopDataFlow"] | {"ClientToken": "t-DeleteDataFlow"})
    assert refused.code == "IdempotentParameterMismatch"
    assert state(server) == after


def answer(response: Response) -> dict[str, Any]:
    assert response.status == 200, response.text
    return {name: value for name, value in response.body.items() if name != "RequestId"}


@pytest.mark.rule("IDEM-1")
def test_a_retry_is_answered_whatever_has_become_of_the_bucket(server: ApiServer) -> None:
    parameters = FLOW | {"ClientToken": "once"}
    made = answer(server.ask("CreateDataFlow", parameters))
    server.stores["examplebucket"].tags.clear()
    assert answer(server.ask("CreateDataFlow", parameters)) == made
    assert server.ask("CreateDataFlow", FLOW).code == "OperationDenied.DependBucketTag"
    mismatch = server.ask("CreateDataFlow", parameters | {"Description": "other"})
    assert mismatch.code == "IdempotentParameterMismatch"


@pytest.mark.rule("IDEM-1")
def test_a_retry_is_answered_when_what_it_names_is_gone(server: ApiServer) -> None:
    flow = server.make_flow()
    stream = server.make_stream(flow)
    one = {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow}
    calls = [
        ("CreateDataFlow", FLOW | {"ClientToken": "flow"}),
        ("CreateDataFlowTask", one | {"TaskAction": "StreamExport", "ConflictPolicy": "KEEP_LATEST"}),
        ("CreateDataFlowSubTask", one | {"DataFlowTaskId": stream, "SrcFilePath": "/a", "DstFilePath": "/b"}),
        ("ModifyDataFlow", one | {"Description": "other"}),
    ]
    calls = [(action, parameters | {"ClientToken": action}) for action, parameters in calls]
    made = [answer(server.ask(action, parameters)) for action, parameters in calls]
    sub_task = made[2]["DataFlowSubTaskId"]
    server.make("CancelDataFlowSubTask", "RequestId", one | {"DataFlowTaskId": stream, "DataFlowSubTaskId": sub_task})
    for task in (stream, made[1]["TaskId"]):
        server.make("CancelDataFlowTask", "RequestId", one | {"TaskId": task})
    server.make("DeleteDataFlow", "RequestId", one)
    server.registry = replace(server.registry, buckets={})
    server.restart()  # what is remembered of streams in memory is gone, too
    assert [answer(server.ask(action, parameters)) for action, parameters in calls] == made
    server.registry = replace(server.registry, file_systems={})
    assert [answer(server.ask(action, parameters, nonce=action)) for action, parameters in calls] == made
    for action, parameters in calls:
        assert server.ask(action, parameters, nonce=action).code == "SignatureNonceUsed"
        other = server.ask(action, parameters | {"Description": "not it", "DstFilePath": "/not", "DstDirectory": "/n/"})
        assert other.code == "IdempotentParameterMismatch", action
        assert server.ask(action, parameters | {"ClientToken": "new"}).status == 404


@pytest.mark.rule("IDEM-1")
@pytest.mark.rule("IDEM-4")
def test_tokens_are_their_keys_own_and_refusals_leave_none(server: ApiServer) -> None:
    other = AccessKey(access_key_id="LTAI-other", secret="other")
    keys = {**server.registry.access_keys, other.access_key_id: other}
    server.registry = type(server.registry)(
        file_systems=server.registry.file_systems, buckets=server.registry.buckets, access_keys=keys
    )
    parameters = FLOW | {"ClientToken": "t"}
    refused = server.ask("CreateDataFlow", parameters | {"SourceStorage": "oss://nowhere"})
    assert refused.code == "InvalidSourceStorage.NotFound"
    mine = answer(server.ask("CreateDataFlow", parameters))
    theirs = answer(server.ask("CreateDataFlow", parameters, key=other))
    assert mine != theirs
    assert answer(server.ask("CreateDataFlow", FLOW | {"ClientToken": "T"})) not in (mine, theirs)


@pytest.mark.rule("IDEM-1")
def test_many_at_once_with_one_token(server: ApiServer) -> None:
    flow = server.make_flow()
    task = server.make_stream(flow)
    ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow, "DataFlowTaskId": task}
    wire = ids | {"SrcFilePath": "/a", "DstFilePath": "/a", "ClientToken": "t"}
    with ThreadPoolExecutor(8) as pool:
        made = [
            future.result() for future in [pool.submit(server.ask, "CreateDataFlowSubTask", wire) for _ in range(16)]
        ]
    assert len({answer(response)["DataFlowSubTaskId"] for response in made}) == 1
    listed = server.ask("DescribeDataFlowSubTasks", {"FileSystemId": FILE_SYSTEM}).body
    assert len(listed["DataFlowSubTask"]["DataFlowSubTask"]) == 1


# ---------------------------------------------------------------------------------------------------------------- nonces


@pytest.mark.code("*", "SignatureNonceUsed")
@pytest.mark.rule("SIG-8")
@pytest.mark.parametrize("action", ["DescribeDataFlows", "CreateDataFlow"])
def test_a_nonce_is_taken_once_after_a_restart_too(server: ApiServer, action: str) -> None:
    assert server.ask(action, FLOW, nonce="n").status == 200
    before = state(server)
    for _ in range(2):
        assert server.ask(action, FLOW | {"Description": "a replay"}, nonce="n").code == "SignatureNonceUsed"
        server.restart()
    assert state(server) == before


@pytest.mark.rule("SIG-8")
@pytest.mark.parametrize("restart", [lambda _: None, ApiServer.restart], ids=["at-once", "after-a-restart"])
def test_a_nonce_is_one_for_reads_and_writes(server: ApiServer, restart: Callable[[ApiServer], None]) -> None:
    assert server.ask("DescribeDataFlows", FLOW, nonce="read").status == 200
    assert server.ask("CreateDataFlow", FLOW, nonce="written").status == 200
    assert server.ask("CreateDataFlow", FLOW | {"FileSystemPath": "/none/"}, nonce="refused").status == 404
    restart(server)
    assert server.ask("CreateDataFlow", FLOW, nonce="read").code == "SignatureNonceUsed"
    for used in ("written", "refused"):
        assert server.ask("DescribeDataFlows", FLOW, nonce=used).code == "SignatureNonceUsed"


@pytest.mark.rule("SIG-8")
def test_a_nonce_is_not_empty(shared: ApiServer) -> None:
    refused = shared.ask("DescribeDataFlows", FLOW, changes={"x-acs-signature-nonce": ""})
    assert (refused.status, refused.code) == (400, "InvalidParameter.Format")
    assert "1 to 128" in refused.body["Message"]


@pytest.mark.rule("SIG-8")
def test_what_was_refused_cannot_be_replayed_when_it_would_be_accepted(server: ApiServer) -> None:
    tags = server.stores["untagged"].tags
    parameters = FLOW | {"SourceStorage": "oss://untagged"}
    signed = v3_headers(
        parameters, action="CreateDataFlow", nonce="n", now_ns=server.now_ns(), signer=server.signer(OWNER)
    )

    def replay() -> Response:
        return server.send("POST", f"/?{urlencode(parameters)}", signed)

    assert replay().code == "OperationDenied.DependBucketTag"
    tags["cpfs-dataflow"] = "true"
    assert replay().code == "SignatureNonceUsed"
    server.restart()
    assert replay().code == "SignatureNonceUsed"
    assert state(server)[0]["DataFlowInfo"]["DataFlow"] == []


@pytest.mark.rule("SIG-8")
def test_what_the_catalog_refused_cannot_be_replayed_either(server: ApiServer) -> None:
    flow = server.make_flow()
    ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow}
    assert server.ask("StartDataFlow", ids, nonce="n").code == "OperationDenied.InvalidState"
    assert server.ask("StopDataFlow", ids).status == 200
    assert server.ask("StartDataFlow", ids, nonce="n").code == "SignatureNonceUsed"


@pytest.mark.rule("SIG-8")
def test_a_wrong_signature_uses_up_no_nonce(shared: ApiServer) -> None:
    forged = AccessKey(access_key_id=OWNER.access_key_id, secret="guessed")
    assert shared.ask("DescribeDataFlows", FLOW, key=forged, nonce="kept").code == "SignatureDoesNotMatch"
    assert shared.ask("DescribeDataFlows", FLOW, nonce="kept").status == 200


@pytest.mark.rule("SIG-13")
def test_two_keys_may_choose_one_nonce(shared: ApiServer) -> None:
    reader = shared.registry.access_keys["LTAI-reader"]
    for key in (OWNER, reader):
        assert shared.ask("DescribeDataFlows", FLOW, key=key, nonce="shared").status == 200
        assert shared.ask("DescribeDataFlows", FLOW, key=key, nonce="shared").code == "SignatureNonceUsed"


@pytest.mark.rule("SIG-8")
def test_many_at_once_with_one_nonce(server: ApiServer) -> None:
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(server.ask, "CreateDataFlow", FLOW, nonce="n") for _ in range(16)]
        codes = sorted(future.result().code for future in futures)
    assert codes == ["", *["SignatureNonceUsed"] * 15]
