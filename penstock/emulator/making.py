"""A bucket made without a server: what commands need of the emulator, and all that they import of it.

Writes to the ledger, by `storage`; never looks at what serves it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from penstock.emulator.protocol import names
from penstock.emulator.storage import buckets, schema
from penstock.emulator.storage.buckets import Versioning
from penstock.emulator.storage.schema import INDEX
from penstock.errors import SettingsError


def create_bucket(
    root: Path, name: str, *, tags: Mapping[str, str], versioning: str, clock: Callable[[], int] = time.time_ns
) -> None:
    """Make a bucket without a server (or beside one), or give an existing one these tags and this versioning.

    `versioning` is "" (never set), "Enabled" or "Suspended". Raises SettingsError for a name, a state or a root that
    cannot be, and for "" where versioning has been set before: it cannot be unset.
    """
    if not names.is_bucket_name(name):
        raise SettingsError(f"{name!r} is no bucket name: use 3 to 63 of a-z, 0-9 and -, no - at either end")
    try:
        state = Versioning(versioning)
    except ValueError:
        raise SettingsError(f"versioning is Enabled, Suspended or nothing, not {versioning!r}") from None
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        database = schema.open_ledger(root / INDEX)
    except (ValueError, sqlite3.DatabaseError) as error:
        raise SettingsError(f"{root} is no bucket directory of this emulator: {error}") from error
    try:
        database.execute("BEGIN IMMEDIATE")
        if buckets.find(database, name) is None:
            buckets.create(database, name=name, created_ns=clock(), storage="Standard", redundancy="LRS")
        bucket = buckets.find(database, name)
        assert bucket is not None
        if state is not bucket.versioning:
            if state is Versioning.UNSET:
                raise SettingsError(f"bucket {name} has had versioning; it can be suspended, not unset")
            buckets.set_versioning(database, bucket, state)
        buckets.replace_tags(database, bucket, tags)
        database.execute("COMMIT")
    finally:
        database.close()
