"""What the client does, as steps: a generator says which call to make or how long to pause, and is told the answer.

So there is one logic and two drivers, one that blocks and one on asyncio, and nothing here touches a socket or sleeps. Calls are
repeated here and nowhere else: silence and a busy service are borne for a while, a lack of places as long as it lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from penstock.client.signing import Call, Parameter
from penstock.errors import ApiRefusedError, ApiUnreachableError

Result = TypeVar("Result")
Answer = Mapping[str, Any]

THROTTLING = "Throttling"
"""The beginning of each code that asks to come back later: as many sub-tasks wait as may wait, or calls are too many."""
BUSY_STATUSES = frozenset({502, 503, 504})
THROTTLED_PAUSE_S = 1.0
ASK_AGAIN_S = 0.5
LOOKS_S = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Pauses between looks at what is under way: short while it may be quick, and never long."""
PAGE_MAX = 100
IDS_MAX = 10
"""What a page of sub-tasks holds, and how many ids one filter takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Do nothing for so long."""

    seconds: float


Steps = Generator[Call | Pause, Answer, Result]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all steps stand on.

    `file_system_id` is the file system that is meant. Silence is borne for `silence_max_s` seconds, and `on_wait` is told, once
    each time, why there is a wait. `clock` is monotonic, `entropy` is the operating system's.
    """

    file_system_id: str
    silence_max_s: float
    on_wait: Callable[[str], None]
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]

    def token(self) -> str:
        """A ClientToken that nobody else has."""
        return self.entropy(16).hex()


def ask(ground: Ground, action: str, **parameters: Parameter | None) -> Steps[Answer]:
    """A call about the file system that is meant. For reads, and for calls with a ClientToken: they may be repeated."""
    return patiently(ground, Call(action=action, parameters={"FileSystemId": ground.file_system_id, **parameters}))


def patiently(ground: Ground, call: Call, *, on_silence: Callable[[Exception], None] = lambda _: None) -> Steps[Answer]:
    """The answer, with a service that is restarted or full waited for.

    `on_silence` is told of each try that may have got through all the same.
    Raises what another refusal raises, and what the last try did after so long without an answer.
    """
    until_s = 0.0
    is_full = False
    while True:
        try:
            return (yield call)
        except ApiRefusedError as error:
            if error.code.startswith(THROTTLING) or error.status == 429:
                if not is_full:
                    is_full = True
                    ground.on_wait(f"{error}; going on when there are places again")
                until_s = 0.0
                yield Pause(seconds=error.retry_after_s or THROTTLED_PAUSE_S)
                continue
            if error.status not in BUSY_STATUSES:
                raise
            on_silence(error)
            until_s = _bear(ground, error, until_s)
            pause_s = error.retry_after_s or ASK_AGAIN_S
        except ApiUnreachableError as error:
            on_silence(error)
            until_s = _bear(ground, error, until_s)
            pause_s = ASK_AGAIN_S
        yield Pause(seconds=min(pause_s, ground.silence_max_s))


def _bear(ground: Ground, error: ApiRefusedError | ApiUnreachableError, until_s: float) -> float:
    """Until when this is borne. Raises the error once it has been borne long enough."""
    now_s = ground.clock()
    if not until_s:
        if ground.silence_max_s <= 0:
            raise error
        ground.on_wait(f"{error}; asking again for {ground.silence_max_s:g} s")
        return now_s + ground.silence_max_s
    if now_s >= until_s:
        raise error
    return until_s


def page(
    ground: Ground, action: str, filters: Mapping[str, str], *, limit: int = PAGE_MAX, next_token: str = ""
) -> Steps[Answer]:
    """One page of a Describe… call, newest first."""
    chosen = [{"Key": key, "Value": value} for key, value in filters.items() if value]
    return ask(ground, action, Filters=chosen or None, MaxResults=limit, NextToken=next_token or None)


def listed(answer: Answer, outer: str, inner: str) -> Sequence[Answer]:
    """The list inside of an answer (`DataFlowInfo.DataFlow`)."""
    return list(answer.get(outer, {}).get(inner, []))


def rest(looks: int) -> Steps[None]:
    """The pause after so many looks that saw nothing new."""
    yield Pause(seconds=LOOKS_S[min(looks, len(LOOKS_S) - 1)])
