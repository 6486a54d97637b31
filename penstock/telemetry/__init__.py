"""Events: one line on the log's stream, text or JSON, for each thing that an operator may want to know.

Lives on the standard `logging` logger `penstock`; `configure` gives it a stream, `lines` makes the lines. Calls nobody. Never
prints what is in a field whose name says that it is a secret, and never raises because of what it is given.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from enum import IntEnum
from typing import TextIO

from penstock.telemetry.lines import JsonLines, LogFormat, TextLines, pairs
from penstock.telemetry.meters import Meters

LOGGER_NAME = "penstock"
LOG_VARIABLE = "PENSTOCK_LOG_FORMAT"
"""By which the service tells its children how to write their lines."""

_logger = logging.getLogger(LOGGER_NAME)


class Level(IntEnum):
    """How loud an event is; the numbers are those of `logging`."""

    DEBUG = logging.DEBUG
    INFO = logging.INFO
    WARNING = logging.WARNING
    ERROR = logging.ERROR


def configure(stream: TextIO, *, level: Level = Level.INFO, form: LogFormat = LogFormat.TEXT) -> None:
    """Write events of at least `level` to `stream` from now on, and nowhere else."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if form is LogFormat.JSON else TextLines())
    _logger.handlers[:] = [handler]
    _logger.setLevel(level)
    _logger.propagate = False


def form_of(environment: Mapping[str, str]) -> LogFormat:
    """What a process was told by the one that started it; text where it was told nothing."""
    return LogFormat.JSON if environment.get(LOG_VARIABLE) == LogFormat.JSON else LogFormat.TEXT


def event(name: str, *, level: Level = Level.INFO, **fields: object) -> None:
    """Say that something happened. `name` is `room.what_happened`; fields are plain values with units last in their names."""
    if _logger.isEnabledFor(level):
        _logger.log(level, "%s%s", name, pairs(fields), extra={"event": name, "fields": fields})


def events(name: str, fields: Sequence[str], rows: Sequence[Sequence[str | int]]) -> None:
    """The same many times at once, for a tenth of the cost: values are ids and words of ours, and whole numbers."""
    if not rows or not _logger.isEnabledFor(Level.INFO):
        return
    for handler in _logger.handlers:
        if isinstance(handler, logging.StreamHandler) and isinstance(handler.formatter, TextLines | JsonLines):
            lines = handler.formatter.lines(name, fields, rows)
            with handler.lock or nullcontext():
                handler.stream.write(lines)
                handler.flush()


def failure(name: str, error: BaseException, **fields: object) -> None:
    """Say that something failed that is tried again or reported elsewhere; the error's kind and words are added."""
    event(name, level=Level.WARNING, error=type(error).__name__, message=str(error), **fields)


numbers = Meters()
"""What this process counts and measures for `/metrics`; the table of metrics is in `meters`."""
