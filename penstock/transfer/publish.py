"""Publishing: the sealed partial file takes the target's name, in one step that readers see whole or not at all.

Calls the kernel only, relative to a held directory. The caller has fsynced the file and fsyncs the directory afterwards.
"""

from __future__ import annotations

import contextlib
import errno
import os

from penstock.model import Guarantee
from penstock.transfer import posix

_NOT_OFFERED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})  # NFS, Lustre and others answer EINVAL
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})


def publish_new(directory: int, partial: bytes, name: bytes, inode: int) -> Guarantee | None:
    """Give the free `name` to the partial file `inode`; None when the name is taken (a dangling link counts).

    How firmly that held is answered: ATOMIC by renameat2 or a hard link, BEST_EFFORT where neither exists. Raises OSError.
    """
    try:
        posix.rename_without_replacing(directory, partial, name)
    except FileExistsError:
        return _already_ours(directory, partial, name, inode)
    except FileNotFoundError:
        if is_inode(directory, name, inode):  # a repeated NFS call: the first one did it
            return Guarantee.ATOMIC
        raise
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
        return _publish_by_link(directory, partial, name, inode)
    return Guarantee.ATOMIC


def publish_over(directory: int, partial: bytes, name: bytes, inode: int) -> None:
    """Give `name` to the partial file, replacing what is there (a link itself, never what it leads to). Raises OSError."""
    try:
        os.rename(partial, name, src_dir_fd=directory, dst_dir_fd=directory)
    except FileNotFoundError:
        if not is_inode(directory, name, inode):
            raise


def is_inode(directory: int, name: bytes, inode: int) -> bool:
    """Whether `name` leads to that very file. Raises OSError."""
    there = posix.look_or_none(directory, name)
    return there is not None and there.inode == inode


def _publish_by_link(directory: int, partial: bytes, name: bytes, inode: int) -> Guarantee | None:
    try:
        os.link(partial, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
    except FileExistsError:
        return _already_ours(directory, partial, name, inode)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if posix.look_or_none(directory, name) is not None:
            return None
        publish_over(directory, partial, name, inode)
        return Guarantee.BEST_EFFORT
    os.unlink(partial, dir_fd=directory)
    return Guarantee.ATOMIC


def _already_ours(directory: int, partial: bytes, name: bytes, inode: int) -> Guarantee | None:
    """After EEXIST: a repeated NFS call may tell it of our own success, so inodes are compared."""
    if not is_inode(directory, name, inode):
        return None
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial, dir_fd=directory)
    return Guarantee.ATOMIC
