"""Group commit: who shares a transaction, what a failure costs whom, and what happens when the disk refuses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from penstock.catalog import writer as writing
from penstock.catalog.database import BrokenConnectionError, Durability, Parameters, Row
from penstock.catalog.doorbell import News
from penstock.catalog.identifiers import NumberClock
from penstock.catalog.session import Session
from penstock.catalog.writer import Refused, Verb, Writer
from penstock.errors import CatalogUnavailableError, InvalidStateError

pytestmark = pytest.mark.anyio


class Disk:
    """What all connections have done; fails on purpose at the next step that `fail` names, once."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.fail: str = ""
        self.gate = threading.Event()
        self.gate.set()
        self.reached = threading.Event()
        self.committing: Callable[[], object] = lambda: None

    def did(self, what: str) -> None:
        self.log.append(what)
        if self.fail and what.startswith(self.fail):
            self.fail = ""
            raise BrokenConnectionError(f"{what} failed")


class FakeConnection:
    """Remembers; does nothing."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        disk.did("open")

    def begin(self, durability: Durability) -> None:
        self.disk.reached.set()
        self.disk.gate.wait(60)
        self.disk.did(f"begin {durability}")

    def begin_read(self) -> None:
        self.disk.did("read")

    def confirm(self) -> None:
        self.disk.did("confirm")

    def commit(self) -> None:
        self.disk.committing()
        self.disk.did("commit")

    def rollback(self) -> None:
        self.disk.did("rollback")

    def savepoint(self, name: str) -> None:
        self.disk.did(f"savepoint {name}")

    def release(self, name: str) -> None:
        self.disk.did(f"release {name}")

    def rollback_to(self, name: str) -> None:
        self.disk.did(f"undo {name}")

    def change(self, text: str, parameters: Parameters) -> int:
        self.disk.did(text)
        return 1

    def fetch(self, text: str, parameters: Parameters) -> Sequence[Row]:
        self.disk.did(text)
        return []

    def script(self, text: str) -> None:
        self.disk.did(text)

    def renew_log(self) -> None:
        self.disk.did("renew")

    def close(self) -> None:
        self.disk.log.append("close")


class Bench:
    """A writer over a disk."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.rung = 0
        self.performed: list[list[object]] = []
        numbers = NumberClock(lambda: 0, 0)
        self.writer = Writer(
            open_connection=lambda: FakeConnection(self.disk),
            open_session=lambda connection: Session(connection, {}, now_ns=lambda: 0, numbers=numbers, entropy=bytes),
            loop=asyncio.get_running_loop(),
            ring=self.ring,
            name="writer",
            points=("ledger.commit", "ledger.committed"),
            batch_max=8,
            queue_max=20,
        )

    def ring(self, news: News) -> None:
        assert news is News.WORK
        self.rung += 1

    def verb(self, work: Callable[[Session, object], object], *, synced: bool = True) -> Verb[object, object]:
        """Does `work` for each item and remembers which items came together."""

        def perform(session: Session, items: Sequence[object]) -> list[object]:
            self.performed.append(list(items))
            return [work(session, item) for item in items]

        return Verb(perform=perform, durability=Durability.SYNCED if synced else Durability.UNSYNCED)

    async def together(self, *jobs: tuple[Verb[object, object], object]) -> list[object]:
        """Submit all of them while the writer is held up, so that they wait together; their answers or errors."""
        self.disk.gate.clear()
        self.disk.reached.clear()
        blocker = self.writer.submit(self.verb(lambda _session, item: item), "blocker")
        assert await asyncio.to_thread(self.disk.reached.wait, 10)  # the writer has begun with the blocker alone
        futures = [self.writer.submit(verb, item) for verb, item in jobs]
        self.disk.gate.set()
        return await asyncio.gather(blocker, *futures, return_exceptions=True)


@pytest.fixture
async def bench(anyio_backend: str) -> AsyncIterator[Bench]:
    """A bench whose writer is closed after the test."""
    bench = Bench()
    yield bench
    await bench.writer.close()
    assert bench.disk.log[-1] == "close"


def double(_session: Session, item: object) -> object:
    assert isinstance(item, int)
    return item * 2


async def test_all_who_wait_share_transactions_of_bounded_size(bench: Bench) -> None:
    verb = bench.verb(double)
    answers = await bench.together(*((verb, number) for number in range(19)))
    assert answers[1:] == [number * 2 for number in range(19)]
    assert bench.disk.log.count("commit") <= 4  # the blocker's, and 19 in portions of 8
    assert max(map(len, bench.performed)) == 8


async def test_one_verbs_callers_are_served_together_whoever_waits_between_them(bench: Bench) -> None:
    often, seldom = bench.verb(double), bench.verb(lambda _session, item: item)
    answers = await bench.together((often, 1), (seldom, "a"), (often, 2), (seldom, "b"), (often, 3))
    assert answers[1:] == [2, "a", 4, "b", 6]
    assert bench.performed[1:] == [[1, 2, 3], ["a", "b"]]


async def test_nobody_hears_before_the_commit(bench: Bench) -> None:
    heard: list[int] = []

    def look(_session: Session, _item: object) -> object:
        heard.append(bench.disk.log.count("commit"))
        return None

    await bench.writer.submit(bench.verb(look), None)
    assert heard == [0]
    assert bench.disk.log[-2:] == ["confirm", "commit"]


async def test_a_refusal_undoes_and_reaches_its_caller_alone(bench: Bench) -> None:
    def work(session: Session, item: object) -> object:
        if item == 2:
            raise InvalidStateError("not now")
        if item == 3:
            raise ZeroDivisionError
        if item == 4:
            return Refused(error=InvalidStateError("kept its nonce"))
        session.ring()
        return item

    verb = bench.verb(work)
    answers = await bench.together(*((verb, number) for number in range(6)))
    assert [answers[1], answers[2], answers[6]] == [0, 1, 5]
    assert [type(answer) for answer in answers[3:6]] == [InvalidStateError, ZeroDivisionError, InvalidStateError]
    assert str(answers[5]) == "kept its nonce"
    assert bench.disk.log.count("undo verb") == 3  # the group, then the two that failed alone
    assert bench.rung >= 1


@pytest.mark.parametrize("fails", ["begin", "savepoint", "release", "confirm", "commit"])
async def test_when_the_disk_refuses_everybody_hears_it_and_the_connection_is_replaced(
    bench: Bench, fails: str
) -> None:
    verb = bench.verb(double)
    await bench.writer.submit(verb, 1)
    bench.disk.fail = fails
    answers = await asyncio.gather(*(bench.writer.submit(verb, number) for number in range(5)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, CatalogUnavailableError)]
    assert refused
    assert len(refused) + sum(isinstance(answer, int) for answer in answers) == 5
    place = bench.disk.log.index("close")
    assert await bench.writer.submit(verb, 21) == 42
    assert bench.disk.log[place : place + 3] == ["close", "open", "renew"]
    assert bench.rung == 0


async def test_it_stays_unavailable_until_a_connection_can_be_opened(bench: Bench) -> None:
    verb = bench.verb(double)
    bench.disk.fail = "commit"
    with pytest.raises(CatalogUnavailableError):
        await bench.writer.submit(verb, 1)
    for step in ("open", "renew"):
        bench.disk.fail = step
        with pytest.raises(CatalogUnavailableError, match=step):
            await bench.writer.submit(verb, 1)
    assert await bench.writer.submit(verb, 1) == 2


async def test_a_batch_is_synced_if_anybody_in_it_needs_it(bench: Bench) -> None:
    synced, unsynced = bench.verb(double), bench.verb(double, synced=False)
    await bench.writer.submit(unsynced, 1)
    assert [line for line in bench.disk.log if line.startswith("begin")] == ["begin unsynced"]
    await bench.together((unsynced, 1), (synced, 1), (unsynced, 1))
    assert bench.disk.log.count("begin unsynced") == 1


async def test_the_queue_is_bounded_and_a_closed_writer_takes_nothing() -> None:
    bench = Bench()
    verb = bench.verb(double)
    bench.disk.gate.clear()
    futures = [bench.writer.submit(verb, 0)]
    assert await asyncio.to_thread(bench.disk.reached.wait, 10)
    futures += [bench.writer.submit(verb, number) for number in range(1, 21)]
    with pytest.raises(CatalogUnavailableError, match="too many"):
        bench.writer.submit(verb, 21)
    bench.disk.gate.set()
    await bench.writer.close()  # what is queued is still done
    assert await asyncio.gather(*futures) == [number * 2 for number in range(len(futures))]
    with pytest.raises(CatalogUnavailableError, match="closed"):
        bench.writer.submit(verb, 1)


def loop_goes_on(loop: asyncio.AbstractEventLoop, within_s: float) -> bool:
    """Whether the loop takes another step within that time. Asked from the writer's thread."""
    stepped = threading.Event()
    loop.call_soon_threadsafe(stepped.set)
    return stepped.wait(within_s)


async def test_the_loop_stands_aside_while_the_thread_works_and_goes_on_while_it_waits_for_the_disk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    went_on: list[bool] = []
    monkeypatch.setattr(writing, "ASIDE_MAX_S", 10.0)
    bench.disk.committing = lambda: went_on.append(loop_goes_on(loop, 10))
    await bench.writer.submit(bench.verb(lambda *_: went_on.append(loop_goes_on(loop, 0.05))), None)
    assert went_on == [False, True]


async def test_the_loop_does_not_stand_aside_for_work_that_takes_long(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    assert await bench.writer.submit(bench.verb(lambda *_: loop_goes_on(loop, 10)), None)


async def test_what_comes_while_the_thread_is_at_work_is_the_next_batch(bench: Bench) -> None:
    loop, verb = asyncio.get_running_loop(), bench.verb(double)
    later: list[asyncio.Future[object]] = []

    def submit_more() -> None:
        later.extend(bench.writer.submit(verb, number) for number in range(3))

    def work(_session: Session, _item: object) -> object:
        loop.call_soon_threadsafe(submit_more)
        return loop_goes_on(loop, 10)

    assert await bench.writer.submit(bench.verb(work), "first")
    assert await asyncio.gather(*later) == [0, 2, 4]
    assert bench.performed == [["first"], [0, 1, 2]]


async def test_a_caller_who_has_gone_away_disturbs_nobody(bench: Bench) -> None:
    verb = bench.verb(double)
    bench.disk.gate.clear()
    gone, stays = bench.writer.submit(verb, 1), bench.writer.submit(verb, 2)
    gone.cancel()
    bench.disk.gate.set()
    assert await stays == 4


def ringing(session: Session, item: object) -> object:
    session.ring()
    return item


async def test_what_is_submitted_ahead_is_done_by_the_transaction_that_brings_work(bench: Bench) -> None:
    quiet, brings = bench.verb(double), bench.verb(ringing)
    ahead = bench.writer.submit_ahead(bench.verb(double, synced=False), 4)
    await bench.writer.submit(quiet, 1)
    assert not ahead.done.done()
    bench.disk.log.clear()
    answers = await bench.together((brings, "work"), (quiet, 2))
    assert answers[1:] == ["work", 4]
    assert bench.performed[-3:] == [["work"], [2], [4]]  # behind all others
    assert bench.disk.log.count("commit") == 2  # the blocker's, and one for all
    assert not ahead.withdraw()
    assert await ahead.done == 8
    await bench.writer.submit(brings, "more")
    assert bench.performed[-1] == ["more"]  # it is done once


async def test_what_is_withdrawn_is_not_done(bench: Bench) -> None:
    ahead = bench.writer.submit_ahead(bench.verb(double), 4)
    assert ahead.withdraw()
    await bench.writer.submit(bench.verb(ringing), "work")
    assert bench.performed == [["work"]]
    later = bench.writer.submit_ahead(bench.verb(double), 5)
    bench.writer.forget_ahead()
    await bench.writer.submit(bench.verb(ringing), "work")
    assert bench.performed == [["work"], ["work"]]
    assert not later.done.done()


async def test_what_was_submitted_ahead_fails_alone_or_with_its_transaction(bench: Bench) -> None:
    def fail(_session: Session, _item: object) -> object:
        raise ZeroDivisionError

    ahead = bench.writer.submit_ahead(bench.verb(fail), None)
    assert await bench.writer.submit(bench.verb(ringing), "work") == "work"
    with pytest.raises(ZeroDivisionError):
        await ahead.done
    ahead = bench.writer.submit_ahead(bench.verb(double), 4)
    bench.disk.fail = "commit"
    with pytest.raises(CatalogUnavailableError):
        await bench.writer.submit(bench.verb(ringing), "work")
    with pytest.raises(CatalogUnavailableError):
        await ahead.done
