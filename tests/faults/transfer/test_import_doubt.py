"""Where an error, a consumer or a late mover hides what became of an import: is it denied, or claimed of another's file?"""

from __future__ import annotations

import errno
import itertools
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from penstock.errors import FailureCode
from penstock.model import Condition, ConflictPolicy
from penstock.transfer import landing, large_import, posix, withdraw
from penstock.transfer.journal import Journal
from penstock.transfer.place import Place
from penstock.transfer.transfer import Intent, Lane, Outcome, Transfer, Verdict
from penstock.transfer.unseen import FOUND
from tests.faults.transfer.imports import CONTENT, DEADLINE_S, SMALL, check_complete
from tests.fixtures.gate import KIB, Gate, transfer
from tests.fixtures.memorystore import MemoryStore

KEY = transfer().key
RIVAL = "data.bin"
MIDDLING = CONTENT[: 60 * KIB]
SIZES = {"small": SMALL, "middling": MIDDLING, "large": CONTENT}
POLICIES = [ConflictPolicy.OVERWRITE_EXISTING, ConflictPolicy.SKIP_THE_FILE]


def seeded(content: bytes) -> MemoryStore:
    store = MemoryStore()
    store.seed(KEY, content)
    return store


def lane_of(content: bytes) -> Lane:
    return Lane.LARGE if content is CONTENT else Lane.SMALL


def second(**changes: object) -> Transfer:
    """The second attempt of another sub-task at the same target, whose first was killed before it did anything; the directory is
    older."""
    first_ns = time.time_ns()
    return replace(transfer(), sub_task_id="subtask-2", attempt=2, first_attempt_ns=first_ns, begun=True, **changes)


# ------------------------------------------------------------------------------------------------- Condition and rival


def check_unclaimed(outcome: Outcome, intent: Intent, code: FailureCode) -> None:
    """What lies there is not called its own: an attempt to move fails by `code`, a withdrawal cancels."""
    if intent is Intent.MOVE:
        assert (outcome.verdict, outcome.code) == (Verdict.FAILED, code)
    else:
        assert outcome.verdict is Verdict.CANCELED


@pytest.mark.parametrize("condition", [Condition(size_bytes=999), Condition(modify_time_ns=1)], ids=["size", "time"])
@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
def test_what_breaks_the_condition_was_not_published_by_it(gate: Gate, condition: Condition, intent: Intent) -> None:
    store = seeded(SMALL)
    assert gate.move(transfer(), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    outcome = gate.move(second(condition=condition, intent=intent), store, lane=Lane.SMALL)
    check_unclaimed(outcome, intent, FailureCode.CONDITION_NOT_MET)
    assert "earlier attempt" not in outcome.message  # it cannot have been published


@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
def test_a_source_that_can_be_read_in_two_ways_proves_nothing(gate: Gate, intent: Intent) -> None:
    store = seeded(SMALL)
    store.seed(RIVAL, SMALL)
    assert gate.move(transfer(), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    outcome = gate.move(second(rival=RIVAL, intent=intent), store, lane=Lane.SMALL)
    check_unclaimed(outcome, intent, FailureCode.AMBIGUOUS_SOURCE)
    assert "may have published what lies at /base/data.bin" in outcome.message  # the other may have come since


def test_a_rival_that_is_not_there_hides_nothing(gate: Gate) -> None:
    store = seeded(SMALL)
    assert gate.move(transfer(rival=RIVAL), store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    outcome = gate.move(transfer(rival=RIVAL, attempt=2, begun=True, intent=Intent.WITHDRAW), store)
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, FOUND)


# ---------------------------------------------------------------------------------- carried out, and answered by an error


def deny(patched: pytest.MonkeyPatch, code: int, way: str) -> None:
    """Renaming, or linking where there is no renaming without replacing, does what it should and answers `code`."""

    def denying(real: Callable[..., None]) -> Callable[..., None]:
        def denied(*args: Any, **kwargs: Any) -> None:
            real(*args, **kwargs)
            raise OSError(code, os.strerror(code))

        return denied

    def not_offered(*_: Any) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    patched.setattr(os, "rename", denying(os.rename))
    if way == "link":
        patched.setattr(posix, "rename_without_replacing", not_offered)
        patched.setattr(os, "link", denying(os.link))
    else:
        patched.setattr(posix, "rename_without_replacing", denying(posix.rename_without_replacing))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("denial", [*itertools.product(["rename", "link"], [errno.EIO, errno.ETIMEDOUT])])
@pytest.mark.parametrize("size", SIZES)
def test_a_renaming_that_is_denied_is_found(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, size: str, denial: tuple[str, int], policy: ConflictPolicy
) -> None:
    content, (way, code) = SIZES[size], denial
    store = seeded(content)
    with monkeypatch.context() as patched:
        deny(patched, code, way)
        first = gate.move(transfer(conflict_policy=policy), store, lane=lane_of(content))
    assert (first.verdict, first.begun) == (Verdict.RETRY, True)
    assert gate.target.read_bytes() == content
    outcome = gate.move(
        transfer(conflict_policy=policy, attempt=2, begun=first.begun, intent=Intent.WITHDRAW), store, lane=Lane.LARGE
    )
    assert outcome.verdict is Verdict.COMPLETE
    assert gate.target.read_bytes() == content


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("size", SIZES)
def test_a_failure_after_a_renaming_that_was_denied_denies_nothing(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, size: str, policy: ConflictPolicy
) -> None:
    content = SIZES[size]
    with monkeypatch.context() as patched:
        deny(patched, errno.EIO, "rename")
        first = gate.move(transfer(conflict_policy=policy), seeded(content), lane=lane_of(content))
    what = transfer(conflict_policy=policy, attempt=2, begun=first.begun)
    outcome = gate.move(what, MemoryStore(), lane=lane_of(content))  # the object was removed since
    if size == "large":
        assert outcome.verdict is Verdict.COMPLETE  # its journal tells
    else:
        assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND)
        assert "may have published what lies at /base/data.bin" in outcome.message


@pytest.mark.parametrize("policy", POLICIES)
def test_an_attempt_that_fails_by_such_an_error_finds_it_itself(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, policy: ConflictPolicy
) -> None:
    """That it has begun stands in no catalog yet."""
    with monkeypatch.context() as patched:
        deny(patched, errno.EISDIR, "rename")
        outcome = gate.move(transfer(conflict_policy=policy), seeded(SMALL), lane=Lane.SMALL)
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, FOUND)
    assert gate.target.read_bytes() == SMALL


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_what_was_refused_was_not_begun(gate: Gate, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A file system that is full says so for hours, and a cancel in that time has nothing to look for."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "rename", refuse)
    first = gate.move(transfer(), seeded(SMALL), lane=Lane.SMALL)
    assert (first.verdict, first.begun, gate.helpers()) == (Verdict.RETRY, False, [])


# ------------------------------------------------------------------------------------------- taken away by its consumer


def taken(gate: Gate, patched: pytest.MonkeyPatch, content: bytes) -> None:
    """Published by an attempt that was killed before it could say so; somebody takes the file away."""

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    if content is CONTENT:
        with patched.context() as patch:
            patch.setattr(Journal, "record_published", die)
            with pytest.raises(KeyboardInterrupt):
                gate.move(transfer(), seeded(content))
    else:
        gate.move(transfer(), seeded(content), lane=Lane.SMALL)
    gate.target.rename(gate.base / "consumed")


def ended(gate: Gate, content: bytes, intent: Intent, store: MemoryStore) -> Outcome:
    return gate.move(transfer(attempt=2, begun=True, intent=intent), store, lane=lane_of(content))


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_file_that_may_have_been_taken_away_is_told_of(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    content = SIZES[size]
    taken(gate, monkeypatch, content)
    canceled = ended(gate, content, Intent.WITHDRAW, seeded(content))
    assert canceled.verdict is Verdict.CANCELED
    assert "may have published" in canceled.message
    assert "taken" in canceled.message
    assert gate.helpers() == []


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_failure_tells_of_it_too(gate: Gate, monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    taken(gate, monkeypatch, SIZES[size])
    failed = ended(gate, SIZES[size], Intent.MOVE, MemoryStore())
    assert (failed.verdict, failed.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND)
    assert "may have published" in failed.message
    assert "taken" in failed.message


def test_a_large_file_that_comes_a_second_time_says_so(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    taken(gate, monkeypatch, CONTENT)
    outcome = ended(gate, CONTENT, Intent.MOVE, seeded(CONTENT))
    check_complete(outcome, gate)
    assert "may have published" in outcome.note


def test_a_large_file_is_said_to_be_published_before_its_name_is_durable(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the sync of its directory, which may take long: what its consumer took away in that time came once."""

    def die(*_: Any) -> None:
        if gate.target.exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Place, "sync", die)
        with pytest.raises(KeyboardInterrupt):
            gate.move(transfer(), seeded(CONTENT))
    gate.target.rename(gate.base / "consumed")
    outcome = ended(gate, CONTENT, Intent.MOVE, MemoryStore())
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, "")
    assert not gate.target.exists()


# --------------------------------------------------------------------------------------------------------- a late mover


@pytest.mark.parametrize("policy", POLICIES)
def test_a_late_mover_that_publishes_while_it_is_withdrawn_is_seen(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, policy: ConflictPolicy
) -> None:
    """It has lost its sub-task between the promise and the renaming, and goes on right behind the withdrawal's look."""
    store, outcomes = seeded(CONTENT), list[Outcome]()
    promised, go, done = threading.Event(), threading.Event(), threading.Event()
    real_land, real_give_up = landing.land, landing.give_up

    def slow(*args: Any) -> Any:
        promised.set()
        assert go.wait(DEADLINE_S)
        return (yield from real_land(*args))

    def late() -> None:
        outcomes.append(gate.move(transfer(conflict_policy=policy), store))
        done.set()

    def behind_the_look(place: Any) -> None:
        go.set()
        assert done.wait(DEADLINE_S)
        real_give_up(place)

    monkeypatch.setattr(large_import, "land", slow)
    mover = threading.Thread(target=late)
    mover.start()
    assert promised.wait(DEADLINE_S)
    withdrawal = transfer(attempt=2, begun=True, intent=Intent.WITHDRAW, conflict_policy=policy)
    with monkeypatch.context() as patched:
        patched.setattr(withdraw, "give_up", behind_the_look)
        first = gate.move(withdrawal, store)
    mover.join(DEADLINE_S)
    assert [outcome.verdict for outcome in outcomes] == [Verdict.COMPLETE]
    assert first.verdict is Verdict.RETRY
    assert "published /base/data.bin just now" in first.message
    assert gate.move(withdrawal, store).verdict is Verdict.COMPLETE
    assert gate.target.read_bytes() == CONTENT
