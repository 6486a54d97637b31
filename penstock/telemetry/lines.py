"""How an event stands in the log: a line of text for people, or a line of JSON for whoever collects logs.

Formatters of `logging`, which the package's `configure` puts in place. Whatever the values hold, a record is one line, and
nothing is printed of a field whose name says that it is a secret.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

VALUE_LENGTH_MAX = 2000
HIDDEN = "***"

_SECRET_NAME = re.compile(r"secret|token|passw|signature|credential|authorization", re.IGNORECASE)
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.:/@+-]+")


class LogFormat(StrEnum):
    """The words of the setting `log_format`."""

    TEXT = "text"
    JSON = "json"


def pairs(fields: Mapping[str, object]) -> str:
    """Fields as text: ` key=value` each."""
    return "".join(f" {key}={_shown(key, value)}" for key, value in fields.items())


class TextLines(logging.Formatter):
    """`2026-01-31T12:00:00.123Z INFO engine.started movers=2`: one line, whatever the values hold.

    A defect of ours brings its traceback along, each line of it indented, so that lines still begin with a time or belong to one.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_moment(record)} {record.levelname} {record.getMessage()}"
        if not record.exc_info:
            return line
        return line + "".join(f"\n    {each}" for each in self.formatException(record.exc_info).splitlines())

    def lines(self, name: str, fields: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
        """Many of one event at INFO at this moment, whose values are plain."""
        line = f"{_now()} INFO {name}" + "".join(f" {field}=%s" for field in fields) + "\n"
        return "".join([line % tuple(row) for row in rows])


class JsonLines(logging.Formatter):
    """`{"time": …, "level": …, "event": …, …}`: the fields of the event are members beside these, numbers as numbers."""

    def lines(self, name: str, fields: Sequence[str], rows: Sequence[Sequence[str | int]]) -> str:
        """Many of one event at INFO at this moment, whose values are plain, and whole numbers where the first row has them."""
        told = json.dumps({"time": _now(), "level": "INFO", "event": name})[:-1]
        members = (
            f'"{field}": %s' if isinstance(value, int) else f'"{field}": "%s"'
            for field, value in zip(fields, rows[0], strict=True)
        )
        line = f"{told}, {', '.join(members)}}}\n"
        return "".join([line % tuple(row) for row in rows])

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {"time": _moment(record), "level": record.levelname}
        fields = getattr(record, "fields", None)
        if isinstance(fields, Mapping):
            told["event"] = str(getattr(record, "event", ""))
            told |= {key if key not in told else f"{key}_": _value(key, value) for key, value in fields.items()}
        else:
            told |= {"event": "log", "message": _short(record.getMessage())}
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


def _moment(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


def _now() -> str:
    return _moment(logging.makeLogRecord({}))


def _value(key: str, value: object) -> object:
    if _SECRET_NAME.search(key):
        return HIDDEN
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    return value if isinstance(value, bool | int | float) or value is None else _short(str(value))


def _shown(key: str, value: object) -> str:
    if _SECRET_NAME.search(key):
        return HIDDEN
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int | float):
        return repr(value)
    text = _short(str(value))
    return text if _PLAIN_VALUE.fullmatch(text) else json.dumps(text)


def _short(text: str) -> str:
    return text if len(text) <= VALUE_LENGTH_MAX else text[:VALUE_LENGTH_MAX] + "..."
