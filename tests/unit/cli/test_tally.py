"""Do the numbers of a command stay true, whatever became of its files?"""

from __future__ import annotations

from penstock.cli.tally import LEFT_OUT, Ending, Tally
from penstock.client import SubTask, SubTaskStatus


def ended(status: SubTaskStatus, *, total: int, done: int, moved: int) -> Ending:
    return Ending.of(
        SubTask(
            sub_task_id="st", flow_id="df", task_id="t", source="/a", target="/a", status=status, progress=0.5,
            bytes_total=total, bytes_done=done, bytes_moved=moved, average_speed=0, error="",
        )
    )  # fmt: skip


def test_what_was_moved_is_counted_and_what_was_not_is_waited_for_no_more() -> None:
    tally = Tally(lambda: 0.0)
    for size_bytes in (100, 50, 1000, 1000):
        tally.find(size_bytes)
    tally.end(ended(SubTaskStatus.COMPLETE, total=100, done=100, moved=100))
    tally.end(ended(SubTaskStatus.COMPLETE, total=50, done=50, moved=0))
    assert (tally.ended_bytes, tally.complete_bytes, tally.moved_bytes, tally.kept) == (150, 150, 100, 1)
    tally.end(ended(SubTaskStatus.CANCELED, total=1000, done=30, moved=0))
    tally.end(ended(SubTaskStatus.FAILED, total=1000, done=0, moved=0))
    tally.end(Ending(name="link", status=LEFT_OUT))
    assert (tally.ended, tally.bad) == (5, 2)
    assert tally.ended_bytes == tally.found_bytes == 180
    assert (tally.complete_bytes, tally.moved_bytes) == (150, 100)
