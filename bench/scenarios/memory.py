"""How much memory does Penstock take (PSS): the control process with 10^6 sub-tasks waiting, a mover while large files move?

Waiting means: accepted through the API's bulk door by the running service, and kept from moving by a bucket's server that takes
connections and answers nothing. The movers' figure is the peak while several copies of the large file go both ways at once, and
again while many files of nearly 8 MiB do, about the largest that move by one request each.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.accounts import MemoryWatch, pss_bytes
from bench.dataset import SOURCE_BUCKET
from bench.peers import Direction
from bench.scale import FileSet
from bench.scenarios.scenario import Choices, Found, Row, Scenario
from bench.service import Penstock
from bench.stage import Stage, silence

CALM_S = 2.0
SLICE = 20_000
COPIES = {Direction.IMPORT: 2, Direction.EXPORT: 6}
ROUNDS = 2
LIMIT_S = 900.0


def measure(stage: Stage, _choices: Choices, _names: Sequence[str]) -> Found:
    """PSS of each kind of process: fresh, with many waiting, and at its peak under large files."""
    rows: list[Row] = []
    count = stage.scale.waiting
    with stage.another("memory", settings={"waiting_max": count}) as service, mute() as port:
        flow = service.flow(SOURCE_BUCKET, "/in/")
        silence(service, SOURCE_BUCKET, port)
        time.sleep(CALM_S)
        rows += _rows("just started", 0, _now(service))
        task = service.task(flow, "StreamImport", "/none/", "/none/")
        begun = time.perf_counter()
        for first in range(0, count, SLICE):
            names = [f"{index:07d}" for index in range(first, min(first + SLICE, count))]
            service.ask(service.bulk(flow, task, names), connections=4)
        _judge(service, task, count)
        stage.say(f"  {count:,} accepted in {time.perf_counter() - begun:.0f} s")
        rows += _rows(f"{count:,} waiting", count, _now(service), counts="control")
        time.sleep(CALM_S)
        rows += _rows(f"{count:,} waiting, {CALM_S:g} s later", count, _now(service), counts="control")
    large, single = (stage.datasets[name].files_set for name in ("large", "single"))
    rows += _rows("large files both ways (peak)", 0, _moving(stage, large, COPIES), counts="mover")
    rounds = dict.fromkeys(Direction, ROUNDS)
    rows += _rows(f"{single.words()} both ways (peak)", 0, _moving(stage, single, rounds), counts="mover")
    for row in rows:
        stage.say(f"  {row['when']}: {row['process']} {row['pss_bytes'] >> 20} MiB")
    return {"memory": rows}


def _judge(service: Penstock, task: str, count: int) -> None:
    """Raises ValueError unless so many wait, or are held by movers that wait."""
    answer = service.call("DescribeDataFlowTasks", Filters=[{"Key": "TaskIds", "Value": task}])
    stats = answer["TaskInfo"]["Task"][0]["ProgressStats"]
    if stats["FilesTotal"] != count or stats["FilesDone"]:
        raise ValueError(f"not {count} waiting sub-tasks: {stats}")


@contextlib.contextmanager
def mute() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        yield int(server.getsockname()[1])


def _now(service: Penstock) -> dict[str, int]:
    return _by_role((role_of(each, service), pss_bytes(each)) for each in service.account.members())


def _moving(stage: Stage, files: FileSet, copies: Mapping[Direction, int]) -> dict[str, int]:
    """Peaks by role while these files are imported and exported so many times at once."""
    service = stage.penstock
    roles = {each: role_of(each, service) for each in service.account.members()}
    counts: dict[str, int] = {}
    calls = []
    for direction, flow in stage.arena.flows.items():
        action = "StreamImport" if direction is Direction.IMPORT else "StreamExport"
        task = service.task(flow, action, f"/{files.name}/", f"/memory-{files.name}/")
        counts[task] = copies[direction] * files.count
        names = [(name, f"{number}/{name}") for number in range(copies[direction]) for name in files.names()]
        calls += [service.sub_task(flow, task, name, target) for name, target in names]
    watch = MemoryWatch(service.account)
    service.ask(calls, connections=8)
    for task, count in counts.items():
        service.wait(task, count, every_s=0.2, limit_s=LIMIT_S)
    watch.stop()
    shutil.rmtree(service.root / "in" / f"memory-{files.name}")
    return _by_role((roles[each], peak) for each, peak in watch.peaks_bytes.items() if each in roles)


def role_of(process_id: int, service: Penstock) -> str:
    """What kind of process that is: the one that was started, one that moves, or the embedded bucket's."""
    if process_id == service.process_id:
        return "control"
    try:
        line = Path(f"/proc/{process_id}/cmdline").read_bytes()
    except OSError:
        return "ended"
    return "mover" if b"mover" in line else "embedded bucket" if b"emulator" in line else "other"


def _by_role(found: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The largest of each kind."""
    largest: dict[str, int] = {}
    for role, size in found:
        largest[role] = max(size, largest.get(role, 0))
    return largest


def _rows(when: str, waiting: int, found: dict[str, int], *, counts: str = "") -> list[Row]:
    """`counts` names the process whose figure a target is about."""
    return [
        {"when": when, "waiting": waiting, "process": role, "pss_bytes": size, "counts": role == counts}
        for role, size in sorted(found.items())
    ]


SCENARIO = Scenario(measure=measure, sets=("large", "single"))
