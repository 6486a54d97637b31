"""The pulse of the service: bytes a second over the last minutes, of which the overview draws its graph.

A ring of bounded length. Totals that only grow are put in, speeds come out. Pure: the clock comes in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

SAMPLES_MAX = 600
NS_PER_S = 1_000_000_000
GAP_S = 5.0
"""Totals further apart than this say nothing of the time between: the graph has a gap there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Bytes moved so far: into file systems (imports) and out of them (exports)."""

    in_bytes: int = 0
    out_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What had moved at one moment, of each dataflow."""

    at_ns: int
    flows: Mapping[str, Totals]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """Bytes a second at one moment; None where nobody looked."""

    at_s: int
    in_speed: int | None
    out_speed: int | None


class Pulse:
    """The newest samples. One event loop."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_MAX)

    def take(self, sample: Sample) -> None:
        """One more sample; one that is not newer than the last is let go."""
        if not self._samples or sample.at_ns > self._samples[-1].at_ns:
            self._samples.append(sample)

    def beats(self, data_flow_ids: Collection[str], *, after_s: int = 0) -> Sequence[Beat]:
        """Speeds of these dataflows together, oldest first; `after_s`: only what is newer."""
        return [beat for beat in self._beats(data_flow_ids) if beat.at_s > after_s]

    def _beats(self, data_flow_ids: Collection[str]) -> Iterator[Beat]:
        before: Sample | None = None
        for sample in self._samples:
            if before is not None:
                yield _beat(before, sample, data_flow_ids)
            before = sample


def _beat(before: Sample, now: Sample, data_flow_ids: Collection[str]) -> Beat:
    passed_ns = now.at_ns - before.at_ns
    at_s = now.at_ns // NS_PER_S
    if passed_ns > GAP_S * NS_PER_S:
        return Beat(at_s=at_s, in_speed=None, out_speed=None)
    first, last = _totals(before, data_flow_ids), _totals(now, data_flow_ids)
    return Beat(
        at_s=at_s,
        in_speed=_speed(last.in_bytes - first.in_bytes, passed_ns),
        out_speed=_speed(last.out_bytes - first.out_bytes, passed_ns),
    )


def _totals(sample: Sample, data_flow_ids: Collection[str]) -> Totals:
    found = [sample.flows[each] for each in data_flow_ids if each in sample.flows]
    return Totals(in_bytes=sum(each.in_bytes for each in found), out_bytes=sum(each.out_bytes for each in found))


def _speed(moved_bytes: int, passed_ns: int) -> int:
    """Never below 0: counters begin anew with a mover, and of a flow that has just begun the first sample is missing."""
    return max(0, moved_bytes) * NS_PER_S // passed_ns


def columns(beats: Sequence[Beat]) -> tuple[list[int], list[int | None], list[int | None]]:
    """Beats as the graph wants them: times, speeds in, speeds out."""
    return [beat.at_s for beat in beats], [beat.in_speed for beat in beats], [beat.out_speed for beat in beats]
