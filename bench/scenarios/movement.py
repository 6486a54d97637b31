"""How much CPU, time and memory does it take to move these files? Penstock, the floor and the peers in turn."""

from __future__ import annotations

from bench.contest import Contest, Measured, by_peer, by_penstock, choose, floor
from bench.peers import Direction, all_peers, installed
from bench.scale import GIB
from bench.stage import Stage

Row = dict[str, object]

FLOOR = "floor"
PENSTOCK = "Penstock"


def measure(stage: Stage, set_name: str, direction: Direction, *, only: frozenset[str]) -> list[Row]:
    """One row for each contestant; `only` names those that take part (empty: all)."""
    arena = stage.arena
    dataset = stage.datasets[set_name]
    contest = Contest(arena, dataset, direction)
    is_large = dataset.files_set.count == 1
    contestants = {PENSTOCK: by_penstock(arena, connections=stage.scale.create_connections), FLOOR: floor(arena)}
    notes = {PENSTOCK: ("", ""), FLOOR: ("", "raw sockets, same threads, buffers and fsyncs")}
    for peer in all_peers():
        wanted = (not only or peer.name in only) and (is_large or not peer.only_large)
        if not wanted or not installed(peer, arena.environment):
            continue
        tried = peer.choices if stage.scale.name == "full" else peer.choices[len(peer.choices) // 2 :][:1]
        choice = choose(contest, arena, peer, tried)
        contestants[peer.name] = by_peer(arena, peer, choice)
        notes[peer.name] = ("" if len(peer.choices) == 1 else f"{peer.setting} {choice}", peer.remarks)
    contest.once(contestants[PENSTOCK])  # once unmeasured: connections, caches of code
    found = contest.measure(contestants, runs=stage.scale.runs)
    return [
        {
            "set": set_name,
            "files": dataset.files_set.count,
            "bytes": dataset.files_set.total_bytes,
            "words": dataset.files_set.words(),
            "direction": direction.value,
            "name": name,
            "setting": notes[name][0],
            "remarks": notes[name][1],
            "runs": [as_row(run) for run in runs],
            **medians(runs, files=dataset.files_set.count, total_bytes=dataset.files_set.total_bytes),
        }
        for name, runs in found.items()
    ]


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
    """The middle run, and what it means for a GiB and for a file."""
    middle = sorted(runs, key=lambda run: run.synced_cpu_s)[len(runs) // 2]
    walls = sorted(run.wall_s for run in runs)
    synced = sorted(run.synced_wall_s for run in runs)
    return {
        "wall_s": walls[len(walls) // 2],
        "synced_wall_s": synced[len(synced) // 2],
        "cpu_s": sorted(run.cpu_s for run in runs)[len(runs) // 2],
        "synced_cpu_s": middle.synced_cpu_s,
        "memory_bytes": max(run.memory_bytes for run in runs),
        "cpu_s_per_gib": middle.synced_cpu_s / (total_bytes / GIB),
        "files_per_cpu_s": files / middle.synced_cpu_s,
        "files_per_s": files / synced[len(synced) // 2],
    }
