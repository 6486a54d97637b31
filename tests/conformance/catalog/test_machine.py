"""Does the catalog agree with a small model of itself, whatever order the steps come in?"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from penstock.catalog.verbs import ClaimLane, Settlement, Settling, SubTaskQuery
from penstock.errors import DependencyViolationError, InvalidStateError, TokenMismatchError
from penstock.model import FINAL_SUB_TASK_STATUSES, SubTaskStatus
from tests.fixtures.ledger import FS, SECOND_NS, Book, recount

Result = TypeVar("Result")
TARGETS = ("x", "y", "z")
EXPIRY_S = 100


@dataclass(slots=True)
class File:
    """What the model knows of one sub-task."""

    task: int
    target: str
    created_ns: int
    status: SubTaskStatus = SubTaskStatus.CREATED
    attempt: int = 0
    owner: str = ""
    failures: int = 0
    due_ns: int = 0
    lane: ClaimLane = ClaimLane.SMALL
    tidy: bool = False
    again: bool = False  # it stands behind what was claimed before, before what is new

    @property
    def live(self) -> bool:
        return self.status not in FINAL_SUB_TASK_STATUSES


class CatalogMachine(RuleBasedStateMachine):
    """Two tasks, three targets, two owners."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.home = tempfile.TemporaryDirectory()
        self.book = Book(Path(self.home.name) / "catalog.db")
        self.files: dict[str, File] = {}
        self.tokens: dict[str, tuple[str, str]] = {}
        self.names = itertools.count()
        self.open = [True, True]

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        self.do(self.book.open())
        self.flow = self.do(self.book.flow())
        self.tasks = [self.do(self.book.stream(self.flow)) for _ in range(2)]

    def teardown(self) -> None:
        self.do(self.book.close())
        recount(self.book.path)
        self.loop.close()
        self.home.cleanup()

    def at(self, place: int) -> tuple[str, File] | None:
        """One of the files, the same for the same number."""
        return list(self.files.items())[place % len(self.files)] if self.files else None

    def first_at(self, target: str) -> str | None:
        """Whose turn it is at a target."""
        return next((name for name, file in self.files.items() if file.live and file.target == target), None)

    @rule(
        task=st.integers(0, 1),
        where=st.sampled_from(TARGETS),
        token=st.sampled_from(["", "s", "t"]),
        other=st.booleans(),
    )
    def create(self, task: int, where: str, token: str, other: bool) -> None:
        new = self.book.new_file(self.flow, self.tasks[task], f"{next(self.names)}", target_name=where)
        fingerprint = f"{task}{other}"
        call = self.book.call("Create", token=token, fingerprint=fingerprint)
        known = self.tokens.get(token)
        try:
            made = self.do(self.book.catalog.create_sub_task(call, new))
        except TokenMismatchError:
            assert known is not None
            assert known[0] != fingerprint
            return
        except InvalidStateError:
            assert not self.open[task]
            assert known is None
            return
        if known is not None:
            assert known == (fingerprint, made)
            return
        assert self.open[task]
        self.files[made] = File(task, where, self.book.clock.ns)
        if token:
            self.tokens[token] = (fingerprint, made)

    @rule(task=st.integers(0, 1), lane=st.sampled_from(ClaimLane), limit=st.integers(1, 3), owner=st.sampled_from("ab"))
    def claim(self, task: int, lane: ClaimLane, limit: int, owner: str) -> None:
        claimed = self.do(self.book.claim(self.tasks[task], lane, limit=limit, owner=owner))
        claimable = [name for name, file in self.files.items() if self.is_claimable(name, file, task, lane)]
        assert {row.sub_task.sub_task_id for row in claimed} == set(sorted(claimable, key=self.rank)[:limit])
        for row in claimed:
            file = self.files[row.sub_task.sub_task_id]
            file.attempt += 1
            file.owner = owner
        for row in claimed:
            file = self.files[row.sub_task.sub_task_id]
            if file.status is SubTaskStatus.CREATED:
                file.status = SubTaskStatus.RUNNING
            assert (row.sub_task.status, row.sub_task.attempt) == (file.status, file.attempt)
            assert (row.failures, row.tidy, row.lane) == (file.failures, file.tidy, file.lane)

    def rank(self, name: str) -> tuple[int, int, str]:
        """What is to be cleared, then what goes again, then what is new; each by due time, then by age."""
        file = self.files[name]
        clearing = file.tidy or file.status is SubTaskStatus.CANCELING
        return 0 if clearing else 1 if file.again else 2, file.due_ns, name

    def is_claimable(self, name: str, file: File, task: int, lane: ClaimLane) -> bool:
        clearing = file.tidy or file.status is SubTaskStatus.CANCELING
        moving = file.status in {SubTaskStatus.CREATED, SubTaskStatus.RUNNING} and self.first_at(file.target) == name
        return (
            file.task == task
            and not file.owner
            and file.due_ns <= self.book.clock.ns
            and (clearing or (moving and self.open[task]))
            and lane is (ClaimLane.SMALL if clearing else file.lane)
        )

    @rule(
        place=st.integers(0, 50),
        settling=st.sampled_from(Settling),
        late=st.sampled_from([0, 0, 0, 1]),
        tidy=st.booleans(),
        wait_s=st.integers(0, 30),
    )
    def settle(self, place: int, settling: Settling, late: int, tidy: bool, wait_s: int) -> None:
        found = self.at(place)
        if found is None:
            return
        name, file = found
        due_ns, size = self.book.clock.ns + wait_s * SECOND_NS, place + 1
        settlement = Settlement(
            sub_task_id=name,
            attempt=file.attempt - late,
            settling=settling,
            due_ns=due_ns,
            tidy=tidy,
            bytes_total=size,
            bytes_done=size,
            actual_bytes=size,
            moving_ns=size,
        )
        settled = self.do(self.book.catalog.settle([settlement]))
        assert list(settled) == ([name] if file.owner and not late else [])
        if settled:
            self.settled(file, settling, due_ns, tidy=tidy)

    def settled(self, file: File, settling: Settling, due_ns: int, *, tidy: bool) -> None:
        file.owner = ""
        goes_again = settling in {Settling.RETRY, Settling.RETURNED, Settling.LARGE}
        canceling = file.status is SubTaskStatus.CANCELING
        if not file.live:
            file.tidy = goes_again
            file.due_ns = due_ns if goes_again else 0
        elif settling is Settling.COMPLETE or (settling is Settling.FAILED and not canceling):
            file.status = SubTaskStatus.COMPLETE if settling is Settling.COMPLETE else SubTaskStatus.FAILED
            file.tidy, file.due_ns = tidy, 0
        elif canceling and settling is Settling.CANCELED:
            file.status, file.tidy, file.due_ns = SubTaskStatus.CANCELED, tidy, 0
        else:
            file.due_ns = due_ns if settling is Settling.RETRY else 0
            file.failures += settling is Settling.RETRY
            file.again = settling is not Settling.LARGE
            if settling is Settling.LARGE:
                file.lane = ClaimLane.LARGE
                file.due_ns = 0 if canceling else self.book.clock.ns

    @rule(place=st.integers(0, 50))
    def cancel(self, place: int) -> None:
        found = self.at(place)
        if found is None:
            return
        name, file = found
        try:
            self.do(self.book.cancel(self.flow, self.tasks[file.task], name))
        except InvalidStateError:
            assert file.status not in {SubTaskStatus.CREATED, SubTaskStatus.RUNNING}
            return
        assert file.status in {SubTaskStatus.CREATED, SubTaskStatus.RUNNING}
        waited = file.status is SubTaskStatus.CREATED
        file.status = SubTaskStatus.CANCELED if waited else SubTaskStatus.CANCELING
        file.due_ns = 0

    @rule(task=st.integers(0, 1))
    def cancel_task(self, task: int) -> None:
        live = [file for file in self.files.values() if file.task == task and file.live]
        try:
            self.do(self.book.catalog.cancel_task(self.book.call(), FS, self.flow, self.tasks[task]))
        except DependencyViolationError:
            assert live
        except InvalidStateError:
            assert not self.open[task]
        else:
            assert not live
            assert self.open[task]
            self.open[task] = False

    @rule(owner=st.sampled_from(["a", "b", None]))
    def rescue(self, owner: str | None) -> None:
        """One owner's leases, or everybody's."""
        held = [file for file in self.files.values() if file.owner and owner in {None, file.owner}]
        if owner is None:
            freed = self.do(self.book.catalog.rescue_all())
        else:
            freed = self.do(self.book.catalog.rescue(now_ns=self.book.clock.ns, owner=owner))
        assert freed == len(held)
        for file in held:
            file.owner, file.due_ns, file.again = "", 0, True

    @rule(seconds=st.integers(1, 60))
    def wait_and_expire(self, seconds: int) -> None:
        self.book.clock.pass_s(seconds)
        older_than_ns = self.book.clock.ns - EXPIRY_S * SECOND_NS
        expired = self.do(self.book.catalog.expire(older_than_ns=older_than_ns, limit=100))
        old = [f for f in self.files.values() if f.status is SubTaskStatus.CREATED and f.created_ns < older_than_ns]
        assert expired == len(old)
        for file in old:
            file.status = SubTaskStatus.EXPIRED

    @rule()
    def restart(self) -> None:
        self.do(self.book.reopen())

    @invariant()
    def agrees(self) -> None:
        if not self.files:
            return
        query = SubTaskQuery(file_system_id=FS)
        page = self.do(self.book.catalog.sub_tasks(query, next_token="", limit=100))
        seen = {row.sub_task_id: (row.status, row.attempt) for row in page.items}
        assert seen == {name: (file.status, file.attempt) for name, file in self.files.items()}
        for number, task in enumerate(self.tasks):
            counters = self.do(self.book.counters(self.flow, task))
            truth = Counter(file.status.lower() for file in self.files.values() if file.task == number)
            assert counters.accepted == truth.total()
            assert {status: getattr(counters, status) for status in truth} == truth

    @invariant()
    def one_runs_at_a_target(self) -> None:
        for target in TARGETS:
            started = {SubTaskStatus.RUNNING, SubTaskStatus.CANCELING}
            assert sum(f.target == target and f.status in started for f in self.files.values()) <= 1


CatalogMachine.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestCatalogMachine = CatalogMachine.TestCase
