"""A store that falls silent while many small files wait for its answers: do other buckets go on, and are stops heard?"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.engine import small_lane
from penstock.engine.messages import MoverLimits
from penstock.errors import FailureCode
from penstock.model import ConflictPolicy
from penstock.stores.base import Store
from penstock.transfer.transfer import StopReason, Transfer, Verdict
from tests.faults.engine.company import PATIENCE_S, Company
from tests.faults.engine.test_dripping import got, open_slow
from tests.fixtures.gate import open_gate
from tests.fixtures.memorystore import MemoryStore
from tests.fixtures.scriptedserver import Peer, ScriptedServer
from tests.fixtures.stopwatch import Stopwatch

PLACES = 32
MANY = tuple(f"silent{number}" for number in range(100))
GOOD = tuple(f"good{number}" for number in range(60))
PROMPT_S = 10.0  # who waits for the silent store waits for a minute at least


class Silence:
    """A bucket whose server keeps all connections, takes all requests, and answers none after `warm`."""

    def __init__(self, warm: int) -> None:
        self.over = threading.Event()
        self._warm = threading.Barrier(warm) if warm else None
        self._warm_left = warm
        self._lock = threading.Lock()
        self.heard = 0
        self.server = ScriptedServer(*[self._play] * 300)

    def _play(self, peer: Peer) -> None:
        with self._lock:
            warm = self._warm_left > 0
            self._warm_left -= 1
        if warm and self._warm:
            peer.read_request()
            self._warm.wait(PATIENCE_S)  # so that each is on a connection of its own
            peer.send(got(b"warm"))
        try:
            peer.read_request()
        except EOFError:
            return  # a kept connection that nobody needed
        with self._lock:
            self.heard += 1
        self.over.wait(PATIENCE_S)

    def opened(self, warm: int) -> Store:
        store = open_slow(self.server.endpoint)

        def get() -> None:
            with store.get("warm") as stream:
                stream.readinto(memoryview(bytearray(10)))

        threads = [threading.Thread(target=get) for _ in range(warm)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        return store


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    gate = open_gate(tmp_path)
    made = Company(gate, MemoryStore(), limits=MoverLimits(small_files=PLACES, small_threads=2))
    under_way = PLACES - PLACES // 5

    def admit(one: Transfer) -> bool:  # as the throttle: a bucket never holds all places
        silent = sum(name.startswith("silent") and name not in made.outcomes for name in made.order)
        return one.bucket != "silent" or silent < under_way

    made.admit = admit
    yield made
    gate.close()


def stepped_until(company: Company, done: Callable[[], bool], patience_s: float, otherwise: str) -> None:
    watch = Stopwatch()
    while not done():
        assert not watch.is_past(patience_s), otherwise
        company.lane.step()


LOOKING: dict[str, dict[str, Any]] = {
    "import": {"rival": "in/rival"},
    "export": {"conflict_policy": ConflictPolicy.SKIP_THE_FILE},
}
"""What makes a file ask something that a helper waits for."""


@pytest.mark.parametrize(("warm", "looks"), [(0, False), (0, True), (10, False), (10, True)])
@pytest.mark.parametrize("direction", ["import", "export"])
def test_a_silent_store_holds_up_nobody_else(company: Company, direction: str, warm: int, looks: bool) -> None:
    """Its files fill all helpers that they get, and have waited too long in company besides."""
    silence = Silence(warm)
    with silence.server:
        company.elsewhere["silent"] = store = silence.opened(warm)
        company.give(
            *getattr(company, f"{direction}s")(
                *MANY, bucket="silent", task_id="silent", **LOOKING[direction] if looks else {}
            )
        )
        stepped_until(company, lambda: silence.heard >= 2, PATIENCE_S, "nothing was asked")
        company.give(*getattr(company, f"{direction}s")(*GOOD, task_id="good"))
        stepped_until(company, lambda: len(company.outcomes) == len(GOOD), PROMPT_S, "the others are held up")
        getattr(company, f"check_{direction}ed")(*GOOD)
        company.store._begun_max = 0  # from now on helpers are needed
        company.give(*getattr(company, f"{direction}s")("aside1", "aside2", "aside3", task_id="good"))
        stepped_until(company, lambda: len(company.outcomes) == len(GOOD) + 3, PROMPT_S, "no helper is left")
        silence.over.set()
        store.close()


@pytest.mark.parametrize("direction", ["import", "export"])
def test_who_has_waited_for_too_long_is_tried_again_later(
    company: Company, monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    """And costs no helper before."""
    monkeypatch.setattr(small_lane, "LATE_S", 0.5)
    silence = Silence(10)
    with silence.server:
        company.elsewhere["silent"] = store = silence.opened(10)
        company.give(*getattr(company, f"{direction}s")(*MANY[:10], bucket="silent"))
        stepped_until(company, lambda: len(company.outcomes) == 10, PROMPT_S, "they still wait")
        assert {one.verdict for one in company.outcomes.values()} == {Verdict.RETRY}
        assert {one.code for one in company.outcomes.values()} == {FailureCode.STORE_UNAVAILABLE}
        assert {one.retry_after_s for one in company.outcomes.values()} == {small_lane.LATE_RETRY_S}
        assert company.gate.helpers() == []
        assert company.board.begun() == frozenset()
        silence.over.set()
        store.close()


@pytest.mark.parametrize("warm", [0, 10])
@pytest.mark.parametrize(
    ("direction", "reason", "verdict"),
    [
        ("import", StopReason.CANCEL, Verdict.CANCELED),
        ("import", StopReason.FENCED, Verdict.RETURNED),
        ("export", StopReason.FENCED, Verdict.RETURNED),
        ("import", StopReason.HALT, Verdict.RETURNED),
        ("export", StopReason.HALT, Verdict.RETURNED),
    ],
)
def test_a_stop_is_heard_while_the_store_is_silent(
    company: Company, direction: str, reason: StopReason, verdict: Verdict, warm: int
) -> None:
    silence = Silence(warm)
    with silence.server:
        company.elsewhere["silent"] = store = silence.opened(warm)
        company.give(*getattr(company, f"{direction}s")(*MANY[:14], bucket="silent"))
        stepped_until(company, lambda: silence.heard == 14, PATIENCE_S, "not all were asked")
        for name in MANY[:10]:
            company.runnings[name].stop(reason)
        stepped_until(company, lambda: len(company.outcomes) >= 10, PROMPT_S, "no stop was heard")
        assert {company.outcomes[name].verdict for name in MANY[:10]} == {verdict}
        silence.over.set()
        store.close()
