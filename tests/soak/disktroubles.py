"""What happens to the disks of a soak: full, gone and back, not to be written to; beside all other troubles, by its own dice."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable

from tests.soak.disks import LooseDisk
from tests.soak.errands import KIB, MIB, Finding, Wrong
from tests.soak.stand import Stand

FIRST_REST_S = 0.5  # so that a short soak has one, too
REST_S = (3.0, 15.0)
LEFT_BYTES = (0, 0, 200 * KIB, 2 * MIB)
FLAPS_MAX = 4


class DiskTroubles:
    """`run` until `ended`; once `level` is set nothing happens any more. `findings` tell of what was written beneath a mount."""

    def __init__(
        self, stand: Stand, seed: int, say: Callable[[str], None], *, level: threading.Event, ended: threading.Event
    ) -> None:
        self._stand = stand
        self._dice = random.Random(f"disks of {seed}")
        self._say = say
        self._level = level
        self._ended = ended
        self.counts: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self._kinds: dict[Callable[[LooseDisk], None], int] = {
            self._fill: 3,
            self._vanish: 3,
            self._forbid_writing: 2,
            self._fill_home: 2,
        }

    def run(self) -> None:
        """One after the other, with rests."""
        rest_s = FIRST_REST_S
        while not self._ended.wait(rest_s):
            if not self._level.is_set():
                self.step()
            rest_s = self._dice.uniform(*REST_S)

    def step(self) -> None:
        """One trouble, over when this returns; none where there are no disks."""
        if self._stand.loose is None:
            return
        chosen = self._dice.choices(list(self._kinds), weights=list(self._kinds.values()))[0]
        chosen(self._stand.loose)

    def _counted(self, name: str) -> None:
        self.counts[name] += 1
        self._say(name)

    def _meanwhile(self, least_s: float, most_s: float) -> None:
        self._level.wait(self._dice.uniform(least_s, most_s))

    # --------------------------------------------------------------------------------------------------- what may happen

    def _fill(self, _: LooseDisk) -> None:
        with self._stand.loose_full(but_bytes=self._dice.choice(LEFT_BYTES)):
            self._counted("a file system is full")
            self._meanwhile(2.0, 8.0)

    def _fill_home(self, _: LooseDisk) -> None:
        with self._stand.home_full():
            self._counted("the disk of HOME is full")
            self._meanwhile(1.0, 5.0)

    def _vanish(self, loose: LooseDisk) -> None:
        for _ in range(self._dice.randint(1, FLAPS_MAX)):
            loose.go()
            try:
                self._counted("a file system is unmounted, and comes back")
                self._meanwhile(0.2, 5.0)
                if written := loose.beneath():
                    self.findings.append(Finding(wrong=Wrong.BENEATH, words=", ".join(written)))
            finally:
                loose.come()
            self._meanwhile(0.1, 2.0)

    def _forbid_writing(self, loose: LooseDisk) -> None:
        loose.forbid_writing()
        try:
            self._counted("a mount becomes read-only")
            self._meanwhile(2.0, 10.0)
        finally:
            loose.allow_writing()
