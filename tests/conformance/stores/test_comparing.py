"""Does a comparison find at every store what differs, and read objects only where their store tells no checksum?"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import pytest

from penstock.engine import comparing
from penstock.engine.comparing import Found, Ground, Running, Spot, spot_of
from penstock.engine.pieces import Piece
from penstock.errors import StoppedError
from penstock.model import Checksums, FileSystem
from penstock.stores.base import Store
from penstock.transfer.mtime import metadata_of
from penstock.transfer.transfer import Symlinks
from tests.conformance.stores.driving import put

ALIKE = ["a", "a-b/c", "a.b", "a/b", "a/b.c", "a/b/c", "a0", "ü/中", "z z"]


class Kept:
    """The test's own store, which nobody else closes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def close(self) -> None:
        """Not this one."""


@pytest.fixture
def sides(store: Store, tmp_path: Path) -> Path:
    """A directory, and the same objects beneath `far/`."""
    root = tmp_path / "here"
    for name in (name for name in ALIKE if name not in {"a", "a/b"}):
        write(store, root / name, name.encode())
    return root


def write(store: Store, path: Path, content: bytes, object_content: bytes | None = None) -> None:
    """A file and an object of one time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    key = f"far/{path.relative_to(path.parents[[each.name for each in path.parents].index('here')])}"
    put(
        store, key, content if object_content is None else object_content, metadata=metadata_of(path.stat().st_mtime_ns)
    )


def ground(store: Store, root: Path, checksums: Checksums) -> Ground:
    return Ground(
        file_system=FileSystem(file_system_id="fs", root=str(root.parent)),
        open_bucket=lambda: cast("Store", Kept(store)),
        here="/here/",
        there="/far/",
        cut=0,
        pieces=[Piece("", is_tree=True)],
        checksums=checksums,
        symlinks=Symlinks.REFUSE,
        limit_s=60.0,
    )


def compared(ground: Ground) -> Iterable[Found]:
    """Step by step, each by a comparison that was made anew from what the one before had kept."""
    spot: Spot | None = Spot()
    while spot is not None:
        found = Running(ground, spot_of(spot.text), lambda: False).step()
        spot = found.behind
        yield found


def test_what_differs_is_found_at_every_store(store: Store, sides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "PAIRS_MAX", 8)
    write(store, sides / "bits", b"12345", b"12x45")
    write(store, sides / "size", b"12345", b"1234")
    put(store, "far/only", b"")
    put(store, "far/a/", b"")
    put(store, "farther", b"none of ours")
    found = list(compared(ground(store, sides, Checksums.READ)))
    lines = [(one.source, one.result, one.reason) for step in found for one in step.differences]
    assert lines == [
        ("/here/bits", "Differs", "Checksum"),
        ("/here/only", "OnlyInBucket", ""),
        ("/here/size", "Differs", "Size"),
    ]
    assert [one.source for step in found for one in step.remarks] == ["/here/a/"]
    assert sum(step.counts.same for step in found) == len(ALIKE) - 2
    read = sum(len(path.read_bytes()) for path in sides.rglob("*") if path.is_file() and path.name != "size")
    is_told = store.head("far/bits").crc64 is not None
    assert sum(step.counts.read_bytes for step in found) == (read if is_told else 2 * read)
    assert sum(step.counts.untold_checksums for step in found) == 0
    monkeypatch.undo()
    stored = list(compared(ground(store, sides, Checksums.STORED)))
    assert sum(step.counts.untold_checksums for step in stored) == (0 if is_told else len(ALIKE) - 1)
    assert json.loads(Spot().text) == [0, "", "", ""]


def test_a_comparison_that_is_to_end_does_so(store: Store, sides: Path) -> None:
    with pytest.raises(StoppedError):
        Running(ground(store, sides, Checksums.NONE), Spot(), lambda: True).step()
