"""Results as people read them: a table in Markdown and a plot in SVG beside the JSON, and the table in docs/performance.md.

Reads plain rows, measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- results begin -->", "<!-- results end -->"
MIB = 1 << 20
BAR_HEIGHT, ROW_HEIGHT, LEFT, WIDTH = 14, 20, 150, 760

Row = Mapping[str, Any]


def write_report(results: Mapping[str, Any], directory: Path, name: str) -> None:
    """NAME.md and NAME.svg in `directory`; where that is bench/results, docs/performance.md too."""
    text = as_markdown(results)
    (directory / f"{name}.md").write_text(text)
    if results.get("movement"):
        (directory / f"{name}.svg").write_text(as_svg(results["movement"]))
    if directory.resolve() == (ROOT / "bench" / "results").resolve() and PAGE.exists():
        page = PAGE.read_text()
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n{text}{END}{after}")


def as_markdown(results: Mapping[str, Any]) -> str:
    """All tables."""
    lines = [_about(results["about"]), ""]
    lines += _movement(results.get("movement", []))
    for key, title, columns in TABLES:
        rows = results.get(key)
        if rows:
            lines += [f"**{title}**", "", *_table(columns, rows if isinstance(rows, list) else [rows]), ""]
    return "\n".join(lines)


def _about(about: Row) -> str:
    memory = int(about["memory_bytes"]) >> 30
    return (
        f"Scale `{about['scale']}`, {about['began']}: {about['cores']} cores ({about['cpu']}), {memory} GiB, "
        f"Linux {about['kernel']}, {about['file_system']}, Python {about['python']}; CPU counted by {about['accounting']} "
        f"(a burner of 1 s counted as {about['burner_counted_s']:.3f} s); load before: {about['load_before']:.1f}."
    )


def _movement(rows: Sequence[Row]) -> list[str]:
    lines: list[str] = []
    for contest in _contests(rows):
        first = contest[0]
        ours = _one(contest, "Penstock")
        lines += [f"**{first['direction'].capitalize()} of {first['words']}**", ""]
        large = first["files"] == 1
        unit = "CPU s per GiB" if large else "files per CPU s"
        lines += [f"| | wall s | with sync | CPU s | {unit} | Penstock's ratio | memory MiB | setting |"]
        lines += ["|---|---:|---:|---:|---:|---:|---:|---|"]
        for row in contest:
            amount = f"{row['cpu_s_per_gib']:.2f}" if large else f"{row['files_per_cpu_s']:,.0f}"
            ratio = ours["synced_cpu_s"] / row["synced_cpu_s"] if large else row["synced_cpu_s"] / ours["synced_cpu_s"]
            lines.append(
                f"| {row['name']} | {row['wall_s']:.2f} | {row['synced_wall_s']:.2f} | {row['synced_cpu_s']:.2f} | {amount} "
                f"| {ratio:.2f} × | {row['memory_bytes'] / MIB:.0f} | {row['setting']} |"
            )
        lines.append("")
    return lines


def _contests(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows by file set and direction."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["set"], row["direction"]), []).append(row)
    return list(found.values())


def _one(rows: Iterable[Row], name: str) -> Row:
    return next(row for row in rows if row["name"] == name)


Columns = Sequence[tuple[str, str, float, str]]
"""Heading, key, factor, format."""

TABLES: Sequence[tuple[str, str, Columns]] = (
    (
        "requests",
        "Requests: a lean client, a fresh nonce each",
        (
            ("", "what", 0, ""),
            ("connections", "connections", 1, ".0f"),
            ("calls", "calls", 1, ",.0f"),
            ("a second", "per_second", 1, ",.0f"),
            ("p50 ms", "p50_s", 1e3, ".1f"),
            ("p99 ms", "p99_s", 1e3, ".1f"),
            ("CPU µs each", "cpu_s_per_call", 1e6, ".0f"),
        ),
    ),
    (
        "latency",
        "From idle to COMPLETE: one import of 4 KiB",
        (
            ("samples", "samples", 1, ".0f"),
            ("COMPLETE p50 ms", "complete_p50_s", 1e3, ".1f"),
            ("p95 ms", "complete_p95_s", 1e3, ".1f"),
            ("create p50 ms", "create_p50_s", 1e3, ".1f"),
            ("fdatasync p50 ms", "fdatasync_p50_s", 1e3, ".2f"),
            ("store p50 ms", "store_p50_s", 1e3, ".2f"),
            ("fdatasyncs besides the store", "fdatasyncs_p50", 1, ".1f"),
        ),
    ),
    (
        "pages",
        "A page of DescribeDataFlowSubTasks (100 rows) as the catalog grows",
        (
            ("rows", "rows", 1, ",.0f"),
            ("filter", "filter", 0, ""),
            ("p50 ms", "p50_s", 1e3, ".2f"),
            ("p99 ms", "p99_s", 1e3, ".2f"),
            ("against the smallest", "ratio", 1, ".2f"),
        ),
    ),
    (
        "growth",
        "Cost of a sub-task as the catalog grows",
        (
            ("rows", "rows", 1, ",.0f"),
            ("create a second", "per_second", 1, ",.0f"),
            ("create CPU µs", "create_cpu_s", 1e6, ".0f"),
            ("moved files a second", "moved_per_second", 1, ",.0f"),
            ("create and move CPU µs", "moved_cpu_s", 1e6, ".0f"),
        ),
    ),
    (
        "waiting",
        "Memory with many waiting sub-tasks (PSS)",
        (
            ("waiting", "waiting", 1, ",.0f"),
            ("process", "process", 0, ""),
            ("before MiB", "before_bytes", 1 / MIB, ".0f"),
            ("after MiB", "after_bytes", 1 / MIB, ".0f"),
        ),
    ),
    (
        "fairness",
        "A new 4 KiB sub-task while ten 1 TiB imports run",
        (
            ("samples", "samples", 1, ".0f"),
            ("p50 ms", "p50_s", 1e3, ".0f"),
            ("p95 ms", "p95_s", 1e3, ".0f"),
            ("idle p50 ms", "idle_p50_s", 1e3, ".0f"),
        ),
    ),
)


def _table(columns: Columns, rows: Sequence[Row]) -> list[str]:
    lines = ["| " + " | ".join(heading for heading, *_ in columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = [str(row[key]) if not factor else format(row[key] * factor, form) for _, key, factor, form in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


# ------------------------------------------------------------------------------------------------------------------ plot


def as_svg(rows: Sequence[Row]) -> str:
    """CPU seconds of every contestant, each contest by itself; shorter is better."""
    pieces: list[str] = []
    top = 24
    for contest in _contests(rows):
        first = contest[0]
        most = max(row["synced_cpu_s"] for row in contest)
        pieces.append(_text(10, top, f"{first['direction']} of {first['words']}: CPU seconds, made durable", "bold"))
        top += 8
        for row in sorted(contest, key=lambda row: float(row["synced_cpu_s"])):
            width = max(1.0, row["synced_cpu_s"] / most * (WIDTH - LEFT - 90))
            colour = "#1f6f8b" if row["name"] == "Penstock" else "#b8c4cc" if row["name"] != "floor" else "#7a8a94"
            pieces.append(
                f'<rect x="{LEFT}" y="{top}" width="{width:.1f}" height="{BAR_HEIGHT}" fill="{colour}"/>'
                + _text(10, top + 11, row["name"], "normal")
                + _text(LEFT + width + 6, top + 11, f"{row['synced_cpu_s']:.2f} s", "normal")
            )
            top += ROW_HEIGHT
        top += 24
    body = "\n".join(pieces)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, words: str, weight: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" font-weight="{weight}">{escape(words)}</text>'
