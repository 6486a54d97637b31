"""The mount table: what a directory lies on, and which files of which file systems can be reached through it.

Reads `/proc/self/mountinfo` and asks the kernel; changes nothing. Where this kernel tells no mount ids there is nothing to tell.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from penstock.transfer import posix

_MOUNTINFO = "/proc/self/mountinfo"
_ESCAPES = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"))
_OF_THE_KERNEL = frozenset(
    {
        "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "fusectl", "mqueue",
        "nsfs", "proc", "pstore", "securityfs", "sysfs", "tracefs",
    }
)  # fmt: skip
"""Kinds that hold nobody's files; one of them is often mounted in several places."""

_PARTS_UNTOLD = frozenset({"nfs", "nfs4"})
"""Kinds for which the table writes `/` whatever part is mounted, and one device for several exports of a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of the table. `point` is where it is mounted, `part` the part of its file system that is seen there.

    `source` is written as findmnt writes it (`/dev/vda`, of a bind mount `/dev/vda[/part]`).
    """

    kind: str
    source: str
    point: str
    device: str
    part: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A directory by where its files really lie: the same for each of the places at which it is mounted."""

    device: str
    path: PurePosixPath

    def holds(self, other: Spot) -> bool:
        """Whether the other one is this directory or lies in it."""
        return self.device == other.device and other.path.is_relative_to(self.path)


def mount_of(state: posix.FileState) -> Mount | None:
    """The mount on which something lies; None where that is not told."""
    wanted = str(state.mount_id)
    return next((mount for number, mount in _table() if number == wanted), None) if state.mount_id else None


def describe_mount(path: str) -> Mount | None:
    """The mount that `path` lies on; None where that is not told. Raises OSError if there is no such path."""
    return mount_of(posix.look_path(os.fsencode(path)))


def mount_at(path: str) -> Mount | None:
    """The mount on which an absolute path lies by its words alone: no link is followed, nothing asked that may hang."""
    whole = PurePosixPath(path)
    found: Mount | None = None
    for _, mount in _table():
        if whole.is_relative_to(mount.point) and (found is None or len(mount.point) >= len(found.point)):
            found = mount  # of several at one point the last one lies on top
    return found


def mounts_of_process(directory: str) -> Mapping[str, Mount]:
    """The mounts that another process sees, by their number; `directory` is its own in /proc. Raises OSError."""
    return dict(_lines(f"{directory}/mountinfo"))


def mounts_here() -> Mapping[str, Mount]:
    """The mounts that this process sees, by their number."""
    return dict(_table())


def spot_of(path: str) -> Spot | None:
    """Where the files of a directory really lie, links followed; None where that is not told. Raises OSError."""
    mount = describe_mount(path)
    return None if mount is None else _spot(mount, os.path.realpath(path))


def spot_at(path: str) -> Spot | None:
    """The same by the path's words alone, as `mount_at`."""
    mount = mount_at(path)
    return None if mount is None else _spot(mount, path)


def spots_beneath(path: str) -> tuple[Spot, ...]:
    """What is mounted further down in a directory, whose path has no links."""
    real = PurePosixPath(path)
    return tuple(
        Spot(device=mount.device, path=PurePosixPath(mount.part))
        for _, mount in _table()
        if mount.kind not in _OF_THE_KERNEL | _PARTS_UNTOLD and real in PurePosixPath(mount.point).parents
    )


def _spot(mount: Mount, path: str) -> Spot | None:
    whole, point = PurePosixPath(path), PurePosixPath(mount.point)
    if mount.kind in _PARTS_UNTOLD or not whole.is_relative_to(point):
        return None
    return Spot(device=mount.device, path=PurePosixPath(mount.part) / whole.relative_to(point))


def _table() -> Iterator[tuple[str, Mount]]:
    """Each mount with its number; nothing where there is no table."""
    try:
        yield from _lines(_MOUNTINFO)
    except FileNotFoundError:
        return


def _lines(path: str) -> Iterator[tuple[str, Mount]]:
    with open(path, encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            fields = line.split()
            if len(fields) > 6 and "-" in fields[6:]:
                yield fields[0], _mount(fields)


def _mount(fields: list[str]) -> Mount:
    kind, source = fields[fields.index("-", 6) + 1 :][:2]
    part = _plain(fields[3])
    return Mount(
        kind=kind,
        source=_plain(source) + ("" if part == "/" else f"[{part}]"),
        point=_plain(fields[4]),
        device=fields[2],
        part=part,
    )


def _plain(field: str) -> str:
    """The table writes blanks and backslashes as octal."""
    for code, character in _ESCAPES:
        field = field.replace(code, character)
    return field
