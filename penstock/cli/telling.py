"""How a command that moves files tells of them: lines for people, JSON lines for machines. The live display is in `display`.

Results go to stdout, remarks and what went wrong to stderr.
"""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, Self

import click

from penstock.cli.output import note, size, visible
from penstock.cli.tally import LEFT_OUT, Ending, Tally
from penstock.client import SubTask
from penstock.errors import SettingsError

CSV_COLUMNS = ("status", "source", "target", "bytes", "crc64", "modify_time_ns", "sub_task", "error")
SHOWN_MAX = 20


class Teller(AbstractContextManager["Teller"], Protocol):
    """Told of a batch as it goes on."""

    def say(self, text: str) -> None:
        """A remark."""

    def ended(self, ending: Ending) -> None:
        """A file has ended."""

    def progress(self, tally: Tally, moving: Sequence[SubTask], done_bytes: int, total_bytes: int | None) -> None:
        """How far it is; `moving` are some that are moved now, the largest first."""

    def ask(self, question: str, answers: str) -> str:
        """A letter of `answers`; the first one where nobody answers."""

    def sum_up(self, tally: Tally) -> None:
        """All is told that will be told."""


class Lines:
    """A line for each file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def say(self, text: str) -> None:
        """On stderr."""
        note(visible(text))

    def ended(self, ending: Ending) -> None:
        """What arrived on stdout, what did not on stderr."""
        if ending.is_good and ending.sub_task is not None:
            click.echo(f"{ending.status}  {visible(ending.name)}  {ending.sub_task.bytes_total}  {crc_of(ending)}")
        else:
            click.echo(words_of(ending), err=True)

    def progress(self, tally: Tally, moving: Sequence[SubTask], done_bytes: int, total_bytes: int | None) -> None:
        """Nothing: lines are for logs."""

    def ask(self, question: str, answers: str) -> str:  # noqa: ARG002  nobody is there
        """The first answer."""
        return answers[0]

    def sum_up(self, tally: Tally) -> None:
        """The last line."""
        click.echo(summary(tally))


class JsonLines(Lines):
    """A JSON object for each event, a line each: `plan`, `file`, `summary`."""

    def say(self, text: str) -> None:
        """What was chosen, as an event of its own."""
        self._tell({"event": "plan", "text": text})

    def ended(self, ending: Ending) -> None:
        """The end of one file."""
        self._tell({"event": "file", **fields_of(ending)})

    def sum_up(self, tally: Tally) -> None:
        """The last line."""
        self._tell(
            {
                "event": "summary",
                "found": tally.found,
                "statuses": dict(tally.statuses),
                "kept": tally.kept,
                "bytes": tally.complete_bytes,
                "bytes_moved": tally.moved_bytes,
                "seconds": round(tally.seconds, 3),
            }
        )

    def _tell(self, event: dict[str, Any]) -> None:
        text = json.dumps(event, ensure_ascii=False)
        click.echo(text if text.isprintable() else json.dumps(event))  # a lone surrogate has no UTF-8


class CsvSheet:
    """A row for each file, in the file at `path`; `flush` it now and then, so that it tells of those that have ended."""

    def __init__(self, path: str) -> None:
        """Raises SettingsError where it cannot be written."""
        self._path = path
        is_stdout = path == "-"
        try:
            self._file = open(  # noqa: SIM115  closed by `__exit__`
                sys.stdout.fileno() if is_stdout else path,
                "w", newline="", encoding="utf-8", errors="backslashreplace", closefd=not is_stdout,
            )  # fmt: skip
            self._writer = csv.DictWriter(self._file, CSV_COLUMNS)
            self._writer.writeheader()
            self._file.flush()
        except OSError as error:
            raise self._failure(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # it was flushed before, or that was told
            self._file.close()

    def add(self, ending: Ending) -> None:
        """One more. Raises SettingsError where it cannot be written."""
        try:
            self._writer.writerow(fields_of(ending))
        except OSError as error:
            raise self._failure(error) from error

    def flush(self) -> None:
        """Hand what was added to the kernel. Raises SettingsError where it cannot be written."""
        try:
            self._file.flush()
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> SettingsError:
        return SettingsError(f"--summary-csv {self._path} cannot be written: {error.strerror}")


def fields_of(ending: Ending) -> dict[str, Any]:
    """An ending as machines read it; nanoseconds are text, because many readers of JSON have 53 bits only."""
    seen = ending.sub_task
    if seen is None:
        return {"status": ending.status, "source": ending.name, "error": ending.why}
    modified = "" if seen.modify_time_ns is None else str(seen.modify_time_ns)
    return {
        "status": ending.status,
        "source": seen.source,
        "target": seen.target,
        "bytes": seen.bytes_total,
        "crc64": "" if seen.crc64 is None else str(seen.crc64),
        "modify_time_ns": modified,
        "sub_task": seen.sub_task_id,
        "error": ending.why,
    }


def crc_of(ending: Ending) -> str:
    """The checksum, or why there is none."""
    seen = ending.sub_task
    if seen is None:
        return ""
    return "kept what was there" if seen.was_kept else seen.checksum or "-"


def words_of(ending: Ending) -> str:
    """What did not arrive, and why."""
    colour = "yellow" if ending.status in {LEFT_OUT, "CANCELED"} else "red"
    why = f": {visible(ending.why)}" if ending.why else ""
    return f"{click.style(ending.status, fg=colour)}  {visible(ending.name)}{why}"


def summary(tally: Tally) -> str:
    """All in one line."""
    words = [f"{count} {status}" for status, count in sorted(tally.statuses.items(), key=_good_first)]
    kept = f" ({tally.kept} kept what was there)" if tally.kept else ""
    left = f", {tally.found - tally.ended} still under way" if tally.found > tally.ended else ""
    speed = f", {size(int(tally.moved_bytes / tally.seconds))}/s" if tally.moved_bytes and tally.seconds > 0 else ""
    count = f"{tally.found} file" + ("" if tally.found == 1 else "s")
    return f"{count}: {', '.join(words) or 'nothing'}{kept}{left}; {size(tally.complete_bytes)} in {span(tally.seconds)}{speed}"


def _good_first(entry: tuple[str, int]) -> tuple[bool, str]:
    return entry[0] != "COMPLETE", entry[0]


def span(seconds: float) -> str:
    """How long, for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
