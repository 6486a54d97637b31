"""What goes over the wire: headers of every answer, error documents, bodies that never come, connections that are kept."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import socket
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from xml.etree import ElementTree

import alibabacloud_oss_v2 as oss
import pytest

from tests.fixtures.emulator import EmulatorServer
from tests.protocol.emulator.conftest import ClientOf
from tests.protocol.emulator.test_objects import failure
from tests.protocol.emulator.wire import TIMEOUT_S, Reply, connect, read, send, signed, target


@pytest.fixture(scope="module")
def bucket(emulator: EmulatorServer) -> str:
    return emulator.bucket()


def dial(server: EmulatorServer) -> socket.socket:
    parts = urlsplit(server.endpoint)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=TIMEOUT_S)


def head_of(server: EmulatorServer, method: str, bucket: str, key: str, headers: dict[str, str]) -> bytes:
    made = {"host": urlsplit(server.endpoint).netloc, **signed(server, method, bucket, key, headers=headers)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in made.items())
    return f"{method} {target(bucket, key)} HTTP/1.1\r\n{lines}\r\n".encode()


def answer_on(connected: socket.socket, method: str = "PUT") -> Reply:
    answer = http.client.HTTPResponse(connected, method=method)
    answer.begin()
    body = answer.read()
    return Reply(status=answer.status, headers={n.lower(): v for n, v in answer.getheaders()}, body=body)


def test_every_answer_says_who_and_which(emulator: EmulatorServer, bucket: str) -> None:
    replies = [
        send(emulator, "GET"),
        send(emulator, "PUT", bucket, "k", body=b"x"),
        send(emulator, "GET", bucket, "k"),
        send(emulator, "GET", bucket, "missing"),
        send(emulator, "HEAD", bucket, "missing"),
        send(emulator, "DELETE", bucket, "missing"),
        send(emulator, "GET", bucket, query={"policy": ""}),
    ]
    assert [reply.status for reply in replies] == [200, 200, 200, 404, 404, 204, 501]
    ids = [reply.headers["x-oss-request-id"] for reply in replies]
    assert all(re.fullmatch(r"[0-9A-F]{24}", request_id) for request_id in ids)
    assert len(set(ids)) == len(ids)
    for reply in replies:
        assert reply.headers["server"] == "AliyunOSS"
        assert reply.headers["date"].endswith(" GMT")
        assert int(reply.headers["x-oss-server-time"]) >= 0
        assert b"xmlns" not in reply.body


def test_no_object_is_younger_than_the_answer_that_tells_of_it(emulator: EmulatorServer, bucket: str) -> None:
    for number in range(30):
        send(emulator, "PUT", bucket, "young", body=bytes([number]))
        told = send(emulator, "HEAD", bucket, "young").headers
        assert parsedate_to_datetime(told["last-modified"]) <= parsedate_to_datetime(told["date"])


def test_error_documents(emulator: EmulatorServer, bucket: str) -> None:
    reply = send(emulator, "GET", bucket, "missing&<>")
    assert reply.headers["content-type"] == "application/xml"
    assert reply.xml.tag == "Error"
    told = {node.tag: node.text for node in reply.xml}
    assert told["Code"] == "NoSuchKey"
    assert told["Key"] == "missing&<>"
    assert told["RequestId"] == reply.headers["x-oss-request-id"]
    assert told["HostId"] == urlsplit(emulator.endpoint).netloc
    assert told["Message"]


def test_errors_of_a_head_travel_in_a_header(emulator: EmulatorServer, bucket: str) -> None:
    reply = send(emulator, "HEAD", bucket, "missing")
    assert (reply.status, reply.body, reply.code) == (404, b"", "NoSuchKey")
    told = ElementTree.fromstring(base64.b64decode(reply.headers["x-oss-err"]))
    assert told.findtext("RequestId") == reply.headers["x-oss-request-id"]


@pytest.mark.parametrize("digits", ["9" * 19, "5" * 5000])
def test_no_number_of_a_client_is_a_failure_of_the_emulator(emulator: EmulatorServer, bucket: str, digits: str) -> None:
    send(emulator, "PUT", bucket, "numbers", body=b"0123456789")
    for query in ({"max-keys": digits}, {"uploads": "", "max-uploads": digits}, {"versions": "", "max-keys": digits}):
        reply = send(emulator, "GET", bucket, query=query)
        assert (reply.status, reply.code) == (400, "InvalidArgument"), query
    paged = {"uploadId": "x", "part-number-marker": digits}
    assert send(emulator, "GET", bucket, "numbers", query=paged).status in {400, 404}
    appended = send(emulator, "POST", bucket, "new", query={"append": "", "position": digits}, body=b"x")
    assert 400 <= appended.status < 500
    asked = send(emulator, "GET", bucket, "numbers", headers={"Range": f"bytes=0-{digits}"})
    assert (asked.status, asked.body) == (200, b"0123456789")
    dated = send(emulator, "GET", bucket, "numbers", headers={"Date": f"Mon, 01 Jan 2024 00:00:00 +{digits}"})
    assert dated.status == 403
    with dial(emulator) as connected:
        connected.sendall(
            head_of(emulator, "PUT", bucket, "numbers", {"content-length": "0" * len(digits) + "1"}) + b"x"
        )
        assert answer_on(connected).status < 500


def test_not_modified_has_neither_body_nor_error(emulator: EmulatorServer, bucket: str) -> None:
    send(emulator, "PUT", bucket, "same", body=b"x")
    reply = send(emulator, "GET", bucket, "same", headers={"If-None-Match": "*"})
    assert (reply.status, reply.body) == (304, b"")
    assert "x-oss-err" not in reply.headers


def test_one_connection_serves_many(emulator: EmulatorServer, bucket: str) -> None:
    connection = connect(emulator)
    for number in range(20):
        body = bytes([number]) * 100_000
        assert send(emulator, "PUT", bucket, "kept", body=body, connection=connection).status == 200
        first = connection.sock
        assert send(emulator, "GET", bucket, "kept", connection=connection).body == body
        assert send(emulator, "GET", bucket, "missing", connection=connection).status == 404
        assert send(emulator, "HEAD", bucket, "missing", connection=connection).status == 404
        assert send(emulator, "DELETE", bucket, "kept", connection=connection).status == 204
        assert connection.sock is first
    connection.close()


def test_a_refused_body_is_read_past(emulator: EmulatorServer, bucket: str) -> None:
    connection = connect(emulator)
    for size in (10, 3_000_000):
        reply = send(emulator, "PUT", "no-such-bucket", "k", body=b"x" * size, connection=connection)
        assert (reply.status, reply.code) == (404, "NoSuchBucket")
        assert send(emulator, "PUT", bucket, "after", body=b"y", connection=connection).status == 200
    connection.close()


def test_continue_is_told_before_the_body(emulator: EmulatorServer, bucket: str) -> None:
    with dial(emulator) as connected:
        connected.sendall(head_of(emulator, "PUT", bucket, "c", {"content-length": "5", "expect": "100-continue"}))
        assert connected.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connected.sendall(b"hello")
        assert answer_on(connected).status == 200
    assert send(emulator, "GET", bucket, "c").body == b"hello"


def test_a_body_is_not_asked_for_when_the_request_is_refused(emulator: EmulatorServer) -> None:
    head = head_of(emulator, "PUT", "no-such-bucket", "c", {"content-length": "5", "expect": "100-continue"})
    with dial(emulator) as connected:
        connected.sendall(head)
        reply = answer_on(connected)
        assert (reply.status, reply.headers["connection"]) == (404, "close")


@pytest.mark.parametrize("sent", [0, 100, 65_536, 2_500_000])
def test_a_body_that_breaks_off_leaves_nothing(emulator: EmulatorServer, bucket: str, sent: int) -> None:
    send(emulator, "PUT", bucket, "torn", body=b"before")
    with dial(emulator) as connected:
        connected.sendall(head_of(emulator, "PUT", bucket, "torn", {"content-length": "5000000"}))
        connected.sendall(b"x" * sent)
    assert send(emulator, "GET", bucket, "torn").body == b"before"


def test_chunked_bodies(emulator: EmulatorServer, bucket: str) -> None:
    body = b"chunk" * 50_000
    made = signed(emulator, "PUT", bucket, "chunked", headers={"transfer-encoding": "chunked"})
    connection = connect(emulator)
    pieces = (body[at : at + 7_777] for at in range(0, len(body), 7_777))
    connection.request("PUT", target(bucket, "chunked"), body=pieces, headers=made, encode_chunked=True)
    reply = read(connection)
    connection.close()
    assert reply.headers["etag"] == f'"{hashlib.md5(body).hexdigest().upper()}"'
    assert send(emulator, "GET", bucket, "chunked").body == body


def test_a_body_needs_a_length(emulator: EmulatorServer, bucket: str) -> None:
    with dial(emulator) as connected:
        connected.sendall(head_of(emulator, "PUT", bucket, "k", {}))
        reply = answer_on(connected)
    assert (reply.status, reply.code) == (411, "MissingContentLength")


def test_a_body_too_large_is_refused_before_it_comes(emulator: EmulatorServer, bucket: str) -> None:
    with dial(emulator) as connected:
        connected.sendall(head_of(emulator, "PUT", bucket, "k", {"content-length": str(5 * 1024**3 + 1)}))
        reply = answer_on(connected)
    assert (reply.status, reply.code) == (400, "EntityTooLarge")


def test_a_parameter_given_twice_is_refused(emulator: EmulatorServer, bucket: str) -> None:
    connection = connect(emulator)
    connection.request("GET", f"/{bucket}/?prefix=a&prefix=b", headers=signed(emulator, "GET", bucket))
    assert read(connection).code == "InvalidArgument"
    connection.close()


@pytest.mark.parametrize("signature", ["v4", "v1"])
def test_who_is_refused(client_of: ClientOf, bucket: str, signature: str) -> None:
    for wrong, code in [
        ({"secret": "wrong"}, (403, "SignatureDoesNotMatch")),
        ({"key_id": "unknown"}, (403, "InvalidAccessKeyId")),
    ]:
        with pytest.raises(oss.exceptions.OperationError) as caught:
            client_of(signature=signature, **wrong).list_objects_v2(oss.ListObjectsV2Request(bucket=bucket))
        assert failure(caught) == code
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client_of(region="us-east-1").list_objects_v2(oss.ListObjectsV2Request(bucket=bucket))
    assert failure(caught) == (400, "InvalidArgument")


def test_strangers_are_let_into_no_private_bucket(emulator: EmulatorServer, bucket: str) -> None:
    for method, path in [("GET", "/"), ("GET", f"/{bucket}/k"), ("PUT", f"/{bucket}/k"), ("GET", f"/{bucket}")]:
        connection = connect(emulator)
        connection.request(method, path, body=b"" if method == "PUT" else None)
        reply = read(connection)
        connection.close()
        assert (reply.status, reply.code) == (403, "AccessDenied")


def test_a_skewed_clock_is_refused(emulator: EmulatorServer, bucket: str) -> None:
    reply = send(emulator, "GET", bucket, headers={"Date": "Mon, 01 Jan 2024 00:00:00 GMT"})
    assert (reply.status, reply.code) == (403, "RequestTimeTooSkewed")


@pytest.mark.parametrize("host", ["oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou.oss.aliyuncs.com"])
def test_buckets_in_the_host(emulator: EmulatorServer, bucket: str, host: str) -> None:
    """The SDK addresses buckets by host name; as its HTTP proxy the emulator is reached without DNS."""
    service = "oss-cn-hangzhou.aliyuncs.com"
    for signature in ("v4", "v1"):
        config = oss.config.load_default()
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(
            emulator.access_key_id, emulator.access_key_secret
        )
        config.region, config.disable_ssl, config.signature_version = emulator.region, True, signature
        config.use_dualstack_endpoint = host != service  # the SDK makes the name by itself
        config.proxy_host = {"http": emulator.endpoint}
        client = oss.Client(config)
        client.put_object(oss.PutObjectRequest(bucket=bucket, key="a//b 中", body=b"by host"))
        assert client.get_object(oss.GetObjectRequest(bucket=bucket, key="a//b 中")).body.content == b"by host"
        (found,) = client.list_buckets(oss.ListBucketsRequest(prefix=bucket)).buckets
        told = client.get_bucket_info(oss.GetBucketInfoRequest(bucket=bucket)).bucket_info
        assert (found.name, found.extranet_endpoint, told.extranet_endpoint) == (bucket, host, host)
    assert send(emulator, "GET", bucket, "a//b 中").body == b"by host"
    reply = send(emulator, "GET", bucket, "a//b 中", headers={"host": host})
    assert (reply.status, reply.code) == (403, "SecondLevelDomainForbidden")


def test_the_secret_is_in_neither_argv_nor_environment(emulator: EmulatorServer) -> None:
    with open(f"/proc/{emulator.pid}/cmdline", "rb") as file:
        assert emulator.access_key_secret.encode() not in file.read()
    with open(f"/proc/{emulator.pid}/environ", "rb") as file:
        assert emulator.access_key_secret.encode() not in file.read()
