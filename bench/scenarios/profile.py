"""Where does Penstock's time go? What each kind of process costs, and what py-spy sees it do while files move.

CPU comes from /proc, of rounds that nobody looks at. Shares are of samples of one kind of process, by room of the house
(`penstock/ROOM`): the innermost frame of ours decides. py-spy takes some threads that wait for busy: those in a function that
does nothing else are left out, those within fsync, send or recv are not. So shares say where to look, not what a file costs.
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

from bench.accounts import Cpu
from bench.contest import Contest
from bench.peers import PEERS, Direction
from bench.scale import FileSet
from bench.scenarios.memory import role_of
from bench.scenarios.movement import by_doors
from bench.scenarios.scenario import Choices, Found, Row, Scenario
from bench.stage import Stage

RATE = 200
ROUNDS = 3
FUNCTIONS = 4
LEAST_SHARE = 0.01
WAITS = frozenset(
    {
        "Condition.wait",
        "Condition.wait_for",
        "Event.wait",
        "Helpers._work",
        "Line.wait_to_send",
        "SmallLane._listen",
        "Writer._give_turn",
        "Writer._run",
        "_worker",
        "sleep",
    }
)
"""Functions whose own code is nothing but waiting: for work, for a turn, for room in a socket."""
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
ENDED_S = 60.0
SPY = PEERS / "bin" / "py-spy"


def measure(size: str, way: Direction, stage: Stage, _choices: Choices, names: Sequence[str]) -> Found:
    """Rows: process, where, share of its samples, the functions with most of them. For each door of the API."""
    (name,) = names
    contest = Contest(stage.arena, stage.datasets[size], way)
    rows: list[Row] = []
    for door, move in by_doors(stage, stage.arena, contest.dataset.files_set.count).items():
        contest.once(move)
        before = _spent(stage)
        for _ in range(ROUNDS):
            contest.once(move)
        after = _spent(stage)
        with _watched(stage) as files:
            for _ in range(ROUNDS):
                contest.once(move)
        for role in sorted({role for role, _ in files}):
            process = f"{door}: {role}"
            rows.append({"process": process, **_cost(after[role].since(before[role]), contest.dataset.files_set)})
            stacks = _stacks(path for each, path in files if each == role)
            rows += [{"process": process, **row} for row in _shares(stacks)]
    return {name: rows}


def _spent(stage: Stage) -> dict[str, Cpu]:
    """What each kind of process has used so far."""
    found: dict[str, Cpu] = {}
    for member in stage.penstock.account.members():
        ticks = Path(f"/proc/{member}/stat").read_text().rpartition(") ")[2].split()[11:13]
        user_s, system_s = (int(each) / TICKS_A_SECOND for each in ticks)
        role = role_of(member, stage.penstock)
        had = found.get(role, Cpu(user_s=0.0, system_s=0.0))
        found[role] = Cpu(user_s=had.user_s + user_s, system_s=had.system_s + system_s)
    return found


def _cost(used: Cpu, moved: FileSet) -> Row:
    """A row about all that a kind of process used in ROUNDS rounds: of many files for each, of one for each GiB."""
    is_many = moved.count > 1
    amount = ROUNDS * (moved.count if is_many else moved.count * moved.size_bytes / (1 << 30))
    user, system = (f"{each / amount * (1e6 if is_many else 1e3):,.0f}" for each in (used.user_s, used.system_s))
    words = f"{user} {'µs' if is_many else 'ms'} of its own and {system} of the kernel's, {'a file' if is_many else 'a GiB'}"
    return {"where": "its CPU, unwatched", "share": 1.0, "functions": words}


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
    stacks = Counter({stack: count for stack, count in stacks.items() if _function(stack) not in WAITS})
    total = stacks.total() or 1
    places: Counter[str] = Counter()
    functions: dict[str, Counter[str]] = {}
    for stack, count in stacks.items():
        place = _place(stack)
        places[place] += count
        functions.setdefault(place, Counter())[_function(stack)] += count
    return [
        {
            "where": place,
            "share": count / total,
            "functions": ", ".join(f"{name} {n / total:.0%}" for name, n in functions[place].most_common(FUNCTIONS)),
        }
        for place, count in places.most_common()
        if count / total >= LEAST_SHARE
    ]


def _function(stack: Sequence[str]) -> str:
    """The innermost one."""
    return stack[-1].partition(" (")[0]


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
