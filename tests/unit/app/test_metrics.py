"""Is what Prometheus gets well formed, complete, named by its conventions, and right?"""

from __future__ import annotations

import re

import pytest
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from penstock.app.embedded import host_and_port
from penstock.app.metrics import Now, render
from penstock.catalog.live import Soundness
from penstock.engine.figures import FiguresOfMovers
from penstock.engine.messages import BucketFigures, Figures, MethodFigures
from penstock.errors import FailureCode
from penstock.settings.choices import rules
from penstock.telemetry import meters
from penstock.telemetry.meters import LATENCY_BOUNDS_S, METRICS, Meters, Metric, Shape

SLOTS = (1, *([0] * (len(LATENCY_BOUNDS_S) - 1)), 2)


def of_bucket(ok: int = 3, *, window: float = 4.0, rate_per_s: float | None = None, paused_s: float = 0.0) -> Figures:
    method = MethodFigures(
        method="GET", ok=ok, throttled=1, unavailable=0, refused=2, latency_slots=SLOTS, latency_s=70.0
    )
    bucket = BucketFigures(
        bucket="b",
        window=window,
        rate_per_s=rate_per_s,
        in_flight=2,
        waiting=1,
        pause_s=1.5,
        paused_s=paused_s,
        methods=(method,),
    )
    return Figures(cpu_s=2.0, resident_bytes=100, buckets=(bucket,))


def now(movers: Figures) -> Now:
    return Now(
        live={"CREATED": 5, "RUNNING": 2, "CANCELING": 0},
        oldest_s=12.5,
        under_way=7,
        movers_up=2,
        movers=movers,
        cpu_s=1.0,
        resident_bytes=50,
        movers_wanted=3,
        home_free_bytes=1 << 30,
        is_ready=True,
        started_s=1.7e9,
        version="0.1.0",
        buckets={"b": Soundness.SLOW},
        file_systems={"fs": Soundness.BAD},
    )


def told(movers: Figures, numbers: Meters) -> dict[str, Family]:
    return {family.name: family for family in text_string_to_metric_families(render(now(movers), numbers).decode())}


def value(families: dict[str, Family], name: str, **labels: str) -> float:
    """One sample."""
    samples = [sample for family in families.values() for sample in family.samples]
    return next(sample.value for sample in samples if sample.name == name and sample.labels == labels)


def test_all_metrics_of_the_table_are_told_even_when_nothing_was_counted() -> None:
    text = render(now(of_bucket()), Meters()).decode()
    assert re.findall(r"^# HELP (\S+)", text, re.MULTILINE) == [metric.name for metric in METRICS]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Metric) -> None:
    assert re.fullmatch(r"penstock_[a-z_]+", metric.name)
    assert (metric.shape is Shape.COUNTER) == metric.name.endswith("_total")
    if metric.shape is Shape.HISTOGRAM:
        assert metric.name.endswith("_seconds")
    assert metric.help.endswith(".")
    assert not set(metric.labels) & {"sub_task", "task", "path", "key", "le"}


def test_counts_and_moments_arrive() -> None:
    numbers = Meters()
    numbers.count(meters.SUB_TASKS_CREATED, (), 3)
    numbers.count(meters.FAILURES, ("NoSpace",))
    numbers.observe(meters.API_LATENCY, 0.004, ("CreateDataFlowSubTask",))
    numbers.observe(meters.API_LATENCY, 99, ("CreateDataFlowSubTask",))
    families = told(of_bucket(paused_s=2.5), numbers)
    assert value(families, "penstock_subtasks_created_total") == 3
    assert value(families, "penstock_subtasks_failed_total", code="NoSpace") == 1
    assert value(families, "penstock_subtasks", status="CREATED") == 5
    assert value(families, "penstock_api_request_seconds_count", action="CreateDataFlowSubTask") == 2
    assert value(families, "penstock_api_request_seconds_bucket", action="CreateDataFlowSubTask", le="0.005") == 1
    assert value(families, "penstock_store_requests_total", bucket="b", method="GET", result="throttled") == 1
    assert value(families, "penstock_store_request_seconds_bucket", bucket="b", method="GET", le="+Inf") == 3
    assert value(families, "penstock_store_request_seconds_sum", bucket="b", method="GET") == 70
    assert value(families, "penstock_pace_requests_per_second", bucket="b") == float("inf")
    assert value(families, "penstock_pace_paused_seconds", bucket="b") == 2.5
    assert value(families, "penstock_cpu_seconds_total", process="movers") == 2


def test_what_alerts_wait_for_is_there_before_it_happens() -> None:
    """`increase` of a counter that is first seen at 1 is 0."""
    families = told(of_bucket(), Meters())
    assert value(families, "penstock_movers_died_total") == value(families, "penstock_attempts_fenced_off_total") == 0
    assert value(families, "penstock_subtasks_ended_total", status="FAILED") == 0
    for code in FailureCode:
        assert value(families, "penstock_subtasks_failed_total", code=code.value) == 0


def test_each_bucket_and_file_system_is_in_one_state() -> None:
    families = told(of_bucket(), Meters())
    for state in Soundness:
        assert value(families, "penstock_bucket_state", bucket="b", state=state.value) == (state is Soundness.SLOW)
        assert value(families, "penstock_file_system_state", file_system="fs", state=state.value) == (
            state is Soundness.BAD
        )


def test_counters_do_not_fall_when_a_mover_dies() -> None:
    figures = FiguresOfMovers()
    figures.tell("m-1.1", of_bucket(3, rate_per_s=10.0, paused_s=9.0))
    figures.tell("m-2.1", of_bucket(4, rate_per_s=20.0, paused_s=3.0))
    both = figures.all()
    assert (both.buckets[0].pause_s, both.buckets[0].paused_s) == (3.0, 9.0)
    assert (both.buckets[0].window, both.buckets[0].rate_per_s, both.resident_bytes) == (8.0, 30.0, 200)
    assert both.buckets[0].methods[0].ok == 7
    figures.died("m-1.1")
    figures.died("m-1.1")
    left = figures.all()
    assert (left.buckets[0].pause_s, left.buckets[0].paused_s) == (3.0, 3.0)
    assert (left.buckets[0].window, left.buckets[0].rate_per_s, left.resident_bytes) == (4.0, 20.0, 100)
    assert (left.buckets[0].methods[0].ok, left.cpu_s) == (7, 4.0)
    figures.tell("m-1.2", of_bucket(1, rate_per_s=None))
    assert figures.all().buckets[0].methods[0].ok == 8
    assert figures.all().buckets[0].rate_per_s is None


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [("127.0.0.1:9680", "127.0.0.1", 9680), ("[::1]:0", "::1", 0), ("box.lan:1", "box.lan", 1)],
)
def test_where_to_listen_is_understood(listen: str, host: str, port: int) -> None:
    assert not rules()["metrics_listen"][0].refuses(listen)
    assert host_and_port(listen) == (host, port)


@pytest.mark.parametrize(
    "listen", ["9680", ":9680", "::1:9680", "a:65536", "a:b", "http://a:1", "a:1/metrics", "[a]:1 "]
)
def test_what_is_no_address_is_refused(listen: str) -> None:
    assert rules()["metrics_listen"][0].refuses(listen)
