"""Is a small import that was published, by an attempt that died before it could say so, ever called CANCELED?"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from penstock.errors import FailureCode, StoreUnavailableError
from penstock.model import ConflictPolicy
from penstock.transfer.transfer import Intent, Lane, Transfer, Verdict
from tests.faults.transfer.meddling import a_directory, behind_a_link
from tests.fixtures.faultscript import Fault, Raise
from tests.fixtures.gate import KIB, Gate, transfer
from tests.fixtures.memorystore import MemoryStore

BODY = os.urandom(5 * KIB)
OTHER = os.urandom(5 * KIB)
MODIFIED_NS = 1_600_000_000_123_456_789
HOUR_NS = 3600 * 1_000_000_000


def published(gate: Gate, store: MemoryStore) -> None:
    """By an attempt of which nobody knows."""
    store.seed(transfer().key, BODY, modified_ns=MODIFIED_NS)
    assert gate.move(transfer(), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    store.calls.clear()


def withdrawal(*, accepted_ns: int = 0) -> Transfer:
    """What the engine asks for when that attempt was lost."""
    return transfer(attempt=2, intent=Intent.WITHDRAW, begun=True, accepted_ns=accepted_ns)


def test_what_was_published_is_complete(gate: Gate) -> None:
    store = MemoryStore()
    published(gate, store)
    outcome = gate.move(withdrawal(), store)
    assert outcome.verdict is Verdict.COMPLETE
    assert outcome.detail is not None
    assert outcome.detail.checksum
    assert gate.target.read_bytes() == BODY


def replaced(gate: Gate) -> None:
    gate.target.unlink()
    gate.target.write_bytes(OTHER)
    os.utime(gate.target, ns=(MODIFIED_NS, MODIFIED_NS))  # of the same size and time


def removed(gate: Gate) -> None:
    gate.target.unlink()


def touched(gate: Gate) -> None:
    os.utime(gate.target)


@pytest.mark.parametrize("meddle", [replaced, removed, touched, a_directory, behind_a_link])
def test_what_is_another_file_is_not_called_ours(gate: Gate, meddle: Callable[[Gate], None]) -> None:
    store = MemoryStore()
    published(gate, store)
    meddle(gate)
    assert gate.move(withdrawal(), store).verdict is Verdict.CANCELED


def test_while_the_store_is_away_nobody_says_canceled(gate: Gate) -> None:
    store = MemoryStore()
    published(gate, store)
    store.script(*(Fault("head", nth=nth, action=Raise(StoreUnavailableError("away"))) for nth in range(1, 10)))
    outcome = gate.move(withdrawal(), store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.STORE_UNAVAILABLE)
    assert "whether /base/data.bin is what an earlier attempt has published" in outcome.message


def test_while_the_store_is_away_nobody_says_canceled_of_what_was_not(gate: Gate) -> None:
    """A move that is to keep what is there wants to know as well whether that is its own."""
    store = MemoryStore()
    published(gate, store)
    store.script(*(Fault("head", nth=nth, action=Raise(StoreUnavailableError("away"))) for nth in range(2, 50)))
    again = replace(withdrawal(), intent=Intent.MOVE, conflict_policy=ConflictPolicy.SKIP_THE_FILE)
    outcome = gate.move(again, store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.STORE_UNAVAILABLE)
    assert "whether /base/data.bin is what an earlier attempt has published" in outcome.message
    assert "cancel" not in outcome.message


def test_an_attempt_that_a_power_cut_made_forgotten_is_found_at_the_second_look_as_well(gate: Gate) -> None:
    """Published, its claim forgotten, the machine off for days; the first attempt that is known of is a withdrawal."""
    store = MemoryStore()
    published(gate, store)
    published_ns = gate.target.stat().st_ctime_ns
    days_later_ns = published_ns + 72 * HOUR_NS
    gate.clock = lambda: days_later_ns + 1
    known = replace(withdrawal(accepted_ns=published_ns - 1), first_attempt_ns=days_later_ns)
    store.script(*(Fault("head", nth=nth, action=Raise(StoreUnavailableError("away"))) for nth in range(1, 10)))
    assert gate.move(replace(known, attempt=1), store).verdict is Verdict.RETRY
    store._armed.clear()
    assert gate.move(known, store).verdict is Verdict.COMPLETE


@pytest.mark.parametrize("put_back_h", [0.2, 1, 26, 47, 100, 24 * 365 * 10])
@pytest.mark.parametrize("passed_h", [0, 0.5, 27, 47.5])
def test_a_clock_that_was_put_back_hides_nothing(gate: Gate, put_back_h: float, passed_h: float) -> None:
    """Accepted by a clock that was ahead, publishing after it was put right, look when some time has passed."""
    store = MemoryStore()
    published(gate, store)
    published_ns = gate.target.stat().st_ctime_ns
    gate.clock = lambda: published_ns + int(passed_h * HOUR_NS)
    outcome = gate.move(withdrawal(accepted_ns=published_ns + int(put_back_h * HOUR_NS)), store)
    assert outcome.verdict is Verdict.COMPLETE


@pytest.mark.parametrize("is_known", [False, True], ids=["old", "known"])
def test_the_store_is_asked_only_where_it_matters(gate: Gate, is_known: bool) -> None:
    """The target was not touched for days when the sub-task was accepted; or all attempts said how they ended."""
    store = MemoryStore()
    published(gate, store)
    days_later_ns = gate.target.stat().st_ctime_ns + 49 * HOUR_NS
    gate.clock = lambda: days_later_ns + 1
    given = transfer(attempt=2, intent=Intent.WITHDRAW) if is_known else withdrawal(accepted_ns=days_later_ns)
    assert gate.move(given, store).verdict is Verdict.CANCELED
    assert store.calls == []
