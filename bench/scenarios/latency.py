"""From idle: how long until one 4 KiB file is COMPLETE, in fdatasyncs of that disk and the store's own answer time?

COMPLETE is what an answer of DescribeDataFlowSubTasks says. A look costs the service as much as the file does: who looks all
the time measures itself, and who looks every so often is late by half of that. This one learns when it is worth looking for
the first time: a little earlier when the first look was enough, later when it was not. All three, sync, store and file, are taken
after the same idle time: a disk, a processor and its caches that have slept are slower than in a tight loop.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.dataset import SOURCE_BUCKET
from bench.floor import Link
from bench.lean import line_to, quantile
from bench.scenarios.scenario import Choices, Found, Row, Scenario
from bench.service import Penstock
from bench.stage import Stage

IDLE_S = 0.3
LIMIT_S = 30.0
LOOK_EVERY_S = 0.001
EARLIER_S = 0.0001
LATER_S = 0.0003


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Seconds to the answer of CreateDataFlowSubTask, and to that of the last of `looks` looks, which said COMPLETE."""

    created_s: float
    whole_s: float
    looks: int


def measure(stage: Stage, _choices: Choices, _names: Sequence[str]) -> Found:
    """One row: p50 and p95 of the service, of a durable create, of fdatasync, of the store."""
    service = stage.penstock
    flow = next(each for direction, each in stage.arena.flows.items() if direction == "import")
    task = service.task(flow, "StreamImport", "/small/", "/idle/")
    name = stage.datasets["small"].files_set.names()[0]
    syncs: list[float] = []
    stores: list[float] = []
    creates: list[float] = []
    wholes: list[float] = []
    looks: list[int] = []
    first_look_s = 0.005
    link = Link(stage.arena.source_port)
    for number in range(stage.scale.latency_samples):
        time.sleep(IDLE_S)
        syncs.append(fdatasync_s(stage.directory / "sync-probe"))
        stores.append(_store_s(link, name))
        time.sleep(IDLE_S)
        watched = once(service, flow, task, name, f"{number}", first_look_s=first_look_s)
        first_look_s += LATER_S * (watched.looks - 1) if watched.looks > 1 else -EARLIER_S
        looks.append(watched.looks)
        creates.append(watched.created_s)
        wholes.append(watched.whole_s)
    row: Row = {
        "samples": len(wholes),
        "fdatasync_p50_s": quantile(syncs, 0.5),
        "store_p50_s": quantile(stores, 0.5),
        "create_p50_s": quantile(creates, 0.5),
        "complete_p50_s": quantile(wholes, 0.5),
        "complete_p95_s": quantile(wholes, 0.95),
        "fdatasyncs_p50": (quantile(wholes, 0.5) - quantile(stores, 0.5)) / quantile(syncs, 0.5),
        "looked_every_s": LOOK_EVERY_S,
        "looks_mean": sum(looks) / len(looks),
    }
    stage.say(
        f"  idle to COMPLETE: p50 {quantile(wholes, 0.5) * 1e3:.1f} ms (create {quantile(creates, 0.5) * 1e3:.1f}), "
        f"p95 {quantile(wholes, 0.95) * 1e3:.1f} ms; fdatasync {quantile(syncs, 0.5) * 1e3:.2f} ms, "
        f"store {quantile(stores, 0.5) * 1e3:.2f} ms: {row['fdatasyncs_p50']:.1f} fdatasyncs + store"
    )
    return {"latency": [row]}


def once(
    service: Penstock,
    flow: str,
    task: str,
    name: str,
    target: str,
    *,
    first_look_s: float = 0.0,
    appears: Path | None = None,
) -> Watched:
    """How long one file took.

    The call is signed before the clock starts and sent by the lean client. The service is not asked before `first_look_s` have
    passed, nor before the file has its name (`appears`) and a little longer, so that asking does not slow down what is measured.
    """
    create = service.sub_task(flow, task, name, target)
    line = line_to(service.options.endpoint)
    try:
        begun = time.perf_counter()
        created = line.call(create)["DataFlowSubTaskId"]
        created_s = time.perf_counter() - begun
        looks = 0
        filters = [{"Key": "DataFlowSubTaskIds", "Value": created}]
        while appears is not None and not appears.exists() and time.perf_counter() - begun < LIMIT_S:
            time.sleep(LOOK_EVERY_S / 5)
        while True:
            look = service.signed("DescribeDataFlowSubTasks", Filters=filters)
            looks += 1
            waits_s = first_look_s - (time.perf_counter() - begun) if looks == 1 and appears is None else LOOK_EVERY_S
            time.sleep(max(0.0, waits_s))
            (found,) = line.call(look)["DataFlowSubTask"]["DataFlowSubTask"]
            if found["Status"] == "COMPLETE":
                return Watched(created_s=created_s, whole_s=time.perf_counter() - begun, looks=looks)
            if time.perf_counter() - begun > LIMIT_S:
                raise TimeoutError(f"not COMPLETE after {LIMIT_S:g} s: {found}")
    finally:
        line.sock.close()


def fdatasync_s(path: Path) -> float:
    """One fdatasync of 4 KiB appended."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, bytes(4096))
        begun = time.perf_counter()
        os.fdatasync(descriptor)
        return time.perf_counter() - begun
    finally:
        os.close(descriptor)


def _store_s(link: Link, name: str) -> float:
    begun = time.perf_counter()
    link.send(f"GET /{SOURCE_BUCKET}/small/{name} HTTP/1.1\r\nhost: probe\r\n\r\n")
    link.text()
    return time.perf_counter() - begun


SCENARIO = Scenario(measure=measure, sets=("small",))
