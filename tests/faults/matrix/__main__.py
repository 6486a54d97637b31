"""`make kill-matrix`: die everywhere, the first, a middle and the last time that each point is passed, and write the table.

`python -m tests.faults.matrix FILE` tries each kind of file and death in two worlds at once; it ends with 1, and writes
nothing, when anything was lost, torn, left behind or sent again beyond what was under way.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

from penstock.failpoints import CONTROL_POINTS, POINTS, Point
from tests.faults.matrix.cases import TO_THE_MOVER, Case, Death, Way
from tests.faults.matrix.smallservice import (
    GRAIN_BYTES,
    LARGE_BYTES,
    MIDDLING_BYTES,
    PART_BYTES,
    PARTS_IN_FLIGHT,
    SMALL_BYTES,
)
from tests.faults.matrix.trial import Trial, Verdict, tried
from tests.faults.matrix.world import World

WORLDS = 2
Verdicts = dict[Case, Verdict]

HEAD = f"""# The kill matrix

`make kill-matrix` writes these tables. For every cell a served Penstock moved one file beside a bucket server that lives
on. Somebody died by SIGKILL at the point named: the first, a middle or the last time that it is passed. What had died was
started again, and when the file had ended all of this was looked at: the tree (the bytes of the source, no partial file, no
journal), the bucket (the bytes of the source in one version, no unfinished multipart upload), the API's answers (status,
checksum, sizes, progress, the same when asked again), and how many bytes of the file went over the network.

- A small file has {SMALL_BYTES} bytes and moves in one request. So does a middling one of {MIDDLING_BYTES} bytes, of which
  {GRAIN_BYTES} are in memory at a time. A large one has {LARGE_BYTES} bytes and moves in parts of
  {PART_BYTES}, {PARTS_IN_FLIGHT} at a time; they are that small here so that there are many of them. A canceled one is a
  large one that is canceled when parts of it are under way. One beside another comes while that one waits for the store:
  then it is created and claimed by two transactions (for an engine with nothing to do it is one), and only deaths between
  its caller and its mover are tried.
- **service**: the control process dies, at a point of its own, and its movers end. **mover**: a mover dies alone, the
  service goes on. **both**: a mover dies and takes the control process along. (A power cut takes unsynced bytes, too:
  that is in [reliability.md](reliability.md).)
- A cell says how the sub-task ended, and what was moved again: nothing, or so many parts (one that was begun counts as
  one), or of a small or middling file its only request. Never more than {PARTS_IN_FLIGHT} parts: those in flight, which differ
  a little from run to run. Where the point was passed less often that time, the cell shows the death at an earlier passing; it is
  empty where nobody could be killed there.

`penstock/failpoints.py` says what each name means.
"""


@contextmanager
def opened_worlds(path: Path) -> Iterator[list[World]]:
    """All worlds; ended at the end."""
    worlds: list[World] = []
    try:
        for number in range(WORLDS):
            (path / f"{number}").mkdir()
            worlds.append(World(path / f"{number}"))
        yield worlds
    finally:
        for world in worlds:
            world.close()


def cases_of(way: Way, passings: Mapping[Point, int]) -> Iterator[Case]:
    """Every death that is worth dying on this way."""
    for point in POINTS:
        count = passings.get(point, 0)
        if way.is_beside and point not in TO_THE_MOVER:
            continue
        for passing in sorted({1, (count + 1) // 2, count}) if count else ():
            for death in (Death.CONTROL,) if point in CONTROL_POINTS else (Death.MOVER, Death.BOTH):
                yield Case(way=way, point=point, passing=passing, death=death)


def every_case(world: World) -> Iterator[Case]:
    """Every death on every way."""
    for way in Way:
        yield from cases_of(way, Trial(world, way).passings())


class Run:
    """All trials; `wrong` says what must not have been, `unpassed` where nobody could be killed."""

    def __init__(self, worlds: Sequence[World]) -> None:
        self._worlds = worlds
        self._waiting: SimpleQueue[Case] = SimpleQueue()
        self.verdicts: Verdicts = {}
        self.wrong: list[str] = []
        self.unpassed: list[str] = []

    def go(self, cases: Iterable[Case]) -> None:
        """Try them all."""
        for case in cases:
            self._waiting.put(case)
        print(f"{self._waiting.qsize()} deaths to die", file=sys.stderr, flush=True)
        threads = [threading.Thread(target=self._work, args=(world,)) for world in self._worlds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if not self._waiting.empty():
            self.wrong.append(f"{self._waiting.qsize()} deaths were not tried")

    def _work(self, world: World) -> None:
        while True:
            try:
                case = self._waiting.get_nowait()
            except Empty:
                return
            try:
                verdict = tried(world, case)
            except Exception as error:  # noqa: BLE001  (whatever it is, this world is spoilt; the other one goes on)
                self.wrong.append(str(case))
                print(f"{case}: {error!r}\n{world.service.log_text()}", file=sys.stderr, flush=True)
                return
            if verdict is None:
                self.unpassed.append(str(case))
            else:
                self.verdicts[case] = verdict


def table_of(verdicts: Verdicts) -> Iterator[str]:
    """The lines of all tables, one table for each kind of file."""
    for way in Way:
        deaths = [death for death in Death if any(case.way is way and case.death is death for case in verdicts)]
        yield f"\n## {way.value.capitalize()}\n"
        yield f"| point | passed | {' | '.join(deaths)} |"
        yield f"|---|---|{'---|' * len(deaths)}"
        for point in POINTS:
            rows = sorted({case.passing for case in verdicts if (case.way, case.point) == (way, point)})
            for place, passing in enumerate(rows):
                cells = [
                    _cell(way, verdicts.get(Case(way=way, point=point, passing=passing, death=each))) for each in deaths
                ]
                yield f"| `{point}` | {_ordinal(place, len(rows))} | {' | '.join(cells)} |"


def _ordinal(place: int, count: int) -> str:
    if count == 1:
        return "once"
    return "first" if place == 0 else "last" if place == count - 1 else "middle"


def _cell(way: Way, verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    if not verdict.again_bytes:
        return verdict.status
    if way.is_whole:
        return f"{verdict.status}, its request again"
    parts = -(-verdict.again_bytes // PART_BYTES)
    return f"{verdict.status}, {parts} part{'s' if parts > 1 else ''} again"


def main(file: Path) -> int:
    """Try everything and write the table."""
    with tempfile.TemporaryDirectory(prefix="kill-matrix-") as path, opened_worlds(Path(path)) as worlds:
        run = Run(worlds)
        run.go(every_case(worlds[0]))
    if run.unpassed:
        print(f"not passed this time: {', '.join(run.unpassed)}", file=sys.stderr)
    if run.wrong:
        print(f"wrong: {', '.join(run.wrong)}", file=sys.stderr)
        return 1
    file.write_text(HEAD + "\n".join(table_of(run.verdicts)) + "\n")
    print(f"{len(run.verdicts)} deaths: lost 0, torn 0, left behind 0", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
