"""Does the vendor's SDK, with either signature, put, read and delete objects here as it does there?"""

from __future__ import annotations

import base64
import hashlib
import http.client
import threading

import alibabacloud_oss_v2 as oss
import pytest

from penstock.emulator.protocol.checksum import crc64_xz
from tests.fixtures.emulator import EmulatorServer
from tests.protocol.emulator.wire import send

KEYS = [
    "a",
    "a/b",
    "d/",
    "p//q",
    "x" * 1023,
    "中文/键 值",
    "url-%123-/?#:+&=;,@!$'()*[]~^|<>\"",
    " leading and trailing ",
    "control-\x01\x02\x1f\x7f",
    "no-character-\ufffe\uffff",
    "line\nbreak\tand tab",
    "...",
    ".a/..b",
    "a\\b",
    "\U0001f680",
]


def failure(caught: pytest.ExceptionInfo[Exception]) -> tuple[int, str]:
    """Status and code of what the SDK raised."""
    error = caught.value.unwrap()  # type: ignore[attr-defined]
    assert isinstance(error, oss.exceptions.ServiceError)
    assert len(error.request_id) == 24
    return error.status_code, error.code


@pytest.fixture(scope="module")
def bucket(emulator: EmulatorServer) -> str:
    return emulator.bucket()


@pytest.mark.parametrize("key", KEYS)
def test_every_key_comes_back(client: oss.Client, bucket: str, key: str) -> None:
    body = hashlib.sha256(key.encode()).digest()
    client.put_object(oss.PutObjectRequest(bucket=bucket, key=key, body=body))
    assert client.get_object(oss.GetObjectRequest(bucket=bucket, key=key)).body.content == body
    assert client.head_object(oss.HeadObjectRequest(bucket=bucket, key=key)).content_length == len(body)
    listed = client.list_objects_v2(oss.ListObjectsV2Request(bucket=bucket, prefix=key, max_keys=1000))
    assert key in [entry.key for entry in listed.contents]
    for many in (False, True):
        client.put_object(oss.PutObjectRequest(bucket=bucket, key=key, body=body))
        if many:
            named = [oss.DeleteObject(key=key)]
            client.delete_multiple_objects(oss.DeleteMultipleObjectsRequest(bucket=bucket, objects=named))
        else:
            client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key=key))
        with pytest.raises(oss.exceptions.OperationError) as caught:
            client.get_object(oss.GetObjectRequest(bucket=bucket, key=key))
        assert failure(caught) == (404, "NoSuchKey")


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 1_048_576, 5_000_001])
def test_a_body_comes_back_with_its_checksums(client: oss.Client, bucket: str, size: int) -> None:
    body = (b"0123456789abcde" * (size // 15 + 1))[:size]
    put = client.put_object(oss.PutObjectRequest(bucket=bucket, key=f"size-{size}", body=body))
    md5 = hashlib.md5(body)
    assert put.etag == f'"{md5.hexdigest().upper()}"'
    assert put.hash_crc64 == str(crc64_xz(body))
    assert put.content_md5 == base64.b64encode(md5.digest()).decode()
    assert put.version_id is None
    got = client.get_object(oss.GetObjectRequest(bucket=bucket, key=f"size-{size}"))
    assert got.body.content == body
    assert (got.etag, got.hash_crc64, got.content_length) == (put.etag, put.hash_crc64, size)
    assert (got.object_type, got.storage_class) == ("Normal", "Standard")


def test_headers_and_metadata_come_back(client: oss.Client, bucket: str) -> None:
    request = oss.PutObjectRequest(
        bucket=bucket,
        key="described",
        body=b"x",
        content_type="text/x-test; charset=utf-8",
        cache_control="no-cache",
        content_disposition='attachment; filename="a b"',
        content_encoding="identity",
        expires="Wed, 01 Jan 2031 00:00:00 GMT",
        metadata={"Upper-Case": "Value With Case", "n": "1"},
    )
    client.put_object(request)
    head = client.head_object(oss.HeadObjectRequest(bucket=bucket, key="described"))
    assert head.content_type == "text/x-test; charset=utf-8"
    assert head.cache_control == "no-cache"
    assert head.content_disposition == 'attachment; filename="a b"'
    assert head.content_encoding == "identity"
    assert head.expires == "Wed, 01 Jan 2031 00:00:00 GMT"
    assert dict(head.metadata) == {"upper-case": "Value With Case", "n": "1"}
    got = client.get_object(
        oss.GetObjectRequest(bucket=bucket, key="described", response_content_type="text/html", response_expires="0")
    )
    assert (got.content_type, got.headers["expires"]) == ("text/html", "0")
    client.put_object(oss.PutObjectRequest(bucket=bucket, key="described", body=b"x"))
    assert not client.head_object(oss.HeadObjectRequest(bucket=bucket, key="described")).metadata


def test_metadata_has_a_limit_and_an_alphabet(emulator: EmulatorServer, bucket: str) -> None:
    name = "x-oss-meta-a"
    fits = {name: "v" * (8192 - len(name))}
    assert send(emulator, "PUT", bucket, "meta", headers=fits, body=b"").status == 200
    beyond = send(emulator, "PUT", bucket, "meta", headers={name: fits[name] + "v"}, body=b"")
    assert (beyond.status, beyond.code) == (400, "InvalidArgument")
    for bad in ("x-oss-meta-", "x-oss-meta-a_b"):
        assert send(emulator, "PUT", bucket, "meta", headers={bad: "v"}, body=b"").code == "InvalidArgument"


def test_ranges_tell_the_whole_objects_crc(client: oss.Client, bucket: str) -> None:
    body = bytes(range(256)) * 1000
    put = client.put_object(oss.PutObjectRequest(bucket=bucket, key="ranged", body=body))

    def get(asked: str, behavior: str | None = None) -> tuple[int, bytes, str | None]:
        request = oss.GetObjectRequest(bucket=bucket, key="ranged", range_header=asked, range_behavior=behavior)
        got = client.get_object(request)
        assert got.hash_crc64 == put.hash_crc64
        return got.status_code, got.body.content, got.content_range

    size = len(body)
    assert get("bytes=0-0") == (206, body[:1], f"bytes 0-0/{size}")
    assert get("bytes=1000-70000") == (206, body[1000:70001], f"bytes 1000-70000/{size}")
    assert get("bytes=-7") == (206, body[-7:], f"bytes {size - 7}-{size - 1}/{size}")
    assert get(f"bytes=5-{size}") == (200, body, None)
    assert get(f"bytes=5-{size}", "standard") == (206, body[5:], f"bytes 5-{size - 1}/{size}")
    with pytest.raises(oss.exceptions.OperationError) as caught:
        get(f"bytes={size}-", "standard")
    assert failure(caught) == (416, "InvalidRange")


def test_conditions(client: oss.Client, bucket: str) -> None:
    put = client.put_object(oss.PutObjectRequest(bucket=bucket, key="conditional", body=b"x"))
    head = client.head_object(oss.HeadObjectRequest(bucket=bucket, key="conditional"))
    stamp = head.headers["last-modified"]

    def status(**conditions: str) -> int:
        seen = []
        for request in (oss.GetObjectRequest, oss.HeadObjectRequest):
            call = client.get_object if request is oss.GetObjectRequest else client.head_object
            try:
                seen.append(call(request(bucket=bucket, key="conditional", **conditions)).status_code)
            except oss.exceptions.OperationError as error:
                seen.append(error.unwrap().status_code)
        assert seen[0] == seen[1]
        return int(seen[0])

    assert status(if_match=put.etag) == 200
    assert status(if_match='"0"') == 412
    assert status(if_none_match=put.etag) == 304
    assert status(if_none_match='"0"') == 200
    assert status(if_modified_since=stamp) == 304
    assert status(if_unmodified_since=stamp) == 200
    assert status(if_unmodified_since="Wed, 01 Jan 2020 00:00:00 GMT") == 412


def test_forbid_overwrite(client: oss.Client, bucket: str) -> None:
    request = oss.PutObjectRequest(bucket=bucket, key="once", body=b"first", forbid_overwrite=True)
    client.put_object(request)
    request.body = b"second"
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.put_object(request)
    assert failure(caught) == (409, "FileAlreadyExists")
    assert client.get_object(oss.GetObjectRequest(bucket=bucket, key="once")).body.content == b"first"
    client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="once"))


def test_of_many_who_may_not_overwrite_one_wins(emulator: EmulatorServer, bucket: str) -> None:
    statuses: list[int] = []
    gate = threading.Barrier(8)

    def put(number: int) -> None:
        gate.wait()
        headers = {"x-oss-forbid-overwrite": "true"}
        statuses.append(send(emulator, "PUT", bucket, "raced", headers=headers, body=bytes([number])).status)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [409] * 7


@pytest.mark.parametrize("value", ["yes", "1", ""])
def test_forbid_overwrite_is_true_or_false(emulator: EmulatorServer, bucket: str, value: str) -> None:
    reply = send(emulator, "PUT", bucket, "x", headers={"x-oss-forbid-overwrite": value}, body=b"")
    assert (reply.status, reply.code) == (400, "InvalidArgument")


def test_digests_are_checked(emulator: EmulatorServer, bucket: str) -> None:
    body = b"digested" * 20_000
    good = base64.b64encode(hashlib.md5(body).digest()).decode()
    bad = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    for headers, code in [
        ({"Content-MD5": good}, ""),
        ({"Content-MD5": bad}, "InvalidDigest"),
        ({"Content-MD5": "nonsense"}, "InvalidDigest"),
        ({"x-oss-hash-crc64ecma": str(crc64_xz(body))}, ""),
        ({"x-oss-hash-crc64ecma": "1"}, "InvalidArgument"),
    ]:
        reply = send(emulator, "PUT", bucket, f"digest-{code}", headers=headers, body=body)
        assert reply.code == code
        assert reply.status == (400 if code else 200)
    for code in ("InvalidDigest", "InvalidArgument"):
        assert send(emulator, "HEAD", bucket, f"digest-{code}").status == 404


def test_what_is_not_there(client: oss.Client, bucket: str) -> None:
    for name, code in [(bucket, "NoSuchKey"), ("no-such-bucket", "NoSuchBucket")]:
        with pytest.raises(oss.exceptions.OperationError) as caught:
            client.head_object(oss.HeadObjectRequest(bucket=name, key="missing"))
        assert failure(caught) == (404, code)
        with pytest.raises(oss.exceptions.OperationError) as caught:
            client.get_object_meta(oss.GetObjectMetaRequest(bucket=name, key="missing"))
        assert failure(caught) == (404, code)
    assert client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="missing")).status_code == 204
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.put_object(oss.PutObjectRequest(bucket="no-such-bucket", key="x", body=b"x"))
    assert failure(caught) == (404, "NoSuchBucket")


@pytest.mark.parametrize("key", ["/a", "\\a", "x" * 1024, "中" * 342])
def test_names_that_are_refused(emulator: EmulatorServer, bucket: str, key: str) -> None:
    reply = send(emulator, "PUT", bucket, key, body=b"")
    assert (reply.status, reply.code) == (400, "InvalidObjectName")


@pytest.mark.parametrize("key", ["..", ".", "./a", "a/../b", "../../etc/passwd", "a/./b"])
def test_keys_that_look_like_paths_are_keys(emulator: EmulatorServer, key: str) -> None:
    """SDKs cannot send these: their HTTP library resolves the dots."""
    name = emulator.bucket()
    assert send(emulator, "PUT", name, key, body=key.encode()).status == 200
    assert send(emulator, "GET", name, key).body == key.encode()
    assert [node.text for node in send(emulator, "GET", name).xml.findall("Contents/Key")] == [key]


def test_object_meta_tells_less(client: oss.Client, bucket: str) -> None:
    client.put_object(oss.PutObjectRequest(bucket=bucket, key="meta", body=b"12345", metadata={"a": "b"}))
    meta = client.get_object_meta(oss.GetObjectMetaRequest(bucket=bucket, key="meta"))
    assert (meta.content_length, meta.hash_crc64) == (5, str(crc64_xz(b"12345")))
    assert not [name for name in meta.headers if name.lower().startswith("x-oss-meta")]


def test_delete_many(client: oss.Client, emulator: EmulatorServer) -> None:
    bucket = emulator.bucket()
    for key in [*KEYS, "kept"]:
        client.put_object(oss.PutObjectRequest(bucket=bucket, key=key, body=b"x"))
    objects = [oss.DeleteObject(key=key) for key in [*KEYS, "never there"]]
    done = client.delete_multiple_objects(
        oss.DeleteMultipleObjectsRequest(bucket=bucket, objects=objects, encoding_type="url")
    )
    assert sorted(entry.key for entry in done.deleted_objects) == sorted([*KEYS, "never there"])
    listed = client.list_objects_v2(oss.ListObjectsV2Request(bucket=bucket))
    assert [entry.key for entry in listed.contents] == ["kept"]
    quiet = client.delete_multiple_objects(
        oss.DeleteMultipleObjectsRequest(bucket=bucket, objects=[oss.DeleteObject(key="kept")], quiet=True)
    )
    assert not quiet.deleted_objects


def test_delete_many_refuses_nonsense(emulator: EmulatorServer, bucket: str) -> None:
    for body in (b"<Delete/>", b"<Delete><Object/></Delete>", b"<Other/>", b""):
        reply = send(emulator, "POST", bucket, query={"delete": ""}, body=body)
        assert (reply.status, reply.code) == (400, "MalformedXML")
    many = b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>"
    assert send(emulator, "POST", bucket, query={"delete": ""}, body=many).code == "MalformedXML"


def test_copies_share_and_survive(client: oss.Client, emulator: EmulatorServer, bucket: str) -> None:
    body = b"copied" * 50_000
    put = client.put_object(
        oss.PutObjectRequest(bucket=bucket, key="源 a+b", body=body, metadata={"a": "1"}, content_type="text/a")
    )
    other = emulator.bucket()
    copied = client.copy_object(
        oss.CopyObjectRequest(bucket=other, key="copy", source_bucket=bucket, source_key="源 a+b")
    )
    assert (copied.etag, copied.hash_crc64) == (put.etag, put.hash_crc64)
    replacing = oss.CopyObjectRequest(bucket=bucket, key="源 a+b", source_key="源 a+b", metadata_directive="REPLACE")
    replacing.metadata, replacing.content_type = {"b": "2"}, "text/b"
    client.copy_object(replacing)
    head = client.head_object(oss.HeadObjectRequest(bucket=bucket, key="源 a+b"))
    assert (dict(head.metadata), head.content_type) == ({"b": "2"}, "text/b")
    client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="源 a+b"))
    got = client.get_object(oss.GetObjectRequest(bucket=other, key="copy"))
    assert (got.body.content, dict(got.metadata), got.content_type) == (body, {"a": "1"}, "text/a")
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.copy_object(oss.CopyObjectRequest(bucket=other, key="c", source_bucket=bucket, source_key="源 a+b"))
    assert failure(caught) == (404, "NoSuchKey")
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.copy_object(oss.CopyObjectRequest(bucket=other, key="c", source_key="copy", if_match='"0"'))
    assert failure(caught) == (412, "PreconditionFailed")


def test_presigned_urls(client: oss.Client, bucket: str) -> None:
    put = client.presign(oss.PutObjectRequest(bucket=bucket, key="预 signed+/?"))
    got = client.presign(oss.GetObjectRequest(bucket=bucket, key="预 signed+/?", response_content_type="text/x"))
    for made, body, expected in [(put, b"through a url", b""), (got, None, b"through a url")]:
        host, _, path = made.url.removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.request(made.method, "/" + path, body=body, headers=dict(made.signed_headers or {}))
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, expected)
        connection.close()


def test_a_file_goes_up_and_comes_down_by_the_sdks_managers(
    client: oss.Client, bucket: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("managers")
    source, landed = folder / "source", folder / "landed"
    source.write_bytes(bytes(range(256)) * 4096 * 3)
    client.uploader(part_size=256 * 1024, parallel_num=3).upload_file(
        oss.PutObjectRequest(bucket=bucket, key="managed"), str(source)
    )
    client.downloader(part_size=200_000, parallel_num=3).download_file(
        oss.GetObjectRequest(bucket=bucket, key="managed"), str(landed)
    )
    assert landed.read_bytes() == source.read_bytes()


def test_what_is_not_built_is_refused_and_changes_nothing(
    client: oss.Client, emulator: EmulatorServer, bucket: str
) -> None:
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.put_object(oss.PutObjectRequest(bucket=bucket, key="refused", body=b"x", traffic_limit=819200))
    assert failure(caught) == (501, "NotImplemented")
    assert send(emulator, "HEAD", bucket, "refused").status == 404
