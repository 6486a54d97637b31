"""The bucket itself: its tags, its versioning, what probing finds, and how it is told when it, or the key to it, is wrong."""

from __future__ import annotations

import pytest

from penstock.errors import BucketNotFoundError, ObjectNotFoundError, PermissionDeniedError
from penstock.model import Credentials
from penstock.stores.base import Overwrite, Store, Versioning
from tests.conformance.stores.driving import listed, put, read
from tests.conformance.stores.shores import WRONG_SECRET, Difference, Shore, with_secret

MISSING = "penstock-no-such-bucket-0123456789"


def test_bucket_tags_are_told(store: Store) -> None:
    assert store.bucket_tags()["cpfs-dataflow"] == "true"


@pytest.mark.parametrize("versioning", list(Versioning))
def test_versioning_is_told(shore: Shore, versioning: Versioning) -> None:
    store = shore.open(shore.make_bucket(versioning), versioning=versioning)
    assert store.versioning() is versioning


@pytest.mark.parametrize("versioning", list(Versioning))
def test_probing_finds_what_the_bucket_can_do_and_leaves_nothing(shore: Shore, versioning: Versioning) -> None:
    store = shore.open(shore.make_bucket(versioning), versioning=versioning)
    put(store, ".penstock-probe-of-somebody-else", b"stays")
    assert store.probe() == shore.expected_on(versioning)
    assert listed(store) == [".penstock-probe-of-somebody-else"]
    assert [version.is_delete_marker for version in store.list_versions(prefix="")] == [False]
    assert list(store.list_uploads(prefix="")) == []


def test_a_bucket_can_be_added(shore: Shore, store: Store) -> None:
    assert store.probe() == shore.expected_on(Versioning.NEVER)


def test_an_unknown_bucket_is_said_to_be_unknown(shore: Shore) -> None:
    store = shore.open(MISSING)
    if shore.address is None:
        return  # memory's bucket is there by definition
    for ask in (
        store.bucket_tags,
        store.versioning,
        lambda: put(store, "object"),
        lambda: read(store, "object"),
        lambda: store.initiate("object", metadata={}),
        store.list_objects,
        lambda: list(store.list_uploads(prefix="")),
        lambda: list(store.list_versions(prefix="")),
        lambda: store.delete("object"),
        store.probe,
    ):
        with pytest.raises(BucketNotFoundError) as caught:
            ask()
        assert caught.value.bucket == MISSING
        assert caught.value.code == "NoSuchBucket"
        assert MISSING in str(caught.value)


def test_head_in_an_unknown_bucket_says_what_it_can_know(shore: Shore) -> None:
    if shore.address is None:
        return
    with pytest.raises((BucketNotFoundError, ObjectNotFoundError)):  # S3's HEAD says only 404, OSS says which
        shore.open(MISSING).head("object")


@pytest.mark.parametrize("wrong", ["secret", "id"])
def test_wrong_credentials_are_refused_and_stay_secret(shore: Shore, wrong: str) -> None:
    if shore.address is None:
        return
    right = shore.address.credentials
    credentials = (
        with_secret(right, WRONG_SECRET)
        if wrong == "secret"
        else Credentials(access_key_id="LTAIunknown0000000", access_key_secret=WRONG_SECRET)
    )
    bucket = shore.make_bucket(Versioning.NEVER)
    put(shore.open(bucket), "object", b"content")
    store = shore.open(bucket, credentials=credentials)
    if shore.differs(Difference.CHECKS_NO_CREDENTIALS):
        assert read(store, "object")[1] == b"content"
        return
    for ask in (
        lambda: store.head("object"),
        lambda: read(store, "object"),
        lambda: put(store, "other"),
        store.bucket_tags,
        store.list_objects,
        store.probe,
    ):
        with pytest.raises(PermissionDeniedError) as caught:
            ask()
        assert caught.value.status == 403
        assert WRONG_SECRET not in str(caught.value)
        assert not caught.value.waiting_helps
    with pytest.raises(PermissionDeniedError) as caught:
        store.list_objects()
    assert caught.value.code == ("SignatureDoesNotMatch" if wrong == "secret" else "InvalidAccessKeyId")
    assert caught.value.request_id
    assert caught.value.request_id in str(caught.value)


def test_a_closed_store_can_be_closed_again(store: Store) -> None:
    store.put("object", [b""], crc64=0, metadata={}, precondition=Overwrite())
    store.close()
    store.close()
