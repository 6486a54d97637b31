"""`python -m bench`: chooses scenarios and scale, runs them, writes results/ and the table of docs/performance.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench.accounts import judge_accounting
from bench.peers import Direction
from bench.report import write_report
from bench.scale import FULL, QUICK, FileSet, Scale
from bench.scenarios import latency, movement, requests
from bench.stage import Stage, open_stage

ROOT = Path(__file__).resolve().parent.parent
MOVEMENTS = {f"{size}-{way}": (size, way) for size in ("large", "medium", "small") for way in Direction}
SCENARIOS = (*MOVEMENTS, "requests", "latency")


def say(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def arguments_of(words: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("scenario", nargs="*", help=f"which to run (default: all): {', '.join(SCENARIOS)}")
    parser.add_argument("--quick", action="store_true", help="a few minutes: fewer and smaller files, fewer runs")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where the files lie meanwhile")  # noqa: S108
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results", help="where the results go")
    parser.add_argument("--peer", action="append", default=[], help="only these peers (may be given again)")
    parser.add_argument("--runs", type=int, default=0, help="runs of each contestant (default: by scale)")
    found = parser.parse_args(words)
    unknown = set(found.scenario) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    return found


def sets_of(scale: Scale, scenarios: list[str]) -> list[FileSet]:
    """The files that these scenarios need."""
    sizes = {MOVEMENTS[each][0] for each in scenarios if each in MOVEMENTS}
    if {"requests", "latency"} & set(scenarios):
        sizes.add("small")
    return [each for each in (scale.large, scale.medium, scale.small) if each.name in sizes]


def about(scale: Scale, directory: Path, accounting: tuple[str, float]) -> dict[str, object]:
    """What has to be known to understand the figures."""
    described = subprocess.run(
        ["findmnt", "-no", "FSTYPE,SOURCE", "-T", str(directory)], capture_output=True, text=True, check=False
    )
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    kind, burnt_s = accounting
    return {
        "scale": scale.name,
        "began": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "cores": os.cpu_count(),
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.machine(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file_system": " ".join(described.stdout.split()[:1]) or "unknown",
        "accounting": kind,
        "burner_counted_s": burnt_s,
        "load_before": os.getloadavg()[0],
    }


def run(stage: Stage, scenario: str, peers: frozenset[str], results: dict[str, object]) -> None:
    """One scenario, into the results."""
    say(f"{scenario} (load {os.getloadavg()[0]:.1f})")
    if scenario in MOVEMENTS:
        size, way = MOVEMENTS[scenario]
        rows = results.setdefault("movement", [])
        assert isinstance(rows, list)
        rows += movement.measure(stage, size, way, only=peers)
    elif scenario == "requests":
        results["requests"] = requests.measure(stage)
    else:
        results["latency"] = latency.measure(stage)


def main(words: list[str] | None = None) -> int:
    """0 when every scenario was measured."""
    chosen = arguments_of(words)
    scale = QUICK if chosen.quick else FULL
    if chosen.runs:
        scale = replace(scale, runs=chosen.runs)
    scenarios = chosen.scenario or list(SCENARIOS)
    results: dict[str, object] = {"about": about(scale, chosen.dir, judge_accounting())}
    chosen.results.mkdir(parents=True, exist_ok=True)
    with open_stage(scale, parent=chosen.dir, sets=sets_of(scale, scenarios), environment=os.environ, say=say) as stage:
        for scenario in scenarios:
            run(stage, scenario, frozenset(chosen.peer), results)
            (chosen.results / f"{scale.name}.json").write_text(json.dumps(results, indent=1) + "\n")
    write_report(results, chosen.results, scale.name)
    say(f"results are in {chosen.results}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
