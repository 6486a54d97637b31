"""The mark of a root: a small file in it, `.penstock-root`, by which it is known wherever and on whatever it is mounted.

It belongs to the directory and not to whoever registers it: a second service that registers the same directory takes the mark
that is there. Calls the kernel and `partial`, relative to a held directory. No transfer touches it: its name is a reserved one.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable

from penstock.errors import TransferError
from penstock.transfer import posix, publish
from penstock.transfer.partial import PartialFile

MARK_FILE = ".penstock-root"
UNREADABLE = "unreadable"
"""What is answered for a mark that is not as it was written: it is equal to none."""

_NAME = MARK_FILE.encode()
_UNFINISHED = b".penstock-root.partial"
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BYTES_MAX = 4096
_MARK = re.compile(rb"^mark = ([0-9a-f]{32})$", re.MULTILINE)
_TEXT = """\
# Penstock knows this directory by this file. While it is missing, or another one is here, nothing is moved to or from here.
mark = {mark}
"""


def new_mark(entropy: Callable[[int], bytes]) -> str:
    """One that no directory has had."""
    return entropy(16).hex()


def read_mark(directory: int) -> str:
    """The mark of the open directory: "" where there is none, UNREADABLE where it is damaged. Never blocks. Raises OSError."""
    try:
        descriptor = os.open(_NAME, _READ_FLAGS, dir_fd=directory)
    except FileNotFoundError:
        return ""
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.ENODEV}:  # a link, a socket, a device
            return UNREADABLE
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return UNREADABLE
        found = _MARK.search(os.read(descriptor, _BYTES_MAX))
    finally:
        os.close(descriptor)
    return found.group(1).decode() if found else UNREADABLE


def make_mark(directory: int, mark: str) -> str:
    """Mark the open directory, durably; what it carries then, which is the older mark where there is one.

    A death in between leaves the directory without a mark, and a file that the next one removes. Raises OSError.
    """
    there = read_mark(directory)
    if there:
        return there
    partial = _unfinished(directory)
    try:
        descriptor, inode = partial.descriptor, partial.state().inode
        posix.write_all(descriptor, memoryview(_TEXT.format(mark=mark).encode()), 0)
        os.fchmod(descriptor, 0o644)  # services of other users are to read it too
        os.fsync(descriptor)
        if publish.publish_new(directory, _UNFINISHED, _NAME, inode) is None:
            partial.discard()
    finally:
        partial.close()
    os.fsync(directory)
    return read_mark(directory)


def _unfinished(directory: int) -> PartialFile:
    """A new file, locked, never one that was there: that may be somebody's, linked to this name. Raises OSError."""
    try:
        return PartialFile.create(directory, _UNFINISHED)
    except TransferError as error:
        raise OSError(errno.EBUSY, "another process is marking it") from error
