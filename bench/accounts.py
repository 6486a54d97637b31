"""What a tree of processes costs: CPU seconds of all of it, peak memory (PSS), counted by the kernel.

A control group of our own (cgroup v2; its `cpu.stat` counts to the microsecond and includes children that have ended) where one
can be made, else the sum over /proc. Starts nothing by itself but the burner that it is judged by.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

CGROUP_ROOTS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
JOIN = 'echo 0 > "$0" && exec "$@"'
SAMPLE_S = 0.2
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """CPU time of a tree so far."""

    user_s: float
    system_s: float

    @property
    def total_s(self) -> float:
        """User and system together."""
        return self.user_s + self.system_s

    def since(self, earlier: Cpu) -> Cpu:
        """What was used from `earlier` on."""
        return Cpu(user_s=self.user_s - earlier.user_s, system_s=self.system_s - earlier.system_s)


class Account(Protocol):
    """One tree of processes."""

    @property
    def kind(self) -> str:
        """How it is counted, in words."""
        ...

    def joining(self, command: Sequence[str]) -> list[str]:
        """The command that runs `command` as a member of this tree."""
        ...

    def began(self, process_id: int) -> None:
        """The tree's first process."""
        ...

    def cpu(self) -> Cpu:
        """What all of it has used so far."""
        ...

    def members(self) -> list[int]:
        """Who lives in it now."""
        ...

    def close(self) -> None:
        """Give it back; its processes have ended."""
        ...


class GroupAccount:
    """A control group. Children cannot leave it, and it still knows what those used that have ended."""

    kind = "cgroup v2"

    def __init__(self, parent: Path) -> None:
        """Raises OSError where this user may not make one."""
        self._path = parent / f"penstock-bench-{os.getpid()}-{next(_numbers)}"
        self._path.mkdir()

    def joining(self, command: Sequence[str]) -> list[str]:
        return ["/bin/sh", "-c", JOIN, str(self._path / "cgroup.procs"), *command]

    def began(self, process_id: int) -> None:
        """Nothing to do: the group has it."""

    def cpu(self) -> Cpu:
        told = dict(line.split() for line in (self._path / "cpu.stat").read_text().splitlines())
        return Cpu(user_s=int(told["user_usec"]) / 1e6, system_s=int(told["system_usec"]) / 1e6)

    def members(self) -> list[int]:
        return [int(line) for line in (self._path / "cgroup.procs").read_text().split()]

    def close(self) -> None:
        until = time.monotonic() + 5
        while True:
            try:
                self._path.rmdir()
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
            else:
                return


class TreeAccount:
    """The sum over /proc of a process and its descendants; those that ended count through who waited for them.

    For a command that ends, its parent (this process) has waited for it: then RUSAGE_CHILDREN tells, in whole.
    """

    kind = "/proc (10 ms steps)"

    def __init__(self) -> None:
        self._root = 0
        self._before = os.times()

    def joining(self, command: Sequence[str]) -> list[str]:
        self._before = os.times()
        return list(command)

    def began(self, process_id: int) -> None:
        self._root = process_id

    def cpu(self) -> Cpu:
        ticks = os.sysconf("SC_CLK_TCK")
        user = system = 0.0
        alive = self.members()
        for process_id in alive:
            with contextlib.suppress(OSError):
                fields = _stat(process_id)
                user += (int(fields[11]) + int(fields[13])) / ticks
                system += (int(fields[12]) + int(fields[14])) / ticks
        if not alive:
            now = os.times()
            return Cpu(
                user_s=now.children_user - self._before.children_user,
                system_s=now.children_system - self._before.children_system,
            )
        return Cpu(user_s=user, system_s=system)

    def members(self) -> list[int]:
        parents: dict[int, int] = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    parents[int(name)] = int(_stat(int(name))[1])
        found = [self._root] if self._root in parents else []
        for each in found:
            found += [child for child, parent in parents.items() if parent == each]
        return found

    def close(self) -> None:
        """Nothing was made."""


def _stat(process_id: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold anything."""
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(") ")[2].split()


def open_account() -> Account:
    """The best way to count that this machine allows."""
    own = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), "")
    for root in CGROUP_ROOTS:
        parent = root / own.lstrip("/")
        if (parent / "cgroup.procs").exists():
            with contextlib.suppress(OSError):
                return GroupAccount(parent)
    return TreeAccount()


def pss_bytes(process_id: int) -> int:
    """Proportional set size: memory shared by several processes is divided among them."""
    try:
        for line in Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    except OSError:  # it has ended meanwhile
        pass
    return 0


class MemoryWatch:
    """Samples the PSS of a tree and remembers the highest sum, and each process's highest, until it is stopped."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self.peak_bytes = 0
        self.peaks_bytes: dict[int, int] = {}
        self._thread.start()

    def _watch(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                self._look()
            if self._ended.wait(SAMPLE_S):
                return

    def _look(self) -> None:
        now = {each: pss_bytes(each) for each in self._account.members()}
        self.peak_bytes = max(self.peak_bytes, sum(now.values()))
        for each, size in now.items():
            self.peaks_bytes[each] = max(size, self.peaks_bytes.get(each, 0))

    def stop(self) -> int:
        """Ends the watch; the peak in bytes."""
        self._ended.set()
        self._thread.join()
        return self.peak_bytes


@contextlib.contextmanager
def counted() -> Iterator[Account]:
    """An account that is given back at the end."""
    account = open_account()
    try:
        yield account
    finally:
        account.close()


BURNER = """
import subprocess, sys, time
burn = "import time\\nwhile time.process_time() < 0.3: pass"
children = [subprocess.Popen([sys.executable, "-S", "-c", burn]) for _ in range(2)]
for child in children: child.wait()
while time.process_time() < 0.4: pass
"""
BURNT_S = 1.0


def judge_accounting() -> tuple[str, float]:
    """How CPU is counted here, and what is counted for a known burner of 1.0 s in three processes.

    Raises RuntimeError when that is more than a tenth off (besides starting three interpreters): then no figure would be true.
    """
    with counted() as account:
        process = subprocess.Popen(account.joining([sys.executable, "-S", "-c", BURNER]))
        account.began(process.pid)
        process.wait()
        used_s = account.cpu().total_s
        kind = account.kind
    if not 0.97 * BURNT_S <= used_s <= 1.15 * BURNT_S:
        raise RuntimeError(f"a burner of {BURNT_S} CPU seconds was counted as {used_s:.3f} ({kind})")
    return kind, used_s
