"""Questions that only a file system can answer: is there this directory? Blocking; called from an errand's thread, and
asked aside where the answer may never come.

Goes beneath the registered root through `penstock.transfer.root` only; never opens a file, never writes.
"""

from __future__ import annotations

import errno

from penstock.api.errors import ApiError
from penstock.errors import FailureCode, TransferError
from penstock.model import FileSystem
from penstock.transfer.aside import ASIDE
from penstock.transfer.root import Root, may_hang

NOT_FOUND = "InvalidFileSystemPath.NotFound"
NOT_MOUNTED = "OperationDenied.DependMountpoint"
UNAVAILABLE = "ServiceUnavailable"


def require_directory(file_system: FileSystem, path: str, *, limit_s: float) -> None:
    """Raises ApiError unless `path` (starts and ends with `/`) is a directory beneath the file system's root; TimeoutError."""
    is_asked_aside = may_hang(file_system)
    trouble = ASIDE.ask(_trouble, file_system, path, limit_s=limit_s) if is_asked_aside else _trouble(file_system, path)
    if trouble is not None:
        raise ApiError(*trouble)


def _trouble(file_system: FileSystem, path: str) -> tuple[str, str] | None:
    """Why it is none: code and words."""
    try:
        root = Root.open(file_system)
    except TransferError as error:
        # A root that is away may come back by itself; one that is not there, or not the right one, wants to be mounted.
        is_away = isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError)
        return UNAVAILABLE if is_away else NOT_MOUNTED, f"{error}"
    try:
        root.require_base(path.strip("/"))
    except TransferError as error:
        if error.code is FailureCode.BASE_NOT_FOUND:
            return NOT_FOUND, f"FileSystemPath: {error}"
        return UNAVAILABLE, f"{error}"
    except OSError as error:
        leaves = error.errno == errno.EXDEV
        reason = "a symbolic link leads out of the file system" if leaves else error.strerror or "it cannot be opened"
        return NOT_FOUND, f"FileSystemPath is no directory of this file system: {reason}."
    finally:
        root.close()
    return None
