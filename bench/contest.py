"""One movement of files by each contestant in turn, again and again, each judged by what arrived.

Calls Penstock, the floor and the peers; measures wall time, CPU of the contestant's whole tree and its peak memory. A run that
did not bring every byte is an error, not a figure.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.accounts import Account, Cpu, MemoryWatch, counted
from bench.dataset import SINK_BUCKET, SOURCE_BUCKET, Dataset, fingerprint_of
from bench.peers import Direction, Job, Peer, environment_of
from bench.service import Penstock
from penstock.transfer.transfer import RESERVED_PREFIX

RUN_LIMIT_S = 900.0
TIDY_LIMIT_S = 30.0
KILL_LIMIT_S = 3.0
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


class Taker(Protocol):
    """Where exports go."""

    @property
    def port(self) -> int:
        """On 127.0.0.1."""
        ...

    def forget(self) -> None:
        """Begin anew."""
        ...

    def taken(self, prefix: str) -> tuple[int, int, int]:
        """Objects below a prefix that came since `forget`, their bytes, their checksums mixed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """What a contest needs besides the files. `environment` is what peers inherit."""

    directory: Path
    root: Path
    source_port: int
    sink: Taker
    penstock: Penstock
    flows: Mapping[Direction, str]
    environment: Mapping[str, str]
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A contestant that is started for each run. `synced`: `sync -f` on its file system follows, and counts by itself.

    A `patient` one says on stdout that it is ready and waits for a line on stdin: what it takes to come up is not counted.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    synced: Path | None = None
    patient: bool = False


class WrongResultError(Exception):
    """A contestant did not bring what it should have."""


def measure_program(arena: Arena, program: Program) -> Measured:
    """Runs it to its end. Raises WrongResultError when it fails; whatever happens, none of its processes stays."""
    log = arena.directory / "contestant.log"
    with counted() as account, log.open("wb") as errors, ended(account):
        process = subprocess.Popen(
            account.joining(program.command),
            env=dict(program.environment),
            stdin=subprocess.PIPE if program.patient else subprocess.DEVNULL,
            stdout=subprocess.PIPE if program.patient else errors,
            stderr=errors,
        )
        begun = time.perf_counter()
        account.began(process.pid)
        before = _let_go(process, account) if program.patient else Cpu(user_s=0.0, system_s=0.0)
        begun = time.perf_counter() if program.patient else begun
        watch = MemoryWatch(account)
        status = process.wait(RUN_LIMIT_S)
        wall_s = time.perf_counter() - begun
        memory = watch.stop()
        cpu = account.cpu().since(before)
        if status != 0:
            said = log.read_text(errors="replace")[-1500:]
            raise WrongResultError(f"{' '.join(program.command)[:300]} exited with {status}: {said}")
        synced_wall_s, synced_cpu = wall_s, cpu
        if program.synced is not None:
            begun = time.perf_counter()
            subprocess.run(account.joining(["sync", "-f", str(program.synced)]), check=True)
            synced_wall_s += time.perf_counter() - begun
            synced_cpu = account.cpu().since(before)
    return Measured(
        wall_s=wall_s,
        cpu_s=cpu.total_s,
        synced_wall_s=synced_wall_s,
        synced_cpu_s=synced_cpu.total_s,
        memory_bytes=memory,
    )


def _let_go(process: subprocess.Popen[bytes], account: Account) -> Cpu:
    """Waits until it is ready, then lets it begin; what it had used before."""
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin as go, process.stdout as ready:
        ready.readline()
        before = account.cpu()
        go.write(b"go\n")
    return before


@contextlib.contextmanager
def ended(account: Account) -> Iterator[None]:
    """Where the block is left early, kills what still runs in this account and waits until it is gone."""
    try:
        yield
    except BaseException:
        for member in account.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        until = time.monotonic() + KILL_LIMIT_S
        while account.members() and time.monotonic() < until:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            time.sleep(0.02)
        raise


Contestant = Callable[[Job], Measured]
Door = Callable[[Penstock, str, str, Sequence[str]], list[bytes]]
"""The signed calls that move files of these names: service, dataflow, task, names."""


class Contest:
    """One dataset, one direction."""

    def __init__(self, arena: Arena, dataset: Dataset, direction: Direction) -> None:
        self.arena = arena
        self.dataset = dataset
        self.direction = direction
        self._number = 0

    def measure(
        self, contestants: Mapping[str, Contestant], *, runs: int, limit_s: float = 0.0
    ) -> dict[str, list[Measured]]:
        """So many rounds; in each round everybody runs once, each round begun by another. None begins after `limit_s`."""
        found: dict[str, list[Measured]] = {name: [] for name in contestants}
        names = list(contestants)
        begun = time.monotonic()
        for number in range(runs):
            if number and limit_s and time.monotonic() - begun > limit_s:
                self.arena.say(f"  no more rounds after {limit_s:g} s: {number} instead of {runs}")
                break
            for name in names[number % len(names) :] + names[: number % len(names)]:
                measured = self.once(contestants[name])
                found[name].append(measured)
                self.arena.say(
                    f"  {self.dataset.files_set.words()} {self.direction} {number + 1}/{runs} {name}: "
                    f"{measured.wall_s:.2f} s (synced {measured.synced_wall_s:.2f}), {measured.cpu_s:.2f} CPU s, "
                    f"{measured.memory_bytes >> 20} MiB"
                )
        return found

    def once(self, contestant: Contestant) -> Measured:
        """One run, from a clean start, judged."""
        self._number += 1
        arena, is_import = self.arena, self.direction is Direction.IMPORT
        name = f"{self.dataset.files_set.name}-{self.direction}-{self._number}"
        target = arena.root / "in" / name
        if is_import:
            target.mkdir()
        job = Job(
            direction=self.direction,
            dataset=self.dataset,
            port=arena.source_port if is_import else arena.sink.port,
            bucket=SOURCE_BUCKET if is_import else SINK_BUCKET,
            prefix=self.dataset.files_set.name if is_import else name,
            directory=target if is_import else self.dataset.files,
            scratch=arena.directory,
        )
        arena.sink.forget()
        self.dataset.warm()
        subprocess.run(["sync", "-f", str(arena.directory)], check=True)
        try:
            measured = contestant(job)
            self._judge(target, job.prefix)
        finally:
            if is_import and self.dataset.files_set.size_bytes > KEPT_MAX_BYTES:
                shutil.rmtree(target)
        return measured

    def _judge(self, target: Path, prefix: str) -> None:
        arrived = fingerprint_of(target) if self.direction is Direction.IMPORT else self.arena.sink.taken(prefix)
        wanted = (self.dataset.files_set.count, self.dataset.files_set.total_bytes, self.dataset.fingerprint)
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


def floor(arena: Arena) -> Contestant:
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
        return measure_program(arena, Program(command=command, environment=arena.environment, patient=True))

    return move


def by_peer(arena: Arena, peer: Peer, choice: int) -> Contestant:
    """A peer with one choice of its setting."""

    def move(job: Job) -> Measured:
        synced = job.directory if job.direction is Direction.IMPORT else None
        environment = environment_of(peer, arena.environment)
        return measure_program(
            arena, Program(command=peer.command(job, choice), environment=environment, synced=synced)
        )

    return move


def by_penstock(arena: Arena, *, connections: int, door: Door = Penstock.one_by_one) -> Contestant:
    """Files through one of the API's doors, from the first call to the last COMPLETE; already durable.

    What tidying takes afterwards counts as CPU, as peers' `sync -f` does, and not as time: the files are there.
    """

    def move(job: Job) -> Measured:
        penstock = arena.penstock
        is_import = job.direction is Direction.IMPORT
        name = job.dataset.files_set.name
        target = job.directory.name if is_import else job.prefix
        action = "StreamImport" if is_import else "StreamExport"
        flow = arena.flows[job.direction]
        task = penstock.task(flow, action, f"/{name}/", f"/{target}/")
        count = job.dataset.files_set.count
        calls = door(penstock, flow, task, job.dataset.files_set.names())
        account: Account = penstock.account
        watch = MemoryWatch(account)
        before: Cpu = account.cpu()
        begun = time.perf_counter()
        penstock.ask(calls, connections=connections)
        penstock.wait(task, count, every_s=0.02 if count > 1 else 0.05, limit_s=RUN_LIMIT_S)
        wall_s = time.perf_counter() - begun
        if is_import:
            await_tidy(job.directory)
        cpu_s = account.cpu().since(before).total_s
        return Measured(wall_s=wall_s, cpu_s=cpu_s, synced_wall_s=wall_s, synced_cpu_s=cpu_s, memory_bytes=watch.stop())

    return move


def choose(contest: Contest, arena: Arena, peer: Peer, choices: Sequence[int]) -> tuple[int, Measured]:
    """The choice with which this peer is quickest, by one run each; and that run."""
    trials = {choice: contest.once(by_peer(arena, peer, choice)) for choice in choices}
    best = min(trials, key=lambda choice: trials[choice].synced_wall_s)
    told = ", ".join(f"{choice}: {trial.synced_wall_s:.2f} s" for choice, trial in trials.items())
    arena.say(f"  {peer.name}, {peer.setting}: {told}; {best} is taken")
    return best, trials[best]


def free_bytes(directory: Path) -> int:
    """What is left on that file system."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
