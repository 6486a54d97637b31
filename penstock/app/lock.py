"""The lock that makes a service the only one on its HOME.

An flock on `service.lock`, held as long as the process lives; the kernel lets go of it, whatever end the process takes.
Whoever only asks whether a service runs holds it for an instant, so a starting service tries a few times.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from penstock.errors import HomeInUseError
from penstock.settings.home import Home

TRIES = 5
BETWEEN_TRIES_S = 0.05


@contextlib.contextmanager
def service_lock(home: Home) -> Iterator[None]:
    """Holds HOME for this process. Raises HomeInUseError at once when another process holds it."""
    descriptor = os.open(home.service_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _taken(descriptor):
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            raise HomeInUseError(
                f"{home.path} is in use by another service{f' (process {holder})' if holder else ''}; stop that one first"
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    for _ in range(TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(BETWEEN_TRIES_S)
        else:
            return True
    return False


def service_runs(home: Home) -> bool:
    """Whether some process holds HOME now."""
    try:
        descriptor = os.open(home.service_lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
