"""How much is measured: the full table, or a quick look of a few minutes. Plain values."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSet:
    """Files of one size. `name` is their directory; they lie in it, or in so many `folders` of it in turn."""

    name: str
    count: int
    size_bytes: int
    folders: int = 0

    @property
    def total_bytes(self) -> int:
        """All of them."""
        return self.count * self.size_bytes

    def names(self) -> list[str]:
        """The files' names within their directory."""
        if not self.folders:
            return [f"{number:06d}" for number in range(self.count)]
        return [f"{number % self.folders:03d}/{number:06d}" for number in range(self.count)]

    def words(self) -> str:
        """For people."""
        unit, letters = next((u, w) for u, w in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")) if self.size_bytes >= u)
        spread = f" in {self.folders} directories" if self.folders else ""
        return f"{self.count:,} × {self.size_bytes / unit:,.4g} {letters}{spread}"


_UNITS = {"KiB": KIB, "MiB": MIB, "GiB": GIB, "": 1}
_WORDS = re.compile(r"(large|medium|small)=(\d+)x(\d+)(KiB|MiB|GiB|)")


def read_set(text: str) -> FileSet:
    """`small=5000x4KiB`. Raises ValueError."""
    found = _WORDS.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no set of files; write it like small=5000x4KiB")
    name, count, size, unit = found.groups()
    made = FileSet(name=name, count=int(count), size_bytes=int(size) * _UNITS[unit])
    if not made.total_bytes or (name == "large") != (made.count == 1):
        raise ValueError(f"{text!r}: the large set is one file, the others are several, and none is empty")
    return made


SINGLE = FileSet(name="single", count=60, size_bytes=79 * MIB // 10)
"""About the largest that move by one request each."""


SPREAD = FileSet(name="spread", count=4000, size_bytes=4 * KIB, folders=64)
"""In many directories: where a call waits, the kernel lets one after the other make or rename a file in one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Sizes, counts and repetitions of one run."""

    name: str
    runs: int
    large: FileSet
    medium: FileSet
    small: FileSet
    creates: int
    create_connections: int
    creates_waiting: tuple[int, ...]
    latency_samples: int
    waiting: int
    rows: tuple[int, ...]
    page_samples: int
    fairness_samples: int
    fairness_runs: int
    calm_limit_s: float
    trials_max: int
    """How many of a peer's settings are tried before the contest."""
    slow_s: float
    """A peer that takes longer than this with its best setting is not run again: that one run is its figure."""
    growth_files: int
    ceph: tuple[FileSet, FileSet, FileSet]
    single: FileSet = SINGLE
    spread: FileSet = SPREAD

    def having(self, made: FileSet) -> Scale:
        """The same with another set of files in the place of the one that has its name."""
        match made.name:
            case "large":
                return replace(self, large=made)
            case "medium":
                return replace(self, medium=made)
            case _:
                return replace(self, small=made)


QUICK = Scale(
    name="quick",
    runs=3,
    large=FileSet(name="large", count=1, size_bytes=GIB),
    medium=FileSet(name="medium", count=100, size_bytes=4 * MIB),
    small=FileSet(name="small", count=2000, size_bytes=4 * KIB),
    creates=6000,
    create_connections=64,
    creates_waiting=(50_000,),
    latency_samples=60,
    waiting=50_000,
    rows=(10_000, 200_000),
    page_samples=100,
    fairness_samples=60,
    fairness_runs=3,
    calm_limit_s=30.0,
    trials_max=1,
    slow_s=30.0,
    growth_files=1000,
    ceph=(
        FileSet(name="ceph-large", count=1, size_bytes=256 * MIB),
        FileSet(name="ceph-medium", count=25, size_bytes=4 * MIB),
        FileSet(name="ceph-small", count=300, size_bytes=4 * KIB),
    ),
    spread=replace(SPREAD, count=1000),
)
FULL = Scale(
    name="full",
    runs=5,
    large=FileSet(name="large", count=1, size_bytes=4 * GIB),
    medium=FileSet(name="medium", count=1000, size_bytes=4 * MIB),
    small=FileSet(name="small", count=20_000, size_bytes=4 * KIB),
    creates=30_000,
    create_connections=64,
    creates_waiting=(100_000, 1_000_000),
    latency_samples=200,
    waiting=1_000_000,
    rows=(10_000, 1_000_000, 10_000_000),
    page_samples=300,
    fairness_samples=200,
    fairness_runs=3,
    calm_limit_s=360.0,
    trials_max=3,
    slow_s=20.0,
    growth_files=5000,
    ceph=(
        FileSet(name="ceph-large", count=1, size_bytes=512 * MIB),
        FileSet(name="ceph-medium", count=100, size_bytes=4 * MIB),
        FileSet(name="ceph-small", count=2000, size_bytes=4 * KIB),
    ),
)
