"""A helper file that somebody removed by hand: is a file that is nowhere ever called COMPLETE?"""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import FailureCode
from penstock.model import ConflictPolicy, Guarantee
from penstock.transfer.importing import OVERTAKEN
from penstock.transfer.journal import Journal
from penstock.transfer.transfer import Intent, Verdict
from tests.faults.ends.test_renamed_files import JOURNAL, PARTIAL, die_instead_of_renaming, tidied
from tests.faults.transfer.imports import CONTENT, check_complete
from tests.fixtures.gate import Gate, transfer
from tests.fixtures.memorystore import MemoryStore

OLD, THEIRS = b"what was there before", b"what somebody wrote since"


def die(*_: Any) -> None:
    raise KeyboardInterrupt


def promised(gate: Gate, store: MemoryStore, patched: pytest.MonkeyPatch, *, over: bytes | None) -> None:
    """Killed between the promise and the rename; then somebody removes the partial file."""
    if over is not None:
        gate.target.write_bytes(over)
    die_instead_of_renaming(patched, gate, store)
    (gate.base / PARTIAL).unlink()


def published(gate: Gate, store: MemoryStore, patched: pytest.MonkeyPatch) -> None:
    """Killed between the rename and the line that says so."""
    patched.setattr(Journal, "record_published", die)
    with pytest.raises(KeyboardInterrupt):
        gate.move(transfer(), store)
    patched.undo()
    assert gate.helpers() == [JOURNAL]
    assert gate.target.read_bytes() == CONTENT


@pytest.mark.parametrize("target", ["free", "taken", "appended to since"])
@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
def test_a_file_that_was_only_promised_is_begun_anew_or_withdrawn(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, intent: Intent, target: str
) -> None:
    promised(gate, store, monkeypatch, over=None if target == "free" else OLD)
    if target == "appended to since":
        with gate.target.open("ab") as opened:
            opened.write(b"!")
    there = None if target == "free" else gate.target.read_bytes()
    outcome = gate.move(transfer(attempt=2, intent=intent, begun=True), store)
    if intent is Intent.MOVE:
        check_complete(outcome, gate)
        doubt = outcome.note
    else:
        assert outcome.verdict is Verdict.CANCELED
        assert gate.helpers() == []
        doubt = outcome.message
        assert (gate.target.read_bytes() if gate.target.exists() else None) == there
    assert ("may have published it" in doubt) is (target == "free")  # else what was there before is still there
    tidied(gate, store)


def test_under_skip_what_was_there_is_told(gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    promised(gate, store, monkeypatch, over=OLD)
    outcome = gate.move(transfer(attempt=2, conflict_policy=ConflictPolicy.SKIP_THE_FILE), store)
    assert (outcome.verdict, outcome.actual_bytes) == (Verdict.SKIPPED, 0)
    assert gate.target.read_bytes() == OLD
    assert gate.helpers() == []


def test_a_failure_that_is_final_is_not_complete_either(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    promised(gate, store, monkeypatch, over=None)
    outcome = gate.move(transfer(attempt=2, begun=True), MemoryStore())
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND)
    assert (gate.helpers(), gate.target.exists()) == ([], False)


@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
@pytest.mark.parametrize("is_published", [False, True])
def test_a_file_that_came_to_the_target_since_stays_and_the_note_says_so(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, is_published: bool, intent: Intent
) -> None:
    """Whether ours had that name in between, nobody can tell."""
    if is_published:
        published(gate, store, monkeypatch)
    else:
        promised(gate, store, monkeypatch, over=OLD)
    (gate.base / "new").write_bytes(THEIRS)
    (gate.base / "new").rename(gate.target)
    outcome = gate.move(transfer(attempt=2, intent=intent, begun=True), store)
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, OVERTAKEN)
    assert outcome.guarantee is Guarantee.BEST_EFFORT
    assert gate.target.read_bytes() == THEIRS
    tidied(gate, store)


@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
@pytest.mark.parametrize("is_there", [True, False])
def test_who_is_killed_right_after_the_rename_finds_the_file_or_moves_it_again(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, is_there: bool, intent: Intent
) -> None:
    published(gate, store, monkeypatch)
    before = gate.target.stat().st_ino
    if not is_there:
        gate.target.unlink()
    outcome = gate.move(transfer(attempt=2, intent=intent), store)
    if is_there or intent is Intent.MOVE:
        check_complete(outcome, gate)
        assert not is_there or gate.target.stat().st_ino == before
    else:
        assert outcome.verdict is Verdict.CANCELED
        assert not gate.target.exists()
    tidied(gate, store)


@pytest.mark.parametrize("is_replaced", [True, False])
def test_what_was_seen_to_be_published_stays_so(gate: Gate, store: MemoryStore, is_replaced: bool) -> None:
    first = gate.move(transfer(), store)
    assert first.verdict is Verdict.COMPLETE
    gate.target.unlink()
    if is_replaced:
        gate.target.write_bytes(THEIRS)
    outcome = gate.move(transfer(attempt=2), store)
    assert (outcome.verdict, outcome.detail, outcome.note) == (Verdict.COMPLETE, first.detail, "")
    assert (gate.target.read_bytes() if gate.target.exists() else None) == (THEIRS if is_replaced else None)
