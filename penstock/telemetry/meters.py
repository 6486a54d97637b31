"""What is counted and measured: the one table of metrics, and the plain numbers behind them.

Whoever counts pays for a lock and an addition; names, help and the Prometheus format are the business of who shows them.
Calls nobody.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

LATENCY_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The upper bounds of all latency histograms, in seconds; what takes longer has a slot of its own."""

DURATION_BOUNDS_S = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 28800.0, 86400.0)
"""Those of what may take a day."""

Labels = tuple[str, ...]


class Shape(StrEnum):
    """What kind of number a metric is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric; `bounds_s` are a histogram's.

    Its labels take few values: buckets and file systems at most, never sub-tasks, never names from outside.
    """

    name: str
    shape: Shape
    help: str
    labels: Labels = ()
    bounds_s: tuple[float, ...] = LATENCY_BOUNDS_S


def _counter(name: str, help_: str, *labels: str) -> Metric:
    return Metric(name=name, shape=Shape.COUNTER, help=help_, labels=labels)


def _gauge(name: str, help_: str, *labels: str) -> Metric:
    return Metric(name=name, shape=Shape.GAUGE, help=help_, labels=labels)


def _histogram(name: str, help_: str, *labels: str) -> Metric:
    return Metric(name=name, shape=Shape.HISTOGRAM, help=help_, labels=labels)


SUB_TASKS_CREATED = _counter("penstock_subtasks_created_total", "Sub-tasks accepted.")
SUB_TASKS_ENDED = _counter("penstock_subtasks_ended_total", "Sub-tasks that became final after an attempt.", "status")
SUB_TASKS_EXPIRED = _counter("penstock_subtasks_expired_total", "Sub-tasks that never started in time.")
ATTEMPTS_AGAIN = _counter(
    "penstock_attempts_again_total", "Attempts that ended without an end of the sub-task, by why.", "how", "code"
)
FAILURES = _counter("penstock_subtasks_failed_total", "Sub-tasks that FAILED, by the code of their ErrorMsg.", "code")
FENCED_OFF = _counter("penstock_attempts_fenced_off_total", "Outcomes that came too late to count.")
FILES_MOVED = _counter(
    "penstock_files_moved_total", "Files that arrived, by where.", "direction", "bucket", "file_system"
)
BYTES_MOVED = _counter(
    "penstock_moved_bytes_total", "Bytes that moved, told while they move.", "direction", "bucket", "file_system"
)
SUB_TASK_DURATION = Metric(
    name="penstock_subtask_duration_seconds",
    shape=Shape.HISTOGRAM,
    help="From the acceptance of a sub-task until it was final after an attempt, by status.",
    labels=("status",),
    bounds_s=DURATION_BOUNDS_S,
)
SUB_TASKS = _gauge("penstock_subtasks", "Sub-tasks that are not final, by status.", "status")
QUEUE_AGE = _gauge(
    "penstock_queue_oldest_seconds", "Age of the oldest sub-task that waits in a Running dataflow; 0: none does."
)
ATTEMPTS_UNDER_WAY = _gauge(
    "penstock_attempts_under_way", "Attempts that movers hold, waiting in their lanes or running."
)
BUCKET_STATE = _gauge("penstock_bucket_state", "1 for how a bucket is: well, slow, bad or unknown.", "bucket", "state")
ROOT_STATE = _gauge(
    "penstock_file_system_state", "1 for how a file system is: well, slow, bad or unknown.", "file_system", "state"
)
STORE_REQUESTS = _counter(
    "penstock_store_requests_total", "Requests to a bucket, by what came of them.", "bucket", "method", "result"
)
STORE_LATENCY = _histogram(
    "penstock_store_request_seconds", "Until the head of a bucket's answer is here.", "bucket", "method"
)
PACE_WINDOW = _gauge("penstock_pace_window", "Requests that may be in flight to a bucket, over all movers.", "bucket")
PACE_RATE = _gauge(
    "penstock_pace_requests_per_second", "Requests that may begin in a second; +Inf: no bound.", "bucket"
)
PACE_IN_FLIGHT = _gauge("penstock_pace_in_flight", "Requests in flight to a bucket.", "bucket")
PACE_WAITING = _gauge("penstock_pace_waiting", "Threads that wait to send a request to a bucket.", "bucket")
PACE_PAUSE = _counter(
    "penstock_pace_pause_seconds_total", "Pauses that a bucket's refusals asked for, summed over movers.", "bucket"
)
PACE_PAUSED = _gauge(
    "penstock_pace_paused_seconds",
    "For how long a bucket is left alone still, by the mover that does so longest.",
    "bucket",
)
MOVERS_UP = _gauge("penstock_movers_up", "Mover processes that take work.")
MOVERS_WANTED = _gauge("penstock_movers_configured", "Mover processes that there should be (movers in penstock.toml).")
MOVERS_STARTED = _counter("penstock_movers_started_total", "Mover processes that came up.")
MOVERS_DIED = _counter("penstock_movers_died_total", "Mover processes that ended unasked.")
COMMITS = _histogram("penstock_catalog_commit_seconds", "COMMIT with its fsync, by database.", "database")
COMMITTED = _counter("penstock_catalog_calls_total", "Calls that these commits served, by database.", "database")
API_UNFAMILIAR = _counter(
    "penstock_api_unfamiliar_total",
    "Parameters and versions of the API that are not known here and were let go; DescribeOverview lists them.",
    "action",
    "kind",
)
API_REQUESTS = _counter(
    "penstock_api_requests_total",
    "Calls of the API by action and code; `action` is refused where the code is not OK.",
    "action",
    "code",
)
API_LATENCY = _histogram("penstock_api_request_seconds", "Calls of the API, from request to answer.", "action")
CPU = _counter("penstock_cpu_seconds_total", "CPU time, user and system; `process` is control or movers.", "process")
RESIDENT = _gauge("penstock_resident_memory_bytes", "Memory resident; `process` is control or movers.", "process")
HOME_FREE = _gauge("penstock_home_free_bytes", "Free space on the disk of HOME, where the catalog is.")
READY = _gauge("penstock_ready", "1 while the service is ready (GET /readyz), else 0.")
START_TIME = _gauge("penstock_start_time_seconds", "When the service was started, since 1970.")
BUILD_INFO = _gauge("penstock_build_info", "1; `version` is the version that runs.", "version")

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))


@dataclass(slots=True)  # house: it grows with each observation
class Histogram:
    """Observations by the metric's bounds, and their sum in seconds."""

    slots: list[int]
    sum_s: float = 0.0


class Meters:
    """The numbers of one process. May be added to from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: defaultdict[tuple[str, Labels], float] = defaultdict(float)
        self._histograms: dict[tuple[str, Labels], Histogram] = {}

    def count(self, metric: Metric, labels: Labels = (), amount: float = 1) -> None:
        """Let a counter grow by `amount` (not negative); `labels` are the values for `metric.labels`, in order."""
        with self._lock:
            self._counts[metric.name, labels] += amount

    def observe(self, metric: Metric, seconds: float, labels: Labels = ()) -> None:
        """One observation for a histogram."""
        key = (metric.name, labels)
        with self._lock:
            histogram = self._histograms.get(key)
            if histogram is None:
                histogram = self._histograms[key] = Histogram([0] * (len(metric.bounds_s) + 1))
            histogram.slots[bisect_left(metric.bounds_s, seconds)] += 1
            histogram.sum_s += seconds

    def observe_all(self, metric: Metric, seconds: Iterable[float], labels: Labels = ()) -> None:
        """The same for many at once."""
        with self._lock:
            histogram = self._histograms.setdefault((metric.name, labels), Histogram([0] * (len(metric.bounds_s) + 1)))
            for each_s in seconds:
                histogram.slots[bisect_left(metric.bounds_s, each_s)] += 1
                histogram.sum_s += each_s

    def counts(self, metric: Metric) -> Mapping[Labels, float]:
        """A counter's numbers now, by labels."""
        with self._lock:
            return {labels: number for (name, labels), number in self._counts.items() if name == metric.name}

    def histograms(self, metric: Metric) -> Mapping[Labels, Histogram]:
        """A histogram's numbers now, by labels, as copies."""
        with self._lock:
            return {
                labels: Histogram(list(one.slots), one.sum_s)
                for (name, labels), one in self._histograms.items()
                if name == metric.name
            }
