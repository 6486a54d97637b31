"""Where something on the way cuts answers into chunks: do small imports still take one request each, on few connections?"""

from __future__ import annotations

import pytest

from penstock.model import Direction
from penstock.stores.manner import WHOLE_EVERY
from penstock.transfer.transfer import Verdict
from tests.faults.chaos.conftest import Opener
from tests.faults.chaos.stand import CONTENTS, LANES, Stand
from tests.fixtures.chaosfaults import FAULTS
from tests.fixtures.chaosproxy import Rule

FILES = WHOLE_EVERY + 20
CONNECTIONS_MAX = 6  # one at a time, two that were given up, and what the store closes of itself
CHUNKED = {"none": (), "all": ("get", "head", "range"), "only whole objects": ("get",)}


def cut(stand: Stand, which: str) -> None:
    """From now on the proxy cuts these answers; its counts begin anew."""
    stand.proxy.script(*(Rule(kind=kind, fault=FAULTS["in chunks"], times=1 << 30) for kind in CHUNKED[which]))


def imported(stand: Stand) -> None:
    ending = stand.carry(stand.what(Direction.IMPORT), LANES["small"])
    assert ending.verdict is Verdict.COMPLETE, stand.told(ending)
    assert stand.gate.target.read_bytes() == CONTENTS["small"]


@pytest.mark.parametrize(
    ("which", "whole", "ranges"),
    [("none", FILES, 0), ("all", 2, FILES), ("only whole objects", 2, FILES)],
)
def test_a_small_file_takes_one_request_and_no_connection_of_its_own(
    open_case: Opener, which: str, whole: int, ranges: int
) -> None:
    """A whole answer without a length is given up with its connection: the first one, and one for each `WHOLE_EVERY` files."""
    stand = open_case()
    stand.seed(CONTENTS["small"])
    cut(stand, which)
    before = stand.proxy.connections
    for _ in range(FILES):
        imported(stand)
    asked = [stand.proxy.asked(kind, stand.key) for kind in ("get", "range")]
    assert asked == [whole, ranges]
    assert stand.proxy.requests == whole + ranges
    assert stand.proxy.connections - before <= CONNECTIONS_MAX


def test_once_lengths_are_told_again_whole_objects_are_asked_for_again(open_case: Opener) -> None:
    stand = open_case()
    stand.seed(CONTENTS["small"])
    cut(stand, "only whole objects")
    imported(stand)
    cut(stand, "none")
    for _ in range(WHOLE_EVERY + 10):
        imported(stand)
    assert stand.proxy.asked("range", stand.key) == WHOLE_EVERY - 1
    assert stand.proxy.asked("get", stand.key) == 11
