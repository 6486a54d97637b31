"""Makes and removes file systems for the API: directories in the one that penstock.toml names, registered as `add` does it.

Never removes a file but the mark of a directory that holds nothing else, and never a directory that it could not have made.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from penstock import failpoints
from penstock.api.errands import Errands
from penstock.api.errors import ApiError
from penstock.api.founder import WITHOUT_ROOT, Order
from penstock.app.recognising import recognised
from penstock.app.registering import NewFileSystem, register_file_system
from penstock.app.registry import LiveRegistry
from penstock.errors import SettingsError
from penstock.model import FileSystem
from penstock.settings.editing import describe_file_system, drop_file_system
from penstock.settings.files import sync_directory
from penstock.settings.home import Home
from penstock.settings.naming import new_file_system_id
from penstock.settings.reading import load_registry
from penstock.transfer.mark import MARK_FILE

_LIMIT_S = 20.0
_TRIES = 3  # the watch over the roots may put a mark back that was just removed

Done = TypeVar("Done")


class HomeFounder:
    """For one HOME and its live registry; `root` is the setting file_system_root."""

    def __init__(
        self,
        home: Home,
        *,
        root: str,
        registry: LiveRegistry,
        now_ns: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._home = home
        self._root = root
        self._registry = registry
        self._now_ns = now_ns
        self._entropy = entropy
        self._errands = Errands("founder", threads_each=1)

    def new_id(self, prefix: str) -> str:
        """As the vendor shapes them."""
        return new_file_system_id(self._entropy, prefix=prefix)

    async def may_found(self) -> None:
        """Raises ApiError where no directory can be made."""
        if not self._root:
            raise ApiError("OperationDenied.InvalidState", WITHOUT_ROOT)
        await self._do(self._require_root)

    async def found(self, order: Order) -> None:
        """Make its directory and register it. Raises ApiError."""
        await self.may_found()
        await self._do(lambda: self._found(order))
        await self._be_seen(order.file_system_id)

    async def remove(self, file_system_id: str) -> None:
        """Remove its empty directory, and its registration. Raises ApiError."""
        file_system = await self._do(lambda: self._known(file_system_id))
        await self._do(lambda: self._remove(file_system))
        await self._registry.step()

    async def describe(self, file_system_id: str, description: str) -> None:
        """Give it another description. Raises ApiError."""
        await self._do(lambda: describe_file_system(self._home, file_system_id, description))
        await self._registry.step()

    async def _do(self, what: Callable[[], Done]) -> Done:
        """In a thread: files may hang."""
        try:
            return await self._errands.ask("home", what, limit_s=_LIMIT_S)
        except TimeoutError as error:
            raise ApiError("ServiceUnavailable", "The file system did not answer in time.") from error
        except (SettingsError, OSError) as error:
            words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise ApiError("OperationDenied.InvalidState", f"That cannot be done now: {words}.") from error

    async def _be_seen(self, file_system_id: str) -> None:
        """Every part of the service asks the live registry."""
        await self._registry.step()
        if file_system_id not in self._registry.current().file_systems:
            raise ApiError("ServiceUnavailable", "The registry could not be taken over; the service's log says why.")

    def _require_root(self) -> None:
        if not os.path.isdir(self._root):
            raise SettingsError(
                f"file_system_root = {self._root!r} is no directory; make it, or mount what belongs there"
            )
        if not os.access(self._root, os.W_OK | os.X_OK):
            raise SettingsError(f"the service may not make directories in file_system_root = {self._root!r}")

    def _found(self, order: Order) -> None:
        if order.file_system_id in load_registry(self._home).file_systems:
            return
        path = Path(self._root) / order.file_system_id
        failpoints.passing("filesystem.make")
        with contextlib.suppress(FileExistsError):  # made by a call that was cut short: ids are nobody else's
            os.mkdir(path, 0o755)
        sync_directory(path.parent)
        failpoints.passing("filesystem.made")
        new = NewFileSystem(
            path=path,
            file_system_id=order.file_system_id,
            version=order.version,
            description=order.description,
        )
        try:
            register_file_system(self._home, new, now_ns=self._now_ns(), entropy=self._entropy)
        except SettingsError:
            _emptied(os.fspath(path))
            raise
        failpoints.passing("filesystem.registered")

    def _known(self, file_system_id: str) -> FileSystem:
        """One that was made here. Raises ApiError."""
        known = load_registry(self._home).file_systems.get(file_system_id)
        if known is None:
            raise ApiError("InvalidFileSystem.NotFound", "There is no such file system.")
        ours = bool(self._root) and known.root == os.path.join(os.path.realpath(self._root), file_system_id)
        if not ours:
            raise ApiError(
                "InvalidOperation.DeletionProtection",
                "This file system was registered by `penstock filesystem add`, not made by CreateFileSystem: take its table"
                " out of penstock.toml. Its directory stays.",
            )
        return known

    def _remove(self, file_system: FileSystem) -> None:
        failpoints.passing("filesystem.remove")
        for _ in range(_TRIES):
            if _emptied(file_system.root):
                break
            if set(os.listdir(file_system.root)) - {MARK_FILE}:
                recognised(file_system, entropy=self._entropy)  # with its mark again
                raise ApiError(
                    "OperationDenied.DependencyViolation",
                    "The file system's directory is not empty. Files are never removed with it: empty it first.",
                )
        sync_directory(Path(file_system.root).parent)
        failpoints.passing("filesystem.removed")
        drop_file_system(self._home, file_system.file_system_id)


def _emptied(path: str) -> bool:
    """Whether the directory is gone; it goes only when it holds nothing but its mark."""
    try:
        if set(os.listdir(path)) - {MARK_FILE}:
            return False
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(path, MARK_FILE))
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
