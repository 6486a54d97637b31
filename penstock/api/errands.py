"""Blocking questions to stores and file systems, asked from a few threads and never waited for longer than a bound.

Holds the threads; knows nothing of what they ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Found = TypeVar("Found")


class Errands:
    """A small pool of threads. A question that is not answered in time is given up; its thread ends by its own bounds."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def ask(self, question: Callable[[], Found], *, limit_s: float) -> Found:
        """The question's answer. Raises TimeoutError, and whatever the question raises."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, question)
        return await asyncio.wait_for(future, limit_s)

    def close(self) -> None:
        """Take no more questions; those being asked end by themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)
