"""Filters of the list of files, as they stand in the page's URL: read with every mistake named, and written back.

Pure. What is typed is bounded; a URL with a mistake in it lists nothing, so that no act on "all of these" goes too far.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar
from urllib.parse import urlencode

from penstock.catalog.views import Browse, Listed, Order, PathFilter, PathMatch
from penstock.model import Direction, SubTaskStatus

Taken = TypeVar("Taken")
Otherwise = TypeVar("Otherwise")

NS_PER_S = 1_000_000_000
INT64_MAX = (1 << 63) - 1
PATH_MAX_CHARACTERS = 1023
ID_MAX_CHARACTERS = 128

WINDOWS_S: Mapping[str, int] = {
    "1h": 3600,
    "24h": 24 * 3600,
    "7d": 7 * 24 * 3600,
    "30d": 30 * 24 * 3600,
}
"""How far back a list goes, for those who pick it from a menu."""

_UNITS = {
    "": 1,
    "b": 1,
    **{f"{letter}{mark}": 1024**power for power, letter in enumerate("kmgtp", start=1) for mark in ("", "i", "ib")},
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgtp", start=1)},
}
_SIZE = re.compile(r"(\d{1,19}(?:\.\d{1,6})?)\s*([a-z]{0,3})", re.ASCII | re.IGNORECASE)
_ID = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_DIGITS = re.compile(r"\d{1,19}", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_MOMENTS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFilters:
    """What a list of files is narrowed to; empty and None narrow nothing. `since_ns` and `until_ns` are half open.

    `path` is what a source or a target begins with if it begins with a slash, else what it has in it.
    """

    file_system: str = ""
    data_flow: str = ""
    task: str = ""
    statuses: tuple[SubTaskStatus, ...] = ()
    direction: Direction | None = None
    path: str = ""
    least_bytes: int | None = None
    most_bytes: int | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    order: Order = Order.NEWEST

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out."""
        return replace(self, order=Order.NEWEST) != FileFilters()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A URL's query, read: the filters, the texts as they were typed, what is wrong with which, and where the page begins."""

    filters: FileFilters
    typed: Mapping[str, str]
    wrong: Mapping[str, str] = field(default_factory=dict)
    cursor: str = ""
    as_of_ns: int = 0

    def query(self, **changes: str) -> str:
        """The URL's query with these parts changed ("" leaves one out); a page begins anew unless `cursor` is given."""
        parts = {name: text for name, text in self.typed.items() if name not in _PLACE}
        parts |= changes
        return urlencode([(name, text) for name, text in parts.items() if text])

    def page_query(self, cursor: str) -> str:
        """The query of another page of the very same list: windows of time stay where they are."""
        return self.query(cursor=cursor, at=str(self.as_of_ns) if self.typed.get("time") else "")


_PLACE = frozenset({"cursor", "at"})
NAMES = ("fs", "flow", "task", "status", "direction", "path", "least", "most", "time", "since", "until", "order")
"""The parts of a query, in the order in which they are written."""


class _WrongError(Exception):
    """What was typed cannot be used; in words for whoever typed it."""


def read(query: Iterable[tuple[str, str]], *, now_ns: int) -> Asked:
    """A URL's query (a part may be given more than once) as filters. Parts that are not known are ignored."""
    typed: dict[str, str] = {}
    for name, text in query:
        if name in (*NAMES, *_PLACE) and text.strip():
            typed[name] = f"{typed[name]},{text}" if name == "status" and name in typed else text.strip()
    typed = {name: typed[name] for name in (*NAMES, *sorted(_PLACE)) if name in typed}
    as_of_ns = _as_of(typed.get("at", ""), now_ns)
    reader = _Reader(typed)
    window_s = reader.read("time", _window, 0)
    since_ns = reader.read("since", _moment, None)
    filters = FileFilters(
        file_system=reader.read("fs", _id, ""),
        data_flow=reader.read("flow", _id, ""),
        task=reader.read("task", _id, ""),
        statuses=reader.read("status", _statuses, ()),
        direction=reader.read("direction", Direction, None),
        path=reader.read("path", _path, ""),
        least_bytes=reader.read("least", _size, None),
        most_bytes=reader.read("most", _size, None),
        since_ns=since_ns if since_ns is not None or not window_s else as_of_ns - window_s * NS_PER_S,
        until_ns=reader.read("until", _moment, None),
        order=reader.read("order", Order, Order.NEWEST),
    )
    _judge_ranges(filters, reader.wrong)
    return Asked(
        filters=filters, typed=typed, wrong=reader.wrong, cursor=typed.get("cursor", "")[:1000], as_of_ns=as_of_ns
    )


class _Reader:
    """Reads one part after the other, and remembers what was wrong with which."""

    def __init__(self, typed: Mapping[str, str]) -> None:
        self._typed = typed
        self.wrong: dict[str, str] = {}

    def read(self, name: str, take: Callable[[str], Taken], otherwise: Otherwise) -> Taken | Otherwise:
        """The part as `take` reads it; `otherwise` where it is not there, or wrong."""
        text = self._typed.get(name)
        if text is None:
            return otherwise
        try:
            return take(text)
        except _WrongError as error:
            self.wrong[name] = str(error)
        except ValueError:
            self.wrong[name] = f"“{text[:40]}” is not one of the choices"
        return otherwise


def browse_of(filters: FileFilters, file_systems: Sequence[str]) -> Browse:
    """What to ask the ledger for, of the file systems that the visitor may see."""
    path = filters.path
    match = PathMatch.PREFIX if path.startswith("/") else PathMatch.CONTAINS
    asked = filters.file_system
    return Browse(
        file_systems=tuple(each for each in file_systems if not asked or each == asked),
        data_flow_ids=(filters.data_flow,) if filters.data_flow else None,
        task_ids=(filters.task,) if filters.task else None,
        statuses=filters.statuses or None,
        direction=filters.direction,
        path=PathFilter(text=path, match=match) if path else None,
        size_from_bytes=filters.least_bytes,
        size_until_bytes=None if filters.most_bytes is None else filters.most_bytes + 1,
        created_from_ns=filters.since_ns,
        created_until_ns=filters.until_ns,
        order=filters.order,
    )


def narrowed_to(filters: FileFilters, statuses: tuple[SubTaskStatus, ...]) -> FileFilters:
    """The same filters, of these statuses."""
    return replace(filters, statuses=statuses)


def matches(query: Browse, listed: Listed) -> bool:
    """Whether this one stands on a list: for what has come since the list was read."""
    sub_task = listed.sub_task
    size = sub_task.detail.size_bytes if sub_task.detail is not None else sub_task.bytes_total
    return (
        sub_task.file_system_id in query.file_systems
        and _one_of(sub_task.data_flow_id, query.data_flow_ids)
        and _one_of(sub_task.task_id, query.task_ids)
        and _one_of(sub_task.status, query.statuses)
        and query.direction in (None, listed.direction)
        and _has_path(query.path, sub_task.source, sub_task.target)
        and _within(size, query.size_from_bytes, query.size_until_bytes)
        and _within(sub_task.created_ns, query.created_from_ns, query.created_until_ns)
    )


def _one_of(value: str, wanted: Sequence[str] | None) -> bool:
    return wanted is None or value in wanted


def _within(value: int, from_: int | None, until: int | None) -> bool:
    return (from_ is None or value >= from_) and (until is None or value < until)


def _has_path(wanted: PathFilter | None, source: str, target: str) -> bool:
    if wanted is None:
        return True
    if wanted.match is PathMatch.PREFIX:
        return source.startswith(wanted.text) or target.startswith(wanted.text)
    text = wanted.text.lower()
    return text in source.lower() or text in target.lower()


def _as_of(text: str, now_ns: int) -> int:
    return min(int(text), now_ns) if _DIGITS.fullmatch(text) else now_ns


def _id(text: str) -> str:
    if len(text) > ID_MAX_CHARACTERS or not _ID.fullmatch(text):
        raise _WrongError("an id has letters, digits, - and _ only")
    return text


def _statuses(text: str) -> tuple[SubTaskStatus, ...]:
    words = dict.fromkeys(word.strip().upper() for word in text.split(",") if word.strip())
    return tuple(SubTaskStatus(word) for word in words)


def _path(text: str) -> str:
    if len(text) > PATH_MAX_CHARACTERS:
        raise _WrongError(f"a path has at most {PATH_MAX_CHARACTERS} characters")
    if _CONTROL.search(text):
        raise _WrongError("a path has no control characters")
    return text


def _window(text: str) -> int:
    if text not in WINDOWS_S:
        raise _WrongError(f"choose one of {', '.join(WINDOWS_S)}")
    return WINDOWS_S[text]


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[2].lower()) if found is not None else None
    if found is None or unit is None:
        raise _WrongError("write a size as 4096, 64 KiB or 1.5 GiB")
    size = int(Decimal(found[1]) * unit)
    if size >= INT64_MAX:
        raise _WrongError("no file is as large as that")
    return size


def _moment(text: str) -> int:
    for form in _MOMENTS:
        try:
            moment = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        if 1970 <= moment.year < 2262:
            return int(moment.timestamp()) * NS_PER_S
    raise _WrongError("write a time as 2026-01-31T12:00 (UTC)")


def _judge_ranges(filters: FileFilters, wrong: dict[str, str]) -> None:
    least, most = filters.least_bytes, filters.most_bytes
    if least is not None and most is not None and least > most:
        wrong["most"] = "the largest size is smaller than the smallest"
    since, until = filters.since_ns, filters.until_ns
    if since is not None and until is not None and since >= until:
        wrong["until"] = "it ends before it begins"
