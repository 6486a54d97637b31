"""Creation only where nothing is: honoured where the abilities say so."""

from __future__ import annotations

import pytest

from penstock.errors import PreconditionFailedError
from penstock.stores.base import CreateOnly, Store, Versioning
from tests.conformance.stores.driving import put, read, upload
from tests.conformance.stores.shores import Difference, Shore


def test_create_only_puts_where_nothing_is(store: Store) -> None:
    put(store, "object", b"first", precondition=CreateOnly())
    assert read(store, "object")[1] == b"first"


def test_create_only_refuses_an_existing_object(store: Store) -> None:
    put(store, "object", b"first")
    with pytest.raises(PreconditionFailedError) as caught:
        put(store, "object", b"second", precondition=CreateOnly())
    assert caught.value.status in {409, 412}
    assert not caught.value.waiting_helps
    assert read(store, "object")[1] == b"first"


def test_create_only_puts_again_after_a_delete(store: Store) -> None:
    put(store, "object", b"first")
    store.delete("object")
    put(store, "object", b"second", precondition=CreateOnly())
    assert read(store, "object")[1] == b"second"


def test_complete_create_only_publishes_where_nothing_is(store: Store) -> None:
    upload(store, "object", [b"first"], precondition=CreateOnly())
    assert read(store, "object")[1] == b"first"


def test_complete_create_only_refuses_an_existing_object(shore: Shore, store: Store) -> None:
    put(store, "object", b"first")
    if shore.differs(Difference.COMPLETE_IGNORES_CREATE_ONLY):
        assert not store.abilities.create_only_complete
        upload(store, "object", [b"second"], precondition=CreateOnly())
        assert read(store, "object")[1] == b"second"
        return
    with pytest.raises(PreconditionFailedError):
        upload(store, "object", [b"second"], precondition=CreateOnly())
    assert read(store, "object")[1] == b"first"


@pytest.mark.parametrize("versioning", [Versioning.ENABLED, Versioning.SUSPENDED])
def test_create_only_on_a_bucket_with_versions(shore: Shore, versioning: Versioning) -> None:
    store = shore.open(shore.make_bucket(versioning), versioning=versioning)
    put(store, "object", b"first")
    if shore.ignores_create_only_on(versioning):
        assert not store.abilities.create_only_put
        put(store, "object", b"second", precondition=CreateOnly())
        assert read(store, "object")[1] == b"second"
        return
    with pytest.raises(PreconditionFailedError):
        put(store, "object", b"second", precondition=CreateOnly())
    assert read(store, "object")[1] == b"first"


def test_if_match_reads_the_named_object_only(store: Store) -> None:
    etag = put(store, "object", b"first").etag
    assert read(store, "object", if_match=etag)[1] == b"first"
    put(store, "object", b"second")
    with pytest.raises(PreconditionFailedError):
        read(store, "object", if_match=etag)
