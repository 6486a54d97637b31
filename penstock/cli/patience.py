"""What a waiting command does while the service is away: it asks again, for a while, and says so once.

For reads alone, which may be repeated. Never decides what an answer means.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from penstock.cli.output import note
from penstock.errors import ApiRefusedError, ApiUnreachableError

Result = TypeVar("Result")

SILENCE_MAX_S = 60.0
ASK_AGAIN_S = 0.5
BUSY = frozenset({"Throttling.User", "ServiceUnavailable"})
"""What the service says when it has no places, or is about to end."""


def asked_patiently(
    ask: Callable[[], Result],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """The answer; a service that is restarted meanwhile is waited for. Raises what the last try did after a minute of silence."""
    until_s = 0.0
    while True:
        try:
            answer = ask()
        except (ApiUnreachableError, ApiRefusedError) as error:
            if isinstance(error, ApiRefusedError) and error.code not in BUSY:
                raise
            now_s = clock()
            if not until_s:
                until_s = now_s + SILENCE_MAX_S
                note(f"{error}; asking again for {SILENCE_MAX_S:g} s")
            if now_s >= until_s:
                raise
            sleep(ASK_AGAIN_S)
        else:
            if until_s:
                note("the service answers again")
            return answer
