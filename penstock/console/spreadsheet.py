"""A list of sub-tasks as comma-separated values: one line each, safe to open in a spreadsheet.

Pure. A cell that a spreadsheet would take for a formula begins with an apostrophe, because file names come from outside.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from penstock.model import SubTask

COLUMNS = (
    "sub_task_id",
    "status",
    "direction",
    "source",
    "target",
    "bytes_total",
    "bytes_done",
    "bytes_moved",
    "average_bytes_per_s",
    "attempts",
    "error_code",
    "error_message",
    "checksum",
    "source_modified",
    "created",
    "started",
    "ended",
    "file_system_id",
    "data_flow_id",
    "task_id",
    "note",
)
_FORMULA_BEGINS = frozenset("=+-@\t\r\n＝＋－＠")
NS_PER_S = 1_000_000_000


def head() -> bytes:
    """The line of the columns' names."""
    return lines([COLUMNS])


def line(sub_task: SubTask, direction: str) -> Sequence[str | int]:
    """One sub-task, in the order of COLUMNS."""
    detail = sub_task.detail
    return (
        sub_task.sub_task_id,
        sub_task.status.value,
        direction,
        _text(sub_task.source),
        _text(sub_task.target),
        sub_task.bytes_total,
        sub_task.bytes_done,
        sub_task.actual_bytes,
        sub_task.average_speed,
        sub_task.attempt,
        sub_task.error_code,
        _text(sub_task.error_message),
        detail.checksum if detail is not None else "",
        _time(detail.modify_time_ns) if detail is not None else "",
        _time(sub_task.created_ns),
        _time(sub_task.started_ns),
        _time(sub_task.ended_ns),
        sub_task.file_system_id,
        sub_task.data_flow_id,
        sub_task.task_id,
        _text(sub_task.note),
    )


def lines(cells: Iterable[Sequence[str | int]]) -> bytes:
    """Lines as bytes, quoted where that is needed."""
    sheet = io.StringIO()
    csv.writer(sheet, lineterminator="\r\n").writerows(cells)
    return sheet.getvalue().encode("utf-8", "backslashreplace")


def _text(text: str) -> str:
    """Text from outside, which no spreadsheet takes for a formula: not at its beginning, not after blanks either."""
    bare = text.lstrip(" \u00a0\u3000")
    return f"'{text}" if bare[:1] in _FORMULA_BEGINS and bare else text


def _time(time_ns: int | None) -> str:
    """UTC with all nine digits, which sort as they stand; "" where there is none."""
    if not time_ns:
        return ""
    whole_s, rest_ns = divmod(time_ns, NS_PER_S)
    try:
        moment = datetime.fromtimestamp(whole_s, UTC)
    except (OverflowError, ValueError):  # a source's time may be anything that 64 bits hold
        return str(time_ns)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"
