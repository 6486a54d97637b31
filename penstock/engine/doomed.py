"""Processes that were killed and are still there, because a call of theirs hangs in the kernel: and what they can still do.

A killed process runs no further code: each of its threads ends the call that it is in, if that ever comes back, and is gone. What
such a call changes comes, on the same mounted file system, before all that others do there later: the kernel holds the
directory's lock for it until then, and its locks on partial files too. Where its mount was taken away meanwhile nobody
keeps that order. Reads /proc; touches nobody, and no file system that may hang.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from penstock.transfer.mounts import mounts_here, mounts_of_process

ADVICE = "it was killed, and ends once its file system answers, or gives up: mend that, or abort its connection (umount --force)"
_KILLED = 1 << (signal.SIGKILL - 1)
_ENDED = frozenset("ZX")
_NO_FILES = ("/memfd:", "/[")
_PROC = "/proc"


def holders(lock: Path) -> list[int]:
    """Which other processes have that file open, as far as we may look."""
    others = [int(name) for name in os.listdir(_PROC) if name.isdigit() and int(name) != os.getpid()]
    state = lock.stat()
    return [pid for pid in sorted(others) if any(_is_file(link, lock.name, state) for link in _opened(pid))]


def locks_on(path: Path) -> int:
    """How many hold an flock on that file, as the kernel tells; 0 where it does not. Each mover has one of its own."""
    state = path.stat()
    wanted = f"{os.major(state.st_dev):02x}:{os.minor(state.st_dev):02x}:{state.st_ino}"
    try:
        lines = Path(f"{_PROC}/locks").read_text("ascii").splitlines()
    except OSError:
        return 0
    return sum(line.split()[1] == "FLOCK" and line.split()[5] == wanted for line in lines)


def does_nothing_more(pid: int) -> bool:
    """Whether it was killed, and all that its last calls can still change comes before what others change from now on."""
    try:
        states = {task: _state(task) for task in _tasks(pid)}
        if not states:
            return False
        left = [task for task, state in states.items() if state["State"][:1] not in _ENDED]
        return all(int(states[task]["SigPnd"], 16) & _KILLED and _is_where_we_are(task) for task in left)
    except OSError:  # it has ended meanwhile, or is not ours to look into: whoever asks looks again
        return False


def _tasks(pid: int) -> list[str]:
    """Its threads' directories: the first thread may have ended, and with it all that is told of the process itself."""
    try:
        return [f"{_PROC}/{pid}/task/{name}" for name in os.listdir(f"{_PROC}/{pid}/task")]
    except OSError:
        return []


def _state(task: str) -> Mapping[str, str]:
    lines = Path(task, "status").read_text("utf-8", "replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _is_where_we_are(task: str) -> bool:
    """Whether all that it has open lies on file systems that are mounted for it and for us."""
    theirs, devices = mounts_of_process(task), {mount.device for mount in mounts_here().values()}
    for name in os.listdir(f"{task}/fd"):
        target = os.readlink(f"{task}/fd/{name}")  # the name that the kernel has for it: the file system is not asked
        if not target.startswith("/") or target.startswith(_NO_FILES):
            continue
        mount = theirs.get(_mount_number(task, name))
        if mount is None or mount.device not in devices:
            return False
    return True


def _mount_number(task: str, descriptor: str) -> str:
    lines = Path(task, "fdinfo", descriptor).read_text("ascii").splitlines()
    return next((line.split()[1] for line in lines if line.startswith("mnt_id:")), "")


def _opened(pid: int) -> list[str]:
    """Links to what it has open: all its threads have the same, but for those that have ended."""
    for task in _tasks(pid):
        try:
            names = os.listdir(f"{task}/fd")
        except OSError:  # not ours to look into
            continue
        if names:
            return [f"{task}/fd/{name}" for name in names]
    return []


def _is_file(link: str, name: str, file: os.stat_result) -> bool:
    """Only what has the name is looked at: what lies in a mount that hangs must not be."""
    try:
        return name in os.readlink(link) and os.path.samestat(os.stat(link), file)
    except OSError:  # closed meanwhile
        return False
