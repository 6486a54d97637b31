"""Do the conflict policies and the Condition decide as they should?"""

from __future__ import annotations

import stat

import pytest

from penstock.errors import FailureCode, TransferError
from penstock.model import Condition, ConflictPolicy
from penstock.transfer.mtime import ModifyTime
from penstock.transfer.policy import Decision, check_condition, check_replaceable, decide
from penstock.transfer.posix import FileState

OLD, NEW = ModifyTime(ns=1_000, exact=True), ModifyTime(ns=2_000, exact=True)
SKIP, LATEST, OVERWRITE = ConflictPolicy.SKIP_THE_FILE, ConflictPolicy.KEEP_LATEST, ConflictPolicy.OVERWRITE_EXISTING


@pytest.mark.rule("SUB-15")
@pytest.mark.parametrize(
    ("policy", "source", "target", "decision"),
    [
        (SKIP, NEW, None, Decision.CREATE),
        (SKIP, NEW, OLD, Decision.KEEP),
        (LATEST, NEW, None, Decision.CREATE),
        (LATEST, NEW, OLD, Decision.REPLACE),
        (LATEST, OLD, OLD, Decision.KEEP),
        (LATEST, OLD, NEW, Decision.KEEP),
        (OVERWRITE, OLD, None, Decision.REPLACE),
        (OVERWRITE, OLD, NEW, Decision.REPLACE),
    ],
)
def test_policies(policy: ConflictPolicy, source: ModifyTime, target: ModifyTime | None, decision: Decision) -> None:
    assert decide(policy, source, target) is decision


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        (Condition(), True),
        (Condition(modify_time_ns=5_000), True),
        (Condition(modify_time_ns=5_999), True),
        (Condition(modify_time_ns=4_001), True),
        (Condition(modify_time_ns=6_000), False),
        (Condition(modify_time_ns=4_000), False),
        (Condition(size_bytes=7), True),
        (Condition(size_bytes=8), False),
        (Condition(size_bytes=0), False),
        (Condition(modify_time_ns=5_000, size_bytes=8), False),
    ],
)
def test_conditions(condition: Condition, met: bool) -> None:
    if met:
        check_condition(condition, modify_ns=5_000, size_bytes=7)
        return
    with pytest.raises(TransferError) as caught:
        check_condition(condition, modify_ns=5_000, size_bytes=7)
    assert caught.value.code is FailureCode.CONDITION_NOT_MET
    assert not caught.value.waiting_helps


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (stat.S_IFREG, None),
        (stat.S_IFLNK, None),
        (stat.S_IFDIR, FailureCode.TARGET_IS_DIRECTORY),
        (stat.S_IFIFO, FailureCode.TARGET_NOT_REGULAR),
        (stat.S_IFSOCK, FailureCode.TARGET_NOT_REGULAR),
        (stat.S_IFCHR, FailureCode.TARGET_NOT_REGULAR),
    ],
)
def test_which_targets_may_be_replaced(kind: int, code: FailureCode | None) -> None:
    state = FileState(mode=kind | 0o644, device=1, inode=1, links=1, size_bytes=0, modify_ns=0, change_ns=0)
    if code is None:
        check_replaceable(state, "x")
        return
    with pytest.raises(TransferError) as caught:
        check_replaceable(state, "x")
    assert caught.value.code is code
