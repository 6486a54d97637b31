"""Is a small import into a new tree done when it is done, though its mover was killed, and made the directory itself?"""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace

from penstock.failpoints import Point
from penstock.model import ConflictPolicy
from penstock.transfer import names
from penstock.transfer.transfer import Intent, Lane, Outcome, Transfer, Verdict
from tests.faults.transfer.deaths import killed_at
from tests.fixtures.gate import Gate, transfer
from tests.fixtures.memorystore import MemoryStore

PATH = "base/fresh/dir/data.bin"
CONTENT = b"y" * 5000
HOUR_NS = 3600 * 1_000_000_000


def an_import() -> Transfer:
    began_ns = time.time_ns() - 1_000_000_000
    return transfer(path=PATH, first_attempt_ns=began_ns, accepted_ns=began_ns)


def killed(gate: Gate, store: MemoryStore, what: Transfer, point: Point) -> None:
    """An attempt that ends at that point without a word."""
    with killed_at(point):
        gate.move(what, store, lane=Lane.SMALL)


def again(gate: Gate, store: MemoryStore, what: Transfer, attempt: int, intent: Intent = Intent.MOVE) -> Outcome:
    return gate.move(replace(what, attempt=attempt, begun=True, intent=intent), store, lane=Lane.SMALL)


def a_store(what: Transfer) -> MemoryStore:
    store = MemoryStore()
    store.seed(what.key, CONTENT)
    return store


@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
def test_what_the_only_attempt_before_has_published_there_was_begun_there(gate: Gate, intent: Intent) -> None:
    what = replace(an_import(), conflict_policy=ConflictPolicy.SKIP_THE_FILE)
    store = a_store(what)
    killed(gate, store, what, "renamed")
    second = again(gate, store, what, 2, intent)
    assert (second.verdict, second.tidy) == (Verdict.COMPLETE, False)


def test_of_several_attempts_nobody_knows_which_one_it_was(gate: Gate) -> None:
    what = replace(an_import(), conflict_policy=ConflictPolicy.SKIP_THE_FILE)
    store = a_store(what)
    killed(gate, store, what, "renamed")
    third = again(gate, store, what, 3)
    assert (third.verdict, third.tidy) == (Verdict.COMPLETE, True)


@pytest.mark.parametrize("intent", [Intent.MOVE, Intent.WITHDRAW])
def test_a_directory_that_it_may_have_made_is_watched_for_an_hour(gate: Gate, intent: Intent) -> None:
    what = an_import()
    store = a_store(what)
    killed(gate, store, what, "directory.made")
    (gate.path / PATH).parent.mkdir(exist_ok=True)  # the other level
    second = again(gate, store, what, 2, intent)
    assert second.tidy
    look = again(gate, store, what, 3, Intent.TIDY)
    assert (look.verdict, "is missing" in look.message) == (Verdict.RETRY, False)
    now_ns = time.time_ns()
    gate.clock = lambda: now_ns + HOUR_NS - 60_000_000_000
    assert again(gate, store, what, 4, Intent.TIDY).verdict is Verdict.RETRY
    gate.clock = lambda: now_ns + HOUR_NS
    assert again(gate, store, what, 5, Intent.TIDY).verdict is Verdict.TIDIED


def test_a_link_that_was_turned_is_watched_as_long_as_anything(gate: Gate) -> None:
    what = an_import()
    store = a_store(what)
    for name in ("then", "now"):
        (gate.path / "base" / name / "dir").mkdir(parents=True)
    link = gate.path / "base" / "fresh"
    link.symlink_to("then")
    (link / "dir" / names.partial_name(what.sub_task_id).decode()).touch()  # of a mover that was killed
    link.unlink()
    link.symlink_to("now")
    assert again(gate, store, what, 2).tidy
    now_ns = time.time_ns()
    gate.clock = lambda: now_ns + 2 * HOUR_NS
    assert again(gate, store, what, 3, Intent.TIDY).verdict is Verdict.RETRY
    link.unlink()
    link.symlink_to("then")
    assert gate.helpers()
    again(gate, store, what, 4, Intent.TIDY)
    assert not gate.helpers()
