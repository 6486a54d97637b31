"""Answers that say something else than they should: none of them may pass for the truth."""

from __future__ import annotations

import base64

import fastcrc
import pytest

from penstock.errors import (
    BucketNotFoundError,
    IntegrityError,
    ObjectNotFoundError,
    PermissionDeniedError,
    SizeUntoldError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
    ThrottledError,
    UploadNotFoundError,
)
from penstock.model import BucketKind
from penstock.stores.base import ByteRange, Overwrite, Part, Store
from tests.faults.stores.conftest import SECRET, TOKEN, Opener
from tests.faults.stores.test_connections import put, read
from tests.fixtures.scriptedserver import Peer, ScriptedServer, answer, error_body, object_answer, saying

RANGE = ByteRange(offset=10, length_bytes=5)

DATES = {"last_modified": "Wed, 23 Oct 2024 16:28:16 GMT", "etag": '"E"'}

PARTS = [Part(number=1, etag="E", size_bytes=1)]


def partial(body: bytes, content_range: str) -> bytes:
    return answer("206 Partial Content", body, content_range=content_range, **DATES)


def test_a_whole_object_instead_of_a_range_is_no_answer(open_at: Opener) -> None:
    with (
        ScriptedServer(saying(object_answer(bytes(100)))) as server,
        pytest.raises(StoreUnavailableError, match="ignored the range"),
    ):
        read(open_at(server.endpoint), RANGE)


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 0-4/100",
        "bytes 10-13/100",
        "bytes 10-15/100",
        "bytes 11-15/100",
        "bytes 10-14/*",
        "10-14/100",
        "",
        "bytes */9",
    ],
)
def test_another_range_than_asked_is_no_answer(open_at: Opener, content_range: str) -> None:
    with (
        ScriptedServer(saying(partial(b"12345", content_range))) as server,
        pytest.raises(StoreUnavailableError, match="range"),
    ):
        read(open_at(server.endpoint), RANGE)


def test_a_range_that_begins_elsewhere_is_no_answer(open_at: Opener) -> None:
    with (
        ScriptedServer(saying(partial(b"1234", "bytes 11-14/100"))) as server,
        pytest.raises(StoreUnavailableError, match="another range"),
    ):
        read(open_at(server.endpoint), RANGE)


def test_a_range_whose_length_is_another_is_no_answer(open_at: Opener) -> None:
    with (
        ScriptedServer(saying(partial(b"1234", "bytes 10-14/100"))) as server,
        pytest.raises(StoreUnavailableError, match="Content-Length 4"),
    ):
        read(open_at(server.endpoint), RANGE)


def test_a_range_that_was_not_asked_is_no_answer(open_at: Opener) -> None:
    with (
        ScriptedServer(saying(partial(b"12345", "bytes 10-14/100"))) as server,
        pytest.raises(StoreUnavailableError, match="206"),
    ):
        read(open_at(server.endpoint))


@pytest.mark.parametrize(("told", "is_weak"), [('"E"', False), ('W/"E"', True)])
def test_an_etag_that_is_weak_is_told_so(open_at: Opener, told: str, is_weak: bool) -> None:
    content = answer("206 Partial Content", b"12345", content_range="bytes 10-14/100", **{**DATES, "etag": told})
    with (
        ScriptedServer(saying(content)) as server,
        open_at(server.endpoint).get("k", byte_range=RANGE) as stream,
    ):
        assert (stream.info.etag, stream.info.has_weak_etag) == ("E", is_weak)


def chunked(status: str, *pieces: bytes, end: bytes = b"0\r\n\r\n", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\nlast-modified: {DATES['last_modified']}\r\n{extra}\r\n"
    return head.encode() + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


def test_a_chunked_range_is_read_by_its_content_range(open_at: Opener) -> None:
    content = chunked("206 Partial Content", b"123", b"45", extra="content-range: bytes 10-14/100\r\n")
    with ScriptedServer(saying(content)) as server:
        assert read(open_at(server.endpoint), RANGE) == b"12345"


@pytest.mark.parametrize("end", [b"", b"0\r\n\r\n", b"5\r\n1"], ids=["cut off", "short", "cut in a chunk"])
def test_a_chunked_range_that_ends_early_is_noticed(open_at: Opener, end: bytes) -> None:
    content = chunked("206 Partial Content", b"123", end=end, extra="content-range: bytes 10-14/100\r\n")
    with ScriptedServer(saying(content)) as server, pytest.raises(StoreUnavailableError):
        read(open_at(server.endpoint), RANGE)


def test_a_whole_object_without_a_length_is_no_answer(open_at: Opener) -> None:
    with (
        ScriptedServer(saying(chunked("200 OK", b"12345"))) as server,
        pytest.raises(SizeUntoldError, match="length"),
    ):
        read(open_at(server.endpoint))


def test_an_endless_error_body_is_not_read_to_its_end(open_at: Opener) -> None:
    sent: list[int] = []

    def endless(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 500 Oops\r\ncontent-length: 100000000000\r\n\r\n")
        sent.append(peer.send_until_refused(bytes(1 << 16), 10_000))

    with ScriptedServer(endless) as server:
        with pytest.raises(StoreUnavailableError) as caught:
            read(open_at(server.endpoint))
        assert caught.value.status == 500
    assert sent[0] < 10_000 << 16


def test_an_endless_listing_is_not_read_to_its_end(open_at: Opener) -> None:
    def endless(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\n<ListBucketResult>")
        peer.send_until_refused(b" " * (1 << 16), 10_000)

    with ScriptedServer(endless) as server, pytest.raises(StoreUnavailableError, match="longer than"):
        open_at(server.endpoint).list_objects()


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"", b"<ListBucketResult>", b'<!DOCTYPE x [<!ENTITY a "b">]><ListBucketResult/>', b"\xff\xfe\x00"],
)
def test_a_listing_that_is_no_document_is_no_answer(open_at: Opener, body: bytes) -> None:
    with ScriptedServer(saying(answer("200 OK", body))) as server, pytest.raises(StoreUnavailableError):
        open_at(server.endpoint).list_objects()


def test_a_listing_that_goes_on_nowhere_is_no_answer(open_at: Opener) -> None:
    body = b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
    with (
        ScriptedServer(saying(answer("200 OK", body))) as server,
        pytest.raises(StoreUnavailableError, match="goes on"),
    ):
        open_at(server.endpoint).list_objects()


def test_a_listing_that_does_not_move_on_is_left(open_at: Opener) -> None:
    told = b"<IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>"
    body = b"<ListPartsResult>%s</ListPartsResult>" % told
    with (
        ScriptedServer(*[saying(answer("200 OK", body, connection="close"))] * 2) as server,
        pytest.raises(StoreUnavailableError, match="does not move on"),
    ):
        list(open_at(server.endpoint).list_parts("key", "upload"))


def test_parts_are_listed_by_an_early_radosgw_too(open_at: Opener) -> None:
    part = b"<Part><PartNumber>1</PartNumber><ETag>&quot;E&quot;</ETag><Size>5</Size></Part>"
    body = b"<ListMultipartUploadResult><IsTruncated>false</IsTruncated>%s</ListMultipartUploadResult>" % part
    with ScriptedServer(saying(answer("200 OK", body))) as server:
        told = list(open_at(server.endpoint, kind=BucketKind.S3).list_parts("key", "upload"))
    assert told == [Part(number=1, etag="E", size_bytes=5)]


def versions_of(store: Store) -> list[str]:
    return [version.version_id for version in store.list_versions(prefix="key")]


def test_versions_may_come_in_a_list_that_is_named_as_one_of_objects(open_at: Opener) -> None:
    body = b"<ListBucketResult>%s</ListBucketResult>" % (
        b"<Version><Key>key</Key><VersionId>V</VersionId><IsLatest>true</IsLatest><Size>5</Size><ETag>E</ETag>"
        b"<LastModified>2024-10-23T16:28:16.000Z</LastModified></Version>"
    )
    with ScriptedServer(saying(answer("200 OK", body))) as server:
        assert versions_of(open_at(server.endpoint, kind=BucketKind.S3)) == ["V"]


def test_a_list_of_objects_does_not_say_that_there_are_no_versions(open_at: Opener) -> None:
    body = b"<ListBucketResult><Contents><Key>key</Key><Size>5</Size></Contents></ListBucketResult>"
    with (
        ScriptedServer(saying(answer("200 OK", body))) as server,
        pytest.raises(StoreUnavailableError, match="listed objects"),
    ):
        versions_of(open_at(server.endpoint, kind=BucketKind.S3))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("InternalError", StoreUnavailableError),
        ("SlowDown", ThrottledError),
        ("NoSuchUpload", UploadNotFoundError),
        ("SomethingNew", StoreUnavailableError),
    ],
)
def test_an_error_inside_of_a_200_is_that_error(open_at: Opener, code: str, kind: type[StoreError]) -> None:
    body = b'<?xml version="1.0"?>\n   \n' + error_body(code, RequestId="R9")
    for content in (answer("200 OK", body), answer("200 OK", b"\n " + body)):
        with ScriptedServer(saying(content)) as server, pytest.raises(kind) as caught:
            open_at(server.endpoint, kind=BucketKind.S3).complete("key", "upload", PARTS, precondition=Overwrite())
        assert type(caught.value) is kind
        assert caught.value.code == code
        assert caught.value.request_id == "R9"


@pytest.mark.parametrize("body", [b"", b"   ", b"<CompleteMultipart"])
def test_a_200_that_says_nothing_is_no_completion(open_at: Opener, body: bytes) -> None:
    with ScriptedServer(saying(answer("200 OK", body))) as server, pytest.raises(StoreUnavailableError):
        open_at(server.endpoint).complete("key", "upload", PARTS, precondition=Overwrite())


def test_a_completion_may_lack_the_etag(open_at: Opener) -> None:
    body = b"<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>"
    with ScriptedServer(saying(answer("200 OK", body))) as server:
        assert open_at(server.endpoint).complete("key", "upload", PARTS, precondition=Overwrite()).etag == ""


def test_an_upload_id_that_is_missing_is_no_answer(open_at: Opener) -> None:
    with (
        ScriptedServer(
            saying(answer("200 OK", b"<InitiateMultipartUploadResult><UploadId/></InitiateMultipartUploadResult>"))
        ) as server,
        pytest.raises(StoreUnavailableError),
    ):
        open_at(server.endpoint).initiate("key", metadata={})


def test_a_crc64_that_differs_names_both(open_at: Opener) -> None:
    right = int(fastcrc.crc64.xz(b"content"))
    with ScriptedServer(
        *[saying(answer("200 OK", etag='"e"', x_oss_hash_crc64ecma="17", connection="close"))] * 2
    ) as server:
        store = open_at(server.endpoint)
        with pytest.raises(IntegrityError, match=f"{right}.* 17"):
            put(store)
        with pytest.raises(IntegrityError, match=f"part 3 .*{right}.* 17"):
            store.put_part("key", "upload", 3, [b"content"], crc64=right)


def test_an_etag_that_is_not_the_md5_names_both(open_at: Opener) -> None:
    with (
        ScriptedServer(saying(answer("200 OK", etag='"00112233"'))) as server,
        pytest.raises(IntegrityError, match=r"9a0364b9e99bb480dd25e1f0284c8555.*00112233"),
    ):
        put(open_at(server.endpoint, kind=BucketKind.S3))


def test_a_crc64_that_is_no_number_is_no_answer(open_at: Opener) -> None:
    with (
        ScriptedServer(saying(answer("200 OK", etag='"e"', x_oss_hash_crc64ecma="0x11"))) as server,
        pytest.raises(StoreUnavailableError, match="no number"),
    ):
        put(open_at(server.endpoint))


def test_a_date_that_is_none_is_no_answer(open_at: Opener) -> None:
    with (
        ScriptedServer(saying(answer("200 OK", b"x", last_modified="yesterday"))) as server,
        pytest.raises(StoreUnavailableError, match="Last-Modified"),
    ):
        read(open_at(server.endpoint))


def test_a_head_error_is_read_from_its_header(open_at: Opener) -> None:
    hidden = base64.b64encode(error_body("NoSuchBucket", "gone", RequestId="R7")).decode()
    with (
        ScriptedServer(saying(b"HTTP/1.1 404 Not Found\r\nx-oss-err: %s\r\n\r\n" % hidden.encode())) as server,
        pytest.raises(BucketNotFoundError, match="gone") as caught,
    ):
        open_at(server.endpoint).head("key")
    assert caught.value.request_id == "R7"


def test_a_head_404_that_says_nothing_is_about_the_object(open_at: Opener) -> None:
    with (
        ScriptedServer(saying(b"HTTP/1.1 404 Not Found\r\nx-oss-err: !!!\r\n\r\n")) as server,
        pytest.raises(ObjectNotFoundError),
    ):
        open_at(server.endpoint).head("key")


@pytest.mark.parametrize("body", [b"", b"<html>no such site</html>", b"not found"])
def test_a_404_that_is_not_the_stores_own_word_is_not_believed(open_at: Opener, body: bytes) -> None:
    """A misplaced proxy must not make a bucket, or the objects in it, seem gone."""
    scenes = [saying(answer("404 Not Found", body, connection="close"))] * 3
    with ScriptedServer(*scenes) as server:
        store = open_at(server.endpoint)
        with pytest.raises(StoreUnavailableError):
            store.bucket_tags()
        with pytest.raises(StoreUnavailableError):
            read(store)
        with pytest.raises(StoreUnavailableError):
            store.delete("key")


def test_an_error_tells_code_request_id_and_advice_but_no_secret(open_at: Opener) -> None:
    body = error_body(
        "SignatureDoesNotMatch", "The signature is\nwrong.", RequestId="R5", StringToSign="OSS4-secret-stuff"
    )
    with (
        ScriptedServer(saying(answer("403 Forbidden", body, x_oss_ec="0002-00000040"))) as server,
        pytest.raises(PermissionDeniedError) as caught,
    ):
        read(open_at(server.endpoint))
    text = str(caught.value)
    for expected in (
        "GET",
        "'key'",
        "bucket",
        "403 SignatureDoesNotMatch",
        "The signature is wrong",
        "secret of",
        "R5",
    ):
        assert expected in text
    assert "0002-00000040" in text
    for forbidden in (SECRET, TOKEN, "OSS4-", "http://", "\n"):
        assert forbidden not in text


def test_a_token_that_a_header_cannot_carry_is_not_quoted(open_at: Opener) -> None:
    with pytest.raises(StoreRefusedError) as caught:
        open_at("http://127.0.0.1:1").put(
            "key", [b""], crc64=0, metadata={"n": "topsecret\n"}, precondition=Overwrite()
        )
    assert "topsecret" not in str(caught.value)
    assert "x-oss-meta-n" in str(caught.value)
