"""Is all that a stand-in can be told on its page of the documentation, and are faults counted as they strike?"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from penstock.api.faults import Fault, FaultBook, FaultKind
from penstock.api.operations.standin import StandIn, stand_in_operations

PAGE = (Path(__file__).parents[3] / "docs" / "stand-in.md").read_text()
OPERATIONS = stand_in_operations(cast("StandIn", None))
WORDS = sorted(
    {operation.name for operation in OPERATIONS}
    | {name for operation in OPERATIONS for parameter in operation.parameters for name in parameter.names}
    | {kind.value for kind in FaultKind}
)


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_explained(word: str) -> None:
    assert f"`{word}`" in PAGE


@pytest.mark.parametrize(
    ("pattern", "source", "is_meant"),
    [
        ("*.pt", "/train/a.pt", True),
        ("a.*", "/train/a.pt", True),
        ("train*", "/train/a.pt", False),
        ("/train/*", "/train/deep/a.pt", True),
        ("/train/*", "/eval/a.pt", False),
        ("*", "/train/a.pt", True),
    ],
)
def test_a_pattern_without_a_slash_is_one_of_names(pattern: str, source: str, is_meant: bool) -> None:
    assert Fault(kind=FaultKind.FAIL, count=1, path=pattern).is_for_file((source, "/other"), "task") is is_meant


def test_the_first_that_was_armed_strikes_first_and_as_often_as_it_was_to() -> None:
    book = FaultBook()
    first = book.arm(Fault(kind=FaultKind.ANSWER, count=2, action="Create*"))
    last = book.arm(Fault(kind=FaultKind.ANSWER, count=0))
    struck = [book.of_call(action, now_ns=0) for action in ("createdataflow", "Describe", "CreateX", "CreateX")]
    assert [fault.fault_id for fault in struck if fault] == [first, last, first, last]
    assert [(fault.used, fault.is_spent) for fault in book] == [(2, True), (2, False)]


def test_a_throttle_lets_so_many_through_each_second() -> None:
    book = FaultBook()
    book.arm(Fault(kind=FaultKind.THROTTLE, count=0, calls_per_s=2))
    times_s = (0.0, 0.1, 0.2, 0.9, 1.05, 1.06, 1.2)
    refused = [book.of_call("X", now_ns=int(at * 1e9)) is not None for at in times_s]
    assert refused == [False, False, True, True, False, True, False]
