"""The Catalog: every durable fact of Penstock, behind verbs. API and engine meet here and nowhere else.

Writes go through one writer thread with group commit, reads through a few reader threads; all verbs are awaited on the
loop that opened the catalog. Knows no object store, no file and no HTTP. Refusals are the CatalogError family of
`penstock.errors`; a refused call changes nothing (but its nonce is used up).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from penstock import telemetry
from penstock.catalog import (
    bulk,
    calls,
    claims,
    dataflows,
    listing,
    openings,
    rows,
    settling,
    subtasks,
    tasks,
    transitions,
    upkeep,
)
from penstock.catalog.batches import Batches
from penstock.catalog.database import BrokenConnectionError, Database, Durability
from penstock.catalog.doorbell import Doorbell
from penstock.catalog.filesets import Filesets
from penstock.catalog.founding import Founding
from penstock.catalog.opening import CatalogBounds, Hands, open_hands
from penstock.catalog.reading import Reading
from penstock.catalog.refreshes import Refreshes
from penstock.catalog.session import Session
from penstock.catalog.spare_nonces import SpareNonces
from penstock.catalog.verbs import (
    Accepted,
    Call,
    Changes,
    Claims,
    DataFlowQuery,
    Demand,
    Explanation,
    Health,
    NewDataFlow,
    NewSubTask,
    NewSubTasks,
    NewTask,
    Page,
    ProgressUpdate,
    Room,
    Settlement,
    SubTaskQuery,
    TaskQuery,
)
from penstock.catalog.writer import Ahead, Refused, Verb, Writer
from penstock.errors import CatalogUnavailableError, NonceUsedError
from penstock.model import DataFlow, SubTask, Task
from penstock.telemetry import meters

__all__ = ["Catalog", "CatalogBounds"]

NS_PER_S = 1_000_000_000
Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Session], Result]


def _each(session: Session, works: Sequence[Work[Any]]) -> list[Any]:
    return [work(session) for work in works]


def _use_nonces(session: Session, nonces: Sequence[str]) -> list[None]:
    calls.use_nonces(session, nonces)
    return [None for _ in nonces]


# A work's own result type is known where it is submitted, not here.
_WORK: Verb[Work[Any], Any] = Verb(perform=_each)
_UNSYNCED_WORK: Verb[Work[Any], Any] = Verb(perform=_each, durability=Durability.UNSYNCED)
_NONCE: Verb[str, None] = Verb(perform=_use_nonces, durability=Durability.UNSYNCED)
_CREATION: Verb[subtasks.Creation, str] = Verb(perform=subtasks.create)


class Catalog:
    """Made by `open`. All verbs raise CatalogUnavailableError when the database cannot take or answer anything now."""

    def __init__(self, hands: Hands, spare_nonces: SpareNonces, ring: claims.Ring) -> None:
        self.doorbell: Doorbell = hands.doorbell  # something can be claimed
        self.cancel_bell: Doorbell = hands.cancel_bell  # something that is leased should be withdrawn
        self.reading = Reading(hands.lookers, sheet_rows_max=hands.bounds.sheet_rows_max)  # what people are shown
        self.batches = Batches(write=self._work, read=self._read, bell=hands.batch_bell)
        self.refreshes = Refreshes(write=self._work, read=self._read, step=self._step)
        self.filesets = Filesets(call=self._call, write=self._work, read=self._read)
        self.founding = Founding(call=self._call, write=self._work, read=self._read)
        self._hands = hands
        self._ring = ring
        self._nonces_under_way: set[str] = set()
        self._spare_nonces = spare_nonces
        self._bulk_turn = asyncio.Lock()
        self._delay_ns = int(hands.bounds.transition_delay_s * NS_PER_S)

    @classmethod
    async def open(
        cls,
        database: Database,
        *,
        now_ns: Callable[[], int],
        entropy: Callable[[int], bytes],
        boot_id: str,
        bounds: CatalogBounds = CatalogBounds(),  # noqa: B008  it is frozen
        numbers_ns: Callable[[], int] | None = None,
        ring: claims.Ring | None = None,
    ) -> Catalog:
        """Open (and bring to the newest schema) what `database` names. `entropy(n)` gives n bytes of chance.

        `boot_id` is another one in each life of the machine: that tells the end of a process from a power cut. Ids are made of
        `now_ns` unless `numbers_ns` is given; `ring` is who claims, if it is to be another than usual.
        """
        loop = asyncio.get_running_loop()
        hands = await asyncio.to_thread(
            open_hands,
            database,
            now_ns=now_ns,
            numbers_ns=numbers_ns or now_ns,
            entropy=entropy,
            bounds=bounds,
            loop=loop,
        )
        catalog = cls(hands, SpareNonces(now_ns), ring or claims.Ring())
        try:
            await catalog._work(lambda session: openings.begin(session, boot_id))
        except CatalogUnavailableError:
            await hands.close()
            raise
        return catalog

    async def close(self) -> None:
        """Finish what is queued and close the database."""
        with suppress(CatalogUnavailableError):  # then it was not left in all order, and the next opening sees that
            await self._work(openings.end)
        await self._hands.close()

    # ------------------------------------------------------------------------------------------------ the API writes

    async def create_data_flow(self, call: Call, new: NewDataFlow) -> str:
        """Make a dataflow, Running at once (Starting while a delay lasts); its id, or "" for a dry run.

        DependencyViolationError beyond `data_flows_max`, VersioningRequiredError for a second dataflow on a bucket that is
        not versioned, ConflictError when the FileSystemPath is bound to another bucket.
        """
        return await self._call(call, lambda session: dataflows.create(session, new, delay_ns=self._delay_ns))

    async def modify_data_flow(self, call: Call, file_system_id: str, data_flow_id: str, changes: Changes) -> None:
        """Describe or limit it otherwise. Running or Misconfigured, else InvalidStateError."""
        verb = partial(dataflows.modify, changes=changes, delay_ns=self._delay_ns)
        await self._step(call, verb, file_system_id, data_flow_id)

    async def start_data_flow(self, call: Call, file_system_id: str, data_flow_id: str) -> None:
        """Stopped -> Running, else InvalidStateError."""
        await self._step(call, partial(dataflows.start, delay_ns=self._delay_ns), file_system_id, data_flow_id)

    async def stop_data_flow(self, call: Call, file_system_id: str, data_flow_id: str) -> None:
        """Running|Misconfigured -> Stopped, else InvalidStateError: no new work starts, what runs goes on."""
        await self._step(call, partial(dataflows.stop, delay_ns=self._delay_ns), file_system_id, data_flow_id)

    async def delete_data_flow(self, call: Call, file_system_id: str, data_flow_id: str) -> None:
        """Take it and its history out of sight. DependencyViolationError while tasks of it are live."""
        await self._step(call, partial(dataflows.delete, delay_ns=self._delay_ns), file_system_id, data_flow_id)

    async def create_task(self, call: Call, new: NewTask) -> str:
        """Open a stream, Executing at once (a batch task, or while a delay lasts: Pending); its id, or "" for a dry run.

        InvalidStateError.
        """
        return await self._call(call, lambda session: tasks.create(session, new, delay_ns=self._delay_ns))

    async def cancel_task(self, call: Call, file_system_id: str, data_flow_id: str, task_id: str) -> None:
        """Pending|Executing -> Canceled; a batch that has begun -> Canceling. DependencyViolationError for a stream with live
        sub-tasks, InvalidStateError when ended."""
        await self._step(call, tasks.cancel, file_system_id, data_flow_id, task_id)

    async def create_sub_task(self, call: Call, new: NewSubTask) -> str:
        """Accept one file; its id, or "" for a dry run. InvalidStateError, TooManyWaitingError."""
        creation = subtasks.Creation(call=call, new=new, waiting_max=self._hands.bounds.waiting_max)
        sub_task_id = await self._once(call.nonce, self._hands.writer, _CREATION, creation)
        if sub_task_id:
            telemetry.numbers.count(meters.SUB_TASKS_CREATED)
        return sub_task_id

    async def create_sub_tasks(self, call: Call, new: NewSubTasks) -> Accepted:
        """Accept files while there are places for them, in one transaction; a dry run changes nothing.

        InvalidStateError; TooManyWaitingError when there are files and no place at all. What a ClientToken stands for is
        what the first call answered, ids included.
        """

        def work(session: Session) -> str | Refused:
            return bulk.create(session, call, new, self._hands.bounds.waiting_max)

        async with self._bulk_turn:  # the next one waits here, so that other calls find their place between the two
            result: str = await self._once(call.nonce, self._hands.writer, _WORK, work)
        accepted = bulk.recall(result)
        telemetry.numbers.count(meters.SUB_TASKS_CREATED, (), len(accepted.sub_task_ids))
        return accepted

    async def cancel_sub_task(
        self, call: Call, file_system_id: str, data_flow_id: str, task_id: str, sub_task_id: str
    ) -> None:
        """CREATED -> CANCELED, RUNNING -> CANCELING, else InvalidStateError. In every state of dataflow and task.

        CREATED -> CANCELING where a power cut may have forgotten that it was begun.
        """
        await self._step(call, subtasks.cancel, file_system_id, data_flow_id, task_id, sub_task_id)

    async def use_nonce(self, nonce: str) -> None:
        """Use up the nonce of a call that only reads. NonceUsedError. Not synced: a power cut may forget the last ones.

        While they cannot be written (a full disk) they are kept in memory: reading goes on.
        """
        try:
            await self._once(nonce, self._hands.nonces, _NONCE, nonce)
        except BrokenConnectionError:
            self._spare_nonces.use(nonce)

    async def refuse(self, call: Call) -> None:
        """Use up the nonce of a write that was refused before it came here, so that it cannot be replayed later.

        NonceUsedError. Not synced.
        """
        await self._once(
            call.nonce,
            self._hands.writer,
            _UNSYNCED_WORK,
            lambda session: calls.use_nonces(session, [call.nonce]),
        )

    # ------------------------------------------------------------------------------------------------- the API reads

    async def remembered(self, call: Call) -> str | None:
        """What the first call with this ClientToken was answered; None if there was none. TokenMismatchError."""
        return await self._read(lambda session: calls.remembered(session, call))

    async def data_flow(self, file_system_id: str, data_flow_id: str) -> DataFlow:
        """One dataflow. DataFlowNotFoundError, also for a deleted one."""
        return await self._read(
            lambda session: rows.data_flow(dataflows.visible(session, file_system_id, data_flow_id))
        )

    async def task(self, file_system_id: str, data_flow_id: str, task_id: str) -> Task:
        """One task. DataFlowNotFoundError, TaskNotFoundError."""

        def work(session: Session) -> Task:
            flow = dataflows.visible(session, file_system_id, data_flow_id)
            return rows.task(tasks.visible(session, flow, task_id), rows.data_flow(flow))

        return await self._read(work)

    async def sub_task(self, file_system_id: str, data_flow_id: str, task_id: str, sub_task_id: str) -> SubTask:
        """One sub-task. DataFlowNotFoundError, TaskNotFoundError, SubTaskNotFoundError."""

        def work(session: Session) -> SubTask:
            row = subtasks.visible(session, file_system_id, data_flow_id, task_id, sub_task_id)
            return rows.sub_task(row, file_system_id)

        return await self._read(work)

    async def data_flows(self, query: DataFlowQuery, *, next_token: str, limit: int) -> Page[DataFlow]:
        """A page of a file system's dataflows. InvalidNextTokenError."""
        return await self._read(lambda session: listing.data_flows(session, query, next_token, limit))

    async def tasks(self, query: TaskQuery, *, next_token: str, limit: int) -> Page[Task]:
        """A page of a file system's tasks; may be short and still have a next one. InvalidNextTokenError."""
        rows_max = self._hands.bounds.page_rows_max
        return await self._read(lambda session: listing.tasks(session, query, next_token, limit, rows_max))

    async def sub_tasks(self, query: SubTaskQuery, *, next_token: str, limit: int) -> Page[SubTask]:
        """A page of a file system's sub-tasks; may be short and still have a next one. InvalidNextTokenError."""
        rows_max = self._hands.bounds.page_rows_max
        return await self._read(lambda session: listing.sub_tasks(session, query, next_token, limit, rows_max))

    # ---------------------------------------------------------------------------------------------------- the engine

    async def claim(self, demands: Sequence[Demand], *, owner: str, lease_until_ns: int) -> Claims:
        """Lease what the demands ask for to `owner` (not empty), all of whose leases end then.

        CREATED becomes RUNNING; `attempt` grows by one. In the SMALL lane what a cancel or a settled outcome has left
        comes first, then what goes again, then what is new, each in creation order.

        Not synced: a power cut may forget a claim and whatever came of it that nothing durable followed; the same `attempt` is
        then given once more. That harms nobody, since whoever worked on it was on this machine and is gone with it, and what
        it left elsewhere is known by the sub-task's id (docs/decisions/0009), and looked for: what may have been forgotten
        counts as begun. Every synced commit makes all earlier ones durable.
        """
        return await self._work(
            lambda session: self._ring.claim(session, demands, owner, lease_until_ns), _UNSYNCED_WORK
        )

    def claim_ahead(self, demands: Sequence[Demand], *, owner: str, lease_ns: int) -> Ahead[Claims]:
        """As `claim`, when the first work comes: in the very transaction that brings it, and as durable as that.

        Replaces one that was there before and was not withdrawn.
        """
        return self._hands.writer.submit_ahead(
            _UNSYNCED_WORK, lambda session: self._ring.claim(session, demands, owner, session.now_ns + lease_ns)
        )

    async def renew(self, owner: str, lease_until_ns: int) -> None:
        """Let all of `owner`'s leases end then. Not synced."""
        await self._work(lambda session: claims.renew(session, owner, lease_until_ns), _UNSYNCED_WORK)

    async def record_progress(self, updates: Sequence[ProgressUpdate]) -> None:
        """Note how far running attempts are; those fenced off change nothing. Not synced."""
        if updates:
            await self._work(lambda session: settling.record_progress(session, updates), _UNSYNCED_WORK)

    async def checkpoint(self, sub_task_id: str, attempt: int, record: str) -> None:
        """Keep the record of an unfinished upload; it is durable when this returns. FencedError."""
        await self._work(lambda session: settling.checkpoint(session, sub_task_id, attempt, record))

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[str]:
        """End these attempts, in one transaction; the ids of those that were not fenced off. Durable when it returns."""
        return await self._work(lambda session: settling.settle(session, settlements)) if settlements else []

    async def rescue(self, *, now_ns: int, owner: str | None = None) -> int:
        """Void the leases that ended before `now_ns`, or all of `owner`'s; how many sub-tasks can be claimed again."""
        return await self._work(lambda session: claims.rescue(session, now_ns, owner))

    async def rescue_all(self) -> int:
        """Void every lease: for the start, when no mover lives. Counts no failure; how many sub-tasks it freed."""
        self._hands.writer.forget_ahead()
        return await self._work(claims.rescue_all)

    async def wake(self, bucket: str, *, limit: int) -> int:
        """Make due what waits because `bucket` had not answered; how many, at most `limit`. Call again while it answers that.

        Not synced: what waits is due by itself in the end.
        """
        return await self._work(lambda session: claims.wake(session, bucket, limit), _UNSYNCED_WORK)

    async def wake_for_room(self, room: Room, *, limit: int) -> int:
        """Make due what waits because there was no room, what is due first; how many, at most `limit`. Not synced, likewise."""
        return await self._work(lambda session: claims.wake_for_room(session, room, limit), _UNSYNCED_WORK)

    async def without_room(self) -> set[Room]:
        """The places where something waits for room."""
        return await self._read(claims.without_room)

    async def canceling(self, owner: str) -> Sequence[tuple[str, int]]:
        """(sub_task_id, attempt) of what `owner` holds and should withdraw."""
        return await self._read(lambda session: claims.canceling(session, owner))

    async def explain(self, explanations: Sequence[Explanation]) -> None:
        """Have sub-tasks that are being withdrawn say why that takes long, where they say nothing yet or wait for their turn.

        Not synced.
        """
        await self._work(lambda session: claims.explain(session, explanations), _UNSYNCED_WORK)

    async def set_health(self, data_flow_id: str, *, health: Health) -> None:
        """Running <-> Misconfigured, as the bucket was found; changes nothing in any other state."""
        await self._work(lambda session: dataflows.set_health(session, data_flow_id, health))

    async def live_sub_tasks(self) -> Mapping[str, int]:
        """How many sub-tasks are CREATED, RUNNING, CANCELING, over all tasks, from the counters that are kept."""
        return await self._read(tasks.live_sub_tasks)

    async def oldest_waiting_ns(self) -> int:
        """When the oldest sub-task was created that waits in a Running dataflow; 0 where none does."""
        return await self._read(tasks.oldest_waiting_ns)

    async def rates(self) -> Mapping[str, int]:
        """How many bytes a second dataflows may move, by their ids; those that nothing bounds are left out."""
        return await self._read(dataflows.rates)

    async def watched_data_flows(self) -> Sequence[DataFlow]:
        """Dataflows of all file systems that are Running or Misconfigured."""
        return await self._read(dataflows.watched)

    async def expire(self, *, older_than_ns: int, limit: int) -> int:
        """End at most `limit` CREATED sub-tasks that have waited since before the time `older_than_ns`; how many.

        The clock stands still while their dataflow is not Running.
        """
        expired = await self._work(lambda session: upkeep.expire(session, older_than_ns, limit))
        telemetry.numbers.count(meters.SUB_TASKS_EXPIRED, (), expired)
        return expired

    async def prune(self, *, sub_tasks_before_ns: int, tokens_before_ns: int, nonces_before_ns: int, limit: int) -> int:
        """Remove about `limit` rows of history older than these times; how many. Call again while it answers `limit`."""
        self._spare_nonces.forget(nonces_before_ns)
        await self._hands.nonces.submit(_UNSYNCED_WORK, lambda session: calls.forget_nonces(session, nonces_before_ns))
        return await self._work(
            lambda session: upkeep.prune(session, sub_tasks_before_ns, tokens_before_ns, nonces_before_ns, limit)
        )

    async def end_transitions(self, *, due_ns: int, limit: int) -> int:
        """Let at most `limit` dataflows and streams whose delay was over at `due_ns` become what they were asked to be.

        How many. Call again while it answers `limit`.
        """
        return await self._work(lambda session: transitions.end(session, due_ns, limit))

    async def next_transition_ns(self) -> int | None:
        """When the first transition is over; None when nothing is in transition."""
        return await self._read(transitions.next_due_ns)

    # ------------------------------------------------------------------------------------------------------- inside

    async def _call(self, call: Call, work: Callable[[Session], str]) -> str:
        def guarded(session: Session) -> str | Refused:
            return calls.guarded(session, call, lambda: work(session))

        done: str = await self._once(call.nonce, self._hands.writer, _WORK, guarded)
        return done

    async def _once(self, nonce: str, writer: Writer, verb: Verb[Item, Result], item: Item) -> Result:
        """Submit `item`, unless a call with the same nonce is under way: the two stores of nonces commit apart."""
        if not nonce:
            return await writer.submit(verb, item)
        if nonce in self._nonces_under_way:
            raise NonceUsedError(calls.USED_BEFORE)
        self._spare_nonces.check(nonce)
        self._nonces_under_way.add(nonce)
        try:
            return await writer.submit(verb, item)
        finally:
            self._nonces_under_way.discard(nonce)

    async def _step(self, call: Call, verb: Callable[..., None], *ids: str) -> None:
        def work(session: Session) -> str:
            verb(session, *ids)
            return ""

        await self._call(call, work)

    async def _work(self, work: Work[Result], verb: Verb[Work[Any], Any] = _WORK) -> Result:
        done: asyncio.Future[Result] = self._hands.writer.submit(verb, work)
        return await done

    async def _read(self, work: Work[Result]) -> Result:
        return await self._hands.readers.read(work)
