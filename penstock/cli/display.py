"""The live display of a command that moves files: a line for all, one for each of the largest that move, errors above them.

Drawn on stderr, a few times a second, and gone in the end; the summary stays, on stdout. Imported where there is a terminal.
Nothing wraps: names are shortened in the middle, and columns have their widths.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import click
from rich.console import Console, RenderableType
from rich.live import Live as Screen
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from penstock.cli.fitting import padded, shortened, width_of
from penstock.cli.output import size, visible
from penstock.cli.tally import Ending, Tally
from penstock.cli.telling import SHOWN_MAX, crc_of, summary, words_of
from penstock.cli.wording import spoken
from penstock.client import SubTask

LINES_MAX = 6
NAME_CELLS = (12, 64)
BAR_CELLS = (8, 30)
AMOUNT_CELLS = 17
SPEED_CELLS = 11
TIME_CELLS = 6
WIDE_CELLS = 76
"""Narrower terminals have no room for speeds and times."""
SPARE_CELLS = 4
"""At the right, where a terminal shows ^C: a line that wraps could not be drawn over."""
REDRAWS_A_SECOND = 6
SPEED_OVER_S = 4.0
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class Live:
    """Bars for people."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._drawn: Table = Table.grid()
        self._screen = self._new_screen()
        self._seen: deque[tuple[float, int]] = deque()
        self._good: list[Ending] = []

    def __enter__(self) -> Self:
        self._screen.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen.stop()

    def say(self, text: str) -> None:
        """A line above the bars."""
        self._console.print(Text(visible(spoken(text)), style="dim"), soft_wrap=True)

    def ended(self, ending: Ending) -> None:
        """What did not arrive is told at once; of the others a few are kept for the end."""
        if not ending.is_good:
            self._console.print(Text.from_ansi(words_of(ending)), soft_wrap=True)
        elif len(self._good) <= SHOWN_MAX:
            self._good.append(ending)

    def progress(self, tally: Tally, moving: Sequence[SubTask], done_bytes: int, total_bytes: int | None) -> None:
        """Draw it."""
        bar_cells = _within(self._console.width - 100, BAR_CELLS)
        beside = [bar_cells, AMOUNT_CELLS, SPEED_CELLS, TIME_CELLS]
        if self._console.width < WIDE_CELLS:
            beside = beside[:2]
        name_cells = _within(self._console.width - SPARE_CELLS - sum(beside) - 2 * len(beside), NAME_CELLS)
        grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        for place, width in enumerate([name_cells, *beside]):
            grid.add_column(width=width, no_wrap=True, overflow="crop", justify="left" if place < 2 else "right")
        speed = self._speed(done_bytes)
        of = f"{tally.found}" if tally.all_found else f"{tally.found}+"
        bad = f", {tally.bad} not moved" if tally.bad else ""
        name = Text(shortened(f"{tally.ended} of {of} files{bad}", name_cells), style="bold")
        rows: list[list[RenderableType]] = [[name, *_figures(done_bytes, total_bytes, speed, bar_cells)]]
        for seen in moving[: min(LINES_MAX, max(1, self._console.height - 6))]:
            name = Text(f"  {shortened(visible(seen.name), name_cells - 2)}")
            if seen.error and not seen.bytes_done:
                rows.append([name, Text("waits", style="yellow"), Text(seen.error.partition(":")[0], style="yellow")])
            else:
                rows.append([name, *_figures(seen.bytes_done, seen.bytes_total, seen.average_speed, bar_cells)])
        for row in rows:
            grid.add_row(*row[: len(beside) + 1])
        self._drawn = grid

    def ask(self, question: str, answers: str) -> str:
        """On the terminal itself, for stdin may be a list; the first answer where nothing, or Ctrl-C, is said."""
        self._screen.stop()
        try:
            with open("/dev/tty", "r+b", buffering=0) as terminal:
                terminal.write(f"{question} ".encode())
                said = terminal.readline().decode(errors="replace").strip().lower()
        except (OSError, KeyboardInterrupt):
            click.echo(err=True)
            return answers[0]
        self._screen = self._new_screen()
        self._screen.start()
        return said[0] if said and said[0] in answers else answers[0]

    def sum_up(self, tally: Tally) -> None:
        """The files with their checksums, where they are few, and the last line."""
        self._screen.stop()
        if 0 < tally.statuses["COMPLETE"] <= SHOWN_MAX:
            longest = max(width_of(visible(each.name)) for each in self._good)
            width = min(longest, max(NAME_CELLS[0], self._console.width - 41))
            for ending in self._good:
                assert ending.sub_task is not None
                name = padded(visible(ending.name), width)
                click.echo(f"{name}  {size(ending.sub_task.bytes_total):>10}  {crc_of(ending)}")
        click.secho(summary(tally), bold=sys.stdout.isatty())

    def _new_screen(self) -> Screen:
        return Screen(
            console=self._console,
            transient=True,
            refresh_per_second=REDRAWS_A_SECOND,
            get_renderable=lambda: self._drawn,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _speed(self, done_bytes: int) -> float:
        """Bytes a second over the last seconds."""
        now_s = time.monotonic()
        self._seen.append((now_s, done_bytes))
        while len(self._seen) > 2 and self._seen[0][0] < now_s - SPEED_OVER_S:
            self._seen.popleft()
        first_s, first_bytes = self._seen[0]
        return max(0.0, (done_bytes - first_bytes) / (now_s - first_s)) if now_s > first_s else 0.0


def _within(cells: int, bounds: tuple[int, int]) -> int:
    return max(bounds[0], min(bounds[1], cells))


def _figures(done_bytes: int, total_bytes: int | None, speed: float, bar_cells: int) -> list[RenderableType]:
    """Bar, amount, speed, time."""
    return [
        _bar(done_bytes, total_bytes, bar_cells),
        amount(done_bytes, total_bytes),
        f"{size(int(speed))}/s",
        remaining(done_bytes, total_bytes, speed),
    ]


def _bar(done: int, total: int | None, cells: int) -> ProgressBar:
    return ProgressBar(total=total or None, completed=min(done, total or done), width=cells, pulse=not total)


def amount(done_bytes: int, total_bytes: int | None) -> str:
    """Bytes done of bytes in all, in the unit of all."""
    if not total_bytes:
        return size(done_bytes)
    unit = 0
    while total_bytes >= 1024 ** (unit + 1) and unit < len(UNITS) - 1:
        unit += 1
    if unit == 0:
        return f"{done_bytes}/{total_bytes} B"
    return f"{done_bytes / 1024**unit:.1f}/{total_bytes / 1024**unit:.1f} {UNITS[unit]}"


def remaining(done_bytes: int, total_bytes: int | None, speed: float) -> str:
    """How long it takes at this speed: minutes and seconds, or hours and minutes."""
    if not total_bytes or speed <= 0:
        return ""
    minutes, seconds = divmod(int(max(0, total_bytes - done_bytes) / speed), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}:{seconds:02}"
