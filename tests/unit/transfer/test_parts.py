"""Does the part pool serve every file, stop what failed, and use its buffers again?"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from penstock.errors import StoppedError
from penstock.transfer.parts import PartJob, PartPool, Workspace

DEADLINE_S = 60.0


def test_all_jobs_are_done_on_all_workers() -> None:
    pool = PartPool(3, buffer_bytes=16)
    meeting = threading.Barrier(3)
    done: list[int] = []

    def work(number: int) -> PartJob:
        def run(workspace: Workspace) -> None:
            if number < 3:
                meeting.wait(DEADLINE_S)  # only passes when three run at the same time
            done.append(number)

        return PartJob(size_bytes=1, work=run)

    pool.run([work(number) for number in range(20)])
    assert sorted(done) == list(range(20))
    pool.run([])
    pool.close()


def test_files_take_turns_by_bytes() -> None:
    pool = PartPool(1, buffer_bytes=16)
    order: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def job(name: str, size: int) -> PartJob:
        def run(workspace: Workspace) -> None:
            begun.set()
            assert go_on.wait(DEADLINE_S)
            order.append(name)

        return PartJob(size_bytes=size, work=run)

    large = threading.Thread(target=lambda: pool.run([job("L", 100) for _ in range(6)]))
    large.start()
    assert begun.wait(DEADLINE_S)  # the large file has the only worker, five of its parts wait
    small = threading.Thread(target=lambda: pool.run([job("s", 25) for _ in range(6)]))
    small.start()
    _wait_for_lines(pool, 2)
    go_on.set()
    large.join(DEADLINE_S)
    small.join(DEADLINE_S)
    pool.close()
    assert sorted(order) == ["L"] * 6 + ["s"] * 6
    between = "".join(order).split("L")
    assert max(len(run) for run in between) <= 5  # about four small parts to one large, never a long wait
    assert "ssss" in "".join(order)
    assert order.index("s") <= 2


def test_a_peer_that_keeps_its_parts_waiting_leaves_a_place_to_others() -> None:
    pool = PartPool(4, buffer_bytes=16)
    changed = threading.Condition()
    held, released, most = [0], [0], [0]
    others: list[int] = []
    seen: list[int] = []

    def hold(workspace: Workspace) -> None:
        with changed:
            held[0] += 1
            most[0] = max(most[0], held[0])
            changed.notify_all()
            assert changed.wait_for(lambda: released[0] > 0, DEADLINE_S)
            released[0] -= 1
            held[0] -= 1

    def release(count: int) -> None:
        with changed:
            released[0] += count
            changed.notify_all()

    def other(number: int) -> PartJob:
        def run(workspace: Workspace) -> None:
            others.append(number)
            if number == 0:
                with changed:
                    most[0] = held[0]
                release(4)  # the next parts of the first peer begin while this one is there
                with changed:
                    assert changed.wait_for(lambda: released[0] == 0 and held[0] == 3, DEADLINE_S)
            seen.append(most[0])

        return PartJob(size_bytes=1000, work=run)

    slow = threading.Thread(target=lambda: pool.run([PartJob(size_bytes=1, work=hold) for _ in range(20)], peer="slow"))
    slow.start()
    with changed:
        assert changed.wait_for(lambda: held[0] == 4, DEADLINE_S)  # alone it may have all
    quick = threading.Thread(target=lambda: pool.run([other(number) for number in range(5)], peer="quick"))
    quick.start()
    _wait_for_lines(pool, 2)
    release(1)
    quick.join(DEADLINE_S)
    assert others == list(range(5))  # though the slow one has been served fewer bytes, and has parts waiting
    assert seen == [3] * 5
    release(20)
    slow.join(DEADLINE_S)
    pool.close()


def _wait_for_lines(pool: PartPool, count: int) -> None:
    with pool._changed:
        assert pool._changed.wait_for(lambda: len(pool._lines) == count, DEADLINE_S)


def test_a_failure_drops_what_waits_and_reaches_its_own_file_only() -> None:
    pool = PartPool(1, buffer_bytes=16)
    done: list[str] = []

    def fail(workspace: Workspace) -> None:
        raise ValueError("this part")

    def fine(workspace: Workspace) -> None:
        done.append("x")

    with pytest.raises(ValueError, match="this part"):
        pool.run([PartJob(size_bytes=1, work=fine), PartJob(size_bytes=1, work=fail), PartJob(size_bytes=1, work=fine)])
    assert done == ["x"]
    pool.run([PartJob(size_bytes=1, work=fine)])
    assert done == ["x", "x"]
    pool.close()


def test_each_worker_uses_its_own_buffer_again() -> None:
    pool = PartPool(2, buffer_bytes=16)
    meeting = threading.Barrier(2)
    seen: list[int] = []

    def look(workspace: Workspace) -> None:
        meeting.wait(DEADLINE_S)
        assert len(workspace.buffer()) == 16
        seen.append(id(workspace.buffer().obj))

    pool.run([PartJob(size_bytes=1, work=look) for _ in range(10)])
    assert len(set(seen)) == 2
    pool.close()


def test_closing_ends_waiting_files() -> None:
    pool = PartPool(1, buffer_bytes=16)
    begun, go_on = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def hold(workspace: Workspace) -> None:
        begun.set()
        assert go_on.wait(DEADLINE_S)

    def run() -> None:
        try:
            pool.run([PartJob(size_bytes=1, work=hold) for _ in range(3)])
        except StoppedError as error:
            errors.append(error)

    file = threading.Thread(target=run)
    file.start()
    assert begun.wait(DEADLINE_S)
    closing = threading.Thread(target=pool.close)
    closing.start()
    go_on.set()
    closing.join(DEADLINE_S)
    file.join(DEADLINE_S)
    assert len(errors) == 1
    with pytest.raises(StoppedError):
        pool.run([PartJob(size_bytes=1, work=hold)])


def test_a_file_whose_parts_wait_behind_others_hears_a_stop() -> None:
    pool = PartPool(1, buffer_bytes=16)
    gate = threading.Event()
    other = threading.Thread(target=lambda: pool.run([PartJob(size_bytes=1, work=lambda _: _held(gate))]))
    other.start()
    _wait_for_lines(pool, 1)
    done: list[str] = []

    def stop() -> None:
        raise StoppedError("canceled")

    with pytest.raises(StoppedError, match="canceled"):
        pool.run([PartJob(size_bytes=1, work=lambda _: done.append("x"))], look=stop)
    assert not gate.is_set()
    gate.set()
    other.join(DEADLINE_S)
    assert done == []
    pool.close()


def _held(gate: threading.Event) -> None:
    assert gate.wait(DEADLINE_S)


def test_more_workers_come_where_they_make_it_faster_and_their_buffers_are_made_once() -> None:
    """Every part takes as long as its neighbours, however many there are: from one look at the clock to the next."""
    looked = threading.Condition()
    looks = 0
    buffers: dict[int, Workspace] = {}

    def clock_s() -> float:
        nonlocal looks
        with looked:
            looks += 1
            looked.notify_all()
            return looks * 0.6

    pool = PartPool(2, workers_max=6, buffer_bytes=16, clock_s=clock_s)

    def run(workspace: Workspace) -> None:
        with looked:
            begun = looks
            assert looked.wait_for(lambda: looks > begun, DEADLINE_S)
            buffers[id(workspace.buffer())] = workspace
            workspace.moved(1 << 20)

    def look(workspace: Workspace) -> None:
        clock_s()

    def jobs() -> Iterator[PartJob]:
        until_s = time.monotonic() + DEADLINE_S
        while len(buffers) < 6 and time.monotonic() < until_s:
            yield PartJob(size_bytes=1, work=run)
        for _ in range(pool.workers):  # what was asked for last ends by a look, which needs parts that wait
            yield PartJob(size_bytes=1, work=look)

    pool.run(jobs())
    assert pool.workers == 6
    pool.close()
    assert len(buffers) == 6


def test_a_peer_that_fell_silent_with_all_places_lends_some_to_others() -> None:
    """They are lent while nothing of its parts moves, and never to itself; afterwards as many run as before."""
    pool = PartPool(4, workers_max=16, buffer_bytes=16)
    silence, held = threading.Event(), threading.Semaphore(0)

    def hold(workspace: Workspace) -> None:
        held.release()
        assert silence.wait(DEADLINE_S)

    def held_now() -> int:
        with pool._changed:
            return pool._running

    silent = threading.Thread(
        target=lambda: pool.run([PartJob(size_bytes=1, work=hold) for _ in range(6)], peer="silent")
    )
    silent.start()
    assert all(held.acquire(timeout=DEADLINE_S) for _ in range(4))
    meeting = threading.Barrier(3)

    def meet(workspace: Workspace) -> None:
        meeting.wait(DEADLINE_S)  # as many at once as if the others had left

    pool.run([PartJob(size_bytes=1, work=meet) for _ in range(6)], peer="well")
    assert held_now() == 4
    assert pool.workers == 4
    silence.set()
    silent.join(DEADLINE_S)
    pool.close()
