"""Probing a bucket that refuses part of it: what may not be asked is not there, and what was made is removed all the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.errors import NotSupportedError, OffTopicError, PermissionDeniedError, StoreUnavailableError
from penstock.stores.base import Abilities, Checksum, Versioning
from penstock.stores.probing import TRIES, probe
from tests.fixtures.memorystore import Fault, MemoryStore, Raise

ALL = Abilities(create_only_put=True, create_only_complete=True, crc64=True, part_etag_is_md5=True, bucket_tags=True)
NONE = Abilities()
DENIED = PermissionDeniedError("denied")


def probed(store: MemoryStore) -> Abilities:
    return probe(lambda checksum=Checksum.NONE, guard=None: store, "0123")


@pytest.mark.parametrize(
    "able",
    [ALL, replace(ALL, create_only_put=False), replace(ALL, create_only_complete=False), replace(ALL, crc64=False)],
    ids=["all", "no conditional PUT", "no conditional Complete", "no crc64"],
)
@pytest.mark.parametrize("versioning", list(Versioning))
def test_what_a_bucket_can_do_is_found(able: Abilities, versioning: Versioning) -> None:
    abilities = replace(able, versioning=versioning)
    store = MemoryStore(abilities=abilities)
    assert probed(store) == abilities
    assert list(store.list_versions(prefix="")) == []
    assert store.unfinished() == []


def test_only_one_name_is_touched() -> None:
    store = MemoryStore()
    probed(store)
    assert {call.key for call in store.calls if call.key} == {".penstock-probe-0123"}


def test_a_bucket_that_cannot_be_written_has_no_writing_abilities() -> None:
    store = MemoryStore(abilities=replace(ALL, versioning=Versioning.ENABLED))
    store.script(Fault("put", action=Raise(DENIED)))
    assert probed(store) == replace(NONE, bucket_tags=True, versioning=Versioning.ENABLED)


def test_a_bucket_that_cannot_be_listed_is_an_error() -> None:
    store = MemoryStore()
    store.script(Fault("list_objects", action=Raise(DENIED)))
    with pytest.raises(PermissionDeniedError):
        probed(store)
    assert store.keys() == []


@pytest.mark.parametrize("error", [DENIED, NotSupportedError("no tags here"), OffTopicError("something else")])
def test_tags_that_cannot_be_asked_are_no_ability(error: Exception) -> None:
    store = MemoryStore()
    store.script(Fault("bucket_tags", action=Raise(error)))
    assert probed(store) == replace(ALL, bucket_tags=False)


@pytest.mark.parametrize("versioning", list(Versioning))
def test_versioning_that_may_not_be_asked_is_told_by_a_write(versioning: Versioning) -> None:
    store = MemoryStore(abilities=replace(ALL, versioning=versioning))
    store.script(Fault("versioning", action=Raise(DENIED)))
    assert probed(store).versioning is versioning
    assert list(store.list_versions(prefix="")) == []


def test_versioning_that_the_store_does_not_know_was_never_set() -> None:
    store = MemoryStore()
    store.script(Fault("versioning", action=Raise(NotSupportedError("no versions here"))))
    assert probed(store) == ALL


@pytest.mark.parametrize("verb", ["initiate", "put_part", "complete", "head"])
def test_a_probe_that_breaks_off_cleans_up(verb: str) -> None:
    store = MemoryStore()
    store.script(Fault(verb, times=TRIES, action=Raise(StoreUnavailableError("cut off"))))
    with pytest.raises(StoreUnavailableError):
        probed(store)
    assert store.keys() == []
    assert store.unfinished() == []


def test_a_conditional_put_that_is_not_implemented_is_no_ability() -> None:
    store = MemoryStore()
    store.script(
        Fault("put", nth=2, action=Raise(NotSupportedError("501"))),
        Fault("complete", action=Raise(NotSupportedError("501"))),
    )
    assert probed(store) == replace(ALL, create_only_put=False, create_only_complete=False)
