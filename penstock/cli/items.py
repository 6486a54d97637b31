"""What is to be moved, one by one: a file or an object, or a name that stands for none and says why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

FILE_SYSTEM = "fs:"
"""Before a path of the file system as the API has it, for machines on which it is not mounted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file to move: `name` beneath `base`, a directory of the file system, or with `storage` (`oss://bucket`) of a bucket."""

    base: str
    name: str
    storage: str = ""
    size_bytes: int | None = None

    @property
    def path(self) -> str:
        """The whole of it."""
        return f"{self.base}{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """What was named and cannot be moved."""

    name: str
    why: str
    status: str = "UNFIT"


Items = Iterator[Item | Unfit]
