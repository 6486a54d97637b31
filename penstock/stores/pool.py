"""The connections to one host: how many there may be, and which of them wait to be used again. Thread-safe.

Calls locks and the pacer; opens no connection itself.
"""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable

from penstock.stores.line import Line
from penstock.stores.pacer import Pacer, Weight


class Pool:
    """A place for each connection in use, as the pacer gives them; an unused connection is trusted for `idle_s`."""

    def __init__(self, pacer: Pacer, *, idle_s: float) -> None:
        self._pacer = pacer
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._idle: collections.deque[Line] = collections.deque()
        self._closed = False

    def take_place(self, wait_s: float, stops: Callable[[], bool] | None, weight: Weight) -> bool:
        """Take a place, waiting at most so long for one; False when none became free. It has to be given back.

        Raises ThrottledError when the bucket is to be left alone for longer.
        """
        return self._pacer.enter(wait_s, stops, weight)

    def sent(self) -> None:
        """The request for which a place was taken is out, or will never be."""
        self._pacer.sent()

    @property
    def has_kept(self) -> bool:
        """Whether a connection waits to be used again."""
        return bool(self._idle)

    def kept(self) -> Line | None:
        """The most recently used connection that still looks alive, for whoever has a place."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                line = self._idle.pop()
            if line.is_usable(time.monotonic(), self._idle_s):
                return line
            line.close()

    def give_back(self, weight: Weight, line: Line | None = None) -> None:
        """Give a place back, and with it the connection if it may be used again; those too old are closed."""
        dropped: list[Line] = []
        with self._lock:
            if line is not None and not self._closed:
                line.used_s = time.monotonic()
                line.stops = None
                self._idle.append(line)
                while self._idle and line.used_s - self._idle[0].used_s > self._idle_s:
                    dropped.append(self._idle.popleft())
            elif line is not None:
                dropped.append(line)
        self._pacer.leave(weight)
        for each in dropped:
            each.close()

    def close(self) -> None:
        """Close unused connections now, and those in use when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, collections.deque()
        for line in idle:
            line.close()
