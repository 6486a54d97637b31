"""Virtual-host style, the way of the real services: the bucket stands in the host name, and signatures still hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from penstock.model import AddressingStyle, BucketKind
from penstock.stores.base import Abilities, CreateOnly, Store, Versioning
from penstock.stores.opening import OssSignature
from tests.conformance.stores.conftest import SHORES
from tests.conformance.stores.driving import listed, noise, put, read, upload
from tests.conformance.stores.shores import Address, Shore
from tests.fixtures.ceph import CephServer
from tests.fixtures.emulator import start_emulator

KEYS = ["a", "a/b", "p//q", "url-%123-/?#:", "with space+plus", "数据/模型.bin", "~-_.!*'()"]


def exercise(store: Store) -> None:
    for key in KEYS:
        put(store, key, key.encode(), metadata={"name": "value"})
        assert read(store, key)[1] == key.encode()
    assert listed(store, limit=3) == sorted(KEYS, key=str.encode)
    content = noise(1000)
    upload(store, "parts/of it", [content], precondition=CreateOnly())
    assert read(store, "parts/of it")[1] == content
    assert store.bucket_tags() == {"cpfs-dataflow": "true"}
    assert store.versioning() is Versioning.NEVER
    assert list(store.list_uploads(prefix="")) == []
    assert [version.key for version in store.list_versions(prefix="a")] == ["a", "a/b"]
    store.delete("a")
    assert listed(store, prefix="a") == ["a/b"]


@pytest.mark.parametrize("signature", list(OssSignature))
def test_oss_with_the_bucket_in_the_host_name(tmp_path: Path, signature: OssSignature) -> None:
    server = start_emulator(tmp_path / "root", domain="oss.localhost")
    try:
        port = server.endpoint.rpartition(":")[2]
        address = Address(
            kind=BucketKind.OSS,
            endpoint=f"http://oss.localhost:{port}",
            region=server.region,
            credentials=server.credentials,
            addressing_style=AddressingStyle.VIRTUAL_HOST,
            oss_signature=signature,
        )
        exercise_at(address, server.bucket())
    finally:
        server.stop()


@pytest.mark.ceph
@pytest.mark.xdist_group("ceph")
def test_s3_with_the_bucket_in_the_host_name(ceph: CephServer, request: pytest.FixtureRequest) -> None:
    by_path = SHORES["ceph"](request).address
    assert by_path is not None
    address = replace(by_path, endpoint=ceph.virtual_host_endpoint, addressing_style=AddressingStyle.VIRTUAL_HOST)
    exercise_at(address, ceph.make_bucket())


def exercise_at(address: Address, bucket: str) -> None:
    shore = Shore(
        name="virtual", expected=Abilities(), part_size_bytes=0, make_bucket=lambda _versioning: "", address=address
    )
    try:
        exercise(shore.open(bucket))
    finally:
        shore.close()
