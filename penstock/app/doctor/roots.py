"""Looks at the root of a file system from a process of its own, because a dead mount answers nobody and lets nobody go.

Is it the directory that was registered, can it be written to, how much room is there, what can its file system do, what was left
lying there. Writes probe files, `.penstock-probe-*`, in the root, and removes them.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass

from penstock.app.doctor.findings import Finding, Grade, ok, problem, size_in_words, warning
from penstock.app.surveying import Survey, survey
from penstock.errors import TransferError
from penstock.model import FileSystem
from penstock.settings.home import Home
from penstock.transfer.aside import ASIDE
from penstock.transfer.root import Root

LIMIT_S = 10.0
WALK_S = 4.0
WALK_MAX = 200_000
OLD_S = 7 * 86_400
FREE_LITTLE = 0.02
_HELPER = re.compile(rb"\.penstock-[0-9a-f]{16}\.(partial|journal)")
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RootLook:
    """What another process has seen. `trouble` empty: it is usable. Sizes in bytes; `left` are old helper files, by path."""

    trouble: str = ""
    kind: str = ""
    source: str = ""
    is_read_only: bool = False
    free_bytes: int = 0
    size_bytes: int = 0
    free_files: int = 0
    files: int = 0
    survey: Survey | None = None
    left: tuple[str, ...] = ()
    looked_at_all: bool = True


def look_at_root(home: Home, file_system: FileSystem) -> Iterator[Finding]:
    """All of it, within `LIMIT_S`."""
    about = f"file system {file_system.file_system_id}"
    try:
        found = ASIDE.ask(_look, file_system, time.time(), limit_s=LIMIT_S)
    except TimeoutError as error:
        yield problem(
            about,
            f"{file_system.root}: {error}. Who looks there hangs, and so do its files; others go on",
            f"see whether its server is there; else umount --force {shlex.quote(file_system.mount_point or file_system.root)}",
        )
        return
    if found.trouble:
        mend = f"mount it; or, if this is the right one: penstock filesystem confirm {shlex.quote(str(home.path))}"
        yield problem(about, found.trouble, f"{mend} {file_system.file_system_id}")
        return
    told = [*_room(about, home, file_system, found), *_skills(about, file_system, found), *_left(about, found)]
    yield from told
    where = f"{found.kind} from {found.source}" if found.kind else "its mount is not told"
    if not any(each.grade is not Grade.OK for each in told):
        yield ok(about, f"{file_system.root} is what it was ({where}), {size_in_words(found.free_bytes)} are free")


def _room(about: str, home: Home, file_system: FileSystem, found: RootLook) -> Iterator[Finding]:
    if found.is_read_only:
        yield warning(
            about,
            f"{file_system.root} is mounted read-only: exports work, imports wait",
            f"mount -o remount,rw {shlex.quote(file_system.mount_point or file_system.root)}",
        )
    if found.size_bytes and found.free_bytes < found.size_bytes * FREE_LITTLE:
        yield warning(
            about, f"{size_in_words(found.free_bytes)} of {size_in_words(found.size_bytes)} are free", "free some space"
        )
    if found.files and found.free_files < found.files * FREE_LITTLE:
        yield warning(about, f"{found.free_files:,} of {found.files:,} files (inodes) are free", "remove some files")
    if not file_system.mark and not found.is_read_only:
        yield warning(
            about,
            "its root carries no mark: it is known by what is mounted there, and by nothing else",
            "give the service's user the right to write there, then: "
            f"penstock filesystem confirm {shlex.quote(str(home.path))} {file_system.file_system_id}",
        )


def _skills(about: str, file_system: FileSystem, found: RootLook) -> Iterator[Finding]:
    if found.survey is None or found.is_read_only:
        return
    if found.survey.untried:
        yield problem(
            about,
            f"no file can be made in {file_system.root}: {found.survey.untried}",
            "give the service's user the right to write there, or free some space",
        )
    for lack in found.survey.lacks:
        yield warning(about, lack)


def _left(about: str, found: RootLook) -> Iterator[Finding]:
    if found.left:
        names = ", ".join(found.left[:_SHOWN]) + (
            f" and {len(found.left) - _SHOWN} more" if len(found.left) > _SHOWN else ""
        )
        yield warning(
            about,
            f"unfinished files that nobody has written to for a week: {names}",
            "if no sub-task of theirs is RUNNING or CANCELING (penstock subtask list), remove them",
        )


def _look(file_system: FileSystem, now_s: float) -> RootLook:
    """In the other process. Raises nothing."""
    try:
        root = Root.open(file_system)
    except TransferError as error:
        return RootLook(trouble=str(error))
    try:
        room = os.fstatvfs(root.descriptor)
        mount, read_only = root.mount, bool(room.f_flag & os.ST_RDONLY)
        left, looked_at_all = _helpers(file_system.root, now_s)
        return RootLook(
            kind=mount.kind if mount else "",
            source=mount.source if mount else "",
            is_read_only=read_only,
            free_bytes=room.f_bavail * room.f_frsize,
            size_bytes=room.f_blocks * room.f_frsize,
            free_files=room.f_favail,
            files=room.f_files,
            survey=None if read_only else survey(file_system),
            left=left,
            looked_at_all=looked_at_all,
        )
    except OSError as error:
        return RootLook(trouble=f"{file_system.root}: {error.strerror or error}")
    finally:
        root.close()


def _helpers(root: str, now_s: float) -> tuple[tuple[str, ...], bool]:
    """Helper files that are a week old, as far as `WALK_S` and `WALK_MAX` take; whether all was looked at."""
    until_s, seen = time.monotonic() + WALK_S, 0
    found: list[str] = []
    directories = [os.fsencode(root)]
    while directories:
        try:
            with os.scandir(directories.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if seen > WALK_MAX or time.monotonic() > until_s:
                        return tuple(sorted(found)), False
                    if entry.is_dir(follow_symlinks=False):
                        directories.append(entry.path)
                    elif _HELPER.fullmatch(entry.name) and now_s - entry.stat(follow_symlinks=False).st_mtime > OLD_S:
                        found.append(os.fsdecode(entry.path))
        except OSError:  # gone meanwhile, or not ours to read
            continue
    return tuple(sorted(found)), True
