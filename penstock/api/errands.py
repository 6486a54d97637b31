"""Blocking questions to stores and file systems, asked from a few threads each and never waited for longer than a bound.

The threads are daemons: a file system that never answers must not keep the service from ending. Knows nothing of the questions.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

Found = TypeVar("Found")


class Errands:
    """At most `threads_each` questions to one thing at a time, also counting those given up that still hang. One loop.

    A thing that never answers so stands in nobody's way but its own.
    """

    def __init__(self, name: str, *, threads_each: int) -> None:
        self._name = name
        self._free: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(threads_each))

    async def ask(self, whom: str, question: Callable[[], Found], *, limit_s: float) -> Found:
        """The answer of `whom` (the name of one of few things). Raises TimeoutError, and whatever the question raises."""
        free = self._free[whom]
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(limit_s):
            await free.acquire()
            answer: asyncio.Future[Found] = loop.create_future()
            try:
                threading.Thread(
                    target=self._run, args=(loop, free, answer, question), name=self._name, daemon=True
                ).start()
            except BaseException:
                free.release()  # nobody else will
                raise
            return await answer

    def _run(
        self,
        loop: asyncio.AbstractEventLoop,
        free: asyncio.Semaphore,
        answer: asyncio.Future[Any],
        question: Callable[[], Any],
    ) -> None:
        found, error = None, None
        try:
            found = question()
        except BaseException as raised:  # noqa: BLE001 - it belongs to whoever asked and is raised there
            error = raised
        try:
            loop.call_soon_threadsafe(self._deliver, free, answer, found, error)
        except RuntimeError:
            return  # the loop has ended meanwhile: nobody waits

    def _deliver(
        self, free: asyncio.Semaphore, answer: asyncio.Future[Any], found: object, error: BaseException | None
    ) -> None:
        free.release()
        if answer.done():
            return  # given up
        if error is None:
            answer.set_result(found)
        else:
            answer.set_exception(error)
