"""An export that was broken off goes on from what the store lists: what if that list, or what is said while cleaning up, lies?"""

from __future__ import annotations

import fastcrc
import pytest

from penstock.errors import FailureCode
from penstock.model import ConflictPolicy, Direction
from penstock.transfer.transfer import Lane, Verdict
from tests.faults.chaos.conftest import Opener
from tests.faults.chaos.stand import ATTEMPTS, HASTY, LARGE, LIMITS, OTHER, PATIENT, SMALL
from tests.fixtures.chaosfaults import FAULTS, SILENT, meanwhile
from tests.fixtures.chaosproxy import Rule

EVER = 1 << 30
LISTED = [name for name, fault in FAULTS.items() if "list_parts" in fault.kinds]
ABORTED = [name for name, fault in FAULTS.items() if "abort" in fault.kinds and name not in SILENT]


def broken_off(*more: Rule) -> tuple[Rule, ...]:
    """The third part is refused throughout the first attempt."""
    return (Rule(kind="put_part", fault=FAULTS["500"], nth=3, times=LIMITS.part_tries), *more)


@pytest.mark.parametrize(
    ("name", "times"), [(name, times) for name in LISTED for times in (1, EVER) if times == 1 or name not in SILENT]
)
def test_a_list_of_parts_is_not_believed(open_case: Opener, name: str, times: int) -> None:
    stand = open_case(workers=1, timeouts=HASTY if name in SILENT else PATIENT)
    stand.write(LARGE)
    stand.proxy.script(*broken_off(Rule(kind="list_parts", fault=FAULTS[name], times=times)))
    ending = stand.carry(stand.what(Direction.EXPORT), Lane.LARGE)
    assert stand.proxy.unmet() == []
    stand.judge_export(ending, LARGE)
    if times == 1 and name != "ListParts answers 501":
        assert ending.verdict is Verdict.COMPLETE, stand.told(ending)
    elif ending.verdict is not Verdict.COMPLETE:
        assert ending.code in {
            FailureCode.STORE_UNAVAILABLE,
            FailureCode.STORE_THROTTLED,
            FailureCode.CHECKSUM_MISMATCH,
            FailureCode.NOT_SUPPORTED,
        }, stand.told(ending)


@pytest.mark.parametrize("name", ABORTED)
def test_an_upload_is_removed_whatever_an_abort_answers(open_case: Opener, name: str) -> None:
    stand = open_case(workers=1)
    stand.write(LARGE)
    refused = Rule(kind="put_part", fault=FAULTS["500"], nth=3, times=EVER)
    stand.proxy.script(refused, Rule(kind="abort", fault=FAULTS[name]))
    ending = stand.carry(stand.what(Direction.EXPORT), Lane.LARGE)
    assert stand.proxy.unmet() == []
    stand.judge_export(ending, LARGE)
    assert (ending.verdict, ending.code, ending.left_behind) == (Verdict.FAILED, FailureCode.STORE_UNAVAILABLE, "")


def test_an_upload_that_cannot_be_removed_is_named(open_case: Opener) -> None:
    stand = open_case(workers=1)
    stand.write(LARGE)
    refused = Rule(kind="put_part", fault=FAULTS["500"], nth=3, times=EVER)
    stand.proxy.script(refused, Rule(kind="abort", fault=FAULTS["abort not done"], times=EVER))
    ending = stand.carry(stand.what(Direction.EXPORT), Lane.LARGE)
    assert stand.proxy.unmet() == []
    (left,) = (one for one in stand.truth.list_uploads(prefix=stand.key))
    assert ending.verdict is Verdict.FAILED
    assert left.upload_id in ending.left_behind
    assert stand.key in ending.left_behind


@pytest.mark.parametrize("name", ["lost by reset", "error in 200 but done", "another's upload", "garbled document"])
def test_somebody_elses_upload_is_never_removed(open_case: Opener, name: str) -> None:
    """Initiate was carried out and its id never learned: ours is found by what it cannot have, parts."""
    stand = open_case()
    stand.write(LARGE)
    early = stand.truth.initiate(stand.key, metadata={})
    late: list[str] = []

    def begin_another() -> None:
        if stand.proxy.asked("initiate", stand.key) and not late:
            late.append(stand.truth.initiate(stand.key, metadata={}))
            stand.truth.put_part(stand.key, late[0], 1, [b"theirs"], crc64=int(fastcrc.crc64.xz(b"theirs")))

    stand.gate.hooks.on_stop_reason = begin_another
    stand.proxy.script(Rule(kind="initiate", fault=FAULTS[name]))
    ending = stand.carry(stand.what(Direction.EXPORT), Lane.LARGE)
    assert stand.proxy.unmet() == []
    stand.foreign = (early, *late)
    stand.judge_export(ending, LARGE)
    assert ending.verdict is Verdict.COMPLETE
    assert len(late) == 1


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("versioning", ["Never", "Enabled"])
@pytest.mark.parametrize("policy", [ConflictPolicy.SKIP_THE_FILE, ConflictPolicy.KEEP_LATEST])
def test_a_refusal_on_account_of_our_own_object_is_no_refusal(
    open_case: Opener, size: str, versioning: str, policy: ConflictPolicy
) -> None:
    """Every answer of the first attempt is lost after it was carried out; the second meets its own object (409, 412)."""
    content, kind = (SMALL, "put") if size == "small" else (LARGE, "complete")
    stand = open_case(versioning=versioning)
    stand.write(content)
    stand.proxy.script(Rule(kind=kind, fault=FAULTS["lost by reset"]), Rule(kind="head", fault=FAULTS["500"], times=4))
    ending = stand.carry(stand.what(Direction.EXPORT, policy), Lane.SMALL if size == "small" else Lane.LARGE)
    assert stand.proxy.unmet() == []
    stand.judge_export(ending, content)
    assert ending.verdict is Verdict.COMPLETE, stand.told(ending)
    assert len(stand.versions()) == 1


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("versioning", ["Never", "Enabled"])
def test_a_foreign_object_is_kept_whatever_was_lost(open_case: Opener, size: str, versioning: str) -> None:
    content, kind = (SMALL, "put") if size == "small" else (LARGE, "complete")
    stand = open_case(versioning=versioning)
    stand.write(content)
    stand.proxy.script(Rule(kind=kind, fault=meanwhile(lambda: stand.seed(OTHER))))
    ending = stand.carry(
        stand.what(Direction.EXPORT, ConflictPolicy.SKIP_THE_FILE), Lane.SMALL if size == "small" else Lane.LARGE
    )
    assert stand.proxy.unmet() == []
    stand.judge_export(ending, before=OTHER)
    assert ending.verdict is Verdict.SKIPPED


@pytest.mark.parametrize("versioning", ["Never", "Enabled"])
def test_a_damaged_object_is_not_found_sound_by_what_we_wrote_ourselves(open_case: Opener, versioning: str) -> None:
    """The store tells no checksum when it is asked what became of the PUT; the one in our metadata proves nothing."""
    stand = open_case(versioning=versioning)
    stand.write(SMALL)
    damaged = Rule(kind="put", fault=FAULTS["damaged on the way up"])
    stand.proxy.script(damaged, Rule(kind="head", fault=FAULTS["no crc"], times=EVER))
    ending = stand.carry(stand.what(Direction.EXPORT), Lane.SMALL)
    assert stand.proxy.unmet() == []
    stand.judge_export(ending, SMALL)
    assert ending.verdict is Verdict.COMPLETE, stand.told(ending)


@pytest.mark.parametrize("versioning", ["Never", "Enabled"])
def test_a_withdrawal_does_not_vouch_for_a_damaged_object(open_case: Opener, versioning: str) -> None:
    """Every PUT is damaged and nobody tells what is there, until it is given up: then its own metadata convicts the object."""
    stand = open_case(versioning=versioning)
    stand.write(SMALL)
    damaged = Rule(kind="put", fault=FAULTS["damaged on the way up"], times=EVER)
    asked = ATTEMPTS * LIMITS.part_tries
    stand.proxy.script(damaged, Rule(kind="head", fault=FAULTS["500"], times=asked))
    ending = stand.carry(stand.what(Direction.EXPORT), Lane.SMALL)
    assert stand.proxy.unmet() == []
    assert ending.verdict is Verdict.FAILED, stand.told(ending)
    if versioning == "Never":  # deleting it by its name alone might hit somebody else's
        assert ending.left_behind.startswith("BadObjectLeft: ")
        assert stand.key in ending.left_behind
    else:
        assert ending.left_behind == ""
