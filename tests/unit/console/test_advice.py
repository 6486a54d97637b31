"""Does every failure say whose turn it is, in words, with commands that exist?"""

from __future__ import annotations

import shlex
from dataclasses import replace

import click
import pytest

from penstock.cli.program import program
from penstock.console.advice import REMEDIES, Surroundings, Turn, advice, remedy
from penstock.errors import FailureCode
from penstock.model import Direction, SubTaskStatus
from tests.unit.console.things import CREATED_NS, sub_task

AROUND = Surroundings(home="/srv/my home", bucket="bucket", direction=Direction.EXPORT)


def test_every_code_has_its_line() -> None:
    assert set(REMEDIES) == set(FailureCode)


@pytest.mark.parametrize("code", FailureCode)
def test_a_failed_one_needs_you_and_says_what_to_do(code: FailureCode) -> None:
    told = advice(sub_task(status=SubTaskStatus.FAILED, error_code=code.value), AROUND, now_ns=CREATED_NS)
    assert told is not None
    assert told.turn is Turn.YOU
    assert told.title
    assert told.words.endswith((".", ":"))
    assert told.words.endswith(":") <= bool(told.command)
    assert told.again_ns == 0


def test_what_lies_where_a_missing_source_should_be_is_shown_by_a_command() -> None:
    missing = sub_task(status=SubTaskStatus.FAILED, error_code="SourceNotFound", source="/data/my model/a.bin")
    out = advice(missing, replace(AROUND, root="/mnt/cpfs/"), now_ns=CREATED_NS)
    into = advice(missing, replace(AROUND, direction=Direction.IMPORT), now_ns=CREATED_NS)
    assert out is not None
    assert into is not None
    assert shlex.split(out.command) == ["ls", "-la", "/mnt/cpfs/data/my model/"]
    assert shlex.split(into.command) == ["penstock", "object", "ls", "/srv/my home", "bucket", "data/my model/"]


@pytest.mark.parametrize("code", [code for code in FailureCode if REMEDIES[code].command])
def test_a_mending_command_can_be_typed(code: FailureCode) -> None:
    around = replace(AROUND, direction=Direction.IMPORT)
    told = advice(sub_task(status=SubTaskStatus.FAILED, error_code=code.value), around, now_ns=CREATED_NS)
    assert told is not None
    name, *words = shlex.split(told.command)
    assert name == "penstock"
    command: click.Command | None = program
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words.pop(0))
    assert command is not None
    assert words[0] == "/srv/my home"
    if "--help" not in words:
        command.make_context(name, words)


def test_what_waits_for_a_store_heals_itself_at_a_time() -> None:
    waiting = sub_task(status=SubTaskStatus.RUNNING, error_code="StoreUnavailable", due_ns=CREATED_NS + 5)
    told = advice(waiting, AROUND, now_ns=CREATED_NS)
    assert told is not None
    assert (told.turn, told.again_ns, told.command) == (Turn.HEALS, CREATED_NS + 5, "")


def test_what_waits_for_a_hand_says_so_and_is_tried_again_all_the_same() -> None:
    waiting = sub_task(status=SubTaskStatus.RUNNING, error_code="BucketAccessDenied", due_ns=CREATED_NS + 5)
    told = advice(waiting, AROUND, now_ns=CREATED_NS)
    assert told is not None
    assert (told.turn, told.again_ns) == (Turn.YOU, CREATED_NS + 5)
    assert "bucket probe" in told.command


def test_a_time_that_is_over_is_now() -> None:
    waiting = sub_task(status=SubTaskStatus.RUNNING, error_code="StoreThrottled", due_ns=1)
    told = advice(waiting, AROUND, now_ns=CREATED_NS)
    assert told is not None
    assert told.again_ns == CREATED_NS


@pytest.mark.parametrize(
    "status", [SubTaskStatus.CREATED, SubTaskStatus.RUNNING, SubTaskStatus.COMPLETE, SubTaskStatus.CANCELED]
)
def test_where_all_is_well_there_is_nothing_to_tell(status: SubTaskStatus) -> None:
    assert advice(sub_task(status=status), AROUND, now_ns=CREATED_NS) is None


def test_a_code_of_another_version_is_told_without_guessing() -> None:
    assert remedy("CodeOfTomorrow").turn is Turn.YOU
