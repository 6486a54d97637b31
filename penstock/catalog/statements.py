"""The named SQL statements of queries/*.sql, filled for one database and from the table of states.

A file holds statements of one noun; each begins with `-- name: what it does`. In the text

- `{skip_locked}`, `{for_update}`, … are the dialect's words,
- `{before noun.step}` and `{after noun.step}` are a step's statuses, `{when noun.condition}` a condition's: statuses of
  the ledger are written nowhere else,
- `{list name}` is a list of parameters, `{rows (…)}` a list of value tuples, as long as the caller's,
- `:name` is a parameter. It reaches the database as a number (`?3`, `$3`), so that values travel as plain sequences:
  binding by name costs more than many a statement does.

Reads the package's own files once; runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from functools import lru_cache
from importlib import resources

from penstock.catalog.database import Dialect, Value
from penstock.catalog.states import CONDITIONS, Noun, step

_HEAD = re.compile(r"^-- ([a-z_]+): (\S.*)$")
_STATES = re.compile(r"\{(before|after|when) ([a-z_]+)\.([a-z_]+)\}")
_MANY = re.compile(r"\{list ([a-z_]+)\}|\{rows (\(.*?\))\}", re.DOTALL)
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


class Statement:
    """One statement, ready to be run: its text with numbered parameters, and the order of its values.

    `names` are the parameters outside of a list or rows; those come first. `row_names` are those of one of its rows.
    """

    def __init__(self, name: str, comment: str, text: str, mark: str = "?") -> None:
        self.name = name
        self.comment = comment
        self._text = text
        self._mark = mark
        many = _MANY.search(text)
        self.names = _names(_MANY.sub("", text))
        self.row_names = _names(many.group(2)) if many and many.group(2) else ()
        self._forms: dict[int, str] = {}
        self.text = self.for_size(1)

    def for_size(self, size: int) -> str:
        """The text for a list (or rows) of `size`."""
        form = self._forms.get(size)
        if form is None:
            form = _MANY.sub(lambda match: self._items(match.group(2), size), self._text)
            form = _PARAMETER.sub(lambda match: f"{self._mark}{self.names.index(match.group(1)) + 1}", form)
            self._forms[size] = form
        return form

    def values(self, parameters: Mapping[str, Value]) -> list[Value]:
        """The values of the parameters outside of lists and rows, in order. KeyError when one is missing."""
        return [parameters[name] for name in self.names]

    def _items(self, row: str | None, size: int) -> str:
        """`size` items of a list, or rows; their parameters are numbered behind the others."""
        first = len(self.names) + 1
        if row is None:
            return ", ".join(f"{self._mark}{number}" for number in range(first, first + size))
        return ",\n".join(self._numbered(row, first + place * len(self.row_names)) for place in range(size))

    def _numbered(self, row: str, first: int) -> str:
        return _PARAMETER.sub(lambda match: f"{self._mark}{first + self.row_names.index(match.group(1))}", row)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_PARAMETER.findall(text)))


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


def parse(noun: str, source: str, mark: str = "?") -> Iterator[Statement]:
    """The statements of one file, named `noun.name`; `mark` stands before a parameter's number."""
    name, comment, lines = "", "", list[str]()
    for line in source.splitlines():
        head = _HEAD.match(line)
        if head:
            if name:
                yield Statement(f"{noun}.{name}", comment, "\n".join(lines).strip().rstrip(";"), mark)
            name, comment, lines = head.group(1), head.group(2), []
        elif name:
            lines.append(line)
    if name:
        yield Statement(f"{noun}.{name}", comment, "\n".join(lines).strip().rstrip(";"), mark)


@lru_cache(maxsize=4)
def load(dialect: Dialect) -> Mapping[str, Statement]:
    """All statements, filled for `dialect`."""
    found: dict[str, Statement] = {}
    for file in sorted(resources.files("penstock.catalog").joinpath("queries").iterdir(), key=lambda item: item.name):
        if file.name.endswith(".sql"):
            text = fill(file.read_text(encoding="utf-8"), dialect)
            for statement in parse(file.name.removesuffix(".sql"), text, dialect.parameter):
                found[statement.name] = statement
    return found
