"""The partial file: a sub-task's unfinished bytes beside the target, held by exactly one mover.

Made anew with O_EXCL or taken over as it is, never truncated; locked while it is held; 0600 until it is sealed for publishing.
Calls the kernel only, relative to a held directory.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable

from penstock import failpoints
from penstock.errors import FailureCode, TransferError
from penstock.transfer import pagecache, posix, strangers
from penstock.transfer.ownership import AS_SERVICE, Ownership
from penstock.transfer.posix import FileState

_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_RACES_MAX = 8
DIRECT_ALIGN_BYTES = 4096
"""Offsets and lengths of what goes past the page cache: a page, so that none of the cache's lies on both sides."""


class PartialFile:
    """One partial file, open and locked. `close` keeps it for the next attempt, `discard` removes it."""

    def __init__(self, directory: int, name: bytes, descriptor: int) -> None:
        self._directory = directory
        self._name = name
        self._descriptor = descriptor
        self._lock_descriptor = -1
        self._direct_descriptor = -1

    @classmethod
    def create(cls, directory: int, name: bytes) -> PartialFile:
        """A new, empty one; an older one is unlinked, not truncated. Raises OSError, TransferError if another holds it."""
        failpoints.passing("partial.create")
        for _ in range(_RACES_MAX):
            try:
                descriptor = os.open(name, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
            except FileExistsError:
                older = cls.reopen(directory, name)
                if older is not None:
                    older.discard()
                continue
            failpoints.passing("partial.created")
            # Whoever came between may have removed it, and what has its name now is theirs; from here on that needs our lock.
            if posix.try_lock(descriptor) and os.fstat(descriptor).st_nlink:
                return cls(directory, name, descriptor)
            os.close(descriptor)
            break
        raise _held()

    @classmethod
    def reopen(cls, directory: int, name: bytes) -> PartialFile | None:
        """The one that an earlier attempt left; None if there is none. Raises OSError, TransferError if another holds it.

        Whoever means to write into it asks `is_shared` first. What is neither a file nor a link is not opened: FileExistsError.
        """
        for _ in range(_RACES_MAX):
            there = posix.look_or_none(directory, name)
            if there is not None and strangers.is_stranger(there):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(name))
            try:
                descriptor = _opened(directory, name)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
                _remove(directory, name)  # a link under our own reserved name: not ours, never followed
                continue
            found = cls(directory, name, descriptor)
            if not posix.try_lock(descriptor):
                found.close()
                raise _held()
            if found.is_named():
                return found
            found.close()  # it was removed or published between open and lock
        raise _held()

    @property
    def descriptor(self) -> int:
        """For pread and pwrite; -1 once sealed."""
        return self._descriptor

    @property
    def direct_descriptor(self) -> int:
        """For pwrite past the page cache, of what `DIRECT_ALIGN_BYTES` divides; -1 where that is not offered, and once sealed."""
        return self._direct_descriptor

    def open_direct(self) -> None:
        """Open it once more, for writing past the page cache, where the file system tells that it can. A hint, raises nothing."""
        alignment = posix.direct_alignment(self._descriptor)
        if not alignment or DIRECT_ALIGN_BYTES % alignment:
            return
        flags = os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC
        with contextlib.suppress(OSError):  # the very file, whatever its name leads to by now
            self._direct_descriptor = os.open(f"/proc/self/fd/{self._descriptor}", flags)

    @property
    def name(self) -> bytes:
        """Its name in the directory."""
        return self._name

    @property
    def _held(self) -> int:
        return self._descriptor if self._descriptor >= 0 else self._lock_descriptor

    def is_named(self) -> bool:
        """Whether its name still leads to the very file that is held."""
        there = posix.look_or_none(self._directory, self._name)
        return there is not None and there.inode == os.fstat(self._held).st_ino

    def is_shared(self) -> bool:
        """Whether it has another name too, or is no plain file: not to be written into, whoever linked it.

        It is somebody's file that was given our name, or ours that was published by a link, or that a backup has linked.
        """
        state = self.state()
        return not state.is_regular or state.links > 1

    def state(self) -> FileState:
        """What it looks like now."""
        return posix.look_open(self._held)

    def seal(self, modify_ns: int, ownership: Ownership = AS_SERVICE) -> FileState:
        """`dress`, `settle` and `confirm` in one. Raises OSError."""
        self.dress(modify_ns, ownership)
        sealed = self.settle()
        self.confirm()
        return sealed

    def dress(self, modify_ns: int, ownership: Ownership = AS_SERVICE, *, access_ns: int | None = None) -> None:
        """Set time, mode and owner. The mode is always set, the owner where this process may. Raises OSError.

        Without `access_ns` the time of the last access stays, which has to be asked for first.
        """
        descriptor = self._descriptor
        os.fchmod(descriptor, 0o666 & ~posix.umask() if ownership.mode is None else ownership.mode)
        os.utime(descriptor, ns=(os.fstat(descriptor).st_atime_ns if access_ns is None else access_ns, modify_ns))
        if ownership.owner is not None and ownership.group is not None:
            posix.give(descriptor, ownership.owner, ownership.group)  # last: what is another's cannot be changed

    def settle(self, look: Callable[[int], FileState] = posix.look_open) -> FileState:
        """fsync: on stable storage on return, as is returned; `look` is how it is looked at.

        Raises OSError: then nothing may be believed of this inode any more, discard it.
        """
        self._close_direct()
        failpoints.passing("partial.sync")
        os.fsync(self._descriptor)
        failpoints.passing("partial.synced")
        return look(self._descriptor)

    def confirm(self) -> None:
        """Close it, for that is where network file systems tell their last errors. The lock stays held.

        Raises OSError: as with `settle`.
        """
        descriptor = self._descriptor
        self._lock_descriptor = os.dup(descriptor)
        self._descriptor = -1
        os.close(descriptor)

    def drop_cache(self) -> None:
        """Let go of the cached pages of a sealed file: they are on disk, and others need the memory."""
        pagecache.drop_behind(self._lock_descriptor, 0, 0)

    def discard(self) -> bool:
        """Remove it and let go; False if its name was gone, or another file's. Raises OSError if it cannot be removed."""
        try:
            return self.is_named() and _remove(self._directory, self._name)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of it and of its lock."""
        self._close_direct()
        for descriptor in (self._descriptor, self._lock_descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._lock_descriptor = -1

    def _close_direct(self) -> None:
        descriptor, self._direct_descriptor = self._direct_descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _opened(directory: int, name: bytes) -> int:
    """Open it as it is. A sealed one may have been given permissions that shut us out. Raises OSError."""
    try:
        return os.open(name, _FLAGS, dir_fd=directory)
    except PermissionError:
        return posix.open_own(directory, name, _FLAGS)


def _remove(directory: int, name: bytes) -> bool:
    """False if it was gone. Raises OSError."""
    failpoints.passing("partial.remove")
    is_removed = posix.unlink_if_there(directory, name)
    failpoints.passing("partial.removed")
    return is_removed


def _held() -> TransferError:
    return TransferError(
        FailureCode.FILE_SYSTEM_UNAVAILABLE,
        "another mover still holds this sub-task's partial file",
        waiting_helps=True,
    )
