"""Buckets: made, told about, tagged, versioned, listed and removed."""

from __future__ import annotations

import alibabacloud_oss_v2 as oss
import pytest

from penstock.emulator.making import create_bucket
from penstock.errors import SettingsError
from tests.fixtures.emulator import EmulatorServer
from tests.protocol.emulator.test_multipart import begin
from tests.protocol.emulator.test_objects import failure
from tests.protocol.emulator.wire import send


def test_a_buckets_life(client: oss.Client, emulator: EmulatorServer) -> None:
    name = emulator.bucket() + "-made"
    client.put_bucket(oss.PutBucketRequest(bucket=name))
    client.put_bucket(oss.PutBucketRequest(bucket=name))
    info = client.get_bucket_info(oss.GetBucketInfoRequest(bucket=name)).bucket_info
    assert (info.name, info.location, info.acl, info.storage_class) == (name, "oss-cn-hangzhou", "private", "Standard")
    assert client.get_bucket_location(oss.GetBucketLocationRequest(bucket=name)).location == "oss-cn-hangzhou"
    assert client.get_bucket_acl(oss.GetBucketAclRequest(bucket=name)).acl == "private"
    assert client.is_bucket_exist(name)
    client.delete_bucket(oss.DeleteBucketRequest(bucket=name))
    assert not client.is_bucket_exist(name)
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.delete_bucket(oss.DeleteBucketRequest(bucket=name))
    assert failure(caught) == (404, "NoSuchBucket")


def test_a_bucket_that_is_not_empty_stays(client: oss.Client, emulator: EmulatorServer) -> None:
    name = emulator.bucket()
    client.put_object(oss.PutObjectRequest(bucket=name, key="k", body=b"x"))
    request = oss.DeleteBucketRequest(bucket=name)
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.delete_bucket(request)
    assert failure(caught) == (409, "BucketNotEmpty")
    client.delete_object(oss.DeleteObjectRequest(bucket=name, key="k"))
    upload_id = begin(client, name, "k")
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.delete_bucket(request)
    assert failure(caught) == (409, "BucketNotEmpty")
    client.abort_multipart_upload(oss.AbortMultipartUploadRequest(bucket=name, key="k", upload_id=upload_id))
    client.delete_bucket(request)


def test_a_class_is_inherited_and_others_are_refused(client: oss.Client, emulator: EmulatorServer) -> None:
    name = emulator.bucket() + "-ia"
    configuration = oss.CreateBucketConfiguration(storage_class="IA", data_redundancy_type="ZRS")
    client.put_bucket(oss.PutBucketRequest(bucket=name, create_bucket_configuration=configuration))
    client.put_object(oss.PutObjectRequest(bucket=name, key="k", body=b"12345"))
    assert client.head_object(oss.HeadObjectRequest(bucket=name, key="k")).storage_class == "IA"
    stat = client.get_bucket_stat(oss.GetBucketStatRequest(bucket=name))
    assert (stat.infrequent_access_object_count, stat.infrequent_access_storage, stat.standard_storage) == (1, 5, 0)
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.put_bucket(oss.PutBucketRequest(bucket=name))
    assert failure(caught) == (409, "BucketAlreadyExists")


@pytest.mark.parametrize("name", ["ab", "Upper", "under_score", "-dash", "dash-", "dot.dot", "a" * 64])
def test_names_that_are_refused(emulator: EmulatorServer, name: str) -> None:
    reply = send(emulator, "PUT", name)
    assert (reply.status, reply.code) == (400, "InvalidBucketName")


def test_stat_counts(client: oss.Client, emulator: EmulatorServer) -> None:
    name = emulator.bucket(versioning="Enabled")
    for body in (b"1", b"22"):
        client.put_object(oss.PutObjectRequest(bucket=name, key="k", body=body))
    client.delete_object(oss.DeleteObjectRequest(bucket=name, key="k"))
    begin(client, name, "upload")
    stat = client.get_bucket_stat(oss.GetBucketStatRequest(bucket=name))
    assert (stat.object_count, stat.storage, stat.multi_part_upload_count) == (2, 3, 1)
    assert (stat.standard_storage, stat.delete_marker_count, stat.live_channel_count) == (3, 1, 0)


def tags_of(client: oss.Client, name: str) -> dict[str, str]:
    tagging = client.get_bucket_tags(oss.GetBucketTagsRequest(bucket=name)).tagging
    found = tagging.tag_set.tags if tagging and tagging.tag_set else None
    return {tag.key: tag.value or "" for tag in found or []}


def tag(client: oss.Client, name: str, wanted: dict[str, str]) -> None:
    tag_set = oss.TagSet(tags=[oss.Tag(key=key, value=value) for key, value in wanted.items()])
    client.put_bucket_tags(oss.PutBucketTagsRequest(bucket=name, tagging=oss.Tagging(tag_set=tag_set)))


def test_tags(client: oss.Client, emulator: EmulatorServer) -> None:
    name = emulator.bucket(tags={})
    assert tags_of(client, name) == {}
    for wanted in ({"a": "1", "键": "值 &<>", "empty": ""}, {"b": "2", "c": "3"}):
        tag(client, name, wanted)
        assert tags_of(client, name) == wanted
    assert send(emulator, "DELETE", name, query={"tagging": "b,unknown"}).status == 204
    assert tags_of(client, name) == {"c": "3"}
    assert client.delete_bucket_tags(oss.DeleteBucketTagsRequest(bucket=name)).status_code == 204
    assert tags_of(client, name) == {}


def test_a_document_that_arrived_changed_is_refused(emulator: EmulatorServer) -> None:
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    headers = {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
    reply = send(emulator, "PUT", emulator.bucket(), query={"versioning": ""}, headers=headers, body=body)
    assert (reply.status, reply.code) == (400, "InvalidDigest")


@pytest.mark.parametrize(
    "wanted",
    [{"x" * 65: "v"}, {"http://x": "v"}, {"Aliyun-x": "v"}, {"k": "v" * 129}, {f"k{n}": "" for n in range(21)}],
)
def test_tags_that_are_refused(client: oss.Client, emulator: EmulatorServer, wanted: dict[str, str]) -> None:
    name = emulator.bucket(tags={"kept": "1"})
    with pytest.raises(oss.exceptions.OperationError) as caught:
        tag(client, name, wanted)
    assert failure(caught) == (400, "InvalidTag")
    assert tags_of(client, name) == {"kept": "1"}


def test_versioning_is_told(client: oss.Client, emulator: EmulatorServer) -> None:
    name = emulator.bucket()
    request = oss.GetBucketVersioningRequest(bucket=name)
    assert b"Status" not in send(emulator, "GET", name, query={"versioning": ""}).body
    assert b"<Versioning>" not in send(emulator, "GET", name, query={"bucketInfo": ""}).body
    for status in ("Enabled", "Suspended", "Enabled"):
        wanted = oss.VersioningConfiguration(status=status)
        client.put_bucket_versioning(oss.PutBucketVersioningRequest(bucket=name, versioning_configuration=wanted))
        told = client.get_bucket_versioning(request)
        assert told.version_status == status
        assert client.get_bucket_info(oss.GetBucketInfoRequest(bucket=name)).bucket_info.versioning == status
    for body in (b"<VersioningConfiguration><Status>Off</Status></VersioningConfiguration>", b"<A/>", b""):
        assert send(emulator, "PUT", name, query={"versioning": ""}, body=body).code == "MalformedXML"


def test_buckets_are_listed_in_pages(client: oss.Client, emulator: EmulatorServer) -> None:
    base = emulator.bucket()
    names = [emulator.bucket(name=f"{base}-{letter}") for letter in "cab"]
    request = oss.ListBucketsRequest(prefix=f"{base}-", max_keys=2)
    seen, pages = [], 0
    while True:
        page = client.list_buckets(request)
        seen += [entry.name for entry in page.buckets]
        pages += 1
        if not page.is_truncated:
            break
        request.marker = page.next_marker
    assert (seen, pages) == (sorted(names), 2)
    assert set(names) < {entry.name for entry in client.list_buckets(oss.ListBucketsRequest(max_keys=1000)).buckets}


@pytest.mark.parametrize(
    ("method", "subresource"),
    [("GET", "cors"), ("PUT", "cors"), ("GET", "policy"), ("HEAD", ""), ("POST", ""), ("GET", "acl&tagging")],
)
def test_what_is_not_built_says_so(emulator: EmulatorServer, method: str, subresource: str) -> None:
    query = dict.fromkeys(subresource.split("&"), "") if subresource else {}
    reply = send(emulator, method, emulator.bucket(), query=query)
    assert (reply.status, reply.code) == (501, "NotImplemented")


def test_making_a_bucket_without_a_server(client: oss.Client, emulator: EmulatorServer) -> None:
    name = emulator.bucket(tags={"a": "b"})
    for _ in range(2):
        create_bucket(emulator.root, name, tags={"c": "d"}, versioning="Enabled")
        told = client.get_bucket_versioning(oss.GetBucketVersioningRequest(bucket=name))
        assert told.version_status == "Enabled"
        assert tags_of(client, name) == {"c": "d"}
    for bad_name, versioning in [("Bad", ""), (name, "Off"), (name, "")]:
        with pytest.raises(SettingsError):
            create_bucket(emulator.root, bad_name, tags={}, versioning=versioning)
    assert tags_of(client, name) == {"c": "d"}
