"""One movement of files by each contestant in turn, again and again, each judged by what arrived.

Calls Penstock, the floor and the peers; measures wall time, CPU of the contestant's whole tree and its peak memory. A run that
did not bring every byte is an error, not a figure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.accounts import Account, Cpu, MemoryWatch, counted
from bench.dataset import SINK_BUCKET, SOURCE_BUCKET, Dataset, fingerprint_of
from bench.peers import Direction, Job, Peer, environment_of
from bench.servers import Sink, Source
from bench.service import Penstock
from penstock.transfer.transfer import RESERVED_PREFIX

RUN_LIMIT_S = 900.0
TIDY_LIMIT_S = 30.0
KEPT_MAX_BYTES = 64 << 10
"""Imports of files up to this size stay until all is over: ext4 looks at every inode freed lately before it gives out
another, so that thousands of files just removed would be paid for by whoever creates the next ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run. `synced_*` are with everything on the disk: Penstock and the floor are so by themselves, peers after `sync -f`."""

    wall_s: float
    cpu_s: float
    synced_wall_s: float
    synced_cpu_s: float
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All runs of one contestant."""

    name: str
    runs: Sequence[Measured]
    setting: str = ""
    remarks: str = ""

    def median_of(self, name: str) -> float:
        """The middle run's figure."""
        return median(float(getattr(run, name)) for run in self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """What a contest needs besides the files. `environment` is what peers inherit."""

    directory: Path
    root: Path
    source: Source
    sink: Sink
    penstock: Penstock
    flows: Mapping[Direction, str]
    environment: Mapping[str, str]
    say: Callable[[str], None]


class WrongResultError(Exception):
    """A contestant did not bring what it should have."""


def measure_command(
    arena: Arena, command: Sequence[str], environment: Mapping[str, str], synced: Path | None
) -> Measured:
    """Runs a command to its end, then `sync -f` on the file system of `synced` where one is given."""
    with counted() as account:
        watch: MemoryWatch | None = None
        begun = time.perf_counter()
        with (arena.directory / "contestant.log").open("wb") as log:
            process = subprocess.Popen(
                account.joining(command), env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        account.began(process.pid)
        watch = MemoryWatch(account)
        status = process.wait(RUN_LIMIT_S)
        wall_s = time.perf_counter() - begun
        memory = watch.stop()
        cpu = account.cpu()
        if status != 0:
            said = (arena.directory / "contestant.log").read_text(errors="replace")[-1500:]
            raise WrongResultError(f"{' '.join(command)[:300]} exited with {status}: {said}")
        synced_wall_s, synced_cpu = wall_s, cpu
        if synced is not None:
            begun = time.perf_counter()
            subprocess.run(account.joining(["sync", "-f", str(synced)]), check=True)
            synced_wall_s += time.perf_counter() - begun
            synced_cpu = account.cpu()
    return Measured(
        wall_s=wall_s,
        cpu_s=cpu.total_s,
        synced_wall_s=synced_wall_s,
        synced_cpu_s=synced_cpu.total_s,
        memory_bytes=memory,
    )


class Contest:
    """One dataset, one direction."""

    def __init__(self, arena: Arena, dataset: Dataset, direction: Direction) -> None:
        self._arena = arena
        self._dataset = dataset
        self._direction = direction
        self._number = 0

    def measure(self, contestants: Mapping[str, Callable[[Job], Measured]], *, runs: int) -> dict[str, list[Measured]]:
        """So many rounds; in each round everybody runs once, each round begun by another."""
        found: dict[str, list[Measured]] = {name: [] for name in contestants}
        names = list(contestants)
        for number in range(runs):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                measured = self.once(contestants[name])
                found[name].append(measured)
                self._arena.say(
                    f"  {self._dataset.files_set.words()} {self._direction} {number + 1}/{runs} {name}: "
                    f"{measured.wall_s:.2f} s (synced {measured.synced_wall_s:.2f}), {measured.cpu_s:.2f} CPU s, "
                    f"{measured.memory_bytes >> 20} MiB"
                )
        return found

    def once(self, contestant: Callable[[Job], Measured]) -> Measured:
        """One run, from a clean start, judged."""
        self._number += 1
        arena, is_import = self._arena, self._direction is Direction.IMPORT
        name = f"{self._dataset.files_set.name}-{self._direction}-{self._number}"
        target = arena.root / "in" / name
        if is_import:
            target.mkdir()
        job = Job(
            direction=self._direction,
            dataset=self._dataset,
            port=arena.source.port if is_import else arena.sink.port,
            bucket=SOURCE_BUCKET if is_import else SINK_BUCKET,
            prefix=self._dataset.files_set.name if is_import else name,
            directory=target if is_import else self._dataset.files,
            scratch=arena.directory,
        )
        arena.sink.forget()
        self._dataset.warm()
        subprocess.run(["sync", "-f", str(arena.directory)], check=True)
        try:
            measured = contestant(job)
            if is_import:
                await_tidy(target)
            self._judge(target)
        finally:
            if is_import and self._dataset.files_set.size_bytes > KEPT_MAX_BYTES:
                shutil.rmtree(target)
        return measured

    def _judge(self, target: Path) -> None:
        arrived = fingerprint_of(target) if self._direction is Direction.IMPORT else self._arena.sink.taken()
        wanted = (self._dataset.files_set.count, self._dataset.files_set.total_bytes, self._dataset.fingerprint)
        if arrived != wanted:
            raise WrongResultError(f"objects, bytes and checksums should be {wanted}, but {arrived} arrived")


def await_tidy(directory: Path) -> None:
    """Until Penstock's journal, which outlives COMPLETE for a moment, is gone. Raises WrongResultError when it stays."""
    until = time.monotonic() + TIDY_LIMIT_S
    while any(name.startswith(RESERVED_PREFIX) for name in os.listdir(directory)):
        if time.monotonic() > until:
            raise WrongResultError(f"work in progress was left behind in {directory}")
        time.sleep(0.02)


# ------------------------------------------------------------------------------------------------------------ contestants


def floor(arena: Arena) -> Callable[[Job], Measured]:
    """Raw sockets; durable like Penstock."""

    def move(job: Job) -> Measured:
        path = f"/{job.bucket}/{job.prefix}"
        size = "large" if job.is_large else "small"
        if job.is_large:
            ((key, local),) = job.pairs()
            more = [str(job.dataset.files_set.size_bytes), local] if job.direction is Direction.IMPORT else [local]
            rest = [f"/{job.bucket}/{key}", *more]
        else:
            rest = [path, str(job.dataset.files_set.count), str(job.directory)]
        command = [sys.executable, "-m", "bench.floor", f"{job.direction}-{size}", str(job.port), *rest]
        return measure_command(arena, command, arena.environment, None)

    return move


def by_peer(arena: Arena, peer: Peer, choice: int) -> Callable[[Job], Measured]:
    """A peer with one choice of its setting."""

    def move(job: Job) -> Measured:
        synced = job.directory if job.direction is Direction.IMPORT else None
        return measure_command(arena, peer.command(job, choice), environment_of(peer, arena.environment), synced)

    return move


def by_penstock(arena: Arena, *, connections: int) -> Callable[[Job], Measured]:
    """One sub-task a file through the API, from the first call to the last COMPLETE; already durable."""

    def move(job: Job) -> Measured:
        penstock = arena.penstock
        is_import = job.direction is Direction.IMPORT
        name = job.dataset.files_set.name
        target = job.directory.name if is_import else job.prefix
        action = "StreamImport" if is_import else "StreamExport"
        flow = arena.flows[job.direction]
        task = penstock.task(flow, action, f"/{name}/", f"/{target}/")
        calls = [penstock.sub_task(flow, task, each) for each in job.dataset.files_set.names()]
        account: Account = penstock.account
        watch = MemoryWatch(account)
        before: Cpu = account.cpu()
        begun = time.perf_counter()
        penstock.ask(calls, connections=connections)
        penstock.wait(task, len(calls), every_s=0.02 if job.dataset.files_set.count > 1 else 0.05, limit_s=RUN_LIMIT_S)
        wall_s = time.perf_counter() - begun
        cpu_s = account.cpu().since(before).total_s
        return Measured(wall_s=wall_s, cpu_s=cpu_s, synced_wall_s=wall_s, synced_cpu_s=cpu_s, memory_bytes=watch.stop())

    return move


def choose(contest: Contest, arena: Arena, peer: Peer, choices: Sequence[int]) -> int:
    """The choice with which this peer is quickest, by one run each."""
    if len(choices) == 1:
        return choices[0]
    walls = {choice: contest.once(by_peer(arena, peer, choice)).synced_wall_s for choice in choices}
    best = min(walls, key=lambda choice: walls[choice])
    told = ", ".join(f"{choice}: {wall_s:.2f} s" for choice, wall_s in walls.items())
    arena.say(f"  {peer.name}, {peer.setting}: {told}; {best} is taken")
    return best


def free_bytes(directory: Path) -> int:
    """What is left on that file system."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
