"""Every fault at every request of an export: COMPLETE with the right bytes, or FAILED with a true reason and nothing left."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from penstock.errors import FailureCode
from penstock.model import ConflictPolicy, Direction
from penstock.transfer.transfer import Verdict
from tests.faults.chaos.conftest import Opener
from tests.faults.chaos.stand import CONTENTS, HASTY, LANES, PATIENT
from tests.fixtures.chaosfaults import ALIKE, FAULTS, SILENT
from tests.fixtures.chaosproxy import Rule

OVERWRITE, SKIP = ConflictPolicy.OVERWRITE_EXISTING, ConflictPolicy.SKIP_THE_FILE


@dataclass(frozen=True, slots=True)
class Way:
    """One way an export can go, and the requests it makes on it."""

    name: str
    size: str
    policy: ConflictPolicy
    versioning: str
    kinds: tuple[str, ...]


WAYS = {
    way.name: way
    for way in (
        Way("small", "small", OVERWRITE, "Never", ("put",)),
        Way("small skip", "small", SKIP, "Never", ("list_versioning", "put")),
        Way("small versioned", "small", OVERWRITE, "Enabled", ("put",)),
        Way("small skip versioned", "small", SKIP, "Enabled", ("head", "put", "list_versions")),
        Way("middling", "middling", OVERWRITE, "Never", ("put",)),
        Way("middling skip", "middling", SKIP, "Never", ("list_versioning", "put")),
        Way("large", "large", OVERWRITE, "Never", ("list_uploads", "initiate", "put_part", "complete")),
        Way("large skip", "large", SKIP, "Never", ("list_versioning", "head", "complete")),
        Way("large versioned", "large", OVERWRITE, "Enabled", ("complete",)),
        Way("large skip versioned", "large", SKIP, "Enabled", ("head", "complete", "list_versions")),
    )
}
WHERE = [
    (name, way.name, kind)
    for way in WAYS.values()
    for kind in way.kinds
    for name, fault in FAULTS.items()
    if kind in fault.kinds and (name not in ALIKE or way.name in {"small", "middling", "large"})
]
LASTING = [
    case
    for case in WHERE
    if case[0] not in ALIKE | set(SILENT)
    and case[1] in {"small", "middling", "large", "small skip versioned", "large skip versioned"}
]
NEVER_ENDING = frozenset(
    {
        FailureCode.STORE_UNAVAILABLE,
        FailureCode.STORE_THROTTLED,
        FailureCode.CHECKSUM_MISMATCH,
        FailureCode.BAD_OBJECT_LEFT,
    }
)


@pytest.mark.parametrize(("name", "way", "kind"), WHERE)
def test_a_fault_once_is_got_over(open_case: Opener, name: str, way: str, kind: str) -> None:
    how = WAYS[way]
    stand = open_case(timeouts=HASTY if name in SILENT else PATIENT, versioning=how.versioning)
    content = CONTENTS[how.size]
    stand.write(content)
    stand.proxy.script(Rule(kind=kind, fault=FAULTS[name], nth=2 if kind == "put_part" else 1))
    ending = stand.carry(stand.what(Direction.EXPORT, how.policy), LANES[how.size])
    assert len(stand.proxy.struck) == 1
    stand.judge_export(ending, content)
    assert ending.verdict is Verdict.COMPLETE, stand.told(ending)


@pytest.mark.parametrize(("name", "way", "kind"), LASTING)
def test_a_fault_that_never_ends_has_a_true_reason(open_case: Opener, name: str, way: str, kind: str) -> None:
    how = WAYS[way]
    stand = open_case(versioning=how.versioning)
    content = CONTENTS[how.size]
    stand.write(content)
    stand.proxy.script(Rule(kind=kind, fault=FAULTS[name], times=1 << 30))
    ending = stand.carry(stand.what(Direction.EXPORT, how.policy), LANES[how.size])
    assert stand.proxy.unmet() == []
    stand.judge_export(ending, content)
    if ending.verdict is not Verdict.COMPLETE:
        assert ending.code in NEVER_ENDING, stand.told(ending)
