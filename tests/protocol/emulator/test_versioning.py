"""Are versions real: kept, read, hidden, removed and listed as OSS does?"""

from __future__ import annotations

import alibabacloud_oss_v2 as oss
import pytest

from tests.fixtures.emulator import EmulatorServer
from tests.protocol.emulator.test_multipart import begin, complete, part
from tests.protocol.emulator.test_objects import failure
from tests.protocol.emulator.wire import send


@pytest.fixture
def bucket(emulator: EmulatorServer) -> str:
    return emulator.bucket(versioning="Enabled")


def put(client: oss.Client, bucket: str, body: bytes, key: str = "k") -> str | None:
    version_id: str | None = client.put_object(oss.PutObjectRequest(bucket=bucket, key=key, body=body)).version_id
    return version_id


def get(client: oss.Client, bucket: str, version_id: str | None = None, key: str = "k") -> tuple[bytes, str | None]:
    got = client.get_object(oss.GetObjectRequest(bucket=bucket, key=key, version_id=version_id))
    return got.body.content, got.version_id


def set_versioning(client: oss.Client, bucket: str, status: str) -> None:
    wanted = oss.VersioningConfiguration(status=status)
    client.put_bucket_versioning(oss.PutBucketVersioningRequest(bucket=bucket, versioning_configuration=wanted))


def history(client: oss.Client, bucket: str) -> list[tuple[str, str, bool, bool]]:
    """(key, version id, is latest, is marker) in the order of the listing, read page by page."""
    entries: list[tuple[str, str, bool, bool]] = []
    request = oss.ListObjectVersionsRequest(bucket=bucket, max_keys=2)
    while True:
        page = client.list_object_versions(request)
        entries += [(v.key, v.version_id, v.is_latest, False) for v in page.version or []]
        entries += [(m.key, m.version_id, m.is_latest, True) for m in page.delete_marker or []]
        if not page.is_truncated:
            return entries
        request.key_marker, request.version_id_marker = page.next_key_marker, page.next_version_id_marker


def test_every_put_keeps_the_earlier_version(client: oss.Client, bucket: str) -> None:
    ids = [put(client, bucket, body) for body in (b"1", b"2", b"3")]
    assert len(set(ids)) == 3
    assert get(client, bucket) == (b"3", ids[2])
    for version_id, body in zip(ids, (b"1", b"2", b"3"), strict=True):
        assert get(client, bucket, version_id) == (body, version_id)
        head = client.head_object(oss.HeadObjectRequest(bucket=bucket, key="k", version_id=version_id))
        assert (head.version_id, head.content_length) == (version_id, 1)
    assert history(client, bucket) == [("k", v, v == ids[2], False) for v in reversed(ids)]


def test_a_delete_hides_and_a_deleted_marker_reveals(client: oss.Client, emulator: EmulatorServer, bucket: str) -> None:
    version_id = put(client, bucket, b"kept")
    deleted = client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="k"))
    assert deleted.delete_marker is True
    marker = str(deleted.version_id)
    reply = send(emulator, "GET", bucket, "k")
    assert (reply.status, reply.code) == (404, "NoSuchKey")
    assert (reply.headers["x-oss-delete-marker"], reply.headers["x-oss-version-id"]) == ("true", marker)
    for method in ("GET", "HEAD"):
        reply = send(emulator, method, bucket, "k", query={"versionId": marker})
        assert (reply.status, reply.code) == (405, "MethodNotAllowed")
        assert (reply.headers["x-oss-delete-marker"], reply.headers["allow"]) == ("true", "DELETE")
    assert not client.list_objects_v2(oss.ListObjectsV2Request(bucket=bucket)).contents
    assert get(client, bucket, version_id) == (b"kept", version_id)
    gone = client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="k", version_id=marker))
    assert (gone.delete_marker, gone.version_id) == (True, marker)
    assert get(client, bucket) == (b"kept", version_id)


def test_removing_the_newest_version_brings_the_one_before_back(client: oss.Client, bucket: str) -> None:
    first, second = put(client, bucket, b"1"), put(client, bucket, b"2")
    gone = client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="k", version_id=second))
    assert (gone.version_id, gone.delete_marker) == (second, None)
    assert get(client, bucket) == (b"1", first)
    client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="k", version_id=first))
    assert history(client, bucket) == []


def test_the_null_version(client: oss.Client, emulator: EmulatorServer) -> None:
    bucket = emulator.bucket()
    assert put(client, bucket, b"before") is None
    set_versioning(client, bucket, "Enabled")
    assert get(client, bucket) == (b"before", "null")
    second = str(put(client, bucket, b"enabled"))
    set_versioning(client, bucket, "Suspended")
    assert put(client, bucket, b"suspended") == "null"
    assert put(client, bucket, b"suspended again") == "null"
    assert get(client, bucket) == (b"suspended again", "null")
    assert get(client, bucket, second) == (b"enabled", second)
    assert history(client, bucket) == [("k", "null", True, False), ("k", second, False, False)]
    deleted = client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="k"))
    assert (deleted.delete_marker, deleted.version_id) == (True, "null")
    assert sorted(history(client, bucket)) == sorted([("k", "null", True, True), ("k", second, False, False)])
    client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="k", version_id="null"))
    assert get(client, bucket) == (b"enabled", second)


def test_versions_that_are_not_there(client: oss.Client, bucket: str) -> None:
    put(client, bucket, b"x")
    for version_id, expected in [
        ("0" * 32, (404, "NoSuchVersion")),
        ("null", (404, "NoSuchVersion")),
        ("234", (400, "InvalidArgument")),
    ]:
        with pytest.raises(oss.exceptions.OperationError) as caught:
            get(client, bucket, version_id)
        assert failure(caught) == expected
    gone = client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="k", version_id="0" * 32))
    assert gone.status_code == 204


def test_forbid_overwrite_means_nothing_once_versioning_was_set(client: oss.Client, bucket: str) -> None:
    request = oss.PutObjectRequest(bucket=bucket, key="k", body=b"x", forbid_overwrite=True)
    for status in ("Enabled", "Suspended"):
        set_versioning(client, bucket, status)
        assert client.put_object(request).status_code == 200
        assert client.put_object(request).status_code == 200


def test_multipart_copies_and_multiple_deletes_make_versions(client: oss.Client, bucket: str) -> None:
    first = put(client, bucket, b"1")
    upload_id = begin(client, bucket, "k")
    done = complete(client, bucket, "k", upload_id, [part(client, bucket, "k", upload_id, 1, b"22")])
    copied = client.copy_object(oss.CopyObjectRequest(bucket=bucket, key="k", source_key="k", source_version_id=first))
    assert (copied.source_version_id, len({first, done.version_id, copied.version_id})) == (first, 3)
    assert get(client, bucket, done.version_id) == (b"22", done.version_id)
    assert get(client, bucket) == (b"1", copied.version_id)
    objects = [oss.DeleteObject(key="k"), oss.DeleteObject(key="k", version_id=first)]
    deleted = client.delete_multiple_objects(oss.DeleteMultipleObjectsRequest(bucket=bucket, objects=objects))
    marker, removed = deleted.deleted_objects
    assert (marker.delete_marker, marker.version_id) == (True, None)
    assert (removed.delete_marker, removed.version_id) == (None, first)
    ids = {entry[1] for entry in history(client, bucket)}
    assert ids == {done.version_id, copied.version_id, marker.delete_marker_version_id}


def test_deleting_page_by_page_leaves_nothing(client: oss.Client, bucket: str) -> None:
    for number in range(3):
        for key in ("a", "b"):
            put(client, bucket, bytes([number]), key)
    client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="a"))
    request = oss.ListObjectVersionsRequest(bucket=bucket, max_keys=2)
    while True:
        page = client.list_object_versions(request)
        for entry in [*(page.version or []), *(page.delete_marker or [])]:
            client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key=entry.key, version_id=entry.version_id))
        if not page.is_truncated:
            break
        request.key_marker, request.version_id_marker = page.next_key_marker, page.next_version_id_marker
    assert client.delete_bucket(oss.DeleteBucketRequest(bucket=bucket)).status_code == 204


def test_listings_of_versions_fold(client: oss.Client, bucket: str) -> None:
    for key in ("a/1", "a/2", "b"):
        put(client, bucket, b"x", key)
    page = client.list_object_versions(oss.ListObjectVersionsRequest(bucket=bucket, delimiter="/"))
    assert [entry.prefix for entry in page.common_prefixes] == ["a/"]
    assert [entry.key for entry in page.version] == ["b"]


LONG = "a" * 1025


@pytest.mark.parametrize(
    "query",
    [
        {"prefix": LONG},
        {"key-marker": LONG},
        {"delimiter": LONG},
        {"key-marker": "k", "version-id-marker": LONG},
        {"version-id-marker": "null"},
        {"max-keys": "1001"},
        {"max-keys": "0"},
        {"max-keys": "many"},
        {"encoding-type": "base64"},
    ],
)
def test_arguments_of_listing_versions(emulator: EmulatorServer, bucket: str, query: dict[str, str]) -> None:
    reply = send(emulator, "GET", bucket, query={"versions": "", **query})
    assert (reply.status, reply.code) == (400, "InvalidArgument")
