"""The page cache of one open file: begin to write back, wait for it, let go, read ahead, ask what is there.

Calls libc and the kernel only. Where something is not offered nothing happens: the cache is only ever managed, never relied on.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os

_SYNC_FILE_RANGE_WRITE = 2
_SYNC_FILE_RANGE_WRITE_AND_WAIT = 7

_NOT_OFFERED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ESPIPE, errno.EOPNOTSUPP})
"""What sync_file_range says where there is no such thing. Disks and servers have many other words
for a write that failed (EIO, ENOSPC, EDQUOT, ENOLINK, ETIMEDOUT, ENODATA, ESTALE, EFBIG, ...)."""

_CACHESTAT = 451  # on every machine that Linux 6.5 runs on, but Alpha
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_Range = ctypes.c_uint64 * 2  # offset and length, in bytes
_Counts = ctypes.c_uint64 * 5  # of pages: cached, dirty, being written back, and two more

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc["syscall"]
_syscall.restype = ctypes.c_long
_syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint)
_sync_file_range = getattr(_libc, "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def start_writeback(descriptor: int, offset: int, length_bytes: int) -> None:
    """Ask the kernel to begin writing that range to disk. A hint: where it is not offered nothing happens. Raises OSError."""
    _sync_range(descriptor, offset, length_bytes, _SYNC_FILE_RANGE_WRITE)


def await_writeback(descriptor: int, offset: int, length_bytes: int) -> None:
    """Write that range to disk and wait until it is there (its metadata, and the disk's own cache, are fsync's affair).

    Raises OSError for whatever the disk or a server has said of a write.
    """
    _sync_range(descriptor, offset, length_bytes, _SYNC_FILE_RANGE_WRITE_AND_WAIT)


def _sync_range(descriptor: int, offset: int, length_bytes: int, flags: int) -> None:
    if _sync_file_range is None or _sync_file_range(descriptor, offset, length_bytes, flags) == 0:
        return
    number = ctypes.get_errno()
    if number not in _NOT_OFFERED:  # an error of writing is told once: the fsync to come would know of none
        raise OSError(number, os.strerror(number))


def cached_share(descriptor: int, offset: int, length_bytes: int) -> float:
    """How much of that range is in the page cache: 0.0 nothing, 1.0 all of it.

    Where the kernel does not count (before Linux 6.5; files of others that one may not write), three bytes stand for all of it,
    two against one. A single one may be missing, or there by chance: kernels begin to read what they are asked about, and now
    and then it has come before they answer.
    """
    counts = _Counts()
    if _syscall(_CACHESTAT, descriptor, _Range(offset, length_bytes), counts, 0) == 0:
        pages = -(-(offset + length_bytes) // _PAGE_BYTES) - offset // _PAGE_BYTES
        return float(min(1.0, counts[0] / pages))
    asked = {(offset + length_bytes * quarter // 4) // _PAGE_BYTES for quarter in (1, 2, 3)}
    there = sum(is_cached(descriptor, page * _PAGE_BYTES) for page in asked)
    return 1.0 if there * 2 > len(asked) else 0.0


def is_cached(descriptor: int, offset: int) -> bool:
    """Whether reading the byte at `offset` would need no disk; where it would, it may be read from now on.

    False where the file system does not tell.
    """
    try:
        return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) == 1
    except OSError:
        return False


def drop_behind(descriptor: int, offset: int, length_bytes: int) -> None:
    """Let go of cached pages of that range (0 length: to the end). A hint: where it is not offered nothing happens."""
    with contextlib.suppress(OSError):
        os.posix_fadvise(descriptor, offset, length_bytes, os.POSIX_FADV_DONTNEED)


def read_by_hand(descriptor: int) -> None:
    """From now on the kernel reads nothing ahead for this open file but what `read_ahead` asks for."""
    with contextlib.suppress(OSError):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)


def read_ahead(descriptor: int, offset: int, length_bytes: int) -> None:
    """Ask the kernel to read that range soon. A hint: where it is not offered nothing happens."""
    with contextlib.suppress(OSError):
        os.posix_fadvise(descriptor, offset, length_bytes, os.POSIX_FADV_WILLNEED)
