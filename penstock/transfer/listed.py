"""What a look at the source of a batch finds: entries in order, and where the next look goes on. Plain values."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from penstock.errors import FailureCode
from penstock.transfer.transfer import RESERVED_PREFIX


class Kind(StrEnum):
    """What an entry is."""

    FILE = "file"
    MARKER = "directory marker"  # an object whose key ends with `/`
    EMPTY = "empty directory"
    SYMLINK = "symbolic link"
    SPECIAL = "special file"  # device, socket or FIFO
    CLOSED = "closed"  # what it is, or holds, cannot be seen


class Listed(NamedTuple):
    """One entry. `path` is relative to what was looked at, with `/` behind if it is a directory's; `modify_ns` is None where it
    is not told."""

    path: str
    kind: Kind
    size_bytes: int = 0
    modify_ns: int | None = None


class Look(NamedTuple):
    """What one look has found. The next one goes on behind `after`; None: there is no more."""

    found: Sequence[Listed]
    after: str | None


class Trouble(NamedTuple):
    """Why nothing can be seen: a code, words a person can act on, and whether a later look may see it."""

    code: FailureCode
    message: str
    waiting_helps: bool


def is_reserved(path: str) -> bool:
    """Whether a component of it has a name of ours, which nobody lists."""
    return RESERVED_PREFIX in path and any(part.startswith(RESERVED_PREFIX) for part in path.split("/"))
