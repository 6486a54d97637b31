"""Archived objects, on servers that have them: refused by name, restored, and read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import alibabacloud_oss_v2 as oss
import pytest

from penstock.errors import StoreRefusedError
from penstock.model import AddressingStyle, Bucket, BucketKind
from penstock.stores.base import Store
from penstock.stores.opening import open_store
from tests.conformance.stores.driving import read
from tests.fixtures.emulator import PROGRAM, EmulatorServer, start_emulator
from tests.fixtures.moto import MotoServer
from tests.fixtures.waiting import wait_until

READY_S = 30.0


def opened(kind: BucketKind, name: str, server: MotoServer | EmulatorServer) -> Store:
    bucket = Bucket(
        name=name,
        kind=kind,
        endpoint=server.endpoint,
        region=server.region,
        addressing_style=AddressingStyle.PATH,
    )
    return open_store(replace(bucket, restore_days=2), server.credentials)


@pytest.mark.xdist_group("moto")
def test_a_glacier_of_s3(moto: MotoServer) -> None:
    name = moto.make_bucket()
    moto.client.put_object(Bucket=name, Key="old", Body=b"content", StorageClass="GLACIER")
    refused_restored_read(opened(BucketKind.S3, name, moto), "GLACIER")


@pytest.mark.parametrize("storage_class", ["Archive", "ColdArchive"])
def test_an_archive_of_oss(tmp_path: Path, storage_class: str) -> None:
    emulator = start_emulator(tmp_path / "root", program=(*PROGRAM, "--restore-s", "0.2"))
    try:
        put_archived(emulator, name := emulator.bucket(), storage_class)
        refused_restored_read(opened(BucketKind.OSS, name, emulator), storage_class)
    finally:
        emulator.stop()


def put_archived(emulator: EmulatorServer, name: str, storage_class: str) -> None:
    """As the vendor's client does."""
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        emulator.access_key_id, emulator.access_key_secret
    )
    config.region, config.endpoint = emulator.region, emulator.endpoint
    oss.Client(config).put_object(
        oss.PutObjectRequest(bucket=name, key="old", body=b"content", storage_class=storage_class)
    )


def refused_restored_read(store: Store, storage_class: str) -> None:
    assert store.head("old").storage_class == storage_class
    with pytest.raises(StoreRefusedError) as caught:
        read(store, "old")
    assert caught.value.code == "InvalidObjectState"
    store.restore("old")
    store.restore("old")  # it is under way, or done
    wait_until(lambda: is_readable(store), READY_S, "it was not restored")
    assert read(store, "old")[1] == b"content"
    store.close()


def is_readable(store: Store) -> bool:
    try:
        read(store, "old")
    except StoreRefusedError:
        return False
    return True
