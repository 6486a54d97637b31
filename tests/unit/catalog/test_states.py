"""Is the table of states whole, and do the drawings and the statements say the same?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources

import pytest

from penstock.catalog.states import CONDITIONS, RESERVED_STATUSES, TRANSITIONS, Noun, ending, step
from penstock.catalog.verbs import Settling
from penstock.model import FINAL_SUB_TASK_STATUSES, DataFlowStatus, SubTaskStatus, TaskStatus
from tests.fixtures.drawing import DRAWINGS, OUTSIDE, Edge, drawn

STATUSES = {Noun.DATA_FLOW: DataFlowStatus, Noun.TASK: TaskStatus, Noun.SUB_TASK: SubTaskStatus}
TITLES = {Noun.DATA_FLOW: "Dataflow", Noun.TASK: "Task", Noun.SUB_TASK: "Sub-task"}


def edges(noun: Noun) -> set[Edge]:
    """(before, after, cause) of each edge of a noun's drawing."""
    return drawn()[TITLES[noun]]


def tabled(noun: Noun) -> Iterator[tuple[str, str, str]]:
    """The same of the table: with the way in, and the way out of every state that nothing leads on from."""
    left = {status for one in TRANSITIONS[noun] for status in one.before}
    for one in TRANSITIONS[noun]:
        for before in one.before or (OUTSIDE,):
            yield before, one.after, one.cause
        if one.after not in left:
            yield one.after, OUTSIDE, ""


@pytest.mark.parametrize("noun", Noun)
def test_the_drawing_is_the_table(noun: Noun) -> None:
    assert edges(noun) == set(tabled(noun))


@pytest.mark.parametrize("noun", Noun)
def test_each_status_is_reached_or_known_not_to_be(noun: Noun) -> None:
    reached = {one.after for one in TRANSITIONS[noun]}
    assert reached.isdisjoint(RESERVED_STATUSES[noun])
    assert reached | RESERVED_STATUSES[noun] == set(STATUSES[noun])
    for one in TRANSITIONS[noun]:
        assert set(one.before) <= reached, one.name
    for status in RESERVED_STATUSES[noun]:
        assert f"{status}" in DRAWINGS.read_text(encoding="utf-8")


@pytest.mark.parametrize("noun", Noun)
def test_steps_have_names_of_their_own(noun: Noun) -> None:
    names = [one.name for one in TRANSITIONS[noun]]
    assert len(names) == len(set(names))
    assert step(noun, names[0]) is TRANSITIONS[noun][0]
    with pytest.raises(KeyError):
        step(noun, "no such step")


@pytest.mark.parametrize("noun", Noun)
def test_a_slow_step_asks_what_the_quick_one_asks(noun: Noun) -> None:
    slow = [one for one in TRANSITIONS[noun] if one.name.endswith("_slowly")]
    for one in slow:
        quick = one.name.removesuffix("_slowly")
        before = CONDITIONS["data_flow.modify"] if quick == "modify" else step(noun, quick).before
        assert set(one.before) == set(before), one.name
    assert len(slow) == {Noun.DATA_FLOW: 5, Noun.TASK: 1, Noun.SUB_TASK: 0}[noun]


def test_a_final_sub_task_goes_nowhere() -> None:
    for one in TRANSITIONS[Noun.SUB_TASK]:
        assert FINAL_SUB_TASK_STATUSES.isdisjoint(one.before)


@pytest.mark.parametrize("status", SubTaskStatus)
@pytest.mark.parametrize("settling", Settling)
def test_an_attempt_ends_only_along_the_table(settling: Settling, status: SubTaskStatus) -> None:
    after = ending(settling, status)
    steps = {(before, one.after) for one in TRANSITIONS[Noun.SUB_TASK] for before in one.before}
    assert after is None or ((status, after) in steps and after in FINAL_SUB_TASK_STATUSES)
    assert (after is not None) == (
        (settling is Settling.COMPLETE and status in {"RUNNING", "CANCELING"})
        or (settling is Settling.FAILED and status == "RUNNING")
        or (settling in {Settling.CANCELED, Settling.ABANDONED} and status == "CANCELING")
    )


def texts() -> dict[str, str]:
    """The statements as they are written, before anything is filled in."""
    folder = resources.files("penstock.catalog").joinpath("queries")
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".sql")}


def test_no_statement_writes_a_status_by_hand() -> None:
    """Statuses come from the table; the one exception is the literal of a partial index, which is read only."""
    words = {status for statuses in STATUSES.values() for status in statuses}
    for name, text in texts().items():
        by_hand = [word for word in re.findall(r"'([A-Za-z]+)'", text) if word in words]
        assert by_hand == (["Deleted"] if name == "data_flows.sql" else []), name
        assert "status <> 'Deleted'" in text or not by_hand
        for change in re.findall(r"\bSET\b((?:(?!\bWHERE\b)[^;])*)", text):
            for written in re.findall(r"\bstatus = (\S+)", change):
                assert written.startswith(("{after", "CASE", "ends.after")), (name, written)


def test_every_place_to_fill_is_known_and_every_condition_is_used() -> None:
    used: set[str] = set()
    for text in texts().values():
        for kind, noun, name in re.findall(r"\{(before|after|when) ([a-z_]+)\.([a-z_]+)\}", text):
            if kind == "when":
                assert f"{noun}.{name}" in CONDITIONS
                used.add(f"{noun}.{name}")
            else:
                assert step(Noun(noun), name)
    assert used == set(CONDITIONS)
