"""The file that an export reads: opened beneath the root, refused unless it is a plain file, watched for changes.

Calls root, posix and the page cache. Never opens in a way that blocks, never follows a link in the last component: where that was
chosen the link itself is taken, as an empty file with the link's own time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Self

from penstock.errors import FailureCode, TransferError
from penstock.model import FileDetail
from penstock.transfer import crc64, names, pagecache
from penstock.transfer.directories import Directory
from penstock.transfer.posix import FileState, look, look_here, look_open, look_open_here
from penstock.transfer.refusals import Side, from_os
from penstock.transfer.root import Root
from penstock.transfer.transfer import Symlinks

# O_NONBLOCK: a FIFO or a device that takes the name between look and open must not hold us.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_UNSEEN = FileState(mode=0, device=0, inode=0, links=0, size_bytes=0, modify_ns=0, change_ns=0)


class SourceFile:
    """A context: an open regular file and what it looked like when it was opened. Raises TransferError for what is refused."""

    def __init__(self, root: Root, path: str, symlinks: Symlinks = Symlinks.REFUSE) -> None:
        self._root = root
        self._path = path
        self._parent, self._name = names.split(path)
        self._held: Directory | None = None
        self._symlinks = symlinks
        self._flags = _FLAGS
        self.descriptor = -1
        self.state = _UNSEEN

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            self.close()
            raise self.refusal(error) from error
        except BaseException:
            self.close()
            raise
        return self

    def _open(self) -> None:
        held = self._held = self._root.source_directories.take(self._parent)
        is_local = self._root.is_local(held.identity[0])
        # Looked at before it is opened: opening a FIFO or a device can be felt by others.
        found = look_here(held.descriptor, self._name) if is_local else look(held.descriptor, self._name)
        is_link = not found.is_regular and self._taken(found).is_symlink
        self._flags = _LOOK if is_link else _FLAGS  # a link is held, there is nothing to read
        self.descriptor = os.open(self._name, self._flags, dir_fd=held.descriptor)
        self.state = self._taken(look_open_here(self.descriptor) if is_local else look_open(self.descriptor))
        if self.state.is_symlink != is_link:
            raise self.changed()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        held, self._held = self._held, None
        if held is not None:
            self._root.source_directories.leave(held)

    def detail(self, crc: int | None) -> FileDetail:
        """The file as the source of an export; `crc` is None while it is not known."""
        return FileDetail(
            modify_time_ns=self.state.modify_ns, size_bytes=self.state.size_bytes, checksum=crc64.as_text(crc)
        )

    def rest_ns(self, now_ns: Callable[[], int]) -> int:
        """How long it has to look the same from now on, until another change is sure to bear another time stamp; 0: it has.

        To be asked before the first byte is read: that it looks the same afterwards proves nothing else.
        """
        return self._root.stamps.rest_ns(self.state, now_ns)

    def forget_cached(self) -> None:
        """What is read from now on comes from where it lies: a client's cache may hold what its server no longer has."""
        if not self._root.is_local(self.state.device):
            pagecache.drop_behind(self.descriptor, 0, 0)

    def look_again(self) -> None:
        """Take what the file looks like now for its first look."""
        # It has to tell what the first look told: no more, no less.
        look_same = look_open_here if self._root.is_local(self.state.device) else look_open
        try:
            self.state = self._taken(look_same(self.descriptor))
        except OSError as error:
            raise self.refusal(error) from error

    def check_unchanged(self) -> None:
        """Look at the open file, and at what the path leads to: both must be as at first.

        Raises TransferError (SourceChanged, or InputOutputError where nothing can be seen; waiting helps).
        """
        try:
            is_same = self._is_same_here() if self._root.is_local(self.state.device) else self._is_same_afresh()
        except TransferError:
            is_same = False  # replaced by something that is refused
        except OSError as error:
            refused = self.refusal(error)
            if refused.code is FailureCode.IO_ERROR:
                raise refused from error
            is_same = False  # gone, or replaced likewise
        if not is_same:
            raise self.changed()

    def _is_same_here(self) -> bool:
        """On a file system of this machine one look at the name is enough: if that is our inode, it tells of the open file."""
        assert self._held is not None
        there = self._taken(look_here(self._held.descriptor, self._name))
        return _identity(there) == _identity(self.state) and self._root.source_directories.leads_to(self._held)

    def _is_same_afresh(self) -> bool:
        """A fresh open makes network file systems ask their server."""
        if _identity(self._taken(look_open(self.descriptor))) != _identity(self.state):
            return False
        descriptor = self._root.open_beneath(names.to_bytes(self._path), self._flags)
        try:
            return _identity(self._taken(look_open(descriptor))) == _identity(self.state)
        finally:
            os.close(descriptor)

    def changed(self) -> TransferError:
        """The file was written to or replaced while it was read."""
        return TransferError(
            FailureCode.SOURCE_CHANGED, f"/{self._path} was changed while it was read", waiting_helps=True
        )

    def refusal(self, error: OSError) -> TransferError:
        """What the kernel refused, as a sentence about the source."""
        return from_os(error, side=Side.SOURCE, path=self._path)

    def _taken(self, state: FileState) -> FileState:
        """The state as it counts for what is moved. Raises TransferError for what is refused."""
        if state.is_regular:
            return state
        if state.is_symlink and self._symlinks is Symlinks.VENDOR:
            return state._replace(size_bytes=0)
        if state.is_symlink:
            raise TransferError(
                FailureCode.SOURCE_IS_SYMLINK, f"/{self._path} is a symbolic link: name the file it leads to"
            )
        if state.is_directory:
            raise TransferError(FailureCode.SOURCE_IS_DIRECTORY, f"/{self._path} is a directory: name a file")
        raise TransferError(FailureCode.SOURCE_NOT_REGULAR, f"/{self._path} is a device, socket or FIFO, not a file")


def exists(root: Root, path: str) -> bool:
    """Whether that path leads to anything beneath the root (links in its last component are not followed)."""
    try:
        os.close(root.open_beneath(names.to_bytes(path), _LOOK))
    except OSError:
        return False
    return True


def _identity(state: FileState) -> tuple[int, int, int, int, int]:
    return (state.device, state.inode, state.size_bytes, state.modify_ns, state.change_ns)
