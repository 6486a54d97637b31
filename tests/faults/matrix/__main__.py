"""`make kill-matrix`: die everywhere, the first, a middle and the last time that each point is passed, and write the table.

`python -m tests.faults.matrix FILE` tries each kind of file and death in two worlds at once; it ends with 1, and writes
nothing, when anything was lost, torn, left behind or sent again beyond what was under way, or when a failpoint that stands in the
code killed nobody. `python -m tests.faults.matrix FILE "export small damaged" ...` tries these kinds of files only, and puts
their tables into FILE in place of theirs.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

from tests.faults.matrix import sites
from tests.faults.matrix.cases import LETTERS, Case, Way, cases_of, terms_of
from tests.faults.matrix.smallservice import (
    GRAIN_BYTES,
    LARGE_BYTES,
    MIDDLING_BYTES,
    PART_BYTES,
    PARTS_IN_FLIGHT,
    SMALL_BYTES,
)
from tests.faults.matrix.table import page, table_of, tables_of
from tests.faults.matrix.trial import Trial, Verdict, tried
from tests.faults.matrix.world import World

WORLDS = 2
Verdicts = dict[Case, Verdict]

TOLD = ",\n".join(f"  **{letter}** {terms}" for letter, terms in LETTERS.items())
HEAD = f"""# The kill matrix

`make kill-matrix` writes these tables. For every cell a served Penstock moved one file beside a bucket server that lives
on. Somebody died by SIGKILL at the point named: the first, a middle or the last time that it is passed. What had died was
started again, and when the file had ended all of this was looked at: the tree (the bytes of the source, no partial file, no
journal), the bucket (the bytes of the source in one version, no unfinished multipart upload), the API's answers (status,
checksum, sizes, progress, the same when asked again), every counter of the catalog against the rows that it counts (as the
dead service left it, too), and how many bytes of the file went over the network.

- A small file has {SMALL_BYTES} bytes and moves in one request. So does a middling one of {MIDDLING_BYTES} bytes, of which
  {GRAIN_BYTES} are in memory at a time. A large one has {LARGE_BYTES} bytes and moves in parts of
  {PART_BYTES}, {PARTS_IN_FLIGHT} at a time; they are that small here so that there are many of them.
- One beside another comes while that one waits for the store: then it is created and claimed by two transactions (for an
  engine with nothing to do it is one), and only deaths between its caller and its mover are tried. A canceled one is canceled
  in the middle; of a small or middling one that is while its request is under way. A failed one meets a directory at its target
  while it is in the middle, or loses its source. A damaged one arrives with another byte the first time that it is
  sent; if it is canceled too, that happens before the answer comes which would tell. An overtaken one finds
  that somebody else's object, which is to stay, came to its key while it was being sent: its own version is deleted again. Of all
  these only deaths from there on are tried. (A small or middling export that fails has begun nothing, and leaves nothing.)
- The letter says under which conflict policy, and on which kind of bucket:
{TOLD}.
  Under KEEP_LATEST an older file is replaced. Deaths are dealt out to these in turn; around publishing each is tried.
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


def every_case(world: World, ways: Iterable[Way]) -> Iterator[Case]:
    """Every death on these ways."""
    for way in ways:
        yield from cases_of(way, {terms: Trial(world, way, terms).passings() for terms in terms_of(way)})


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


def spared(verdicts: Verdicts, directory: Path) -> list[str]:
    """Failpoints in the code at which nobody died; the files were in `directory`."""
    return sites.unseen({(case.point, verdict.place) for case, verdict in verdicts.items()}, directory)


def main(file: Path, asked: Sequence[str]) -> int:
    """Try everything, or these kinds of files, and write their tables."""
    ways = [Way(words) for words in asked] or list(Way)
    with tempfile.TemporaryDirectory(prefix="kill-matrix-") as path, opened_worlds(Path(path)) as worlds:
        run = Run(worlds)
        run.go(every_case(worlds[0], ways))
        run.wrong += [] if asked else [f"nobody died at {spot}" for spot in spared(run.verdicts, worlds[0].root)]
    if run.unpassed:
        print(f"not passed this time: {', '.join(run.unpassed)}", file=sys.stderr)
    if run.wrong:
        print(f"wrong: {', '.join(run.wrong)}", file=sys.stderr)
        return 1
    kept = tables_of(file.read_text()) if asked else {}
    file.write_text(page(HEAD, kept | {way: table_of(way, run.verdicts) for way in ways}))
    print(f"{len(run.verdicts)} deaths: lost 0, torn 0, left behind 0", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
