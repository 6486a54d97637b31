"""Does a pace come near what a store can do, from below and above, follow it, share it, and is it seldom refused?

The stores are queueing models in simulated time; every run is seeded, so a failure can be played again.
"""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.engine.pace import BEGIN_WITH, EPOCH_ROUNDS, EPOCH_S, LONGEST_PAUSE_S, Pace
from tests.fixtures.queueingstore import QueueingStore, World

MOST = 64
CAPACITIES = [1, 2, 4, 8, 16, 32]


PARTS_S = [1, 2, 5, 10, 30]
THREADS = 16


def world(store: QueueingStore, *, movers: int = 1, seed: int = 1, threads: int = MOST) -> World:
    """Movers with work without end, each in so many threads, before this store."""
    return World([Pace(most=MOST, now_s=0.0) for _ in range(movers)], store, random.Random(seed), threads=threads)


def per_s(scene: World, *, span_s: float) -> float:
    """Requests that the store accepts in a second over the next while."""
    before = sum(scene.accepted)
    scene.run(until_s=scene.now_s + span_s)
    return (sum(scene.accepted) - before) / span_s


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("servers", CAPACITIES)
def test_from_below_it_comes_near_what_the_store_does_side_by_side(servers: int, noise: float) -> None:
    scene = world(QueueingStore(service_s=0.02, servers=servers, noise=noise))
    scene.run(until_s=4)
    mean = scene.mean_in_flight(span_s=20)
    assert 0.9 * servers <= mean <= 2 * servers + 2 * BEGIN_WITH
    best_per_s = servers / (0.02 * math.exp(noise**2 / 2))
    assert per_s(scene, span_s=20) >= 0.9 * best_per_s


@pytest.mark.parametrize("part_s", PARTS_S)
def test_parts_that_are_long_in_coming_are_soon_as_many_as_are_wanted(part_s: float) -> None:
    """Answers are quick, their bodies take long: nothing speaks against more of them, nor for a pause every half minute."""
    scene = world(QueueingStore(service_s=0.05, servers=200, body_s=part_s), threads=THREADS)
    scene.run(until_s=1)
    assert scene.mean_in_flight(span_s=40 * EPOCH_ROUNDS) >= 0.99 * THREADS


@pytest.mark.parametrize("part_s", PARTS_S)
def test_parts_that_are_long_in_going_are_as_many_as_are_wanted_after_a_few_rounds(part_s: float) -> None:
    """The answer comes when all was sent: each round of few is a price, that is paid once in many rounds."""
    scene = world(QueueingStore(service_s=part_s, servers=200), threads=THREADS)
    scene.run(until_s=max(3, 3.5 * part_s))
    assert scene.paces[0].in_flight == THREADS
    assert scene.mean_in_flight(span_s=max(100, 4 * EPOCH_ROUNDS * part_s)) >= 0.93 * THREADS


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("part_s", PARTS_S)
def test_parts_that_vary_are_nearly_as_many(part_s: float, seed: int) -> None:
    scene = world(QueueingStore(service_s=part_s, servers=200, noise=0.5), seed=seed, threads=THREADS)
    scene.run(until_s=5 * part_s)
    assert scene.mean_in_flight(span_s=4 * EPOCH_ROUNDS * part_s) >= 0.7 * THREADS


@pytest.mark.parametrize(("service_s", "body_s"), [(1, 0), (10, 0), (0.05, 1), (0.05, 10)])
@pytest.mark.parametrize("servers", [1, 4, 8])
def test_a_store_that_does_few_long_parts_side_by_side_is_not_asked_for_many(
    servers: int, service_s: float, body_s: float
) -> None:
    part_s = service_s + body_s
    scene = world(QueueingStore(service_s=service_s, servers=servers, body_s=body_s))
    scene.run(until_s=100 * part_s)
    assert per_s(scene, span_s=300 * part_s) >= 0.9 * servers / part_s
    assert scene.mean_in_flight(span_s=600 * part_s) <= 2 * servers + 2 * BEGIN_WITH


@pytest.mark.parametrize("at_once", [4, 8])
@pytest.mark.parametrize("body_s", [1, 10])
def test_a_limit_of_long_parts_at_once_is_nearly_used_and_seldom_hit(body_s: float, at_once: int) -> None:
    scene = world(QueueingStore(service_s=0.05, servers=100, body_s=body_s, refuses_beyond=at_once))
    scene.run(until_s=10 * body_s)
    refused = sum(scene.refused)
    assert per_s(scene, span_s=100 * body_s) >= 0.75 * at_once / (0.05 + body_s)
    assert sum(scene.refused) - refused <= 100 * body_s * 0.4


@pytest.mark.parametrize("servers", [4, 8, 16])
def test_from_above_too_even_when_the_queue_was_there_first(servers: int) -> None:
    scene = world(QueueingStore(service_s=0.02, servers=servers))
    scene.paces[0]._window = MOST
    scene.run(until_s=EPOCH_S + 5)
    assert scene.mean_in_flight(span_s=10) <= 2 * servers + BEGIN_WITH


def test_it_follows_a_store_that_grows_and_shrinks() -> None:
    store = QueueingStore(service_s=0.02, servers=4)
    scene = world(store)
    scene.run(until_s=5)
    store.servers = 16
    assert per_s(scene, span_s=10) >= 0.8 * 800
    store.servers = 3
    scene.run(until_s=scene.now_s + 3)
    assert scene.mean_in_flight(span_s=5) <= 2 * 3 + BEGIN_WITH


@pytest.mark.parametrize(("noise", "least"), [(0.0, 55), (0.5, 40), (1.0, 5)])
def test_it_does_not_fall_to_one_for_no_reason(noise: float, least: int) -> None:
    """Answers that vary are no queue; where they vary tenfold there is little to see, but it goes on."""
    scene = world(QueueingStore(service_s=0.02, servers=200, noise=noise))
    scene.run(until_s=3)
    assert scene.mean_in_flight(span_s=60) >= least


@pytest.mark.parametrize("seed", range(3))
def test_two_movers_share(seed: int) -> None:
    scene = world(QueueingStore(service_s=0.02, servers=12, noise=0.3), movers=2, seed=seed)
    scene.run(until_s=90)
    low, high = sorted(scene.accepted)
    assert high <= 5 * low
    assert low + high >= 0.8 * 90 * 12 / 0.02


@pytest.mark.parametrize("movers", [1, 2])
@pytest.mark.parametrize("service_s", [0.001, 0.02])
@pytest.mark.parametrize("limit_per_s", [10, 100, 1000])
def test_a_limit_of_requests_a_second_is_nearly_used_and_seldom_hit(
    limit_per_s: int, service_s: float, movers: int
) -> None:
    scene = world(QueueingStore(service_s=service_s, servers=100, per_s=limit_per_s), movers=movers)
    scene.run(until_s=15)
    refused = sum(scene.refused)
    assert refused <= 0.1 * sum(scene.accepted) + 15 * movers * 5
    got_per_s = per_s(scene, span_s=60)
    assert got_per_s >= 0.8 * limit_per_s
    assert sum(scene.refused) - refused <= 0.02 * 60 * got_per_s + 60 * movers * 0.4


@pytest.mark.parametrize("movers", [1, 2])
@pytest.mark.parametrize("at_once", [2, 4, 8, 16])
def test_a_limit_of_requests_at_once_is_nearly_used_and_seldom_hit(at_once: int, movers: int) -> None:
    scene = world(QueueingStore(service_s=0.02, servers=100, refuses_beyond=at_once), movers=movers)
    scene.run(until_s=10)
    refused = sum(scene.refused)
    assert per_s(scene, span_s=60) >= 0.8 * at_once / 0.02
    assert sum(scene.refused) - refused <= 60 * movers * 0.4


def test_when_a_limit_is_lifted_the_pace_comes_back() -> None:
    store = QueueingStore(service_s=0.02, servers=100, per_s=50)
    scene = world(store)
    scene.run(until_s=20)
    store.per_s = None
    scene.run(until_s=scene.now_s + 20)
    assert per_s(scene, span_s=5) >= 1000


def test_a_limit_that_was_met_once_is_forgotten_and_learned_again() -> None:
    store = QueueingStore(service_s=0.02, servers=100, per_s=50)
    scene = world(store)
    scene.run(until_s=20)
    (pace,) = scene.paces
    assert pace.rate_per_s(scene.now_s) < 2 * 50
    store.per_s = None
    scene.run(until_s=scene.now_s + 40)
    assert pace.rate_per_s(scene.now_s) == math.inf
    store.per_s = 50
    scene.run(until_s=scene.now_s + 10)
    refused = sum(scene.refused)
    assert 0.8 * 50 <= per_s(scene, span_s=20) <= 50 * 1.1
    assert sum(scene.refused) - refused <= 20
    assert pace.rate_per_s(scene.now_s) < 2 * 50


def test_retry_after_is_kept_to() -> None:
    store = QueueingStore(service_s=0.02, servers=100, per_s=100, retry_after_s=1.0)
    scene = world(store)
    scene.run(until_s=60)
    assert sum(scene.refused) <= 0.1 * sum(scene.accepted)
    assert scene.paces[0].pause_s > 0


def test_a_pause_holds_for_all_and_grows_while_nothing_is_accepted() -> None:
    pace = Pace(most=MOST, now_s=0.0)
    now_s = 0.0
    pauses: list[float] = []
    for _ in range(14):
        pace.begin(now_s)
        pace.refused(retry_after_s=None, began_s=now_s, now_s=now_s + 0.001)
        pace.end()
        now_s += 0.001
        pauses.append(round(pace.paused_s(now_s), 3))
        now_s += pauses[-1]
        now_s += pace.wait_s(now_s)
    assert pauses == [0, *(min(LONGEST_PAUSE_S, 0.1 * 2**step) for step in range(13))]


def test_refusals_that_come_together_are_one_wish() -> None:
    pace = Pace(most=MOST, now_s=0.0)
    for _ in range(4):
        pace.begin(0.0)
    for _ in range(4):
        pace.refused(retry_after_s=None, began_s=0.0, now_s=0.01)
        pace.end()
    assert pace.paused_s(0.01) == 0
    assert pace.window(0.01) == pytest.approx(4 * 0.7)


def test_a_store_that_holds_requests_back_gets_one_less_for_each_round() -> None:
    pace = Pace(most=MOST, now_s=0.0)
    for _ in range(4):
        pace.begin(0.0)
    for _ in range(4):
        pace.held_back(began_s=0.0, now_s=0.2)
    assert pace.window(0.2) == pytest.approx(3.0)


def test_without_work_nothing_grows() -> None:
    """One request at a time tells nothing about ten."""
    pace = Pace(most=MOST, now_s=0.0)
    now_s = 0.0
    for _ in range(200):
        pace.begin(now_s)
        now_s += 0.02
        pace.accepted("get", latency_s=0.02, began_s=now_s - 0.02, now_s=now_s)
        pace.end()
    assert pace.window(now_s) == BEGIN_WITH


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "accepted", "unseen", "refused", "failed", "held back", "end"]),
        st.floats(0, 40),
        st.one_of(st.none(), st.floats(0, 1e6)),
    ),
    max_size=200,
)


@settings(max_examples=200)
@given(events=EVENTS)
def test_whatever_happens_a_request_may_go_out_before_long(events: list[tuple[str, float, float | None]]) -> None:
    """Never below one, never above what connections allow, never a pause without an end."""
    pace = Pace(most=MOST, now_s=0.0)
    now_s = began_s = 0.0
    for event, step_s, wish_s in events:
        now_s += step_s
        match event:
            case "begin" if pace.wait_s(now_s) <= 0:
                began_s = now_s
                pace.begin(now_s)
            case "accepted" if pace.in_flight:
                pace.accepted("get", latency_s=step_s, began_s=began_s, now_s=now_s)
            case "unseen" if pace.in_flight:
                pace.accepted("put", latency_s=None, began_s=began_s, now_s=now_s)
            case "refused" if pace.in_flight:
                pace.refused(retry_after_s=wish_s, began_s=began_s, now_s=now_s)
            case "failed" if pace.in_flight:
                pace.failed(began_s=began_s, now_s=now_s)
            case "held back" if pace.in_flight:
                pace.held_back(began_s=began_s, now_s=now_s)
            case "end" if pace.in_flight:
                pace.end()
        assert 1 <= pace.window(now_s) <= MOST
        assert pace.rate_per_s(now_s) >= 1
        assert 0 <= pace.in_flight <= MOST
        assert pace.paused_s(now_s) <= LONGEST_PAUSE_S + 1e-9
    while pace.in_flight:
        pace.end()
    assert pace.wait_s(now_s) <= LONGEST_PAUSE_S + 1


def test_answers_without_a_body_open_the_window_though_they_end_before_they_are_told() -> None:
    pace = Pace(most=64, now_s=0.0)
    for turn in range(4000):
        now_s = turn * 0.001
        while pace.wait_s(now_s) <= 0:
            pace.begin(now_s)
        pace.end()
        pace.accepted("PUT", latency_s=0.05, began_s=now_s, now_s=now_s + 0.05)
    assert pace.window(10.0) == 64


def test_answers_that_nobody_saw_come_open_the_window_for_as_many_as_begin_together() -> None:
    """In company most answers are there before anybody looks, and all of a round are told before others begin."""
    pace = Pace(most=64, now_s=0.0)
    for turn in range(80):
        now_s = turn * 0.05
        while pace.wait_s(now_s) <= 0:
            pace.begin(now_s)
        for _ in range(pace.in_flight):
            pace.end()
            pace.accepted("GET", latency_s=None, began_s=now_s, now_s=now_s + 0.05)
    assert pace.window(10.0) == 64
