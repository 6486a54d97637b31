"""How long a file has to rest until its time stamps can prove that it was not changed: how fine they are, and by whose clock.

Calls the kernel, through `posix`, and only where another machine stamps. A file system tells by each stamp how fine it is: where
seconds are counted every change time is a whole one, and nobody can set it. So nothing has to be known beforehand, and nothing is
remembered of a mount that may be exchanged.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from penstock.transfer import posix
from penstock.transfer.mark import MARK_FILE
from penstock.transfer.posix import FileState

TICK_NS = 100_000_000
"""Kernels stamp by the tick of a clock (1 to 16 ms): so much later a change bears another stamp, however fine those are."""

_SECOND_NS = 1_000_000_000
_FAT_NS = 2 * _SECOND_NS
_FAT_TYPES = frozenset({"msdos", "vfat"})
_ELSEWHERE_NS = (
    2 * _SECOND_NS
)  # by so much the clocks of the machines that stamp may differ from the one that was asked
_UNTOLD_NS = 300 * _SECOND_NS  # and by so much from ours, where none can be asked
_OLD_NS = 86_400 * _SECOND_NS  # whatever is older is not asked about: no server's clock is wrong by a day
_ASKED_AGAIN_S = 60.0


def are_whole_seconds(state: FileState) -> bool:
    """Whether it lies where only seconds are kept, as ext3, ext4 with inodes of 128 bytes, FAT, HFS+ and some servers do.

    By its change time, which is the kernel's alone: a modification time of a whole second may have been set. One file in 10^9
    has it by chance.
    """
    return state.change_ns % _SECOND_NS == 0


class Stamps:
    """The stamps of one root's file system. Safe to share between threads.

    `near` tells the type of the file system on a device if this kernel stamps there, else "". `directory` tells the root's
    descriptor: the clock of another machine is asked by touching the root's mark, at most once a minute, and only for a file
    that is younger than a day.
    """

    def __init__(
        self, near: Callable[[int], str], directory: Callable[[int], int], monotonic: Callable[[], float]
    ) -> None:
        self._near = near
        self._directory = directory
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._lead_ns: int | None = None
        self._asked_s: float | None = None

    def rest_ns(self, state: FileState, now_ns: Callable[[], int]) -> int:
        """How long the file has to look the same from now on, until another change is sure to bear another stamp; 0: it has.

        `now_ns` is the clock of this machine's kernel.
        """
        asked_ns = now_ns()
        near = self._near(state.device)
        if near:
            latest_ns = _latest(state, asked_ns)
            whole_ns = TICK_NS + _grain_ns(latest_ns, near)
            return max(0, min(whole_ns, whole_ns - (asked_ns - latest_ns)))
        if asked_ns - _latest(state, asked_ns + _OLD_NS) >= _OLD_NS:
            return 0
        lead_ns = self._lead(state.device, now_ns)
        there_ns = asked_ns + (lead_ns or 0)
        doubt_ns = _UNTOLD_NS if lead_ns is None else _ELSEWHERE_NS
        latest_ns = _latest(state, there_ns + doubt_ns)
        whole_ns = TICK_NS + _grain_ns(latest_ns, near)
        # The wait proves it whatever their clock says: they count on meanwhile.
        return whole_ns if there_ns - latest_ns < whole_ns + doubt_ns else 0

    def forget(self) -> None:
        """Another file system may be there now."""
        with self._lock:
            self._asked_s = None

    def _lead(self, device: int, now_ns: Callable[[], int]) -> int | None:
        """By how much the clock that stamps is ahead of ours, at least (behind: less than 0); None where it cannot be asked."""
        directory = self._directory(device)
        if directory < 0:
            return None
        with self._lock:
            if self._asked_s is None or self._monotonic() - self._asked_s >= _ASKED_AGAIN_S:
                self._lead_ns = _ask(directory, now_ns)
                self._asked_s = self._monotonic()
            return self._lead_ns


def _ask(directory: int, now_ns: Callable[[], int]) -> int | None:
    """None where the mark is not there, or not ours to touch."""
    try:
        os.utime(MARK_FILE, dir_fd=directory, follow_symlinks=False)  # without a time: whoever stamps takes its own
        stamped_ns = posix.look(directory, MARK_FILE.encode()).change_ns
    except OSError:
        return None
    return stamped_ns - now_ns()


def _latest(state: FileState, now_ns: int) -> int:
    """The last change that the stamps tell of: some servers tell no change time, or that of the file's birth.

    A modification time that is still to come was set by somebody. `now_ns` is the latest that it may be by the clock that stamps.
    """
    return max(state.change_ns, state.modify_ns) if state.modify_ns <= now_ns else state.change_ns


def _grain_ns(stamp_ns: int, near: str) -> int:
    """How long all changes may bear this very stamp, beyond the tick. FAT keeps even seconds only, and so may a server."""
    if stamp_ns % _SECOND_NS:
        return 0
    may_be_fat = near in _FAT_TYPES or not near
    return _FAT_NS if may_be_fat and stamp_ns % _FAT_NS == 0 else _SECOND_NS
