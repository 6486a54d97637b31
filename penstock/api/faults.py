"""Faults that somebody armed in a stand-in: what is to go wrong, how often, with which calls or files.

The book is asked by whoever carries calls or files out (`standin`, and the stand-in's executor in `app`). Pure but for what it
counts; knows no clock of its own and does nothing by itself. Only a stand-in has one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase

from penstock.errors import FailureCode

FAULTS_MAX = 100
THROTTLE_WINDOW_NS = 1_000_000_000


class FaultKind(StrEnum):
    """What goes wrong. The first four are felt by files, the others by calls."""

    FAIL = "fail"  # FAILED, with a code and a message
    HOLD = "hold"  # stays RUNNING until the fault is removed, or the file canceled
    SLOW = "slow"  # moves no faster than so many bytes a second
    EXPIRE = "expire"  # EXPIRED instead of being begun
    ANSWER = "answer"  # refused with a code and a status
    THROTTLE = "throttle"  # no more than so many calls a second; what is beyond is refused
    DELAY = "delay"  # answered so much later
    LOSE = "lose"  # carried out, but its answer never arrives: the connection is cut


OF_FILES = frozenset({FaultKind.FAIL, FaultKind.HOLD, FaultKind.SLOW, FaultKind.EXPIRE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One armed fault. `count` is how often it strikes still: 0 until it is removed; `used` is how often it did.

    `path` and `action` are patterns (`*`, `?`, `[ab]`); `task_id` is "" for every task. Of the rest each kind has its own.
    """

    kind: FaultKind
    count: int
    fault_id: str = ""
    used: int = 0
    path: str = "*"
    task_id: str = ""
    action: str = "*"
    failure: FailureCode = FailureCode.STORE_REFUSED
    code: str = ""
    message: str = ""
    status: int = 0
    retry_after_s: int = 0
    bytes_per_s: int = 0
    calls_per_s: int = 0
    delay_ms: int = 0

    @property
    def is_spent(self) -> bool:
        """Whether it has struck as often as it was to."""
        return self.count > 0 and self.used >= self.count

    def is_for_file(self, paths: tuple[str, ...], task_id: str) -> bool:
        """Whether a file with these names (of source and target) is meant. A pattern without `/` is one of last parts."""
        if self.task_id not in ("", task_id):
            return False
        named = paths if "/" in self.path else tuple(path.rpartition("/")[2] for path in paths)
        return any(fnmatchcase(path, self.path) for path in named)

    def is_for_call(self, action: str) -> bool:
        """Whether a call of this action is meant."""
        return fnmatchcase(action.lower(), self.action.lower())


class FaultBook:
    """All armed faults, in the order in which they were. May be asked from any thread; changed on the loop's.

    `on_removed` is told the id of each that is removed: what it holds goes on.
    """

    def __init__(self) -> None:
        self.on_removed: Callable[[str], None] = _nobody
        self._faults: dict[str, Fault] = {}
        self._lately: dict[str, deque[int]] = {}  # when calls that throttles let through came
        self._armed = 0

    def arm(self, fault: Fault) -> str:
        """Its id. The caller sees to it that there are not more than FAULTS_MAX."""
        self._armed += 1
        fault_id = f"fault-{self._armed}"
        self._faults[fault_id] = replace(fault, fault_id=fault_id)
        return fault_id

    def remove(self, fault_id: str) -> bool:
        """Whether there was one. What it holds goes on."""
        if self._faults.pop(fault_id, None) is None:
            return False
        self._lately.pop(fault_id, None)
        self.on_removed(fault_id)
        return True

    def clear(self) -> None:
        """None is armed any more, and ids begin anew."""
        for fault_id in list(self._faults):
            self.remove(fault_id)
        self._armed = 0

    def __iter__(self) -> Iterator[Fault]:
        """All of them, the spent ones too: whoever armed one wants to see whether it struck."""
        return iter(tuple(self._faults.values()))

    def __len__(self) -> int:
        return len(self._faults)

    def of_file(self, kinds: frozenset[FaultKind], paths: tuple[str, ...], task_id: str) -> Fault | None:
        """The first of these kinds that strikes this file now; it is counted."""
        for fault in self:
            if fault.kind in kinds and not fault.is_spent and fault.is_for_file(paths, task_id):
                return self._struck(fault)
        return None

    def of_call(self, action: str, *, now_ns: int) -> Fault | None:
        """The first that strikes this call now; it is counted."""
        for fault in self:
            if fault.kind in OF_FILES or fault.is_spent or not fault.is_for_call(action):
                continue
            if fault.kind is not FaultKind.THROTTLE or self._is_beyond(fault, now_ns):
                return self._struck(fault)
        return None

    def has(self, kind: FaultKind) -> bool:
        """Whether one of that kind may strike still."""
        return any(fault.kind is kind and not fault.is_spent for fault in self)

    def _struck(self, fault: Fault) -> Fault:
        counted = replace(fault, used=fault.used + 1)
        if fault.fault_id in self._faults:  # it may be removed at this moment
            self._faults[fault.fault_id] = counted
        return counted

    def _is_beyond(self, fault: Fault, now_ns: int) -> bool:
        """Whether so many calls came within the last second already; else this one is one of them."""
        lately = self._lately.setdefault(fault.fault_id, deque())
        while lately and now_ns - lately[0] >= THROTTLE_WINDOW_NS:
            lately.popleft()
        if len(lately) >= fault.calls_per_s:
            return True
        lately.append(now_ns)
        return False


def _nobody(_: str) -> None:
    """Nobody wants to know."""
