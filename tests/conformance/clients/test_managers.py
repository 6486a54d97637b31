"""What the vendor's SDK builds out of many requests: uploader, downloader, copier and the paginators, with both signatures."""

from __future__ import annotations

from pathlib import Path

import alibabacloud_oss_v2 as oss
import pytest

from tests.conformance.clients.strangers import PART_BYTES, sdk_client
from tests.conformance.stores.driving import noise
from tests.fixtures.emulator import EmulatorServer

SIZE_BYTES = 5 * PART_BYTES + 123


@pytest.fixture(params=["v4", "v1"])
def client(request: pytest.FixtureRequest, emulator: EmulatorServer) -> oss.Client:
    return sdk_client(emulator, request.param)


@pytest.fixture
def bucket(emulator: EmulatorServer) -> str:
    return emulator.bucket()


def test_uploader_and_downloader(client: oss.Client, bucket: str, tmp_path: Path) -> None:
    source, landed = tmp_path / "source", tmp_path / "landed"
    source.write_bytes(noise(SIZE_BYTES))
    uploader = client.uploader(
        part_size=PART_BYTES, parallel_num=3, enable_checkpoint=True, checkpoint_dir=str(tmp_path)
    )
    sent = uploader.upload_file(oss.PutObjectRequest(bucket=bucket, key="k"), str(source))
    downloader = client.downloader(part_size=70_001, parallel_num=3, enable_verify=True)
    downloader.download_file(oss.GetObjectRequest(bucket=bucket, key="k"), str(landed))
    assert landed.read_bytes() == source.read_bytes()
    head = client.head_object(oss.HeadObjectRequest(bucket=bucket, key="k"))
    assert (head.object_type, head.hash_crc64) == ("Multipart", sent.hash_crc64)


@pytest.mark.parametrize("threshold", [1, 10 * SIZE_BYTES], ids=["in parts", "at once"])
def test_copier(client: oss.Client, bucket: str, emulator: EmulatorServer, threshold: int) -> None:
    body, other = noise(SIZE_BYTES), emulator.bucket()
    client.put_object(
        oss.PutObjectRequest(bucket=bucket, key="数/a+ %", body=body, metadata={"name": "value"}, tagging="k=v")
    )
    copier = client.copier(part_size=PART_BYTES, parallel_num=3, multipart_copy_threshold=threshold)
    request = oss.CopyObjectRequest(bucket=other, key="copy", source_bucket=bucket, source_key="数/a+ %")
    copier.copy(request, disable_shallow_copy=True)
    got = client.get_object(oss.GetObjectRequest(bucket=other, key="copy"))
    assert got.body.content == body
    assert (dict(got.metadata), got.tagging_count) == ({"name": "value"}, 1)
    assert got.object_type == ("Multipart" if threshold == 1 else "Normal")


def test_paginators_of_objects(client: oss.Client, bucket: str) -> None:
    keys = sorted(["中/1", "中/2", "a b", "a+b", "bell\x07", *(f"k{n}" for n in range(6))], key=str.encode)
    for key in keys:
        client.put_object(oss.PutObjectRequest(bucket=bucket, key=key, body=b"x"))
    second = client.list_objects_v2_paginator(limit=2).iter_page(oss.ListObjectsV2Request(bucket=bucket))
    first = client.list_objects_paginator(limit=3).iter_page(oss.ListObjectsRequest(bucket=bucket))
    for pages in (second, first):
        assert [entry.key for page in pages for entry in page.contents or []] == keys
    folded = client.list_objects_v2_paginator(limit=1).iter_page(
        oss.ListObjectsV2Request(bucket=bucket, prefix="中", delimiter="/")
    )
    assert [entry.prefix for page in folded for entry in page.common_prefixes or []] == ["中/"]


def test_paginator_of_versions(client: oss.Client, emulator: EmulatorServer) -> None:
    bucket = emulator.bucket(versioning="Enabled")
    told = [
        client.put_object(oss.PutObjectRequest(bucket=bucket, key=key, body=b"x")).version_id
        for key in ("a", "a", "b", "a", "b")
    ]
    client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key="b"))
    pages = list(client.list_object_versions_paginator(limit=2).iter_page(oss.ListObjectVersionsRequest(bucket=bucket)))
    listed = [version.version_id for page in pages for version in page.version or []]
    assert listed == [told[3], told[1], told[0], told[4], told[2]]
    assert [marker.key for page in pages for marker in page.delete_marker or []] == ["b"]


def test_paginators_of_uploads_and_parts(client: oss.Client, bucket: str) -> None:
    begun = [
        client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket=bucket, key=key)).upload_id
        for key in ("a", "a", "b")
    ]
    for number in (1, 3, 7):
        client.upload_part(
            oss.UploadPartRequest(bucket=bucket, key="b", upload_id=begun[2], part_number=number, body=b"x")
        )
    pages = client.list_multipart_uploads_paginator(limit=1).iter_page(oss.ListMultipartUploadsRequest(bucket=bucket))
    assert [upload.upload_id for page in pages for upload in page.uploads or []] == begun
    parts = client.list_parts_paginator(limit=2).iter_page(
        oss.ListPartsRequest(bucket=bucket, key="b", upload_id=begun[2])
    )
    assert [part.part_number for page in parts for part in page.parts or []] == [1, 3, 7]


def test_paginator_of_buckets(client: oss.Client, emulator: EmulatorServer) -> None:
    names = sorted(emulator.bucket(name=f"paged-{n}-{emulator.bucket()}") for n in range(3))
    pages = client.list_buckets_paginator(limit=1).iter_page(oss.ListBucketsRequest(prefix="paged-"))
    assert set(names) <= {found.name for page in pages for found in page.buckets or []}


def test_a_file_that_is_appended_to_and_one_that_is_read_in_places(client: oss.Client, bucket: str) -> None:
    with client.append_file(bucket, "log") as file:
        file.write(b"first, ")
        file.write(b"second")
    with client.open_file(bucket, "log") as file:
        file.seek(7)
        assert file.read() == b"second"
