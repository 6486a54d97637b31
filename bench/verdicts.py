"""The targets, and what the results say about each: met, missed or not measured. Read from the JSON alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Any

from bench.archive import Results
from bench.scenarios.scenario import Row

MIB = 1 << 20
OURS, BULK, FLOOR, CURL = "Penstock", "Penstock, bulk door", "floor", "curl"
NOT_RIVALS = frozenset({OURS, BULK, FLOOR, CURL})
WAYS = ("import", "export")


class Word(StrEnum):
    """What became of a target."""

    AIM = "aim met"
    MET = "met"
    MISSED = "**missed**"
    UNKNOWN = "not measured"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One line of the table, in words."""

    what: str
    least: str
    aim: str
    measured: str
    verdict: Word


Judge = Callable[[float, float], bool]


def _at_most(value: float, bound: float) -> bool:
    return value <= bound


def _at_least(value: float, bound: float) -> bool:
    return value >= bound


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """A bound and an aim for one figure. `form` is how the figure is written, `{0}` in it."""

    what: str
    form: str
    least: float
    aim: float
    judge: Judge
    value: float | None

    def verdict(self) -> Verdict:
        sign = "≤ " if self.judge is _at_most else "≥ "
        least, aim = (sign + self.form.format(bound) for bound in (self.least, self.aim))
        if self.value is None:
            return Verdict(what=self.what, least=least, aim=aim, measured="", verdict=Word.UNKNOWN)
        word = Word.AIM if self.judge(self.value, self.aim) else Word.MET
        if not self.judge(self.value, self.least):
            word = Word.MISSED
        return Verdict(what=self.what, least=least, aim=aim, measured=self.form.format(self.value), verdict=word)


def verdicts(results: Results) -> list[Verdict]:
    """Every target, in the order of the design."""
    targets = [*_large(results), *_small(results), *_requests(results), *_catalog(results), *_life(results)]
    return [each.verdict() for each in targets]


def _large(results: Results) -> Iterator[_Target]:
    for way in WAYS:
        rows = _by_name(results, f"large-{way}")
        ours, floor, curl = rows.get(OURS), rows.get(FLOOR), rows.get(CURL)
        yield _Target(
            what=f"large {way}: CPU of Penstock against the floor",
            form="{0:.2f} ×",
            least=1.3,
            aim=1.15,
            judge=_at_most,
            value=_ratio(ours, floor, "synced_cpu_s"),
        )
        yield _Target(
            what=f"large {way}: CPU of the floor against curl (is the floor one?)",
            form="{0:.2f} ×",
            least=1.3,
            aim=1.3,
            judge=_at_most,
            value=_ratio(floor, curl, "synced_cpu_s"),
        )
        rivals = [row["synced_wall_s"] for name, row in rows.items() if name not in NOT_RIVALS]
        yield _Target(
            what=f"large {way}: wall time against the best peer with `sync -f`",
            form="{0:.2f} ×",
            least=1.0,
            aim=0.95,
            judge=_at_most,
            value=ours["synced_wall_s"] / min(rivals) if ours and rivals else None,
        )


def _small(results: Results) -> Iterator[_Target]:
    doors = ((OURS, "one call each", 2, 4, 1000, 1000), (BULK, "bulk door", 3, 6, 2000, 4000))
    for way in WAYS:
        rows = _by_name(results, f"small-{way}")
        for name, words, least, aim, speed_least, speed_aim in doors:
            ours = rows.get(name)
            yield _Target(
                what=f"4 KiB {way}, {words}: files per CPU second against s5cmd",
                form="{0:.2f} ×",
                least=least,
                aim=aim,
                judge=_at_least,
                value=_ratio(ours, rows.get("s5cmd"), "files_per_cpu_s"),
            )
            yield _Target(
                what=f"4 KiB {way}, {words}: files a second",
                form="{0:,.0f}",
                least=speed_least,
                aim=speed_aim,
                judge=_at_least,
                value=ours["files_per_s"] if ours else None,
            )


def _requests(results: Results) -> Iterator[_Target]:
    alone = [row for row in _rows(results, "requests") if row["what"] == "create, nothing moves"]
    moving = [row for row in _rows(results, "requests") if row["what"] == "create, while these files move"]
    yield _Target(
        what="CreateDataFlowSubTask, durable: a second",
        form="{0:,.0f}",
        least=3000,
        aim=6000,
        judge=_at_least,
        value=_median(alone, "per_second"),
    )
    yield _Target(
        what="the same: p99 in ms", form="{0:.0f}", least=50, aim=50, judge=_at_most, value=_median(alone, "p99_s", 1e3)
    )
    crowded = [row for row in _rows(results, "requests") if row["what"] == "create, many wait"]
    most = max(crowded, key=lambda row: int(row["waiting"]), default=None)
    fresh = _median(alone, "cpu_s_per_call")
    yield _Target(
        what=f"the same with {int(most['waiting']) if most else 10**6:,} waiting: CPU against the rounds before",
        form="{0:.2f} ×",
        least=1.2,
        aim=1.05,
        judge=_at_most,
        value=most["cpu_s_per_call"] / fresh if most and fresh else None,
    )
    yield _Target(
        what="the same while files move: a second",
        form="{0:,.0f}",
        least=1500,
        aim=1500,
        judge=_at_least,
        value=_median(moving, "per_second"),
    )


def _catalog(results: Results) -> Iterator[_Target]:
    pages = _rows(results, "pages")
    most = max((row["rows"] for row in pages), default=0)
    at_most = [row for row in pages if row["rows"] == most]
    names = sorted({row["filter"] for row in at_most}) or ["any filter"]
    for name in names:
        ratios = [row["ratio"] for row in at_most if row["filter"] == name]
        yield _Target(
            what=f"a page by {name}: {most or 10**7:,} rows against the smallest catalog, worst of first and deep",
            form="{0:.2f} ×",
            least=1.5,
            aim=1.0,
            judge=_at_most,
            value=max(ratios, default=None),
        )


def _life(results: Results) -> Iterator[_Target]:
    idle = _rows(results, "latency")
    yield _Target(
        what="idle to COMPLETE of one 4 KiB file besides the store, p50, in fdatasyncs",
        form="{0:.1f}",
        least=6,
        aim=4,
        judge=_at_most,
        value=_median(idle, "fdatasyncs_p50"),
    )
    yield from _fairness([row for row in _rows(results, "fairness") if row["imports"]])
    memory = _rows(results, "memory")
    waiting = max((row["waiting"] for row in memory), default=0)
    for what, process, least, aim in (
        (f"memory of the control process with {waiting or 10**6:,} waiting, MiB", "control", 150, 100),
        ("memory of a mover, MiB", "mover", 100, 60),
    ):
        found = [row["pss_bytes"] / MIB for row in memory if row["process"] == process and row["counts"]]
        yield _Target(what=what, form="{0:.0f}", least=least, aim=aim, judge=_at_most, value=max(found, default=None))


def _fairness(busy: Sequence[Row]) -> Iterator[_Target]:
    """The median of the runs; nothing is judged unless all large imports moved in each."""
    for where in sorted({row["where"] for row in busy}) or ["in memory", "on the disk"]:
        runs_there = [row for row in busy if row["where"] == where]
        judged = runs_there if all(row["moving"] == row["imports"] for row in runs_there) else []
        runs = ", ".join(f"{row['p95_s'] * 1e3:.0f}" for row in judged)
        bare = _median(judged, "bare_p95_s", 1e3)
        told = "" if bare is None else f", median of {runs} (the file system's own publish: {bare:.0f})"
        yield _Target(
            what=f"while ten large imports move {where}, a new 4 KiB sub-task: p95 in ms{told}",
            form="{0:.0f}",
            least=200,
            aim=50,
            judge=_at_most,
            value=_median(judged, "p95_s", 1e3),
        )


def _rows(results: Results, scenario: str) -> list[Row]:
    found: list[Row] = results.get(scenario, {}).get("rows", [])
    return found


def _by_name(results: Results, scenario: str) -> dict[str, Row]:
    return {row["name"]: row for row in _rows(results, scenario)}


def _ratio(ours: Row | None, theirs: Row | None, key: str) -> float | None:
    return float(ours[key] / theirs[key]) if ours and theirs else None


def _median(rows: Sequence[dict[str, Any]], key: str, factor: float = 1) -> float | None:
    return median(float(row[key]) * factor for row in rows) if rows else None
