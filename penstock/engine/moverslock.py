"""The lock that proves that no mover lives: each mover holds it shared from birth to death, a new service takes it alone.

The shared lock is taken before the mover is started and inherited by it, so there is no moment in which a mover lives without it.
Nothing but a process's end gives it up: not even a control process that is killed while its movers go on.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from penstock.errors import HomeInUseError

LOOK_EVERY_S = 0.02
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


def take_shared(path: Path) -> int:
    """An open descriptor with the shared lock, to be inherited by a mover. Raises HomeInUseError."""
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise HomeInUseError(f"{path} is locked: another service is starting on this HOME") from error
    return descriptor


@asynccontextmanager
async def taken_alone(path: Path, *, wait_s: float) -> AsyncIterator[None]:
    """Hold the lock alone: no mover lives. Raises HomeInUseError when one has not gone within `wait_s`."""
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        await _locked(descriptor, path, wait_s)
        yield
    finally:
        os.close(descriptor)


async def _locked(descriptor: int, path: Path, wait_s: float) -> None:
    loop = asyncio.get_running_loop()
    end_s = loop.time() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if loop.time() >= end_s:
                raise HomeInUseError(
                    f"a mover process of an earlier service ({_holders(path)}) still holds {path} after {wait_s:g} s: it hangs "
                    "in the file system or was stopped; end it (kill -KILL) and start again. Removing the file would not end it, "
                    "and two would move the same files"
                ) from error
        else:
            return
        await asyncio.sleep(LOOK_EVERY_S)


def _holders(path: Path) -> str:
    """Which other processes have the lock open, in words, as far as we may look; nobody is touched."""
    lock = path.stat()
    others = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    found = [str(pid) for pid in sorted(others) if _has_open(pid, lock)]
    return f"process {', '.join(found)}" if found else "`fuser` shows its process id"


def _has_open(pid: int, lock: os.stat_result) -> bool:
    try:
        with os.scandir(f"/proc/{pid}/fd") as links:
            return any(os.path.samestat(link.stat(), lock) for link in links)
    except OSError:  # it has ended or closed something meanwhile, or is not ours to look into
        return False
