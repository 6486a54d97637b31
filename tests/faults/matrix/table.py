"""The table of one kind of file, written from verdicts."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.failpoints import POINTS
from tests.faults.matrix.cases import LETTERS, Case, Death, Way, Which
from tests.faults.matrix.smallservice import PART_BYTES
from tests.faults.matrix.trial import Verdict

Verdicts = Mapping[Case, Verdict]


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
                said.setdefault(words_of(case.way, verdict), []).append(letter)
    return "; ".join(f"{''.join(letters)} {words}" for words, letters in said.items())


def words_of(way: Way, verdict: Verdict) -> str:
    """How it ended, what was moved again, and at which passing somebody died, if not at the one that was asked for."""
    instead = f" (at the {verdict.instead}.)" if verdict.instead else ""
    if not verdict.again_bytes:
        return f"{verdict.status}{instead}"
    if way.is_whole:
        return f"{verdict.status}, its request again{instead}"
    parts = -(-verdict.again_bytes // PART_BYTES)
    return f"{verdict.status}, {parts} part{'s' if parts > 1 else ''} again{instead}"
