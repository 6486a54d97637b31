"""What a mover has open: the roots of file systems and the stores of buckets, opened once, shared by its threads.

A snapshot of the registry, or other credentials, replace what differs; what is still in use is closed by its last user.
Calls `transfer.root` and `stores`; moves nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, Protocol, TypeVar, cast

from penstock.engine.messages import Places
from penstock.errors import BucketNotFoundError, FailureCode, TransferError
from penstock.model import Bucket, Credentials, FileSystem
from penstock.stores.base import OSS_LIMITS, Abilities, Store
from penstock.stores.credentials import load_credentials
from penstock.transfer.root import Root
from penstock.transfer.transfer import Intent


class Closable(Protocol):
    """Something open."""

    def close(self) -> None: ...


Open = TypeVar("Open", bound=Closable)
OpenStore = Callable[[Bucket, Credentials], Store]
OpenRoot = Callable[[FileSystem], Root]


class Berth(Generic[Open]):
    """One thing that is open, how it was described when it was opened, and how many use it. Guarded by the harbour's lock."""

    __slots__ = ("description", "is_stale", "opened", "users")

    def __init__(self, description: object, opened: Open) -> None:
        self.description = description
        self.opened = opened
        self.users = 0
        self.is_stale = False


class GoneStore:
    """A bucket that is not registered any more: every verb says that it is not there."""

    limits = OSS_LIMITS
    abilities = Abilities()

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    def __getattr__(self, verb: str) -> Callable[..., object]:
        def refuse(*_: object, **__: object) -> object:
            raise BucketNotFoundError(f"bucket {self.bucket} is not registered (any more)", bucket=self.bucket)

        return refuse


class Harbour:
    """Roots by file system id, stores by bucket name."""

    def __init__(
        self,
        *,
        places: Places,
        secrets_path: Path,
        store_opener: OpenStore,
        root_opener: OpenRoot = Root.open,
    ) -> None:
        self._lock = threading.Lock()
        self._secrets_path = secrets_path
        self._open_store = store_opener
        self._open_root = root_opener
        self._stores: dict[str, Berth[Store]] = {}
        self._roots: dict[str, Berth[Root]] = {}
        self.place(places)

    def place(self, places: Places) -> None:
        """Another snapshot of the registry."""
        with self._lock:
            self._file_systems = {one.file_system_id: one for one in places.file_systems}
            self._buckets = {one.name: one for one in places.buckets}

    @contextmanager
    def root(self, file_system_id: str) -> Iterator[Root]:
        """The file system's root. Raises TransferError when it is not registered here or cannot be opened."""
        file_system = self._file_systems.get(file_system_id)
        if file_system is None:
            words = f"file system {file_system_id} is not registered (any more)"
            raise TransferError(FailureCode.FILE_SYSTEM_UNAVAILABLE, words, waiting_helps=True)
        berth = self._taken(self._roots, file_system_id, file_system, lambda: self._open_root(file_system))
        try:
            yield berth.opened
        except TransferError as error:
            if error.code is FailureCode.FILE_SYSTEM_UNAVAILABLE:
                self.doubt_root(file_system_id)
            raise
        finally:
            self._let_go(berth)

    @contextmanager
    def store(self, bucket_name: str, intent: Intent) -> Iterator[Store]:
        """The bucket's store; without the bucket a stand-in that is enough to remove an import's helper files.

        Raises TransferError, StoreError (no credentials), SettingsError (unusable description).
        """
        bucket = self._buckets.get(bucket_name)
        if bucket is None and intent is not Intent.MOVE:
            yield cast("Store", GoneStore(bucket_name))
            return
        if bucket is None:
            words = f"bucket {bucket_name} is not registered (any more)"
            raise TransferError(FailureCode.BUCKET_NOT_REGISTERED, words, waiting_helps=True)
        credentials = load_credentials(self._secrets_path, bucket_name)
        description = (bucket, credentials)
        berth = self._taken(self._stores, bucket_name, description, lambda: self._open_store(bucket, credentials))
        try:
            yield berth.opened
        finally:
            self._let_go(berth)

    def doubt_root(self, file_system_id: str) -> None:
        """The root was found unusable (unmounted, another device): open it anew next time."""
        with self._lock:
            berth = self._roots.pop(file_system_id, None)
            idle = self._retired(berth)
        if idle is not None:
            idle.close()

    def _taken(
        self, berths: dict[str, Berth[Open]], name: str, description: object, opener: Callable[[], Open]
    ) -> Berth[Open]:
        with self._lock:
            berth = berths.get(name)
            if berth is not None and berth.description == description:
                berth.users += 1
                return berth
        opened = opener()  # outside of the lock: a hung mount must not stop the other threads
        idle: list[Open] = []
        with self._lock:
            berth = berths.get(name)
            if berth is not None and berth.description == description:
                idle.append(opened)  # another thread was quicker
            else:
                idle += [one for one in (self._retired(berth),) if one is not None]
                berth = berths[name] = Berth(description, opened)
            berth.users += 1
        for one in idle:
            one.close()
        return berth

    def _let_go(self, berth: Berth[Open]) -> None:
        with self._lock:
            berth.users -= 1
            is_last = berth.is_stale and berth.users == 0
        if is_last:
            berth.opened.close()

    @staticmethod
    def _retired(berth: Berth[Open] | None) -> Open | None:
        """Mark as stale; what nobody uses is to be closed by the caller, outside of the lock."""
        if berth is None:
            return None
        berth.is_stale = True
        return berth.opened if berth.users == 0 else None
