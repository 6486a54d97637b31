"""Opens a registered bucket for a command: an embedded one through the running service, or through a server of its own."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Iterator
from dataclasses import replace

from penstock.app.addresses import running_addresses
from penstock.app.embedded import momentary_emulator
from penstock.app.lock import service_runs
from penstock.errors import SettingsError
from penstock.model import Bucket, BucketKind
from penstock.settings.home import Home
from penstock.settings.naming import nearest
from penstock.settings.reading import load_registry, load_settings
from penstock.stores.base import Store
from penstock.stores.keychain import Keychain, Keys
from penstock.stores.opening import open_store

STARTING_S = 10.0
LOOK_S = 0.05


@contextlib.contextmanager
def reach_bucket(home: Home, name: str) -> Iterator[Store]:
    """The registered bucket `name`. Raises SettingsError, StoreError."""
    bucket = registered_bucket(home, name)
    with reach(home, bucket, Keychain(home.secrets_file, os.environ).of(bucket)) as store:
        yield store


def registered_bucket(home: Home, name: str) -> Bucket:
    """How `name` is registered. Raises SettingsError."""
    buckets = load_registry(home).buckets
    if name not in buckets:
        raise SettingsError(
            f"bucket {name} is not registered{nearest(name, buckets)}; see: "
            f"penstock bucket list {shlex.quote(str(home.path))}"
        )
    return buckets[name]


@contextlib.contextmanager
def reach(home: Home, bucket: Bucket, credentials: Keys) -> Iterator[Store]:
    """A bucket that need not be registered yet. Raises SettingsError, StoreError."""
    with contextlib.ExitStack() as stack:
        if bucket.kind is BucketKind.EMBEDDED:
            endpoint, region = stack.enter_context(_embedded_address(home))
            bucket = replace(bucket, endpoint=endpoint, region=region)
        store = open_store(bucket, credentials)
        stack.callback(store.close)
        yield store


@contextlib.contextmanager
def _embedded_address(home: Home) -> Iterator[tuple[str, str]]:
    """Where the embedded buckets are now, and in which region."""
    region = load_settings(home).region
    if service_runs(home):
        yield _address_of_service(home), region
        return
    with momentary_emulator(home, region) as url:
        yield url, region


def _address_of_service(home: Home) -> str:
    """Waits a little for a service that is still starting. Raises SettingsError."""
    until = time.monotonic() + STARTING_S
    while True:
        addresses = running_addresses(home)
        if addresses is not None and addresses.oss is not None:
            return addresses.oss
        if time.monotonic() > until:
            raise SettingsError(f"the service of {home.path} runs, but serves no embedded bucket; start it again")
        time.sleep(LOOK_S)
