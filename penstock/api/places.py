"""Questions that only a file system can answer: is there this directory? Blocking; called from an errand's thread.

Goes beneath the registered root through `penstock.transfer.root` only; never opens a file, never writes.
"""

from __future__ import annotations

import errno

from penstock.api.errors import ApiError
from penstock.errors import FailureCode, TransferError
from penstock.model import FileSystem
from penstock.transfer.root import Root


def require_directory(file_system: FileSystem, path: str) -> None:
    """Raises ApiError unless `path` (starts and ends with `/`) is a directory beneath the file system's root."""
    try:
        root = Root.open(file_system)
    except TransferError as error:
        raise ApiError("ServiceUnavailable", f"{error}") from error
    try:
        root.require_base(path.strip("/"))
    except TransferError as error:
        if error.code is FailureCode.BASE_NOT_FOUND:
            raise ApiError("InvalidFileSystemPath.NotFound", f"FileSystemPath: {error}") from error
        raise ApiError("ServiceUnavailable", f"{error}") from error
    except OSError as error:
        leaves = error.errno == errno.EXDEV
        reason = "a symbolic link leads out of the file system" if leaves else error.strerror or "it cannot be opened"
        raise ApiError(
            "InvalidFileSystemPath.NotFound", f"FileSystemPath is no directory of this file system: {reason}."
        ) from error
    finally:
        root.close()
