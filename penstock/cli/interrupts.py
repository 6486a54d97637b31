"""Ctrl-C of a command whose files go on without it: the first is noted, and answered between two steps; the second ends.

So no call is broken off in the middle of its answer, which would leave in doubt what it did. A command that only looks ends at
the first one, wherever it is.
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Self


class Interrupts:
    """Within its `with`, SIGINT and SIGTERM are noted. `is_final` tells that nobody is to be asked: SIGTERM came."""

    def __init__(self) -> None:
        self._noted = threading.Event()
        self._before: dict[int, object] = {}
        self.is_final = False

    @property
    def came(self) -> bool:
        """Whether one came that was not answered yet."""
        return self._noted.is_set()

    def answered(self) -> None:
        """The next is a first one again."""
        self._noted.clear()

    def sleep(self, pause_s: float) -> None:
        """A pause, that ends early when one comes."""
        if self._noted.wait(pause_s):
            time.sleep(min(pause_s, 0.05))  # whoever asks again and again meanwhile does not do so without a breath

    def sleep_or_end(self, pause_s: float) -> None:
        """The same, for whoever may be broken off at once. Raises KeyboardInterrupt when one comes."""
        if self._noted.wait(pause_s):
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.is_final = self.is_final or number == signal.SIGTERM
        if self._noted.is_set():
            raise KeyboardInterrupt
        self._noted.set()


class End:
    """Within its `with`, SIGINT raises KeyboardInterrupt, as ever, and is noted besides.

    What is raised while Python lets go of an object, an answer that was read for one, goes nowhere: it is only noted then.
    """

    def __init__(self) -> None:
        self._before: object = None
        self.came = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt
