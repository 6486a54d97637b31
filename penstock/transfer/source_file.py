"""The file that an export reads: opened beneath the root, refused unless it is a plain file, watched for changes.

Calls root and posix. Never opens in a way that blocks, never follows a link in the last component: where that was chosen the link
itself is taken, as an empty file with the link's own time.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from penstock.errors import FailureCode, TransferError
from penstock.transfer import names
from penstock.transfer.posix import FileState, look_open
from penstock.transfer.refusals import Side, from_os
from penstock.transfer.root import Root
from penstock.transfer.transfer import Symlinks

# O_NONBLOCK: a FIFO or a device that takes the name between look and open must not hold us.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
FRESH_NS = 100_000_000
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class SourceFile:
    """A context: an open regular file and what it looked like when it was opened. Raises TransferError for what is refused."""

    def __init__(self, root: Root, path: str, symlinks: Symlinks = Symlinks.REFUSE) -> None:
        self._root = root
        self._path = path
        self._name = names.to_bytes(path)
        self._symlinks = symlinks
        self._flags = _FLAGS
        self.descriptor = -1
        self.state = FileState(mode=0, device=0, inode=0, links=0, size_bytes=0, modify_ns=0, change_ns=0)

    def __enter__(self) -> Self:
        # Looked at before it is opened: opening a FIFO or a device can be felt by others.
        is_link = self._taken(_state_beneath(self._root, self._name, _LOOK, self._path)).is_symlink
        self._flags = _LOOK if is_link else _FLAGS  # a link is held, there is nothing to read
        try:
            self.descriptor = self._root.open_beneath(self._name, self._flags)
        except OSError as error:
            raise from_os(error, side=Side.SOURCE, path=self._path) from error
        try:
            self.look_again()
            if self.state.is_symlink != is_link:
                raise self.changed()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def is_fresh(self, now_ns: int) -> bool:
        """Whether it was changed so lately that another change could bear the very same time stamp.

        Kernels stamp by the tick of a clock (milliseconds), so an equal stamp proves nothing about the last tick.
        """
        return now_ns - self.state.change_ns < FRESH_NS

    def look_again(self) -> None:
        """Take what the file looks like now for its first look."""
        try:
            self.state = self._taken(look_open(self.descriptor))
        except OSError as error:
            raise self.refusal(error) from error

    def check_unchanged(self) -> None:
        """Look at the open file, and at what the path leads to when it is opened afresh: both must be as at first.

        A fresh open makes network file systems ask their server. Raises TransferError (SourceChanged, waiting helps).
        """
        try:
            same = _identity(self._taken(look_open(self.descriptor))) == _identity(self.state)
            if same:
                there = _state_beneath(self._root, self._name, self._flags, self._path)
                same = _identity(self._taken(there)) == _identity(self.state)
        except (OSError, TransferError):
            same = False  # gone, or replaced by something that is refused
        if not same:
            raise self.changed()

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
        if state.is_symlink and self._symlinks is Symlinks.VENDOR:
            return state._replace(size_bytes=0)
        if state.is_symlink:
            raise TransferError(
                FailureCode.SOURCE_IS_SYMLINK, f"/{self._path} is a symbolic link: name the file it leads to"
            )
        if state.is_directory:
            raise TransferError(FailureCode.SOURCE_IS_DIRECTORY, f"/{self._path} is a directory: name a file")
        if not state.is_regular:
            raise TransferError(
                FailureCode.SOURCE_NOT_REGULAR, f"/{self._path} is a device, socket or FIFO, not a file"
            )
        return state


def exists(root: Root, path: str) -> bool:
    """Whether that path leads to anything beneath the root (links in its last component are not followed)."""
    try:
        os.close(root.open_beneath(names.to_bytes(path), _LOOK))
    except OSError:
        return False
    return True


def _state_beneath(root: Root, name: bytes, flags: int, path: str) -> FileState:
    try:
        descriptor = root.open_beneath(name, flags)
    except OSError as error:
        raise from_os(error, side=Side.SOURCE, path=path) from error
    try:
        return look_open(descriptor)
    except OSError as error:
        raise from_os(error, side=Side.SOURCE, path=path) from error
    finally:
        os.close(descriptor)


def _identity(state: FileState) -> tuple[int, int, int, int, int]:
    return (state.device, state.inode, state.size_bytes, state.modify_ns, state.change_ns)
