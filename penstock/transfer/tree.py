"""A directory tree beneath the root, looked at page by page in the byte order of its paths; each look is whole in itself.

That is the order in which a store lists the keys of the same files, so both can be walked side by side: `a.b` comes before `a/c`,
for a directory sorts as its name with `/` behind, and paths of directories are told so. A look may be made by another process,
and go on after a crash where the last one ended. Memory holds one page, however many names a directory has: of one with more
names than a page each look takes the next ones and passes over the rest. Follows no link, opens no file, changes nothing.
"""

from __future__ import annotations

import errno
import heapq
import os
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from penstock.errors import FailureCode, TransferError
from penstock.model import FileSystem
from penstock.transfer.listed import Kind, Listed, Look, Trouble
from penstock.transfer.names import to_bytes
from penstock.transfer.posix import FileState, look_or_none
from penstock.transfer.refusals import Side, from_os
from penstock.transfer.root import Root
from penstock.transfer.transfer import RESERVED_PREFIX

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_RESERVED = RESERVED_PREFIX.encode()


def look(file_system: FileSystem, base: str, after: str, limit: int) -> Look | Trouble:
    """At most `limit` entries of the directory `base` (relative to the root), behind `after`. Raises nothing."""
    try:
        root = Root.open(file_system)
    except TransferError as error:
        return Trouble(error.code, str(error), error.waiting_helps)
    try:
        with closing(_Walk(root, to_bytes(base.strip("/")), limit)) as walk:
            return walk.look(to_bytes(after))
    except OSError as error:
        refused = from_os(error, side=Side.SOURCE, path=base.strip("/"))
        return Trouble(refused.code, str(refused), refused.waiting_helps)
    finally:
        root.close()


class _Level(NamedTuple):
    """A directory whose names are gone through, the last one first. `start` is where an earlier look ended in it.

    Names of directories have a `/` behind, here and in `start`, as they sort.
    """

    path: bytes
    names: list[bytes]
    start: Sequence[bytes]
    rest: bytes  # the last name seen, where there are more behind it; else empty


class _Walk:
    """One look."""

    def __init__(self, root: Root, base: bytes, limit: int) -> None:
        self._root = root
        self._base = base
        self._limit = limit
        self._found: list[Listed] = []
        self._parent, self._descriptor = b"", -1

    def look(self, after: bytes) -> Look:
        """Raises OSError: the base cannot be seen (any more), or the file system is away."""
        began = self._identity()
        levels = [self._level(b"", _steps(after))]
        while levels:
            level = levels[-1]
            if not level.names:
                levels.pop()
                if level.rest:
                    return Look(self._found, _text(_joined(level.path, level.rest)))
                continue
            deeper = self._pass(level, level.names.pop())
            if deeper is not None:
                levels.append(deeper)
            if len(self._found) >= self._limit:
                return Look(self._found, self._found[-1].path)
        if self._identity() != began:  # each name in it was gone, as it seemed
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return Look(self._found, None)

    def _identity(self) -> tuple[int, int]:
        """Which directory the base is. Raises OSError."""
        descriptor = self._root.open_beneath(self._base or b".", _OPEN)
        try:
            state = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        return state.st_dev, state.st_ino

    def _pass(self, level: _Level, name: bytes) -> _Level | None:
        """Take one name; the directory that has it, if it is one with anything in it."""
        path = _joined(level.path, name)
        begun = level.start[1:] if level.start and level.start[0] == name else None
        if begun is not None and not begun:
            return None  # it was the last one of the look before
        try:
            state = self._state(path.rstrip(b"/"))
            if state is None or state.is_directory != name.endswith(b"/"):
                return None  # it has gone, or is another one by now, with another place in the order
            if not state.is_directory:
                self._found.append(listed_as(_text(path), state))
                return None
            deeper = self._level(path.rstrip(b"/"), begun or ())
        except OSError as error:
            self._cannot(path, error)
            return None
        if not deeper.names and begun is None:
            self._found.append(Listed(_text(path), Kind.EMPTY, 0, state.modify_ns))
        return deeper if deeper.names else None

    def _cannot(self, path: bytes, error: OSError) -> None:
        """One that is closed to us does not end the look. Raises OSError where waiting may help."""
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return  # it has gone, or is another one by now
        if from_os(error, side=Side.SOURCE, path="").waiting_helps:
            raise error
        self._found.append(Listed(_text(path), Kind.CLOSED))

    def _state(self, path: bytes) -> FileState | None:
        parent, _, name = _joined(self._base, path).rpartition(b"/")
        if self._parent != (parent or b"."):
            self.close()
            self._descriptor = self._root.open_directory(parent or b".")
            self._parent = parent or b"."
        return look_or_none(self._descriptor, name)

    def close(self) -> None:
        """Let go of the directory whose names were looked at last."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._parent = -1, b""

    def _level(self, path: bytes, start: Sequence[bytes]) -> _Level:
        """The first names of a directory from `start` on. Raises OSError."""
        whole = _joined(self._base, path) or b"."
        descriptor = self._root.open_beneath(whole, _OPEN | (os.O_NOFOLLOW if path else 0))
        first = start[0] if start else b""
        held = self._limit + 1  # the first one may be where the look before ended
        try:
            with os.scandir(descriptor) as entries:
                names_of_all = map(_name_of, entries)
                wanted = (name for name in names_of_all if name >= first and not name.startswith(_RESERVED))
                names = heapq.nsmallest(held + 1, wanted)
        finally:
            os.close(descriptor)
        rest = names[held - 1] if len(names) > held else b""
        return _Level(path, names[:held][::-1], start, rest)


def _name_of(entry: os.DirEntry[str]) -> bytes:
    """As it sorts."""
    name = os.fsencode(entry.name)
    try:
        return name + b"/" if entry.is_dir(follow_symlinks=False) else name
    except OSError:  # what it is was not told with its name, and cannot be asked: whoever looks at it will say so
        return name


def _steps(path: bytes) -> Sequence[bytes]:
    """The names that lead to it, as they sort."""
    *above, last = path.split(b"/")
    return [*(name + b"/" for name in above), *filter(None, [last])]


def _text(path: bytes) -> str:
    """As every path is written here, whatever the locale."""
    return path.decode("utf-8", "surrogateescape")


def _joined(above: bytes, name: bytes) -> bytes:
    return b"/".join(part for part in (above, name) if part)


def listed_as(path: str, state: FileState) -> Listed:
    """How a look lists what is no directory."""
    kind = _kind_of(state)
    return Listed(path, kind, state.size_bytes if kind is Kind.FILE else 0, state.modify_ns)


def _kind_of(state: FileState) -> Kind:
    if state.is_regular:
        return Kind.FILE
    return Kind.SYMLINK if state.is_symlink else Kind.SPECIAL


def require_directory(file_system: FileSystem, path: str) -> Trouble | None:
    """Why that path, relative to the root, is no directory; None where it is. Raises nothing."""
    try:
        root = Root.open(file_system)
    except TransferError as error:
        return Trouble(error.code, str(error), error.waiting_helps)
    try:
        os.close(root.open_directory(to_bytes(path.strip("/")) or b"."))
    except FileNotFoundError:
        return Trouble(FailureCode.BASE_NOT_FOUND, f"/{path.strip('/')} does not exist in the file system", False)
    except OSError as error:
        refused = from_os(error, side=Side.TARGET, path=path.strip("/"))
        return Trouble(refused.code, str(refused), refused.waiting_helps)
    finally:
        root.close()
    return None
