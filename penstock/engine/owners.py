"""Under whose name this engine holds leases; the name changes when an answer of the catalog was lost.

A claim whose answer never came may have taken rows that nobody here knows of, and renewing them would keep them for ever. So the
engine goes on under a new name, keeps the old one alive as long as flights hold it, and then has all its leases voided.
"""

from __future__ import annotations

from collections.abc import Iterable


class Owners:
    """The present owner name and the retired ones. `base` is unique among all engines that ever used this catalog."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._generation = 1
        self._retired: set[str] = set()

    @property
    def current(self) -> str:
        """The name for new claims."""
        return f"{self._base}.{self._generation}"

    def retire(self) -> None:
        """An answer was lost: claim under another name from now on."""
        self._retired.add(self.current)
        self._generation += 1

    def alive(self, with_flights: Iterable[str]) -> frozenset[str]:
        """The names whose leases have to be renewed."""
        return frozenset({self.current, *with_flights})

    def to_void(self, with_flights: Iterable[str]) -> frozenset[str]:
        """Retired names that no flight holds any more: whatever is still leased to them is nobody's."""
        return frozenset(self._retired - set(with_flights))

    def voided(self, owner: str) -> None:
        """The catalog has voided all leases of this retired name."""
        self._retired.discard(owner)
