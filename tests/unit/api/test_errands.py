"""Are blocking questions bounded in time and number, even when some never end?"""

import asyncio
import threading

import pytest

from penstock.api.errands import Errands


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_answers_and_errors_come_back() -> None:
    errands = Errands("test", 2)
    assert await errands.ask(lambda: 7, limit_s=5) == 7
    with pytest.raises(ZeroDivisionError):
        await errands.ask(lambda: 1 // 0, limit_s=5)


@pytest.mark.anyio
async def test_what_hangs_is_given_up_and_still_counts() -> None:
    errands = Errands("test", 1)
    gate, asked = threading.Event(), []
    with pytest.raises(TimeoutError):
        await errands.ask(lambda: gate.wait(30), limit_s=0.02)
    with pytest.raises(TimeoutError):
        await errands.ask(lambda: asked.append("second"), limit_s=0.02)
    assert asked == [], "the only thread hangs: nothing else may be started"
    gate.set()
    assert await errands.ask(lambda: "third", limit_s=5) == "third"


@pytest.mark.anyio
async def test_as_many_as_allowed_at_a_time_and_no_more() -> None:
    errands = Errands("test", 3)
    together, lock, now, most = threading.Barrier(3), threading.Lock(), 0, 0

    def question() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait(10)
        with lock:
            now -= 1

    await asyncio.gather(*(errands.ask(question, limit_s=10) for _ in range(12)))
    assert (now, most) == (0, 3)
