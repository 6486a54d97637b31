"""The root of a file system, held open: every path is resolved beneath it by the kernel, and it is re-checked before use.

Calls the kernel, through `beneath`, `posix`, `mounts` and `mark`. Nothing is ever read or written through an absolute path, so
nothing lands under an unmounted mount point.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections import OrderedDict
from pathlib import PurePosixPath

from penstock import failpoints
from penstock.errors import FailureCode, TransferError
from penstock.model import FileSystem
from penstock.transfer import posix
from penstock.transfer.beneath import Opener, default_opener
from penstock.transfer.directories import Directories, Directory
from penstock.transfer.mark import MARK_FILE, UNREADABLE, read_mark
from penstock.transfer.moment import Moments
from penstock.transfer.mounts import Mount, mount_at, mount_of
from penstock.transfer.names import split, to_bytes
from penstock.transfer.shared_sync import Enrolled, SharedSync
from penstock.transfer.stamps import Stamps

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SOURCE_DIRECTORY_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC  # the right to list it is not needed
_DURABLE_LEVELS_MAX = 4096
LOCAL_TYPES = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs"})
"""File systems of this machine alone: closing a file there tells no error, and what this kernel says of a name is true."""

NEAR_TYPES = LOCAL_TYPES | {"bcachefs", "jfs", "overlay", "ramfs", "zfs"}
"""File systems whose calls need no other machine and no other process, as a rule."""

_STAMPED_HERE = NEAR_TYPES | {"exfat", "hfs", "hfsplus", "msdos", "ntfs3", "reiserfs", "udf", "vfat"}
"""File systems whose time stamps are by the clock of this kernel."""


def may_hang(file_system: FileSystem) -> bool:
    """Whether a look at its root may wait for another machine or process for ever, by what is recorded and mounted there now."""
    there = mount_at(file_system.root)
    kinds = {file_system.mount_type, there.kind if there is not None else ""} - {""}
    return not kinds or not kinds <= NEAR_TYPES


class Root:
    """One file system's root directory. Safe to share between threads; `close` it when no transfer uses it any more."""

    def __init__(
        self, file_system: FileSystem, descriptor: int, mount: Mount | None, opener: Opener, moments: Moments
    ) -> None:
        self._file_system = file_system
        self._mount = mount
        self._path = to_bytes(file_system.root)
        self._descriptor = descriptor
        self._opener = opener
        self._state = posix.look_open(descriptor)
        self._lock = threading.Lock()
        self._durable: OrderedDict[tuple[int, int, int], None] = OrderedDict()
        self._syncs = SharedSync()
        self._moments = moments
        self._checked = 0  # the moment of the last check
        self.directories = Directories(self.open_directory, moments)
        self.source_directories = Directories(self._open_source_directory, moments)
        self.stamps = Stamps(self._near_kind, self._marked_directory, time.monotonic)

    @classmethod
    def open(cls, file_system: FileSystem, *, opener: Opener | None = None, moments: Moments | None = None) -> Root:
        """Open and check the root. Raises TransferError (FileSystemUnavailable, waiting helps).

        `opener` is how paths are resolved: openat2 where the kernel has it, else a walk. What is seen in one of `moments`
        counts for all who are in it.
        """
        descriptor = _open_root(file_system)
        try:
            mount = _checked(file_system, descriptor)
            return cls(file_system, descriptor, mount, opener or default_opener(), moments or Moments(time.monotonic))
        except BaseException:
            os.close(descriptor)
            raise

    @property
    def file_system(self) -> FileSystem:
        """What was opened."""
        return self._file_system

    @property
    def descriptor(self) -> int:
        """The root directory's descriptor."""
        return self._descriptor

    @property
    def mount(self) -> Mount | None:
        """What it lies on; None where that is not told."""
        return self._mount

    def close(self) -> None:
        """Let go of the directory."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def check(self) -> None:
        """Make sure that the path still leads to this directory of this mount.

        Where it leads elsewhere but to a directory with the same mark (or, without one, on the recorded mount), the file system
        was mounted again: the new directory is taken. Raises TransferError (FileSystemUnavailable, waiting helps).
        """
        moment = self._moments.now()
        if moment and moment == self._checked:
            return
        try:
            now = posix.look_path(self._path)
        except OSError as error:
            raise _unavailable(self._file_system, error.strerror or str(error)) from error
        if _same(now, self._state):
            self._checked = moment
            return
        if not (self._file_system.mark or self._file_system.mount_type):
            raise _unavailable(self._file_system, "the path leads to another directory or mount than before")
        self._take_anew()

    def open_beneath(self, path: bytes, flags: int) -> int:
        """Open a relative path without ever leaving the root. Raises OSError (EXDEV: it would have left)."""
        return self._opener(self._descriptor, path, flags)

    def open_directory(self, path: bytes) -> int:
        """Open a directory below the root for use with the `*at` calls. Raises OSError."""
        return self.open_beneath(path, _DIRECTORY_FLAGS)

    def _open_source_directory(self, path: bytes) -> int:
        return self.open_beneath(path, _SOURCE_DIRECTORY_FLAGS)

    def is_local(self, device: int) -> bool:
        """Whether what lies on that device is known to be of this machine alone; what is mounted further down may not be."""
        if self._mount is None or not (self._file_system.mark or self._file_system.mount_type):
            return False
        return device == self._state.device and self._mount.kind in LOCAL_TYPES

    def _near_kind(self, device: int) -> str:
        """The type of the file system on that device if this kernel stamps its files; "" where another machine may."""
        kind = self._mount.kind if self._mount is not None and device == self._state.device else ""
        return kind if kind in _STAMPED_HERE else ""

    def _marked_directory(self, device: int) -> int:
        """The root's descriptor, if files on that device are stamped as its mark is; else -1."""
        return self._descriptor if self._file_system.mark and device == self._state.device else -1

    def make_parents(self, path: str, *, base: str) -> tuple[int, bytes]:
        """The opened parent directory of a checked path, and the last component; missing levels below `base` are made.

        The caller closes, and calls `make_durable`.

        Raises TransferError (FileSystemPathNotFound, TargetParentIsNotDirectory) and OSError.
        """
        parent, name = split(path)
        try:
            return self.open_directory(parent), name
        except FileNotFoundError:
            self.require_base(base)
            return self._make(parent, base), name

    def make_durable(self, descriptor: int, path: str, *, base: str) -> None:
        """fsync the levels from `base` down to the parent directory of `path`, once per directory and process.

        `descriptor` is that parent. Not only levels made here: another mover may have made one and be just before its own
        fsync. Raises OSError.
        """
        parent, _ = split(path)
        identity = posix.identify(descriptor)
        with self._lock:
            if identity in self._durable:
                self._durable.move_to_end(identity)
                return
        components = [part for part in parent.split(b"/") if part != b"."]
        depth = len([part for part in base.split("/") if part])
        for count in range(depth, len(components)):
            level = self.open_directory(b"/".join(components[:count]) or b".")
            try:
                self.sync_directory(level)
            finally:
                os.close(level)
        with self._lock:
            self._durable[identity] = None
            while len(self._durable) > _DURABLE_LEVELS_MAX:
                self._durable.popitem(last=False)

    def sync_directory(self, descriptor: int) -> None:
        """fsync a directory, shared with all who ask at the same time. Raises OSError."""
        self._syncs.sync(descriptor)

    def enroll(self, directory: Directory) -> Enrolled:
        """Ask for such a sync of the directory as it is now, to wait for later."""
        return self._syncs.enroll(directory.descriptor, directory.identity)

    def is_turned(self, path: bytes, when_ns: int) -> bool:
        """Whether a symbolic link among that path's components was made or changed since. Raises OSError."""
        components = path.split(b"/")
        for count in range(1, len(components) + 1):
            level = self.open_beneath(b"/".join(components[:count]), os.O_PATH | os.O_NOFOLLOW)
            try:
                found = posix.look_open(level)
            finally:
                os.close(level)
            if found.is_symlink and found.change_ns > when_ns:
                return True
        return False

    def path_of(self, descriptor: int) -> bytes:
        """Where that directory lies now, relative to the root and without links; empty where the kernel does not tell."""
        try:
            root, there = (os.readlink(b"/proc/self/fd/%d" % one) for one in (self._descriptor, descriptor))
        except OSError:
            return b""
        if there == root:
            return b"."
        above = root.rstrip(b"/") + b"/"
        return there.removeprefix(above) if there.startswith(above) else b""

    def require_base(self, base: str) -> None:
        """Raises TransferError (FileSystemPathNotFound) that says what mends it, if `base` is not a directory."""
        full = f"{self._file_system.root.rstrip('/')}/{base.strip('/')}"
        try:
            os.close(self.open_directory(to_bytes(base.strip("/")) or b"."))
        except NotADirectoryError:
            raise TransferError(
                FailureCode.BASE_NOT_FOUND,
                f"the dataflow's FileSystemPath is no directory: '{full}', or a name on the way to it, is a file",
            ) from None
        except FileNotFoundError:
            raise TransferError(
                FailureCode.BASE_NOT_FOUND,
                f"the dataflow's FileSystemPath does not exist in the file system; make it: mkdir -p '{full}'",
            ) from None

    def _make(self, parent: bytes, base: str) -> int:
        """Open `parent`, making each level that is missing."""
        components = parent.split(b"/")
        depth = len([part for part in base.split("/") if part])
        for count in range(depth + 1, len(components) + 1):
            level = b"/".join(components[:count])
            try:
                descriptor = self.open_directory(level)
            except FileNotFoundError:
                self._make_level(b"/".join(components[: count - 1]) or b".", components[count - 1])
                try:
                    descriptor = self.open_directory(level)
                except FileNotFoundError:  # a dangling link holds the name
                    raise TransferError(
                        FailureCode.TARGET_NOT_DIRECTORY,
                        f"/{os.fsdecode(level)} is a symbolic link that leads nowhere: remove it or make its target",
                    ) from None
                self._forget(descriptor)
            if count == len(components):
                return descriptor
            os.close(descriptor)
        return self.open_directory(parent)

    def _forget(self, descriptor: int) -> None:
        """It is new, whatever is known of an earlier directory with the same inode number."""
        with self._lock:
            self._durable.pop(posix.identify(descriptor), None)

    def _make_level(self, above: bytes, name: bytes) -> None:
        descriptor = self.open_directory(above)
        failpoints.passing("directory.make")
        try:
            os.mkdir(name, 0o777, dir_fd=descriptor)
            failpoints.passing("directory.made")
        except FileExistsError:
            pass  # another mover was quicker
        finally:
            os.close(descriptor)

    def _take_anew(self) -> None:
        descriptor = _open_root(self._file_system)
        try:
            mount = _checked(self._file_system, descriptor)
            state = posix.look_open(descriptor)
            with self._lock:
                # In place, because other threads hold the number: they go on beneath the newly mounted root.
                os.dup2(descriptor, self._descriptor, inheritable=False)
                self._state = state
                self._mount = mount
                self._durable.clear()
            self.directories.forget()
            self.source_directories.forget()
            self.stamps.forget()
        finally:
            os.close(descriptor)


def _open_root(file_system: FileSystem) -> int:
    try:
        return os.open(file_system.root, _DIRECTORY_FLAGS)
    except OSError as error:
        raise _unavailable(file_system, error.strerror or str(error)) from error


def _same(now: posix.FileState, before: posix.FileState) -> bool:
    alike = (now.device, now.inode, now.mount_id) == (before.device, before.inode, before.mount_id)
    return alike and stat.S_ISDIR(now.mode)


def _checked(file_system: FileSystem, descriptor: int) -> Mount | None:
    """The mount below `descriptor`, once it is clear that this is the registered directory.

    A marked root is known by its mark, whatever device it lies on by now; one without a mark by its mount.
    """
    try:
        found = mount_of(posix.look_open(descriptor))
        if file_system.mark:
            _require_mark(file_system, read_mark(descriptor), found)
            return found
    except OSError as error:
        raise _unavailable(file_system, error.strerror or str(error)) from error
    recorded = (file_system.mount_type, file_system.mount_source)
    if found is not None and file_system.mount_type and (found.kind, found.source) != recorded:
        raise _unavailable(
            file_system,
            f"the path lies on {found.kind} from {found.source}, not on {file_system.mount_type} from "
            f"{file_system.mount_source}: is it mounted? {_confirm(file_system)}",
        )
    return found


def _require_mark(file_system: FileSystem, mark: str, mount: Mount | None) -> None:
    if mark != file_system.mark:
        words = {
            "": f"it does not carry its mark, the file {MARK_FILE}: is it mounted?",
            UNREADABLE: f"its mark, the file {MARK_FILE}, is damaged: remove that file.",
        }.get(mark, f"it carries the mark of another root ({MARK_FILE}): is something else mounted there?")
        raise _unavailable(file_system, f"{words} {_confirm(file_system)}")
    if mount is None or not file_system.mount_point:
        return
    if PurePosixPath(mount.point) in PurePosixPath(file_system.mount_point).parents:
        raise _unavailable(
            file_system,
            f"nothing is mounted at {file_system.mount_point} any more, and what is there is a copy that carries its mark: "
            f"mount it. {_confirm(file_system)}",
        )


def _confirm(file_system: FileSystem) -> str:
    return f"If this is the right directory all the same: penstock filesystem confirm HOME {file_system.file_system_id}"


def _unavailable(file_system: FileSystem, why: str) -> TransferError:
    return TransferError(
        FailureCode.FILE_SYSTEM_UNAVAILABLE,
        f"the root of {file_system.file_system_id} ({file_system.root}) is not usable: {why}",
        waiting_helps=True,
    )
