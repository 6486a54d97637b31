"""Opens a catalog: newest schema, the last number given, the writer, the writer of read nonces, the readers.

Used by `Catalog.open` only; knows no verb.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from penstock.catalog import schema_versions, statements
from penstock.catalog.database import Connection, Database
from penstock.catalog.doorbell import Doorbell, News
from penstock.catalog.identifiers import NumberClock
from penstock.catalog.readers import Readers
from penstock.catalog.session import NonceLookup, Session
from penstock.catalog.writer import Writer
from penstock.failpoints import ControlPoint

_LAST_NUMBERS = (
    "data_flows.last_number",
    "tasks.last_number",
    "sub_tasks.last_number",
    "calls.last_token",
    "data_flows.kept_number",
    "batches.last_segment",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogBounds:
    """The catalog's bounds. `waiting_max` counts the CREATED sub-tasks of one dataflow.

    `batch_max` calls share one commit; `queue_max` calls wait for the writer, `reads_max` for the `readers` threads.
    `page_rows_max` rows are looked at for one page when no index answers all of its filters, `sheet_rows_max` for one that people
    are shown. `transition_delay_s` is how
    long a dataflow or stream stays in its transition (Starting, Pending, …) after a call; 0: each call is done at once.
    """

    waiting_max: int = 1_000_000
    batch_max: int = 256
    queue_max: int = 8_192
    readers: int = 2
    reads_max: int = 1_024
    page_rows_max: int = 2_000
    sheet_rows_max: int = 5_000
    transition_delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What a catalog works with."""

    writer: Writer
    nonces: Writer
    readers: Readers
    lookers: Readers  # for people, so that they keep no call of the API waiting
    nonce_readers: Readers
    doorbell: Doorbell
    cancel_bell: Doorbell
    batch_bell: Doorbell
    bounds: CatalogBounds

    async def close(self) -> None:
        """Finish what is queued and close every connection; the writer last, so that it can clear its log."""
        await self.nonces.close()  # it looks through the readers
        await self.readers.close()
        await self.lookers.close()
        await self.writer.close()
        await self.nonce_readers.close()


def open_hands(
    database: Database,
    *,
    now_ns: Callable[[], int],
    numbers_ns: Callable[[], int],
    entropy: Callable[[int], bytes],
    bounds: CatalogBounds,
    loop: asyncio.AbstractEventLoop,
) -> Hands:
    """Open everything; blocks, so it is called in a thread. CatalogUnavailableError."""
    named = statements.load(database.dialect)
    numbers = NumberClock(numbers_ns, _prepare(database))

    def session(connection: Connection, other_nonces: NonceLookup | None = None) -> Session:
        return Session(connection, named, now_ns=now_ns, numbers=numbers, entropy=entropy, other_nonces=other_nonces)

    bells = {news: Doorbell() for news in News if news}

    def ring(told: News) -> None:
        for news, bell in bells.items():
            if news in told:
                bell.ring()

    readers, lookers, nonce_readers = (
        Readers(
            open_connection=open_connection, open_session=session, threads=bounds.readers, queue_max=bounds.reads_max
        )
        for open_connection in (database.open_reader, database.open_reader, database.open_nonces)
    )

    def writer(
        name: str,
        points: tuple[ControlPoint, ControlPoint],
        open_connection: Callable[[], Connection],
        others: Readers,
    ) -> Writer:
        return Writer(
            open_connection=open_connection,
            open_session=lambda connection: session(connection, others.read_here),
            loop=loop,
            ring=ring,
            name=name,
            points=points,
            batch_max=bounds.batch_max,
            queue_max=bounds.queue_max,
        )

    return Hands(
        writer=writer("catalog-ledger", ("ledger.commit", "ledger.committed"), database.open_writer, nonce_readers),
        nonces=writer("catalog-nonces", ("nonces.commit", "nonces.committed"), database.open_nonces, readers),
        readers=readers,
        lookers=lookers,
        nonce_readers=nonce_readers,
        doorbell=bells[News.WORK],
        cancel_bell=bells[News.CANCELED],
        batch_bell=bells[News.BATCH],
        bounds=bounds,
    )


def _prepare(database: Database) -> int:
    """Bring both stores to the newest schema; the newest number that was ever given and is still known.

    The ledger comes first: nonces without a ledger mean that it was lost.
    """
    ledger = database.open_writer()
    try:
        schema_versions.migrate(ledger, database.dialect, schema_versions.LEDGER)
        named = statements.load(database.dialect)
        last = max(int(ledger.fetch(named[name].text, ())[0]["number"]) for name in _LAST_NUMBERS)
    finally:
        ledger.close()
    nonces = database.open_nonces()
    try:
        schema_versions.migrate(nonces, database.dialect, schema_versions.NONCES)
    finally:
        nonces.close()
    return last
