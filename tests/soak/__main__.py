"""`python -m tests.soak`: lets waves of files move under troubles for some minutes, judges everything, prints the verdict."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path

from tests.fixtures.mounts import did
from tests.fixtures.waiting import wait_until
from tests.soak.disktroubles import DiskTroubles
from tests.soak.errands import Block, Finding, Wrong
from tests.soak.gauges import Gauges, trend
from tests.soak.stand import VERSIONING, Stand
from tests.soak.troubles import Troubles
from tests.soak.verdict import Verdict, put_into
from tests.soak.waves import FOREIGN_UPLOAD, Tally, Wave, foreign_things

WAVES_AT_ONCE = 3
WAVE_FILES = (40, 300)
LEVEL_SHARE = 0.3
TIDY_S = 120.0
Say = Callable[[str], None]


def main() -> int:
    """0 if nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long new waves begin")
    parser.add_argument("--seed", type=int, default=0, help="0 chooses one; what runs at once is not repeated by it")
    parser.add_argument("--dir", type=Path, help="where all of it lies meanwhile (default: the system's)")
    parser.add_argument("--page", type=Path, help="a page with marks, to write the verdict into")
    parser.add_argument("--here", action="store_true", help="mount where everybody sees it")
    asked = parser.parse_args()
    if not asked.here:
        begin_anew_apart()
    seed = asked.seed or random.SystemRandom().randrange(1, 1 << 32)
    directory = Path(tempfile.mkdtemp(prefix="penstock-soak-", dir=asked.dir))
    print(f"soak: seed {seed}, {asked.minutes:g} minutes, in {directory}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is stopped
    verdict = soak(
        directory, seed, asked.minutes * 60, say=lambda words: print(f"{time.strftime('%T')} {words}", flush=True)
    )
    print(verdict)
    if verdict.is_good:
        shutil.rmtree(directory)
    else:
        print(f"soak: what is left for a closer look lies in {directory}; *.image are its disks")
    if asked.page is not None:
        asked.page.write_text(put_into(asked.page.read_text(), verdict))
    return 0 if verdict.is_good else 1


def begin_anew_apart() -> None:
    """Have a table of mounts of our own, which ends with us, and the right to mount; returns where the kernel gives none."""
    apart = ["unshare", "--mount"]
    if os.geteuid() != 0:
        apart += ["--user", "--map-root-user"]
    if not did(*apart, "true"):
        os.execvp(apart[0], [*apart, sys.executable, "-m", "tests.soak", *sys.argv[1:], "--here"])


def soak(
    directory: Path,
    seed: int,
    length_s: float,
    *,
    say: Say,
    wave_files: tuple[int, int] = WAVE_FILES,
    flows: Collection[str] = tuple(VERSIONING),
) -> Verdict:
    """All of it, in a directory that is there and empty; a wave has so many files, from least to most.

    Of the stand's dataflows `rough` has to be one.
    """
    begun_s = time.monotonic()
    with closing(Stand(directory, flows)) as stand:
        run = Run(stand, seed, say, wave_files)
        gauges = Gauges(stand, run.troubles.level)
        with foreign_things(stand) as touched:
            run.for_a_while(length_s)
            left = _left_behind(stand)
        gauges.close()
        beneath = run.disk_troubles.findings
        trends = [trend(kind, gauges.samples) for kind in ("service", "mover")]
        grown = [one.finding for one in trends if one.finding is not None]
        return Verdict(
            seed=seed,
            minutes=(time.monotonic() - begun_s) / 60,
            endings=run.tally.endings,
            kinds=run.tally.kinds,
            moved_bytes=run.tally.moved_bytes,
            waves=run.tally.waves,
            troubles=run.troubles.counts + run.disk_troubles.counts,
            lies=run.troubles.struck,
            lives=stand.lives,
            findings=[*run.tally.findings, *touched, *left, *beneath, *grown],
            trends=trends,
            no_disks=stand.no_disks,
        )


class Run:
    """Waves and troubles side by side, each in a thread of its own."""

    def __init__(self, stand: Stand, seed: int, say: Say, wave_files: tuple[int, int]) -> None:
        self._stand = stand
        self._seed = seed
        self._say = say
        self._wave_files = wave_files
        self._block = Block(seed)
        self._enough = threading.Event()
        self.tally = Tally()
        self.troubles = Troubles(stand, seed, say)
        self.disk_troubles = DiskTroubles(stand, seed, say, level=self.troubles.level, ended=self.troubles.ended)

    def for_a_while(self, length_s: float) -> None:
        """Begin waves for so long, and return when the last one is judged."""
        threads = [
            threading.Thread(target=self._guarded, args=(one.run,), name=type(one).__name__, daemon=True)
            for one in (self.troubles, self.disk_troubles)
        ]
        threads += [
            threading.Thread(target=self._waves, args=(number,), name=f"waves-{number}", daemon=True)
            for number in range(WAVES_AT_ONCE)
        ]
        for thread in threads:
            thread.start()
        self._enough.wait(length_s * (1 - LEVEL_SHARE))
        self._say("from now on nothing dies")
        self.troubles.level.set()
        self._enough.wait(length_s * LEVEL_SHARE)
        self._say("no new waves")
        self.troubles.ended.set()
        self._enough.set()
        for thread in threads:
            thread.join()
        self.troubles.quiet()

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception:  # noqa: BLE001 - a finding like any other: without troubles nothing is shown
            finding = Finding(wrong=Wrong.BROKEN, words=traceback.format_exc())
            self._say(f"  {finding.wrong}: {finding.words}")
            self.tally.found(finding)

    def _waves(self, number: int) -> None:
        dice = random.Random(f"{self._seed}/{number}")
        count = 0
        while not self._enough.is_set():
            count += 1
            wave = Wave(
                self._stand, self._block, dice, name=f"w{number}-{count}", files=dice.randint(*self._wave_files)
            )
            begun_s = time.monotonic()
            try:
                findings = wave.run(self.tally, self._enough)
            except Exception:  # noqa: BLE001 - a finding like any other; the other waves go on
                findings = [Finding(wrong=Wrong.BROKEN, words=f"{wave}: {traceback.format_exc()}")]
                self.tally.add({}, {}, 0, findings)
            self._say(f"{wave}: {time.monotonic() - begun_s:.1f} s")
            for finding in findings:
                self._say(f"  {finding.wrong}: {finding.words}")


def _left_behind(stand: Stand) -> list[Finding]:
    """Partial files, journals and uploads that are there though nothing moves, after what tidying may take."""

    def left() -> list[str]:
        names = [name for name in stand.helper_files() if not name.endswith("0123456789abcdef.partial")]
        for bucket in stand.buckets:
            keys = stand.truly(bucket, lambda store: [one.key for one in store.list_uploads(prefix="")])
            names += [f"upload of {key}" for key in keys if key != FOREIGN_UPLOAD]
        return names

    try:
        wait_until(lambda: not left(), TIDY_S, "nothing is left behind")
    except TimeoutError:
        return [Finding(wrong=Wrong.LEFT, words=name) for name in left()]
    return []


if __name__ == "__main__":
    sys.exit(main())
