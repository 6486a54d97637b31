"""Is a file that somebody renames to one of our helper names left as it is, and does the work go on all the same?"""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import FailureCode
from penstock.transfer import crc64, journal, names, strangers
from penstock.transfer.journal import Journal
from penstock.transfer.transfer import Intent, Verdict
from tests.faults.transfer.imports import CONTENT, check_complete, drain_after, ranges
from tests.fixtures.gate import Gate, transfer
from tests.fixtures.memorystore import MemoryStore

LENGTHS = [1, 900, len(CONTENT), len(CONTENT) + 1]
PARTIAL, JOURNAL = (name("subtask-1").decode() for name in (names.partial_name, names.journal_name))
KEPT = names.kept_name("subtask-1", 0).decode()


class Victim:
    """Somebody's file, which has one name only."""

    def __init__(self, path: Path, length: int = 900) -> None:
        self._path = path
        self._content = b"\1" * length
        path.write_bytes(self._content)
        path.chmod(0o640)
        os.utime(path, ns=(5, 7))
        self._before = self._look(path)

    def take_the_place_of(self, helper: Path) -> None:
        self._path.rename(helper)

    def check(self, gate: Gate) -> str:
        """It is as it was, but for its name, which is the answer."""
        (there,) = (path for path in gate.base.iterdir() if path.stat().st_ino == self._before[0])
        assert self._look(there) == self._before
        assert there.read_bytes() == self._content
        return there.name

    @staticmethod
    def _look(path: Path) -> tuple[int, ...]:
        found = path.stat()
        return found.st_ino, found.st_mode, found.st_uid, found.st_size, found.st_mtime_ns, found.st_nlink


def die_instead_of_renaming(patched: pytest.MonkeyPatch, gate: Gate, store: MemoryStore) -> None:
    """An attempt that is killed between the promise and the rename."""
    before = gate.target.read_bytes() if gate.target.exists() else None

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    patched.setattr(os, "rename", die)
    with pytest.raises(KeyboardInterrupt):
        gate.move(transfer(), store)
    patched.undo()
    assert gate.helpers() == sorted([PARTIAL, JOURNAL])
    assert (gate.target.read_bytes() if gate.target.exists() else None) == before


def tidied(gate: Gate, store: MemoryStore) -> None:
    assert gate.move(transfer(attempt=9, intent=Intent.TIDY), store).verdict is Verdict.TIDIED
    assert gate.helpers() == []


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("helpers", [(PARTIAL,), (JOURNAL,), (PARTIAL, JOURNAL)], ids=["partial", "journal", "both"])
def test_a_begun_import_begins_anew_and_keeps_what_took_the_place_of_its_helpers(
    gate: Gate, store: MemoryStore, helpers: tuple[str, ...], length: int
) -> None:
    assert gate.move(transfer(), store, hooks=drain_after(gate, 3)).verdict is Verdict.RETURNED
    victims = [Victim(gate.base / f"victim{number}", length) for number, _ in enumerate(helpers)]
    for helper, victim in zip(helpers, victims, strict=True):
        victim.take_the_place_of(gate.base / helper)
    outcome = gate.move(transfer(attempt=2), store)
    check_complete(outcome, gate)
    assert gate.target.stat().st_nlink == 1
    if JOURNAL not in helpers or len(helpers) == 1:
        assert {victim.check(gate) for victim in victims} == {KEPT}
        assert f"/base/{helpers[0]}" in outcome.note
        assert f"it is /base/{KEPT} now" in outcome.note
    else:  # what the journal knew is gone with it: only that one is told to be another file
        assert victims[1].check(gate) == KEPT
    tidied(gate, store)


@pytest.mark.parametrize("intent", [Intent.WITHDRAW, Intent.TIDY])
@pytest.mark.parametrize("helper", [PARTIAL, JOURNAL], ids=["partial", "journal"])
def test_whoever_removes_what_was_begun_removes_nothing_else(
    gate: Gate, store: MemoryStore, helper: str, intent: Intent
) -> None:
    gate.move(transfer(), store, hooks=drain_after(gate, 3))
    victim = Victim(gate.base / "victim")
    victim.take_the_place_of(gate.base / helper)
    outcome = gate.move(transfer(attempt=2, intent=intent), store)
    assert outcome.verdict is (Verdict.CANCELED if intent is Intent.WITHDRAW else Verdict.TIDIED)
    assert gate.helpers() == []
    assert victim.check(gate) == KEPT
    gate.move(transfer(attempt=3, intent=intent), store)  # as if nobody had heard of the first
    victim.check(gate)


def test_a_name_that_is_taken_is_not_replaced(gate: Gate, store: MemoryStore) -> None:
    victims = [Victim(gate.base / f"victim{number}") for number in range(3)]
    for number, victim in enumerate(victims):
        gate.move(transfer(attempt=1 + number), store, hooks=drain_after(gate, 3))
        victim.take_the_place_of(gate.base / PARTIAL)
    check_complete(gate.move(transfer(attempt=5), store), gate)
    assert [victim.check(gate) for victim in victims] == [KEPT, f"{KEPT}-2", f"{KEPT}-3"]


@pytest.mark.parametrize("since", ["nothing", "target replaced", "target removed"])
def test_what_was_published_stays_so_where_its_helper_name_was_taken_since(
    gate: Gate, store: MemoryStore, since: str
) -> None:
    assert gate.move(transfer(), store).verdict is Verdict.COMPLETE
    published = gate.target.stat().st_ino
    victim = Victim(gate.base / "victim")
    if since == "nothing":
        victim.take_the_place_of(gate.base / PARTIAL)
    elif since == "target replaced":
        gate.target.unlink()
        gate.target.write_bytes(b"theirs")
    else:
        gate.target.unlink()
    outcome = gate.move(transfer(attempt=2), store)
    assert outcome.verdict is Verdict.COMPLETE
    if since == "nothing":
        check_complete(outcome, gate)
        assert gate.target.stat().st_ino == published
    elif since == "target replaced":
        assert gate.target.read_bytes() == b"theirs"
    else:
        assert not gate.target.exists()
    tidied(gate, store)
    victim.check(gate)


@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
@pytest.mark.parametrize("instead", ["renamed file", "linked file", "symbolic link", "directory"])
def test_a_promise_does_not_count_when_something_else_has_the_name_of_what_was_promised(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, instead: str, intent: Intent
) -> None:
    """Ours went with its name, before it was published: nobody may say that it was."""
    die_instead_of_renaming(monkeypatch, gate, store)
    victim, place = Victim(gate.base / "victim"), gate.base / PARTIAL
    if instead == "renamed file":
        victim.take_the_place_of(place)
    else:
        place.unlink()
    if instead == "linked file":
        os.link(gate.base / "victim", place)
    elif instead == "symbolic link":
        place.symlink_to("victim")
    elif instead == "directory":
        place.mkdir()
    outcome = gate.move(transfer(attempt=2, intent=intent), store)
    if instead == "directory" and intent is Intent.MOVE:
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.HELPER_NAME_TAKEN)
        place.rmdir()
        outcome = gate.move(transfer(attempt=3), store)
    if intent is Intent.MOVE:
        check_complete(outcome, gate)
    else:
        assert outcome.verdict is Verdict.CANCELED
        assert not gate.target.exists()
    assert victim.check(gate) == (KEPT if instead == "renamed file" else "victim")


@pytest.mark.parametrize("intent", list(Intent))
@pytest.mark.parametrize("moment", list(product(["taken back", "before", "behind", "journal gone"], [False, True])))
def test_a_mover_that_is_killed_while_it_moves_somebodys_file_aside_loses_neither(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, moment: tuple[str, bool], intent: Intent
) -> None:
    when, is_promised = moment
    if is_promised:
        die_instead_of_renaming(monkeypatch, gate, store)
    else:
        gate.move(transfer(), store, hooks=drain_after(gate, 3))
    gate.hooks.stop = None
    victim = Victim(gate.base / "victim")
    victim.take_the_place_of(gate.base / PARTIAL)
    plain = {name: getattr(room, name) for room, name in ((strangers, "move_aside"), (journal, "remove"))}

    def die(*given: Any) -> None:
        if when in {"behind", "journal gone"}:
            plain["move_aside" if when == "behind" else "remove"](*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if when == "taken back":
            patched.setattr(Journal, "take_back", die)
        elif when == "journal gone":
            patched.setattr(journal, "remove", die)
        else:
            patched.setattr(strangers, "move_aside", die)
        with pytest.raises(KeyboardInterrupt) if is_promised or when != "taken back" else nullcontext():
            gate.move(transfer(attempt=2, intent=intent), store)
    outcome = gate.move(transfer(attempt=3, intent=intent), store)
    if intent is Intent.MOVE:
        check_complete(outcome, gate)
    else:
        assert outcome.verdict is (Verdict.CANCELED if intent is Intent.WITHDRAW else Verdict.TIDIED)
        assert not gate.target.exists()
    tidied(gate, store)
    assert victim.check(gate) == KEPT


@pytest.mark.parametrize("what", ["renamed", "removed"])
@pytest.mark.parametrize("helper", [PARTIAL, JOURNAL], ids=["partial", "journal"])
def test_what_takes_the_place_while_the_file_is_on_its_way_is_neither_published_nor_removed(
    gate: Gate, store: MemoryStore, helper: str, what: str
) -> None:
    victim = Victim(gate.base / "victim")
    struck: list[bool] = []

    def strike(_: object) -> None:
        if not struck and (gate.base / JOURNAL).exists():
            struck.append(True)
            if what == "renamed":
                victim.take_the_place_of(gate.base / helper)
            else:
                (gate.base / helper).unlink()

    gate.narrow()
    gate.hooks.on_progress = strike
    outcome = gate.move(transfer(), store)
    assert struck
    if helper == PARTIAL:
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.HELPER_NAME_TAKEN)
        assert not gate.target.exists()
        assert gate.helpers() == []
        outcome = gate.move(transfer(attempt=2), store)
    check_complete(outcome, gate)  # without its journal the next attempt would not know: it is the file that counts
    tidied(gate, store)
    assert victim.check(gate) == (KEPT if what == "renamed" else "victim")


def forget_the_identity(path: Path) -> None:
    """As an earlier version wrote it."""
    first, _, rest = path.read_bytes().partition(b"\n")
    told = json.loads(first.partition(b" ")[2])
    del told["partial"]
    payload = json.dumps(told, separators=(",", ":")).encode()
    path.write_bytes(b"%016x %s\n" % (crc64.update(payload), payload) + rest)


@pytest.mark.parametrize("end", ["begun", "promised", "published"])
def test_a_journal_of_an_earlier_version_is_not_gone_on_with_but_its_promise_counts(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    if end == "begun":
        gate.move(transfer(), store, hooks=drain_after(gate, 3))
    elif end == "promised":
        die_instead_of_renaming(monkeypatch, gate, store)
    else:
        assert gate.move(transfer(), store).verdict is Verdict.COMPLETE
    forget_the_identity(gate.base / JOURNAL)
    store.calls.clear()
    check_complete(gate.move(transfer(attempt=2), store), gate)
    assert sum(length for _, length in ranges(store)) == (0 if end == "published" else len(CONTENT))
    tidied(gate, store)
    assert [path.name for path in gate.base.iterdir()] == ["data.bin"]
