"""What a waiting command does while the service is away, busy or full: it asks again, and says so once.

One rule for all commands that wait: silence and ServiceUnavailable are borne for a minute, a lack of places as long as it lasts.
For reads and for calls with a ClientToken, which may be repeated. Never decides what another answer means.
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
FULL_PAUSE_S = 1.0
NO_PLACE = "Throttling.User"
"""As many sub-tasks of the dataflow wait as may wait: there will be places when some were moved."""
BUSY = "ServiceUnavailable"
"""What a service says that is about to end, whose catalog takes nothing, or whose connections are too many; its words tell."""


class Patience:
    """That of one command."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._said_full = False

    def asked(self, ask: Callable[[], Result]) -> Result:
        """The answer; a service that is restarted meanwhile is waited for.

        Raises what another refusal raises, and what the last try did after a minute without an answer.
        """
        until_s = 0.0
        while True:
            try:
                answer = ask()
            except (ApiUnreachableError, ApiRefusedError) as error:
                code = error.code if isinstance(error, ApiRefusedError) else BUSY
                if code == NO_PLACE:
                    until_s = 0.0
                    self.await_places()
                    continue
                now_s = self._clock()
                if code != BUSY or 0 < until_s <= now_s:
                    raise
                if not until_s:
                    until_s = now_s + SILENCE_MAX_S
                    note(f"{error}; asking again for {SILENCE_MAX_S:g} s")
                self._sleep(ASK_AGAIN_S)
            else:
                if until_s:
                    note("the service answers again")
                return answer

    def await_places(self) -> None:
        """Let some time pass, in which files may be moved."""
        if not self._said_full:
            self._said_full = True
            note("as many sub-tasks wait as may wait; going on when there are places again")
        self._sleep(FULL_PAUSE_S)
