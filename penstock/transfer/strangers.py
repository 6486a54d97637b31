"""What lies under the name of a helper file and is none of ours: told in words, or moved aside. Never opened, never removed.

Calls `publish`, to rename, and the kernel, to look.
"""

from __future__ import annotations

import errno
import os
import stat

from penstock.transfer import names, posix, publish
from penstock.transfer.posix import FileState

_KEPT_MAX = 100
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


def move_aside(directory: int, name: bytes, inode: int, sub_task_id: str) -> bytes:
    """Give somebody's file, which has our `name` and no other, a name that is not ours; which one. Nothing is replaced.

    The caller syncs the directory. Raises OSError.
    """
    for number in range(_KEPT_MAX):
        kept = names.kept_name(sub_task_id, number)
        if publish.publish_new(directory, name, kept, inode) is not None:
            return kept
    raise OSError(errno.EEXIST, f"there are {_KEPT_MAX} of them already", os.fsdecode(kept))


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
