"""Which disks a power cut may leave: at each boundary between two changes, with this or that of what is not durable yet missing.

All subsets would be too many. Tried are: all kept, none kept, each one missing, each one alone kept, the last write torn, writes
of which only the file's length arrived, and the catalog without the tree or the tree without the catalog.
"""

from __future__ import annotations

import bisect
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.faults.power.disk import Change, Disk

SECTOR_BYTES = 512
PAGE_BYTES = 4096
PENDING_MAX = 24
CATALOG_PENDING_MAX = 6
"""Of more changes that are not durable only the newest are each tried by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A power cut after a line of the record. `lost` and `hollow` (only its length arrived: bytes that were there before are
    there still) are numbers of changes; of the write `torn` only that many bytes arrived."""

    line: int
    how: str
    lost: frozenset[int] = frozenset()
    hollow: frozenset[int] = frozenset()
    torn: tuple[int, int] = (-1, 0)

    def __str__(self) -> str:
        return f"{self.line}:{self.how}"


class States:
    """The disks that the changes of one recording may leave when the power is cut after one of the lines `moments`.

    `keeps` tells of a path that it loses nothing, being another machine's.
    """

    def __init__(
        self,
        before: Disk,
        changes: Sequence[Change],
        end: Disk,
        *,
        keeps: Callable[[str], bool],
        moments: Sequence[int],
    ) -> None:
        self._before = before
        self._changes = changes
        self._end = end
        self._kept = [keeps(change.operation.path) for change in changes]
        self._ends = [change.end for change in changes]
        self._moments = sorted(set(moments))
        self._base = before.copy()
        self._base.empty(end.inodes)
        self._folded = 0

    def every(self) -> list[State]:
        """All of them, in order. Of those that look the same the latest, for whom most was promised."""
        found: dict[bytes, State] = {}
        for line in self._moments:
            for state in self._at(line):
                found[self.disk(state).digest()] = state
        return sorted(found.values(), key=lambda state: state.line)

    def forgetful(self, lines: Sequence[int], *, moments: int) -> Iterator[State]:
        """At so many moments after each of these lines the disk that lacks what the catalog has not synced, and nothing else."""
        chosen = {one for line in lines for one in self._moments[bisect.bisect_left(self._moments, line) :][:moments]}
        for line in sorted(chosen):
            if any(self._is_of_catalog(number) for number in self.pending(line)):
                yield next(state for state in self._at(line) if state.how == "tree kept")

    def some(self, count: int, chance: random.Random) -> list[State]:
        """So many of them, at moments spread over the whole record."""
        step = len(self._moments) / count
        found: list[State] = []
        for number in range(count):
            moments = self._moments[round(number * step) : round((number + 1) * step)]
            if moments:
                found.append(chance.choice(list(self._at(chance.choice(moments)))))
        return found

    def named(self, name: str) -> State:
        """The state that calls itself so."""
        line = int(name.partition(":")[0])
        return next(state for state in self._at(line) if str(state) == name)

    def lost(self, state: State) -> list[str]:
        """What is missing, for people."""
        numbers = state.lost | state.hollow | {number for number in state.torn[:1] if number >= 0}
        return [str(self._changes[number].operation) for number in sorted(numbers)]

    def pending(self, line: int) -> list[int]:
        """The numbers of the changes that have happened by that line, and are not durable."""
        return [
            number
            for number, change in enumerate(self._changes[: self._count(line)])
            if change.durable > line and not self._kept[number]
        ]

    def _count(self, line: int) -> int:
        """How many changes have happened by that line."""
        return bisect.bisect_right(self._ends, line)

    def _at(self, line: int) -> Iterator[State]:
        pending = self.pending(line)
        yield State(line=line, how="all kept")
        if not pending:
            return
        everything = frozenset(pending)
        yield State(line=line, how="none kept", lost=everything)
        catalog = frozenset(number for number in pending if self._is_of_catalog(number))
        yield State(line=line, how="catalog kept", lost=everything - catalog)
        yield State(line=line, how="tree kept", lost=catalog)
        for number in [*sorted(catalog)[-CATALOG_PENDING_MAX:], *sorted(everything - catalog)[-PENDING_MAX:]]:
            yield State(line=line, how=f"{number} lost", lost=frozenset({number}))
            yield State(line=line, how=f"{number} alone kept", lost=everything - {number})
        writes = [number for number in pending if self._changes[number].is_write]
        for share in (3, 2):
            begun = frozenset(pending[len(pending) * (share - 1) // share :])
            yield State(line=line, how=f"last of {share} shares lost", lost=begun)
        if writes:
            yield State(line=line, how="writes hollow", hollow=frozenset(writes))
            yield State(line=line, how="last write hollow", hollow=frozenset(writes[-1:]))
            yield from self._torn(line, writes[-1], everything)

    def _torn(self, line: int, number: int, everything: frozenset[int]) -> Iterator[State]:
        length = len(self._changes[number].operation.data)
        for kept in sorted(
            {1, SECTOR_BYTES, length // 2 // SECTOR_BYTES * SECTOR_BYTES, length // 2 // PAGE_BYTES * PAGE_BYTES}
        ):
            if 0 < kept < length:
                yield State(line=line, how=f"{number} torn at {kept}", torn=(number, kept))
        if length > 1:
            yield State(line=line, how=f"{number} alone torn", torn=(number, length // 2), lost=everything - {number})

    def _is_of_catalog(self, number: int) -> bool:
        return self._changes[number].operation.name.startswith(("catalog.db", "nonces.db"))

    def disk(self, state: State) -> Disk:
        """What is found after the cut."""
        count = self._count(state.line)
        self._fold(state.line)
        disk = self._base.copy()
        torn, kept = state.torn
        for number in range(self._folded, count):
            change = self._changes[number]
            if number in state.lost:
                continue
            if number in state.hollow:
                disk.lengthen(change)
            elif number == torn:
                disk.apply(change, data=change.operation.data[:kept])
            else:
                disk.apply(change)
        return disk

    def _fold(self, line: int) -> None:
        """Have all changes before the first that may be missing done once for all states of this moment, and of later ones."""
        count = min([*self.pending(line), self._count(line)])
        if count < self._folded:
            self._base, self._folded = self._before.copy(), 0
            self._base.empty(self._end.inodes)
        for change in self._changes[self._folded : count]:
            self._base.apply(change)
        self._folded = count
