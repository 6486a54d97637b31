"""An object that changes while it is imported: the file is one version of it, whole, or there is none and FAILED says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import pytest

from penstock.errors import FailureCode
from penstock.model import Condition, Direction
from penstock.transfer.transfer import Verdict
from tests.faults.chaos.conftest import Opener
from tests.faults.chaos.stand import ATTEMPTS, CONTENTS, LANES, MODIFY_NS, OTHER, Stand
from tests.fixtures.chaosfaults import deaf, meanwhile
from tests.fixtures.chaosproxy import Rule

EVER = 1 << 30
BUCKETS = ("Never", "Enabled", "Suspended")


def overwrite(stand: Stand, content: bytes) -> bytes:
    """Another object of the same size and time."""
    other = bytes(OTHER[: len(content)])
    stand.seed(other)
    return other


def shorten(stand: Stand, content: bytes) -> bytes:
    """A smaller object."""
    stand.seed(content[:-70_000] or content[:-5000])
    return content[:-70_000] or content[:-5000]


def lengthen(stand: Stand, content: bytes) -> bytes:
    """A larger object, that begins alike."""
    stand.seed(content + b"more")
    return content + b"more"


def repeat(stand: Stand, content: bytes) -> bytes:
    """The same once more."""
    stand.seed(content)
    return content


def delete(stand: Stand, _: bytes) -> bytes:
    """No object, or a delete marker."""
    stand.truth.delete(stand.key)
    return b""


def recreate(stand: Stand, content: bytes) -> bytes:
    """Deleted, and another one of the same size."""
    stand.truth.delete(stand.key)
    return overwrite(stand, content)


CHANGES: dict[str, Callable[[Stand, bytes], bytes]] = {
    change.__name__: change for change in (overwrite, shorten, lengthen, repeat, delete, recreate)
}


@dataclass(frozen=True, slots=True)
class Moment:
    """When it changes: at the `nth` request of a kind."""

    size: str
    kind: str
    nth: int


MOMENTS = {
    "small, when it is asked for": Moment("small", "get", 1),
    "large, between HEAD and GET": Moment("large", "range", 1),
    "large, between parts": Moment("large", "range", 2),
    "large, at the last part": Moment("large", "range", 3),
    "large, right before publishing": Moment("large", "head", 2),
}


def changing(stand: Stand, change: str, content: bytes) -> tuple[Callable[[], None], list[bytes]]:
    """The act, and what the object has become by it, newest last."""
    became: list[bytes] = []
    return lambda: became.append(CHANGES[change](stand, content)), became


@pytest.mark.parametrize("versioning", BUCKETS)
@pytest.mark.parametrize("moment", list(MOMENTS))
@pytest.mark.parametrize("change", list(CHANGES))
def test_a_change_is_waited_out(open_case: Opener, change: str, moment: str, versioning: str) -> None:
    when = MOMENTS[moment]
    stand, content = open_case(workers=1, versioning=versioning), CONTENTS[when.size]
    stand.seed(content)
    act, became = changing(stand, change, content)
    stand.proxy.script(Rule(kind=when.kind, fault=meanwhile(act), nth=when.nth))
    ending = stand.carry(stand.what(Direction.IMPORT), LANES[when.size])
    stand.judge_import(ending, content, *became)
    is_pinned = versioning == "Enabled" and when.size == "large"
    if change == "delete" and not is_pinned:
        assert (ending.verdict, ending.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND), stand.told(ending)
        assert f"there is no object {stand.key!r}" in ending.message
        return
    assert ending.verdict is Verdict.COMPLETE, stand.told(ending)
    # A version that was pinned is read to its end whatever the key holds meanwhile; elsewhere only the newest one counts.
    there = became[-1] if became and not is_pinned else content
    assert stand.gate.target.read_bytes() == there
    if became and not is_pinned and when.size == "large" and change != "repeat":
        first = ending.outcomes[0]
        assert (first.verdict, first.code) == (Verdict.RETRY, FailureCode.SOURCE_CHANGED), stand.told(ending)
        assert first.message == f"the object {stand.key!r} was overwritten or removed while it was read"


@pytest.mark.parametrize("change", ["overwrite", "shorten", "lengthen", "recreate"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_store_that_is_deaf_to_if_match_is_found_out(open_case: Opener, change: str, nth: int) -> None:
    stand, content = open_case(workers=1), CONTENTS["large"]
    stand.seed(content)
    act, became = changing(stand, change, content)
    stand.proxy.script(Rule(kind="range", fault=deaf(), times=EVER), Rule(kind="range", fault=deaf(act), nth=nth))
    ending = stand.carry(stand.what(Direction.IMPORT), LANES["large"])
    stand.judge_import(ending, *became)
    assert ending.verdict is Verdict.COMPLETE, stand.told(ending)
    assert ending.outcomes[0].code is FailureCode.SOURCE_CHANGED


@pytest.mark.parametrize("versioning", ["Never", "Suspended"])
@pytest.mark.parametrize("kind", ["range", "head"])
def test_an_object_that_never_rests_fails_as_changed(open_case: Opener, kind: str, versioning: str) -> None:
    stand, content = open_case(workers=1, versioning=versioning), CONTENTS["large"]
    stand.seed(content)
    stand.gate.target.write_bytes(b"before")
    numbers = iter(range(1000))
    act = meanwhile(lambda: stand.seed(content[:-10] + b"%010d" % next(numbers)))
    stand.proxy.script(Rule(kind=kind, fault=act, times=EVER))
    ending = stand.carry(stand.what(Direction.IMPORT), LANES["large"])
    stand.judge_import(ending, before=b"before")
    assert (ending.verdict, ending.code) == (Verdict.FAILED, FailureCode.SOURCE_CHANGED)
    assert len(ending.outcomes) == ATTEMPTS + 1


def test_a_changed_object_that_no_longer_meets_its_condition(open_case: Opener) -> None:
    stand, content = open_case(workers=1), CONTENTS["large"]
    stand.seed(content)
    act, _ = changing(stand, "lengthen", content)
    stand.proxy.script(Rule(kind="range", fault=meanwhile(act), nth=2))
    condition = Condition(modify_time_ns=MODIFY_NS, size_bytes=len(content))
    ending = stand.carry(msgspec.structs.replace(stand.what(Direction.IMPORT), condition=condition), LANES["large"])
    stand.judge_import(ending)
    assert (ending.verdict, ending.code) == (Verdict.FAILED, FailureCode.CONDITION_NOT_MET)
