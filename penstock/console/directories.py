"""The directories below one directory of a file system, for whoever chooses one. Blocking; asked aside where it may hang.

Goes beneath the registered root through `penstock.transfer.root` only; opens directories, never a file; bounded in what it
reads and in what it answers.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from penstock.errors import FailureCode, TransferError
from penstock.model import FileSystem
from penstock.transfer.aside import ASIDE
from penstock.transfer.names import to_bytes
from penstock.transfer.root import Root, may_hang
from penstock.transfer.transfer import RESERVED_PREFIX

ENTRIES_READ_MAX = 20_000
NAMES_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What was found. `is_cut` says that there is more; `trouble` why nothing was, `mend` the command that helps."""

    names: tuple[str, ...] = ()
    is_cut: bool = False
    trouble: str = ""
    mend: str = ""


def subdirectories(file_system: FileSystem, path: str, *, limit_s: float) -> Listed:
    """The directories in `path` (starts and ends with `/`), by name; links are not followed. Raises TimeoutError."""
    if may_hang(file_system):
        return ASIDE.ask(_look, file_system, path, limit_s=limit_s)
    return _look(file_system, path)


def _look(file_system: FileSystem, path: str) -> Listed:
    try:
        root = Root.open(file_system)
    except TransferError as error:
        return Listed(trouble=f"{error}")
    try:
        root.require_base(path.strip("/"))
        descriptor = root.open_directory(to_bytes(path.strip("/")) or b".")
    except TransferError as error:
        return _missing(file_system, path, error)
    except OSError as error:
        leaves = error.errno == errno.EXDEV
        return Listed(
            trouble="The path leads out of the file system, by .. or by a link."
            if leaves
            else f"It cannot be opened: {error.strerror}."
        )
    finally:
        root.close()
    try:
        return _names(descriptor)
    except OSError as error:
        return Listed(trouble=f"It cannot be read: {error.strerror}.")
    finally:
        os.close(descriptor)


def _missing(file_system: FileSystem, path: str, error: TransferError) -> Listed:
    if error.code is not FailureCode.BASE_NOT_FOUND:
        return Listed(trouble=f"{error}")
    full = f"{file_system.root.rstrip('/')}/{path.strip('/')}"
    quoted = "'" + full.replace("'", "'\\''") + "'"
    return Listed(trouble="There is no such directory.", mend=f"mkdir -p {quoted}")


def _names(descriptor: int) -> Listed:
    names: list[str] = []
    read = 0
    with os.scandir(descriptor) as entries:
        for entry in entries:
            read += 1
            if read > ENTRIES_READ_MAX:
                break
            if entry.is_dir(follow_symlinks=False) and _can_be_named(entry.name):
                names.append(entry.name)
    names.sort()
    return Listed(names=tuple(names[:NAMES_MAX]), is_cut=len(names) > NAMES_MAX or read > ENTRIES_READ_MAX)


def _can_be_named(name: str) -> bool:
    """Whether the API could be told this name: it takes UTF-8 without control characters."""
    return (
        not name.startswith(RESERVED_PREFIX)
        and name.isprintable()
        and not any("\ud800" <= each <= "\udfff" for each in name)
    )
