"""Kernel calls that Python lacks, as plain functions over file descriptors: renameat2, statx, fallocate, …

Calls libc only. Everything fails with `OSError`, as Python's own `os` does; `refusals` turns those into sentences. No policy
lives here.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import functools
import os
import stat
import struct
from collections.abc import Callable
from typing import NamedTuple

_RENAMEAT2 = {"x86_64": 316, "ppc64le": 357, "s390x": 347}
_RENAME_NOREPLACE = 0x01
_AT_SYMLINK_NOFOLLOW = 0x100
_AT_EMPTY_PATH = 0x1000
_AT_NO_AUTOMOUNT = 0x0800
_AT_STATX_FORCE_SYNC = 0x2000
_STATX_BASIC = 0x07FF
_STATX_BTIME = 0x0800
_STATX_MNT_ID = 0x1000
_STATX_DIOALIGN = 0x2000
_STATX_WANTED = _STATX_BASIC | _STATX_BTIME | _STATX_MNT_ID
_STATX = struct.Struct("=IIQIIIHHQQQQ" + "qII" * 4 + "IIII" + "QQ")
_STATX_DIRECT = struct.Struct("=II")  # memory and offset
_STATX_DIRECT_AT = 152
_SECOND_NS = 1_000_000_000
_StatxBuffer = ctypes.c_char * 256

_libc = ctypes.CDLL(None, use_errno=True)
# Types told once: wrapping each argument of each call costs more than these calls themselves.
_syscall_renameat2 = _libc["syscall"]
_syscall_renameat2.restype = ctypes.c_long
_syscall_renameat2.argtypes = (
    ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint
)  # fmt: skip
_RENAMEAT2_NUMBER = _RENAMEAT2.get(os.uname().machine, 276)  # by number: older C libraries have no wrapper


class FileState(NamedTuple):
    """What the kernel says of one name or descriptor. `mount_id` and `birth_ns` are 0 where it does not tell them.

    A tuple, for several are made for each file: a frozen dataclass sets its fields one by one, at five times the cost.
    """

    mode: int
    device: int
    inode: int
    links: int
    size_bytes: int
    modify_ns: int
    change_ns: int
    mount_id: int = 0
    owner: int = 0
    group: int = 0
    birth_ns: int = 0

    @property
    def is_regular(self) -> bool:
        """Whether it is a plain file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)


def failure(number: int, path: bytes = b"") -> OSError:
    """What libc's errno says, as Python's own `os` would."""
    return OSError(number, os.strerror(number), os.fsdecode(path) if path else None)


# -------------------------------------------------------------------------------------------------------------- looking


@functools.cache
def has_statx() -> bool:
    """Whether libc and the kernel offer statx."""
    try:
        _there(-100, b".", 0)
    except (OSError, AttributeError):
        return False
    return True


@functools.cache
def _typed_statx() -> Callable[[int, bytes, int, int, object], int]:
    """libc's statx. Raises AttributeError where it has none."""
    call = _libc["statx"]
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p)
    typed: Callable[[int, bytes, int, int, object], int] = call
    return typed


def _statx(directory: int, name: bytes, flags: int) -> FileState | None:
    """None for ENOENT, without an error: most looks at a target find nothing, and raising costs as much as the look."""
    buffer = _StatxBuffer()
    if _typed_statx()(directory, name, flags | _AT_NO_AUTOMOUNT, _STATX_WANTED, buffer) != 0:
        number = ctypes.get_errno()
        if number == errno.ENOENT:
            return None
        raise failure(number, name)
    (mask, _, _, links, owner, group, mode, _, inode, size, _, _, _, _, _, birth_s, birth_ns, _, change_s, change_ns, _, modify_s,
     modify_ns, _, _, _, major, minor, mount_id, _) = _STATX.unpack_from(buffer)  # fmt: skip
    return FileState(  # by position, in a third of the time
        mode, os.makedev(major, minor), inode, links, size, modify_s * _SECOND_NS + modify_ns,
        change_s * _SECOND_NS + change_ns, mount_id if mask & _STATX_MNT_ID else 0, owner, group,
        birth_s * _SECOND_NS + birth_ns if mask & _STATX_BTIME else 0,
    )  # fmt: skip


def _there(directory: int, name: bytes, flags: int) -> FileState:
    found = _statx(directory, name, flags)
    if found is None:
        raise failure(errno.ENOENT, name)
    return found


def _from_stat(found: os.stat_result) -> FileState:
    return FileState(
        found.st_mode, found.st_dev, found.st_ino, found.st_nlink, found.st_size, found.st_mtime_ns, found.st_ctime_ns,
        0, found.st_uid, found.st_gid,
    )  # fmt: skip


def look_open(descriptor: int) -> FileState:
    """Describe an open file, asking a network file system's server instead of its cache."""
    if has_statx():
        return _there(descriptor, b"", _AT_EMPTY_PATH | _AT_STATX_FORCE_SYNC)
    return _from_stat(os.fstat(descriptor))


def look_open_here(descriptor: int) -> FileState:
    """As `look_open`, in half the time, for a file system of this machine: its kernel knows all. Tells no mount, no birth."""
    return _from_stat(os.fstat(descriptor))


def look_here(directory: int, name: bytes) -> FileState:
    """As `look`, likewise."""
    return _from_stat(os.stat(name, dir_fd=directory, follow_symlinks=False))


def identify(descriptor: int) -> tuple[int, int, int]:
    """Device, inode and time of birth (0 where it is not told): inode numbers are used again. Asks no server."""
    if has_statx():
        found = _there(descriptor, b"", _AT_EMPTY_PATH)
        return found.device, found.inode, found.birth_ns
    plain = os.fstat(descriptor)
    return plain.st_dev, plain.st_ino, 0


def direct_alignment(descriptor: int) -> int:
    """What memory, offset and length of direct I/O on this open file are multiples of; 0 where that is not told (networks)."""
    if not has_statx():
        return 0
    buffer = _StatxBuffer()
    flags = _AT_EMPTY_PATH | _AT_NO_AUTOMOUNT
    if _typed_statx()(descriptor, b"", flags, _STATX_BASIC | _STATX_DIOALIGN, buffer) != 0:
        return 0
    return int(max(_STATX_DIRECT.unpack_from(buffer, _STATX_DIRECT_AT)))


def look(directory: int, name: bytes) -> FileState:
    """Describe `name` in `directory` itself (links are not followed), asking the server. FileNotFoundError if absent."""
    if has_statx():
        return _there(directory, name, _AT_SYMLINK_NOFOLLOW | _AT_STATX_FORCE_SYNC)
    return look_here(directory, name)


def look_or_none(directory: int, name: bytes) -> FileState | None:
    """As `look`; None where there is no such name."""
    if has_statx():
        return _statx(directory, name, _AT_SYMLINK_NOFOLLOW | _AT_STATX_FORCE_SYNC)
    try:
        return look_here(directory, name)
    except FileNotFoundError:
        return None


def look_path(path: bytes) -> FileState:
    """Describe an absolute path, links followed."""
    if has_statx():
        return _there(-100, path, 0)
    return _from_stat(os.stat(path))


# -------------------------------------------------------------------------------------------------------------- changing


def rename_without_replacing(directory: int, name: bytes, new_name: bytes) -> None:
    """renameat2(RENAME_NOREPLACE). FileExistsError when `new_name` exists; EINVAL or ENOSYS where it is not offered."""
    if _syscall_renameat2(_RENAMEAT2_NUMBER, directory, name, directory, new_name, _RENAME_NOREPLACE) != 0:
        raise failure(ctypes.get_errno(), new_name)


def unlink_if_there(directory: int, name: bytes) -> bool:
    """Remove a name; False where there is none, on a read-only file system too (it refuses before it looks)."""
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno != errno.EROFS or look_or_none(directory, name) is not None:
            raise
        return False
    return True


def reserve(descriptor: int, size_bytes: int) -> bool:
    """Reserve space with fallocate; False where the file system cannot. ENOSPC, EDQUOT and the like are raised.

    Never posix_fallocate: it falls back to writing zeros. What plainly does not fit is refused before it is tried: fallocate
    would take all the space there is, from everybody, before it said no.
    """
    call = getattr(_libc, "fallocate", None)
    if size_bytes <= 0 or call is None:
        return False
    free = os.fstatvfs(descriptor)
    if free.f_blocks and size_bytes > free.f_bavail * free.f_frsize:
        raise failure(errno.ENOSPC)
    while call(ctypes.c_int(descriptor), ctypes.c_int(0), ctypes.c_int64(0), ctypes.c_int64(size_bytes)) != 0:
        number = ctypes.get_errno()
        if number == errno.EINTR:
            continue
        if number in {errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EINVAL}:
            return False
        raise failure(number)
    return True


def write_all(descriptor: int, data: memoryview, offset: int) -> None:
    """pwrite the whole of `data` at `offset`."""
    while data:
        count = os.pwrite(descriptor, data, offset)
        data = data[count:]
        offset += count


def read_full(descriptor: int, buffer: memoryview, offset: int) -> int:
    """pread until `buffer` is full or the file ends; returns the count."""
    filled = 0
    while filled < len(buffer):
        count = os.preadv(descriptor, [buffer[filled:]], offset + filled)
        if count == 0:
            break
        filled += count
    return filled


def give(descriptor: int, owner: int, group: int) -> bool:
    """fchown; False where this process may not, or the file system or user namespace knows no such owner."""
    try:
        os.fchown(descriptor, owner, group)
    except OSError as error:
        if error.errno in {errno.EPERM, errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}:
            return False
        raise
    return True


def open_own(directory: int, name: bytes, flags: int) -> int:
    """Open a file of ours whose permissions shut out even us; they are the same afterwards. Links are refused.

    Raises OSError, PermissionError also where it is not ours.
    """
    held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        path = f"/proc/self/fd/{held}"  # the very file, whatever the name leads to by now
        mode = os.fstat(held).st_mode
        if not stat.S_ISREG(mode):
            raise failure(errno.EACCES, name)
        os.chmod(path, 0o600)
        try:
            return os.open(path, flags & ~os.O_NOFOLLOW)
        finally:
            os.chmod(path, stat.S_IMODE(mode))
    finally:
        os.close(held)


def try_lock(descriptor: int) -> bool:
    """Take the exclusive flock if nobody holds it. True also where the file system has no locks at all."""
    try:
        must_lock(descriptor)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.EOPNOTSUPP}:  # Lustre without -o flock: `attempt` still fences
            return True
        raise
    return True


def must_lock(descriptor: int) -> None:
    """Take the exclusive flock. BlockingIOError if another holds it, OSError where there are no locks."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@functools.cache
def umask() -> int:
    """This process's umask, read without changing it."""
    try:
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(b"Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    current = os.umask(0o022)  # /proc is not there: the classical way, once
    os.umask(current)
    return current
