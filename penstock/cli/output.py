"""What commands print: JSON for scripts, and aligned columns for people. Bars are in `bars`.

Results go to stdout, everything else to stderr. Nothing is cut off, so that ids can be copied, and names from outside
cannot move the cursor.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import click

from penstock.cli.wording import spoken
from penstock.errors import SettingsError

GOOD = frozenset({"Running", "Executing", "Completed", "COMPLETE", "active"})
BAD = frozenset({"Failed", "FAILED", "Misconfigured", "EXPIRED"})
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def print_json(value: object) -> None:
    """One JSON object on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """A remark for a person, on stderr."""
    click.echo(spoken(text), err=True)


def warn(text: str) -> None:
    """A remark that something may not be as it is meant, on stderr."""
    note(click.style("warning: ", fg="yellow") + text)


def need_stdout() -> None:
    """Raises SettingsError where stdout was closed: a socket would take its place, and the ready line would go there."""
    if sys.stdout is None:
        raise SettingsError(
            "stdout is closed; the ready line is printed there, so let it go to a file, or to /dev/null"
        )


def visible(text: object) -> str:
    """Text that cannot move the cursor: control characters and lone surrogates are shown escaped."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in str(text))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as their widest cell. Numbers stand on the right."""
    cells = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [headings, *cells]) for column in range(len(headings))]
    right = [bool(rows) and all(isinstance(row[column], int) for row in rows) for column in range(len(headings))]
    click.secho(_line(headings, widths, right), bold=True)
    for row in cells:
        click.echo(_line(row, widths, right, style=_colour))


def print_facts(facts: Mapping[str, object]) -> None:
    """Name and value, a line each; what is not told is left out."""
    told = {name: visible(value) for name, value in facts.items() if value not in {None, ""}}
    width = max((len(name) for name in told), default=0)
    for name, value in told.items():
        click.echo(f"{click.style(name.ljust(width), dim=True)}  {_colour(value)}")


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool], style: Callable[[str], str] = str) -> str:
    placed: list[str] = []
    for cell, width, to_right in zip(cells, widths, right, strict=True):
        space = " " * (width - len(cell))
        placed.append(space + style(cell) if to_right else style(cell) + space)
    return "  ".join(placed).rstrip()


def _colour(cell: str) -> str:
    if cell in GOOD:
        return click.style(cell, fg="green")
    return click.style(cell, fg="red") if cell in BAD else cell


def size(count_bytes: int) -> str:
    """Bytes for people: three digits and a unit."""
    amount, unit = float(count_bytes), 0
    while amount >= 1024 and unit < len(UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{count_bytes} B" if unit == 0 else f"{amount:.1f} {UNITS[unit]}"


def moment(time_ns: int) -> str:
    """A time for people, UTC, to the second."""
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if time_ns else ""
