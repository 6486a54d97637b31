"""What time does to a dataflow or a stream in transition: when its delay is over it becomes what it was asked to be.

Transitions begin in the verbs of `dataflows` and `tasks`, where `transition_delay_s` is not 0. They live in the rows, so they
end after a restart too, whatever the setting is by then.
"""

from __future__ import annotations

from penstock.catalog import dataflows
from penstock.catalog.session import Session


def end(session: Session, due_ns: int, limit: int) -> int:
    """End at most `limit` transitions that were due at `due_ns`; how many."""
    ended = 0
    for row in session.rows("data_flows.in_transition", now_ns=due_ns, limit=limit):
        dataflows.arrive(session, row)
        ended += 1
    for row in session.rows("tasks.in_transition", now_ns=due_ns, limit=limit - ended):
        session.run("tasks.become_executing", number=row["number"], now_ns=session.now_ns)
        session.ring()
        ended += 1
    return ended


def next_due_ns(session: Session) -> int | None:
    """When the first transition is over; None when nothing is in transition."""
    found = [session.rows(name)[0]["due_ns"] for name in ("data_flows.next_transition", "tasks.next_transition")]
    return min((due_ns for due_ns in found if due_ns is not None), default=None)
