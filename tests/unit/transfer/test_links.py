"""Where the vendor's way is chosen: does a link become an empty object with the link's own time, and is nothing followed?"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from penstock.errors import FailureCode
from penstock.model import Condition, ConflictPolicy, Direction, FileDetail
from penstock.transfer import beneath
from penstock.transfer.exporting import LINK_NOT_FOLLOWED
from penstock.transfer.root import Root
from penstock.transfer.transfer import (
    Lane,
    OwnerAndMode,
    Symlinks,
    Transfer,
    TransferChoices,
    Verdict,
)
from tests.fixtures.faultscript import Fault, Meanwhile
from tests.fixtures.gate import KIB, Gate, transfer
from tests.fixtures.memorystore import MemoryStore

LINK_NS = 1_234_567_890_123_456_789
EMPTY = "crc64:0"


@pytest.fixture(params=[beneath.open_beneath, beneath.walk_beneath], ids=["openat2", "walk"])
def vendor(request: pytest.FixtureRequest, gate: Gate) -> Gate:
    """Both ways to resolve paths, with links taken as the vendor takes them."""
    file_system = gate.root.file_system
    gate.root.close()
    gate.root = Root.open(file_system, opener=request.param)
    gate.choices = TransferChoices(symlinks=Symlinks.VENDOR)
    return gate


def export(**changes: object) -> Transfer:
    return transfer(Direction.EXPORT, key="out", **changes)


def link(gate: Gate, target: str) -> Path:
    gate.target.symlink_to(target)
    os.utime(gate.target, ns=(1, LINK_NS), follow_symlinks=False)
    return gate.target


@pytest.mark.rule("FILE-1")
def test_refusing_is_the_default_and_says_what_to_do(gate: Gate) -> None:
    store = MemoryStore()
    (gate.base / "real").write_text("content")
    link(gate, "real")
    outcome = gate.move(export(), store)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.SOURCE_IS_SYMLINK)
    assert "name the file it leads to" in outcome.message
    assert store.keys() == []


@pytest.mark.rule("FILE-2")
@pytest.mark.parametrize("lane", Lane)
@pytest.mark.parametrize(
    "leads_to", ["real", "nowhere", "data.bin", "/etc/passwd", "../../outside", "directory", "fifo"]
)
def test_a_link_becomes_an_empty_object_wherever_it_leads(vendor: Gate, lane: Lane, leads_to: str) -> None:
    store = MemoryStore()
    (vendor.base / "real").write_bytes(bytes(100 * KIB))
    (vendor.base / "directory").mkdir()
    os.mkfifo(vendor.base / "fifo")
    link(vendor, leads_to)
    outcome = vendor.move(export(), store, lane=lane)
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, LINK_NOT_FOLLOWED)
    assert (outcome.bytes_total, outcome.bytes_done, outcome.actual_bytes) == (0, 0, 0)
    assert outcome.detail == FileDetail(modify_time_ns=LINK_NS, size_bytes=0, checksum=EMPTY)
    assert store.content("out") == b""
    told = store.head("out").metadata
    assert (told["alihbr-sync-mtime"], told["penstock-mtime-ns"]) == (str(LINK_NS), str(LINK_NS))


@pytest.mark.rule("FILE-1")
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("fifo", FailureCode.SOURCE_NOT_REGULAR),
        ("socket", FailureCode.SOURCE_NOT_REGULAR),
        ("directory", FailureCode.SOURCE_IS_DIRECTORY),
        ("missing", FailureCode.SOURCE_NOT_FOUND),
    ],
)
def test_what_is_neither_file_nor_link_stays_refused(vendor: Gate, kind: str, code: FailureCode) -> None:
    store = MemoryStore()
    bound = socket.socket(socket.AF_UNIX)
    if kind == "fifo":
        os.mkfifo(vendor.target)
    elif kind == "socket":
        here = os.open(vendor.base, os.O_RDONLY)
        bound.bind(f"/proc/self/fd/{here}/data.bin")
        os.close(here)
    elif kind == "directory":
        vendor.target.mkdir()
    for lane in Lane:
        outcome = vendor.move(export(), store, lane=lane)
        assert (outcome.verdict, outcome.code) == (Verdict.FAILED, code)
    assert store.keys() == []
    bound.close()


@pytest.mark.rule("FILE-2")
def test_plain_files_are_moved_as_ever(vendor: Gate) -> None:
    store = MemoryStore()
    for content in (b"small", bytes(200 * KIB)):
        vendor.target.write_bytes(content)
        outcome = vendor.move(export(), store)
        assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, "")
        assert store.content("out") == content


@pytest.mark.rule("FILE-2")
def test_links_on_the_way_still_may_not_lead_out(vendor: Gate, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/link").symlink_to("x")
    (vendor.base / "out").symlink_to("../../outside")
    outcome = vendor.move(export(path="base/out/link"), MemoryStore())
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.OUTSIDE_FILE_SYSTEM)


def test_conditions_are_asked_of_the_link_itself(vendor: Gate) -> None:
    store = MemoryStore()
    (vendor.base / "real").write_bytes(b"seven b")
    link(vendor, "real")
    met = Condition(size_bytes=0, modify_time_ns=LINK_NS)
    assert vendor.move(export(condition=met), store).verdict is Verdict.COMPLETE
    for wrong in (Condition(size_bytes=7), Condition(size_bytes=4), Condition(modify_time_ns=LINK_NS + 2000)):
        outcome = vendor.move(export(condition=wrong), store)
        assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.CONDITION_NOT_MET)


@pytest.mark.parametrize("policy", [ConflictPolicy.SKIP_THE_FILE, ConflictPolicy.KEEP_LATEST])
def test_the_policies_hold_for_links(vendor: Gate, policy: ConflictPolicy) -> None:
    store = MemoryStore()
    store.seed("out", b"kept", metadata={"penstock-mtime-ns": str(LINK_NS)})
    link(vendor, "nowhere")
    assert vendor.move(export(conflict_policy=policy), store).verdict is Verdict.SKIPPED
    assert store.content("out") == b"kept"


@pytest.mark.parametrize("becomes", ["another link", "a file", "nothing"])
def test_a_link_that_changes_on_the_way_is_tried_again(vendor: Gate, becomes: str) -> None:
    store = MemoryStore()
    link(vendor, "nowhere")

    def change() -> None:
        vendor.target.unlink()
        if becomes == "another link":
            vendor.target.symlink_to("elsewhere")
        elif becomes == "a file":
            vendor.target.write_text("content")

    store.script(Fault("head", action=Meanwhile(change)))
    outcome = vendor.move(export(conflict_policy=ConflictPolicy.KEEP_LATEST), store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.SOURCE_CHANGED)
    assert store.keys() == []


def test_a_file_that_becomes_a_link_on_the_way_is_tried_again(vendor: Gate) -> None:
    store = MemoryStore()
    vendor.target.write_text("content")

    def change() -> None:
        vendor.target.unlink()
        vendor.target.symlink_to("nowhere")

    store.script(Fault("head", action=Meanwhile(change)))
    outcome = vendor.move(export(conflict_policy=ConflictPolicy.KEEP_LATEST), store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.SOURCE_CHANGED)


def test_a_link_tells_no_owner_and_no_mode(vendor: Gate) -> None:
    """Links are 0777 everywhere; a file that anybody may write to must not come of that."""
    store = MemoryStore()
    vendor.choices = TransferChoices(symlinks=Symlinks.VENDOR, owner_and_mode=OwnerAndMode.KEEP)
    link(vendor, "nowhere")
    assert vendor.move(export(), store).verdict is Verdict.COMPLETE
    assert not {"penstock-uid", "penstock-gid", "penstock-mode"} & store.head("out").metadata.keys()
