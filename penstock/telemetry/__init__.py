"""Events: one line of `key=value` pairs on the log's stream for each thing that an operator may want to know.

Lives on the standard `logging` logger `penstock`; `configure` gives it a stream. Calls nobody. Never prints what is in a field
whose name says that it is a secret, and never raises because of what it is given.
"""

from __future__ import annotations

import json
import logging
import re
import time
from enum import IntEnum
from typing import TextIO

from penstock.telemetry.meters import Meters

LOGGER_NAME = "penstock"
VALUE_LENGTH_MAX = 2000

_SECRET_NAME = re.compile(r"secret|token|passw|signature|credential|authorization", re.IGNORECASE)
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.:/@+-]+")
_logger = logging.getLogger(LOGGER_NAME)


class Level(IntEnum):
    """How loud an event is; the numbers are those of `logging`."""

    DEBUG = logging.DEBUG
    INFO = logging.INFO
    WARNING = logging.WARNING
    ERROR = logging.ERROR


class _LineFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.123Z INFO engine.started movers=2`: one line, whatever the values hold.

    A defect of ours brings its traceback along, each line of it indented, so that lines still begin with a time or belong to one.
    """

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = f"{at}.{int(record.msecs):03d}Z {record.levelname} {record.getMessage()}"
        if not record.exc_info:
            return line
        return line + "".join(f"\n    {each}" for each in self.formatException(record.exc_info).splitlines())


def configure(stream: TextIO, *, level: Level = Level.INFO) -> None:
    """Write events of at least `level` to `stream` from now on, and nowhere else."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_LineFormatter())
    _logger.handlers[:] = [handler]
    _logger.setLevel(level)
    _logger.propagate = False


def event(name: str, *, level: Level = Level.INFO, **fields: object) -> None:
    """Say that something happened. `name` is `room.what_happened`; fields are plain values with units last in their names."""
    if _logger.isEnabledFor(level):
        pairs = "".join(f" {key}={_shown(key, value)}" for key, value in fields.items())
        _logger.log(level, "%s%s", name, pairs)


def failure(name: str, error: BaseException, **fields: object) -> None:
    """Say that something failed that is tried again or reported elsewhere; the error's kind and words are added."""
    event(name, level=Level.WARNING, error=type(error).__name__, message=str(error), **fields)


def _shown(key: str, value: object) -> str:
    if _SECRET_NAME.search(key):
        return "***"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    if len(text) > VALUE_LENGTH_MAX:
        text = text[:VALUE_LENGTH_MAX] + "..."
    return text if _PLAIN_VALUE.fullmatch(text) else json.dumps(text)


numbers = Meters()
"""What this process counts and measures for `/metrics`; the table of metrics is in `meters`."""
