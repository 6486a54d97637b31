"""What the request ids of one host are worth: with most stores each is given once, with some again and again.

Pure bookkeeping, thread-safe; calls nobody. An id that comes a second time on one connection is that of the answer before,
unless it is known to say nothing: because the first answer on another connection, which is nobody else's, had it too.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping

HEARD_MAX = 64
"""So many ids are remembered; a store that repeats them does so sooner."""


def request_id_of(headers: Mapping[str, str]) -> str:
    """The request id of an answer; "" when it tells none."""
    return headers.get("x-oss-request-id") or headers.get("x-amz-request-id") or ""


class RequestIds:
    """Those that one host has told.

    `is_unsure`: only one connection has told any, or one told the same id twice. The next request needs a fresh one, then,
    which tells more: were its answer to have the same id on the same connection, a write would have to be taken for failed.
    """

    __slots__ = ("_heard", "_lock", "_repeated", "is_unsure")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard: deque[str] = deque(maxlen=HEARD_MAX)
        self._repeated: deque[str] = deque(maxlen=HEARD_MAX)
        self.is_unsure = False

    def say_nothing(self, told: str) -> bool:
        """Whether this one is known to be given to many requests."""
        with self._lock:
            return told in self._repeated

    def came_first(self, told: str) -> None:
        """The first answer on a connection had this id, or none ("")."""
        with self._lock:
            self.is_unsure = bool(told) and not self._heard
            if told not in self._heard:
                self._heard.extend([told] if told else [])
            elif told not in self._repeated:
                self._repeated.append(told)

    def came_again(self, told: str) -> None:
        """An answer had the same id as the one before on its connection, and was not believed."""
        with self._lock:
            self._heard.append(told)
            self.is_unsure = True
