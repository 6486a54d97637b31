"""While ten imports of 1 TiB each move: how long until a new 4 KiB sub-task is COMPLETE? Some runs, each from the beginning.

The samples begin when each of the ten has bytes; how many moved on while they were taken stands beside them. The large ones come
from a hole of 1 TiB at the full speed of nginx and go to a file system that claims to hold them all; the samples end before the
real disk is full. Where no such file system can be made the imports are as large as fits, which is told.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.dataset import SOURCE_BUCKET
from bench.ending import scratch
from bench.floor import sync_directory
from bench.lean import quantile
from bench.scale import GIB, TIB
from bench.scenarios.latency import once
from bench.scenarios.scenario import Choices, Found, Row, Scenario
from bench.service import Penstock
from bench.stage import Stage
from bench.vast import MEMORY, spare_bytes, sparse_object, taken_bytes, vast_file_system

IMPORTS = 10
IDLE_SHARE = 4
PAUSE_S = 0.1
UNDER_WAY_S = 120.0
SAMPLES_LIMIT_S = 90.0
LEAST_BYTES = 4 * GIB


def measure(stage: Stage, choices: Choices, _names: Sequence[str]) -> Found:
    """Idle and busy, on a file system in memory where there is enough of it, and on the disk; no new run after `limit_s`."""
    rows: list[Row] = []
    begun = time.monotonic()
    for run in range(1, stage.scale.fairness_runs + 1):
        if run > 1 and 0 < choices.limit_s < time.monotonic() - begun:
            break
        if MEMORY.is_dir() and spare_bytes(MEMORY) > LEAST_BYTES:
            with scratch(MEMORY) as directory:
                rows += _on(stage, directory, "in memory", run)
        rows += _on(stage, stage.directory, "on the disk", run)
    return {"fairness": sorted(rows, key=lambda row: (row["where"], row["imports"], row["run"]))}


def _on(stage: Stage, directory: Path, where: str, run: int) -> list[Row]:
    """Two rows: idle, and busy."""
    with ExitStack() as stack:
        vast = stack.enter_context(vast_file_system(directory))
        spare = spare_bytes(directory)
        size = TIB if vast else spare // IMPORTS // GIB * GIB
        objects = stage.datasets["small"].objects.parent
        stack.enter_context(sparse_object(objects, "sparse", size, copies=IMPORTS))
        root = (vast or directory) / "fair-fs"
        service = stack.enter_context(stage.another("fairness", root=root))
        flow = service.flow(SOURCE_BUCKET, "/in/")
        guard = _Guard(directory, spare)
        small = _Small(stage, service, flow)
        idle = small.row(f"idle, {where}", stage.scale.fairness_samples // IDLE_SHARE, guard)
        task = service.task(flow, "StreamImport", "/sparse/", "/vast/")
        service.ask([service.sub_task(flow, task, f"{number}") for number in range(IMPORTS)], connections=1)
        _await_all(service, task)
        before, begun = _done_bytes(service, task), time.perf_counter()
        busy = small.row(f"ten large imports move, {where}", stage.scale.fairness_samples, guard)
        after, took_s = _done_bytes(service, task), time.perf_counter() - begun
        rate = (sum(after) - sum(before)) / took_s
        moving = sum(1 for old, new in zip(before, after, strict=True) if new > old)
        busy |= {"imports": IMPORTS, "import_bytes": size, "moving": moving, "bytes_per_s": rate}
        stage.say(
            f"  {IMPORTS} × {size // GIB:,} GiB at {rate / (1 << 20):,.0f} MiB/s together, {moving} of them moved"
        )
    return [row | {"where": where, "run": run} for row in (idle, busy)]


class _Guard:
    """Ends the samples in time."""

    def __init__(self, directory: Path, spare: int) -> None:
        self._directory = directory
        self._spare = spare
        self._until = time.monotonic() + SAMPLES_LIMIT_S

    def is_full(self) -> bool:
        """Whether as much has been written as may be, or it has taken long enough."""
        if time.monotonic() > self._until:
            return True
        return taken_bytes(self._directory) > self._spare or spare_bytes(self._directory) < 2 * GIB


class _Small:
    """The small import that is asked for again and again."""

    def __init__(self, stage: Stage, service: Penstock, flow: str) -> None:
        self._stage = stage
        self._service = service
        self._flow = flow
        self._task = service.task(flow, "StreamImport", "/small/", "/sample/")
        self._name = stage.datasets["small"].files_set.names()[0]
        self._number = 0

    def row(self, what: str, samples: int, guard: _Guard) -> Row:
        """So many samples, fewer where the disk does not allow more."""
        creates: list[float] = []
        wholes: list[float] = []
        bare: list[float] = []
        while len(wholes) < samples and not guard.is_full():
            self._number += 1
            target = f"{self._number}"
            appears = self._service.root / "in" / "sample" / target
            watched = once(self._service, self._flow, self._task, self._name, target, appears=appears)
            creates.append(watched.created_s)
            wholes.append(watched.whole_s)
            bare.append(publish_s(appears.parent))
            time.sleep(PAUSE_S)
        row: Row = {
            "what": what,
            "samples": len(wholes),
            "p50_s": quantile(wholes, 0.5),
            "p95_s": quantile(wholes, 0.95),
            "create_p50_s": quantile(creates, 0.5),
            "bare_p50_s": quantile(bare, 0.5),
            "bare_p95_s": quantile(bare, 0.95),
            "imports": 0,
            "import_bytes": 0,
            "moving": 0,
            "bytes_per_s": 0.0,
        }
        told = ", ".join(
            f"{words} {1e3 * row[f'{key}p50_s']:.0f} and {1e3 * row[f'{key}p95_s']:.0f} ms"
            for words, key in (("COMPLETE", ""), ("a bare publish", "bare_"))
        )
        self._stage.say(f"  {what}, p50 and p95 of {len(wholes)}: {told}")
        return row


def publish_s(directory: Path) -> float:
    """What the file system alone takes to give a file of 4 KiB its name durably: what no program can be quicker than."""
    partial, name = directory / "bare.partial", directory / "bare"
    begun = time.perf_counter()
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, bytes(4096))
    os.fsync(descriptor)
    os.close(descriptor)
    partial.rename(name)
    sync_directory(str(directory))
    return time.perf_counter() - begun


def _stats(service: Penstock, task: str) -> list[Row]:
    filters = [{"Key": "DataFlowTaskIds", "Value": task}]
    answer = service.call("DescribeDataFlowSubTasks", Filters=filters, MaxResults=100)
    found: list[Row] = answer["DataFlowSubTask"]["DataFlowSubTask"]
    return found


def _done_bytes(service: Penstock, task: str) -> list[int]:
    """Of each large import."""
    return [int(each["ProgressStats"]["BytesDone"]) for each in _stats(service, task)]


def _await_all(service: Penstock, task: str) -> None:
    """Until every large import has bytes. Raises TimeoutError."""
    until = time.monotonic() + UNDER_WAY_S
    while not all(_done_bytes(service, task)):
        if time.monotonic() > until:
            found = [(each["Status"], each["ErrorMsg"]) for each in _stats(service, task)]
            raise TimeoutError(f"not all large imports move: {found}")
        time.sleep(0.1)


SCENARIO = Scenario(measure=measure, sets=("small",))
