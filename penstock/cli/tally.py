"""What became of the files of one command: counts, bytes, and how long it took. Kept small: of files only numbers stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from penstock.client import SubTask

LEFT_OUT = "LEFT-OUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of one file. `status` is the API's word, REFUSED, or what was never sent: UNFIT, LEFT-OUT."""

    name: str
    status: str
    sub_task: SubTask | None = None
    why: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the file is where it shall be."""
        return self.status == "COMPLETE"

    @classmethod
    def of(cls, sub_task: SubTask) -> Ending:
        """That of a sub-task."""
        return cls(name=sub_task.name, status=sub_task.status.value, sub_task=sub_task, why=sub_task.error)


class Tally:
    """Counts as files are found, handed over and ended. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began_s = clock()
        self.statuses: Counter[str] = Counter()
        self.found = 0
        self.found_bytes = 0
        self.ended_bytes = 0
        self.complete_bytes = 0
        self.moved_bytes = 0
        self.kept = 0
        self.sizes_known = True
        self.all_found = False

    def find(self, size_bytes: int | None) -> None:
        """One more file is to be moved."""
        self.found += 1
        self.found_bytes += size_bytes or 0
        self.sizes_known = self.sizes_known and size_bytes is not None

    def end(self, ending: Ending) -> None:
        """One more has ended."""
        self.statuses[ending.status] += 1
        if ending.sub_task is not None:
            sub_task = ending.sub_task
            if ending.is_good:
                self.ended_bytes += sub_task.bytes_total
                self.complete_bytes += sub_task.bytes_total
                self.moved_bytes += sub_task.bytes_moved
            else:
                self.ended_bytes += sub_task.bytes_done
                self.found_bytes -= sub_task.bytes_total - sub_task.bytes_done  # which nobody moves any more
            self.kept += sub_task.was_kept

    @property
    def ended(self) -> int:
        """How many have ended, whatever became of them."""
        return self.statuses.total()

    @property
    def bad(self) -> int:
        """How many did not arrive."""
        return self.ended - self.statuses["COMPLETE"] - self.statuses[LEFT_OUT]

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return self._clock() - self._began_s
