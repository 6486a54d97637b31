"""Resolving a path beneath a directory: it never leads out of it, whatever links it meets, and whoever renames meanwhile.

By openat2 where the kernel has it, else one component at a time. Calls libc and the kernel only; fails with `OSError`.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import stat
import struct
from collections import deque
from collections.abc import Callable

from penstock.transfer.posix import failure

LINKS_MAX = 40
"""Symbolic links followed in one resolution, as the kernel's own limit."""

_AGAIN_MAX = 64  # openat2 answers EAGAIN while something beneath is being renamed
_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_OPEN_HOW = struct.Struct("=QQQ")

# Types told once: wrapping each argument of each call costs more than the call itself.
_syscall = ctypes.CDLL(None, use_errno=True)["syscall"]
_syscall.restype = ctypes.c_long
_syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t)

Opener = Callable[[int, bytes, int], int]
"""Opens a relative path with flags beneath a directory descriptor: `open_beneath` or `walk_beneath`."""


def default_opener() -> Opener:
    """openat2 where the kernel has it, else the walk."""
    return open_beneath if has_openat2() else walk_beneath


@functools.cache
def has_openat2() -> bool:
    """Whether this kernel (and its sandbox) offers openat2."""
    try:
        os.close(_openat2(-100, b".", os.O_PATH | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _openat2(directory: int, path: bytes, flags: int) -> int:
    if b"\0" in path:
        raise failure(errno.EINVAL, path.replace(b"\0", b"?"))
    how = _OPEN_HOW.pack(flags | os.O_CLOEXEC, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    descriptor = _syscall(_OPENAT2, directory, path, how, len(how))
    if descriptor < 0:
        raise failure(ctypes.get_errno(), path)
    return int(descriptor)


def open_beneath(directory: int, path: bytes, flags: int) -> int:
    """Open `path` with openat2, never leaving `directory`: EXDEV if it would, ELOOP for too many or magic links."""
    for _ in range(_AGAIN_MAX):
        try:
            return _openat2(directory, path, flags)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EINTR}:
                raise
    raise failure(errno.EAGAIN, path)


def walk_beneath(directory: int, path: bytes, flags: int) -> int:
    """The same without openat2: one component at a time over held descriptors, links read and resolved by hand."""
    if b"\0" in path:
        raise failure(errno.EINVAL, path.replace(b"\0", b"?"))
    if path.startswith(b"/"):
        raise failure(errno.EXDEV, path)
    if not path:
        raise failure(errno.ENOENT, path)
    walk = _Walk(directory, path, flags | os.O_CLOEXEC)
    try:
        return walk.run()
    finally:
        walk.close()


class _Walk:
    """One resolution: the descriptors of the levels passed, the components still to come."""

    def __init__(self, directory: int, path: bytes, flags: int) -> None:
        self.path = path
        self.flags = flags
        self.levels = [os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)]
        self.ahead: deque[bytes] = deque(path.split(b"/"))
        self.links = 0

    def close(self) -> None:
        for level in self.levels:
            os.close(level)

    def run(self) -> int:
        while self.ahead:
            name = self.ahead.popleft()
            last = not any(self.ahead)  # empty components ("a/", "a//b") name nothing, but ask for a directory
            if name in {b"", b"."}:
                continue
            if name == b"..":
                self._up()
                continue
            child = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.levels[-1])
            kept = False
            try:
                mode = os.fstat(child).st_mode
                if stat.S_ISLNK(mode) and not (last and not self.ahead and self.flags & os.O_NOFOLLOW):
                    self._follow(child)
                elif last:
                    return self._open_last(name, mode)
                elif not stat.S_ISDIR(mode):
                    raise failure(errno.ENOTDIR, self.path)
                else:
                    self.levels.append(child)
                    kept = True
            finally:
                if not kept:
                    os.close(child)
        return os.open(".", self.flags & ~os.O_NOFOLLOW, dir_fd=self.levels[-1])

    def _up(self) -> None:
        if len(self.levels) == 1:
            raise failure(errno.EXDEV, self.path)
        os.close(self.levels.pop())

    def _follow(self, link: int) -> None:
        self.links += 1
        if self.links > LINKS_MAX:
            raise failure(errno.ELOOP, self.path)
        target = os.readlink(b"", dir_fd=link)
        if target.startswith(b"/"):
            raise failure(errno.EXDEV, self.path)
        self.ahead.extendleft(reversed(target.split(b"/")))

    def _open_last(self, name: bytes, mode: int) -> int:
        wants_directory = bool(self.ahead) or bool(self.flags & os.O_DIRECTORY)
        if wants_directory and not stat.S_ISDIR(mode):
            raise failure(errno.ENOTDIR, self.path)
        # O_NOFOLLOW: should a link slip in now, it is refused instead of followed.
        return os.open(name, self.flags | os.O_NOFOLLOW, dir_fd=self.levels[-1])
