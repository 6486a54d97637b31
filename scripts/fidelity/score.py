"""How true we are, as a number: of what the vendor has, how much is built and shown by a test.

Each kind of row has a share, and a weight that says how much a program would miss it. Ours beyond the vendor's counts
nowhere, and neither does what cannot occur here. Built and shown counts one, built and not shown a half, the rest nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from scripts.fidelity.rows import Kind, Row, State

WEIGHTS: Mapping[Kind, int] = {
    Kind.ACTION: 20,
    Kind.CODE: 20,
    Kind.RULE: 20,
    Kind.PARAMETER: 15,
    Kind.FIELD: 10,
    Kind.STEP: 10,
    Kind.LIMIT: 5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Of `count` rows: how many are shown by a test, how many are built only."""

    count: int
    shown: int
    built: int

    @property
    def part(self) -> float:
        """Between 0 and 1."""
        return (self.shown + self.built / 2) / self.count if self.count else 1.0


def share(rows: Collection[Row]) -> Share:
    """Of these rows, without those that cannot occur."""
    counted = [row for row in rows if row.state is not State.IMPOSSIBLE]
    built = [row for row in counted if row.state is State.BUILT]
    shown = [row for row in built if row.tests]
    return Share(count=len(counted), shown=len(shown), built=len(built) - len(shown))


def vendors(rows: Collection[Row]) -> list[Row]:
    """The rows that count: what is the vendor's, or follows from it."""
    return [row for row in rows if row.origin != "extension"]


def total(rows: Collection[Row]) -> float:
    """The score, 0 to 100."""
    counting = vendors(rows)
    parts = {kind: share([row for row in counting if row.kind is kind]).part for kind in WEIGHTS}
    return sum(parts[kind] * weight for kind, weight in WEIGHTS.items()) * 100 / sum(WEIGHTS.values())
