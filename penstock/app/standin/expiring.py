"""Who claims sub-tasks in a stand-in: as always, but what a fault wants to expire does so before it could be begun.

Works inside the transaction that claims, in the writer's thread. Calls `catalog.upkeep`.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock.api.faults import FaultBook, FaultKind
from penstock.catalog import upkeep
from penstock.catalog.claims import Ring
from penstock.catalog.session import Session
from penstock.catalog.verbs import Claims, Demand

LOOKED_AT_MAX = 1000
_EXPIRE = frozenset({FaultKind.EXPIRE})


class ExpiringRing(Ring):
    """Asks the book before each claim."""

    def __init__(self, faults: FaultBook) -> None:
        super().__init__()
        self._faults = faults

    def claim(self, session: Session, demands: Sequence[Demand], owner: str, lease_until_ns: int) -> Claims:
        """As `Ring`."""
        if self._faults.has(FaultKind.EXPIRE):
            upkeep.expire_named(session, self._is_struck, LOOKED_AT_MAX)
        return super().claim(session, demands, owner, lease_until_ns)

    def _is_struck(self, task_id: str, source: str, target: str) -> bool:
        return self._faults.of_file(_EXPIRE, (source, target), task_id) is not None
