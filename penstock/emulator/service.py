"""What every operation is handed: the ledger, the vault, the clock, ids, and where this emulator says it is.

Opens and closes the two stores of one root; a root belongs to one emulator at a time. Never speaks HTTP.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from penstock.emulator.protocol.call import Call
from penstock.emulator.storage import buckets
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.ledger import Ledger, Transaction
from penstock.emulator.storage.room import Reserve
from penstock.emulator.storage.schema import INDEX
from penstock.emulator.storage.vault import Vault
from penstock.errors import HomeInUseError, SettingsError

T = TypeVar("T")

DATA = "data"
LOCK = "lock"
RESERVE = "reserve"
OWNER = "1000000000000001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One open root. `new_token` yields 32 upper-case hexadecimal digits that never repeat."""

    ledger: Ledger
    vault: Vault
    region: str
    clock: Callable[[], int]
    new_token: Callable[[], str]
    restore_s: float
    """How long it takes until a restored object can be read."""
    lock_fd: int

    @property
    def location(self) -> str:
        """The region, the way buckets name it."""
        return f"oss-{self.region}"

    def ordered_id(self) -> str:
        """An id that sorts by the time it was given: 16 digits of time, 16 of chance."""
        return f"{self.clock():016X}{self.new_token()[:16]}"

    def require(self, call: Call, database: object) -> Bucket:
        """The call's bucket. Raises OssFault 404 NoSuchBucket."""
        connection = database.database if isinstance(database, Transaction) else database
        found = buckets.find(connection, call.bucket)  # type: ignore[arg-type]
        if found is None:
            raise call.missing_bucket
        return found

    def close(self) -> None:
        """Blocking."""
        self.ledger.close()
        self.vault.close()
        os.close(self.lock_fd)


def open_service(
    root: Path,
    *,
    region: str,
    clock: Callable[[], int],
    new_token: Callable[[], str],
    restore_s: float,
    loop: asyncio.AbstractEventLoop,
) -> Service:
    """Blocking: open `root`, made if it is not there, and remove what a crash left. Raises HomeInUseError, SettingsError."""
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock_fd = os.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(
            f"{root} cannot be written: {error.strerror}; buckets need a directory of their own"
        ) from error
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock_fd)
        raise HomeInUseError(f"another emulator serves {root}; stop it first, or choose another directory") from None
    vault = Vault(root / DATA, new_id=new_token)
    ledger = Ledger(root / INDEX, reserve=Reserve(root / RESERVE), on_freed=vault.doom)
    try:
        ledger.open(loop)
        vault.open(ledger.file_blobs())
    except (ValueError, sqlite3.DatabaseError) as error:
        os.close(lock_fd)
        raise SettingsError(f"{root} is no bucket directory of this emulator: {error}") from error
    return Service(
        ledger=ledger,
        vault=vault,
        region=region,
        clock=clock,
        new_token=new_token,
        restore_s=restore_s,
        lock_fd=lock_fd,
    )
