"""A child that dies by SIGKILL right before the step that it is told, and what its parent hears of it."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable
from typing import Any


class Killer:
    """Counts steps; the `nth` one is never taken."""

    def __init__(self, nth: int) -> None:
        self.nth = nth
        self.count = 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.nth:
            os.kill(os.getpid(), signal.SIGKILL)

    def guard(self, owner: Any, name: str) -> None:
        """Every call of `owner.name` is a step."""
        plain: Callable[..., Any] = getattr(owner, name)

        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.step()
            return plain(*args, **kwargs)

        setattr(owner, name, guarded)


def in_child(work: Callable[[], object], meanwhile: Callable[[], None] = lambda: None) -> tuple[bool, Any]:
    """Do `work` in a forked child and `meanwhile` here: whether the child lived, and what it returned."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            answer = pickle.dumps(work())
            with os.fdopen(writing, "wb") as telling:
                telling.write(answer)
        except BaseException as error:  # noqa: BLE001  (a child must not run on as its parent)
            sys.stderr.write(f"{error!r}\n")
            os._exit(1)
        os._exit(0)
    os.close(writing)
    meanwhile()
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    return status == 0, pickle.loads(told) if told else None
