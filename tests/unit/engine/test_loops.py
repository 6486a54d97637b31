"""Do loops wake, wait, survive errors, and end?"""

from __future__ import annotations

import asyncio

import pytest

from penstock.engine.loops import FOREVER_S, Bell, Loop

pytestmark = pytest.mark.anyio

PATIENCE_S = 30.0  # less than what is waited for by what does not end


class Steps:
    """Counts steps; `script` says what each returns or raises, then it sleeps until woken."""

    def __init__(self, *script: float | Exception) -> None:
        self.script = list(script)
        self.count = 0
        self.stepped = asyncio.Event()

    async def __call__(self) -> float:
        self.count += 1
        self.stepped.set()
        what = self.script.pop(0) if self.script else FOREVER_S
        if isinstance(what, Exception):
            raise what
        return what

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.count < count:
                self.stepped.clear()
                await self.stepped.wait()


async def test_a_ring_makes_the_next_step_and_many_rings_one(anyio_backend: str) -> None:
    steps, bell = Steps(), Bell()
    loop = Loop("test", steps, bell, trouble_wait_s=(0.0,))
    task = asyncio.create_task(loop.run())
    await steps.reach(1)
    for _ in range(10):
        bell.ring()
    await steps.reach(2)
    loop.stop()
    await asyncio.wait_for(task, PATIENCE_S)
    assert steps.count == 2


async def test_a_step_with_more_to_do_comes_again_at_once(anyio_backend: str) -> None:
    steps = Steps(0.0, 0.0, 0.001)
    loop = Loop("test", steps, Bell(), trouble_wait_s=(0.0,))
    task = asyncio.create_task(loop.run())
    await steps.reach(4)
    loop.stop()
    await asyncio.wait_for(task, PATIENCE_S)


async def test_an_error_is_told_and_the_step_tried_again(anyio_backend: str, caplog: pytest.LogCaptureFixture) -> None:
    steps = Steps(RuntimeError("first"), RuntimeError("second"), 0.0)
    loop = Loop("test", steps, Bell(), trouble_wait_s=(0.0, 0.01))
    task = asyncio.create_task(loop.run())
    await steps.reach(4)
    loop.stop()
    await asyncio.wait_for(task, PATIENCE_S)
    assert "engine.step_failed error=RuntimeError message=first step=test in_a_row=1" in caplog.text
    assert "in_a_row=2" in caplog.text


async def test_a_stop_ends_every_kind_of_waiting(anyio_backend: str) -> None:
    for script in ([], [60.0], [RuntimeError("x")]):
        steps = Steps(*script)
        loop = Loop("test", steps, Bell(), trouble_wait_s=(60.0,))
        task = asyncio.create_task(loop.run())
        await steps.reach(1)
        loop.stop()
        await asyncio.wait_for(task, PATIENCE_S)


async def test_under_load_steps_lie_apart(anyio_backend: str) -> None:
    steps = Steps(0.0, 0.0, 0.0, 0.0)
    loop = Loop("test", steps, Bell(), trouble_wait_s=(0.0,), gap_s=lambda: 0.02)
    begun = asyncio.get_running_loop().time()
    task = asyncio.create_task(loop.run())
    await steps.reach(5)
    assert asyncio.get_running_loop().time() - begun >= 0.08
    loop.stop()
    await asyncio.wait_for(task, PATIENCE_S)
