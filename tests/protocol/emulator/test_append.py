"""Appending, sequential uploads, callbacks, compression, lifecycle rules, error causes: what has a rule of its own."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

import alibabacloud_oss_v2 as oss
import pytest
from fastcrc import crc64

from tests.fixtures.emulator import EmulatorServer, start_emulator
from tests.protocol.emulator.test_objects import failure
from tests.protocol.emulator.wire import connect, read, send


@pytest.fixture
def bucket(emulator: EmulatorServer) -> str:
    return emulator.bucket()


def append(
    server: EmulatorServer, bucket: str, position: int, body: bytes, headers: dict[str, str] | None = None
) -> Any:
    query = {"append": "", "position": str(position)}
    return send(server, "POST", bucket, "log", query=query, headers=headers, body=body)


def test_an_object_grows_by_appends(emulator: EmulatorServer, client: oss.Client, bucket: str) -> None:
    pieces = [b"first ", b"x" * 100_000, b"", b" last"]
    position, etags = 0, []
    for piece in pieces:
        reply = append(emulator, bucket, position, piece)
        position += len(piece)
        assert (reply.status, reply.headers["x-oss-next-append-position"]) == (200, str(position))
        etags.append(reply.headers["etag"])
    whole = b"".join(pieces)
    got = send(emulator, "GET", bucket, "log", headers={"Range": "bytes=5-100007"})
    assert got.body == whole[5:100_008]
    head = client.head_object(oss.HeadObjectRequest(bucket=bucket, key="log"))
    assert (head.object_type, head.content_length) == ("Appendable", len(whole))
    assert int(head.hash_crc64) == crc64.xz(whole)
    assert head.etag == etags[-1]
    assert len(set(etags)) == len(pieces)
    assert head.etag.strip('"') != hashlib.md5(whole).hexdigest().upper()


def test_an_append_elsewhere_is_refused(emulator: EmulatorServer, bucket: str) -> None:
    reply = append(emulator, bucket, 1, b"x")
    assert (reply.status, reply.code) == (409, "PositionNotEqualToLength")
    assert reply.headers["x-oss-next-append-position"] == "0"
    append(emulator, bucket, 0, b"four")
    reply = append(emulator, bucket, 0, b"x")
    assert (reply.status, reply.headers["x-oss-next-append-position"]) == (409, "4")
    send(emulator, "PUT", bucket, "log", body=b"four")
    assert append(emulator, bucket, 4, b"x").code == "ObjectNotAppendable"
    assert send(emulator, "GET", bucket, "log").body == b"four"


def test_an_append_makes_no_new_version_and_is_not_copied(emulator: EmulatorServer, client: oss.Client) -> None:
    bucket = emulator.bucket(versioning="Enabled")
    first = append(emulator, bucket, 0, b"a", {"x-oss-tagging": "k=v"})
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.copy_object(oss.CopyObjectRequest(bucket=bucket, key="copy", source_key="log", source_bucket=bucket))
    assert failure(caught) == (501, "NotImplemented")
    second = append(emulator, bucket, 1, b"b", {"x-oss-tagging": "=not looked at"})
    assert first.headers["x-oss-version-id"] == second.headers["x-oss-version-id"]
    assert send(emulator, "GET", bucket, "copy").status == 404
    assert send(emulator, "GET", bucket, "log").body == b"ab"


def test_what_was_appended_survives_sigkill(tmp_path: Path) -> None:
    root = tmp_path / "root"
    server = start_emulator(root)
    bucket = server.bucket()
    append(server, bucket, 0, b"kept ")
    append(server, bucket, 5, b"y" * 200_000)
    send(server, "PUT", bucket, "log", query={"acl": ""}, headers={"x-oss-object-acl": "private"})
    server.kill()
    server = start_emulator(root)
    try:
        assert send(server, "GET", bucket, "log").body == b"kept " + b"y" * 200_000
        assert b"<Grant>private</Grant>" in send(server, "GET", bucket, "log", query={"acl": ""}).body
    finally:
        server.stop()


def test_a_sequential_upload_keeps_its_order_and_tells_its_md5(emulator: EmulatorServer, bucket: str) -> None:
    def part(number: int, body: bytes) -> Any:
        query = {"partNumber": str(number), "uploadId": upload_id}
        return send(emulator, "PUT", bucket, "k", query=query, body=body)

    begun = send(emulator, "POST", bucket, "k", query={"uploads": "", "sequential": ""})
    upload_id = begun.xml.findtext("UploadId") or ""
    assert part(2, b"x").code == "PartNotSequential"
    one, two = b"1" * 102_400, b"2"
    assert [part(1, b"replaced").status, part(1, one).status, part(2, two).status] == [200] * 3
    assert part(4, b"x").code == "PartNotSequential"
    done = send(emulator, "POST", bucket, "k", query={"uploadId": upload_id}, headers={"x-oss-complete-all": "yes"})
    assert done.status == 200
    digest = base64.b64encode(hashlib.md5(one + two).digest()).decode()
    assert send(emulator, "HEAD", bucket, "k").headers["content-md5"] == digest


def test_a_callback_is_refused_and_the_object_is_there(emulator: EmulatorServer, bucket: str) -> None:
    callback = base64.b64encode(b'{"callbackUrl":"http://127.0.0.1:1/"}').decode()
    reply = send(emulator, "PUT", bucket, "k", headers={"x-oss-callback": callback}, body=b"x")
    assert (reply.status, reply.code) == (203, "CallbackFailed")
    assert send(emulator, "GET", bucket, "k").body == b"x"


@pytest.mark.parametrize(
    ("text", "asked", "packed"),
    [
        (("text/plain", 1024), "gzip", True),
        (("application/json; charset=utf-8", 500_000), "br, gzip;q=0.5", True),
        (("text/plain", 1023), "gzip", False),
        (("image/png", 5000), "gzip", False),
        (("text/plain", 5000), "gzip;q=0", False),
        (("text/plain", 5000), "", False),
    ],
)
def test_texts_go_out_compressed(
    emulator: EmulatorServer, bucket: str, text: tuple[str, int], asked: str, packed: bool
) -> None:
    kind, size = text
    body = b"text " * (size // 5 + 1)
    send(emulator, "PUT", bucket, "k", headers={"Content-Type": kind}, body=body[:size])
    reply = send(emulator, "GET", bucket, "k", headers={"Accept-Encoding": asked})
    assert ("content-encoding" in reply.headers, "content-length" in reply.headers) == (packed, not packed)
    assert (gzip.decompress(reply.body) if packed else reply.body) == body[:size]
    part = send(emulator, "GET", bucket, "k", headers={"Accept-Encoding": asked, "Range": "bytes=1-4"})
    assert (part.status, part.body) == (206, body[1:5])


def test_lifecycle_rules_are_kept(emulator: EmulatorServer, bucket: str) -> None:
    query = {"lifecycle": ""}
    assert send(emulator, "GET", bucket, query=query).code == "NoSuchLifecycle"
    rule = b"<Rule><ID>r</ID><Prefix>a/</Prefix><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>"
    body = b"<LifecycleConfiguration>" + rule + b"</LifecycleConfiguration>"
    assert send(emulator, "PUT", bucket, query=query, body=body).status == 200
    assert send(emulator, "GET", bucket, query=query).body == body
    for bad in (b"<LifecycleConfiguration/>", b"<Rule/>", body.replace(b"Enabled", b"On"), b"<This is bad>"):
        assert send(emulator, "PUT", bucket, query=query, body=bad).code == "MalformedXML"
    assert send(emulator, "DELETE", bucket, query=query).status == 204
    assert send(emulator, "GET", bucket, query=query).status == 404


def test_errors_name_their_cause(emulator: EmulatorServer, bucket: str) -> None:
    got, head = (send(emulator, method, bucket, "missing") for method in ("GET", "HEAD"))
    assert got.xml.findtext("EC") == got.headers["x-oss-ec"] == head.headers["x-oss-ec"] == "0026-00000001"
    assert b"<EC>0026-00000001</EC>" in base64.b64decode(head.headers["x-oss-err"])


def test_a_signature_of_the_second_kind(emulator: EmulatorServer, bucket: str) -> None:
    """Old clients sign so: HMAC-SHA256 over all of the query, and over headers of their choice."""

    def ask(method: str, changed: str = "") -> Any:
        date = formatdate(usegmt=True)
        resource = quote(f"/{bucket}/dir/k", safe="") + "?response-cache-control=a%2Fb"
        to_sign = "\n".join([method, "", "", date, "range:bytes=0-1\nrange", resource])
        digest = hmac.new(emulator.access_key_secret.encode(), (to_sign + changed).encode(), hashlib.sha256).digest()
        signature = base64.b64encode(digest).decode()
        authorization = f"OSS2 AccessKeyId:{emulator.access_key_id},AdditionalHeaders:range,Signature:{signature}"
        connection = connect(emulator)
        headers = {"Date": date, "Range": "bytes=0-1", "Authorization": authorization}
        connection.request(method, f"/{bucket}/dir/k?response-cache-control=a%2Fb", headers=headers)
        try:
            return read(connection)
        finally:
            connection.close()

    send(emulator, "PUT", bucket, "dir/k", body=b"x")
    assert ask("GET").status == 200
    assert ask("GET", changed="x").code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "host",
    [
        "{}.oss-cn-shanghai.aliyuncs.com",
        "{}.oss-cn-hangzhou-internal.aliyuncs.com",
        "{}.cn-hangzhou.oss.aliyuncs.com",
        "{}.localhost:1",
    ],
)
def test_buckets_in_the_hosts_that_everybody_knows(emulator: EmulatorServer, bucket: str, host: str) -> None:
    send(emulator, "PUT", bucket, query={"acl": ""}, headers={"x-oss-acl": "public-read"})
    send(emulator, "PUT", bucket, "dir/k", body=b"x")
    connection = connect(emulator)
    connection.request("GET", "/dir/k", headers={"Host": host.format(bucket)})
    assert read(connection).body == b"x"
    connection.close()
