"""How a large file is cut into parts: pure planning over sizes, no I/O. Also what its parts' checksums make together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from penstock.errors import FailureCode, TransferError
from penstock.stores.base import Limits
from penstock.transfer import crc64

IMPORT_PARTS_MAX = 10_000
"""Ranges of one import, so that a journal stays small; a store's own part count bounds exports."""

_GRAIN_BYTES = 1 << 20  # grown parts are whole MiB: aligned for every file system we know


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPart:
    """One part: `number` is 1-based, the rest are bytes."""

    number: int
    offset: int
    length_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The parts of one file: all of `part_size_bytes` but the last, which is smaller or equal. No part is empty."""

    size_bytes: int
    part_size_bytes: int

    @property
    def count(self) -> int:
        """How many parts there are; 0 for an empty file."""
        return -(-self.size_bytes // self.part_size_bytes)

    def part(self, number: int) -> PlannedPart:
        """Part `number`, 1-based."""
        offset = (number - 1) * self.part_size_bytes
        return PlannedPart(
            number=number, offset=offset, length_bytes=min(self.part_size_bytes, self.size_bytes - offset)
        )

    def parts(self) -> Iterator[PlannedPart]:
        """All parts in order, made one by one: ten thousand of them at once would be megabytes."""
        return (self.part(number) for number in range(1, self.count + 1))

    def combined(self, crcs: Mapping[int, int]) -> int:
        """The CRC-64 of the whole, out of those of its parts by their numbers."""
        return crc64.combine_all((crcs[part.number], part.length_bytes) for part in self.parts())


def plan_import(size_bytes: int, part_size_bytes: int) -> Plan:
    """Cut an object into ranges; they grow when there would be more than `IMPORT_PARTS_MAX`."""
    return Plan(size_bytes=size_bytes, part_size_bytes=_grown(size_bytes, part_size_bytes, IMPORT_PARTS_MAX))


def plan_export(size_bytes: int, part_size_bytes: int, limits: Limits) -> Plan:
    """Cut a file into upload parts within the store's limits. Raises TransferError (FileTooLarge)."""
    if size_bytes > limits.object_size_max_bytes:
        raise TransferError(
            FailureCode.FILE_TOO_LARGE,
            f"the file has {size_bytes} bytes, an object holds at most {limits.object_size_max_bytes}",
        )
    wanted = min(max(part_size_bytes, limits.part_size_min_bytes), limits.part_size_max_bytes)
    part_size = _grown(size_bytes, wanted, limits.part_count_max)
    part_size = min(part_size, limits.part_size_max_bytes)  # the grain overshot, or it does not fit at all
    if part_size * limits.part_count_max < size_bytes:
        raise TransferError(
            FailureCode.FILE_TOO_LARGE,
            f"the file has {size_bytes} bytes, {limits.part_count_max} parts of {limits.part_size_max_bytes} hold less",
        )
    return Plan(size_bytes=size_bytes, part_size_bytes=part_size)


def _grown(size_bytes: int, part_size_bytes: int, count_max: int) -> int:
    if part_size_bytes * count_max >= size_bytes:
        return part_size_bytes
    least = -(-size_bytes // count_max)
    return -(-least // _GRAIN_BYTES) * _GRAIN_BYTES
