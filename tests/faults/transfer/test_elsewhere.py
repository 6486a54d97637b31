"""What is left of an import whose path leads to another directory than when it was begun, and is it known where?"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from penstock.errors import FailureCode, FencedError
from penstock.transfer.transfer import Checkpoint, Intent, Lane, Outcome, StopReason, Transfer, Verdict
from tests.faults.transfer.imports import CONTENT, drain_after
from tests.fixtures.gate import KIB, Gate, RecordingHooks, transfer
from tests.fixtures.memorystore import Fault, Meanwhile, MemoryStore

WHAT = transfer(path="base/sub/data.bin")


@pytest.fixture
def store() -> MemoryStore:
    """A bucket that holds the object to import."""
    made = MemoryStore(chunk_bytes=16 * KIB)
    made.seed(WHAT.key, CONTENT)
    return made


@pytest.fixture
def sub(gate: Gate) -> Path:
    """The directory that the path leads to."""
    made = gate.base / "sub"
    made.mkdir()
    return made


def after(outcome: Outcome, **changes: object) -> Transfer:
    """The next attempt, as the catalog would order it."""
    number = outcome.attempt + 1
    return replace(WHAT, attempt=number, begun=True, checkpoint=outcome.checkpoint, **changes)


def begun(gate: Gate, store: MemoryStore) -> Outcome:
    """A large import that is handed back in the middle."""
    outcome = gate.move(WHAT, store, hooks=drain_after(gate, 2))
    assert (outcome.verdict, len(gate.helpers())) == (Verdict.RETURNED, 2)
    return outcome


def exchange(sub: Path, aside: str) -> Path:
    """Another directory in its place. Where it is now."""
    moved = sub.rename(sub.parent / aside)
    sub.mkdir()
    return moved


# ---------------------------------------------------------------------------------------------------------- recording


@pytest.mark.usefixtures("sub")
def test_what_is_found_to_be_large_says_where_it_will_be_begun(gate: Gate, store: MemoryStore) -> None:
    """So nothing has to be made durable for that later."""
    large = gate.move(WHAT, store, lane=Lane.SMALL)
    assert large.verdict is Verdict.LARGE
    assert large.checkpoint is not None
    assert [there.path for there in large.checkpoint.begun_in] == [b"base/sub"]
    assert gate.move(replace(WHAT, checkpoint=large.checkpoint), store).verdict is Verdict.COMPLETE
    assert gate.hooks.checkpoints == []


def test_where_it_is_begun_is_durable_before_a_helper_file_is_made(gate: Gate, store: MemoryStore) -> None:
    """The directory is made with it: nobody could say before which one."""
    seen: list[list[str]] = []
    gate.hooks.on_checkpoint = lambda record: seen.append(gate.helpers())
    large = gate.move(WHAT, store, lane=Lane.SMALL)
    assert large.checkpoint is None
    assert gate.move(WHAT, store).verdict is Verdict.COMPLETE
    assert seen == [[]]


def begun_and_turned(gate: Gate, store: MemoryStore, turned_to: str = "run42") -> Outcome:
    """Begun in run41, by a link that leads elsewhere since."""
    for name in ("run41", "run42"):
        (gate.base / name).mkdir()
    link = gate.base / "sub"
    link.symlink_to("run41")
    outcome = begun(gate, store)
    link.unlink()
    link.symlink_to(turned_to)
    return outcome


def test_the_path_is_that_without_links(gate: Gate, store: MemoryStore) -> None:
    (gate.base / "run41").mkdir()
    (gate.base / "sub").symlink_to("run41")
    outcome = begun(gate, store)
    assert outcome.checkpoint is not None
    assert [there.path for there in outcome.checkpoint.begun_in] == [b"base/run41"]


# ------------------------------------------------------------------------------------------------------------ looking


@pytest.mark.parametrize("turned_to", ["run42", "/", "nowhere"])
@pytest.mark.parametrize("intent", [Intent.WITHDRAW, Intent.TIDY])
def test_where_a_link_led_to_is_looked_at_wherever_it_leads_now(
    gate: Gate, store: MemoryStore, intent: Intent, turned_to: str
) -> None:
    outcome = begun_and_turned(gate, store, turned_to)
    ended = gate.move(after(outcome, intent=intent), store)
    assert ended.verdict is (Verdict.TIDIED if intent is Intent.TIDY else Verdict.CANCELED)
    assert (ended.tidy, ended.message, gate.helpers()) == (False, "", [])


def test_each_directory_that_is_gone_is_named_and_looked_for(gate: Gate, store: MemoryStore, sub: Path) -> None:
    first = begun(gate, store)
    aside = exchange(sub, "aside")
    again = gate.move(after(first), store, hooks=drain_after(gate, 2))
    assert (again.verdict, len(gate.helpers())) == (Verdict.RETURNED, 4)
    (sub.parent / "sub").rename(sub.parent / "later")
    sub.mkdir()
    canceled = gate.move(after(again, intent=Intent.WITHDRAW), store)
    assert (canceled.verdict, canceled.tidy) == (Verdict.CANCELED, True)
    assert all(name in canceled.message for name in gate.helpers())
    assert canceled.checkpoint is not None
    assert len(canceled.checkpoint.begun_in) == 2
    tidying = after(canceled, intent=Intent.TIDY)
    for back in (aside, sub.parent / "later"):
        waits = gate.move(tidying, store)
        assert (waits.verdict, waits.code) == (Verdict.RETRY, FailureCode.FILE_SYSTEM_UNAVAILABLE)
        sub.rename(sub.parent / f"newer than {back.name}")
        back.rename(sub)
        gate.move(tidying, store)
    assert gate.helpers() == []


def test_what_is_complete_elsewhere_keeps_what_has_to_be_tidied(gate: Gate, store: MemoryStore, sub: Path) -> None:
    first = begun(gate, store)
    aside = exchange(sub, "aside")
    complete = gate.move(after(first), store)
    assert (complete.verdict, complete.tidy) == (Verdict.COMPLETE, True)
    assert all(path.name in complete.note for path in aside.iterdir())
    newer = sub.rename(sub.parent / "newer")
    aside.rename(sub)
    tidying = after(complete, intent=Intent.TIDY)
    assert gate.move(tidying, store).verdict is Verdict.RETRY
    assert list(sub.iterdir()) == []
    sub.rename(aside)
    newer.rename(sub)
    gate.move(tidying, store)
    assert gate.helpers() == []
    assert (sub / "data.bin").read_bytes() == CONTENT


def test_whoever_holds_it_when_it_is_exchanged_leaves_nothing(gate: Gate, store: MemoryStore, sub: Path) -> None:
    store.script(Fault("get", nth=2, action=Meanwhile(lambda: exchange(sub, "aside"))))
    astray = gate.move(WHAT, store)
    assert (astray.verdict, gate.helpers()) == (Verdict.RETRY, [])
    complete = gate.move(replace(after(astray), begun=astray.begun), store)
    assert (complete.verdict, complete.note) == (Verdict.COMPLETE, "")


def test_a_second_attempt_that_leaves_nothing_says_so(gate: Gate, store: MemoryStore, sub: Path) -> None:
    """The first had begun something; the second goes on with it, holds the directory as it is exchanged, and removes all."""
    first = begun(gate, store)
    gate.hooks.stop = None
    store.script(Fault("get", action=Meanwhile(lambda: exchange(sub, "aside"))))
    astray = gate.move(after(first), store)
    assert (astray.verdict, gate.helpers()) == (Verdict.RETRY, [])
    complete = gate.move(after(astray), store)
    assert (complete.verdict, complete.note) == (Verdict.COMPLETE, "")


def test_a_cancel_that_meets_another_directory_in_that_instant_leaves_nothing(
    gate: Gate, store: MemoryStore, sub: Path
) -> None:
    def go() -> None:
        exchange(sub, "aside")
        gate.hooks.stop = StopReason.CANCEL

    store.script(Fault("get", nth=2, action=Meanwhile(go)))
    canceled = gate.move(WHAT, store)
    assert (canceled.verdict, canceled.tidy, canceled.message) == (Verdict.CANCELED, False, "")
    assert gate.helpers() == []


@pytest.mark.usefixtures("sub")
def test_a_record_of_an_earlier_version_says_nothing_of_it(gate: Gate, store: MemoryStore) -> None:
    """Without one all is as it was: the path is all that is looked at."""
    outcome = begun(gate, store)
    withdrawn = gate.move(replace(after(outcome, intent=Intent.WITHDRAW), checkpoint=None), store)
    assert (withdrawn.verdict, withdrawn.tidy, gate.helpers()) == (Verdict.CANCELED, False, [])


def test_more_places_than_are_kept(gate: Gate, store: MemoryStore, sub: Path) -> None:
    outcome = begun(gate, store)
    for number in range(20):
        exchange(sub, f"aside{number}")
        outcome = gate.move(after(outcome), store, hooks=drain_after(gate, 2))
    assert isinstance(outcome.checkpoint, Checkpoint)
    assert len(outcome.checkpoint.begun_in) == 16


def test_a_fence_ends_it_before_anything_is_made(gate: Gate, store: MemoryStore) -> None:
    hooks = RecordingHooks()
    hooks.on_checkpoint = lambda record: _fence()
    outcome = gate.move(WHAT, store, hooks=hooks)
    assert (outcome.verdict, gate.helpers()) == (Verdict.RETURNED, [])


def _fence() -> None:
    raise FencedError("lost")


# --------------------------------------------------------------------------------------------------- not to be opened


def unopened(gate: Gate, name: str) -> pytest.MonkeyPatch:
    """From now on nobody may look into that directory (whoever tests may be root, whom nothing is denied)."""
    patched, plain = pytest.MonkeyPatch(), gate.root.directories.take

    def take(parent: bytes) -> object:
        if parent == os.fsencode(name):
            raise PermissionError(errno.EACCES, "denied")
        return plain(parent)

    patched.setattr(gate.root.directories, "take", take)
    return patched


def test_a_move_goes_on_where_the_directory_of_then_may_not_be_opened_and_it_is_tidied_later(
    gate: Gate, store: MemoryStore
) -> None:
    first = begun_and_turned(gate, store)
    denied = unopened(gate, "base/run41")
    moved = gate.move(after(first), store)
    assert (moved.verdict, moved.tidy) == (Verdict.COMPLETE, True)
    assert (gate.base / "run42" / "data.bin").read_bytes() == CONTENT
    assert "may not be looked at now" in moved.note
    assert "/base/run41 then" in moved.note
    barred = gate.move(after(moved, intent=Intent.TIDY), store)
    assert (barred.verdict, barred.code) == (Verdict.RETRY, FailureCode.PERMISSION_DENIED)
    denied.undo()
    assert gate.move(after(moved, intent=Intent.TIDY), store).verdict is Verdict.TIDIED
    assert gate.helpers() == []


def test_a_withdrawal_does_not_do_without_it(gate: Gate, store: MemoryStore) -> None:
    first = begun_and_turned(gate, store)
    denied = unopened(gate, "base/run41")
    withdrawn = gate.move(after(first, intent=Intent.WITHDRAW), store)
    assert withdrawn.code is FailureCode.PERMISSION_DENIED
    denied.undo()
    assert gate.move(after(first, intent=Intent.WITHDRAW), store).verdict is Verdict.CANCELED
    assert gate.helpers() == []
