"""Do multipart uploads, with either signature, end as one object of the right checksum, or not at all?"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

import alibabacloud_oss_v2 as oss
import pytest

from penstock.emulator.protocol.checksum import crc64_xz
from tests.fixtures.emulator import EmulatorServer
from tests.protocol.emulator.test_objects import failure
from tests.protocol.emulator.wire import send

PART = 100 * 1024


@pytest.fixture(scope="module")
def bucket(emulator: EmulatorServer) -> str:
    return emulator.bucket()


def begin(client: oss.Client, bucket: str, key: str, **more: object) -> str:
    """Initiate; the upload id."""
    made = client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket=bucket, key=key, **more))
    return str(made.upload_id)


def part(client: oss.Client, bucket: str, key: str, upload_id: str, number: int, body: bytes) -> oss.UploadPart:  # noqa: PLR0917
    """Send one part; what Complete takes of it."""
    done = client.upload_part(
        oss.UploadPartRequest(bucket=bucket, key=key, upload_id=upload_id, part_number=number, body=body)
    )
    assert done.hash_crc64 == str(crc64_xz(body))
    assert done.etag == f'"{hashlib.md5(body).hexdigest().upper()}"'
    return oss.UploadPart(part_number=number, etag=done.etag)


def complete(
    client: oss.Client, bucket: str, key: str, upload_id: str, parts: list[oss.UploadPart], **more: object
) -> oss.CompleteMultipartUploadResult:
    """Complete of the parts listed."""
    listed = oss.CompleteMultipartUpload(parts=parts)
    return client.complete_multipart_upload(
        oss.CompleteMultipartUploadRequest(
            bucket=bucket, key=key, upload_id=upload_id, complete_multipart_upload=listed, **more
        )
    )


def body_of(number: int, size: int = PART) -> bytes:
    return hashlib.sha256(bytes([number])).digest() * (size // 32)


@pytest.mark.parametrize("key", ["plain", "control-\x01\x1f 中", "url-%123-/?#:"])
def test_parts_become_an_object(client: oss.Client, bucket: str, key: str) -> None:
    upload_id = begin(client, bucket, key, metadata={"a": "b"}, content_type="text/x")
    numbers = [9999, 1, 7, 10_000]
    bodies = {number: body_of(number % 250) for number in numbers}
    bodies[10_000] = b"the last one is small"
    sent = {number: part(client, bucket, key, upload_id, number, bodies[number]) for number in numbers}
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.head_object(oss.HeadObjectRequest(bucket=bucket, key=key))
    assert failure(caught) == (404, "NoSuchKey")
    done = complete(client, bucket, key, upload_id, [sent[number] for number in sorted(numbers)])
    whole = b"".join(bodies[number] for number in sorted(numbers))
    digests = b"".join(hashlib.md5(bodies[number]).digest() for number in sorted(numbers))
    assert done.etag == f'"{hashlib.md5(digests).hexdigest().upper()}-4"'
    assert (done.hash_crc64, done.key, done.bucket) == (str(crc64_xz(whole)), key, bucket)
    got = client.get_object(oss.GetObjectRequest(bucket=bucket, key=key))
    assert got.body.content == whole
    assert (got.object_type, got.hash_crc64, got.content_type) == ("Multipart", done.hash_crc64, "text/x")
    assert dict(got.metadata) == {"a": "b"}
    asked = f"bytes={PART - 3}-{PART * 2 + 5}"
    across = client.get_object(oss.GetObjectRequest(bucket=bucket, key=key, range_header=asked))
    assert across.body.content == whole[PART - 3 : PART * 2 + 6]
    with pytest.raises(oss.exceptions.OperationError) as caught:
        complete(client, bucket, key, upload_id, [sent[1]])
    assert failure(caught) == (404, "NoSuchUpload")
    client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key=key))


def test_a_part_sent_again_replaces_the_first(client: oss.Client, bucket: str) -> None:
    upload_id = begin(client, bucket, "again")
    old = part(client, bucket, "again", upload_id, 1, b"old")
    new = part(client, bucket, "again", upload_id, 1, b"new")
    listed = client.list_parts(oss.ListPartsRequest(bucket=bucket, key="again", upload_id=upload_id))
    assert [(entry.part_number, entry.etag, entry.size) for entry in listed.parts] == [(1, new.etag, 3)]
    with pytest.raises(oss.exceptions.OperationError) as caught:
        complete(client, bucket, "again", upload_id, [old])
    assert failure(caught) == (400, "InvalidPart")
    complete(client, bucket, "again", upload_id, [new])
    assert client.get_object(oss.GetObjectRequest(bucket=bucket, key="again")).body.content == b"new"


def test_what_complete_refuses(client: oss.Client, emulator: EmulatorServer, bucket: str) -> None:
    upload_id = begin(client, bucket, "refused")
    first = part(client, bucket, "refused", upload_id, 1, body_of(1))
    small = part(client, bucket, "refused", upload_id, 2, b"small")
    last = part(client, bucket, "refused", upload_id, 3, b"last")
    for parts, code in [
        ([first, small, last], "EntityTooSmall"),
        ([last, first], "InvalidPartOrder"),
        ([first, first], "InvalidPartOrder"),
        ([first, oss.UploadPart(part_number=4, etag=last.etag)], "InvalidPart"),
        ([first, oss.UploadPart(part_number=3, etag='"0"')], "InvalidPart"),
    ]:
        with pytest.raises(oss.exceptions.OperationError) as caught:
            complete(client, bucket, "refused", upload_id, parts)
        assert failure(caught) == (400, code)
    numbered = (
        "<CompleteMultipartUpload><Part><PartNumber>{}</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"
    )
    for body, code in [
        (b"<CompleteMultipartUpload/>", "MalformedXML"),
        (b"<Part/>", "MalformedXML"),
        (b"", "MalformedXML"),
        *(
            (numbered.format(number).encode(), "InvalidArgument")
            for number in ("0", "10001", "0000000010000000", "000000001" + "5" * 5000, "\u0661", "-1", "")
        ),
    ]:
        reply = send(emulator, "POST", bucket, "refused", query={"uploadId": upload_id}, body=body)
        assert (reply.status, reply.code) == (400, code)
    assert send(emulator, "HEAD", bucket, "refused").status == 404
    complete(client, bucket, "refused", upload_id, [first, last])
    assert client.head_object(oss.HeadObjectRequest(bucket=bucket, key="refused")).content_length == PART + 4
    client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="refused"))


def test_complete_all(client: oss.Client, bucket: str) -> None:
    upload_id = begin(client, bucket, "all")
    part(client, bucket, "all", upload_id, 2, b"tail")
    part(client, bucket, "all", upload_id, 1, body_of(1))
    request = oss.CompleteMultipartUploadRequest(bucket=bucket, key="all", upload_id=upload_id, complete_all="yes")
    client.complete_multipart_upload(request)
    assert client.get_object(oss.GetObjectRequest(bucket=bucket, key="all")).body.content == body_of(1) + b"tail"
    empty = begin(client, bucket, "none")
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.complete_multipart_upload(
            oss.CompleteMultipartUploadRequest(bucket=bucket, key="none", upload_id=empty, complete_all="yes")
        )
    assert failure(caught) == (400, "InvalidPart")
    client.abort_multipart_upload(oss.AbortMultipartUploadRequest(bucket=bucket, key="none", upload_id=empty))


def test_an_aborted_upload_is_gone(client: oss.Client, bucket: str) -> None:
    upload_id = begin(client, bucket, "aborted")
    sent = part(client, bucket, "aborted", upload_id, 1, body_of(1))
    request = oss.AbortMultipartUploadRequest(bucket=bucket, key="aborted", upload_id=upload_id)
    assert client.abort_multipart_upload(request).status_code == 204
    attempts: list[Callable[[], object]] = [
        lambda: client.abort_multipart_upload(request),
        lambda: part(client, bucket, "aborted", upload_id, 2, b"x"),
        lambda: complete(client, bucket, "aborted", upload_id, [sent]),
        lambda: client.list_parts(oss.ListPartsRequest(bucket=bucket, key="aborted", upload_id=upload_id)),
    ]
    for attempt in attempts:
        with pytest.raises(oss.exceptions.OperationError) as caught:
            attempt()
        assert failure(caught) == (404, "NoSuchUpload")


def test_an_upload_belongs_to_its_key(client: oss.Client, bucket: str) -> None:
    upload_id = begin(client, bucket, "mine")
    with pytest.raises(oss.exceptions.OperationError) as caught:
        part(client, bucket, "not mine", upload_id, 1, b"x")
    assert failure(caught) == (404, "NoSuchUpload")
    client.abort_multipart_upload(oss.AbortMultipartUploadRequest(bucket=bucket, key="mine", upload_id=upload_id))


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", ""])
def test_part_numbers(client: oss.Client, emulator: EmulatorServer, bucket: str, number: str) -> None:
    upload_id = begin(client, bucket, "numbered")
    query = {"partNumber": number, "uploadId": upload_id}
    reply = send(emulator, "PUT", bucket, "numbered", query=query, body=b"x")
    assert (reply.status, reply.code) == (400, "InvalidArgument")
    client.abort_multipart_upload(oss.AbortMultipartUploadRequest(bucket=bucket, key="numbered", upload_id=upload_id))


def test_list_parts_pages(client: oss.Client, bucket: str) -> None:
    upload_id = begin(client, bucket, "paged")
    for number in (3, 1, 2, 9, 5):
        part(client, bucket, "paged", upload_id, number, bytes([number]) * number)
    request = oss.ListPartsRequest(bucket=bucket, key="paged", upload_id=upload_id, max_parts=2)
    seen, pages = [], 0
    while True:
        listed = client.list_parts(request)
        pages += 1
        seen += [(entry.part_number, entry.size, entry.hash_crc64) for entry in listed.parts]
        if not listed.is_truncated:
            break
        request.part_number_marker = listed.next_part_number_marker
    assert pages == 3
    assert seen == [(number, number, str(crc64_xz(bytes([number]) * number))) for number in (1, 2, 3, 5, 9)]
    client.abort_multipart_upload(oss.AbortMultipartUploadRequest(bucket=bucket, key="paged", upload_id=upload_id))


def test_list_uploads_pages(client: oss.Client, emulator: EmulatorServer) -> None:
    bucket = emulator.bucket()
    begun = [(key, begin(client, bucket, key)) for key in ("b", "a", "a", "c/1", "c/2", "中 \x01", "a")]
    request = oss.ListMultipartUploadsRequest(bucket=bucket, max_uploads=2)
    seen = []
    while True:
        listed = client.list_multipart_uploads(request)
        seen += [(entry.key, entry.upload_id) for entry in listed.uploads or []]
        if not listed.is_truncated:
            break
        request.key_marker, request.upload_id_marker = listed.next_key_marker, listed.next_upload_id_marker
    assert seen == sorted(begun, key=lambda entry: (entry[0].encode(), entry[1]))
    folded = send(emulator, "GET", bucket, query={"uploads": "", "delimiter": "/", "prefix": "c"})
    assert [node.text for node in folded.xml.findall("CommonPrefixes/Prefix")] == ["c/"]


def test_complete_may_be_forbidden_to_overwrite(client: oss.Client, bucket: str) -> None:
    upload_id = begin(client, bucket, "guarded")
    sent = part(client, bucket, "guarded", upload_id, 1, b"new")
    client.put_object(oss.PutObjectRequest(bucket=bucket, key="guarded", body=b"old"))
    with pytest.raises(oss.exceptions.OperationError) as caught:
        complete(client, bucket, "guarded", upload_id, [sent], forbid_overwrite=True)
    assert failure(caught) == (409, "FileAlreadyExists")
    assert client.get_object(oss.GetObjectRequest(bucket=bucket, key="guarded")).body.content == b"old"
    complete(client, bucket, "guarded", upload_id, [sent])
    assert client.get_object(oss.GetObjectRequest(bucket=bucket, key="guarded")).body.content == b"new"
    client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="guarded"))


def test_of_many_completes_one_wins(client: oss.Client, emulator: EmulatorServer, bucket: str) -> None:
    upload_id = begin(client, bucket, "raced")
    sent = part(client, bucket, "raced", upload_id, 1, b"raced")
    listed = f"<Part><PartNumber>1</PartNumber><ETag>{str(sent.etag).strip(chr(34))}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    statuses: list[int] = []

    def run() -> None:
        statuses.append(send(emulator, "POST", bucket, "raced", query={"uploadId": upload_id}, body=body).status)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [404] * 5


def test_part_copy(client: oss.Client, bucket: str) -> None:
    source = body_of(3) + body_of(4) + body_of(5)
    client.put_object(oss.PutObjectRequest(bucket=bucket, key="source +中", body=source))
    upload_id = begin(client, bucket, "copied")
    parts = []
    for number, asked in [(1, f"bytes=0-{PART + 9}"), (2, f"bytes={PART + 10}-{len(source) - 1}")]:
        request = oss.UploadPartCopyRequest(
            bucket=bucket, key="copied", upload_id=upload_id, part_number=number, source_key="source +中"
        )
        request.source_range = asked
        parts.append(oss.UploadPart(part_number=number, etag=client.upload_part_copy(request).etag))
    done = complete(client, bucket, "copied", upload_id, parts)
    assert done.hash_crc64 == str(crc64_xz(source))
    assert client.get_object(oss.GetObjectRequest(bucket=bucket, key="copied")).body.content == source
