"""Blocking questions to stores and file systems, asked from a few threads and never waited for longer than a bound.

The threads are daemons: a file system that never answers must not keep the service from ending. Knows nothing of the questions.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Found = TypeVar("Found")


class Errands:
    """At most `threads` questions at a time, also counting those that were given up and still hang. One event loop."""

    def __init__(self, name: str, threads: int) -> None:
        self._name = name
        self._free = asyncio.Semaphore(threads)

    async def ask(self, question: Callable[[], Found], *, limit_s: float) -> Found:
        """The question's answer. Raises TimeoutError, and whatever the question raises."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(limit_s):
            await self._free.acquire()
            answer: asyncio.Future[Found] = loop.create_future()
            threading.Thread(target=self._run, args=(loop, answer, question), name=self._name, daemon=True).start()
            return await answer

    def _run(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any], question: Callable[[], Any]) -> None:
        found, error = None, None
        try:
            found = question()
        except BaseException as raised:  # noqa: BLE001 - it belongs to whoever asked and is raised there
            error = raised
        try:
            loop.call_soon_threadsafe(self._deliver, answer, found, error)
        except RuntimeError:
            return  # the loop has ended meanwhile: nobody waits

    def _deliver(self, answer: asyncio.Future[Any], found: object, error: BaseException | None) -> None:
        self._free.release()
        if answer.done():
            return  # given up
        if error is None:
            answer.set_result(found)
        else:
            answer.set_exception(error)
