"""How much CPU, time and memory does it take to move these files? Penstock, the floor and the peers in turn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import median

from bench.contest import Arena, Contest, Contestant, Measured, by_peer, by_penstock, choose, floor
from bench.peers import Direction, Peer, all_peers, installed
from bench.scale import GIB
from bench.scenarios.scenario import Choices, Found, Row, Scenario
from bench.service import Penstock
from bench.stage import Stage

FLOOR = "floor"
PENSTOCK = "Penstock"
BULK = "Penstock, bulk door"
BULK_CONNECTIONS = 4


def measure(set_name: str, direction: Direction, stage: Stage, choices: Choices, names: Sequence[str]) -> Found:
    """One row for each contestant."""
    (scenario,) = names
    contest = Contest(stage.arena, stage.datasets[set_name], direction)
    ours = {**by_doors(stage, stage.arena, contest.dataset.files_set.count), FLOOR: floor(stage.arena)}
    return {scenario: contested(contest, stage, choices, ours, protocol="oss")}


def by_doors(stage: Stage, arena: Arena, files: int) -> dict[str, Contestant]:
    """Penstock with one call a file; many files through the bulk door, too."""
    found = {PENSTOCK: by_penstock(arena, connections=stage.scale.create_connections)}
    if files > 1:
        found[BULK] = by_penstock(arena, connections=BULK_CONNECTIONS, door=Penstock.bulk)
    return found


def contested(
    contest: Contest, stage: Stage, choices: Choices, ours: dict[str, Contestant], *, protocol: str
) -> list[Row]:
    """The contest of `ours` and the peers that speak `protocol`: settings are tried, then everybody runs in turn."""
    arena, files_set = contest.arena, contest.dataset.files_set
    contestants = dict(ours)
    notes = dict.fromkeys(ours, ("", "")) | {FLOOR: ("", "raw sockets, same threads, buffers and fsyncs")}
    slow: dict[str, list[Measured]] = {}
    for peer in all_peers():
        wanted = (not choices.only or peer.name in choices.only) and protocol in peer.speaks
        if not wanted or not installed(peer, arena.environment) or (peer.only_large and files_set.count > 1):
            continue
        tried = peer.trials(files_set.count, stage.scale.trials_max)
        if peer.name in choices.settings:
            tried = (choices.settings[peer.name],)
        choice, trial = choose(contest, arena, peer, tried)
        notes[peer.name] = (_setting(peer, choice, tried), peer.remarks)
        if trial.synced_wall_s > stage.scale.slow_s:
            slow[peer.name] = [trial]
        else:
            contestants[peer.name] = by_peer(arena, peer, choice)
    for each in ours.values():
        contest.once(each)  # once unmeasured: connections, caches of code
    found = contest.measure(contestants, runs=stage.scale.runs, limit_s=choices.limit_s)
    return [
        {
            "set": files_set.name,
            "files": files_set.count,
            "bytes": files_set.total_bytes,
            "words": files_set.words(),
            "direction": contest.direction.value,
            "name": name,
            "setting": notes[name][0],
            "remarks": notes[name][1],
            "runs": [as_row(run) for run in runs],
            **medians(runs, files=files_set.count, total_bytes=files_set.total_bytes),
        }
        for name, runs in {**found, **slow}.items()
    ]


def _setting(peer: Peer, choice: int, tried: Sequence[int]) -> str:
    """What it ran with; that it is the best one is only known where others were tried."""
    if len(peer.choices) == 1:
        return ""
    return f"{peer.setting} {choice}" if len(tried) > 1 else f"{peer.setting} {choice} (given, no other tried)"


SCENARIOS = {
    f"{size}-{way}": Scenario(measure=partial(measure, size, way), sets=(size,), calm=f"{size}-{way}" == "small-import")
    for size in ("large", "medium", "small")
    for way in Direction
}


def as_row(run: Measured) -> Row:
    """One run as plain values."""
    return {
        "wall_s": run.wall_s,
        "cpu_s": run.cpu_s,
        "synced_wall_s": run.synced_wall_s,
        "synced_cpu_s": run.synced_cpu_s,
        "memory_bytes": run.memory_bytes,
    }


def medians(runs: list[Measured], *, files: int, total_bytes: int) -> Row:
    """The median of the runs, each figure by itself, and what it means for a GiB and for a file."""
    synced_cpu_s = median(run.synced_cpu_s for run in runs)
    synced_wall_s = median(run.synced_wall_s for run in runs)
    return {
        "wall_s": median(run.wall_s for run in runs),
        "synced_wall_s": synced_wall_s,
        "cpu_s": median(run.cpu_s for run in runs),
        "synced_cpu_s": synced_cpu_s,
        "memory_bytes": max(run.memory_bytes for run in runs),
        "cpu_s_per_gib": synced_cpu_s / (total_bytes / GIB),
        "files_per_cpu_s": files / synced_cpu_s,
        "files_per_s": files / synced_wall_s,
    }
