"""One blocking question, asked in a thread of its own that the process need not wait for when it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Found = TypeVar("Found")


def ask(question: Callable[[], Found], name: str) -> asyncio.Future[Found]:
    """What it answers or raises, for the loop that runs. Whoever gives it up leaves the thread alone."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Found] = loop.create_future()

    def say(found: Found | None, error: Exception | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found)  # type: ignore[arg-type]  # with no error it is what was found

    def run() -> None:
        found, error = None, None
        try:
            found = question()
        except Exception as raised:  # noqa: BLE001  (it belongs to whoever asked, and is raised there)
            error = raised
        with suppress(RuntimeError):  # the loop has ended meanwhile: nobody wants to know any more
            loop.call_soon_threadsafe(say, found, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return answer
