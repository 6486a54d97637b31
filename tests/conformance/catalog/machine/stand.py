"""Both sides of the machine, what its rules share, and the comparison after each rule.

Time stands still within a rule. What has been promised to last lasts through every crash; what was not may be gone, with
everything after it: the model then goes back to the same moment.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hypothesis.stateful import RuleBasedStateMachine, invariant

from penstock.catalog.catalog import Catalog, CatalogBounds
from penstock.catalog.verbs import Call, CallMode, Claims, DataFlowQuery, Demand, SubTaskQuery, TaskQuery
from penstock.catalog.writer import Ahead
from penstock.errors import PenstockError
from penstock.model import LIVE_SUB_TASK_STATUSES
from tests.conformance.catalog.machine.ledger_model import Ledger, refusal
from tests.conformance.catalog.machine.nouns import File
from tests.conformance.catalog.machine.work_model import Work, judge
from tests.fixtures.inmemory import memory_directory
from tests.fixtures.ledger import SECOND_NS, START_NS
from tests.fixtures.ledgerdisk import SqliteDisk

Result = TypeVar("Result")
FSS = ("bmcpfs-a", "bmcpfs-b")
BOUNDS = CatalogBounds(waiting_max=6, page_rows_max=7, readers=1)
LEASE_S = 20
ALL = 10_000
NO_FLOW, NO_TASK, NO_FILE = "df-0000000000000001", "task-0000000000000001", "subTaskId-0000000000000000000"
SOME_NS = SECOND_NS // 1000
"""So much passes from one rule to the next."""


class Stand(RuleBasedStateMachine):
    """A real catalog on a disk, and the model."""

    disks: Callable[[Path], SqliteDisk]  # whoever runs the machine says on which
    catalog: Catalog

    def __init__(self) -> None:
        super().__init__()
        self.home = memory_directory()  # what a power cut leaves is reckoned from what was asked of the disk
        self.loop = asyncio.new_event_loop()
        self.chance = random.Random(1)
        self.ticks = 0  # rules so far
        self.ns = START_NS
        self.disk = type(self).disks(Path(self.home.name))
        self.ledger = Ledger(waiting_max=BOUNDS.waiting_max)
        self.saved: dict[int, bytes] = {}  # the model after each commit of the disk
        self.heard = self.heard_before = 0  # the last commit before the present rule, and before the one before that
        self.promised = 0  # the last commit that is not to be lost
        self.ever: set[str] = set()  # every id there ever was
        self.calls: list[Call] = []
        self.read_nonces: set[str] = set()
        self.ahead: Ahead[Claims] | None = None
        self.ahead_owner = ""
        self.boots = 1
        self.demands: list[Demand] = []
        self.claimable: set[str] = set()  # what could be claimed before this rule did anything
        self.due_ns: int | None = None
        self.open()

    # ---------------------------------------------------------------------------------------------------------- the real

    def do(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Wait for it."""
        return self.loop.run_until_complete(coroutine)

    def open(self) -> None:
        """Open what is on the disk."""
        opening = Catalog.open(
            self.disk.database,
            now_ns=lambda: self.ns,
            entropy=self.chance.randbytes,
            boot_id=f"boot {self.boots}",
            bounds=BOUNDS,
        )
        self.catalog = self.do(opening)
        self.ahead = None

    def close(self) -> None:
        """Close the catalog and count everything afresh."""
        self.do(self.catalog.close())
        self.disk.audit()

    def teardown(self) -> None:
        try:
            self.close()
        finally:
            self.loop.close()
            self.home.cleanup()

    def tick(self) -> None:
        """Begin a rule: a little later than the one before, at a moment that never was."""
        self.ticks += 1
        self.ns += SOME_NS + self.ticks - self.ns % SOME_NS
        self.ledger.now_ns = self.ns
        self.ledger.latest_ns = max(self.ledger.latest_ns, self.ns)
        self.heard_before, self.heard = self.heard, self.disk.last.number
        self.look_ahead()

    def look_ahead(self) -> None:
        """Note what can be claimed by now: from here on the bell tells of more."""
        self.claimable, self.due_ns = self.work.all_claimable(), self.work.next_due_ns()

    # ------------------------------------------------------------------------------------------------------- both sides

    @property
    def work(self) -> Work:
        """The model's verbs of the engine."""
        return Work(self.ledger)

    def both(
        self, real: Coroutine[Any, Any, Result], model: Callable[[Result], object], *, lasts: bool = True
    ) -> Result | None:
        """Do it for real, then in the model, which is given the real answer (if any); both refuse alike, or neither does.

        What it has written lasts, whatever happens, unless that was never promised.
        """
        before = self.disk.last.number
        answer: Result | None = None
        refused: PenstockError | None = None
        try:
            answer = self.do(real)
        except PenstockError as error:
            refused = error
        if lasts and self.disk.last.number > before:
            self.promised = self.disk.last.number
        wanted = refusal(lambda: model(answer))  # type: ignore[arg-type]  # a model that refuses does not look at the answer
        if refused is not None and type(refused) is not wanted:
            raise AssertionError(f"refused, expected was {wanted or 'an answer'}") from refused
        assert refused is not None or wanted is None, f"answered {answer!r}, expected was {wanted}"
        return answer

    def call(self, action: str, *, token: str = "", fingerprint: str = "", mode: CallMode = CallMode.COMMIT) -> Call:
        """A call with a nonce of its own."""
        call = Call(
            access_key_id="key",
            action=action,
            nonce=self.chance.randbytes(8).hex(),
            client_token=f"{action}{token}" if token else "",
            fingerprint=fingerprint,
            mode=mode,
        )
        self.calls.append(call)
        return call

    def made(self, call: Call, model: Callable[[str], None]) -> Callable[[str | None], None]:
        """What the model does and says of a verb that makes one thing; it is given the id that was answered, if one was."""

        def expected(answer: str | None) -> None:
            def verb() -> Sequence[str]:
                model(answer or "nobody")
                return (answer or "",)

            is_known = call.client_token in self.ledger.tokens
            want = tuple(self.ledger.guarded(call, verb)) or ("",)
            assert answer is None or want == (answer,)
            self.note_ids([answer or ""], is_known=is_known)

        return expected

    def done(self, call: Call, model: Callable[[], None]) -> Callable[[object], None]:
        """What the model does and says of a verb that answers nothing."""

        def verb() -> Sequence[str]:
            model()
            return ("",)

        def expected(_: object) -> None:
            self.ledger.guarded(call, verb)

        return expected

    def note_ids(self, made: Sequence[str], *, is_known: bool) -> None:
        """Ids are new, but for those that a token stands for."""
        for one in filter(None, made):
            assert is_known or one not in self.ever, f"{one} was there before"
            self.ever.add(one)

    # ------------------------------------------------------------------------------------------------- choosing something

    def flow_at(self, place: int) -> tuple[str, str]:
        """A file system and a dataflow, mostly one of each other; the same for the same number, as with all of these."""
        flows = list(self.ledger.flows.values())
        if not flows or place % 23 == 22:
            return FSS[place % 2], NO_FLOW
        flow = flows[place % len(flows)]
        return (FSS[place % 2] if place % 19 == 18 else flow.new.file_system_id), flow.flow_id

    def task_at(self, place: int) -> tuple[str, str, str]:
        """The same with a task."""
        streams = list(self.ledger.streams.values())
        if not streams or place % 23 == 22:
            return *self.flow_at(place), NO_TASK
        stream = streams[place % len(streams)]
        own = (stream.new.file_system_id, stream.flow_id)
        return *(self.flow_at(place) if place % 19 == 18 else own), stream.task_id

    def file_at(self, place: int) -> tuple[str, str, str, str]:
        """The same with a sub-task."""
        file = pick(place, list(self.ledger.files.values()))
        if file is None or place % 23 == 22:
            return *self.task_at(place), NO_FILE
        stream = self.ledger.streams[file.task_id]
        own = (stream.new.file_system_id, stream.flow_id, stream.task_id)
        return *(self.task_at(place) if place % 19 == 18 else own), file.sub_task_id

    def held(self) -> list[File]:
        """What somebody works on."""
        return [file for file in self.ledger.files.values() if file.owner]

    # ---------------------------------------------------------------------------------------------------------- comparing

    @invariant()
    def agrees(self) -> None:
        """Both sides know the same, and whoever waits was told of what there is to do."""
        rung = self.do(self.catalog.doorbell.wait(0))
        if self.ahead is not None and self.ahead.done.done():
            assert rung, "claimed ahead, and nobody was told"
            judge(self.work, self.ahead.done.result(), self.demands, self.ahead_owner, self.ns + LEASE_S * SECOND_NS)
            self.ahead = None
        assert self.ahead is None or not rung, "there was work, and it was not claimed ahead"
        assert rung or not self.work.all_claimable() - self.claimable, "there is work, and nobody was told"
        due_ns = self.work.next_due_ns()
        sooner = due_ns is not None and (self.due_ns is None or due_ns < self.due_ns)
        assert rung or not sooner, "something is due sooner, and nobody was told"
        assert self.disk.synced >= self.promised, "what was answered would not survive a power cut"
        self.compare()
        self.saved[self.disk.last.number] = self.ledger.saved()
        self.claimable, self.due_ns = self.work.all_claimable(), due_ns

    def compare(self) -> None:
        """Everything that callers can see."""
        for fs in FSS:
            self.compare_file_system(fs)
        live = [file.status for file in self.ledger.files.values() if file.is_live]
        wanted = {status.value: live.count(status) for status in LIVE_SUB_TASK_STATUSES}
        assert self.do(self.catalog.live_sub_tasks()) == wanted

    def compare_file_system(self, fs: str) -> None:
        """All lists, whole, newest first."""
        visible = self.ledger.visible(fs)
        flows = self.do(self.catalog.data_flows(DataFlowQuery(file_system_id=fs), next_token="", limit=ALL))
        assert list(flows.items) == [self.ledger.data_flow(flow) for flow in visible]
        if not visible and fs != FSS[0]:
            return
        ids = {flow.flow_id for flow in visible}
        tasks = [one for one in reversed(self.ledger.streams.values()) if one.flow_id in ids]
        found = self.all_of(self.catalog.tasks, TaskQuery(file_system_id=fs))
        same(found, [self.ledger.task(one) for one in tasks])
        files = [one for one in reversed(self.ledger.files.values()) if one.flow_id in ids]
        found = self.all_of(self.catalog.sub_tasks, SubTaskQuery(file_system_id=fs))
        same(found, [self.ledger.sub_task(one) for one in files])
        started = [one.new.target_name for one in files if one.is_started]
        assert len(started) == len(set(started)), "two at one target"

    def all_of(self, ask: Any, query: Any) -> list[Any]:
        """All that a list holds, in pages as long as may be."""
        rows: list[Any] = []
        token = ""
        while True:
            page = self.do(ask(query, next_token=token, limit=ALL))
            rows += page.items
            token = page.next_token
            if not token:
                return rows


def same(found: list[Any], wanted: list[Any]) -> None:
    """Lists are equal; the message shows the first that are not."""
    for one, other in itertools.zip_longest(found, wanted):
        assert one == other, f"found {one}, expected {other}"


def pick(place: int, things: Sequence[Result]) -> Result | None:
    """One of them, the same for the same number."""
    return things[place % len(things)] if things else None
