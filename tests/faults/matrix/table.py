"""The page of the kill matrix: a table for each kind of file, written from verdicts, and found again in a page."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.failpoints import POINTS
from tests.faults.matrix.cases import LETTERS, Case, Death, Way, Which
from tests.faults.matrix.smallservice import PART_BYTES
from tests.faults.matrix.trial import Verdict

Verdicts = Mapping[Case, Verdict]
_HEADING = "\n## "


def page(head: str, tables: Mapping[Way, str]) -> str:
    """All of it."""
    return head + "".join(f"{_HEADING}{way.capitalize()}\n\n{tables[way]}\n" for way in Way if way in tables)


def tables_of(text: str) -> dict[Way, str]:
    """The tables of a page; those of kinds of files that are no more are left out."""
    found = dict(section.split("\n", 1) for section in text.split(_HEADING)[1:])
    return {way: found[way.capitalize()].strip("\n") for way in Way if way.capitalize() in found}


def table_of(way: Way, verdicts: Verdicts) -> str:
    """The lines of one table."""
    mine = {case: verdict for case, verdict in verdicts.items() if case.way is way}
    deaths = [death for death in Death if any(case.death is death for case in mine)]
    lines = [f"| point | passed | {' | '.join(deaths)} |", f"|---|---|{'---|' * len(deaths)}"]
    for point in POINTS:
        there = {case: verdict for case, verdict in mine.items() if case.point == point}
        for which in Which:
            row = {case: verdict for case, verdict in there.items() if case.which is which}
            if row:
                cells = [_cell(_of(row, death)) for death in deaths]
                lines.append(f"| `{point}` | {which} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _of(row: Verdicts, death: Death) -> Mapping[Case, Verdict]:
    """Those of one cell."""
    return {case: verdict for case, verdict in row.items() if case.death is death}


def _cell(cell: Verdicts) -> str:
    """What came of it, each time with the letters of the terms under which it did."""
    said: dict[str, list[str]] = {}
    for letter, terms in LETTERS.items():
        for case, verdict in cell.items():
            if case.terms == terms:
                said.setdefault(_words(case.way, verdict), []).append(letter)
    return "; ".join(f"{''.join(letters)} {words}" for words, letters in said.items())


def _words(way: Way, verdict: Verdict) -> str:
    if not verdict.again_bytes:
        return verdict.status
    if way.is_whole:
        return f"{verdict.status}, its request again"
    parts = -(-verdict.again_bytes // PART_BYTES)
    return f"{verdict.status}, {parts} part{'s' if parts > 1 else ''} again"
