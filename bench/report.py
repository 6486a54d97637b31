"""Results as people read them: tables in Markdown and a plot in SVG beside the JSON, and the tables in docs/performance.md.

Reads plain rows, measures nothing: whatever stands in the tables can be made again from the JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.archive import ROOT, Results
from bench.plot import as_svg
from bench.scenarios import SCENARIOS
from bench.scenarios.scenario import Row
from bench.tables import TABLES, Column, cells_of
from bench.verdicts import verdicts

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- results begin -->", "<!-- results end -->"
MACHINE = ("cores", "cpu", "memory_bytes", "kernel", "file_system", "python", "accounting")


def write_report(results: Results, directory: Path, name: str) -> None:
    """NAME.md and NAME.svg in `directory`; where that is bench/results, docs/performance.md too (full scale, if there is one)."""
    text = as_markdown(results, name)
    (directory / f"{name}.md").write_text(text)
    contests = _contests(results)
    if contests:
        (directory / f"{name}.svg").write_text(as_svg([each.rows for each in contests]))
    is_best = name == "full" or not (directory / "full.json").exists()
    if is_best and directory.resolve() == (ROOT / "bench" / "results").resolve() and PAGE.exists():
        page = PAGE.read_text()
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n{text}{END}{after}")


def as_markdown(results: Results, scale: str) -> str:
    """All tables, the verdicts first."""
    if not results:
        return "Nothing has been measured yet.\n"
    lines = [*_machines(results, scale), "", "### Targets, and what was measured", ""]
    lines += [*_table(VERDICTS, [vars(each) for each in verdicts(results)]), "", "### Side by side", ""]
    for contest in _contests(results):
        lines += _movement(contest)
    lines += ["### Everything else", ""]
    for key, title, columns in TABLES:
        for scenario, found in results.items():
            if found["rows"] and (scenario == key or scenario.startswith(f"{key}-")):
                which = scenario.removeprefix(key).replace("-", " ").strip()
                lines += [f"**{title}{f' ({which})' if which else ''}**", "", _when(found["about"]), ""]
                lines += [*_table(columns, found["rows"]), ""]
    absent = [name for name in SCENARIOS if not results.get(name, {}).get("rows")]
    if absent:
        lines += ["**Not here**", "", f"Of these scenarios nothing was kept at this scale: {', '.join(absent)}.", ""]
    return "\n".join(lines)


VERDICTS: Sequence[Column] = (
    ("what", "what", 0, ""),
    ("at least", "least", 0, ""),
    ("aim", "aim", 0, ""),
    ("measured", "measured", 0, ""),
    ("verdict", "verdict", 0, ""),
)


def _machines(results: Results, scale: str) -> list[str]:
    """The machine once; where parts were measured on different ones, each with its scenarios."""
    found: dict[tuple[object, ...], list[str]] = {}
    for name, each in results.items():
        found.setdefault(tuple(each["about"].get(key) for key in MACHINE), []).append(name)
    lines = []
    for names in found.values():
        about = results[names[0]]["about"]
        burnt = [results[name]["about"]["burner_counted_s"] for name in names]
        which = "" if len(found) == 1 else f" ({', '.join(names)})"
        lines.append(
            f"Scale `{scale}`{which}: {about['cores']} cores ({about['cpu']}), {int(about['memory_bytes']) >> 30} GiB, Linux "
            f"{about['kernel']}, {about['file_system']}, Python {about['python']}; CPU counted by {about['accounting']} "
            f"(a burner of 1 s counted as {min(burnt):.3f} to {max(burnt):.3f} s)."
        )
    return lines


def _when(about: Row) -> str:
    """The run of one scenario."""
    tree = "" if about["tree"] == "clean" else f" ({about['tree']} tree)"
    return (
        f"{about['began']}, commit {about['commit']}{tree}, load before {about['load_before']:.1f}, "
        f"took {about['took_s']:.0f} s."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contest:
    about: Row
    rows: Sequence[Row]
    where: str


def _contests(results: Mapping[str, Any]) -> list[_Contest]:
    """What moved files, in the order in which it was measured."""
    return [
        _Contest(about=each["about"], rows=each["rows"], where=", Ceph RGW" if name.startswith("ceph-") else "")
        for name, each in results.items()
        if each["rows"] and "synced_cpu_s" in each["rows"][0]
    ]


def _movement(contest: _Contest) -> list[str]:
    first = contest.rows[0]
    ours = _one(contest.rows, "Penstock")
    large = first["files"] == 1
    unit = "CPU s per GiB" if large else "files per CPU s"
    lines = [f"**{first['direction'].capitalize()} of {first['words']}{contest.where}**", "", _when(contest.about), ""]
    lines += [f"| | runs | wall s | with sync | CPU s | with sync | {unit} | Penstock's CPU | memory MiB | setting |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|---:|---:|---|"]
    for row in contest.rows:
        amount = f"{row['cpu_s_per_gib']:.2f}" if large else f"{row['files_per_cpu_s']:,.0f}"
        lines.append(
            f"| {row['name']} | {len(row['runs'])} | {row['wall_s']:.2f} | {row['synced_wall_s']:.2f} | {row['cpu_s']:.2f} "
            f"| {row['synced_cpu_s']:.2f} | {amount} | {ours['synced_cpu_s'] / row['synced_cpu_s']:.2f} × "
            f"| {row['memory_bytes'] >> 20} | {row['setting']} |"
        )
    return [*lines, ""]


def _one(rows: Iterable[Row], name: str) -> Row:
    return next(row for row in rows if row["name"] == name)


def _table(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    lines = ["| " + " | ".join(heading for heading, *_ in columns) + " |", "|" + "---|" * len(columns)]
    return [*lines, *("| " + " | ".join(cells_of(columns, row)) + " |" for row in rows)]
