"""`python -m bench`: chooses scenarios and scale, runs them, keeps the results, writes tables and plot out of what is kept."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bench.accounts import judge_accounting
from bench.archive import ROOT, beginning, keep, load, surroundings
from bench.ending import ENDING
from bench.peers import all_peers
from bench.report import write_report
from bench.scale import FULL, QUICK, FileSet, Scale, read_set
from bench.scenarios import SCENARIOS, Choices, Scenario
from bench.scenarios.growing import ROWS_LEAST
from bench.stage import open_stage

HELP = """The scenarios, in their order: {names}. Each one can be run by itself; its results replace its earlier ones in
bench/results/SCALE.json and leave the others alone. `pages` and `growth` grow one catalog: run them together."""


def say(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def arguments_of(words: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, epilog=HELP.format(names=", ".join(SCENARIOS))
    )
    parser.add_argument("scenario", nargs="*", help="which to run (default: all of them)")
    parser.add_argument("--quick", action="store_true", help="some minutes: fewer and smaller files, fewer runs")
    parser.add_argument(
        "--report", action="store_true", help="run nothing; write tables and plot anew from the results"
    )
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where the files lie meanwhile")  # noqa: S108
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results", help="where the results go")
    parser.add_argument("--peer", action="append", default=[], help="only these peers (may be given again)")
    parser.add_argument("--choice", action="append", default=[], metavar="PEER=N", help="try no setting but this one")
    parser.add_argument("--runs", type=int, default=0, help="runs of each contestant (default: by scale)")
    parser.add_argument("--minutes", type=float, default=0, help="a contest begins no new round after so long")
    parser.add_argument("--set", action="append", default=[], metavar="small=5000x4KiB", help="another set of files")
    parser.add_argument("--rows", default="", metavar="N,N,…", help=f"pages, growth: rows there ({ROWS_LEAST} or more)")
    parser.add_argument("--waiting", type=int, default=0, help="memory: how many sub-tasks wait")
    found = parser.parse_args(words)
    unknown = set(found.scenario) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    known = {peer.name for peer in all_peers()}
    if strangers := {*found.peer, *(each.partition("=")[0] for each in found.choice)} - known:
        parser.error(f"no such peer: {', '.join(sorted(strangers))}; there are {', '.join(sorted(known))}")
    return found


def scale_of(chosen: argparse.Namespace) -> Scale:
    """What is measured. Raises ValueError."""
    scale = QUICK if chosen.quick else FULL
    if chosen.runs:
        scale = replace(scale, runs=chosen.runs)
    if chosen.waiting:
        scale = replace(scale, waiting=chosen.waiting)
    if chosen.rows:
        scale = replace(scale, rows=_rows_of(chosen.rows))
    for text in chosen.set:
        made = read_set(text)
        scale = scale.having(made)
    return scale


def _rows_of(text: str) -> tuple[int, ...]:
    rows = tuple(sorted(int(word) for word in text.split(",")))
    if rows[0] < ROWS_LEAST:
        raise ValueError(f"--rows: {rows[0]:,} are too few to have deep pages; give {ROWS_LEAST:,} or more each")
    return rows


def choices_of(chosen: argparse.Namespace) -> Choices:
    """Who takes part, and how. Raises ValueError."""
    settings = {name: int(number) for name, _, number in (each.partition("=") for each in chosen.choice)}
    return Choices(only=frozenset(chosen.peer), settings=settings, limit_s=chosen.minutes * 60)


def sets_of(scale: Scale, scenarios: list[Scenario]) -> list[FileSet]:
    """The files that these scenarios need."""
    names = {name for each in scenarios for name in each.sets}
    return [each for each in (scale.large, scale.medium, scale.single, scale.small, scale.spread) if each.name in names]


def end_in_order(number: int, _: FrameType | None) -> NoReturn:
    """A signal ends the program as an error would: children are stopped, directories removed. A second one is not heard."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    say(f"stopped by {signal.Signals(number).name}; cleaning up")
    raise SystemExit(128 + number)


def main(words: list[str] | None = None) -> int:
    """0 when every scenario was measured."""
    chosen = arguments_of(words)
    try:
        scale, choices = scale_of(chosen), choices_of(chosen)
    except ValueError as error:
        say(str(error))
        return 2
    path = chosen.results / f"{scale.name}.json"
    if chosen.report:
        write_report(load(path), chosen.results, scale.name)
        return 0
    for each in ENDING:
        signal.signal(each, end_in_order)
    chosen.results.mkdir(parents=True, exist_ok=True)
    load(path)
    scenarios = {name: SCENARIOS[name] for name in SCENARIOS if name in (chosen.scenario or SCENARIOS)}
    about = surroundings(chosen.dir, judge_accounting())
    sets = sets_of(scale, list(scenarios.values()))
    if not any(each.calm for each in scenarios.values()):
        scale = replace(scale, calm_limit_s=0.0)
    with open_stage(scale, parent=chosen.dir, sets=sets, environment=os.environ, say=say) as stage:
        for scenario in dict.fromkeys(scenarios.values()):
            mine = [name for name, each in scenarios.items() if each == scenario]
            now = beginning()
            say(f"{', '.join(mine)} (load {os.getloadavg()[0]:.1f})")
            begun = time.monotonic()
            for name, rows in scenario.measure(stage, choices, mine).items():
                took = {"took_s": round(time.monotonic() - begun, 1)}
                write_report(keep(path, name, {**about, **now, **took}, rows), chosen.results, scale.name)
    say(f"results are in {chosen.results}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
