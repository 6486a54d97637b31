"""Does a slow file system hold up another? One 4 KiB import after the other to a disk, six at a time to a slow file system.

Both are file systems of one service, a new one for each row, with the movers it has by default. The slow one is
`bench.slow_disk`, each of whose calls takes its time, at last for ever. Where it cannot be mounted nothing is measured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Self

from bench.dataset import SOURCE_BUCKET
from bench.ending import to_the_end
from bench.lean import quantile
from bench.scenarios.latency import LIMIT_S, once
from bench.scenarios.scenario import Choices, Found, Row, Scenario
from bench.scenarios.slow_calls import SlowDisk
from bench.service import Penstock
from bench.stage import Stage

NAME = "slow-neighbour"
FOR_EVER_S = 1e6
DELAYS_S = (0.0, 0.02, 0.1, 0.3, FOR_EVER_S)
AT_A_TIME = 6
TOP_UP_EVERY_S = 0.05
UNDER_WAY_S = 3.0
"""After so long the six wait in calls that take the new time."""
PAUSE_S = 0.1
SAMPLES_OF = 4
SAMPLES_LIMIT_S = 90.0


def measure(stage: Stage, _choices: Choices, _names: Sequence[str]) -> Found:
    """One row for each time that a call takes there, and one with nothing moving there."""
    rows: list[Row] = []
    for delay_s in DELAYS_S:
        with to_the_end() as stack:
            service = stack.enter_context(stage.another(NAME))
            disk = SlowDisk(stage.directory / f"{NAME}-slow-fs-{len(rows)}")
            stack.callback(disk.close)  # before the service is stopped: what hangs there fails then
            if not disk.is_mounted:
                stage.say("  FUSE cannot be mounted here (that takes root and /dev/fuse)")
                return {}
            rows.append(_at(delay_s, stage, service, disk))
    return {NAME: rows}


def _at(delay_s: float, stage: Stage, service: Penstock, disk: SlowDisk) -> Row:
    """On a service that has heard nothing yet of how slow that file system is."""
    name = stage.datasets["small"].files_set.names()[0]
    near = _Near(stage, service, name)
    if not delay_s:
        return near.row("nothing moves there")
    with service.beside(disk.directory) as slow:
        company = _Company(slow, name)
        disk.take(delay_s)
        with company:
            time.sleep(UNDER_WAY_S)
            before = company.done
            row = near.row("for ever" if delay_s == FOR_EVER_S else f"{delay_s * 1e3:g} ms")
            return row | {"moved_there": company.done - before}


class _Near:
    """Imports to the disk of this machine, one at a time."""

    def __init__(self, stage: Stage, service: Penstock, name: str) -> None:
        self._stage = stage
        self._service = service
        self._name = name
        self._flow = service.flow(SOURCE_BUCKET, "/in/")
        self._task = service.task(self._flow, "StreamImport", "/small/", "/near/")
        self._number = 0

    def row(self, delay: str) -> Row:
        """So many samples, fewer where they take too long: one that does not end counts as LIMIT_S, and is the last."""
        wholes: list[float] = []
        until = time.monotonic() + SAMPLES_LIMIT_S
        while len(wholes) < self._stage.scale.latency_samples // SAMPLES_OF and time.monotonic() < until:
            self._number += 1
            target = f"{self._number}"
            appears = self._service.root / "in" / "near" / target
            try:
                watched = once(self._service, self._flow, self._task, self._name, target, appears=appears)
            except TimeoutError:
                wholes.append(LIMIT_S)
                break
            wholes.append(watched.whole_s)
            time.sleep(PAUSE_S)
        row: Row = {
            "delay": delay,
            "samples": len(wholes),
            "p50_s": quantile(wholes, 0.5),
            "p95_s": quantile(wholes, 0.95),
            "worst_s": max(wholes),
            "moved_there": 0,
        }
        self._stage.say(f"  {delay}: p50 {row['p50_s'] * 1e3:.0f}, p95 {row['p95_s'] * 1e3:.0f} ms")
        return row


class _Company:
    """Six imports at a time to the slow file system: a thread asks for another as soon as one is done."""

    def __init__(self, slow: Penstock, name: str) -> None:
        self._slow = slow
        self._name = name
        self._flow = slow.flow(SOURCE_BUCKET, "/in/")
        self._task = slow.task(self._flow, "StreamImport", "/small/", "/far/")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_up, name="company", daemon=True)
        self.done = 0

    def __enter__(self) -> Self:
        """Begins."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Asks for no more."""
        self._ended.set()
        self._thread.join()

    def _keep_up(self) -> None:
        asked = 0
        while not self._ended.wait(TOP_UP_EVERY_S):
            self.done = self._slow.files_done(self._task)
            names = range(asked, self.done + AT_A_TIME)
            self._slow.ask(
                [self._slow.sub_task(self._flow, self._task, self._name, f"{number}") for number in names],
                connections=1,
            )
            asked = names.stop


SCENARIO = Scenario(measure=measure, sets=("small",))
