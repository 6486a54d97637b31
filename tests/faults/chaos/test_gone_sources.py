"""A file was exported, the answer was lost, its source went away, and others wrote to the key since: is that still COMPLETE?"""

from __future__ import annotations

import msgspec
import pytest

from penstock.model import ConflictPolicy, Direction
from penstock.transfer.transfer import Verdict
from tests.faults.chaos.conftest import Opener
from tests.faults.chaos.stand import CONTENTS, LANES
from tests.fixtures.chaosfaults import FAULTS
from tests.fixtures.chaosproxy import Rule

EVER = 1 << 30


@pytest.mark.parametrize("since", ["overwritten", "deleted"])
@pytest.mark.parametrize("size", list(CONTENTS))
def test_versions_tell_what_was_published_before_its_source_went_away(open_case: Opener, size: str, since: str) -> None:
    stand, content = open_case(versioning="Enabled"), CONTENTS[size]
    stand.write(content)
    lost, after = ("complete", "complete") if size == "large" else ("put", "put")
    stand.proxy.script(
        Rule(kind=lost, fault=FAULTS["lost by reset"]),
        Rule(kind=after, fault=FAULTS["500"], nth=2, times=EVER),
        *(Rule(kind=kind, fault=FAULTS["500"], times=EVER) for kind in ("head", "list_versions")),
    )
    what = stand.what(Direction.EXPORT)
    first = stand.gate.move(what, stand.store, lane=LANES[size])
    assert first.verdict is Verdict.RETRY
    assert len(stand.versions()) == 1  # it is there, and its mover does not know
    stand.gate.target.unlink()
    if since == "overwritten":
        stand.seed(b"theirs")
    else:
        stand.truth.delete(stand.key)
    there = stand.versions()
    stand.proxy.script()
    again = msgspec.structs.replace(what, attempt=2, checkpoint=first.checkpoint)
    second = stand.gate.move(again, stand.store, lane=LANES[size])
    assert (second.verdict, second.code) == (Verdict.COMPLETE, None), second
    assert second.detail is not None
    assert second.detail.size_bytes == len(content)
    assert stand.versions() == there
    assert [one.key for one in stand.truth.list_uploads(prefix=stand.key)] == []


def test_a_foreign_version_alone_makes_no_missing_source_complete(open_case: Opener) -> None:
    stand = open_case(versioning="Enabled")
    stand.seed(b"theirs", sub_task="another")
    stand.seed(b"theirs")
    what = stand.what(Direction.EXPORT, ConflictPolicy.SKIP_THE_FILE)
    outcome = stand.gate.move(msgspec.structs.replace(what, attempt=2), stand.store, lane=LANES["small"])
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, "SourceNotFound")
