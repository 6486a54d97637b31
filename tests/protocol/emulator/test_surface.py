"""What is not built here is refused, and nothing happens: every operation of the vendor's SDK, and parameters nobody knows."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2 import serde

from tests.fixtures.emulator import EmulatorServer
from tests.protocol.emulator.conftest import ClientOf
from tests.protocol.emulator.test_objects import failure
from tests.protocol.emulator.wire import Reply, connect, read, send, target

BODY = b"as it was"
# What of the SDK's client is no request of its own: builders of clients, pages and files, and the verb that all others call.
_NO_OPERATIONS_WORDS = """
    append_file copier downloader invoke_operation is_bucket_exist is_object_exist list_buckets_paginator
    list_multipart_uploads_paginator list_object_versions_paginator list_objects_paginator
    list_objects_v2_paginator list_parts_paginator open_file presign uploader
"""
NO_OPERATIONS = frozenset(_NO_OPERATIONS_WORDS.split())
# By file: other ways to send get_object and put_object.
BY_FILE = frozenset({"get_object_to_file", "put_object_from_file"})
_BUILT_WORDS = """
    abort_multipart_upload append_object complete_multipart_upload copy_object delete_bucket
    delete_bucket_lifecycle delete_bucket_tags delete_multiple_objects delete_object delete_object_tagging
    get_bucket_acl get_bucket_info get_bucket_lifecycle get_bucket_location get_bucket_stat get_bucket_tags
    get_bucket_versioning get_object get_object_acl get_object_meta get_object_tagging get_symlink head_object
    initiate_multipart_upload list_buckets list_multipart_uploads list_object_versions list_objects
    list_objects_v2 list_parts put_bucket put_bucket_acl put_bucket_lifecycle put_bucket_tags
    put_bucket_versioning put_object put_object_acl put_object_tagging put_symlink restore_object upload_part
    upload_part_copy
"""
BUILT = frozenset(_BUILT_WORDS.split())
# What a field must hold for the SDK to send the request at all.
WORDS: Mapping[str, Any] = {
    "body": b"word",
    "delete": None,
    "objects": [oss.DeleteObject(key="other")],
    "part_number": 1,
    "position": 0,
    "process": "image/resize,w_100",
    "source_key": "other",
    "symlink_target": "other",
}


def operations() -> dict[str, type[serde.RequestModel]]:
    """The SDK's operations by name, with the class of their requests."""
    found = {}
    for name, verb in inspect.getmembers(oss.Client, inspect.isfunction):
        if not name.startswith("_") and name not in NO_OPERATIONS | BY_FILE:
            found[name] = typing.get_type_hints(verb)["request"]
    return found


def request(kind: type[serde.RequestModel], known: Mapping[str, Any]) -> serde.RequestModel:
    """A request with all that is required, and with a document where one goes along."""
    hints = typing.get_type_hints(kind.__init__)
    given: dict[str, Any] = {}
    if "objects" in hints:
        given["objects"] = WORDS["objects"]
    for field, place in kind._attribute_map.items():
        if field in known:
            given[field] = known[field]
        elif place.get("required") or place.get("position") == "body":
            given[field] = WORDS[field] if field in WORDS else example(hints[field])
    return kind(**given)


def example(hint: Any) -> Any:
    """A value of a field's type: an empty document, a number, a word."""
    kinds = [kind for kind in typing.get_args(hint) or (hint,) if isinstance(kind, type)]
    for kind in kinds:
        if issubclass(kind, serde.Model):
            return kind()
    return 1 if int in kinds else "word"


def state(server: EmulatorServer, bucket: str) -> tuple[bytes, dict[str, str], list[bytes]]:
    """All that can be seen of a bucket and of its object."""
    queries = ("versions", "uploads", "acl", "tagging", "versioning", "lifecycle", "bucketInfo")
    with closing(connect(server)) as connection:
        seen = send(server, "GET", bucket, "key", connection=connection)
        replies = [send(server, "GET", bucket, query={name: ""}, connection=connection) for name in queries]
    told = {name: value for name, value in seen.headers.items() if not name.startswith(("date", "x-oss-request-id"))}
    told.pop("x-oss-server-time")
    return seen.body, told, [b"".join(sorted(reply.body.split(b"RequestId"))[:1]) for reply in replies]


def filled(server: EmulatorServer) -> str:
    """A new bucket with two objects."""
    made = server.bucket()
    for key in ("key", "other"):
        assert send(server, "PUT", made, key, body=BODY).status == 200
    return made


@pytest.fixture
def bucket(emulator: EmulatorServer) -> str:
    return filled(emulator)


class Untouched:
    """A bucket that stays as it is, shared by those who prove so; whoever fails leaves another one to the next."""

    def __init__(self, server: EmulatorServer) -> None:
        self._server = server
        self._renew()

    def _renew(self) -> None:
        self._bucket = filled(self._server)
        self._before = state(self._server, self._bucket)
        assert self._before[0] == BODY

    @contextmanager
    def proven(self) -> Iterator[str]:
        """Its name; afterwards all that can be seen of it is as before."""
        try:
            yield self._bucket
            assert state(self._server, self._bucket) == self._before
        except BaseException:
            self._renew()
            raise


@pytest.fixture(scope="module")
def untouched(emulator: EmulatorServer) -> Untouched:
    return Untouched(emulator)


def unbuilt() -> Iterator[str]:
    return (name for name in operations() if name not in BUILT)


def test_the_list_of_what_is_built_names_the_sdks_operations() -> None:
    assert operations().keys() >= BUILT
    assert len(operations()) > 140


@pytest.mark.parametrize("name", sorted(unbuilt()))
def test_what_is_not_built_is_refused_and_changes_nothing(client: oss.Client, untouched: Untouched, name: str) -> None:
    with untouched.proven() as bucket:
        with pytest.raises(oss.exceptions.OperationError) as caught:
            getattr(client, name)(request(operations()[name], {"bucket": bucket, "key": "key"}))
        cause = caught.value.unwrap()
        assert isinstance(cause, oss.exceptions.ServiceError), f"{name} was not sent: {cause}"
        assert (cause.status_code, cause.code) == (501, "NotImplemented")


@pytest.mark.parametrize("name", sorted(BUILT))
def test_what_is_built_is_not_refused_as_missing(
    client: oss.Client, emulator: EmulatorServer, bucket: str, name: str
) -> None:
    known: dict[str, Any] = {"bucket": bucket, "key": "key"}
    if "upload_id" in operations()[name]._attribute_map:
        begun = client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket=bucket, key="key"))
        known["upload_id"] = begun.upload_id
    try:
        getattr(client, name)(request(operations()[name], known))
    except oss.exceptions.OperationError as error:
        cause = error.unwrap()
        assert isinstance(cause, oss.exceptions.ServiceError), f"{name} was not sent: {cause}"
        assert 400 <= cause.status_code < 500, (
            cause
        )  # of an example that is none: an empty document, a link that is none


UNKNOWN = [
    "legalHold",
    "quota",
    "rename",
    "overwriteConfig",
    "invented",
    "x-oss-invented",
    "comp",
    "append",
    "bucketInfo",
]


@pytest.mark.parametrize("value", ["", "1"])
@pytest.mark.parametrize("name", UNKNOWN)
def test_no_verb_does_its_plain_work_for_a_parameter_it_does_not_know(
    emulator: EmulatorServer, untouched: Untouched, name: str, value: str
) -> None:
    with untouched.proven() as bucket:
        for key in ("", "key"):
            for method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
                if is_meant(method, key, name, value):
                    continue
                reply = send(emulator, method, bucket, key, query={name: value}, body=b"other")
                assert (reply.status, reply.code) == (501, "NotImplemented"), (method, key)


def is_meant(method: str, key: str, name: str, value: str) -> bool:
    """Whether it is asked for what is built, or may be a browser's own: see below."""
    if (method, key, name) in {("GET", "", "bucketInfo"), ("POST", "key", "append")}:
        return True
    is_read = method in {"GET", "HEAD"} and bool(key and value)
    return is_read and name in {"quota", "rename", "overwriteConfig", "invented"}


def test_a_read_passes_over_what_means_nothing_to_oss(emulator: EmulatorServer, bucket: str) -> None:
    """The vendor's own suite asks for that (`?para1=test`); caches and browsers add such. So it does of one deletion of tags."""
    assert send(emulator, "GET", bucket, "key", query={"v": "17"}).body == BODY
    assert send(emulator, "HEAD", bucket, "key", query={"v": "17"}).status == 200
    assert send(emulator, "DELETE", bucket, query={"tagging": "none", "aa": "17"}).status == 204
    assert send(emulator, "DELETE", bucket, query={"tagging": "none", "quota": ""}).status == 501


CONDITIONS = [("If-None-Match", "*"), ("If-Match", '"other"'), ("If-Unmodified-Since", "Mon, 02 Jan 2023 15:04:05 GMT")]


@pytest.mark.parametrize(("header", "value"), CONDITIONS)
def test_a_write_on_a_condition_is_refused_and_changes_nothing(
    emulator: EmulatorServer, bucket: str, header: str, value: str
) -> None:
    """OSS has `x-oss-forbid-overwrite`; what it does with these headers of a write is not known, so nothing is done."""
    begun = send(emulator, "POST", bucket, "key", query={"uploads": ""}).xml.findtext("UploadId") or ""
    assert send(emulator, "PUT", bucket, "key", query={"uploadId": begun, "partNumber": "1"}, body=b"part").headers.get(
        "etag"
    )
    before = state(emulator, bucket)
    for method, query, more in [
        ("PUT", {}, {}),
        ("PUT", {}, {"x-oss-copy-source": f"/{bucket}/other"}),
        ("PUT", {"symlink": ""}, {"x-oss-symlink-target": "other"}),
        ("POST", {"append": "", "position": "0"}, {}),
        ("POST", {"uploadId": begun}, {"x-oss-complete-all": "yes"}),
        ("DELETE", {}, {}),
        ("DELETE", {"uploadId": begun}, {}),
    ]:
        reply = send(emulator, method, bucket, "key", query=query, headers={header: value, **more}, body=b"")
        assert (reply.status, reply.code) == (501, "NotImplemented"), (method, query)
    assert send(emulator, "DELETE", bucket, headers={header: value}).status == 501
    assert state(emulator, bucket) == before


def test_a_missing_bucket_is_told_before_a_wrong_key(client_of: ClientOf, bucket: str) -> None:
    for wrong in ({"secret": "wrong"}, {"key_id": "unknown"}):
        stranger = client_of(**wrong)
        assert not stranger.is_bucket_exist("no-such-bucket")
        assert stranger.is_bucket_exist(bucket)
        with pytest.raises(oss.exceptions.OperationError) as caught:
            stranger.put_bucket(oss.PutBucketRequest(bucket="no-such-bucket"))
        assert failure(caught)[0] == 403


def unsigned(server: EmulatorServer, where: str, headers: Mapping[str, str]) -> Reply:
    connection = connect(server)
    try:
        connection.request("GET", where, headers=dict(headers))
        return read(connection)
    finally:
        connection.close()


def test_who_pays_may_stand_in_a_url(client_of: ClientOf, emulator: EmulatorServer, bucket: str) -> None:
    """The SDK's V1 does not sign that parameter, `oss2` does: V1 is asked by hand, as `oss2` would."""
    payer = {"x-oss-request-payer": "requester"}
    assert send(emulator, "GET", bucket, "key", query=payer).body == BODY
    url = client_of().presign(oss.GetObjectRequest(bucket=bucket, key="key", parameters=payer)).url or ""
    assert "x-oss-request-payer=requester" in url
    assert unsigned(emulator, url.removeprefix(emulator.endpoint), {}).body == BODY


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ({}, {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request"}),
        ({}, {"Authorization": "AWS x:y"}),
        ({"X-Amz-Algorithm": "AWS4-HMAC-SHA256"}, {}),
    ],
)
def test_a_client_of_s3_is_told_so(
    emulator: EmulatorServer, bucket: str, query: dict[str, str], headers: dict[str, str]
) -> None:
    reply = unsigned(emulator, target(bucket, "key", query), headers)
    assert (reply.status, reply.code) == (400, "InvalidArgument")
    assert "OSS, not that of S3" in (reply.xml.findtext("Message") or "")
