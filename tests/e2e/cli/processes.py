"""Which processes belong to a service, read from /proc."""

from __future__ import annotations

from pathlib import Path


def descendants(pid: int) -> set[int]:
    """Every process that descends from this one."""
    found = {int(child) for thread in Path(f"/proc/{pid}/task").glob("*/children") for child in _words(thread)}
    return found.union(*map(descendants, found))


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except (FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
        return []


def state_of(pid: int) -> str:
    """The kernel's letter for what a process does; X when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def alive(pids: set[int]) -> list[str]:
    """The command lines of those that still run."""
    left = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":
                left.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return left


def emulator_of(pid: int) -> int:
    """The embedded bucket server of the service `pid`; 0 while there is none."""
    for child in descendants(pid):
        if b"emulator_child" in Path(f"/proc/{child}/cmdline").read_bytes():
            return child
    return 0
