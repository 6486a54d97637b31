"""An upload that was promised, and that we abort ourselves: is its absence ever taken for its having been put together?

Between the abort and the next attempt somebody uses the key; in between the store is away, or the mover dies.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from penstock.errors import StoreUnavailableError
from penstock.failpoints import Point
from penstock.model import ConflictPolicy
from penstock.stores.base import Abilities
from penstock.transfer.overtaking import OVERTAKEN
from penstock.transfer.transfer import Checkpoint, Intent, Outcome, Verdict
from tests.faults.transfer.deaths import Killed, killed_at
from tests.faults.transfer.exports import CONTENT, KEY, LONG_AGO_NS, LOST, OTHER, SMALL, UNABLE, export, later, write
from tests.faults.transfer.test_export_assembled import Shop, killed
from tests.faults.transfer.test_export_overtaken import PLAIN, PLAIN_IDS, THEIRS
from tests.fixtures.gate import Gate
from tests.fixtures.memorystore import Fault, MemoryStore, Moment, Raise

AWAY = Raise(StoreUnavailableError("away"))


def promised(gate: Gate, abilities: Abilities = UNABLE, **changes: object) -> MemoryStore:
    """Complete has met an outage: all parts are there, the record says what the object is to be, and nothing came of it."""
    store = MemoryStore(clock=later, abilities=abilities)
    write(gate)
    store.script(Fault("complete", times=99, action=AWAY))
    outcome = gate.move(export(**changes), store)
    store._armed.clear()
    assert (outcome.verdict, len(store.unfinished())) == (Verdict.RETRY, 1)
    assert durable(gate).over is not None
    return store


def durable(gate: Gate) -> Checkpoint:
    """The record as a mover that is started anew is given it, whatever the last one knew."""
    return gate.hooks.checkpoints[-1]


def again(gate: Gate, store: MemoryStore, attempt: int, **changes: object) -> Outcome:
    return gate.move(export(**{"attempt": attempt, "checkpoint": durable(gate), **changes}), store)


def answerless(gate: Gate, store: MemoryStore, **changes: object) -> None:
    """The upload is aborted, and then the store is away before it has said that it is gone."""
    store.script(Fault("list_parts", nth=2, times=99, action=AWAY))
    outcome = again(gate, store, 2, **changes)
    store._armed.clear()
    assert (outcome.verdict, store.unfinished()) == (Verdict.RETRY, [])


def died(gate: Gate, store: MemoryStore, at: Point, **changes: object) -> None:
    """Its mover is killed there."""
    with killed_at(at):
        again(gate, store, 2, **changes)


def interrupted(gate: Gate, store: MemoryStore, ends: Point | None, **changes: object) -> None:
    """It does not get further than to the abort: killed there, or for want of an answer."""
    if ends is None:
        answerless(gate, store, **changes)
    else:
        died(gate, store, ends, **changes)


def changed(gate: Gate) -> None:
    write(gate, OTHER, LONG_AGO_NS + 10**9)


def shortened(gate: Gate) -> None:
    write(gate, SMALL)


def check_canceled(outcome: Outcome, store: MemoryStore) -> None:
    assert (outcome.verdict, outcome.message, outcome.note) == (Verdict.CANCELED, "", "")
    assert (store.content(KEY), store.unfinished()) == (THEIRS, [])


@pytest.mark.parametrize("abilities", PLAIN, ids=PLAIN_IDS)
def test_canceled_while_the_store_goes_away_again(gate: Gate, abilities: Abilities) -> None:
    store = promised(gate, abilities)
    answerless(gate, store, intent=Intent.WITHDRAW)
    store.seed(KEY, THEIRS)
    check_canceled(again(gate, store, 3, intent=Intent.WITHDRAW), store)


@pytest.mark.parametrize("point", ["upload.abort", "upload.aborted"])
def test_canceled_and_killed_around_the_abort(gate: Gate, point: Point) -> None:
    store = promised(gate)
    died(gate, store, point, intent=Intent.WITHDRAW)
    assert durable(gate).over is None  # before it is aborted
    store.seed(KEY, THEIRS)
    check_canceled(again(gate, store, 3, intent=Intent.WITHDRAW), store)


@pytest.mark.parametrize("is_kept", [False, True], ids=["before", "after"])
def test_canceled_and_killed_around_the_word_that_it_is_aborted(gate: Gate, is_kept: bool) -> None:
    store = promised(gate)

    def die(record: Checkpoint) -> None:
        assert record.over is None
        gate.hooks.on_checkpoint = lambda record: None
        if is_kept:
            gate.hooks.checkpoints.append(record)
        raise Killed

    gate.hooks.on_checkpoint = die
    with pytest.raises(Killed):
        again(gate, store, 2, intent=Intent.WITHDRAW)
    assert len(store.unfinished()) == 1
    store.seed(KEY, THEIRS)
    check_canceled(again(gate, store, 3, intent=Intent.WITHDRAW), store)


@pytest.mark.parametrize("become", [changed, shortened])
@pytest.mark.parametrize("ends", [None, "upload.abort", "upload.aborted"])
def test_its_source_is_another_one(gate: Gate, ends: Point | None, become: Callable[[Gate], None]) -> None:
    """What was promised never came; what is sent is the file as it is now, over whatever lies there by then."""
    store = promised(gate)
    become(gate)
    interrupted(gate, store, ends)
    store.seed(KEY, THEIRS)
    outcome = again(gate, store, 3)
    assert (outcome.verdict, OVERTAKEN in outcome.note) == (Verdict.COMPLETE, False)
    assert (store.content(KEY), store.unfinished()) == (OTHER if become is changed else SMALL, [])


@pytest.mark.parametrize("ends", [None, "upload.abort", "upload.aborted"])
def test_what_has_come_stays_and_then_is_replaced(gate: Gate, ends: Point | None) -> None:
    """Kept as the policy asks: SKIPPED, whoever writes to the key later."""
    policy = ConflictPolicy.SKIP_THE_FILE
    store = promised(gate, conflict_policy=policy)
    store.seed(KEY, b"it came first")
    interrupted(gate, store, ends, conflict_policy=policy)
    store.seed(KEY, THEIRS)
    outcome = again(gate, store, 3, conflict_policy=policy)
    assert (outcome.verdict, outcome.note) == (Verdict.SKIPPED, "")
    assert (store.content(KEY), store.unfinished()) == (THEIRS, [])


@pytest.mark.parametrize("ends", [None, "upload.abort", "upload.aborted"])
def test_what_a_failed_one_left_is_not_said_to_be_published(gate: Gate, ends: Point | None) -> None:
    store = promised(gate)
    interrupted(gate, store, ends, intent=Intent.TIDY)
    store.seed(KEY, THEIRS)
    outcome = again(gate, store, 3, intent=Intent.TIDY)
    assert (outcome.verdict, outcome.message, store.content(KEY)) == (Verdict.TIDIED, "", THEIRS)


@pytest.mark.parametrize("point", ["upload.abort", "upload.aborted"])
def test_where_ours_was_found_whoever_replaces_it_came_later(gate: Gate, point: Point) -> None:
    """Put together: what may be left of its upload is removed, and that is no word against it."""
    store = killed(gate, UNABLE)
    died(gate, store, point)
    assert durable(gate).over is not None
    store.seed(KEY, THEIRS)
    outcome = again(gate, store, 3)
    assert (outcome.verdict, OVERTAKEN in outcome.note) == (Verdict.COMPLETE, True)
    assert store.content(KEY) == THEIRS


def test_a_complete_that_finds_it_gone_does_not_forget_it_before_the_key_has_answered(gate: Gate) -> None:
    """Put together by a try whose answer was lost; then the store is away for the look that would tell."""
    store = MemoryStore(clock=later, abilities=UNABLE)
    write(gate)
    store.script(
        Fault("complete", nth=1, action=Raise(LOST, moment=Moment.AFTER)),
        *(Fault("head", nth=nth, action=AWAY) for nth in range(3, 99)),
    )
    plain, looks = store.head, []

    def head(*given: object, **more: object) -> object:
        looks.append(1)
        if len(looks) == 2:  # between the two tries somebody has replaced it
            store.seed(KEY, THEIRS)
        return plain(*given, **more)  # type: ignore[arg-type]

    store.head = head  # type: ignore[method-assign, assignment]
    first = gate.move(export(), store)
    store._armed.clear()
    assert first.verdict is Verdict.RETRY
    assert first.checkpoint == durable(gate)
    outcome = again(gate, store, 2, checkpoint=first.checkpoint)
    assert (outcome.verdict, OVERTAKEN in outcome.note) == (Verdict.COMPLETE, True)
    assert store.content(KEY) == THEIRS


def test_whoever_replaces_a_damaged_one_that_was_named_has_not_replaced_the_file(gate: Gate) -> None:
    """That it is damaged is durable once it is said."""
    store = killed(gate, UNABLE, "another part")
    named = again(gate, store, 2, intent=Intent.WITHDRAW)
    assert named.verdict is Verdict.RETRY
    assert durable(gate).over is None


def test_a_damaged_one_that_is_written_anew_is_no_longer_waited_for(gate: Gate) -> None:
    store = MemoryStore(clock=later, abilities=UNABLE)
    write(gate)
    Shop(store, "another part")
    assert gate.move(export(), store).verdict is Verdict.COMPLETE
    assert [record.over is None for record in gate.hooks.checkpoints] == [True, True, False, True, True, True, False]


@pytest.mark.parametrize("point", ["upload.abort", "upload.aborted"])
def test_it_goes_on_with_what_was_not_aborted_yet(gate: Gate, point: Point) -> None:
    """The cancel that had begun is one of another time; what is sent is promised anew."""
    store = promised(gate)
    died(gate, store, point, intent=Intent.WITHDRAW)
    outcome = again(gate, store, 3)
    assert (outcome.verdict, store.content(KEY), store.unfinished()) == (Verdict.COMPLETE, CONTENT, [])
    assert durable(gate).over is not None
