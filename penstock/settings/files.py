"""A file of HOME that takes the place of another: whole or not at all, 0600, durable. Knows nothing of what is in it.

Temporary file, fsync, rename, fsync of the directory. Raises SettingsError.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from penstock.errors import SettingsError


def replace_file(path: Path, data: bytes) -> None:
    """Puts `data` in the place of the file (0600): a reader sees the old or the new, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)  # a dead process's, or a link to somebody's file: never written into
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from error
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes the directory's entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
