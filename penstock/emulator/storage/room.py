"""Room on the disk: whether an error says that there is none, and some that is kept back for deletions.

What deletes must write, too (a row's going is a row in SQLite's log). Touches one file.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from penstock.emulator.storage.schema import LOG_BYTES

# Twice what the ledger's log has when it begins anew: it must find room in the database's file, and a deletion in the log.
RESERVE_BYTES = 2 * LOG_BYTES
_FULL = {errno.ENOSPC, errno.EDQUOT}
_SHARED_MEMORY = 4874  # SQLITE_IOERR_SHMSIZE: no room for the file that readers and the writer share


def is_full(error: BaseException) -> bool:
    """Whether `error` says that the disk is full, or the quota used up."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0)
        return bool(code & 0xFF == sqlite3.SQLITE_FULL or code == _SHARED_MEMORY)
    return isinstance(error, OSError) and error.errno in _FULL


class Reserve:
    """A file that only takes room. Used by one thread at a time."""

    __slots__ = ("_path", "whole")

    def __init__(self, path: Path) -> None:
        self._path = path
        self.whole = False
        """Whether all of it is kept back at present."""

    def keep(self) -> None:
        """Blocking: keep the room back; where there is less, a half of it, or a quarter, or none. Raises other OSErrors."""
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if not is_full(error):
                raise
            return  # no room for its name, or for one more file
        try:
            for size_bytes in (RESERVE_BYTES, RESERVE_BYTES // 2, RESERVE_BYTES // 4, RESERVE_BYTES // 8):
                try:
                    os.posix_fallocate(fd, 0, size_bytes)
                except OSError as error:
                    if not is_full(error):
                        raise
                    os.ftruncate(fd, 0)  # what it got of it
                    continue
                self.whole = size_bytes == RESERVE_BYTES
                return
        finally:
            os.close(fd)

    def give_up(self) -> None:
        """Blocking: let the room go, for use at once: ext4 hands it out only when its journal has that. Raises OSError."""
        self.whole = False
        self._path.unlink(missing_ok=True)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
