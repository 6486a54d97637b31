"""Files that may be complete, waiting until they were quiet for a while: bounded, first come first served."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
from dataclasses import dataclass
from itertools import islice

from penstock.cli.memory import Stamp

WAITING_MAX = 20_000
LOOK_AGAIN_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """What it was when it was last looked at, and when to look again."""

    stamp: Stamp
    due_s: float


class Settling:
    """Names beneath `top`, each with what it was when last looked at. `spilled` tells that there were too many: walk again."""

    def __init__(self, top: str, *, quiet_s: float) -> None:
        self._top = top
        self._quiet_s = quiet_s
        self._waiting: dict[str, _Waiting] = {}
        self.spilled = False

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, name: str) -> bool:
        return name in self._waiting

    def add(self, name: str, stamp: Stamp, now_s: float) -> None:
        """It was written to, or found; its time begins anew."""
        if name not in self._waiting and len(self._waiting) >= WAITING_MAX:
            self.spilled = True
            return
        self._waiting.pop(name, None)  # so that the first is the one that waits longest
        self._waiting[name] = _Waiting(stamp=stamp, due_s=now_s + self._quiet_s)

    def next_s(self, now_s: float) -> float:
        """In how many seconds the first may be ready."""
        first = next(iter(self._waiting.values()), None)
        return math.inf if first is None else max(0.0, first.due_s - now_s)

    def ready(self, now_s: float, most: int) -> list[tuple[str, Stamp]]:
        """Those that were quiet, are no longer written to by anybody on this machine, and are still what they were."""
        found: list[tuple[str, Stamp]] = []
        for name, waited in list(islice(self._waiting.items(), max(0, most))):
            if waited.due_s > now_s:
                break
            del self._waiting[name]
            path = os.path.join(self._top, name)
            try:
                stamp = Stamp.of(os.lstat(path))
            except OSError:
                continue  # it is gone
            if stamp != waited.stamp or is_written(path):
                self._waiting[name] = _Waiting(stamp=stamp, due_s=now_s + max(self._quiet_s, LOOK_AGAIN_S))
            else:
                found.append((name, stamp))
        return found


def is_written(path: str) -> bool:
    """Whether some process of this machine has the file open for writing: then the kernel gives no lease to read it.

    False where that cannot be told: on other machines' file systems, and of other people's files.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    else:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
    finally:
        os.close(descriptor)
