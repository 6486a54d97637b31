"""The directory of a fileset: may it be made, make it, remove it while it is empty, count what is in it.

Everything goes beneath the registered root and through the kernel. Each function raises nothing that has to do with files: it
answers what was found, so that it can be asked of another process where a mount may hang. A directory that is not empty is never
removed, and no file ever.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from penstock import failpoints
from penstock.errors import TransferError
from penstock.model import FileSystem
from penstock.transfer.names import split, to_bytes
from penstock.transfer.posix import look_or_none
from penstock.transfer.root import Root

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY})


class Found(StrEnum):
    """How it stands with the directory."""

    DONE = "done"
    EXISTS = "exists"
    NOT_EMPTY = "not empty"
    NO_PARENT = "no parent"
    PARENT_IS_FILE = "parent is no directory"
    OVER_A_LINK = "over a link"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


class Ground(NamedTuple):
    """What was found, and in words what the system said."""

    found: Found
    words: str = ""


class Usage(NamedTuple):
    """What is in a directory: the bytes of its files, hard links once, and how many entries there are beneath it."""

    space_bytes: int
    file_count: int


def may_make(file_system: FileSystem, path: str) -> Ground:
    """Whether the directory `path` can be made: DONE means yes."""
    return _in_root(file_system, path, _may_make)


def make(file_system: FileSystem, path: str) -> Ground:
    """Make it, durably; DONE also where it is there, for an earlier attempt may have been cut short behind the making."""
    return _in_root(file_system, path, _make)


def is_empty(file_system: FileSystem, path: str) -> Ground:
    """Whether it could be removed: DONE means yes, also where there is none any more."""
    return _in_root(file_system, path, _is_empty)


def remove(file_system: FileSystem, path: str) -> Ground:
    """Remove it if it is empty, durably; DONE also where there is none any more."""
    return _in_root(file_system, path, _remove)


def count(file_system: FileSystem, path: str) -> Usage | None:
    """What is in it; None where that cannot be told. Ends when the process that asks has ended."""
    asker = os.getppid()
    try:
        root = Root.open(file_system)
    except TransferError:
        return None
    seen: set[tuple[int, int]] = set()  # files with several names
    space = files = 0
    try:
        waiting = [to_bytes(path.strip("/"))]
        while waiting:
            if os.getppid() != asker:
                return None
            above = waiting.pop()
            for name, state in _entries(root, above):
                files += 1
                if stat.S_ISDIR(state.st_mode):
                    waiting.append(above + b"/" + name)
                elif stat.S_ISREG(state.st_mode) and (state.st_dev, state.st_ino) not in seen:
                    space += state.st_size
                    if state.st_nlink > 1:
                        seen.add((state.st_dev, state.st_ino))
    except OSError:
        return None
    finally:
        root.close()
    return Usage(space, files)


def _entries(root: Root, path: bytes) -> list[tuple[bytes, os.stat_result]]:
    """Names and states in a directory; what vanishes meanwhile is left out."""
    try:
        descriptor = root.open_beneath(path, _DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return []
    try:
        found: list[tuple[bytes, os.stat_result]] = []
        with os.scandir(descriptor) as entries:
            for entry in entries:
                try:
                    found.append((os.fsencode(entry.name), entry.stat(follow_symlinks=False)))
                except FileNotFoundError:
                    continue
        return found
    finally:
        os.close(descriptor)


def _in_root(file_system: FileSystem, path: str, what: Callable[[Root, int, bytes, str], Ground]) -> Ground:
    try:
        root = Root.open(file_system)
    except TransferError as error:
        return Ground(Found.UNAVAILABLE, str(error))
    try:
        above, name = split(path.strip("/"))
        try:
            parent = root.open_directory(above)
        except OSError as error:
            return _no_parent(error)
        try:
            return what(root, parent, name, path)
        finally:
            os.close(parent)
    except OSError as error:
        return Ground(Found.REFUSED, error.strerror or str(error))
    finally:
        root.close()


def _no_parent(error: OSError) -> Ground:
    words = error.strerror or str(error)
    if isinstance(error, NotADirectoryError):
        return Ground(Found.PARENT_IS_FILE, words)
    if isinstance(error, FileNotFoundError):
        return Ground(Found.NO_PARENT, words)
    if error.errno in {errno.EXDEV, errno.ELOOP}:
        return Ground(Found.OVER_A_LINK, words)
    return Ground(Found.REFUSED, words)


def _may_make(root: Root, parent: int, name: bytes, path: str) -> Ground:
    if look_or_none(parent, name) is not None:
        return Ground(Found.EXISTS)
    there = root.path_of(parent)
    if there and there != split(path.strip("/"))[0]:
        return Ground(Found.OVER_A_LINK)
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=parent):
        return Ground(Found.REFUSED, os.strerror(errno.EACCES))
    return Ground(Found.DONE)


def _make(root: Root, parent: int, name: bytes, path: str) -> Ground:  # noqa: ARG001  (as all of these)
    failpoints.passing("fileset.make")
    try:
        os.mkdir(name, 0o777, dir_fd=parent)
    except FileExistsError:
        there = look_or_none(parent, name)
        if there is None or not stat.S_ISDIR(there.mode):
            return Ground(Found.EXISTS)
    descriptor = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        root.sync_directory(descriptor)
    finally:
        os.close(descriptor)
    root.sync_directory(parent)
    failpoints.passing("fileset.made")
    return Ground(Found.DONE)


def _is_empty(root: Root, parent: int, name: bytes, path: str) -> Ground:  # noqa: ARG001
    try:
        descriptor = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except (FileNotFoundError, NotADirectoryError):
        return Ground(Found.DONE)
    try:
        with os.scandir(descriptor) as entries:
            return Ground(Found.DONE if next(entries, None) is None else Found.NOT_EMPTY)
    finally:
        os.close(descriptor)


def _remove(root: Root, parent: int, name: bytes, path: str) -> Ground:  # noqa: ARG001
    failpoints.passing("fileset.remove")
    try:
        os.rmdir(name, dir_fd=parent)
    except (FileNotFoundError, NotADirectoryError):
        return Ground(Found.DONE)  # somebody has removed it, or put something else there, which is theirs
    except OSError as error:
        if error.errno in _NOT_EMPTY:
            return Ground(Found.NOT_EMPTY)
        raise
    root.sync_directory(parent)
    failpoints.passing("fileset.removed")
    return Ground(Found.DONE)
