"""How much is measured: the full table, or a quick look of a few minutes. Plain values."""

from __future__ import annotations

from dataclasses import dataclass

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSet:
    """Files of one size. `name` is their directory."""

    name: str
    count: int
    size_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of them."""
        return self.count * self.size_bytes

    def names(self) -> list[str]:
        """The files' names within their directory."""
        return [f"{number:06d}" for number in range(self.count)]

    def words(self) -> str:
        """For people."""
        unit, letters = next((u, w) for u, w in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")) if self.size_bytes >= u)
        return f"{self.count:,} × {self.size_bytes // unit:,} {letters}"


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
    latency_samples: int
    waiting: int
    rows: tuple[int, ...]
    page_samples: int
    fairness_samples: int
    calm_limit_s: float


QUICK = Scale(
    name="quick",
    runs=3,
    large=FileSet(name="large", count=1, size_bytes=GIB),
    medium=FileSet(name="medium", count=100, size_bytes=4 * MIB),
    small=FileSet(name="small", count=2000, size_bytes=4 * KIB),
    creates=6000,
    create_connections=64,
    latency_samples=60,
    waiting=50_000,
    rows=(10_000, 200_000),
    page_samples=100,
    fairness_samples=60,
    calm_limit_s=30.0,
)
FULL = Scale(
    name="full",
    runs=5,
    large=FileSet(name="large", count=1, size_bytes=4 * GIB),
    medium=FileSet(name="medium", count=1000, size_bytes=4 * MIB),
    small=FileSet(name="small", count=20_000, size_bytes=4 * KIB),
    creates=30_000,
    create_connections=64,
    latency_samples=200,
    waiting=1_000_000,
    rows=(10_000, 1_000_000, 10_000_000),
    page_samples=300,
    fairness_samples=200,
    calm_limit_s=360.0,
)
