"""Archived objects, on a server that has them: refused by name, restored, and read again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.errors import StoreRefusedError
from penstock.model import AddressingStyle, Bucket, BucketKind, Credentials
from penstock.stores.opening import open_store
from tests.conformance.stores.driving import read
from tests.fixtures.moto import MotoServer


@pytest.mark.xdist_group("moto")
def test_an_archived_object_is_refused_restored_and_read(moto: MotoServer) -> None:
    name = moto.make_bucket()
    moto.client.put_object(Bucket=name, Key="old", Body=b"content", StorageClass="GLACIER")
    bucket = Bucket(
        name=name,
        kind=BucketKind.S3,
        endpoint=moto.endpoint,
        region=moto.region,
        addressing_style=AddressingStyle.PATH,
    )
    credentials = Credentials(access_key_id=moto.access_key_id, access_key_secret=moto.access_key_secret)
    store = open_store(replace(bucket, restore_days=2), credentials)
    assert store.head("old").storage_class == "GLACIER"
    with pytest.raises(StoreRefusedError) as caught:
        read(store, "old")
    assert caught.value.code == "InvalidObjectState"
    store.restore("old")
    store.restore("old")
    assert read(store, "old")[1] == b"content"
    store.close()
