"""What lies under the name of a helper file and is none of ours: told in words. Never opened, never removed.

Calls the kernel only, to look.
"""

from __future__ import annotations

import os
import stat

from penstock.transfer import posix
from penstock.transfer.posix import FileState

_CALLED = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def is_stranger(found: FileState) -> bool:
    """Whether it is nothing that a helper file could be. A link is one, too, but holds nothing: its name may be taken away."""
    return not found.is_regular and not found.is_symlink


def words_for(directory: int, error: OSError, places: dict[bytes, str]) -> str | None:
    """What `error` is about, if that is something strange under one of the names in `places`, each with its path; else None."""
    name = b"" if error.filename is None else os.fsencode(error.filename)
    if name not in places:
        return None
    try:
        found = posix.look_or_none(directory, name)
    except OSError:
        return None  # the first error tells more than that one
    if found is None or found.is_regular:
        return None
    called = _CALLED.get(stat.S_IFMT(found.mode), "no plain file")
    return f"/{places[name]} is {called}, and not Penstock's, which needs that name for a while: move it away"
