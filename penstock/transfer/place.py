"""The place where an imported file is to appear: its directory, held open, its name, and the helper files beside it.

Calls root, partial, journal and publish; knows no store.
"""

from __future__ import annotations

import errno
import os
from types import TracebackType
from typing import Self

from penstock.errors import FailureCode, TransferError
from penstock.transfer import journal, names, policy
from penstock.transfer.journal import Journal, Recorded
from penstock.transfer.partial import PartialFile
from penstock.transfer.posix import FileState, look_or_none
from penstock.transfer.refusals import Side, from_os
from penstock.transfer.root import Root
from penstock.transfer.shared_sync import Enrolled
from penstock.transfer.transfer import Transfer

_LEADS_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV})


class Place:
    """A context: the directory is closed at its end. Every method raises TransferError for what the kernel refuses."""

    def __init__(self, root: Root, transfer: Transfer) -> None:
        self._root = root
        self._path = transfer.path
        self._base = transfer.base
        self._directory = -1
        _, self.name = names.split(transfer.path)
        self.partial_name = names.partial_name(transfer.sub_task_id)
        self.journal_name = names.journal_name(transfer.sub_task_id)

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            raise self.refusal(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    def _open(self) -> None:
        try:
            self._directory, _ = self._root.resolve_parent(self._path)
        except FileNotFoundError:
            self._root.require_base(self._base)  # the rest is made when there is something to put into it

    @property
    def directory(self) -> int:
        """The directory's descriptor, -1 while it does not exist."""
        return self._directory

    def refusal(self, error: OSError) -> TransferError:
        """What the kernel refused, as a sentence about the target."""
        return from_os(error, side=Side.TARGET, path=self._path)

    def target(self) -> FileState | None:
        """What has the target's name now; links are not followed. Refuses directories and devices."""
        if self._directory < 0:
            return None
        try:
            found = look_or_none(self._directory, self.name)
        except OSError as error:
            raise self.refusal(error) from error
        policy.check_replaceable(found, self._path)
        return found

    def make(self) -> int:
        """The directory's descriptor; missing levels are made, all are durable."""
        try:
            if self._directory < 0:
                self._directory, _ = self._root.make_parents(self._path, base=self._base)
            self._root.make_durable(self._directory, self._path, base=self._base)
        except OSError as error:
            raise self.refusal(error) from error
        return self._directory

    def sync(self) -> None:
        """fsync the directory: names published or removed in it stay so. Raises OSError."""
        self._root.sync_directory(self._directory)

    def enroll(self) -> Enrolled:
        """Ask for that fsync, of the directory as it is now, to wait for later. Raises OSError."""
        return self._root.enroll(self._directory)

    def read_journal(self) -> Recorded | None:
        """What the journal says; None if there is none. Raises OSError."""
        return journal.read(self._directory, self.journal_name) if self._directory >= 0 else None

    def reopen_journal(self) -> tuple[Journal, Recorded] | None:
        """The journal itself. Raises OSError."""
        return Journal.reopen(self._directory, self.journal_name) if self._directory >= 0 else None

    def reopen_partial(self) -> PartialFile | None:
        """The partial file an earlier attempt left, locked. Raises OSError, TransferError if another mover holds it."""
        return PartialFile.reopen(self._directory, self.partial_name) if self._directory >= 0 else None

    def require_in_place(self) -> None:
        """The path must still lead to the directory that is held: it may have been moved or removed while bytes moved.

        Raises TransferError (FileSystemUnavailable, waiting helps), OSError.
        """
        if self._leads_elsewhere():
            raise TransferError(
                FailureCode.FILE_SYSTEM_UNAVAILABLE,
                f"/{self._path}: its directory was moved or removed while the file was on its way; it is moved again",
                waiting_helps=True,
            )

    def is_astray(self) -> bool:
        """Whether the path leads elsewhere for certain, so that no later attempt would find the helper files."""
        try:
            return self._directory >= 0 and self._leads_elsewhere()
        except OSError:
            return False

    def _leads_elsewhere(self) -> bool:
        try:
            there, _ = self._root.resolve_parent(self._path)
        except OSError as error:
            if error.errno in _LEADS_NOWHERE:
                return True
            raise
        try:
            return not os.path.samestat(os.fstat(there), os.fstat(self._directory))
        finally:
            os.close(there)

    def remove_helpers(self) -> None:
        """Remove journal and partial file, durably; the journal goes first: without its partial file it means "published".

        Raises OSError, TransferError if another mover holds the partial file.
        """
        if self._directory < 0:
            return
        partial = self.reopen_partial()
        try:
            is_changed = journal.remove(self._directory, self.journal_name)
            if partial is not None:
                is_changed |= partial.discard()
        finally:
            if partial is not None:
                partial.close()
        if is_changed:
            self.sync()
