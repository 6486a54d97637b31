"""Where does Penstock's time go? py-spy looks at its processes while files move; threads that sleep are not counted.

Shares are of samples of one kind of process, by room of the house (`penstock/ROOM`): the innermost frame of ours decides. A
thread within fsync or recv may be counted though it waits, so shares say where to look, not what a file costs: for that see the
contests.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.contest import Contest
from bench.peers import PEERS, Direction
from bench.scenarios.memory import role_of
from bench.scenarios.movement import by_doors
from bench.scenarios.scenario import Choices, Found, Row, Scenario
from bench.stage import Stage

RATE = 200
ROUNDS = 3
FUNCTIONS = 4
LEAST_SHARE = 0.01
ENDED_S = 60.0
SPY = PEERS / "bin" / "py-spy"


def measure(size: str, way: Direction, stage: Stage, _choices: Choices, names: Sequence[str]) -> Found:
    """Rows: process, where, share of its samples, the functions with most of them. For each door of the API."""
    (name,) = names
    contest = Contest(stage.arena, stage.datasets[size], way)
    rows: list[Row] = []
    for door, move in by_doors(stage, stage.arena, contest.dataset.files_set.count).items():
        contest.once(move)
        with _watched(stage) as files:
            for _ in range(ROUNDS):
                contest.once(move)
        for role in sorted({role for role, _ in files}):
            stacks = _stacks(path for each, path in files if each == role)
            rows += [{"process": f"{door}: {role}", **row} for row in _shares(stacks)]
    return {name: rows}


@contextmanager
def _watched(stage: Stage) -> Iterator[list[tuple[str, Path]]]:
    """py-spy on each process of the service during the block; roles and files of stacks, written when it ends."""
    service = stage.penstock
    files: list[tuple[str, Path]] = []
    spies: list[subprocess.Popen[bytes]] = []
    try:
        for member in service.account.members():
            role = role_of(member, service)
            if role in {"control", "mover"}:
                path = stage.directory / f"stacks-{member}"
                path.unlink(missing_ok=True)
                files.append((role, path))
                words = ["record", "--pid", str(member), "--format", "raw", "--rate", str(RATE), "--output", str(path)]
                spies.append(
                    subprocess.Popen(
                        [str(SPY), *words, "--duration", "3600", "--nonblocking"],
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                    )
                )
        yield files
    finally:
        for spy in spies:
            spy.send_signal(signal.SIGINT)
        for spy in spies:
            spy.wait(ENDED_S)


def _stacks(paths: Iterable[Path]) -> Counter[tuple[str, ...]]:
    """Samples by stack, outermost frame first."""
    found: Counter[tuple[str, ...]] = Counter()
    for path in paths:
        for line in path.read_text().splitlines() if path.exists() else ():
            stack, _, count = line.rpartition(" ")
            found[tuple(stack.split(";"))] += int(count)
    return found


def _shares(stacks: Counter[tuple[str, ...]]) -> list[Row]:
    """By place; those with little are left out."""
    total = stacks.total() or 1
    places: Counter[str] = Counter()
    functions: dict[str, Counter[str]] = {}
    for stack, count in stacks.items():
        place = _place(stack)
        places[place] += count
        functions.setdefault(place, Counter())[stack[-1].partition(" (")[0]] += count
    return [
        {
            "where": place,
            "share": count / total,
            "functions": ", ".join(f"{name} {n / total:.0%}" for name, n in functions[place].most_common(FUNCTIONS)),
        }
        for place, count in places.most_common()
        if count / total >= LEAST_SHARE
    ]


def _place(stack: Sequence[str]) -> str:
    """The room of the innermost frame of ours."""
    for frame in reversed(stack):
        head, found, tail = frame.partition("penstock/")
        if found and "(" in head:
            room = tail.partition(os.sep)
            return room[0] if room[1] else tail.partition(".py")[0]
    return "the interpreter and its libraries"


SCENARIOS = {
    f"profile-{size}-{way}": Scenario(measure=partial(measure, size, way), sets=(size,))
    for size in ("small", "large")
    for way in Direction
}
