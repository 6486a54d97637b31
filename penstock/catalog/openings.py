"""How the catalog was left when it was open last, and what a power cut may have made it forget.

A claim is not synced (docs/decisions/0009): in another life of the machine than that in which it was opened last, unless it was
closed in all order, sub-tasks that had been accepted by then may have been begun though they are CREATED. The statements of
claims, cancels and expiry look at the number that is kept here.
"""

from __future__ import annotations

from penstock.catalog.session import Session


def begin(session: Session, boot_id: str) -> None:
    """Claims may be forgotten again from here on. Before the first of them; writes nothing where that is known. A catalog that
    never was open with a count of hours begins one."""
    session.run("counts.begin", now_ns=session.now_ns)
    before = session.rows("openings.last")[0]
    if before["boot_id"] != boot_id:
        in_doubt = session.last_number if before["boot_id"] else before["in_doubt"]
        session.run("openings.open", boot_id=boot_id, in_doubt=in_doubt)


def end(session: Session) -> None:
    """All that was ever done here is on stable storage with this."""
    session.run("openings.close", now_ns=session.now_ns)
