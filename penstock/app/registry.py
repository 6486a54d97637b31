"""The registry of a running service: one snapshot, replaced whole when the files of HOME change.

Looks at the two files every half second. Files that cannot be used leave the last good snapshot in force; the log says once
what to mend, and they are tried again at every look. Embedded buckets get the address at which the emulator really listens.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import replace

from penstock import telemetry
from penstock.errors import SettingsError
from penstock.model import AccessKey, Bucket, BucketKind, Registry
from penstock.settings.home import Home, probe_command
from penstock.settings.reading import load_registry
from penstock.settings.roots import judge_roots
from penstock.stores.abilities import untried

LOOK_S = 0.5

Stamp = tuple[tuple[int, ...], ...]


def stamp_of(home: Home) -> Stamp:
    """What changes whenever one of the two files is replaced, written, or opened to others or closed to them."""
    return tuple(_stamp(os.fspath(path)) for path in (home.settings_file, home.secrets_file))


def _stamp(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_mode, found.st_ino, found.st_size)


def embed(registry: Registry, *, endpoint: str, region: str) -> Registry:
    """The registry with the embedded buckets where the emulator listens; without them while it does not (empty endpoint)."""
    buckets: Mapping[str, Bucket] = {
        name: replace(bucket, endpoint=endpoint, region=region) if bucket.kind is BucketKind.EMBEDDED else bucket
        for name, bucket in registry.buckets.items()
        if endpoint or bucket.kind is not BucketKind.EMBEDDED
    }
    return replace(registry, buckets=buckets)


def opens_buckets(key: AccessKey) -> bool:
    """Whether the key may be used on the embedded bucket server: active, and allowed `oss:*`.

    `*` holds `oss:*` only where the key is for every file system: buckets belong to none of them.
    """
    return key.active and ("oss:*" in key.allow or ("*" in key.allow and "*" in key.file_systems))


def load_served(home: Home) -> Registry:
    """What a service may serve. Raises SettingsError, also for file systems whose roots must not be served."""
    registry = load_registry(home)
    judge_roots(home, registry.file_systems)
    return registry


class LiveRegistry:
    """The snapshot in force. `current` is cheap and safe from any thread; `step` is one look at the files."""

    def __init__(self, home: Home, *, region: str, on_change: Callable[[], None]) -> None:
        """Raises SettingsError when the files cannot be used now. `on_change` is called when `current` answers anew."""
        self._home = home
        self._endpoint = ""
        self._region = region
        self._on_change = on_change
        self._stamp = stamp_of(home)
        self._refused = ""
        self._untried: dict[str, tuple[str, ...]] = {}
        self._written = load_served(home)
        self._snapshot = embed(self._written, endpoint="", region=region)
        self._say_what_is_untried()

    def current(self) -> Registry:
        """The snapshot in force."""
        return self._snapshot

    def wants_emulator(self) -> bool:
        """Whether an embedded bucket is registered, whether or not its server runs."""
        return any(bucket.kind is BucketKind.EMBEDDED for bucket in self._written.buckets.values())

    def emulator_at(self, endpoint: str) -> None:
        """From now on embedded buckets are there."""
        self._endpoint = endpoint
        self._take_over(self._written)

    async def step(self) -> None:
        """Looks at the files and takes them over when they changed and are good."""
        stamp = stamp_of(self._home)
        if stamp == self._stamp:
            return
        try:
            written = await asyncio.to_thread(load_served, self._home)  # looks at roots, which may take its time
        except SettingsError as error:  # the stamp stays old: what mends this need not change it
            if str(error) != self._refused:
                telemetry.failure("registry.kept_as_it_was", error)
            self._refused = str(error)
            return
        self._stamp, self._refused = stamp, ""
        if written != self._written:
            self._take_over(written)

    async def run(self) -> None:
        """Looks again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.step()

    def _take_over(self, written: Registry) -> None:
        self._written = written
        self._snapshot = embed(written, endpoint=self._endpoint, region=self._region)
        telemetry.event(
            "registry.changed",
            file_systems=len(self._snapshot.file_systems),
            buckets=len(self._snapshot.buckets),
            access_keys=len(self._snapshot.access_keys),
        )
        self._say_what_is_untried()
        self._on_change()

    def _say_what_is_untried(self) -> None:
        """Once of each bucket that an earlier version has registered: it is taken for not able to do what nobody has tried."""
        found = {name: untried(bucket.abilities) for name, bucket in self._written.buckets.items()}
        for name, names in found.items():
            if names and names != self._untried.get(name):
                telemetry.event(
                    "bucket.untried",
                    level=telemetry.Level.WARNING,
                    bucket=name,
                    abilities=", ".join(names),
                    mend=probe_command(self._home, name),
                )
        self._untried = found
