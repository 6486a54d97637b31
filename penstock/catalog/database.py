"""What the catalog asks of a database: connections, transactions, and the few words in which SQL texts differ.

The protocol is small so that the statements stay one text for all databases. No verb and no table is known here.
Whatever a driver raises is mapped to CatalogUnavailableError by the implementation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from penstock.errors import CatalogUnavailableError

Value = str | int | None
Parameters = Sequence[Value]


class BrokenConnectionError(CatalogUnavailableError):
    """The connection cannot be trusted any more (full or failing disk, lock not given, damage): open another one."""


class Durability(StrEnum):
    """What a commit promises: SYNCED survives a power cut; UNSYNCED survives our own death only."""

    SYNCED = "synced"
    UNSYNCED = "unsynced"


class Row(Protocol):
    """One answered row, read by a column's name or place, or whole in the order of its columns."""

    def __getitem__(self, key: str | int, /) -> Any:
        """The value in that column."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """All values, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The words in which databases differ. Texts carry them in braces, e.g. `{skip_locked}`.

    `number_key` declares a BIGINT primary key, `bytewise` a TEXT column compared byte by byte, `for_update` locks the
    rows a SELECT has read, `skip_locked` locks them and leaves out those that somebody else has locked. `parameter`
    stands before a parameter's number.
    """

    number_key: str
    bytewise: str
    for_update: str
    skip_locked: str
    parameter: str


class Connection(Protocol):
    """One connection, used by one thread at a time. Parameters are numbered in the text."""

    def begin(self, durability: Durability) -> None:
        """Start a transaction that may write."""
        ...

    def begin_read(self) -> None:
        """Start a transaction that sees one snapshot and writes nothing."""
        ...

    def confirm(self) -> None:
        """Right before a commit: raises BrokenConnectionError where it would be lost with files that were taken away."""
        ...

    def commit(self) -> None:
        """End the transaction; with SYNCED the work is on stable storage when this returns."""
        ...

    def rollback(self) -> None:
        """Undo the transaction; silent when there is none."""
        ...

    def savepoint(self, name: str) -> None:
        """Open a nested unit of work."""
        ...

    def release(self, name: str) -> None:
        """Keep the nested unit's work (as far as the transaction is kept)."""
        ...

    def rollback_to(self, name: str) -> None:
        """Undo the nested unit's work and close it."""
        ...

    def change(self, text: str, parameters: Parameters) -> int:
        """Run a statement that answers no rows; the number of rows it changed."""
        ...

    def fetch(self, text: str, parameters: Parameters) -> Sequence[Row]:
        """Run a statement and answer all of its rows."""
        ...

    def script(self, text: str) -> None:
        """Run several statements without parameters, inside the open transaction."""
        ...

    def renew_log(self) -> None:
        """Leave behind whatever an earlier, failed commit may have put into a log; called outside of a transaction."""
        ...

    def close(self) -> None:
        """Close; silent when closed already."""
        ...


class Database(Protocol):
    """Where the catalog lives. Connections are opened per thread."""

    @property
    def dialect(self) -> Dialect:
        """How texts are filled for this database."""
        ...

    def open_writer(self) -> Connection:
        """A connection for the one writer of the ledger."""
        ...

    def open_reader(self) -> Connection:
        """A connection for reading the ledger."""
        ...

    def open_nonces(self) -> Connection:
        """A connection to the small store of nonces of reads, which may be lost in a power cut."""
        ...
