"""What happens on the wire itself: forms, shapes, bounds, and whatever a stranger may send?"""

import asyncio
import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

from penstock import telemetry
from penstock.api.options import ApiOptions, Fidelity
from penstock.api.protocol import VERSION
from penstock.catalog.catalog import Catalog
from penstock.model import Registry
from tests.fixtures.apicaller import FILE_SYSTEM, OWNER, SLEEPER, Response
from tests.fixtures.apiserver import ApiServer, serving, settled
from tests.fixtures.signing import v1_parameters, v3_headers

IDS = {"FileSystemId": FILE_SYSTEM}

TIGHT = ApiOptions(
    header_max_bytes=4096, query_max_bytes=2000, body_max_bytes=3000, body_time_s=60.0, parameter_max_count=40
)


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server with bounds that a test can reach."""
    with serving(tmp_path_factory.mktemp("tight"), TIGHT) as server:
        yield server


def refused(response: Response, status: int, code: str) -> None:
    assert (response.status, response.code) == (status, code), response.text
    body = response.body
    assert body.keys() == {"RequestId", "HostId", "Code", "Message"}
    assert response.headers["x-acs-request-id"] == body["RequestId"]


# -------------------------------------------------------------------------------------------------------- forms and shapes


@pytest.mark.rule("RPC-1")
@pytest.mark.rule("RPC-2")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_both_methods_both_signatures(shared: ApiServer, method: str) -> None:
    assert shared.ask("DescribeDataFlows", IDS, method=method).status == 200
    assert shared.ask_older("DescribeDataFlows", IDS, method=method).status == 200
    assert shared.ask_form("DescribeDataFlows", IDS).status == 200


@pytest.mark.rule("RPC-1")
@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("PUT", "/", 400, "UnsupportedHTTPMethod"),
        ("DELETE", "/", 400, "UnsupportedHTTPMethod"),
        ("OPTIONS", "/", 400, "UnsupportedHTTPMethod"),
        ("GET", "/api", 404, "InvalidApi.NotFound"),
        ("POST", "/../", 404, "InvalidApi.NotFound"),
    ],
)
def test_other_methods_and_paths(shared: ApiServer, method: str, target: str, status: int, code: str) -> None:
    refused(shared.send(method, target, {"host": shared.host}), status, code)


def test_head_is_refused_without_a_body(shared: ApiServer) -> None:
    response = shared.send("HEAD", "/", {"host": shared.host})
    assert (response.status, response.text) == (400, "")


@pytest.mark.rule("RPC-4")
@pytest.mark.rule("RPC-5")
def test_xml_where_it_is_asked_for(shared: ApiServer) -> None:
    good = shared.ask_older("DescribeDataFlows", IDS | {"Format": "XML"})
    root = ElementTree.fromstring(good.text)
    assert (root.tag, good.headers["content-type"]) == ("DescribeDataFlowsResponse", "text/xml;charset=utf-8")
    assert root.findtext("RequestId") == good.headers["x-acs-request-id"]
    bad = shared.ask("DescribeDataFlows", {"FileSystemId": "none", "Format": "xml"})
    root = ElementTree.fromstring(bad.text)
    assert (bad.status, root.tag, root.findtext("Code")) == (404, "Error", "InvalidFileSystem.NotFound")
    refused(shared.ask("DescribeDataFlows", IDS | {"Format": "yaml"}), 400, "InvalidParameter.Format")


@pytest.mark.rule("RPC-8")
@pytest.mark.rule("PARAM-4")
def test_unknown_and_empty_parameters_are_tolerated(shared: ApiServer) -> None:
    extra = {"RegionId": "cn-hangzhou", "X": "x", "MaxResults": "", "NextToken": ""}
    assert shared.ask("DescribeDataFlows", IDS | extra).status == 200


@pytest.mark.rule("PARAM-3")
@pytest.mark.parametrize("extra", [{"X": "\0"}, {"Tag.1.Key": "\x85"}, {"MaxResults": "20\t"}])
def test_control_characters_stand_nowhere(shared: ApiServer, extra: dict[str, str]) -> None:
    refused(shared.ask("DescribeDataFlows", IDS | extra), 400, "IllegalCharacters")
    refused(shared.ask_form("DescribeDataFlows", IDS | extra), 400, "IllegalCharacters")


@pytest.mark.rule("RPC-4")
def test_early_refusals_are_xml_too_where_the_query_asks_for_it(shared: ApiServer, tight: ApiServer) -> None:
    long = "x" * (257 << 10)
    for server, method, target, code in (
        (shared, "PUT", "/?Format=XML", "UnsupportedHTTPMethod"),
        (shared, "GET", "/?A=1&Format=xml&A=2", "InvalidParameter.Format"),
        (shared, "GET", f"/?X={long}&Format=XML", "RequestURITooLong"),
        (tight, "GET", f"/?Format=XML&X={long[:2000]}", "RequestURITooLong"),
    ):
        response = server.send(method, target, {"host": server.host})
        assert response.headers["content-type"] == "text/xml;charset=utf-8"
        assert ElementTree.fromstring(response.text).findtext("Code") == code
    form = {"content-type": "application/x-www-form-urlencoded", "host": tight.host}
    response = tight.send("POST", "/?Format=XML", form, b"X=" + b"x" * 3000)
    assert ElementTree.fromstring(response.text).findtext("Code") == "RequestEntityTooLarge"


@pytest.mark.code("*", "IncompleteSignature")
@pytest.mark.code("*", "MissingVersion")
@pytest.mark.code("*", "MissingAction")
@pytest.mark.code("*", "NotImplemented")
@pytest.mark.rule("RPC-9")
def test_actions_and_versions(shared: ApiServer) -> None:
    refused(shared.ask("DescribeRegions", {}), 501, "NotImplemented")
    assert "DescribeRegions" in shared.ask("DescribeRegions", {}).body["Message"]
    refused(shared.ask("DescribeNothing", {}), 404, "InvalidApi.NotFound")
    refused(shared.ask("describedataflows", IDS), 404, "InvalidApi.NotFound")
    refused(shared.ask("DescribeDataFlows", IDS, changes={"x-acs-version": "2"}), 404, "InvalidApi.NotFound")
    refused(shared.send("POST", "/", {"host": shared.host}), 400, "MissingAction")
    refused(shared.send("POST", "/?Action=DescribeDataFlows", {"host": shared.host}), 400, "MissingVersion")
    unsigned = f"/?Action=DescribeDataFlows&Version={VERSION}"
    refused(shared.send("POST", unsigned, {"host": shared.host}), 400, "IncompleteSignature")


@pytest.mark.rule("RPC-12")
def test_strict_knows_the_walkthroughs_other_name_by_its_real_one(tmp_path: Path) -> None:
    with serving(tmp_path, ApiOptions(fidelity=Fidelity.STRICT)) as server:
        response = server.ask("DescribeDataFlowSubTask", IDS)
        refused(response, 404, "InvalidApi.NotFound")
        assert "DescribeDataFlowSubTasks" in response.body["Message"]


@pytest.mark.code("*", "InvalidAccessKeyId.NotFound")
@pytest.mark.code("*", "InvalidAccessKeyId.Inactive")
@pytest.mark.rule("SIG-9")
def test_keys_that_are_off_or_unknown(shared: ApiServer) -> None:
    refused(shared.ask("DescribeDataFlows", IDS, key=SLEEPER), 400, "InvalidAccessKeyId.Inactive")
    unknown = replace(OWNER, access_key_id="nobody")
    refused(shared.ask("DescribeDataFlows", IDS, key=unknown), 404, "InvalidAccessKeyId.NotFound")


@pytest.mark.code("*", "InvalidTimeStamp.Expired")
@pytest.mark.rule("SIG-7")
@pytest.mark.parametrize("minutes", [-16, 16])
def test_clocks_that_are_apart(server: ApiServer, minutes: int) -> None:
    server.ahead_ns = minutes * 60 * 1_000_000_000
    refused(server.ask("DescribeDataFlows", IDS), 400, "InvalidTimeStamp.Expired")
    server.ahead_ns = minutes // abs(minutes) * 14 * 60 * 1_000_000_000
    assert server.ask("DescribeDataFlows", IDS).status == 200


@pytest.mark.code("*", "InternalError")
@pytest.mark.rule("RPC-10")
@pytest.mark.parametrize("format_", ["JSON", "XML"])
def test_a_fault_of_ours_tells_nothing(shared: ApiServer, monkeypatch: pytest.MonkeyPatch, format_: str) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("secret insides")

    monkeypatch.setattr(shared.catalog, "data_flows", broken)
    response = shared.ask("DescribeDataFlows", IDS | {"Format": format_})
    assert response.status == 500
    assert "InternalError" in response.text
    assert response.headers["x-acs-request-id"] in response.text
    assert not any(word in response.text for word in ("secret", "KeyError", "Traceback"))


# ---------------------------------------------------------------------------------------------------------------- bounds


@pytest.mark.rule("RPC-7")
def test_bounds(tight: ApiServer) -> None:
    refused(tight.ask("DescribeDataFlows", IDS | {"X": "x" * 2000}), 414, "RequestURITooLong")
    refused(tight.ask_form("DescribeDataFlows", IDS | {"X": "x" * 3000}), 413, "RequestEntityTooLarge")
    refused(tight.ask("DescribeDataFlows", IDS, changes={"x-acs-x": "x" * 4096}), 431, "RequestHeaderTooLarge")
    many = {f"X{number}": "" for number in range(41)}
    refused(tight.ask("DescribeDataFlows", many), 400, "InvalidParameter.Format")
    assert tight.ask("DescribeDataFlows", IDS).status == 200


@pytest.mark.rule("RPC-7")
def test_the_longest_url_and_what_is_longer_in_a_form(shared: ApiServer) -> None:
    room = (256 << 10) - len(f"{urlencode(IDS)}&X=")
    assert shared.ask("DescribeDataFlows", IDS | {"X": "x" * room}).status == 200
    assert shared.ask("DescribeDataFlows", IDS | {"X": '"' * (64 << 10)}).status == 200  # as the SDK sends an EntryList
    refused(shared.ask("DescribeDataFlows", IDS | {"X": "x" * (room + 1)}), 414, "RequestURITooLong")
    assert shared.ask_form("DescribeDataFlows", IDS | {"X": '"' * (64 << 10)}).status == 200  # three bytes each


@pytest.mark.rule("RPC-7")
@pytest.mark.rule("SIG-5")
@pytest.mark.parametrize(
    ("size_bytes", "action", "secret", "code"),
    [
        (64 << 10, "DescribeDataFlows", "guessed", "IllegalCharacters"),
        ((64 << 10) + 1, "DescribeDataFlows", "guessed", "SignatureDoesNotMatch"),
        ((64 << 10) + 1, "DescribeDataFlows", OWNER.secret, "IllegalCharacters"),
        ((64 << 10) + 1, "DescribeNothing", "guessed", "InvalidApi.NotFound"),
    ],
)
def test_long_bodies_are_decoded_for_those_who_signed_them(
    shared: ApiServer, size_bytes: int, action: str, secret: str, code: str
) -> None:
    body = b"X=%ff".ljust(size_bytes, b"x")
    signer = shared.signer(replace(OWNER, secret=secret))
    headers = v3_headers({}, body, action=action, nonce=shared.nonce(), now_ns=shared.now_ns(), signer=signer)
    assert shared.send("POST", "/", headers, body).code == code
    assert shared.send("POST", "/", headers, body[:-1] + b"y").code in (code, "SignatureDoesNotMatch")


@pytest.mark.rule("SIG-9")
@pytest.mark.rule("RPC-4")
@pytest.mark.parametrize(
    ("access_key_id", "size_bytes", "code"),
    [
        (OWNER.access_key_id, 5 << 10, "IllegalCharacters"),
        (OWNER.access_key_id, 20 << 10, "IllegalCharacters"),
        ("nobody", 5 << 10, "InvalidAccessKeyId.NotFound"),
        ("nobody", 200 << 10, "InvalidAccessKeyId.NotFound"),
        ("", 5 << 10, "MissingAccessKeyId"),
    ],
)
def test_long_forms_of_signature_1_0_are_read_for_those_whose_key_they_name(
    shared: ApiServer, access_key_id: str, size_bytes: int, code: str
) -> None:
    signed = v1_parameters({"AccessKeyId": access_key_id, "Format": "XML"})
    body = (urlencode(signed) + "&X=%ff").encode().ljust(size_bytes, b"x")
    answer = shared.send("POST", "/", {"host": shared.host}, body)
    assert answer.headers["content-type"].startswith("text/xml")
    assert ElementTree.fromstring(answer.text).findtext("Code") == code


@pytest.mark.rule("RPC-7")
def test_the_longest_body_of_signature_1_0(shared: ApiServer) -> None:
    assert shared.ask_older("DescribeDataFlows", IDS | {"X": '"' * 80_000}).status == 200
    refused(shared.ask_older("DescribeDataFlows", IDS | {"X": '"' * 88_000}), 413, "RequestEntityTooLarge")


@pytest.mark.rule("RPC-7")
@pytest.mark.parametrize("headers", [b"content-length: 100", b"transfer-encoding: chunked"])
def test_a_body_that_does_not_come(tmp_path: Path, headers: bytes) -> None:
    with serving(tmp_path, ApiOptions(body_time_s=0.1)) as server:
        said = raw(server, b"POST / HTTP/1.1\r\nhost: x\r\n" + headers + b"\r\n\r\n")
    assert said == (408, "RequestTimeout", "close")


@pytest.mark.rule("RPC-7")
@pytest.mark.parametrize("end", [b"", b"0\r\n\r\n"])
def test_a_body_longer_than_announced(tight: ApiServer, end: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    body = b"400\r\n" + b"x" * 1024 + b"\r\n" + b"800\r\n" + b"x" * 2048 + b"\r\n"
    assert raw(tight, head + body + end) == (413, "RequestEntityTooLarge", "close")


@pytest.mark.rule("RPC-7")
def test_a_head_that_is_too_long(tight: ApiServer) -> None:
    start = b"POST / HTTP/1.1\r\nhost: x\r\nx-long: "
    assert raw(tight, start + b"x" * (1 << 20)) == (431, "RequestHeaderTooLarge", "close")
    assert raw(tight, start + b"x\r\na: " * (1 << 17)) == (431, "RequestHeaderTooLarge", "close")
    long = b"POST /?" + b"x" * (257 << 10) + b" HTTP/1.1\r\nhost: x\r\n\r\n"
    assert raw(tight, long) == (414, "RequestURITooLong", "close")
    assert raw(tight, b"nonsense\r\n\r\n") == (400, "InvalidParameter.Format", "close")


@pytest.mark.rule("RPC-7")
def test_a_head_that_does_not_come(tmp_path: Path) -> None:
    with serving(tmp_path, ApiOptions(head_time_s=0.05)) as server:
        for sent in (b"", b"POST / HTTP/1.1\r\nhost:"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
                connection.sendall(sent)
                assert connection.recv(1) == b"", "the server hangs up"


def raw(server: ApiServer, sent: bytes) -> tuple[int, str, str | None]:
    """Status, code and Connection of the answer to these bytes."""
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection,
        closing(http.client.HTTPResponse(connection)) as answer,
    ):
        with suppress(ConnectionError):  # it may hang up before it has heard all
            connection.sendall(sent)
        answer.begin()
        return answer.status, json.loads(answer.read())["Code"], answer.getheader("connection")


def test_a_caller_who_hangs_up_hurts_nobody(tight: ApiServer) -> None:
    with socket.create_connection(("127.0.0.1", tight.port), timeout=60) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf")
    assert tight.ask("DescribeDataFlows", IDS).status == 200


def test_refused_requests_cannot_fill_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", telemetry.LOGGER_NAME)
    with serving(tmp_path, ApiOptions()) as server:
        for _ in range(80):
            refused(server.send("POST", "/", {"host": server.host}), 400, "MissingAction")
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(signed(server, "DescribeDataFlows", {"FileSystemId": "bmcpfs-unknown"}))
            assert connection.recv(1 << 16)
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("api.refused ")]
    assert len(said) == 60 + 1
    assert "caller=unsigned" in said[59]
    assert "caller=signed" in said[60]  # hidden by nobody who only knows the address


# ------------------------------------------------------------------------------------------------- beginnings and ends


def signed(server: ApiServer, action: str, parameters: dict[str, str]) -> bytes:
    """A request as it goes over the wire."""
    headers = v3_headers(
        parameters, action=action, nonce=server.nonce(), now_ns=server.now_ns(), signer=server.signer(OWNER)
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /?{urlencode(parameters)} HTTP/1.1\r\n{lines}content-length: 0\r\n\r\n".encode()


def test_a_caller_who_has_said_all_still_hears_all_answers(shared: ApiServer) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), timeout=60) as connection:
        connection.sendall(b"".join(signed(shared, "DescribeDataFlows", IDS) for _ in range(3)))
        connection.shutdown(socket.SHUT_WR)
        answers = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 3


def test_a_call_is_carried_out_though_its_caller_hangs_up(server: ApiServer) -> None:
    flow = server.make_flow()
    task = server.make_stream(flow)
    ids = {**IDS, "DataFlowId": flow, "DataFlowTaskId": task, "DstFilePath": "/a"}
    for number in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", number % 2, 0))  # with a reset
            connection.sendall(signed(server, "CreateDataFlowSubTask", {**ids, "SrcFilePath": f"/{number}"}))
            if number == 0:
                assert connection.recv(12) == b"HTTP/1.1 200"

    def accepted() -> int:
        answer = server.ask("DescribeDataFlowSubTasks", {**IDS, "MaxResults": "100"}).body
        return len(answer["DataFlowSubTask"]["DataFlowSubTask"])

    settled(lambda: not server._server.server_state.tasks and len(server._server.server_state.connections) == 0)
    assert accepted() >= 10, "at least those who hung up in peace"


def test_a_server_that_ends_answers_what_it_has_begun(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_go_on = threading.Event(), threading.Event()
    look = server.catalog.data_flows

    async def slow(*asked: Any, **named: Any) -> Any:
        begun.set()
        await asyncio.to_thread(may_go_on.wait, 20)
        return await look(*asked, **named)

    monkeypatch.setattr(server.catalog, "data_flows", slow)
    connections = server._server.server_state.connections
    with ThreadPoolExecutor() as pool, socket.create_connection(("127.0.0.1", server.port), timeout=60) as idle:
        asked = pool.submit(server.ask, "DescribeDataFlows", IDS)
        assert begun.wait(60)
        ending = pool.submit(server.restart)
        assert idle.recv(1) == b"", "it has nothing to wait for"
        settled(lambda: len(connections) == 1)
        may_go_on.set()
        response = asked.result(60)
        ending.result(60)
    assert (response.status, response.headers["connection"]) == (200, "close")
    assert server.ask("DescribeDataFlows", IDS).status == 200


# ------------------------------------------------------------------------------------------------------- in our process


def test_our_own_process_asks_without_a_signature(server: ApiServer) -> None:
    flow = server.make_flow()

    def perform(action: str, parameters: dict[str, str], key: Any = OWNER) -> Any:
        return server.run(lambda: server.api.perform(key, action, parameters))

    answer = perform("DescribeDataFlows", IDS)
    assert (answer.status, answer.code) == (200, "")
    assert answer.body["DataFlowInfo"]["DataFlow"][0]["DataFlowId"] == flow
    for _ in range(2):
        assert perform("ModifyDataFlow", IDS | {"DataFlowId": flow, "Description": "again"}).status == 200
    reader = server.registry.access_keys["LTAI-reader"]
    refusal = perform("ModifyDataFlow", IDS | {"DataFlowId": flow}, reader)
    assert (refusal.status, refusal.code, refusal.body["Code"]) == (403, "Forbidden.RAM", "Forbidden.RAM")
    assert perform("DescribeNothing", {}).status == 404


def test_the_registry_is_read_anew_for_each_request(server: ApiServer) -> None:
    assert server.ask("DescribeDataFlows", IDS).status == 200
    server.registry = Registry(file_systems=server.registry.file_systems, buckets={}, access_keys={})
    refused(server.ask("DescribeDataFlows", IDS), 404, "InvalidAccessKeyId.NotFound")
    assert isinstance(server.catalog, Catalog)
