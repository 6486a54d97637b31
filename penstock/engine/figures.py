"""The figures of all movers together: the newest of each that lives, and what those that are gone had counted.

Counts never fall when a mover dies. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from penstock.engine.messages import BucketFigures, Figures, MethodFigures


class FiguresOfMovers:
    """Told of figures and deaths by the executor, asked by who shows them."""

    def __init__(self) -> None:
        self._newest: dict[str, Figures] = {}
        self._gone = Figures(cpu_s=0.0, resident_bytes=0)

    def tell(self, mover: str, figures: Figures) -> None:
        """The newest of a mover that lives."""
        self._newest[mover] = figures

    def died(self, mover: str) -> None:
        """The mover is gone: what it had counted stays, what it held does not."""
        last = self._newest.pop(mover, None)
        if last is not None:
            self._gone = added([self._gone, _counted(last)])

    def of(self, mover: str) -> Figures | None:
        """The newest of one that lives."""
        return self._newest.get(mover)

    def all(self) -> Figures:
        """Everything added up."""
        return added([self._gone, *self._newest.values()])


def added(many: Iterable[Figures]) -> Figures:
    """The sum, bucket by bucket; a rate is unbounded if one of its movers' is, a pause as long as the longest."""
    cpu_s, resident_bytes = 0.0, 0
    part_width, part_width_max = 0, 0
    slow: dict[str, None] = {}
    buckets: dict[str, BucketFigures] = {}
    for figures in many:
        cpu_s += figures.cpu_s
        resident_bytes += figures.resident_bytes
        part_width += figures.part_width
        part_width_max += figures.part_width_max
        slow.update(dict.fromkeys(figures.slow_file_systems))
        for one in figures.buckets:
            before = buckets.get(one.bucket)
            buckets[one.bucket] = one if before is None else _bucket(before, one)
    return Figures(
        cpu_s=cpu_s,
        resident_bytes=resident_bytes,
        buckets=tuple(buckets.values()),
        part_width=part_width,
        part_width_max=part_width_max,
        slow_file_systems=tuple(slow),
    )


def _bucket(one: BucketFigures, other: BucketFigures) -> BucketFigures:
    unbounded = one.rate_per_s is None or other.rate_per_s is None
    methods: dict[str, MethodFigures] = {each.method: each for each in one.methods}
    for each in other.methods:
        before = methods.get(each.method)
        methods[each.method] = each if before is None else _method(before, each)
    return BucketFigures(
        bucket=one.bucket,
        window=one.window + other.window,
        rate_per_s=None if unbounded else (one.rate_per_s or 0) + (other.rate_per_s or 0),
        in_flight=one.in_flight + other.in_flight,
        waiting=one.waiting + other.waiting,
        pause_s=one.pause_s + other.pause_s,
        paused_s=max(one.paused_s, other.paused_s),
        parts=one.parts + other.parts,
        away=one.away + other.away,
        silent_s=max(one.silent_s, other.silent_s),
        methods=tuple(methods.values()),
    )


def _method(one: MethodFigures, other: MethodFigures) -> MethodFigures:
    return MethodFigures(
        method=one.method,
        ok=one.ok + other.ok,
        throttled=one.throttled + other.throttled,
        unavailable=one.unavailable + other.unavailable,
        refused=one.refused + other.refused,
        latency_slots=tuple(map(sum, zip(one.latency_slots, other.latency_slots, strict=True))),
        latency_s=one.latency_s + other.latency_s,
    )


def _counted(figures: Figures) -> Figures:
    """Without what a process holds only while it lives. A rate of 0 adds nothing and bounds nothing."""
    buckets = tuple(
        replace(one, window=0.0, rate_per_s=0.0, in_flight=0, waiting=0, paused_s=0.0, parts=0, away=0, silent_s=0.0)
        for one in figures.buckets
    )
    return Figures(cpu_s=figures.cpu_s, resident_bytes=0, buckets=buckets)


def by_result(figures: MethodFigures) -> Mapping[str, int]:
    """The requests of one method by what came of them."""
    return {
        "ok": figures.ok,
        "throttled": figures.throttled,
        "unavailable": figures.unavailable,
        "refused": figures.refused,
    }
