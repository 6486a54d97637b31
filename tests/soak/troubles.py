"""What happens to a soak's processes and store: one trouble after the other, by chance that a seed repeats; each is counted."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator

from tests.fixtures.chaosfaults import FAULTS, SILENT
from tests.fixtures.chaosproxy import Dice
from tests.soak.stand import Stand

USUAL_CHANCE = 0.03
NTH_MAX = 4
REST_S = (1.0, 8.0)
GIVEN_UP_S = (62.0, 80.0)  # a mover that has given no sign of life for a minute is killed
NOT_NOW = {*SILENT, "ListParts answers 501", "no such upload", "another's answer"}
"""Silence comes in another way. A HEAD that describes another key, without a flaw, cannot be seen through: SKIP believes it."""
FITTING = [fault for name, fault in FAULTS.items() if name not in NOT_NOW]
REFUSING = [
    fault for name, fault in FAULTS.items() if name in {"500", "503", "reset before the body", "closed in the head"}
]


class Troubles:
    """`run` until `ended`; once `level` is set, before that, nothing dies any more, so that memory can be judged."""

    def __init__(self, stand: Stand, seed: int, say: Callable[[str], None]) -> None:
        self._stand = stand
        self._dice = random.Random(seed)
        self._say = say
        self.counts: Counter[str] = Counter()
        self.struck = 0
        self.ended = threading.Event()
        self.level = threading.Event()
        self.quiet()
        self._kinds: dict[Callable[[], None], int] = {
            self._kill_mover: 6,
            self._kill_service: 6,
            self._restart_service: 1,
            self._pause_mover: 3,
            self._forsake_mover: 1,
            self._pause_service: 1,
            self._kill_store: 3,
            self._outage: 2,
            self._silence: 1,
            self._storm: 2,
        }

    def run(self) -> None:
        """One after the other, with rests."""
        while not self.ended.wait(self._dice.uniform(*REST_S)):
            if self.level.is_set():
                continue
            self.step()

    def step(self) -> None:
        """One trouble, over when this returns."""
        chosen = self._dice.choices(list(self._kinds), weights=list(self._kinds.values()))[0]
        chosen()

    def quiet(self) -> None:
        """The store lies as seldom as it usually does."""
        self._lies(USUAL_CHANCE)

    def _lies(self, chance: float, *, only: bool = False) -> None:
        self.struck += len(self._stand.chaos.struck)
        faults = REFUSING if only else FITTING
        seed = self._dice.randrange(1 << 32)
        self._stand.chaos.dice(Dice(seed=seed, chance=chance, faults=faults, nth_max=NTH_MAX if not only else 1 << 30))

    def _counted(self, name: str) -> None:
        self.counts[name] += 1
        self._say(name)

    # --------------------------------------------------------------------------------------------------- what may happen

    def _kill_mover(self) -> None:
        if movers := self._stand.movers():
            self._counted("SIGKILL of a mover")
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._dice.choice(movers), signal.SIGKILL)

    def _kill_service(self) -> None:
        self._counted("SIGKILL of the service")
        self._stand.kill_service()

    def _restart_service(self) -> None:
        self._counted("SIGTERM of the service")
        code = self._stand.restart_service()
        if code != 0:
            self._counted(f"the service ended with {code}")

    def _pause_mover(self) -> None:
        if movers := self._stand.movers():
            self._counted("SIGSTOP and SIGCONT of a mover")
            with self._stopped(self._dice.choice(movers)):
                self.level.wait(self._dice.uniform(1.0, 20.0))

    def _forsake_mover(self) -> None:
        if movers := self._stand.movers():
            self._counted("SIGSTOP of a mover until it is given up")
            with self._stopped(self._dice.choice(movers)):
                self.level.wait(self._dice.uniform(*GIVEN_UP_S))

    def _pause_service(self) -> None:
        self._counted("SIGSTOP and SIGCONT of the service")
        with self._stopped(self._stand.service.pid):
            self.level.wait(self._dice.uniform(1.0, 10.0))

    @contextlib.contextmanager
    def _stopped(self, process_id: int) -> Iterator[None]:
        try:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGSTOP)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGCONT)

    def _kill_store(self) -> None:
        self._counted("SIGKILL of the store")
        self._stand.kill_store()

    def _outage(self) -> None:
        self._counted("the store refuses everything")
        self._lies(1.0, only=True)
        self.level.wait(self._dice.uniform(2.0, 10.0))
        self.quiet()

    def _storm(self) -> None:
        self._counted("the store lies in every third answer")
        self._lies(0.33)
        self.level.wait(self._dice.uniform(5.0, 20.0))
        self.quiet()

    def _silence(self) -> None:
        self._counted("a store falls silent")
        proxy = self._stand.silences[self._dice.choice(sorted(self._stand.silences))]
        proxy.fall_silent()
        self.level.wait(self._dice.uniform(2.0, 15.0))
        proxy.speak()
