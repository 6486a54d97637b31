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
    errands = Errands("test", threads_each=2)
    assert await errands.ask("a", lambda: 7, limit_s=60) == 7
    with pytest.raises(ZeroDivisionError):
        await errands.ask("a", lambda: 1 // 0, limit_s=60)


@pytest.mark.anyio
async def test_what_hangs_is_given_up_and_still_counts() -> None:
    errands = Errands("test", threads_each=1)
    gate, asked = threading.Event(), []
    with pytest.raises(TimeoutError):
        await errands.ask("a", lambda: gate.wait(60), limit_s=0.02)
    with pytest.raises(TimeoutError):
        await errands.ask("a", lambda: asked.append("second"), limit_s=0.02)
    assert asked == [], "the only thread hangs: nothing else may be started"
    gate.set()
    assert await errands.ask("a", lambda: "third", limit_s=60) == "third"


@pytest.mark.anyio
async def test_as_many_as_allowed_at_a_time_and_no_more() -> None:
    errands = Errands("test", threads_each=3)
    together, lock, now, most = threading.Barrier(3), threading.Lock(), 0, 0

    def question() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait(60)
        with lock:
            now -= 1

    await asyncio.gather(*(errands.ask("a", question, limit_s=60) for _ in range(12)))
    assert (now, most) == (0, 3)


@pytest.mark.anyio
async def test_one_that_hangs_stands_in_nobody_elses_way() -> None:
    errands = Errands("test", threads_each=1)
    gate = threading.Event()
    with pytest.raises(TimeoutError):
        await errands.ask("dead", lambda: gate.wait(60), limit_s=0.02)
    assert await errands.ask("alive", lambda: "here", limit_s=60) == "here"
    gate.set()
    assert await errands.ask("dead", lambda: "again", limit_s=60) == "again"


@pytest.mark.anyio
async def test_a_thread_that_cannot_be_started_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    errands = Errands("test", threads_each=1)
    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", full)
        with pytest.raises(RuntimeError):
            await errands.ask("a", lambda: 7, limit_s=60)
    assert await errands.ask("a", lambda: 7, limit_s=60) == 7
