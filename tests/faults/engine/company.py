"""A small lane that tests step by hand, with many files under way together, over a real directory and a bucket in memory."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from penstock.engine import slowness
from penstock.engine.board import Board
from penstock.engine.lines import Line
from penstock.engine.messages import MoverLimits
from penstock.engine.outbox import Outbox
from penstock.engine.running import Running
from penstock.engine.small_lane import SmallLane
from penstock.model import Direction
from penstock.stores.base import Store
from penstock.transfer import mover as gate_door
from penstock.transfer.moment import Moments
from penstock.transfer.root import Root
from penstock.transfer.steps import Steps
from penstock.transfer.transfer import Lane, Outcome, Transfer, Verdict
from tests.fixtures.gate import LIMITS, Gate, transfer
from tests.fixtures.memorystore import MemoryStore
from tests.fixtures.stopwatch import Stopwatch

PATIENCE_S = 60.0

CONTENT = random.Random(5).randbytes(3000)

DEADLINE_NS = 60_000_000_000


@dataclass(slots=True)
class Company:
    """A small lane whose loop the test steps by hand, over a real directory and a bucket in memory."""

    gate: Gate
    store: MemoryStore
    moments: Moments = field(default_factory=lambda: Moments(lambda: 0.0))
    limits: MoverLimits = field(default_factory=lambda: MoverLimits(small_files=32, small_threads=2))
    elsewhere: dict[str, Store] = field(default_factory=dict)
    admit: Callable[[Transfer], bool] = lambda _: True
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    far: set[str] = field(default_factory=set)
    roots: dict[str, Root] = field(default_factory=dict)
    runnings: dict[str, Running] = field(default_factory=dict)
    board: Board = field(init=False)
    line: Line = field(init=False)
    lane: SmallLane = field(init=False)
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self.board, descriptor = Board.make(self.limits.small_files)
        os.close(descriptor)
        self.line = Line(lambda one: self.admit(one))  # noqa: PLW0108  (tests put another one there)
        self.outbox = Outbox(
            mover="m", limits=self.limits, send=lambda _: None, pressed=lambda: False, clock_s=time.monotonic
        )
        self.lane = SmallLane(
            limits=self.limits,
            line=self.line,
            board=self.board,
            begin=self._begin,
            end=self._end,
            is_far=lambda one: one in self.far,
            clock_s=time.monotonic,
            moments=self.moments,
        )
        self.lane._helpers.start()

    def _begin(self, running: Running) -> Steps[Outcome]:
        self.order.append(running.transfer.sub_task_id)
        running.begin()
        return gate_door.steps(
            running.transfer,
            root=self.roots.get(running.transfer.file_system_id, self.gate.root),
            store=self.elsewhere.get(running.transfer.bucket, self.store),
            hooks=running,
            limits=LIMITS,
            parts=self.gate.pool,
            grains=self.gate.grains,
            lane=Lane.SMALL,
            now_ns=lambda: time.time_ns() + DEADLINE_NS,  # no source is fresh
            jitter=lambda: 0.5,
        )

    def _end(self, ended: list[tuple[Running, Outcome]]) -> None:
        self.outcomes.update((outcome.sub_task_id, outcome) for _, outcome in ended)

    def give(self, *transfers: Transfer) -> None:
        """Put them in the line."""
        made = [
            Running(one, number=len(self.runnings) + at, desk=self.outbox, clock_s=time.monotonic)
            for at, one in enumerate(transfers, 1)
        ]
        self.runnings.update((running.transfer.sub_task_id, running) for running in made)
        self.line.add(made)

    def until(self, count: int) -> dict[str, Outcome]:
        """Step until so many have ended."""
        watch = Stopwatch()
        while len(self.outcomes) < count:
            assert not watch.is_past(PATIENCE_S), f"{len(self.outcomes)} of {count} ended"
            self.lane.step()
        return self.outcomes

    def imports(self, *names: str, **changes: Any) -> list[Transfer]:
        """Imports of objects that are there."""
        for name in names:
            self.store.seed(f"in/{name}", CONTENT + name.encode())
        return [
            transfer(sub_task_id=name, path=f"base/{name}", key=f"in/{name}", **{"task_id": "t", **changes})
            for name in names
        ]

    def exports(self, *names: str, **changes: Any) -> list[Transfer]:
        """Exports of files that are there."""
        for name in names:
            (self.gate.base / name).write_bytes(CONTENT + name.encode())
        return [
            transfer(
                Direction.EXPORT,
                sub_task_id=name,
                path=f"base/{name}",
                key=f"out/{name}",
                **{"task_id": "t", **changes},
            )
            for name in names
        ]

    def check_imported(self, *names: str) -> None:
        """They are COMPLETE and there, whole."""
        for name in names:
            assert (self.outcomes[name].verdict, self.outcomes[name].message) == (Verdict.COMPLETE, "")
            assert (self.gate.base / name).read_bytes() == CONTENT + name.encode()

    def check_exported(self, *names: str) -> None:
        """They are COMPLETE and there, whole."""
        for name in names:
            assert (self.outcomes[name].verdict, self.outcomes[name].message) == (Verdict.COMPLETE, "")
            assert self.store.content(f"out/{name}") == CONTENT + name.encode()


GOOD = tuple(f"good{number}" for number in range(6))


def slow_down(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on its file system is held for a slow one, whatever its calls take."""
    monkeypatch.setattr(slowness, "LOOK_EVERY_S", 3600.0)
    for _ in range(slowness.MEMORY_STEPS):
        company.lane._slowness.learn(transfer().file_system_id, 1.0)
