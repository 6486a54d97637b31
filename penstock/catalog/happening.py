"""What befalls sub-tasks on their way, gathered over a batch and written once; none where all goes well.

Written in the transaction in which it happens. The same once more in a row is counted, and of many the first and the newest are
kept, so that a sub-task that is tried for days has as few rows as one that was tried for an hour.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.catalog.database import Value
from penstock.catalog.session import Session
from penstock.catalog.verbs import Settling
from penstock.catalog.views import HappeningKind

NEWEST_KEPT = 32
"""So many of one sub-task, and the first."""

MESSAGE_MAX_CHARACTERS = 2_000

OF_SETTLING: Mapping[Settling, HappeningKind] = {
    Settling.RETRY: HappeningKind.FAILED_TRY,
    Settling.WAITING: HappeningKind.WAITS,
    Settling.RETURNED: HappeningKind.RETURNED,
}
"""What it is for a sub-task when an attempt of it ends so. That it found itself large is no incident."""


class Incidents:
    """What has happened so far: at most one incident a sub-task, which is all that one batch can hold."""

    def __init__(self) -> None:
        self._noted: dict[int, dict[str, Value]] = {}

    def note(
        self,
        number: int,
        data_flow_number: int,
        kind: HappeningKind,
        *,
        attempt: int,
        code: str = "",
        message: str = "",
        due_ns: int = 0,
    ) -> None:
        """This has happened to a sub-task."""
        self._noted[number] = {
            "sub_task_number": number,
            "data_flow_number": data_flow_number,
            "kind": kind.value,
            "attempt": attempt,
            "code": code,
            "message": message[:MESSAGE_MAX_CHARACTERS],
            "due_ns": due_ns,
        }

    def write(self, session: Session) -> None:
        """Write all of it."""
        if not self._noted:
            return
        last = {row["sub_task_number"]: row for row in session.rows_in("happenings.newest", sorted(self._noted))}
        added: list[dict[str, Value]] = []
        for number, incident in sorted(self._noted.items()):
            before = last.get(number)
            if before is not None and (before["kind"], before["code"]) == (incident["kind"], incident["code"]):
                told = {name: incident[name] for name in ("attempt", "due_ns", "message")}
                session.run(
                    "happenings.again",
                    sub_task_number=number,
                    place=before["place"],
                    now_ns=session.now_ns,
                    **told,
                )
                continue
            place = 0 if before is None else before["place"] + 1
            added.append({**incident, "place": place, "now_ns": session.now_ns})
            if place > NEWEST_KEPT:
                session.run("happenings.drop", sub_task_number=number, place=place - NEWEST_KEPT)
        session.add("happenings.add", added)
        self._noted.clear()


def rescued(session: Session, owner: str) -> None:
    """All that `owner` holds now is about to lose it. Before that is so."""
    session.run("happenings.rescue", owner=owner, kind=HappeningKind.RESCUED.value, now_ns=session.now_ns)
    session.run("happenings.drop_owned", owner=owner, kept=NEWEST_KEPT)
