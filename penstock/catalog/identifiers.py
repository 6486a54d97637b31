"""Public ids and the numbers behind them: each id begins with its time, so creation order is id order.

A number is the nanosecond of creation, made strictly increasing within the process and across restarts; it is the
primary key, and the id carries it (16 hex digits for dataflows, tasks and filesets, 12 base-36 digits and 7 of chance for
sub-tasks). Nothing here reads a clock or chance by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
TIME_DIGITS = 12  # base 36: nanoseconds until the year 2120
CHANCE_DIGITS = 7
CHANCE_BYTES = 5

_DATA_FLOW = re.compile(r"df-([0-9a-f]{16})", re.ASCII)
_TASK = re.compile(r"task-([0-9a-f]{16})", re.ASCII)
_FILESET = re.compile(r"fset-([0-9a-f]{16})", re.ASCII)
_SUB_TASK = re.compile(rf"subTaskId-([0-9a-z]{{{TIME_DIGITS}}})[0-9a-z]{{{CHANCE_DIGITS}}}", re.ASCII)
_NUMBER_MAX = (1 << 63) - 1
NO_NUMBER = -1
"""The number of an id that cannot be one of ours: no row has it."""


class NumberClock:
    """Gives numbers: the time in nanoseconds, or one more than the last when time has not moved on (or went back)."""

    def __init__(self, now_ns: Callable[[], int], last: int) -> None:
        self._now_ns = now_ns
        self._last = last

    @property
    def last(self) -> int:
        """The newest number that was given, here or before."""
        return self._last

    def next(self) -> int:
        """The next number; called from one thread only."""
        return self.take(1)

    def take(self, count: int) -> int:
        """The first of `count` numbers that follow each other."""
        first = max(self._now_ns(), self._last + 1)
        self._last = first + count - 1
        return first


_PAIRS = tuple(high + low for high in DIGITS for low in DIGITS)


def base36(value: int, width: int) -> str:
    """`value` in base 36, padded with zeros (or cut to its last digits) to `width`."""
    pairs: list[str] = []
    for _ in range((width + 1) // 2):  # two digits at a time: every sub-task has an id
        value, pair = divmod(value, 36 * 36)
        pairs.append(_PAIRS[pair])
    pairs.reverse()
    return "".join(pairs)[-width:]


def data_flow_id(number: int) -> str:
    """`df-` and 16 hex digits."""
    return f"df-{number:016x}"


def task_id(number: int) -> str:
    """`task-` and 16 hex digits."""
    return f"task-{number:016x}"


def fset_id(number: int) -> str:
    """`fset-` and 16 hex digits."""
    return f"fset-{number:016x}"


def sub_task_ids(first: int, count: int, chance: bytes) -> list[str]:
    """The ids of `count` sub-tasks with following numbers and the same chance of CHANCE_BYTES.

    Each is `subTaskId-` and 19 base-36 digits, of which the first 12 are time.
    """
    tail = base36(int.from_bytes(chance, "big"), CHANCE_DIGITS)
    return [f"{head}{tail}" for head in _heads(first, count)]


def own_sub_task_ids(first: int, count: int, chance: bytes) -> list[str]:
    """The ids of `count` sub-tasks with following numbers, each with CHANCE_BYTES of its own; else as `sub_task_ids`."""
    own = zip(_heads(first, count), range(0, len(chance), CHANCE_BYTES), strict=True)
    return [f"{head}{base36(int.from_bytes(chance[at : at + CHANCE_BYTES], 'big'), CHANCE_DIGITS)}" for head, at in own]


def _heads(first: int, count: int) -> Iterator[str]:
    """The ids of following numbers up to their chance: the last two digits alone differ mostly."""
    head, above = "", -1
    for number in range(first, first + count):
        high, low = divmod(number, 36 * 36)
        if high != above:
            head, above = f"subTaskId-{base36(high, TIME_DIGITS - 2)}", high
        yield f"{head}{_PAIRS[low]}"


def data_flow_number(identifier: str) -> int:
    """The number in a dataflow's id; NO_NUMBER when it has not the shape of one."""
    return _number(_DATA_FLOW, identifier, 16)


def task_number(identifier: str) -> int:
    """The number in a task's id; NO_NUMBER when it has not the shape of one."""
    return _number(_TASK, identifier, 16)


def fileset_number(identifier: str) -> int:
    """The number in a fileset's id; NO_NUMBER when it has not the shape of one."""
    return _number(_FILESET, identifier, 16)


def sub_task_number(identifier: str) -> int:
    """The number in a sub-task's id; NO_NUMBER when it has not the shape of one. The row must still carry the whole id."""
    return _number(_SUB_TASK, identifier, 36)


def _number(shape: re.Pattern[str], identifier: str, base: int) -> int:
    match = shape.fullmatch(identifier)
    number = int(match.group(1), base) if match else NO_NUMBER
    return number if number <= _NUMBER_MAX else NO_NUMBER
