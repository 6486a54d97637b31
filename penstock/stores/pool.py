"""The connections to one host: how many there may be, and which of them wait to be used again. Thread-safe.

Calls nothing but locks; opens no connection itself.
"""

from __future__ import annotations

import collections
import threading
import time

from penstock.stores.line import Line


class Pool:
    """At most `places` connections at a time, used or not; an unused one is trusted for `idle_s`."""

    def __init__(self, places: int, *, idle_s: float) -> None:
        self._free = places
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)
        self._waiting = 0
        self._idle: collections.deque[Line] = collections.deque()
        self._closed = False

    def take_place(self, wait_s: float) -> bool:
        """Take a place, waiting at most so long for one; False when none became free. It has to be given back."""
        with self._lock:
            if self._free == 0:
                if wait_s <= 0:
                    return False
                self._waiting += 1
                try:
                    if not self._freed.wait_for(lambda: self._free > 0, wait_s):
                        return False
                finally:
                    self._waiting -= 1
            self._free -= 1
            return True

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

    def give_back(self, line: Line | None) -> None:
        """Give a place back, and with it the connection if it may be used again; those too old are closed."""
        dropped: list[Line] = []
        with self._lock:
            if line is not None and not self._closed:
                line.used_s = time.monotonic()
                self._idle.append(line)
                while self._idle and line.used_s - self._idle[0].used_s > self._idle_s:
                    dropped.append(self._idle.popleft())
            elif line is not None:
                dropped.append(line)
            self._free += 1
            if self._waiting:
                self._freed.notify()
        for each in dropped:
            each.close()

    def close(self) -> None:
        """Close unused connections now, and those in use when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, collections.deque()
        for line in idle:
            line.close()
