"""The place where an imported file is to appear: its directory, held open, its name, and the helper files beside it.

Calls root, partial, journal and publish; knows no store.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from enum import Enum, auto
from types import TracebackType
from typing import Self

from penstock.errors import FailureCode, TransferError
from penstock.transfer import journal, names, policy, strangers
from penstock.transfer.directories import Directory
from penstock.transfer.identity import Identity
from penstock.transfer.journal import Journal, Recorded
from penstock.transfer.partial import PartialFile
from penstock.transfer.posix import FileState, look_open, look_or_none, try_lock
from penstock.transfer.refusals import Side, from_os
from penstock.transfer.root import Root
from penstock.transfer.shared_sync import Enrolled
from penstock.transfer.transfer import Transfer, Whereabouts

_LEADS_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV})


class Fate(Enum):
    """What became of a promise to publish."""

    OPEN = auto()  # not published
    VANISHED = auto()  # nothing is left of it: it was published and taken away, or somebody removed the partial file
    PUBLISHED = auto()
    OVERTAKEN = auto()  # another file has taken the target's name since: nobody can tell whether ours had it in between


class Place:
    """A context: the directory is closed at its end. Every method raises TransferError for what the kernel refuses.

    `note` is told what became of somebody's file that lay in the place of a helper file. `parent` is another directory than the
    one that the transfer's path names.
    """

    def __init__(
        self, root: Root, transfer: Transfer, note: Callable[[str], None], *, parent: bytes | None = None
    ) -> None:
        self._root = root
        self._note = note
        self._path = transfer.path
        self._base = transfer.base
        self._held: Directory | None = None
        self._parent, self.name = names.split(transfer.path)
        if parent is not None:
            self._parent = parent
            self._path = os.fsdecode(os.path.normpath(parent + b"/" + self.name))
        self._sub_task_id = transfer.sub_task_id
        self.partial_name = names.partial_name(transfer.sub_task_id)

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            raise self.refusal(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._root.directories.leave(held)

    def _open(self) -> None:
        try:
            self._held = self._root.directories.take(self._parent)
        except FileNotFoundError:
            self._root.require_base(self._base)  # the rest is made when there is something to put into it

    @property
    def path(self) -> str:
        """The target's, relative to the root."""
        return self._path

    @property
    def is_there(self) -> bool:
        """Whether the directory exists."""
        return self._held is not None

    @property
    def directory(self) -> int:
        """The directory's descriptor, -1 while it does not exist."""
        return -1 if self._held is None else self._held.descriptor

    @property
    def birth_ns(self) -> int:
        """When the directory was made; 0 where that is not told, or it is not there. Raises OSError."""
        return 0 if self._held is None else look_open(self._held.descriptor).birth_ns

    def is_turned_since(self, when_ns: int) -> bool:
        """Whether a link on the way to the directory was turned since, as far as their times tell. Raises OSError."""
        return self._root.is_turned(self._parent, when_ns)

    def has_helpers(self) -> bool:
        """Whether anything has a helper file's name there. Raises OSError."""
        return any(look_or_none(self.directory, name) for name in (self.partial_name, self.journal_name))

    def whereabouts(self) -> Whereabouts | None:
        """Which directory it is; None while it does not exist, or cannot be looked at."""
        if self._held is None:
            return None
        try:
            state = look_open(self._held.descriptor)
        except OSError:
            return None
        return Whereabouts(path=self._root.path_of(self._held.descriptor), inode=state.inode, birth_ns=state.birth_ns)

    @property
    def journal_name(self) -> bytes:
        """The name of the partial file's journal; small files have none."""
        return names.journal_name(self._sub_task_id)

    @property
    def is_local(self) -> bool:
        """Whether the directory is known to be of this machine alone."""
        return self._held is not None and self._root.is_local(self._held.identity[0])

    def refusal(self, error: OSError) -> TransferError:
        """What the kernel refused, as a sentence about the target, or about what lies in the place of a helper file."""
        helpers = {name: self._beside(name) for name in (self.partial_name, self.journal_name)}
        words = None if self._held is None else strangers.words_for(self._held.descriptor, error, helpers)
        if words is None:
            return from_os(error, side=Side.TARGET, path=self._path)
        return TransferError(FailureCode.HELPER_NAME_TAKEN, f"/{self._path}: {words}", waiting_helps=True)

    def _beside(self, name: bytes) -> str:
        """The path of what has that name beside the target."""
        return f"{self._path.rpartition('/')[0]}/{name.decode()}".lstrip("/")

    def target(self) -> FileState | None:
        """What has the target's name now; links are not followed. Refuses directories and devices."""
        if self._held is None:
            return None
        try:
            found = look_or_none(self._held.descriptor, self.name)
        except OSError as error:
            raise self.refusal(error) from error
        policy.check_replaceable(found, self._path)
        return found

    def make(self) -> int:
        """The directory's descriptor; missing levels are made, all are durable."""
        try:
            if self._held is None:
                made, _ = self._root.make_parents(self._path, base=self._base)
                self._held = self._root.directories.keep(self._parent, made)
            if not self._held.is_durable:
                self._root.make_durable(self._held.descriptor, self._path, base=self._base)
                self._held.is_durable = True
        except OSError as error:
            raise self.refusal(error) from error
        return self._held.descriptor

    def sync(self) -> None:
        """fsync the directory: names published or removed in it stay so. Raises OSError."""
        self._root.sync_directory(self.directory)

    def enroll(self) -> Enrolled:
        """Ask for that fsync, of the directory, which was made, as it is now, to wait for later."""
        assert self._held is not None
        return self._root.enroll(self._held)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Be the only mover in the directory, as far as the file system locks directories; False if another has its turn now."""
        try:
            descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.directory)
        except OSError:  # it may be written to, but not read
            yield True
            return
        try:
            yield _is_turn(descriptor)
        finally:
            os.close(descriptor)

    def read_journal(self) -> Recorded | None:
        """What the journal says; None if there is none. Raises OSError."""
        return journal.read(self.directory, self.journal_name) if self._held is not None else None

    def reopen_journal(self) -> tuple[Journal, Recorded] | None:
        """The journal itself. Raises OSError."""
        return Journal.reopen(self.directory, self.journal_name) if self._held is not None else None

    def reopen_partial(self, recorded: Recorded | None) -> PartialFile | None:
        """The partial file an earlier attempt left, locked; None where there is none, or something else has its name.

        `recorded` is what its journal says. Raises OSError, TransferError if another mover holds it.
        """
        if self._held is None:
            return None
        ours = None if recorded is None else recorded.ours
        if ours is not None:
            self.disown(ours, self._take_back if recorded is not None and recorded.publishing is not None else _nothing)
        found = look_or_none(self._held.descriptor, self.partial_name)
        if found is None or strangers.is_stranger(found):
            return None
        return PartialFile.reopen(self._held.descriptor, self.partial_name)

    def disown(self, ours: Identity, take_back: Callable[[], None]) -> None:
        """Should a file that is not `ours` have the partial file's name, and no other, give it one that is not ours, durably.

        `take_back` is called before: with the name of the file that was to be published that file is gone. Raises OSError.
        """
        found = look_or_none(self.directory, self.partial_name)
        if found is None or ours.is_of(found):
            return
        take_back()
        if found.is_regular and found.links == 1:
            self._keep(self.partial_name, found)

    def _keep(self, name: bytes, found: FileState) -> None:
        kept = strangers.move_aside(self.directory, name, found.inode, self._sub_task_id)
        self.sync()
        self._note(
            f"somebody's file lay at /{self._beside(name)}, where Penstock's own belongs: it is /{self._beside(kept)} now"
        )

    def _take_back(self) -> None:
        found = self.reopen_journal()
        if found is not None:
            with closing(found[0]) as opened:
                opened.take_back()

    def fate(self, recorded: Recorded) -> Fate:
        """What became of what the journal promised: that the partial file takes the target's name.

        The target being that very file proves it; so does a journal that says so, whatever has become of the target since. That
        the partial file's name is gone, or another file's, proves nothing: somebody may have removed it. Raises OSError,
        TransferError if another mover holds the partial file.
        """
        promised, ours = recorded.publishing, recorded.ours
        if promised is None or ours is None:
            return Fate.OPEN
        found, target = look_or_none(self.directory, self.partial_name), look_or_none(self.directory, self.name)
        is_there = found is not None and ours.is_of(found)
        if target is not None and ours.is_of(target):
            if is_there:  # by a hard link, and the other name was still to be removed
                self._discard(recorded)
            return Fate.PUBLISHED
        if is_there:
            return Fate.OPEN
        if recorded.is_published:
            return Fate.PUBLISHED
        if found is not None:
            self.disown(ours, self._take_back)
            return Fate.OPEN
        if target is None:
            return Fate.VANISHED
        return Fate.OPEN if promised.is_over(target) else Fate.OVERTAKEN

    def _discard(self, recorded: Recorded) -> None:
        partial = self.reopen_partial(recorded)
        if partial is not None:
            partial.discard()

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
            return self._held is not None and self._leads_elsewhere()
        except OSError:
            return False

    def _leads_elsewhere(self) -> bool:
        assert self._held is not None
        try:
            return not self._root.directories.leads_to(self._held)
        except OSError as error:
            if error.errno in _LEADS_NOWHERE:
                return True
            raise

    def remove_helpers(self) -> None:
        """Remove journal and partial file, durably; the journal goes first: without its partial file it means "published".

        What is neither a file nor a link cannot be ours, and stays.

        Raises OSError, TransferError if another mover holds the partial file.
        """
        if self._held is None:
            return
        partial = self.reopen_partial(self.read_journal())
        self._remove(partial)

    def give_up(self) -> None:
        """As `remove_helpers`, of what was not published: a mover that has lost its sub-task may have done so since anybody
        looked, but no more once its partial file is locked here, or gone.

        Raises OSError, TransferError if another mover holds the partial file, or has published it: its journal stays.
        """
        if self._held is None:
            return
        recorded = self.read_journal()
        partial = self.reopen_partial(recorded)
        if recorded is not None and self._is_fulfilled(recorded, partial):
            if partial is not None:
                partial.close()
            raise TransferError(
                FailureCode.FILE_SYSTEM_UNAVAILABLE,
                f"another mover has published /{self._path} just now; it is looked at once more",
                waiting_helps=True,
            )
        self._remove(partial)

    def _is_fulfilled(self, recorded: Recorded, partial: PartialFile | None) -> bool:
        if partial is None:
            return self.fate(recorded) in {Fate.PUBLISHED, Fate.OVERTAKEN}
        target, ours = look_or_none(self.directory, self.name), recorded.ours
        return recorded.publishing is not None and ours is not None and target is not None and ours.is_of(target)

    def _remove(self, partial: PartialFile | None) -> None:
        try:
            is_changed = self._remove_journal()
            if partial is not None:
                if is_changed:
                    self.sync()  # nobody promises that names go in order, should the power be cut in between
                is_changed |= partial.discard()
        finally:
            if partial is not None:
                partial.close()
        if is_changed:
            self.sync()

    def _remove_journal(self) -> bool:
        found = look_or_none(self.directory, self.journal_name)
        is_last_name = found is not None and found.is_regular and found.links == 1
        if found is not None and is_last_name and journal.is_foreign(self.directory, self.journal_name):
            self._keep(self.journal_name, found)
            return False
        return journal.remove(self.directory, self.journal_name)


def _nothing() -> None:
    pass


def _is_turn(directory: int) -> bool:
    try:
        return try_lock(directory)
    except OSError:  # NFS locks files only
        return True
