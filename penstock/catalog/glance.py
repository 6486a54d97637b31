"""The ledger at a glance: dataflows with counters that are kept, so that nothing is counted when somebody looks. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from penstock.catalog import rows
from penstock.catalog.counting import HOUR_NS
from penstock.catalog.database import Row
from penstock.catalog.session import Session
from penstock.catalog.views import Counts, FlowView, LedgerView, Spell, Standing
from penstock.catalog.waiting import standing
from penstock.model import DataFlow, DataFlowStatus

HOURS_SHOWN = 24
_ENDS = ("complete", "failed", "canceled", "expired", "bytes_in", "bytes_out")


def visible(session: Session, file_systems: Iterable[str]) -> dict[int, DataFlow]:
    """All visible dataflows of these, by number, newest first."""
    return {number: rows.data_flow(row) for number, row in _visible_rows(session, file_systems).items()}


def _visible_rows(session: Session, file_systems: Iterable[str]) -> dict[int, Row]:
    found = {
        int(row["number"]): row
        for file_system in dict.fromkeys(file_systems)
        for row in session.rows("data_flows.of_file_system", file_system_id=file_system)
    }
    return dict(sorted(found.items(), reverse=True))


def counts_of(session: Session, flows: Mapping[int, object]) -> dict[int, Counts]:
    """How many sub-tasks of these dataflows are in each status."""
    found = session.rows_in("data_flows.by_numbers", sorted(flows))
    return _counts(session, {row["number"]: row for row in found})


def _counts(session: Session, flows: Mapping[int, Row]) -> dict[int, Counts]:
    totals = {row["data_flow_number"]: row for row in session.rows_in("counts.totals", sorted(flows))}
    return {number: _counts_of(row, totals.get(number)) for number, row in flows.items()}


def _counts_of(flow: Row, totals: Row | None) -> Counts:
    """What is neither waiting, nor being withdrawn, nor over, runs."""
    if totals is None:
        return Counts(waiting=flow["waiting"], running=flow["accepted"] - flow["waiting"])
    others = ("canceling", "complete", "failed", "canceled", "expired")
    known = {name: int(totals[name]) for name in (*others, "bytes_in", "bytes_out")}
    running = flow["accepted"] - flow["waiting"] - sum(known[name] for name in others)
    return Counts(waiting=flow["waiting"], running=running, **known)


def overview(session: Session, file_systems: Iterable[str]) -> LedgerView:
    """All visible dataflows of these file systems, and their sums."""
    found = _visible_rows(session, file_systems)
    counts = _counts(session, found)
    first_ns = session.now_ns - session.now_ns % HOUR_NS - (HOURS_SHOWN - 1) * HOUR_NS
    counted_since_ns = int(session.rows("counts.since")[0]["since_ns"])
    since_ns = max(first_ns, counted_since_ns)
    hours = {first_ns + step * HOUR_NS: _Sums() for step in range(HOURS_SHOWN)}
    days = {number: _Sums() for number in found}
    for row in session.rows("counts.hours", since_ns=first_ns):
        if row["data_flow_number"] in days and row["hour_ns"] in hours:
            hours[row["hour_ns"]].add(row)
            days[row["data_flow_number"]].add(row)
    day = _Sums()
    for one in days.values():
        day.add(one.amounts)
    standings = {
        number: standing(session, number) if _has_begun(row, counts[number]) else Standing()
        for number, row in found.items()
    }
    return LedgerView(
        as_of_ns=session.now_ns,
        counted_since_ns=counted_since_ns,
        flows=tuple(
            FlowView(
                flow=rows.data_flow(row),
                counts=counts[number],
                day=days[number].spell(since_ns),
                standing=standings[number],
            )
            for number, row in found.items()
        ),
        counts=_added(counts.values()),
        day=day.spell(since_ns),
        hours=tuple(sums.spell(hour_ns) for hour_ns, sums in hours.items()),
        standing=_together(standings.values()),
    )


def _together(many: Collection[Standing]) -> Standing:
    return Standing(
        in_line=sum(one.in_line for one in many),
        again=sum(one.again for one in many),
        is_more=any(one.is_more for one in many),
    )


def _has_begun(flow: Row, counts: Counts) -> bool:
    """Whether anything of it is RUNNING that may go on."""
    return flow["status"] == DataFlowStatus.RUNNING and counts.running > 0


class _Sums:
    """What ended, summed up."""

    def __init__(self) -> None:
        self.amounts = dict.fromkeys(_ENDS, 0)

    def add(self, row: Row | Mapping[str, int]) -> None:
        for name in _ENDS:
            self.amounts[name] += row[name]

    def spell(self, since_ns: int) -> Spell:
        return Spell(since_ns=since_ns, **self.amounts)


def _added(many: Iterable[Counts]) -> Counts:
    sums: dict[str, int] = dict.fromkeys(Counts.__dataclass_fields__, 0)
    for counts in many:
        for name in sums:
            sums[name] += getattr(counts, name)
    return Counts(**sums)
