"""Does the ledger believe only what tests have seen, and does its score count what it says?"""

from pathlib import Path

import pytest

from scripts.fidelity import evidence, score
from scripts.fidelity.page import PAGE, written
from scripts.fidelity.rows import Kind, Row, State, gathered
from tests.fixtures import refusals

TEST = """
import pytest

@pytest.mark.rule("RULE-1")
@pytest.mark.code("CreateDataFlow", "IllegalCharacters")
def test_one(): ...

@pytest.mark.parametrize("line", [refusal("StopDataFlow", "MissingFileSystemId", FileSystemId=""), refusal(ACTION, "No")])
def test_two(line): ...
"""


def test_marks_and_lines_of_tables_are_found_where_they_stand(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    (room / "test_it.py").write_text(TEST)
    (room / "other.py").write_text(TEST)  # no test
    found = evidence.collected(tmp_path)
    assert found.rules == {"RULE-1": ("room/test_it",)}
    assert set(found.codes) == {("CreateDataFlow", "IllegalCharacters"), ("StopDataFlow", "MissingFileSystemId")}


def test_a_mark_is_held_to_what_was_answered() -> None:
    marked = [("StopDataFlow", "A"), (refusals.ANY, "B")]
    refusals.note("StartDataFlow", "A")
    refusals.note("StartDataFlow", "B")
    assert refusals.unseen(marked) == [("StopDataFlow", "A")]
    refusals.note("StopDataFlow", "A")
    assert refusals.unseen(marked) == []


def row(state: State, *tests: str, origin: str = "documented", kind: Kind = Kind.CODE) -> Row:
    return Row(kind=kind, subject="CreateDataFlow", name="x", origin=origin, state=state, tests=tests)


def test_the_score_counts_what_is_built_and_shown() -> None:
    rows = [row(State.BUILT, "a"), row(State.BUILT), row(State.MISSING), row(State.NOT_BUILT), row(State.IMPOSSIBLE)]
    found = score.share(rows)
    assert (found.count, found.shown, found.built, found.part) == (4, 1, 1, 0.375)
    extension = row(State.MISSING, origin="extension", kind=Kind.LIMIT)
    whole = [row(State.BUILT, "a", kind=kind) for kind in Kind]
    assert score.total(whole) == score.total([*whole, extension]) == 100
    assert score.total([*whole, row(State.MISSING)]) == pytest.approx(100 - score.WEIGHTS[Kind.CODE] / 2)


def test_what_was_changed_by_hand_in_a_made_table_is_stale() -> None:
    page = PAGE.read_text(encoding="utf-8")
    ledger = gathered()
    for before, after in [("| built |", "| 501 |"), ("| error codes | 20 |", "| error codes | 30 |")]:
        assert before in page
        assert written(page.replace(before, after, 1), ledger) == page
