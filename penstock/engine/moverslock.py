"""The lock that proves that no mover lives: each mover holds it shared from birth to death, a new service takes it alone.

The shared lock is taken before the mover is started and inherited by it, so there is no moment in which a mover lives without it.
Nothing but a process's end gives it up: not even a control process that is killed while its movers go on. One that was killed
and hangs in a call of a dead mount does nothing any more but end that call, and holds up nobody for long.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from penstock import telemetry
from penstock.engine import doomed
from penstock.errors import HomeInUseError

LOOK_EVERY_S = 0.02
DOOMED_WAIT_S = 2.0
"""So long those that were killed are waited for, though they do nothing any more."""
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
    """Hold the lock alone: no mover lives, but for those that were killed and hang in a mount that is still there.

    Raises HomeInUseError when another one has not gone within `wait_s`.
    """
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        await _locked(descriptor, path, wait_s)
        yield
    finally:
        os.close(descriptor)


async def _locked(descriptor: int, path: Path, wait_s: float) -> None:
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    end_s, doomed_s = begun_s + wait_s, begun_s + min(wait_s, DOOMED_WAIT_S)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if loop.time() >= doomed_s:
                if _only_doomed_hold(path):
                    return
                doomed_s = min(end_s, loop.time() + DOOMED_WAIT_S)
            if loop.time() >= end_s:
                found = doomed.holders(path)
                who = f"process {', '.join(map(str, found))}" if found else "`fuser` shows its process id"
                raise HomeInUseError(
                    f"a mover process of an earlier service ({who}) still holds {path} after {wait_s:g} s: it hangs "
                    "in the file system or was stopped; end it (kill -KILL) and start again. Removing the file would not end it, "
                    "and two would move the same files"
                ) from error
        else:
            return
        await asyncio.sleep(LOOK_EVERY_S)


def _only_doomed_hold(path: Path) -> bool:
    """Whether whoever holds the lock was killed, and hangs in mounts that are still there."""
    found = doomed.holders(path)
    if len(found) != doomed.locks_on(path) or not all(map(doomed.does_nothing_more, found)):
        return False
    for pid in found:
        telemetry.event("executor.mover_hangs", process_id=pid, level=telemetry.Level.ERROR, advice=doomed.ADVICE)
    return True
