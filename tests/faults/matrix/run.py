"""A run of the kill matrix: all lives are lived once to count what they pass, then all deaths are died.

Says how far it has come, hands each table's verdicts on as soon as they are all there, and keeps what must not have been.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from penstock.failpoints import Point
from tests.faults.matrix import sites
from tests.faults.matrix.cases import BY_THE_CLOCK, Case, Terms, Way, cases_of, is_worth_it, terms_of
from tests.faults.matrix.crew import Crew
from tests.faults.matrix.doom import Passed
from tests.faults.matrix.progress import Progress
from tests.faults.matrix.table import words_of
from tests.faults.matrix.trial import Trial, Verdict, tried
from tests.faults.matrix.world import World

WORLDS = 3
"""Two processors are kept busy by them: what died is missed, and its file tried again, by the clock."""
TRY_AGAIN = "if it stays so when these tables are tried alone (WAYS=...), the point is not passed there any more"
ARRANGE = "arrange a way that passes there for sure, in tests/faults/matrix/cases.py"

Life = tuple[Way, Terms]
Verdicts = dict[Case, Verdict]


class Run:
    """`wrong` says what must not have been, or was left out. `finished` hears of each way on which all deaths went well."""

    def __init__(
        self,
        make: Callable[[], World],
        *,
        finished: Callable[[Way, Verdicts], None],
        say: Callable[[str], None] = print,
        worlds: int = WORLDS,
    ) -> None:
        self._crew: Crew[Life | Case] = Crew(make, worlds=worlds, failed=self._failed)
        self._finished = finished
        self._say = say
        self._changing = threading.Lock()
        self._lives: dict[Life, dict[Point, Passed]] = {}
        self._left: Counter[Way] = Counter()
        self.verdicts: Verdicts = {}
        self.wrong: list[str] = []

    @property
    def is_stopped(self) -> bool:
        return self._crew.is_stopped

    def stop(self) -> None:
        """Begin nothing more."""
        self._crew.stop()

    def go(self, ways: Sequence[Way], directory: Path | None) -> None:
        """Try everything on these ways; with the `directory` of the files, somebody has to die at each place in the code."""
        with self._crew:
            self.live([(way, terms) for way in ways for terms in terms_of(way)])
            if self.wrong:
                return
            self.wrong += [] if directory is None else self._out_of_reach(directory)
            if self.wrong:
                return  # after a minute, not after a quarter of an hour
            self.die([case for way in ways for case in self._cases(way)])
            if directory is not None and not self.wrong:
                self.wrong += [f"nobody died at {spot}: {ARRANGE}" for spot in spared(self.verdicts, directory)]

    def live(self, lives: Sequence[Life]) -> None:
        """See how often each point is passed, and where."""
        progress = Progress("lives", len(lives), self._say)

        def lived(world: World, life: Life | Case) -> None:
            assert isinstance(life, tuple)
            begun = time.monotonic()
            self._lives[life] = dict(Trial(world, *life).passings())
            progress.tell(f"{_name(life)} passes {len(self._lives[life])} points", time.monotonic() - begun)

        self._note_undone("lives", self._crew.work(lives, lived))

    def die(self, cases: Sequence[Case]) -> None:
        """Die them all."""
        self._left = Counter(case.way for case in cases)
        progress = Progress("deaths", len(cases), self._say)

        def died(world: World, case: Life | Case) -> None:
            assert isinstance(case, Case)
            begun = time.monotonic()
            verdict = tried(world, case)
            words = "nobody died" if verdict is None else words_of(case.way, verdict)
            progress.tell(f"{case.told()}: {words}", time.monotonic() - begun)
            self._note(case, verdict)

        self._note_undone("deaths", self._crew.work(cases, died))

    def _note(self, case: Case, verdict: Verdict | None) -> None:
        with self._changing:
            if verdict is None:
                self.wrong.append(f"nobody died at {case}: {TRY_AGAIN}")
                return
            self.verdicts[case] = verdict
            self._left[case.way] -= 1
            if not self._left[case.way]:
                self._finished(
                    case.way, {one: verdict for one, verdict in self.verdicts.items() if one.way is case.way}
                )

    def _failed(self, job: Life | Case, error: Exception, log: str) -> None:
        name = str(job) if isinstance(job, Case) else _name(job)
        with self._changing:
            self.wrong.append(f"{name}: {error!r}")
        print(f"{name}: {error!r}\n{log}", file=sys.stderr, flush=True)

    def _note_undone(self, what: str, undone: Sequence[object]) -> None:
        if undone:
            self.wrong.append(f"{len(undone)} {what} were not tried")

    def _cases(self, way: Way) -> Iterable[Case]:
        lives = {terms: self._lives[way, terms] for terms in terms_of(way)}
        return cases_of(
            way,
            {
                terms: {point: 1 if point in BY_THE_CLOCK else passed.count for point, passed in life.items()}
                for terms, life in lives.items()
            },
        )

    def _out_of_reach(self, directory: Path) -> list[str]:
        """Places in the code at which nobody could die, whatever is tried."""
        clocked = {(one.point, one.place) for one in sites.passings() if one.point in BY_THE_CLOCK}
        left = sites.unseen(clocked | reached(self._lives), directory)
        return [f"nobody can die at {spot}: {ARRANGE}" for spot in left]


def reached(lives: Mapping[Life, Mapping[Point, Passed]]) -> set[tuple[str, str]]:
    """Points, each with a place, at which somebody is going to die."""
    return {
        (point, place)
        for (way, _), life in lives.items()
        for point, passed in life.items()
        if is_worth_it(way, point)
        for place in passed.places
    }


def spared(verdicts: Verdicts, directory: Path) -> list[str]:
    """Failpoints in the code at which nobody died; the files were in `directory`."""
    return sites.unseen({(case.point, verdict.place) for case, verdict in verdicts.items()}, directory)


def _name(life: Life) -> str:
    way, terms = life
    return f"{way} ({terms})"
