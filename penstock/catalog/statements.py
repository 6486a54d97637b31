"""The named SQL statements of queries/*.sql, filled for one database and from the table of states.

A file holds statements of one noun; each begins with `-- name: what it does`. In the text

- `{skip_locked}`, `{for_update}`, … are the dialect's words,
- `{before noun.step}` and `{after noun.step}` are a step's statuses, `{when noun.condition}` a condition's: statuses of
  the ledger are written nowhere else,
- `{list name}` is a list of parameters, `{rows (…)}` a list of value tuples, as long as the caller's.

Reads the package's own files once; runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from importlib import resources

from penstock.catalog.database import Dialect
from penstock.catalog.states import CONDITIONS, Noun, step

_HEAD = re.compile(r"^-- ([a-z_]+): (\S.*)$")
_STATES = re.compile(r"\{(before|after|when) ([a-z_]+)\.([a-z_]+)\}")
_LIST = re.compile(r"\{list ([a-z_]+)\}")
_ROWS = re.compile(r"\{rows (\(.*?\))\}", re.DOTALL)
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


class Statement:
    """One statement's text, and its longer forms for lists and rows. `row_names` are the parameters of one of its rows."""

    def __init__(self, name: str, comment: str, text: str) -> None:
        self.name = name
        self.comment = comment
        self.text = text
        self.row_names: Sequence[str] = [name for row in _ROWS.findall(text) for name in _PARAMETER.findall(row)]
        self._forms: dict[int, str] = {}

    def for_size(self, size: int) -> str:
        """The text for lists (or rows) of `size`; parameters are `:name_0`, `:name_1`, …"""
        form = self._forms.get(size)
        if form is None:
            form = _ROWS.sub(lambda match: _repeat(match.group(1), size), self.text)
            form = _LIST.sub(lambda match: ", ".join(f":{match.group(1)}_{i}" for i in range(size)), form)
            self._forms[size] = form
        return form


def _repeat(row: str, size: int) -> str:
    return ",\n".join(_PARAMETER.sub(rf":\1_{i}", row) for i in range(size))


def _quoted(statuses: Iterable[str]) -> str:
    return ", ".join(f"'{status}'" for status in statuses)


def _states(match: re.Match[str]) -> str:
    kind, noun, name = match.groups()
    if kind == "when":
        return _quoted(CONDITIONS[f"{noun}.{name}"])
    found = step(Noun(noun), name)
    return _quoted(found.before) if kind == "before" else _quoted((found.after,))


def fill(text: str, dialect: Dialect) -> str:
    """`text` with the states' and the dialect's words in place."""
    for word in fields(dialect):
        text = text.replace(f"{{{word.name}}}", getattr(dialect, word.name))
    return _STATES.sub(_states, text)


def parse(noun: str, source: str) -> Iterator[Statement]:
    """The statements of one file, named `noun.name`."""
    name, comment, lines = "", "", list[str]()
    for line in source.splitlines():
        head = _HEAD.match(line)
        if head:
            if name:
                yield Statement(f"{noun}.{name}", comment, "\n".join(lines).strip().rstrip(";"))
            name, comment, lines = head.group(1), head.group(2), []
        elif name:
            lines.append(line)
    if name:
        yield Statement(f"{noun}.{name}", comment, "\n".join(lines).strip().rstrip(";"))


@lru_cache(maxsize=4)
def load(dialect: Dialect) -> Mapping[str, Statement]:
    """All statements, filled for `dialect`."""
    found: dict[str, Statement] = {}
    for file in sorted(resources.files("penstock.catalog").joinpath("queries").iterdir(), key=lambda item: item.name):
        if file.name.endswith(".sql"):
            text = fill(file.read_text(encoding="utf-8"), dialect)
            for statement in parse(file.name.removesuffix(".sql"), text):
                found[statement.name] = statement
    return found
