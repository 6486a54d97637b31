"""Listings of objects on the wire: both forms, their paging, folding, encoding and refusals."""

from __future__ import annotations

import alibabacloud_oss_v2 as oss
import pytest

from tests.fixtures.emulator import EmulatorServer
from tests.protocol.emulator.test_objects import KEYS
from tests.protocol.emulator.wire import send

NAMES = sorted([*KEYS, "a/c", "a/d/e", "b/1", "b/2", "z"], key=lambda key: key.encode())


@pytest.fixture(scope="module")
def bucket(emulator: EmulatorServer) -> str:
    name = emulator.bucket()
    for key in NAMES:
        assert send(emulator, "PUT", name, key, body=b"x").status == 200
    return name


def pages_of(
    client: oss.Client, request: oss.ListObjectsRequest | oss.ListObjectsV2Request
) -> tuple[list[str], list[str]]:
    """All keys and all folded prefixes, read page by page."""
    found: list[str] = []
    folded: list[str] = []
    while True:
        first = isinstance(request, oss.ListObjectsRequest)
        page = client.list_objects(request) if first else client.list_objects_v2(request)
        keys = [entry.key for entry in page.contents or []]
        prefixes = [entry.prefix for entry in page.common_prefixes or []]
        assert len(keys) + len(prefixes) <= request.max_keys
        found += keys
        folded += prefixes
        if first:
            request.marker = page.next_marker
        else:
            assert page.key_count == len(keys) + len(prefixes)
            request.continuation_token = page.next_continuation_token
        if not page.is_truncated:
            return found, folded


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("delimiter", [None, "/"])
def test_pages_of_both_forms(client: oss.Client, bucket: str, size: int, delimiter: str | None) -> None:
    keys = [key for key in NAMES if delimiter is None or "/" not in key]
    prefixes = [] if delimiter is None else list(dict.fromkeys(key.split("/")[0] + "/" for key in NAMES if "/" in key))
    for request in (oss.ListObjectsRequest, oss.ListObjectsV2Request):
        made = request(bucket=bucket, max_keys=size, delimiter=delimiter)
        assert pages_of(client, made) == (keys, prefixes)


def test_entries_tell_about_objects(client: oss.Client, bucket: str) -> None:
    (entry,) = client.list_objects_v2(oss.ListObjectsV2Request(bucket=bucket, prefix="z", fetch_owner=True)).contents
    assert (entry.size, entry.object_type, entry.storage_class) == (1, "Normal", "Standard")
    assert entry.etag == '"9DD4E461268C8034F5C8564E155C67A6"'
    assert entry.owner.id
    (entry,) = client.list_objects_v2(oss.ListObjectsV2Request(bucket=bucket, prefix="z")).contents
    assert entry.owner is None
    assert client.list_objects(oss.ListObjectsRequest(bucket=bucket, prefix="z")).contents[0].owner.id


def test_start_after(client: oss.Client, bucket: str) -> None:
    page = client.list_objects_v2(oss.ListObjectsV2Request(bucket=bucket, start_after="b/1", prefix="b/"))
    assert [entry.key for entry in page.contents] == ["b/2"]
    assert page.start_after == "b/1"


def test_without_encoding_keys_are_bare(emulator: EmulatorServer, bucket: str) -> None:
    reply = send(emulator, "GET", bucket, query={"prefix": "中"})
    assert [node.text for node in reply.xml.findall("Contents/Key")] == ["中文/键 值"]
    assert reply.xml.find("EncodingType") is None
    reply = send(emulator, "GET", bucket, query={"prefix": "中", "encoding-type": "url"})
    assert [node.text for node in reply.xml.findall("Contents/Key")] == ["%E4%B8%AD%E6%96%87%2F%E9%94%AE%20%E5%80%BC"]


def test_a_hundred_keys_by_default(emulator: EmulatorServer) -> None:
    name = emulator.bucket()
    for number in range(102):
        send(emulator, "PUT", name, f"{number:03}", body=b"")
    forms: list[dict[str, str]] = [{}, {"list-type": "2"}, {"versions": ""}]
    for query in forms:
        reply = send(emulator, "GET", name, query=query)
        assert reply.xml.findtext("MaxKeys") == "100"
        assert reply.xml.findtext("IsTruncated") == "true"
        assert len([*reply.xml.findall("Contents"), *reply.xml.findall("Version")]) == 100


@pytest.mark.parametrize(
    "query",
    [
        {"list-type": "2", "continuation-token": "err-token"},
        {"list-type": "2", "continuation-token": "YWZ0"},
        {"list-type": "2", "max-keys": "1001"},
        {"max-keys": "0"},
        {"max-keys": "-1"},
        {"max-keys": "ten"},
        {"encoding-type": "xml"},
        {"prefix": "x" * 1025},
        {"marker": "x" * 1025},
    ],
)
def test_arguments_that_are_refused(emulator: EmulatorServer, bucket: str, query: dict[str, str]) -> None:
    reply = send(emulator, "GET", bucket, query=query)
    assert (reply.status, reply.code) == (400, "InvalidArgument")
