"""Memory and descriptors of a service and its movers over time, and whether they grow. Samples /proc; starts nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.accounts import pss_bytes
from tests.soak.errands import Finding, Wrong
from tests.soak.stand import Stand

SAMPLE_S = 1.0
SAMPLES_MIN = 300
GROWTH_BYTES = 8 << 20
GROWTH_SHARE = 0.15
GROWTH_DESCRIPTORS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One process at one moment."""

    at_s: float
    kind: str
    process_id: int
    pss_bytes: int
    descriptors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The medians of the first and of the last third of a stretch in which nothing died."""

    kind: str
    samples: int
    first_bytes: int
    last_bytes: int
    first_descriptors: int
    last_descriptors: int

    @property
    def finding(self) -> Finding | None:
        """What is wrong with it, if there are samples enough to tell."""
        if self.samples < SAMPLES_MIN:
            return None
        grown = self.last_bytes - self.first_bytes
        if grown > GROWTH_BYTES + GROWTH_SHARE * self.first_bytes:
            return Finding(wrong=Wrong.GROWN, words=f"{self.kind}: from {self.first_bytes} to {self.last_bytes} bytes")
        if self.last_descriptors - self.first_descriptors > GROWTH_DESCRIPTORS:
            words = f"{self.kind}: from {self.first_descriptors} to {self.last_descriptors} descriptors"
            return Finding(wrong=Wrong.GROWN, words=words)
        return None


def trend(kind: str, samples: Sequence[Sample]) -> Trend:
    """Of the processes of one kind; the beginning, when caches fill, is left out."""
    mine = sorted((one for one in samples if one.kind == kind), key=lambda one: one.at_s)
    settled = mine[len(mine) // 5 :]
    third = max(len(settled) // 3, 1)
    first, last = settled[:third], settled[-third:]
    return Trend(
        kind=kind,
        samples=len(mine),
        first_bytes=int(median([one.pss_bytes for one in first] or [0])),
        last_bytes=int(median([one.pss_bytes for one in last] or [0])),
        first_descriptors=int(median([one.descriptors for one in first] or [0])),
        last_descriptors=int(median([one.descriptors for one in last] or [0])),
    )


class Gauges:
    """Samples in a thread of its own; `peaks` are of the whole time, `samples` only of the level stretch."""

    def __init__(self, stand: Stand, level: threading.Event) -> None:
        self._stand = stand
        self._level = level
        self._ended = threading.Event()
        self.samples: list[Sample] = []
        self.peak_bytes: dict[str, int] = {}
        self._thread = threading.Thread(target=self._watch, name="gauges", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            movers = [("mover", pid) for pid in self._stand.movers()]
            for kind, process_id in [("service", self._stand.service.pid), *movers]:
                sample = _sample(kind, process_id)
                if sample is None:
                    continue
                self.peak_bytes[kind] = max(self.peak_bytes.get(kind, 0), sample.pss_bytes)
                if self._level.is_set():
                    self.samples.append(sample)

    def close(self) -> None:
        """Sample no more."""
        self._ended.set()
        self._thread.join()


def _sample(kind: str, process_id: int) -> Sample | None:
    try:
        descriptors = len(os.listdir(f"/proc/{process_id}/fd"))
    except OSError:  # it has ended meanwhile
        return None
    used_bytes = pss_bytes(process_id)
    if not used_bytes:
        return None
    return Sample(
        at_s=time.monotonic(), kind=kind, process_id=process_id, pss_bytes=used_bytes, descriptors=descriptors
    )
