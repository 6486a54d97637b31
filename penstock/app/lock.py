"""The lock that makes a service the only one on its HOME, under whatever path, and on no copy of it.

An flock on `service.lock` and one on HOME itself, held as long as the process lives; the kernel lets go of them, whatever end
the process takes. The file tells others who holds it. The directory cannot be taken for a stale lock and removed.
Whoever only asks whether a service runs holds them for an instant, so a starting service tries a few times.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import HomeInUseError
from penstock.settings.home import Home

TRIES = 5
BETWEEN_TRIES_S = 0.05
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ_MAX_BYTES = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    """What a service writes into its lock: its process, where HOME was, the inode of the lock; "" each where nobody wrote."""

    process: str
    path: str
    inode: str

    @property
    def words(self) -> str:
        return f" (process {self.process})" if self.process else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldHome:
    """HOME while this process holds it; `directory` is a descriptor of it."""

    home: Home
    directory: int

    def is_elsewhere(self) -> bool:
        """Whether its path leads to another directory by now: it was moved, and something was put in its place.

        While nothing is found there (it was moved, a network is down) it is taken for the same.
        """
        try:
            return not os.path.samestat(os.stat(self.home.path), os.fstat(self.directory))
        except OSError:
            return False


@contextlib.contextmanager
def service_lock(home: Home) -> Iterator[HeldHome]:
    """Holds HOME for this process. Raises HomeInUseError at once when another process holds it, or what it is a copy of."""
    with contextlib.ExitStack() as stack:
        descriptor = os.open(home.service_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stack.callback(os.close, descriptor)
        directory = os.open(home.path, _DIRECTORY)
        stack.callback(os.close, directory)
        if not _taken(descriptor) or not _taken_if_offered(directory):
            holder = _read(descriptor)
            raise HomeInUseError(
                f"{home.path} is in use by another service{holder.words}; stop that one first, or make a HOME of its own"
                " for this one with penstock init"
            )
        inode = str(os.fstat(descriptor).st_ino)
        _refuse_copy(home, inode, _read(descriptor))
        os.ftruncate(descriptor, 0)
        words = f"{os.getpid()}\n{home.path.resolve()}\n{inode}\n"
        os.pwrite(descriptor, words.encode("utf-8", "surrogateescape"), 0)
        yield HeldHome(home=home, directory=directory)


def service_runs(home: Home) -> bool:
    """Whether some process holds HOME now."""
    return _is_held(home.service_lock, os.O_RDWR | os.O_CLOEXEC) or _is_held(home.path, _DIRECTORY)


def _refuse_copy(home: Home, inode: str, last: _Holder) -> None:
    """HOME was copied from where `last` served it, and a service runs there: both have the same unfinished sub-tasks.

    Raises HomeInUseError. A HOME that was moved, or whose original is stopped or gone, is as good as any.
    """
    if not last.path or last.inode == inode:
        return
    original = Home(path=Path(last.path))
    try:
        is_there = str(original.service_lock.stat().st_ino) == last.inode
    except OSError:
        return
    if is_there and service_runs(original):
        raise HomeInUseError(
            f"{home.path} is a copy of {original.path}, whose service{last.words} runs: both would do the same unfinished"
            " work. Stop that service first, or make a new HOME with penstock init"
        )


def _read(descriptor: int) -> _Holder:
    lines = os.pread(descriptor, _READ_MAX_BYTES, 0).decode("utf-8", "surrogateescape").split("\n")
    process, path, inode = (*lines, "", "")[:3]
    return _Holder(process=process.strip(), path=path, inode=inode)


def _taken(descriptor: int) -> bool:
    for _ in range(TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(BETWEEN_TRIES_S)
        else:
            return True
    return False


def _taken_if_offered(directory: int) -> bool:
    """As `_taken`; also where directories cannot be locked, as on NFS: the file has to do there."""
    try:
        return _taken(directory)
    except OSError:
        return True


def _is_held(path: Path, flags: int) -> bool:
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # directories cannot be locked there
        return False
    finally:
        os.close(descriptor)
    return False
