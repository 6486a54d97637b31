"""Named failpoints: moments, right before and right after each step that changes anything, at which a test can have us killed.

Code says `failpoints.passing("rename")`, which does nothing (some 20 ns) unless a directory of traps was handed to the service
by a private environment variable. A trap is a file in it, `rename.3`: who passes that point for the third time dies there by
SIGKILL, or stands still by SIGSTOP. Its first line says which, and a line is added for each passing, that names the function.
Calls the kernel only; decides nothing about the files that move.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NoReturn, get_args

from penstock.errors import SettingsError

VARIABLE = "PENSTOCK_FAILPOINTS"
"""The environment variable of `penstock serve` that names the directory of traps. For tests; unset, nothing is armed."""

PASSES_MAX = 32
"""The largest number that a trap can have."""

_TRAP_MAX_BYTES = 1 << 16

STOP = "stop"
"""What stands in a trap that stops a process, as a file system that hangs does, instead of killing it."""

ControlPoint = Literal[
    "ledger.commit", "ledger.committed",  # a transaction with all that waited for it, before its callers hear of it
    "nonces.commit", "nonces.committed",  # of calls that only read
    "claim", "claimed",  # sub-tasks are RUNNING, no mover knows
    "leased",  # they were handed to a mover
    "checkpoint.keep", "checkpoint.kept",  # an export's record, before its mover hears of it
    "settle", "settled",  # what came of attempts
    "cancel.tell", "cancel.told",  # a mover is told to withdraw
]  # fmt: skip
"""Passed by the control process. Named by what is to be done, and by what has been done."""

MoverPoint = Literal[
    "request.send", "request.sent", "request.answered",  # to the store; the head of its answer
    "outcome.tell", "outcome.told",  # to the control process
    "directory.make", "directory.made",  # one level on the way to an imported file
    "directory.sync", "directory.synced",
    "partial.create", "partial.created",
    "partial.write", "partial.written",  # one buffer
    "partial.flush", "partial.flushed",  # in between, of a large file
    "partial.sync", "partial.synced",  # all of it, time and mode included
    "partial.remove", "partial.removed",
    "journal.create", "journal.created",
    "journal.write", "journal.written",  # one line
    "journal.sync", "journal.synced",
    "journal.remove", "journal.removed",
    "promise", "promised",  # the journal's word that the file is about to be published
    "rename", "renamed",  # the partial file takes the target's name
    "upload.intend", "upload.intended",  # the record of a multipart upload, before it is begun
    "upload.initiate", "upload.initiated",
    "upload.name", "upload.named",  # its id in the record
    "part.send", "part.sent",
    "upload.complete", "upload.completed",
    "upload.abort", "upload.aborted",
    "version.delete", "version.deleted",  # of our own, which is damaged or lies on one that was to stay
]  # fmt: skip
"""Passed by a mover."""

BesidePoint = Literal[
    "fileset.make", "fileset.made",  # its directory
    "fileset.remove", "fileset.removed",
    "filesystem.make", "filesystem.made", "filesystem.registered",  # its directory, its table in penstock.toml
    "filesystem.remove", "filesystem.removed",  # its directory
]  # fmt: skip
"""Passed by the control process, on no file's way."""

Point = ControlPoint | MoverPoint | BesidePoint
CONTROL_POINTS: tuple[ControlPoint, ...] = get_args(ControlPoint)
MOVER_POINTS: tuple[MoverPoint, ...] = get_args(MoverPoint)
BESIDE_POINTS: tuple[BesidePoint, ...] = get_args(BesidePoint)
POINTS: tuple[Point, ...] = (*CONTROL_POINTS, *MOVER_POINTS)
"""Those on the way of a file."""


def _unarmed(point: Point) -> None:
    """Go on."""


# Always called through the module, so that arming can put another function in its place.
passing: Callable[[Point], None] = _unarmed
"""Say that this process is at `point`. Returns, unless there is a trap."""


def arm(directory: str) -> None:
    """From now on look for traps in `directory`; an empty name arms nothing.

    Raises SettingsError when it is no directory, or holds a trap for a point that does not exist.
    """
    if not directory:
        return
    try:
        names = os.listdir(directory)
    except OSError as error:
        raise SettingsError(f"{VARIABLE}: {directory} cannot be read: {error.strerror}") from error
    for name in names:
        point, _, left = name.rpartition(".")
        if point not in (*POINTS, *BESIDE_POINTS) or not left.isascii() or not left.isdigit() or int(left) > PASSES_MAX:
            raise SettingsError(f"{VARIABLE}: {directory}/{name} is no trap: it is called POINT.NUMBER, as in rename.1")
    global passing  # noqa: PLW0603  (what is unarmed costs no look at anything)
    passing = _Traps(Path(directory)).passing


class _Traps:
    """The traps of one directory, shared by all processes that were armed with it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def passing(self, point: Point) -> None:
        """Count down the point's trap, if there is one; at 0 the process dies, or stops until somebody lets it go on.

        Counted by renaming, so that of many processes and threads exactly one gets to 0, and a process that is started anew
        goes on. The file that is left, with a 0, says that it happened.
        """
        passed = sys._getframe(1)  # noqa: SLF001  (whoever passes, without having to say so)
        place = f"{passed.f_globals['__name__']}:{passed.f_code.co_qualname}"
        for left in range(1, PASSES_MAX + 1):
            trap, sprung = self._directory / f"{point}.{left}", self._directory / f"{point}.{left - 1}"
            try:
                os.rename(trap, sprung)
            except FileNotFoundError:
                continue
            words = _told(sprung, place)
            if left == 1:
                _sprung(words)
            return


def _told(trap: Path, place: str) -> list[str]:
    """The trap's words, once it is told where it was passed. Whoever passes next may have renamed it by now: then it is not."""
    try:
        descriptor = os.open(trap, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        os.write(descriptor, f"\n{place}".encode())
        words, _, _ = os.pread(descriptor, _TRAP_MAX_BYTES, 0).decode().partition("\n")
        return words.split()
    finally:
        os.close(descriptor)


def _sprung(words: list[str]) -> None:
    """Do what the trap says."""
    if words != [STOP]:
        _die(words)
    # To this very thread: it takes no further step before all of the process stands still.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def _die(together_with: list[str]) -> NoReturn:
    """End at once, together with the processes that have these ids: a power cut takes a mover's service along."""
    for pid in together_with:
        os.kill(int(pid), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("killed")
