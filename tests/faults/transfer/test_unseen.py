"""Is a small import that was published, by an attempt that died before it could say so, ever called CANCELED?"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from penstock.errors import FailureCode, StoreUnavailableError
from penstock.transfer.transfer import Intent, Lane, Transfer, Verdict
from tests.fixtures.faultscript import Fault, Raise
from tests.fixtures.gate import KIB, Gate, transfer
from tests.fixtures.memorystore import MemoryStore

BODY = os.urandom(5 * KIB)
OTHER = os.urandom(5 * KIB)
MODIFIED_NS = 1_600_000_000_123_456_789


def published(gate: Gate, store: MemoryStore) -> None:
    """By an attempt of which nobody knows."""
    store.seed(transfer().key, BODY, modified_ns=MODIFIED_NS)
    assert gate.move(transfer(), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    store.calls.clear()


def withdrawal(*, first_attempt_ns: int = 0) -> Transfer:
    """What the engine asks for when that attempt was lost."""
    return transfer(attempt=2, intent=Intent.WITHDRAW, begun=True, first_attempt_ns=first_attempt_ns)


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


def a_directory(gate: Gate) -> None:
    gate.target.unlink()
    gate.target.mkdir()


def a_link(gate: Gate) -> None:
    gate.target.rename(gate.base / "elsewhere")
    gate.target.symlink_to("elsewhere")


@pytest.mark.parametrize("meddle", [replaced, removed, touched, a_directory, a_link])
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
    assert "whether /base/data.bin is what was canceled" in outcome.message


@pytest.mark.parametrize(
    "given",
    [
        withdrawal(first_attempt_ns=1 << 62),  # the target was not touched since
        transfer(attempt=2, intent=Intent.WITHDRAW),  # all attempts before said how they ended
    ],
    ids=["old", "known"],
)
def test_the_store_is_asked_only_where_it_matters(gate: Gate, given: Transfer) -> None:
    store = MemoryStore()
    published(gate, store)
    assert gate.move(given, store).verdict is Verdict.CANCELED
    assert store.calls == []
