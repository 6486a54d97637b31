"""Buckets for races: opened on the emulator, filled past everything that is tested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.errors import ObjectNotFoundError
from penstock.model import AddressingStyle, Bucket, BucketKind, Credentials
from penstock.stores.base import Store, Versioning
from penstock.stores.opening import abilities_to_mapping, open_store
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.objects import read_object
from tests.fixtures.waiting import wait_until

SETTLED_S = 20.0
Address = Mapping[str, str]
"""All that another process needs to open the bucket: plain words."""


def address_of(emulator: EmulatorServer, versioning: str = "") -> Address:
    """A new bucket of the emulator, as others can be told of it; `versioning` is "", "Enabled" or "Suspended"."""
    return {
        "kind": BucketKind.EMBEDDED.value,
        "name": emulator.bucket(versioning=versioning),
        "endpoint": emulator.endpoint,
        "region": emulator.region,
        "access_key_id": emulator.access_key_id,
        "access_key_secret": emulator.access_key_secret,
    }


def opened(address: Address) -> Store:
    """The bucket with the abilities that probing finds."""
    abilities: dict[str, Any] = {}
    credentials = Credentials(access_key_id=address["access_key_id"], access_key_secret=address["access_key_secret"])
    for _ in "probe", "use":
        store = open_store(
            Bucket(
                name=address["name"],
                kind=BucketKind(address["kind"]),
                endpoint=address["endpoint"],
                region=address["region"],
                addressing_style=AddressingStyle.PATH,
                abilities=abilities,
            ),
            credentials,
        )
        if not abilities:
            try:
                abilities = abilities_to_mapping(store.probe())
            finally:
                store.close()
    return store


def bucket_of(emulator: EmulatorServer, versioning: str = "") -> Store:
    """A new bucket of the emulator, open."""
    return opened(address_of(emulator, versioning))


def history(store: Store, key: str, known: Mapping[str, bytes]) -> list[str]:
    """What the key holds, newest first: the names of `known` contents, or "marker". Raises AssertionError for any other.

    Ceph RGW lists a version now and then that it cannot read yet.
    """
    found: list[list[str]] = []

    def look() -> bool:
        try:
            found.append(_history(store, key, known))
        except ObjectNotFoundError:
            return False
        return True

    wait_until(look, SETTLED_S, f"what is listed of {key} cannot be read")
    return found[0]


def _history(store: Store, key: str, known: Mapping[str, bytes]) -> list[str]:
    if store.abilities.versioning is Versioning.NEVER:
        if key not in [info.key for info in store.list_objects(prefix=key, limit=1).objects]:
            return []
        return [_named(read_object(store, key), known)]
    return [
        "marker" if version.is_delete_marker else _named(read_object(store, key, version_id=version.version_id), known)
        for version in store.list_versions(prefix=key)
        if version.key == key
    ]


def _named(content: bytes, known: Mapping[str, bytes]) -> str:
    names = [name for name, bytes_ in known.items() if bytes_ == content]
    assert names, f"{len(content)} bytes that nobody has written as a whole"
    return names[0]
