"""One transaction as the verbs see it: named statements, the moment, new numbers, and whether to ring the bell.

Verbs get a Session and nothing else. It is used by the one thread that owns its connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from penstock.catalog.database import BrokenConnectionError, Connection, Row, Value
from penstock.catalog.identifiers import NumberClock
from penstock.catalog.statements import Statement

ROWS_AT_ONCE = 64
"""How many rows or list items one statement carries at most: texts of few sizes stay compiled."""

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
        self.rings = False

    def after(self, delay_ns: int) -> int:
        """The moment when a delay that begins now is over; 0 when there is none."""
        return self.now_ns + delay_ns if delay_ns > 0 else 0

    def next_number(self) -> int:
        """A number that no row has had."""
        return self._numbers.next()

    def ring(self) -> None:
        """After the commit there is something to do: wake those who wait at the bell."""
        self.rings = True

    def run(self, name: str, /, **parameters: Value) -> int:
        """Run a statement that answers no rows; the number of rows it changed."""
        return self._connection.change(self._statements[name].text, parameters)

    def rows(self, name: str, /, **parameters: Value) -> Sequence[Row]:
        """All rows that a statement answers."""
        return self._connection.fetch(self._statements[name].text, parameters)

    def row(self, name: str, /, **parameters: Value) -> Row | None:
        """The one row that a statement answers, if it does."""
        rows = self.rows(name, **parameters)
        return rows[0] if rows else None

    def rows_in(self, name: str, items: Iterable[Value], /, *, list_name: str) -> list[Row]:
        """All rows that a statement with `{list …}` answers for `items`, asked in portions."""
        found: list[Row] = []
        for portion in portions(list(items)):
            size = 1 << (len(portion) - 1).bit_length()
            padded = [*portion, *([portion[-1]] * (size - len(portion)))]
            parameters = {f"{list_name}_{i}": item for i, item in enumerate(padded)}
            found += self._connection.fetch(self._statements[name].for_size(size), parameters)
        return found

    def run_in(self, name: str, items: Iterable[Value], /, *, list_name: str) -> int:
        """Run a statement with `{list …}` for `items`, in portions; the number of rows it changed."""
        changed = 0
        for portion in portions(list(items)):
            parameters = {f"{list_name}_{i}": item for i, item in enumerate(portion)}
            changed += self._connection.change(self._statements[name].for_size(len(portion)), parameters)
        return changed

    def add(self, name: str, rows: Sequence[Mapping[str, Value]], /) -> int:
        """Run an INSERT with `{rows …}`, in portions; the number of rows it added."""
        names = self._statements[name].row_names
        return self.add_tuples(name, [[row[name] for name in names] for row in rows])

    def add_tuples(self, name: str, rows: Sequence[Sequence[Value]], /) -> int:
        """As `add`, each row being its values in the order in which the text names them."""
        added = 0
        for portion in portions(rows):
            # By position: a database looks up each of a thousand names in a list of a thousand, and that took four times
            # as long as the writing itself. Not one row at a time, for each statement lets go of the interpreter.
            values = [value for row in portion for value in row]
            added += self._connection.place(self._statements[name].for_size(len(portion)), values)
        return added

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


def portions(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    """`items` in runs of at most ROWS_AT_ONCE, the text of each length is kept compiled."""
    start = 0
    while start < len(items):
        left = len(items) - start
        size = min(ROWS_AT_ONCE, left)
        yield items[start : start + size]
        start += size
