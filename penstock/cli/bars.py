"""Progress bars, on stderr where that is a terminal, and nothing anywhere else.

What draws them is a good part of all that a command would import, so it is imported when there is something to draw on.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from penstock.cli.output import visible

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn
    from rich.status import Status


@contextlib.contextmanager
def count_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of files. Call what is yielded with files done and the total."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich import progress as rich  # noqa: PLC0415  (see above)

    with _bar(rich.MofNCompleteColumn()) as bar:
        task = bar.add_task(visible(label), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextlib.contextmanager
def byte_bar(label: str, total_bytes: int | None) -> Iterator[Callable[[int, int | None], None]]:
    """A bar of bytes. Call what is yielded with bytes done and the total, if known."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich import progress as rich  # noqa: PLC0415  (see above)

    with _bar(rich.DownloadColumn(binary_units=True), rich.TransferSpeedColumn()) as bar:
        task = bar.add_task(visible(label), total=total_bytes)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextlib.contextmanager
def phase_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar of bytes with several beginnings. Call what is yielded with what is done now, bytes done and the total."""
    if not sys.stderr.isatty():
        yield lambda _words, _done, _total: None
        return
    from rich import progress as rich  # noqa: PLC0415  (see above)

    with _bar(rich.DownloadColumn(binary_units=True), rich.TransferSpeedColumn()) as bar:
        task = bar.add_task("", total=None)
        yield lambda words, done, total: bar.update(
            task, description=visible(words), completed=done, total=total or None
        )


class Spinner:
    """Something that moves on stderr; with `status` None nothing does."""

    def __init__(self, label: str, status: Status | None) -> None:
        self._label = label
        self._status = status

    def tell(self, text: str) -> None:
        """What is done now."""
        if self._status is not None:
            from rich.markup import escape  # noqa: PLC0415  (see above)

            self._status.update(escape(visible(f"{self._label} {text}")))

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Out of the way of what is printed meanwhile: both may be seen on one terminal."""
        if self._status is None:
            yield
            return
        self._status.stop()
        yield
        self._status.start()


@contextlib.contextmanager
def spinner(label: str) -> Iterator[Spinner]:
    """For what takes nobody knows how long."""
    if not sys.stderr.isatty():
        yield Spinner(label, None)
        return
    from rich.console import Console  # noqa: PLC0415  (see above)
    from rich.status import Status  # noqa: PLC0415

    with Status(label, console=Console(stderr=True)) as status:
        yield Spinner(label, status)


def _bar(*columns: ProgressColumn) -> Progress:
    """What all bars have, with `columns` between the bar and the time that is left."""
    from rich.console import Console  # noqa: PLC0415  (see above)
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    return Progress(
        TextColumn("{task.description}"), BarColumn(), *columns, TimeRemainingColumn(),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
