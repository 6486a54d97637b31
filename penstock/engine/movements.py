"""What has moved since the service began, and how fast that goes on, by dataflow and direction. Told once a report; pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from penstock.engine.options import NS_PER_S
from penstock.model import Direction

SPEED_MEMORY_S = 3.0
"""Movers tell of large files once a second: what is told is spread over about so long, and after that it is history."""


class Stream:
    """One way of one dataflow: totals that only grow, and rates that fade while nothing comes."""

    __slots__ = ("_at_ns", "_bytes_rate", "_files_rate", "bytes", "files")

    def __init__(self) -> None:
        self.bytes = 0
        self.files = 0
        self._bytes_rate = 0.0
        self._files_rate = 0.0
        self._at_ns = 0

    def add(self, files: int, size_bytes: int, now_ns: int) -> None:
        """So much more."""
        fading = self._fading(now_ns)
        self._bytes_rate = self._bytes_rate * fading + size_bytes / SPEED_MEMORY_S
        self._files_rate = self._files_rate * fading + files / SPEED_MEMORY_S
        self._at_ns = now_ns
        self.bytes += size_bytes
        self.files += files

    def rates(self, now_ns: int) -> tuple[float, float]:
        """Bytes and files a second, now: nothing where nothing was told for longer than what is told is spread over."""
        if now_ns - self._at_ns > SPEED_MEMORY_S * NS_PER_S:
            return 0.0, 0.0
        fading = self._fading(now_ns)
        return self._bytes_rate * fading, self._files_rate * fading

    def _fading(self, now_ns: int) -> float:
        return math.exp(-max(0, now_ns - self._at_ns) / (SPEED_MEMORY_S * NS_PER_S))


class Movements:
    """All streams of bytes that there were since the service began, also of dataflows that are gone: sums of them only grow."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, str, str], Stream] = {}

    def add(
        self, file_system_id: str, data_flow_id: str, direction: str, *, files: int, size_bytes: int, now_ns: int
    ) -> None:
        """One report's files of a dataflow."""
        key = (file_system_id, data_flow_id, direction)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = Stream()
        stream.add(files, size_bytes, now_ns)

    def among(self, file_systems: Collection[str]) -> Iterator[tuple[str, Direction, Stream]]:
        """Those of these file systems: dataflow, direction, and the stream."""
        for (file_system, data_flow_id, direction), stream in self._streams.items():
            if file_system in file_systems:
                yield data_flow_id, Direction(direction), stream
