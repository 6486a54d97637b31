"""Every kind of name that OSS gives a bucket: the emulator, as the client's HTTP proxy, finds the bucket by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import alibabacloud_oss_v2 as oss
import pytest

from penstock.model import AddressingStyle, Bucket, BucketKind
from penstock.stores.opening import OssSignature, open_store
from tests.conformance.stores.test_virtual_host import exercise
from tests.fixtures.emulator import EmulatorServer, start_emulator

OWN = "named-by-a-cname"
CNAME = "data.example.com"
ENDPOINTS = {
    "public": "oss-cn-hangzhou.aliyuncs.com",
    "internal": "oss-cn-hangzhou-internal.aliyuncs.com",
    "vpc": "vpc100-oss-cn-hangzhou.aliyuncs.com",
    "accelerate": "oss-accelerate.aliyuncs.com",
    "dual stack": "cn-hangzhou.oss.aliyuncs.com",
    "privatelink": "ep-bp1abc23.oss.cn-hangzhou.privatelink.aliyuncs.com",
    "cname": CNAME,
}
SIGNATURES = {"v4": OssSignature.V4, "v1": OssSignature.V1}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorServer]:
    root: Path = tmp_path_factory.mktemp("names") / "root"
    started = start_emulator(root, options=["--cname", f"{CNAME}={OWN}"])
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def bucket(server: EmulatorServer, kind: str) -> str:
    return server.bucket(name=OWN if kind == "cname" else "")


def led_through(server: EmulatorServer, kind: str, signature: str) -> oss.Client:
    """The SDK at an endpoint of that kind, with the emulator for its proxy."""
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        server.access_key_id, server.access_key_secret
    )
    config.region, config.signature_version = server.region, signature
    config.endpoint, config.use_cname = f"http://{ENDPOINTS[kind]}", kind == "cname"
    config.proxy_host = {"http": server.endpoint}
    config.retry_max_attempts = 1
    return oss.Client(config)


@pytest.mark.parametrize("signature", SIGNATURES)
@pytest.mark.parametrize("kind", ENDPOINTS)
def test_the_sdk_finds_the_bucket(server: EmulatorServer, bucket: str, kind: str, signature: str) -> None:
    client = led_through(server, kind, signature)
    key = f"dir//{signature} 中+%41"
    client.put_object(oss.PutObjectRequest(bucket=bucket, key=key, body=b"by name"))
    assert client.get_object(oss.GetObjectRequest(bucket=bucket, key=key)).body.content == b"by name"
    listed = client.list_objects_v2(oss.ListObjectsV2Request(bucket=bucket, prefix=key))
    assert [found.key for found in listed.contents or []] == [key]
    assert client.get_bucket_info(oss.GetBucketInfoRequest(bucket=bucket)).bucket_info.name == bucket
    client.delete_object(oss.DeleteObjectRequest(bucket=bucket, key=key))
    assert not client.is_object_exist(bucket, key)


@pytest.mark.parametrize("signature", SIGNATURES)
@pytest.mark.parametrize("kind", ENDPOINTS)
def test_penstocks_own_client_finds_the_bucket(server: EmulatorServer, bucket: str, kind: str, signature: str) -> None:
    known = Bucket(
        name=bucket,
        kind=BucketKind.OSS,
        endpoint=f"http://{ENDPOINTS[kind]}",
        region=server.region,
        addressing_style=AddressingStyle.CNAME if kind == "cname" else AddressingStyle.VIRTUAL_HOST,
        proxy=server.endpoint,
    )
    with closing(open_store(known, server.credentials, oss_signature=SIGNATURES[signature])) as store:
        exercise(store)
        for key in [found.key for found in store.list_objects(prefix="", token="", limit=1000).objects]:
            store.delete(key)


@pytest.mark.parametrize("kind", ["privatelink", "vpc"])
def test_path_style_is_refused_at_the_services_names(server: EmulatorServer, bucket: str, kind: str) -> None:
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        server.access_key_id, server.access_key_secret
    )
    config.region, config.endpoint, config.use_path_style = server.region, f"http://{ENDPOINTS[kind]}", True
    config.proxy_host = {"http": server.endpoint}
    with pytest.raises(oss.exceptions.OperationError) as caught:
        oss.Client(config).put_object(oss.PutObjectRequest(bucket=bucket, key="k", body=b"x"))
    assert caught.value.unwrap().code == "SecondLevelDomainForbidden"
