"""Does the client sign as the vendor's SDK does, keep its connection, and say what went wrong?"""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from alibabacloud_tea_openapi.utils import Utils

from penstock.client import ALGORITHM, Client, ClientOptions, Parameter, flatten
from penstock.errors import ApiRefusedError, ApiUnreachableError


class Recorder(http.server.ThreadingHTTPServer):
    """Answers what it is told to, and remembers what it was asked and over how many connections."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.connections = 0
        self.answer: tuple[int, bytes] = (200, b'{"RequestId": "R"}')
        self.close_after = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_POST(self) -> None:
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.server.close_after

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    server = Recorder()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(recorder: Recorder) -> Iterator[Client]:
    options = ClientOptions(endpoint=recorder.url, access_key_id="AK", access_key_secret="SK", timeout_s=60)
    with Client(options) as made:
        yield made


NESTED: dict[str, Parameter | None] = {
    "Filters": [{"Key": "DataFlowIds", "Value": "a,b"}, {"Key": "Status", "Value": "RUNNING"}],
    "Condition": {"Size": 5, "ModifyTime": 1_725_897_600_000_000_001},
    "DryRun": True,
    "Nothing": None,
}


def test_lists_and_mappings_are_flattened() -> None:
    assert flatten(NESTED) == {
        "Filters.1.Key": "DataFlowIds",
        "Filters.1.Value": "a,b",
        "Filters.2.Key": "Status",
        "Filters.2.Value": "RUNNING",
        "Condition.Size": "5",
        "Condition.ModifyTime": "1725897600000000001",
        "DryRun": "true",
    }


def test_the_signature_is_the_vendors(recorder: Recorder, client: Client) -> None:
    told: dict[str, Parameter | None] = {
        "FileSystemId": "bmcpfs-1",
        "SrcFilePath": "/a b/ü+*~%2F.bin",
        "Empty": "",
        **NESTED,
    }
    client.call("CreateDataFlowSubTask", told)
    path, headers = recorder.asked[0]
    signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request = SimpleNamespace(
        method="POST",
        pathname="/",
        query=dict(parse_qsl(urlsplit(path).query, keep_blank_values=True, strict_parsing=True)),
        headers={name: headers[name] for name in signed},
    )
    assert request.query == flatten(told)
    assert {"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce"} <= set(signed)
    expected = Utils.get_authorization(request, ALGORITHM, headers["x-acs-content-sha256"], "AK", "SK")
    assert headers["authorization"].replace(" ", "") == expected.replace(" ", "")


def test_every_call_has_a_nonce_of_its_own_and_one_connection(recorder: Recorder, client: Client) -> None:
    for _ in range(5):
        assert client.call("DescribeDataFlows", {}) == {"RequestId": "R"}
    assert len({headers["x-acs-signature-nonce"] for _, headers in recorder.asked}) == 5
    assert recorder.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_replaced(recorder: Recorder, client: Client) -> None:
    recorder.close_after = True
    for _ in range(5):
        client.call("DescribeDataFlows", {})
        until_closed(client)
    assert recorder.connections == 5


def until_closed(client: Client) -> None:
    """Returns once the other side's end of the connection has arrived here."""
    sock = client._connection.sock
    assert sock is not None
    sock.settimeout(60)
    assert sock.recv(1, 2) == b""  # 2 is MSG_PEEK


def test_a_refusal_has_code_message_request_id_and_hint(recorder: Recorder, client: Client) -> None:
    body = {"Code": "InvalidFileSystem.NotFound", "Message": "No such.", "RequestId": "R-1", "Recommend": "Look."}
    recorder.answer = (404, json.dumps(body).encode())
    with pytest.raises(ApiRefusedError, match="No such") as caught:
        client.call("DescribeDataFlows", {})
    error = caught.value
    assert (error.code, error.status, error.request_id, error.hint) == (
        "InvalidFileSystem.NotFound",
        404,
        "R-1",
        "Look.",
    )


@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, b"[]"), (502, b""), (200, b"\xff")])
def test_what_is_no_answer_of_the_api_is_said(recorder: Recorder, client: Client, answer: tuple[int, bytes]) -> None:
    recorder.answer = answer
    with pytest.raises(ApiUnreachableError, match=recorder.url):
        client.call("DescribeDataFlows", {})


def test_a_redirect_is_not_followed(recorder: Recorder, client: Client) -> None:
    recorder.answer = (302, b"{}")
    with pytest.raises(ApiRefusedError, match="answered 302"):
        client.call("DescribeDataFlows", {})
    assert len(recorder.asked) == 1


def test_nobody_there_is_said() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and not listening: nobody else can take the port meanwhile
        endpoint = f"http://127.0.0.1:{bound.getsockname()[1]}"
        client = Client(ClientOptions(endpoint=endpoint, access_key_id="AK", access_key_secret="SK"))
        with pytest.raises(ApiUnreachableError, match="does not answer: Connection refused"):
            client.call("DescribeDataFlows", {})


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:8680", "ftp://h", "http://h/path", "http://h:port", "http://"])
def test_an_endpoint_that_is_no_address_is_said(endpoint: str) -> None:
    with pytest.raises(ApiUnreachableError, match="is not http"):
        Client(ClientOptions(endpoint=endpoint, access_key_id="AK", access_key_secret="SK"))


def test_a_missing_ca_file_is_said() -> None:
    with pytest.raises(ApiUnreachableError, match="CA file"):
        Client(ClientOptions(endpoint="https://h", access_key_id="AK", access_key_secret="SK", ca_file="/nowhere.pem"))


def test_the_secret_is_not_shown() -> None:
    assert "hush" not in repr(ClientOptions(endpoint="http://h", access_key_id="AK", access_key_secret="hush"))
