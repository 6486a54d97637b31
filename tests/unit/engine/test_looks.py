"""What becomes of a batch whose look breaks: does it say so, and hold nothing?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from penstock.engine.looks import Looks
from penstock.engine.options import ListerOptions, RetryOptions
from penstock.errors import FailureCode

pytestmark = pytest.mark.anyio


class Told:
    """What the catalog would have been told."""

    def __init__(self) -> None:
        self.given_up: list[tuple[str, str]] = []
        self.explained: list[str] = []

    async def give_up_listing(self, task_id: str, *, code: str, message: str) -> None:
        self.given_up.append((code, message))

    async def explain(self, task_id: str, message: str) -> None:
        self.explained.append(message)


def breaking(error: Exception) -> Callable[[], Any]:
    def look() -> Any:
        raise error

    return look


async def taken(error: Exception) -> tuple[Told, Looks[Any]]:
    told, woken = Told(), asyncio.Event()
    loop = asyncio.get_running_loop()
    looks: Looks[Any] = Looks(
        batches=told,  # type: ignore[arg-type]
        options=ListerOptions(),
        retry=RetryOptions(),
        now_ns=lambda: 1,
        wake=lambda: loop.call_soon_threadsafe(woken.set),  # type: ignore[arg-type]
    )
    looks.begin(breaking(error), "look")
    await asyncio.wait_for(woken.wait(), 30)
    assert await looks.taken(SimpleNamespace(task_id="task-1", error_message="")) is None  # type: ignore[arg-type]
    return told, looks


async def test_a_defect_of_ours_fails_the_batch_at_once() -> None:
    told, looks = await taken(ZeroDivisionError("of ours"))
    assert looks.is_given_up
    assert [code for code, _ in told.given_up] == [FailureCode.INTERNAL]


async def test_what_the_machine_refuses_now_is_waited_for() -> None:
    told, looks = await taken(OSError("too many open files"))
    assert not looks.is_given_up
    assert [words.partition(":")[0] for words in told.explained] == [FailureCode.INTERNAL]
