"""An export that the store refuses to put together is canceled, its upload aborted by us: is it COMPLETE once its key is used?"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from penstock import failpoints
from tests.faults.cancel.conftest import Opener
from tests.faults.cancel.stand import File, Tide
from tests.faults.cancel.test_outlasted import MANY, large
from tests.fixtures.chaosfaults import FAULTS
from tests.fixtures.chaosproxy import Rule
from tests.fixtures.objects import put_object
from tests.fixtures.waiting import wait_until

PATIENCE_S = 60.0
THEIRS = b"what the user wrote after the cancel"


def refused(kind: str, nth: int = 1) -> Rule:
    return Rule(kind=kind, fault=FAULTS["500"], nth=nth, times=MANY)


def promised(tide: Tide, file: File) -> None:
    """All of it was sent, and each request to put it together is refused."""
    tide.lay([file])
    tide.proxy.script(refused("complete"))
    tide.submit([file])
    wait_until(partial(is_refused, tide, file), PATIENCE_S, "nobody says that Complete is refused")
    assert len(tide.uploads()) == 1


def is_refused(tide: Tide, file: File) -> bool:
    return tide.proxy.asked("complete", file.name) > 0 and "POST of" in tide.status(file)["ErrorMsg"]


def check_canceled(tide: Tide, file: File) -> None:
    wait_until(partial(has_ended, tide, file), PATIENCE_S, "it is withdrawn for ever")
    assert tide.status(file)["Status"] == "CANCELED", tide.status(file)
    assert (tide.content(file), tide.uploads()) == (THEIRS, [])


def has_ended(tide: Tide, file: File) -> bool:
    return tide.status(file)["Status"] not in {"RUNNING", "CANCELING"}


def test_the_store_goes_away_before_it_says_that_the_upload_is_gone(open_tide: Opener) -> None:
    tide, file = open_tide(movers=1), large("out/large")
    promised(tide, file)
    tide.proxy.script(refused("complete"), refused("put_part"), refused("list_parts", nth=2))
    tide.cancel(file)
    wait_until(lambda: not tide.uploads(), PATIENCE_S, "it is not aborted")
    wait_until(lambda: "GET" in tide.status(file)["ErrorMsg"], PATIENCE_S, "nobody says for whom it waits")
    put_object(tide.truth, file.name, THEIRS)
    tide.proxy.script()
    check_canceled(tide, file)


@pytest.mark.parametrize("point", ["checkpoint.keep", "checkpoint.kept", "upload.abort", "upload.aborted"])
def test_somebody_dies_around_the_abort_and_around_the_word_that_it_comes(
    open_tide: Opener, tmp_path: Path, point: str
) -> None:
    tide, file = open_tide(movers=1), large("out/large")
    promised(tide, file)
    tide.service.kill()
    trap = tmp_path / "traps" / f"{point}.1"
    trap.parent.mkdir()
    tide.proxy.script(
        refused("complete"), refused("put_part"), refused("list_parts")
    )  # it gets nowhere until the cancel
    tide.start(**{failpoints.VARIABLE: str(trap.parent)})
    tide.cancel(file)
    trap.write_text(str(tide.service.process.pid))
    tide.proxy.script()
    wait_until(trap.with_name(f"{point}.0").exists, PATIENCE_S, "nobody came there")
    tide.service.process.wait(PATIENCE_S)
    put_object(tide.truth, file.name, THEIRS)
    tide.start()
    check_canceled(tide, file)
