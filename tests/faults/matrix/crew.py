"""Worlds side by side that work off one list of jobs. One in which a job failed is ended, and a new one takes its place.

Nothing more is begun once somebody has stopped it, or too much has failed. Knows no death and no table.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

from tests.faults.matrix.world import World

FAILURES_MAX = 4
"""Whoever sees so many wants to know why before more are tried."""

Job = TypeVar("Job")


class Crew(Generic[Job]):
    """So many worlds, each made by `make` when it is needed first; `failed` hears which job spoilt one, how, and its log."""

    def __init__(
        self, make: Callable[[], World], *, worlds: int, failed: Callable[[Job, Exception, str], None]
    ) -> None:
        self._make = make
        self._failed = failed
        self._worlds: list[World | None] = [None] * worlds
        self._failures = 0
        self._changing = threading.Lock()
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self.is_stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in range(len(self._worlds)):
            self._end(number)

    def work(self, jobs: Sequence[Job], do: Callable[[World, Job], None]) -> list[Job]:
        """Have them done, in about this order; the answer are those that nobody began."""
        for job in jobs:
            self._jobs.put(job)
        threads = [
            threading.Thread(target=self._work, args=(number, do), daemon=True) for number in range(len(self._worlds))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [job for job in iter(self._next, None) if job is not None]

    def stop(self) -> None:
        """Begin nothing more: `work` returns when what is under way has come to its end. May be called by a signal's handler."""
        self.is_stopped = True

    def _work(self, number: int, do: Callable[[World, Job], None]) -> None:
        while not self.is_stopped and self._failures < FAILURES_MAX:
            job = self._next()
            if job is None:
                return
            self._try(number, job, do)

    def _try(self, number: int, job: Job, do: Callable[[World, Job], None]) -> None:
        try:
            do(self._world(number), job)
        except Exception as error:  # noqa: BLE001  (whatever it is, this world is spoilt; others go on)
            world = self._worlds[number]
            with self._changing:
                self._failures += 1
            self._failed(job, error, world.service.log_text() if world is not None else "")
            self._end(number)

    def _next(self) -> Job | None:
        with suppress(Empty):
            return self._jobs.get_nowait()
        return None

    def _world(self, number: int) -> World:
        made = self._worlds[number] = self._worlds[number] or self._make()
        return made

    def _end(self, number: int) -> None:
        world, self._worlds[number] = self._worlds[number], None
        if world is not None:
            world.close()
