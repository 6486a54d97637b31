"""Which file it is, whatever its name is by now. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from penstock.transfer.posix import FileState


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A file's inode, and when that was made: the numbers of inodes are used again.

    No device: those get other names with each mount. `birth_ns` is 0 where it is not told, and is not compared then.
    """

    inode: int
    birth_ns: int = 0

    @classmethod
    def of(cls, state: FileState) -> Self:
        """Of the file that looks like that."""
        return cls(inode=state.inode, birth_ns=state.birth_ns)

    def is_of(self, state: FileState) -> bool:
        """Whether what looks like that is this very file."""
        return (
            state.is_regular
            and state.inode == self.inode
            and (0 in {self.birth_ns, state.birth_ns} or self.birth_ns == state.birth_ns)
        )
