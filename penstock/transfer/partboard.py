"""Which parts of a large file wait, move, and are there: noted by the threads that move them, read by whoever shows it.

Two bytes are written for each part, which moves for long; nothing is locked, nothing made. Calls nobody.
"""

from __future__ import annotations

from itertools import pairwise

WAITING, MOVING, DONE = 0, 1, 2
CELLS_MAX = 256
SIGNS = ".>#"
"""How cells are written: WAITING, MOVING, DONE."""


class PartBoard:
    """The parts of one attempt, by their 1-based numbers."""

    __slots__ = ("_states", "part_size_bytes")

    def __init__(self, *, parts: int, part_size_bytes: int) -> None:
        self.part_size_bytes = part_size_bytes
        self._states = bytearray(parts)

    def begin(self, number: int) -> None:
        """A thread takes it up."""
        self._states[number - 1] = MOVING

    def end(self, number: int) -> None:
        """It is where it should be."""
        self._states[number - 1] = DONE

    def give_up(self, number: int) -> None:
        """It is not, and nobody is at it."""
        self._states[number - 1] = WAITING

    @property
    def parts(self) -> int:
        """How many there are."""
        return len(self._states)

    @property
    def done(self) -> int:
        """How many are there."""
        return self._states.count(DONE)

    @property
    def moving(self) -> int:
        """How many move."""
        return self._states.count(MOVING)

    def cells(self) -> str:
        """All of them in order as at most CELLS_MAX signs; each stands for about as many parts.

        A cell is DONE when all of its parts are, and MOVING when one moves, or some are done.
        """
        states = bytes(self._states)
        count = min(len(states), CELLS_MAX)
        edges = [place * len(states) // count for place in range(count + 1)] if count else []
        return "".join(_sign(states[low:high]) for low, high in pairwise(edges))


def _sign(states: bytes) -> str:
    if states.count(DONE) == len(states):
        return SIGNS[DONE]
    return SIGNS[WAITING] if states.count(WAITING) == len(states) else SIGNS[MOVING]
