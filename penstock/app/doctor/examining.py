"""Runs looks side by side, each in a thread of its own with a bound in time; one that hangs is told so and left behind.

Knows nothing of what is looked at. What a look raises, other than our own errors, is a defect and shows as one.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from penstock.app.doctor.findings import Finding, problem
from penstock.errors import PenstockError

AT_ONCE = 8
"""Looks under way at a time: what waits for a network costs nothing, and disks are not to be measured under our own load."""

_WAIT_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look. `hangs` says what it means when there is no answer within `limit_s`, and what to do then."""

    about: str
    look: Callable[[], Iterable[Finding]]
    limit_s: float
    hangs: str = "try again; if it stays so, see what it waits for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far it is: `under_way` are those that have no answer yet."""

    done: int
    total: int
    under_way: tuple[str, ...]


def examine(looks: Sequence[Look], *, on_progress: Callable[[Progress], None]) -> Iterator[tuple[Finding, ...]]:
    """What each look has found, in the order of the looks, as soon as all before it are there."""
    answers: queue.SimpleQueue[tuple[int, tuple[Finding, ...] | BaseException]] = queue.SimpleQueue()
    began_s: dict[int, float] = {}
    found: dict[int, tuple[Finding, ...]] = {}
    waiting, told = list(range(len(looks))), 0
    while told < len(looks):
        while waiting and len(began_s) < AT_ONCE:
            number = waiting.pop(0)
            began_s[number] = time.monotonic()
            _begin(number, looks[number], answers)
        try:
            number, answer = answers.get(timeout=_WAIT_S)
        except queue.Empty:
            pass
        else:
            if isinstance(answer, BaseException):
                raise answer
            if began_s.pop(number, None) is not None:  # else it was given up, and said so
                found[number] = answer
        for number in [each for each, since_s in began_s.items() if time.monotonic() - since_s > looks[each].limit_s]:
            del began_s[number]
            found[number] = (_hung(looks[number]),)
        under_way = tuple(looks[each].about for each in began_s)
        on_progress(Progress(done=len(found), total=len(looks), under_way=under_way))
        while told in found:
            yield found[told]
            told += 1


def _hung(look: Look) -> Finding:
    return problem(look.about, f"there is no answer within {look.limit_s:g} s", look.hangs)


def _begin(
    number: int, look: Look, answers: queue.SimpleQueue[tuple[int, tuple[Finding, ...] | BaseException]]
) -> None:
    """A thread that keeps nobody from ending: what hangs in the kernel could not be ended by anybody."""

    def run() -> None:
        try:
            answers.put((number, tuple(look.look())))
        except PenstockError as error:
            answers.put((number, (problem(look.about, str(error)),)))
        except OSError as error:
            words = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
            answers.put((number, (problem(look.about, words),)))
        except BaseException as error:  # noqa: BLE001  (raised again where it is waited for)
            answers.put((number, error))

    threading.Thread(target=run, name=f"look at {look.about}", daemon=True).start()
