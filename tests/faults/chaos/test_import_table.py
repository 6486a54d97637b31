"""Every fault at every request of an import: COMPLETE with the right bytes, or FAILED with a true reason and nothing left."""

from __future__ import annotations

import pytest

from penstock.errors import FailureCode
from penstock.model import Direction
from penstock.transfer.transfer import Verdict
from tests.faults.chaos.conftest import Opener
from tests.faults.chaos.stand import CONTENTS, HASTY, LANES, PATIENT
from tests.fixtures.chaosfaults import ALIKE, FAULTS, SILENT
from tests.fixtures.chaosproxy import Rule

KINDS = {"small": ("get",), "middling": ("get",), "large": ("head", "range")}
WHERE = [
    (name, size, kind, nth)
    for size, kinds in KINDS.items()
    for kind in kinds
    for name, fault in FAULTS.items()
    if kind in fault.kinds
    for nth in ((1, 2) if size == "large" and name not in ALIKE else (1,))
]
NEVER_ENDING = frozenset(
    {
        FailureCode.STORE_UNAVAILABLE,
        FailureCode.STORE_THROTTLED,
        FailureCode.CHECKSUM_MISMATCH,
        FailureCode.SOURCE_CHANGED,
    }
)
DEFINITE = {("no ETag", "head"): {FailureCode.STORE_REFUSED}}
"""What is no outage, which would be waited out for a day: the store answers, but not what ranges cannot do without."""


@pytest.mark.parametrize(("name", "size", "kind", "nth"), WHERE)
def test_a_fault_once_is_got_over(open_case: Opener, name: str, size: str, kind: str, nth: int) -> None:
    stand = open_case(timeouts=HASTY if name in SILENT else PATIENT)
    stand.seed(CONTENTS[size])
    stand.proxy.script(Rule(kind=kind, fault=FAULTS[name], nth=nth))
    ending = stand.carry(stand.what(Direction.IMPORT), LANES[size])
    assert len(stand.proxy.struck) == 1
    stand.judge_import(ending, CONTENTS[size])
    assert ending.verdict is Verdict.COMPLETE, stand.told(ending)


@pytest.mark.parametrize(
    ("name", "size", "kind"), [case[:3] for case in WHERE if case[3] == 1 and case[0] not in ALIKE | set(SILENT)]
)
def test_a_fault_that_never_ends_has_a_true_reason(open_case: Opener, name: str, size: str, kind: str) -> None:
    stand = open_case()
    stand.seed(CONTENTS[size])
    stand.gate.target.write_bytes(b"before")
    stand.proxy.script(Rule(kind=kind, fault=FAULTS[name], times=1 << 30))
    ending = stand.carry(stand.what(Direction.IMPORT), LANES[size])
    assert stand.proxy.unmet() == []
    stand.judge_import(ending, CONTENTS[size], before=b"before")
    if ending.verdict is not Verdict.COMPLETE:
        assert ending.code in DEFINITE.get((name, kind), NEVER_ENDING), stand.told(ending)


UNTOLD = ("in chunks", "ends where it closes")


@pytest.mark.parametrize("name", UNTOLD)
@pytest.mark.parametrize("size", ["small", "large"])
def test_a_length_that_is_never_told_is_learned_from_a_range(open_case: Opener, name: str, size: str) -> None:
    """Something on the way cuts all answers into chunks: GET, HEAD and ranges."""
    stand = open_case()
    stand.seed(CONTENTS[size])
    stand.proxy.script(*(Rule(kind=kind, fault=FAULTS[name], times=1 << 30) for kind in ("get", "head", "range")))
    ending = stand.carry(stand.what(Direction.IMPORT), LANES[size])
    stand.judge_import(ending, CONTENTS[size])
    assert ending.verdict is Verdict.COMPLETE, stand.told(ending)


def test_where_no_length_is_told_the_next_small_file_takes_one_request(open_case: Opener) -> None:
    stand = open_case()
    stand.seed(CONTENTS["small"])
    in_chunks = [Rule(kind=kind, fault=FAULTS["in chunks"], times=1 << 30) for kind in ("get", "head", "range")]
    stand.proxy.script(*in_chunks)
    asked: list[list[str]] = []
    for _ in range(3):
        before = len(stand.proxy.struck)
        ending = stand.carry(stand.what(Direction.IMPORT), LANES["small"])
        assert ending.verdict is Verdict.COMPLETE, stand.told(ending)
        asked.append([struck.partition(" at ")[2].split()[0] for struck in stand.proxy.struck[before:]])
    assert asked == [["get", "range"], ["range"], ["range"]]
    assert stand.gate.target.read_bytes() == CONTENTS["small"]


@pytest.mark.parametrize(("kinds", "verdict"), [(("get",), Verdict.COMPLETE), (("get", "head"), Verdict.FAILED)])
def test_of_an_empty_object_there_is_no_range(open_case: Opener, kinds: tuple[str, ...], verdict: Verdict) -> None:
    """HEAD tells that it is empty, or nothing does; that is no outage then, which would be waited out for a day."""
    stand = open_case()
    stand.seed(b"")
    stand.proxy.script(*(Rule(kind=kind, fault=FAULTS["in chunks"], times=1 << 30) for kind in kinds))
    ending = stand.carry(stand.what(Direction.IMPORT), LANES["small"])
    stand.judge_import(ending, b"")
    assert ending.verdict is verdict, stand.told(ending)
    assert verdict is Verdict.COMPLETE or (ending.code, "length" in ending.message) == (
        FailureCode.STORE_REFUSED,
        True,
    )
