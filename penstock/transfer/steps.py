"""Steps: the way of one file as a generator that pauses where another file might go on meanwhile.

`run_through` takes one file's steps to their end; the mover's small lane takes many files' steps forward together, so that
their requests are under way at once, and their syncs follow each other and share what the kernel does for one of them.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import StrEnum
from typing import Protocol, TypeVar

INLINE_MAX_BYTES = 64 << 10
"""Bodies up to this size are read or sent in company; with more, many files at once would take too much time and memory."""

Result = TypeVar("Result")


class Awaited(Protocol):
    """Something that comes from a store: the answer of what was started, more of a body."""

    def fileno(self) -> int:
        """What becomes readable when it comes; -1 where there is no such thing, or it is there."""
        ...

    def is_there(self) -> bool:
        """Once that is readable: whether it has come so far that the next step will not wait; else it will be readable again."""
        ...

    def came(self) -> None:
        """To be called, right before the next step, by who waited for it and saw it come."""
        ...


class Pause(StrEnum):
    """Where steps pause, besides at what is awaited from a store."""

    ASIDE = "aside"  # what comes next may take long: in company a thread of its own should do it, up to the next pause
    WRITTEN = "written"  # the bytes are written; what comes next syncs them
    SYNCED = "synced"  # they are on stable storage; what comes next publishes the file
    NAMED = "named"  # the file has its name; what comes next waits for the sync of its directory


Steps = Generator[Pause | Awaited, None, Result]
"""What moves one file, and says what came of it. They may be closed at any pause; a partial file is then removed."""


def run_through(steps: Steps[Result]) -> Result:
    """Take these steps to their end, waiting wherever they wait."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        result: Result = end.value
        return result
