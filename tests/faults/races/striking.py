"""A second process that acts at the very instant at which this one passes a failpoint, and how close the two come.

rival = Rival("tests.faults.races.filerival", {...})     another program, told once what it needs
with struck("rename", lambda: rival.strike(act="link")):  when we pass that point, it is let loose
    ...
rival.answer()                                            what came of it
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from penstock import failpoints
from penstock.failpoints import Point

PATIENCE_S = 60.0
STEP_NS = 20_000
DOUBLINGS_MAX = 8
LEAD_MAX_NS = 200_000_000


class Rival:
    """Another process, over pipes; one line is one order, and one line is one answer."""

    def __init__(self, module: str, told: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        self._unread = b""
        self.strike(**told)
        assert self.answer() == {"ready": True}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def strike(self, **order: Any) -> None:
        """Let it act."""
        assert self._process.stdin is not None
        os.write(self._process.stdin.fileno(), json.dumps(order).encode() + b"\n")

    def answer(self) -> dict[str, Any]:
        """What it says of its last order. Raises AssertionError when it has ended."""
        assert self._process.stdout is not None
        while b"\n" not in self._unread:
            readable, _, _ = select.select([self._process.stdout], [], [], PATIENCE_S)
            piece = os.read(self._process.stdout.fileno(), 1 << 16) if readable else b""
            assert piece, f"the rival said nothing ({self._process.poll()})"
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return dict(json.loads(line))

    def wait_stopped(self) -> None:
        """Return when it stands still."""
        _, status = os.waitpid(self._process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"it ended with {status}"

    def go_on(self) -> None:
        """Let it go on after it was stopped."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.kill()
        self._process.wait()


def orders() -> Iterator[dict[str, Any]]:
    """In the rival: its orders, the first of them what it was told at its beginning."""
    for line in sys.stdin.buffer:
        yield json.loads(line)


def say(**answer: Any) -> None:
    """In the rival: its answer."""
    os.write(1, json.dumps(answer).encode() + b"\n")


def spin(wait_ns: int) -> None:
    """Pass so much time without leaving the processor to anybody who does not need it."""
    until_ns = time.perf_counter_ns() + wait_ns
    while time.perf_counter_ns() < until_ns:
        os.sched_yield()


class Lead:
    """Who waits how long, so that both win about as often: the nearer they are to that, the closer are their races.

    What it is from race to race the machine decides; the seed decides how much chance is in each.
    """

    def __init__(self, chance: random.Random, *, step_ns: int = STEP_NS) -> None:
        self._chance = chance
        self._step_ns = step_ns
        self._ours_ns = 0
        self._streak = 0

    def waits_ns(self) -> tuple[int, int]:
        """Ours and theirs; one of them is 0."""
        ours_ns = self._ours_ns + self._chance.randrange(-self._step_ns, self._step_ns)
        return max(0, ours_ns), max(0, -ours_ns)

    def won(self, *, ours: bool) -> None:
        """Whoever was first has to wait longer, and the longer the more often in a row that was so."""
        self._streak = max(1, self._streak + 1) if ours else min(-1, self._streak - 1)
        step_ns = self._step_ns << min(DOUBLINGS_MAX, abs(self._streak) - 1)
        changed_ns = self._ours_ns + (step_ns if ours else -step_ns)
        self._ours_ns = max(-LEAD_MAX_NS, min(LEAD_MAX_NS, changed_ns))


@contextmanager
def struck(point: Point, strike: Callable[[], None], *, passing: int = 1) -> Iterator[threading.Event]:
    """`strike` is called once, when this process passes `point` for the `passing`-th time; at the end if it never did.

    What it gives is set if it did.
    """
    lock, was_passed = threading.Lock(), threading.Event()
    left = passing

    def passed(here: Point) -> None:
        nonlocal left
        if here == point:
            with lock:
                left -= 1
                is_it = left == 0
            if is_it:
                was_passed.set()
                strike()

    before, failpoints.passing = failpoints.passing, passed
    try:
        yield was_passed
    finally:
        failpoints.passing = before
    if not was_passed.is_set():
        strike()
