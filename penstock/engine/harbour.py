"""What a mover has open: the roots of file systems and the stores of buckets, opened once, shared by its threads.

A snapshot of the registry, or other credentials, replace what differs; what is still in use is closed by its last user.
Calls `transfer.root` and `stores`; moves nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Generic, Protocol, TypeVar, cast

from penstock.engine.messages import Places
from penstock.errors import FailureCode, TransferError
from penstock.model import Bucket, FileSystem
from penstock.stores.base import OSS_LIMITS, Abilities, Store
from penstock.stores.keychain import Keychain, Keys
from penstock.transfer.root import NEAR_TYPES, Root
from penstock.transfer.transfer import Intent


class Closable(Protocol):
    """Something open."""

    def close(self) -> None: ...


CREDENTIALS_LOOK_EVERY_S = 0.1
"""How long credentials count without another look at the file that they are kept in."""

Open = TypeVar("Open", bound=Closable)
OpenStore = Callable[[Bucket, Keys], Store]
OpenRoot = Callable[[FileSystem], Root]


class Berth(Generic[Open]):
    """One thing that is open, how it was described when it was opened, and how many use it. Guarded by the harbour's lock."""

    __slots__ = ("description", "is_stale", "opened", "users")

    def __init__(self, description: object, opened: Open) -> None:
        self.description = description
        self.opened = opened
        self.users = 0
        self.is_stale = False


class _Use(Generic[Open]):
    """A context in which something open is used. A class of its own: it is entered twice for every file that moves."""

    __slots__ = ("_berth", "_harbour", "_trouble")

    def __init__(
        self, harbour: Harbour, berth: Berth[Open], trouble: Callable[[BaseException], None] | None = None
    ) -> None:
        self._harbour = harbour
        self._berth = berth
        self._trouble = trouble

    def __enter__(self) -> Open:
        return self._berth.opened

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._trouble is not None:
            self._trouble(error)
        self._harbour.let_go(self._berth)


class GoneStore:
    """A bucket that is not registered (now): every verb says so. That says nothing of what is left in the bucket itself."""

    limits = OSS_LIMITS
    abilities = Abilities()

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    def heeding(self, *_: Callable[[], bool]) -> GoneStore:
        """The same: nothing is waited for."""
        return self

    def __getattr__(self, verb: str) -> Callable[..., object]:
        def refuse(*_: object, **__: object) -> object:
            raise TransferError(
                FailureCode.BUCKET_NOT_REGISTERED,
                f"bucket {self.bucket} is not registered (any more): what became of the file there, and whether something is"
                " left to be removed, will be known once `penstock bucket add` has registered it again",
                waiting_helps=True,
            )

        return refuse


class Harbour:
    """Roots by file system id, stores by bucket name."""

    def __init__(
        self,
        *,
        places: Places,
        secrets_path: Path,
        store_opener: OpenStore,
        environment: Mapping[str, str] = MappingProxyType({}),
        root_opener: OpenRoot = Root.open,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()
        self._clock_s = clock_s
        self._credentials: dict[str, tuple[float, Keys]] = {}  # with the moment of the next look
        self._keychain = Keychain(secrets_path, environment)
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
            self._credentials = {}

    def root(self, file_system_id: str) -> AbstractContextManager[Root]:
        """The file system's root, to be entered at once. Raises TransferError: it is not registered here, cannot be opened."""
        file_system = self._file_systems.get(file_system_id)
        if file_system is None:
            words = f"file system {file_system_id} is not registered (any more)"
            raise TransferError(FailureCode.FILE_SYSTEM_UNAVAILABLE, words, waiting_helps=True)
        berth = self._taken(self._roots, file_system_id, file_system, self._open_root, file_system)

        def doubt(error: BaseException) -> None:
            if isinstance(error, TransferError) and error.code is FailureCode.FILE_SYSTEM_UNAVAILABLE:
                self.doubt_root(file_system_id)

        return _Use(self, berth, doubt)

    def is_far(self, file_system_id: str) -> bool:
        """Whether its calls may wait for another machine or process for ever, as far as is known: nothing is asked for that."""
        berth = self._roots.get(file_system_id)
        if berth is not None:
            mount = berth.opened.mount
            return mount is None or mount.kind not in NEAR_TYPES
        file_system = self._file_systems.get(file_system_id)
        return file_system is not None and file_system.mount_type not in NEAR_TYPES

    def store(self, bucket_name: str, intent: Intent) -> AbstractContextManager[Store]:
        """The bucket's store, to be entered at once; without the bucket a stand-in, enough where no store need be asked.

        Raises TransferError, StoreError (no credentials), SettingsError (unusable description).
        """
        bucket = self._buckets.get(bucket_name)
        if bucket is None and intent is not Intent.MOVE:
            return nullcontext(cast("Store", GoneStore(bucket_name)))
        if bucket is None:
            words = f"bucket {bucket_name} is not registered (any more)"
            raise TransferError(FailureCode.BUCKET_NOT_REGISTERED, words, waiting_helps=True)
        credentials = self._credentials_of(bucket)
        return _Use(
            self,
            self._taken(self._stores, bucket_name, (bucket, credentials), self._open_store, bucket, credentials),
        )

    def _credentials_of(self, bucket: Bucket) -> Keys:
        """Those that are kept now, or were right before. Raises PermissionDeniedError; what fails is looked at each time."""
        now_s = self._clock_s()
        known = self._credentials.get(bucket.name)
        if known is not None and now_s < known[0]:
            return known[1]
        credentials = self._keychain.of(bucket)
        self._credentials[bucket.name] = (now_s + CREDENTIALS_LOOK_EVERY_S, credentials)
        return credentials

    def doubt_root(self, file_system_id: str) -> None:
        """The root was found unusable (unmounted, another device): open it anew next time."""
        with self._lock:
            berth = self._roots.pop(file_system_id, None)
            idle = self._retired(berth)
        if idle is not None:
            idle.close()

    def _taken(
        self,
        berths: dict[str, Berth[Open]],
        name: str,
        description: object,
        opener: Callable[..., Open],
        *given: object,
    ) -> Berth[Open]:
        with self._lock:
            berth = berths.get(name)
            if berth is not None and (berth.description is description or berth.description == description):
                berth.users += 1
                return berth
        opened = opener(*given)  # outside of the lock: a hung mount must not stop the other threads
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

    def let_go(self, berth: Berth[Open]) -> None:
        """For the contexts that `root` and `store` give only."""
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
