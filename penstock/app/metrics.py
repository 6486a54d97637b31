"""What Prometheus gets: the numbers of control process and movers in its text format.

Pure: what it shows is handed to it. Every metric is in the table of `telemetry.meters`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from penstock.catalog.live import Soundness
from penstock.engine.figures import by_result
from penstock.engine.messages import BucketFigures, Figures
from penstock.errors import FailureCode
from penstock.telemetry import meters
from penstock.telemetry.meters import METRICS, Histogram, Labels, Meters, Metric, Shape

Samples = Mapping[Labels, float | Histogram]


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What is not counted in this process, or holds for this moment only.

    `live` are sub-tasks by status, `oldest_s` is the age of the oldest that waits; None if unknown. `buckets` and
    `file_systems` are by name, empty if unknown.
    """

    live: Mapping[str, int] | None
    oldest_s: float | None
    under_way: int
    movers_up: int
    movers: Figures
    cpu_s: float
    resident_bytes: int
    movers_wanted: int
    home_free_bytes: int
    is_ready: bool
    started_s: float
    version: str
    buckets: Mapping[str, Soundness]
    file_systems: Mapping[str, Soundness]


def render(now: Now, numbers: Meters) -> bytes:
    """The whole text. Every metric of the table is told, those without a sample by their help."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(now, numbers))
    return generate_latest(registry)


class _Collector(Collector):
    """The families, made for one asking."""

    def __init__(self, now: Now, numbers: Meters) -> None:
        self._present = _present(now)
        self._numbers = numbers

    def collect(self) -> Iterable[Family]:
        """All families, in the order of the table."""
        for metric in METRICS:
            samples = self._present.get(metric.name)
            if samples is None:
                counted = self._numbers.histograms if metric.shape is Shape.HISTOGRAM else self._numbers.counts
                samples = counted(metric)
            yield _family(metric, {**_FROM_THE_START.get(metric.name, {}), **samples})


_FROM_THE_START: dict[str, Samples] = {
    **{each.name: {(): 0} for each in METRICS if each.shape is Shape.COUNTER and not each.labels},
    meters.SUB_TASKS_ENDED.name: {(status,): 0 for status in ("COMPLETE", "FAILED", "CANCELED")},
    meters.FAILURES.name: {(code.value,): 0 for code in FailureCode},
}
"""A counter that is first seen at 1 has not grown, to Prometheus: the first failure would raise no alert."""


def _family(metric: Metric, samples: Samples) -> Family:
    if metric.shape is Shape.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        bounds = [*map(str, metric.bounds_s), "+Inf"]
        for labels, sample in sorted(samples.items()):
            assert isinstance(sample, Histogram)
            buckets = list(zip(bounds, map(float, accumulate(sample.slots)), strict=True))
            histogram.add_metric(labels, buckets, sum_value=sample.sum_s)
        return histogram
    kind = CounterMetricFamily if metric.shape is Shape.COUNTER else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for labels, sample in sorted(samples.items()):
        assert not isinstance(sample, Histogram)
        family.add_metric(labels, float(sample))
    return family


def _present(now: Now) -> dict[str, Samples]:
    """What does not come from this process's counts, by the metric's name."""
    buckets = now.movers.buckets
    return {
        meters.SUB_TASKS.name: {(status,): count for status, count in (now.live or {}).items()},
        meters.QUEUE_AGE.name: {} if now.oldest_s is None else {(): now.oldest_s},
        meters.ATTEMPTS_UNDER_WAY.name: {(): now.under_way},
        meters.MOVERS_UP.name: {(): now.movers_up},
        meters.MOVERS_WANTED.name: {(): now.movers_wanted},
        meters.HOME_FREE.name: {(): now.home_free_bytes},
        meters.READY.name: {(): int(now.is_ready)},
        meters.START_TIME.name: {(): now.started_s},
        meters.BUILD_INFO.name: {(now.version,): 1},
        meters.CPU.name: {("control",): now.cpu_s, ("movers",): now.movers.cpu_s},
        meters.RESIDENT.name: {("control",): now.resident_bytes, ("movers",): now.movers.resident_bytes},
        meters.PACE_WINDOW.name: _each(buckets, lambda one: one.window),
        meters.PACE_RATE.name: _each(buckets, lambda one: float("inf") if one.rate_per_s is None else one.rate_per_s),
        meters.PACE_IN_FLIGHT.name: _each(buckets, lambda one: one.in_flight),
        meters.PACE_WAITING.name: _each(buckets, lambda one: one.waiting),
        meters.PACE_PAUSE.name: _each(buckets, lambda one: one.pause_s),
        meters.PACE_PAUSED.name: _each(buckets, lambda one: one.paused_s),
        meters.BUCKET_STATE.name: _states(now.buckets),
        meters.ROOT_STATE.name: _states(now.file_systems),
        meters.STORE_REQUESTS.name: dict(_requests(buckets)),
        meters.STORE_LATENCY.name: {
            (one.bucket, method.method): Histogram(list(method.latency_slots), method.latency_s)
            for one in buckets
            for method in one.methods
        },
    }


def _states(found: Mapping[str, Soundness]) -> Samples:
    return {(name, state.value): int(state is its) for name, its in found.items() for state in Soundness}


def _each(buckets: Iterable[BucketFigures], value: Callable[[BucketFigures], float]) -> Samples:
    return {(one.bucket,): value(one) for one in buckets}


def _requests(buckets: Iterable[BucketFigures]) -> Iterator[tuple[Labels, float]]:
    for one in buckets:
        for method in one.methods:
            for result, count in by_result(method).items():
                yield (one.bucket, method.method, result), count
