"""What the kernel and the stores refuse, turned into the closed set of failure codes: the one place where that is decided.

Pure: takes an exception, returns a `TransferError` whose message a person can act on.
"""

from __future__ import annotations

import errno
import os
from enum import StrEnum

from penstock.errors import (
    BucketNotFoundError,
    FailureCode,
    IntegrityError,
    NotSupportedError,
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    RangeNotSatisfiableError,
    SizeUntoldError,
    StoreError,
    StoreFullError,
    ThrottledError,
    TransferError,
    UploadNotFoundError,
)

SLOW_RETRY_S = 60.0
"""Rights can be mended, but not within seconds."""


class Side(StrEnum):
    """Which end of the transfer a local path is."""

    SOURCE = "source"
    TARGET = "target"


_Row = tuple[FailureCode, str, bool]

_ALIKE: dict[int, _Row] = {
    errno.ENOSPC: (FailureCode.NO_SPACE, "the file system is full: free some space", True),
    errno.EDQUOT: (FailureCode.NO_SPACE, "the quota is used up: raise it or free some space", True),
    errno.EROFS: (FailureCode.READ_ONLY, "the file system is mounted read-only: remount it for writing", True),
    errno.EMFILE: (FailureCode.IO_ERROR, "the mover has too many files open: raise its limit (ulimit -n)", True),
    errno.ENFILE: (FailureCode.IO_ERROR, "this machine has too many files open: raise fs.file-max", True),
    errno.ENOMEM: (FailureCode.IO_ERROR, "the kernel has no memory for it now", True),
    errno.EACCES: (FailureCode.PERMISSION_DENIED, "the service's user lacks the right: see owner and mode", False),
    errno.EPERM: (FailureCode.PERMISSION_DENIED, "the file system does not permit it: see attributes and mount", False),
    errno.ENAMETOOLONG: (FailureCode.NAME_TOO_LONG, "the file system cannot hold a name that long", False),
    errno.ELOOP: (FailureCode.OUTSIDE_FILE_SYSTEM, "too many symbolic links on the way, or one that is refused", False),
    errno.EXDEV: (FailureCode.OUTSIDE_FILE_SYSTEM, "a symbolic link on the way leads out of the file system", False),
    errno.EFBIG: (FailureCode.FILE_TOO_LARGE, "the file system cannot hold a file that large", False),
    errno.ESTALE: (FailureCode.FILE_SYSTEM_UNAVAILABLE, "the network file system lost it (stale handle)", True),
    errno.ENOTCONN: (FailureCode.FILE_SYSTEM_UNAVAILABLE, "the file system is not connected", True),
    errno.ESHUTDOWN: (FailureCode.FILE_SYSTEM_UNAVAILABLE, "the file system has shut down", True),
    errno.ENODEV: (FailureCode.FILE_SYSTEM_UNAVAILABLE, "the file system's device is gone", True),
    errno.ETIMEDOUT: (FailureCode.FILE_SYSTEM_UNAVAILABLE, "the file system does not answer", True),
    errno.EHOSTDOWN: (FailureCode.FILE_SYSTEM_UNAVAILABLE, "the file system's server is down", True),
    errno.EIO: (FailureCode.IO_ERROR, "the file system reported an input/output error: see the kernel's log", True),
}
_AT_SOURCE: dict[int, _Row] = {
    errno.ENOENT: (FailureCode.SOURCE_NOT_FOUND, "there is no such file", False),
    errno.ENOTDIR: (FailureCode.SOURCE_NOT_FOUND, "a component on the way is not a directory", False),
    errno.EISDIR: (FailureCode.SOURCE_IS_DIRECTORY, "it is a directory", False),
    errno.ENXIO: (FailureCode.SOURCE_NOT_REGULAR, "it is not a regular file", False),
}
_AT_TARGET: dict[int, _Row] = {
    errno.ENOENT: (FailureCode.FILE_SYSTEM_UNAVAILABLE, "a directory on the way vanished meanwhile", True),
    errno.ENOTDIR: (FailureCode.TARGET_NOT_DIRECTORY, "a component on the way is not a directory", False),
    errno.EISDIR: (FailureCode.TARGET_IS_DIRECTORY, "the target is a directory", False),
}


def from_os(error: OSError, *, side: Side, path: str) -> TransferError:
    """A sentence for what the kernel answered about `path`."""
    number = error.errno or 0
    rows = _AT_SOURCE if side is Side.SOURCE else _AT_TARGET
    row = rows.get(number) or _ALIKE.get(number)
    if row is None:
        words = f"{os.strerror(number)} (errno {number})" if number else str(error)
        return TransferError(FailureCode.IO_ERROR, f"/{path}: {words}", waiting_helps=True)
    code, words, waiting_helps = row
    return TransferError(code, f"/{path}: {words}", waiting_helps=waiting_helps)


_BY_KIND: tuple[tuple[type[StoreError], FailureCode], ...] = (
    (ObjectNotFoundError, FailureCode.SOURCE_NOT_FOUND),
    (BucketNotFoundError, FailureCode.BUCKET_NOT_FOUND),
    (PermissionDeniedError, FailureCode.BUCKET_ACCESS_DENIED),
    (PreconditionFailedError, FailureCode.SOURCE_CHANGED),
    (RangeNotSatisfiableError, FailureCode.SOURCE_CHANGED),
    (NotSupportedError, FailureCode.NOT_SUPPORTED),
    (IntegrityError, FailureCode.CHECKSUM_MISMATCH),
    (ThrottledError, FailureCode.STORE_THROTTLED),
    (StoreFullError, FailureCode.NO_SPACE),
    (UploadNotFoundError, FailureCode.STORE_UNAVAILABLE),
    (SizeUntoldError, FailureCode.STORE_REFUSED),
)
_RETRIED_ANYWAY = frozenset({FailureCode.SOURCE_CHANGED, FailureCode.BUCKET_ACCESS_DENIED})
_MAY_PASS = (UploadNotFoundError, SizeUntoldError)
"""A single answer may have lost a header on its way; whether all do shows in the number of attempts."""
ARCHIVED = frozenset({"InvalidObjectState", "ObjectNotRestored"})


def from_store(error: StoreError) -> TransferError:
    """A sentence for what the store answered; `waiting_helps` and `retry_after_s` are carried over."""
    words = str(error)
    if error.request_id and error.request_id not in words:
        words = f"{words} (request id {error.request_id})"
    if error.code in ARCHIVED:
        return TransferError(FailureCode.SOURCE_ARCHIVED, words)
    code = next((code for kind, code in _BY_KIND if isinstance(error, kind)), None)
    if code is None:
        code = FailureCode.STORE_UNAVAILABLE if error.waiting_helps else FailureCode.STORE_REFUSED
    retry_after_s = error.retry_after_s
    if code is FailureCode.BUCKET_ACCESS_DENIED:
        retry_after_s = max(retry_after_s or 0.0, SLOW_RETRY_S)
    waiting_helps = error.waiting_helps or code in _RETRIED_ANYWAY or isinstance(error, _MAY_PASS)
    return TransferError(code, words, waiting_helps=waiting_helps, retry_after_s=retry_after_s)
