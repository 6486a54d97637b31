"""The end of a run: what was begun is ended and removed, whatever signals come meanwhile.

Knows nothing of what is measured. For the main thread, which hears the signals.
"""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""The signals that end the program."""


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """A signal that comes within this context is heard at its end."""
    heard: list[int] = []
    earlier = {number: signal.signal(number, lambda came, _: heard.append(came)) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
        if heard:
            signal.raise_signal(heard[0])


@contextlib.contextmanager
def to_the_end() -> Iterator[contextlib.ExitStack]:
    """A stack that is unwound as a whole: no signal breaks off what it ends and removes."""
    stack = contextlib.ExitStack()
    try:
        yield stack
    finally:
        with signals_held():
            stack.close()


@contextlib.contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A directory of our own below `parent`, removed at the end."""
    with to_the_end() as stack:
        yield Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-bench-", dir=parent)))
