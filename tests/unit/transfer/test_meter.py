"""Does progress only rise, and does time count only while bytes move?"""

from __future__ import annotations

import threading

from penstock.model import FileDetail
from penstock.transfer.meter import Meter, PartMeter
from penstock.transfer.transfer import Progress


class Clock:
    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


def a_meter(clock: Clock, told: list[Progress], total: int = 100) -> Meter:
    meter = Meter(sub_task_id="s", attempt=2, now_ns=clock, tell=told.append)
    meter.learn(FileDetail(modify_time_ns=5, size_bytes=total))
    return meter


def test_a_part_sent_again_counts_once_and_nothing_passes_the_total() -> None:
    told: list[Progress] = []
    meter = a_meter(Clock(), told)
    part = PartMeter(meter)
    for position in (10, 30, 5, 30, 31):
        part.reach(position)
    assert meter.bytes_done == 31
    PartMeter(meter).reach(500)
    assert [progress.bytes_done for progress in told] == [10, 30, 31, 100]
    assert {progress.bytes_total for progress in told} == {100}
    assert told[0].attempt == 2


def test_time_counts_while_anything_moves() -> None:
    clock = Clock()
    meter = a_meter(clock, [])
    clock.ns = 50
    with meter.moving():
        clock.ns = 60
        with meter.moving():
            clock.ns = 70
        assert meter.moving_ns() == 20
    clock.ns = 1000
    assert meter.moving_ns() == 20
    with meter.moving():
        clock.ns = 900  # the wall clock was set back
    assert meter.moving_ns() == 20


def test_what_was_kept_makes_no_average_faster() -> None:
    clock, told = Clock(), list[Progress]()
    meter = a_meter(clock, told)
    PartMeter(meter).keep(60)
    assert (meter.bytes_done, meter.moving_ns()) == (60, 0)
    part = PartMeter(meter)
    with meter.moving():
        clock.ns += 200
        part.reach(20)
    assert (told[-1].actual_bytes, told[-1].moving_ns) == (80, 800)  # 20 bytes took 200: that is the speed of all
    assert meter.taken_ns() == 800


def test_what_several_threads_tell_never_falls() -> None:
    told: list[Progress] = []
    meter = a_meter(Clock(), told, total=4000)

    def part() -> None:
        counted = PartMeter(meter)
        for position in range(1, 1001):
            counted.reach(position)

    threads = [threading.Thread(target=part) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [progress.bytes_done for progress in told]
    assert done == sorted(done)
    assert done[-1] == 4000
