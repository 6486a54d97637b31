"""Outages that outlast the deadline: FAILED names what is left, truly, and nothing is once the store or the mount is back."""

from __future__ import annotations

import random
import re
import threading
from functools import partial
from pathlib import Path

import pytest

from penstock import failpoints
from tests.faults.cancel import hastyservice
from tests.faults.cancel.conftest import Opener
from tests.faults.cancel.stand import PART_BYTES, File, Tide
from tests.faults.cancel.test_moved_away import begun, held
from tests.fixtures.chaosfaults import FAULTS
from tests.fixtures.chaosproxy import Rule
from tests.fixtures.waiting import wait_until
from tests.fixtures.warm import Warm

HASTY = Warm(Path(hastyservice.__file__))
DEADLINE = "attempts_deadline_h = 0.001"
LATER = "attempts_deadline_h = 1.0"
PATIENCE_S = 60.0
MANY = 1 << 30
KINDS = (
    "head",
    "put",
    "put_part",
    "initiate",
    "abort",
    "complete",
    "list_parts",
    "list_uploads",
    "list_versions",
    "get",
    "range",
)


def hasten(tide: Tide, words: str) -> None:
    """Services that are started from now on have no patience, or some."""
    settings = tide.home / "penstock.toml"
    text, count = re.subn(r"(?m)^attempts_deadline_h = .*$", words, settings.read_text())
    assert count == 1
    settings.write_text(text)
    tide.command = HASTY


def large(name: str, seed: int = 1) -> File:
    content = random.Random(seed).randbytes(9 * PART_BYTES)
    return File(name=name, is_import=False, content=content, has_old=False)


def away(tide: Tide) -> None:
    """The store refuses all."""
    tide.proxy.script(*(Rule(kind=kind, fault=FAULTS["500"], times=MANY) for kind in KINDS))


def failed(tide: Tide, file: File) -> str:
    """What it says, once it has been given up."""
    wait_until(lambda: tide.status(file)["Status"] not in {"RUNNING", "CREATED"}, PATIENCE_S, "it is tried for ever")
    seen = tide.status(file)
    assert seen["Status"] == "FAILED", seen
    return str(seen["ErrorMsg"])


def outlasted(tide: Tide, files: list[File], **environment: str) -> None:
    """Large exports that were killed on their way, and whose store was away until they were given up; it still is."""
    goes_on = threading.Event()
    tide.lay(files)
    tide.proxy.script(*(held("put_part", goes_on, nth=3) for _ in files))
    tide.submit(files)
    for file in files:
        wait_until(partial(is_begun, tide, file), PATIENCE_S, "it does not begin")
    tide.service.kill()
    goes_on.set()
    away(tide)
    hasten(tide, DEADLINE)
    tide.start(**environment)
    for file in files:
        check_named(tide, file)


def is_begun(tide: Tide, file: File) -> bool:
    """Whether a part of it is there."""
    return "[1" in str(tide.left_of(file))


def check_named(tide: Tide, file: File) -> None:
    told = failed(tide, file)
    assert told.startswith("DeadlineExceeded: not done within 0.001 hours"), told
    (upload,) = tide.left_of(file)
    assert upload.split()[1] in told, (upload, told)
    assert file.name in told


def check_gone(tide: Tide, file: File) -> None:
    """FAILED for the same reason, and nothing is left nor named."""

    def is_gone() -> bool:
        is_left = tide.helpers() if file.is_import else file.name in tide.uploads()
        return not is_left and "left" not in tide.status(file)["ErrorMsg"]

    try:
        wait_until(is_gone, PATIENCE_S, "something is left")
    except TimeoutError as error:
        raise AssertionError(f"{tide.uploads()} and {tide.helpers()} are left: {tide.status(file)}") from error
    seen = tide.status(file)
    assert (seen["Status"], seen["ErrorMsg"].partition(":")[0]) == ("FAILED", "DeadlineExceeded")


def test_uploads_are_removed_once_the_store_is_back(open_tide: Opener) -> None:
    """One looks whether it is; the others need not wait for their turn then."""
    tide = open_tide(movers=1)
    files = [large(f"out/large{number}") for number in range(3)]
    outlasted(tide, files, **{hastyservice.TIDY_WAIT: "600"})
    tide.proxy.script()
    for file in files:
        check_gone(tide, file)
        assert tide.target(file) == file.before


def test_a_new_service_looks_at_once_also_after_a_crash(open_tide: Opener) -> None:
    """Killed while the store is away, killed once more, and started when it is back."""
    tide = open_tide(movers=1)
    file = large("out/large")
    outlasted(tide, [file])
    tide.service.kill()
    tide.start()
    check_named(tide, file)
    tide.service.kill()
    tide.proxy.script()
    tide.start()
    check_gone(tide, file)


def test_the_next_sub_task_of_that_target_keeps_its_upload(open_tide: Opener) -> None:
    tide = open_tide(movers=1)
    first = large("out/large")
    outlasted(tide, [first])
    tide.service.stop()
    hasten(tide, LATER)
    tide.start()
    goes_on = threading.Event()
    second = File(name=first.name, is_import=False, content=first.content, has_old=False)
    tide.submit([second])
    tide.proxy.script(held("put_part", goes_on, nth=3))
    told = tide.status(first)["ErrorMsg"]

    wait_until(lambda: tide.proxy.asked("put_part", second.name) >= 3, PATIENCE_S, "the second one does not begin")
    wait_until(lambda: "left" not in tide.status(first)["ErrorMsg"], PATIENCE_S, "it is named still")
    (upload,) = tide.left_of(second)
    assert "[1" in upload
    assert upload.split()[1] not in told
    goes_on.set()
    wait_until(lambda: tide.status(second)["Status"] == "COMPLETE", PATIENCE_S, "the second one does not end")
    tide.judge(second, "COMPLETE")
    assert tide.uploads() == []
    assert tide.status(first)["Status"] == "FAILED"


def test_uploads_of_a_deleted_dataflow_are_removed_all_the_same(open_tide: Opener) -> None:
    tide = open_tide(movers=1)
    file = large("out/large")
    outlasted(tide, [file])
    for task in tide.tasks.values():
        tide.ask("CancelDataFlowTask", DataFlowId=tide.flow, TaskId=task)
    tide.ask("DeleteDataFlow", DataFlowId=tide.flow)
    tide.proxy.script()
    wait_until(lambda: not tide.uploads(), PATIENCE_S, "its upload is left")


@pytest.mark.parametrize("restarted", [False, True])
def test_helper_files_are_removed_once_the_file_system_is_back(open_tide: Opener, restarted: bool) -> None:
    """Its mark is gone, as that of what is not mounted."""
    tide = open_tide(movers=1)
    file, goes_on = begun(tide, ends="killed")
    goes_on.set()
    tide.proxy.script()
    helpers = sorted(tide.left_of(file))
    assert len(helpers) == 2
    hasten(tide, DEADLINE)
    mark, aside = tide.root / ".penstock-root", tide.root.parent / "mark"
    mark.rename(aside)
    tide.start()
    told = failed(tide, file)
    assert told.startswith("DeadlineExceeded: not done within 0.001 hours"), told
    assert all(name in told for name in [*helpers, "/in/large"]), told
    assert sorted(tide.left_of(file)) == helpers
    tide.service.kill()
    hasten(tide, LATER)
    if restarted:
        aside.rename(mark)
    tide.start(**{hastyservice.TIDY_WAIT: "600"})
    if not restarted:
        assert sorted(tide.left_of(file)) == helpers
        aside.rename(mark)
    check_gone(tide, file)
    assert tide.target(file) == file.before


@pytest.mark.parametrize("point", ["upload.abort", "upload.aborted", "settle", "settled"])
def test_a_kill_while_it_is_removed_loses_nothing(open_tide: Opener, tmp_path: Path, point: str) -> None:
    """Right before and right after each step: what is removed already is removed once more, or known to be."""
    tide = open_tide(movers=1)
    file = large("out/large")
    outlasted(tide, [file])
    tide.service.stop()
    tide.proxy.script()
    trap = tmp_path / "traps" / f"{point}.1"
    trap.parent.mkdir()
    trap.touch()
    tide.start(**{failpoints.VARIABLE: str(trap.parent)})
    wait_until(trap.with_name(f"{point}.0").exists, PATIENCE_S, "nobody came there")
    tide.service.kill()
    tide.start()
    check_gone(tide, file)
