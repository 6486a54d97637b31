"""`make kill-matrix`: die everywhere, the first, a middle and the last time that each point is passed, and write the tables.

`python -m tests.faults.matrix FILE` tries each kind of file and death in some worlds at once, and says on stdout how far it
has come. A table is put into FILE as soon as all of its deaths are died, with the commit that it is of: so what was finished
is kept when the run is interrupted (Ctrl-C, SIGTERM), or when something is wrong elsewhere. It ends with 1 when anything was
lost, torn, left behind or sent again beyond what was under way, or when nobody died at a failpoint that stands in the code; such
tables are not written. `python -m tests.faults.matrix FILE "export small damaged" ...` tries these kinds of files only.
"""

from __future__ import annotations

import itertools
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.faults.matrix import page, provenance
from tests.faults.matrix.cases import Way, Which
from tests.faults.matrix.page import Table
from tests.faults.matrix.run import Run, Verdicts
from tests.faults.matrix.table import table_of
from tests.faults.matrix.world import World

INTERRUPTED = 130
UNKNOWN_COMMIT = "not known to git"


class Keeper:
    """Puts tables into `file`, as long as the code stays what it was when the run began."""

    def __init__(self, file: Path, say: Callable[[str], None]) -> None:
        self._file = file
        self._say = say
        self._commit = provenance.commit() or UNKNOWN_COMMIT
        self._fingerprint = provenance.fingerprint()
        self.wrong: list[str] = []

    def keep(self, way: Way, verdicts: Verdicts) -> None:
        """Put in its table."""
        if provenance.fingerprint() != self._fingerprint:
            self.wrong.append(f"the code changed while {way} was tried: its table is of no commit, and not kept")
            return
        page.put(self._file, way, Table(commit=self._commit, lines=table_of(way, verdicts)))
        self._say(f"the table of {way} is in {self._file}")


def main(file: Path, asked: Sequence[str]) -> int:
    """Try everything, or these kinds of files, and write their tables."""
    ways = [Way(words) for words in asked] or list(Way)
    say = partial(print, flush=True)
    keeper, begun = Keeper(file, say), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kill-matrix-") as path:
        numbers = itertools.count()
        run = Run(lambda: World(_made(Path(path) / f"{next(numbers)}")), finished=keeper.keep, say=say)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: interrupt(run))
        run.go(ways, None if asked else Path(path))
    wrong = run.wrong + keeper.wrong
    minutes = (time.monotonic() - begun) / 60
    told = f"{deaths_of(run.verdicts)} in {minutes:.1f} minutes"
    if wrong:
        print(f"{told}, and what must not be:", *wrong, sep="\n  ", file=sys.stderr)
        return INTERRUPTED if run.is_stopped else 1
    say(f"{told}: lost 0, torn 0, left behind 0")
    return 0


def deaths_of(verdicts: Verdicts) -> str:
    """How many different deaths were died, and how many of them not where they were asked for."""
    died = {replace(case, passing=one.instead or case.passing, which=Which.ONCE): one for case, one in verdicts.items()}
    instead = sum(1 for one in verdicts.values() if one.instead)
    repeated = len(verdicts) - len(died)
    return f"{len(died)} deaths" + (
        f" ({instead} asked for were died at an earlier passing, {repeated} of these once more)" if instead else ""
    )


def interrupt(run: Run) -> None:
    """Asked once, have the run end what is under way; asked again, end at once."""
    if run.is_stopped:
        raise KeyboardInterrupt
    print("ending what is under way; once more ends it at once", file=sys.stderr, flush=True)
    run.stop()


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
