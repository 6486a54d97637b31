"""Who claims sub-tasks in a stand-in: as always, but what a fault wants to expire does so before it could be begun.

Works inside the transaction that claims, in the writer's thread. Calls `catalog.upkeep`.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock.api.faults import FaultBook, FaultKind
from penstock.catalog import identifiers, upkeep
from penstock.catalog.claims import Ring
from penstock.catalog.database import Row
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
            upkeep.expire_those(session, lambda flow, most: self._struck(session, flow, most), LOOKED_AT_MAX)
        return super().claim(session, demands, owner, lease_until_ns)

    def _struck(self, session: Session, flow: Row, most: int) -> list[Row]:
        waiting = session.rows("sub_tasks.named_waiting", data_flow_number=flow["number"], limit=most)
        return [row for row in waiting if self._is_struck(row)]

    def _is_struck(self, row: Row) -> bool:
        task_id = identifiers.task_id(row["task_number"])
        return self._faults.of_file(_EXPIRE, (row["source"], row["target"]), task_id) is not None
