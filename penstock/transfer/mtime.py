"""Modification times as they travel in object metadata: reading, writing, comparing. Pure.

Two names are written: `alihbr-sync-mtime`, which the vendor's service reads, and our own `penstock-mtime-ns`, signed decimal
nanoseconds, which is read first.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from penstock.stores.base import ObjectInfo
from penstock.transfer.posix import FileState
from penstock.transfer.stamps import are_whole_seconds

OWN_NAME = "penstock-mtime-ns"
VENDOR_NAME = "alihbr-sync-mtime"
SUB_TASK_NAME = "penstock-sub-task"
CRC64_NAME = "penstock-crc64"

TIME_NOT_KEPT = "the file system cannot hold the modification time"
"""The note of an import whose file has another time than the object tells."""

_SECOND_NS = 1_000_000_000
_MICROSECOND_NS = 1_000
_UNITS_NS = (_SECOND_NS, 1_000_000, _MICROSECOND_NS)
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
_NS_MAX = 2**63 - 1


class ModifyTime(NamedTuple):
    """A modification time in nanoseconds; `exact` is False where only whole seconds are known (Last-Modified)."""

    ns: int
    exact: bool

    def is_newer_than(self, other: ModifyTime) -> bool:
        """Strictly newer: at nanoseconds where both are exact, else at whole seconds."""
        if self.exact and other.exact:
            return self.ns > other.ns
        return self.ns // _SECOND_NS > other.ns // _SECOND_NS


def of_file(modify_ns: int) -> ModifyTime:
    """A file's own time."""
    return ModifyTime(ns=modify_ns, exact=True)


def of_target(state: FileState) -> ModifyTime:
    """That of a file which may have been imported: where only seconds are kept, its object's fraction was lost."""
    return ModifyTime(ns=state.modify_ns, exact=not are_whole_seconds(state))


def of_object(info: ObjectInfo) -> ModifyTime:
    """The time in the object's metadata, else its Last-Modified."""
    if not info.metadata:
        return ModifyTime(ns=info.last_modified_ns, exact=False)
    own = _number(info.metadata.get(OWN_NAME, ""))
    if own is not None:
        return ModifyTime(ns=own, exact=True)
    vendor = _number(info.metadata.get(VENDOR_NAME, ""))
    if vendor is not None:
        ours = SUB_TASK_NAME in info.metadata
        return ModifyTime(ns=vendor if ours else _told_by_magnitude(vendor), exact=True)
    return ModifyTime(ns=info.last_modified_ns, exact=False)


def metadata_of(modify_ns: int) -> dict[str, str]:
    """What to write with an object whose file has that time; whoever asks may add to it."""
    told = str(modify_ns)
    return {VENDOR_NAME: told, OWN_NAME: told}


def is_held(asked_ns: int, held_ns: int) -> bool:
    """Whether a file system kept the time it was given: many keep fewer digits than nanoseconds, but the second is the same."""
    return asked_ns // _SECOND_NS == held_ns // _SECOND_NS


def agree(one_ns: int, other_ns: int) -> bool:
    """Whether both are one time, told with as many digits as the coarser of them has: file systems and writers keep fewer."""
    if abs(one_ns - other_ns) < _MICROSECOND_NS:
        return True
    coarse_ns = next((unit for unit in _UNITS_NS if not (one_ns % unit and other_ns % unit)), 1)
    return one_ns // coarse_ns == other_ns // coarse_ns


def _number(text: str) -> int | None:
    """A signed decimal that fits 64 bits; anything else counts as not there."""
    if not _NUMBER.fullmatch(text.strip()):
        return None
    number = int(text)
    return number if -_NS_MAX <= number <= _NS_MAX else None


def _told_by_magnitude(value: int) -> int:
    """Foreign writers use seconds, ms, µs or ns: between 1973 and 5138 their magnitudes do not overlap."""
    size = abs(value)
    if size < 10**11:
        unit = _SECOND_NS
    elif size < 10**14:
        unit = 10**6
    elif size < 10**17:
        unit = 10**3
    else:
        unit = 1
    return value * unit
