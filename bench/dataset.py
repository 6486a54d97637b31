"""The files that are moved: random bytes, made once a run, each there twice by hard link (bucket and file system).

Knows each file's CRC-64. Everything lies below one directory, which the caller removes.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

import fastcrc

from bench.scale import MIB, FileSet

SOURCE_BUCKET = "bench-source"
SINK_BUCKET = "bench-sink"
_PIECE_BYTES = 8 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Files as the source bucket has them (`objects`) and as the file system has them (`files`)."""

    files_set: FileSet
    objects: Path
    files: Path
    crcs: dict[str, int]

    @property
    def fingerprint(self) -> int:
        """The checksums of all files, in no order: what must have arrived."""
        mixed = 0
        for crc in self.crcs.values():
            mixed ^= crc
        return mixed

    def warm(self) -> None:
        """Reads everything once, so that every contestant finds it in memory."""
        buffer = bytearray(_PIECE_BYTES)
        for name in self.crcs:
            with (self.objects / name).open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass


def make_dataset(directory: Path, root: Path, files_set: FileSet) -> Dataset:
    """Writes the files: objects below `directory`/objects, their links below `root`/out."""
    objects = directory / "objects" / SOURCE_BUCKET / files_set.name
    files = root / "out" / files_set.name
    for folder in sorted({os.path.dirname(name) for name in files_set.names()}):
        (objects / folder).mkdir(parents=True)
        (files / folder).mkdir(parents=True)
    crcs: dict[str, int] = {}
    noise = random.Random(20)  # noqa: S311  (the same bytes in every run; they guard nothing)
    for name in files_set.names():
        crcs[name] = _write(objects / name, files_set.size_bytes, noise)
        os.link(objects / name, files / name)
    return Dataset(files_set=files_set, objects=objects, files=files, crcs=crcs)


def _write(path: Path, size_bytes: int, noise: random.Random) -> int:
    crc = left = 0
    left = size_bytes
    with path.open("wb", buffering=0) as file:
        while left:
            piece = noise.randbytes(min(left, _PIECE_BYTES))
            crc = fastcrc.crc64.xz(piece, crc)
            file.write(piece)
            left -= len(piece)
    return crc


def fingerprint_of(directory: Path) -> tuple[int, int, int]:
    """Number of files below, their bytes, and their checksums mixed as in `Dataset.fingerprint`."""
    count = total = mixed = 0
    buffer = memoryview(bytearray(_PIECE_BYTES))
    for folder, _, names in os.walk(directory):
        for name in names:
            crc = 0
            with open(os.path.join(folder, name), "rb", buffering=0) as file:
                while read := file.readinto(buffer):
                    crc = fastcrc.crc64.xz(buffer[:read], crc)
                    total += read
            mixed ^= crc
            count += 1
    return count, total, mixed
