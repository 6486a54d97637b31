"""Small disks of a soak: one under HOME, and one whose mount goes away, comes back, or may not be written to.

As ext4 in a file where root may mount such, else in memory, where the kernel lets us mount at all. Needs nothing but `mount`;
whoever asks for disks sees to it that they are unmounted in the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.fixtures.mounts import did, must, unmount
from tests.fixtures.smalldisk import SmallDisk
from tests.fixtures.waiting import wait_until

HOME_MIB = 1024
HOME_IN_MEMORY_MIB = 384
LOOSE_MIB = 320
BUSY_S = 3.0
WRITTEN_BYTES = 1 << 20


class NoDiskError(Exception):
    """This machine lets us mount nothing; the words say why."""


def make_disk(directory: Path, name: str, *, size_mib: int, in_memory_mib: int, inode_bytes: int = 256) -> SmallDisk:
    """An empty one, mounted at `name` in `directory`. Where inodes have 128 bytes, time stamps have whole seconds.

    Raises NoDiskError.
    """
    image, point = directory / f"{name}.image", directory / name
    point.mkdir()
    with image.open("wb") as file:
        file.truncate(size_mib << 20)
    trouble = did("mkfs.ext4", "-q", "-m", "0", "-I", str(inode_bytes), "-F", str(image)) or did(
        "mount", "-o", "loop", str(image), str(point)
    )
    if trouble:
        image.unlink()
        trouble = did("mount", "-t", "tmpfs", "-o", f"size={in_memory_mib}m,mode=755", "none", str(point))
    if trouble:
        point.rmdir()
        raise NoDiskError(trouble)
    for left in point.iterdir():  # lost+found: HOME has to be empty
        left.rmdir()
    return SmallDisk(inside=point, path=point, enter=())


def fill(disk: SmallDisk, *, but_bytes: int = 0) -> None:
    """Leave so much room, in no time: all but the last of it is only reserved."""
    disk.fill(but_bytes=max(but_bytes, WRITTEN_BYTES))
    if not but_bytes:
        disk.fill()


@dataclass(slots=True, kw_only=True)
class LooseDisk:
    """A disk that is seen at `files` by whoever wants to know, and at `root`, for as long as that is mounted, by the service."""

    disk: SmallDisk
    root: Path

    @property
    def files(self) -> Path:
        """Where it is always seen."""
        return self.disk.path

    def go(self) -> None:
        """The mount leaves its path, as when an administrator takes it away below whoever uses it."""
        unmount(self.root)

    def come(self) -> None:
        """It is back."""
        must("mount", "--bind", str(self.files), str(self.root))

    def allow_writing(self) -> None:
        """It may be written to again."""
        must("mount", "-o", "remount,bind,rw", str(self.root))

    def forbid_writing(self) -> None:
        """It is read-only: at once, or, if that cannot be for all that is written just now, by another mount in its place."""
        try:
            wait_until(
                lambda: not did("mount", "-o", "remount,bind,ro", str(self.root)), BUSY_S, "it is always written to"
            )
        except TimeoutError:
            self.go()
            must("mount", "-o", "bind,ro", str(self.files), str(self.root))

    def beneath(self) -> list[str]:
        """What lies at the mount point while nothing is mounted there."""
        return sorted(path.name for path in self.root.iterdir())


def make_loose_disk(directory: Path) -> LooseDisk:
    """One that is mounted in both places, with stamps of whole seconds. Raises NoDiskError."""
    disk = make_disk(directory, "disk", size_mib=LOOSE_MIB, in_memory_mib=LOOSE_MIB, inode_bytes=128)
    root = directory / "loose"
    root.mkdir()
    made = LooseDisk(disk=disk, root=root)
    made.come()
    return made
