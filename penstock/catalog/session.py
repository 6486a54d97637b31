"""One transaction as the verbs see it: named statements, the moment, new numbers, and whether to ring the bell.

Verbs get a Session and nothing else. It is used by the one thread that owns its connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TypeVar

from penstock.catalog.database import BrokenConnectionError, Connection, Row, Value
from penstock.catalog.doorbell import News
from penstock.catalog.identifiers import NumberClock
from penstock.catalog.statements import Statement

ROWS_AT_ONCE = 64
"""How many rows or list items one statement carries at most."""

Item = TypeVar("Item")
NonceLookup = Callable[[Callable[["Session"], bool]], bool]


class Session:
    """The hands of one transaction. `now_ns` is when it began.

    `other_nonces` looks into the other store of nonces: that of reads for one that writes, that of writes for one that reads.
    """

    def __init__(
        self,
        connection: Connection,
        statements: Mapping[str, Statement],
        *,
        now_ns: Callable[[], int],
        numbers: NumberClock,
        entropy: Callable[[int], bytes],
        other_nonces: NonceLookup | None = None,
    ) -> None:
        self._connection = connection
        self._statements = statements
        self._numbers = numbers
        self.entropy = entropy
        self.other_nonces = other_nonces
        self.now_ns = now_ns()
        self.news = News.NONE

    def after(self, delay_ns: int) -> int:
        """The moment when a delay that begins now is over; 0 when there is none."""
        return self.now_ns + delay_ns if delay_ns > 0 else 0

    def next_number(self) -> int:
        """A number that no row has had."""
        return self._numbers.next()

    @property
    def last_number(self) -> int:
        """The newest number that was ever given."""
        return self._numbers.last

    def next_numbers(self, count: int) -> int:
        """The first of `count` numbers that follow each other and that no row has had."""
        return self._numbers.take(count)

    def ring(self, news: News = News.WORK) -> None:
        """After the commit there is something to do: wake those who wait for it."""
        self.news |= news

    def run(self, name: str, /, **parameters: Value) -> int:
        """Run a statement that answers no rows; the number of rows it changed."""
        statement = self._statements[name]
        return self._connection.change(statement.text, statement.values(parameters))

    def rows(self, name: str, /, **parameters: Value) -> Sequence[Row]:
        """All rows that a statement answers."""
        statement = self._statements[name]
        return self._connection.fetch(statement.text, statement.values(parameters))

    def row(self, name: str, /, **parameters: Value) -> Row | None:
        """The one row that a statement answers, if it does."""
        rows = self.rows(name, **parameters)
        return rows[0] if rows else None

    def rows_in(self, name: str, items: Sequence[Value], /) -> list[Row]:
        """All rows that a statement with `{list …}` answers for `items`, asked in portions."""
        statement = self._statements[name]
        found: list[Row] = []
        for portion in lists(items):
            found += self._connection.fetch(statement.for_size(len(portion)), portion)
        return found

    def run_in(self, name: str, items: Sequence[Value], /) -> int:
        """Run a statement with `{list …}` for `items`, in portions; the number of rows it changed."""
        statement = self._statements[name]
        return sum(self._connection.change(statement.for_size(len(portion)), portion) for portion in lists(items))

    def add(self, name: str, rows: Sequence[Mapping[str, Value]], /) -> int:
        """Run an INSERT with `{rows …}`, in portions; the number of rows it added."""
        names = self._statements[name].row_names
        return self.add_tuples(name, [[row[name] for name in names] for row in rows])

    def add_tuples(self, name: str, rows: Sequence[Sequence[Value]], /, **parameters: Value) -> int:
        """Run a statement with `{rows …}`, in portions; the number of rows it added or changed.

        Each row is its values in the order in which the text first names them; `parameters` are those outside of the rows.
        Not one row at a time: each statement lets go of the interpreter, and has to get it back.
        """
        statement = self._statements[name]
        shared = statement.values(parameters)
        return sum(
            self._connection.change(statement.for_size(len(portion)), [*shared, *chain.from_iterable(portion)])
            for portion in portions(rows)
        )

    @contextmanager
    def all_or_nothing(self, name: str) -> Iterator[None]:
        """A nested unit of work: undone when an error leaves it. `name` is an SQL name."""
        self._connection.savepoint(name)
        try:
            yield
        except BrokenConnectionError:
            raise  # the whole transaction is lost anyway
        except BaseException:
            self._connection.rollback_to(name)
            raise
        self._connection.release(name)


def lists(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    """`items` in lists whose lengths are powers of two, at most ROWS_AT_ONCE; the last item may be there several times."""
    for start in range(0, len(items), ROWS_AT_ONCE):
        portion = items[start : start + ROWS_AT_ONCE]
        missing = (1 << (len(portion) - 1).bit_length()) - len(portion)
        yield [*portion, *([portion[-1]] * missing)] if missing else portion


def portions(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    """`items` in runs whose lengths are powers of two, at most ROWS_AT_ONCE: the few texts for them stay compiled."""
    start = 0
    while start < len(items):
        size = min(ROWS_AT_ONCE, 1 << ((len(items) - start).bit_length() - 1))
        yield items[start : start + size]
        start += size
