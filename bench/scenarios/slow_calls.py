"""What is moved in a second where each call of the file system waits, as on NFS, Lustre or GPFS? Penstock and s5cmd in turn.

The file system is `bench.slow_disk`, which takes a processor's share of its own; nothing else differs from the other contests.
Where it cannot be mounted nothing is measured.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.contest import Arena, Contest, Contestant, Measured, by_peer
from bench.dataset import SINK_BUCKET, SOURCE_BUCKET
from bench.ending import to_the_end
from bench.peers import Direction, Job, all_peers, installed
from bench.scenarios.movement import BULK, by_doors
from bench.scenarios.scenario import Choices, Found, Row, Scenario
from bench.servers import end
from bench.service import Penstock
from bench.stage import Stage

DELAYS_S = (0.0, 0.0003, 0.001, 0.003)
WORKERS = (64, 256)
RUNS_MAX = 3
PREFIX = "slow-calls-"
UNAWAITED = frozenset({"release", "releasedir"})
"""Calls for which the kernel lets nobody wait."""


class SlowDisk:
    """The mounted file system."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.slow_disk", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        self.is_mounted = bool(self._process.stdout.readline())

    def take(self, delay_s: float) -> dict[str, int]:
        """From now on each call takes so long; the calls since this was said last, by kind."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"%d\n" % round(delay_s * 1e6))
        self._process.stdin.flush()
        found: dict[str, int] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        """Unmount it, and end its process."""
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.directory)], check=True)
        end(self._process)


class Slowed:
    """A contestant while each call takes its time; before and after it, when all is prepared and judged, none does."""

    def __init__(self, disk: SlowDisk, delay_s: float, contestant: Contestant) -> None:
        self._disk = disk
        self._delay_s = delay_s
        self._contestant = contestant
        self.calls = 0

    def __call__(self, job: Job) -> Measured:
        self._disk.take(self._delay_s)
        try:
            return self._contestant(job)
        finally:
            self.calls += sum(count for kind, count in self._disk.take(0.0).items() if kind not in UNAWAITED)


def measure(stage: Stage, choices: Choices, names: Sequence[str]) -> Found:
    """Rows by direction: for each delay one for each contestant."""
    found: Found = {}
    with to_the_end() as stack:
        disk = SlowDisk(stage.directory / "slow-fs")
        stack.callback(disk.close)
        if not disk.is_mounted:
            stage.say("  FUSE cannot be mounted here (that takes root and /dev/fuse)")
            return found
        arena = stack.enter_context(_arena(stage, disk))
        files = stage.datasets["spread"]
        shutil.copytree(files.files, arena.root / "out" / files.files_set.name)
        dataset = replace(files, files=arena.root / "out" / files.files_set.name)
        for name in names:
            contest = Contest(arena, dataset, Direction(name.removeprefix(PREFIX)))
            found[name] = [row for delay_s in DELAYS_S for row in _at(delay_s, contest, stage, choices, disk)]
    return found


@contextmanager
def _arena(stage: Stage, disk: SlowDisk) -> Iterator[Arena]:
    """A Penstock of its own, with that file system and both buckets."""
    root = stage.directory / "slow-fs"
    service = Penstock(stage.directory / "slow-home", root)
    try:
        for bucket, port in ((SOURCE_BUCKET, stage.arena.source_port), (SINK_BUCKET, stage.arena.sink.port)):
            service.add_bucket(bucket, port)
        flows = {
            Direction.IMPORT: service.flow(SOURCE_BUCKET, "/in/"),
            Direction.EXPORT: service.flow(SINK_BUCKET, "/out/"),
        }
        yield replace(stage.arena, root=root, penstock=service, flows=flows)
    finally:
        disk.take(0.0)
        service.stop()


def _contestants(stage: Stage, arena: Arena, files: int, choices: Choices) -> Mapping[str, Contestant]:
    found = by_doors(stage, arena, files)
    for peer in all_peers():
        if (
            peer.name == "s5cmd"
            and installed(peer, os.environ)
            and not (choices.only and peer.name not in choices.only)
        ):
            found |= {f"{peer.name}, {workers} workers": by_peer(arena, peer, workers) for workers in WORKERS}
    return found


def _at(delay_s: float, contest: Contest, stage: Stage, choices: Choices, disk: SlowDisk) -> list[Row]:
    files = contest.dataset.files_set.count
    stage.say(f"  each call takes {delay_s * 1e3:g} ms")
    found = _contestants(stage, contest.arena, files, choices)
    slowed = {name: Slowed(disk, delay_s, each) for name, each in found.items()}
    contest.once(slowed[BULK])  # once unmeasured: connections, caches of code, and what is known of this file system
    slowed[BULK].calls = 0
    measured = contest.measure(slowed, runs=min(RUNS_MAX, stage.scale.runs), limit_s=choices.limit_s)
    walls_s = {name: statistics.median(run.wall_s for run in runs) for name, runs in measured.items()}
    return [
        {
            "delay_s": delay_s,
            "name": name,
            "runs": len(runs),
            "files": files,
            "files_per_s": files / walls_s[name],
            "ratio": walls_s[BULK] / walls_s[name],
            "cpu_s_per_file": statistics.median(run.cpu_s for run in runs) / files,
            "calls_per_file": slowed[name].calls / files / len(runs),
            "memory_bytes": max(run.memory_bytes for run in runs),
        }
        for name, runs in measured.items()
    ]


SCENARIOS = {f"{PREFIX}{way}": Scenario(measure=measure, sets=("spread",)) for way in Direction}
