"""Room for files that no disk here could hold: a sparse source of 1 TiB, and a file system that is larger than its disk.

The file system is ext4 on a sparse image; it takes root and a loop device. Its users must stop before the real disk is full.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.ending import scratch
from bench.scale import GIB, TIB

MEMORY = Path("/dev/shm")  # noqa: S108  (a hole takes no memory)
VIRTUAL_BYTES = 12 * TIB
INODES = 200_000
MAKE_S = 120


@contextlib.contextmanager
def sparse_object(objects: Path, name: str, size_bytes: int, *, copies: int) -> Iterator[None]:
    """One file of zeros that takes no room, as `copies` objects NAME/0, NAME/1, … for as long as the block lasts."""
    parent = MEMORY if MEMORY.is_dir() else objects
    folder = objects / name
    with scratch(parent) as directory:
        hole = directory / "hole"
        with hole.open("wb") as file:
            file.truncate(size_bytes)
        folder.mkdir()
        for number in range(copies):
            (folder / f"{number}").symlink_to(hole)
        try:
            yield
        finally:
            for number in range(copies):
                (folder / f"{number}").unlink()
            folder.rmdir()


@contextlib.contextmanager
def vast_file_system(directory: Path) -> Iterator[Path | None]:
    """Where 12 TiB seem to be free; None where such a file system cannot be had (no root, no loop device)."""
    image, place = directory / "vast.img", directory / "vast"
    place.mkdir()
    try:
        with image.open("wb") as file:
            file.truncate(VIRTUAL_BYTES)
        lazily = "lazy_itable_init=1,lazy_journal_init=1,nodiscard"
        made = _did("mkfs.ext4", "-q", "-F", "-E", lazily, "-J", "size=128", "-N", str(INODES), str(image))
        device = _device(image) if made else ""
        mounted = bool(device) and _did("mount", device, str(place))
        if device:  # right now: a device in use is freed with its last user, so that none is left should we be killed
            _did("losetup", "--detach", device)
        try:
            yield place if mounted else None
        finally:
            if mounted and not _did("umount", str(place)):
                _did("umount", "--lazy", str(place))
    finally:
        image.unlink(missing_ok=True)
        place.rmdir()


def taken_bytes(directory: Path) -> int:
    """What the image really takes on the disk below."""
    image = directory / "vast.img"
    return image.stat().st_blocks * 512 if image.exists() else 0


def spare_bytes(directory: Path) -> int:
    """What may be written there: half of what is free, 40 GiB at the most; a file system in memory has no more than that."""
    found = os.statvfs(directory)
    free = min(found.f_bavail * found.f_frsize // 2, 40 * GIB)
    if directory == MEMORY or MEMORY in directory.parents:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = min(free, int(lines["MemAvailable"].split()[0]) * 1024 // 2)
    return free


def _device(image: Path) -> str:
    """A loop device over the image; "" where there is none to be had.

    Past the page cache below where that is possible: else each flush of the file system in the image waits for all of the
    image's pages, gigabytes, which no real disk has in front of it.
    """
    for way in (("--direct-io=on",), ()):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            command = ["losetup", "--find", "--show", *way, str(image)]
            return subprocess.run(command, capture_output=True, text=True, timeout=MAKE_S, check=True).stdout.strip()
    return ""


def _did(*command: str) -> bool:
    """Whether a program could do it; what it says is of no interest."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=MAKE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
