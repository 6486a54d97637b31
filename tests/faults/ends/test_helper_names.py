"""What lies in the place of a partial file or a journal and is no file: is it told what it is, left alone, and got over?"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from penstock.errors import FailureCode
from penstock.transfer import names
from penstock.transfer.transfer import Intent, Lane, Verdict
from tests.faults.transfer.imports import CONTENT, SMALL, check_complete, drain_after
from tests.fixtures.gate import KIB, Gate, transfer
from tests.fixtures.memorystore import MemoryStore

MIDDLING = CONTENT[: 40 * KIB]
SIZES = {"small": SMALL, "middling": MIDDLING, "large": CONTENT}
HELPERS = {"partial": names.partial_name("subtask-1").decode(), "journal": names.journal_name("subtask-1").decode()}
KINDS = {
    "directory": "is a directory",
    "full directory": "is a directory",
    "pipe": "is a named pipe",
    "socket": "is a socket",
    "device": "is a device",
}


def put(kind: str, place: Path) -> None:
    """Lay something of that kind there, in the place of what was."""
    place.unlink(missing_ok=True)
    if kind == "device" and os.geteuid() != 0:
        pytest.skip("only root makes devices")
    match kind:
        case "directory" | "full directory":
            place.mkdir()
        case "pipe":
            os.mkfifo(place)
        case "device":
            os.mknod(place, 0o020600, os.makedev(1, 3))
        case "link":
            place.symlink_to("somewhere")
    if kind == "full directory":
        (place / "theirs").write_bytes(b"theirs")
    if kind == "socket":
        here = os.open(place.parent, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(f"/proc/self/fd/{here}/{place.name}")  # the path of a socket has at most 107 bytes
        os.close(here)


def look(place: Path) -> tuple[int, ...]:
    """What tells whether somebody touched it."""
    found = os.lstat(place)
    return found.st_ino, found.st_mode, found.st_nlink, found.st_mtime_ns, found.st_ctime_ns


def remove(place: Path) -> None:
    if place.is_dir():
        (place / "theirs").unlink(missing_ok=True)
        place.rmdir()
    else:
        place.unlink()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("helper", HELPERS)
@pytest.mark.parametrize("begun", [False, True])
def test_a_large_file_waits_and_says_what_lies_there(
    gate: Gate, store: MemoryStore, kind: str, helper: str, begun: bool
) -> None:
    if begun:
        assert gate.move(transfer(), store, hooks=drain_after(gate, 3)).verdict is Verdict.RETURNED
    place = gate.base / HELPERS[helper]
    put(kind, place)
    before = look(place)
    for attempt in (2, 3):
        outcome = gate.move(transfer(attempt=attempt), store)
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.HELPER_NAME_TAKEN), outcome
        assert outcome.message == (
            f"/base/data.bin: /base/{HELPERS[helper]} {KINDS[kind]}, and not Penstock's, which needs that name for a while:"
            " move it away"
        )
        assert look(place) == before
        assert gate.helpers() == [HELPERS[helper]]
    remove(place)
    check_complete(gate.move(transfer(attempt=4), store), gate)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", ["small", "middling"])
def test_a_smaller_file_waits_too_and_needs_no_journal(gate: Gate, kind: str, size: str) -> None:
    store = MemoryStore()
    store.seed("in/data.bin", SIZES[size])
    for name in HELPERS.values():
        put(kind, gate.base / name)
    for lane in (Lane.SMALL, Lane.LARGE):
        outcome = gate.move(transfer(attempt=2), store, lane=lane)
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.HELPER_NAME_TAKEN), outcome
        assert f"/base/{HELPERS['partial']} {KINDS[kind]}" in outcome.message
    remove(gate.base / HELPERS["partial"])
    check_complete(gate.move(transfer(attempt=3), store, lane=Lane.SMALL), gate, SIZES[size])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("helper", HELPERS)
@pytest.mark.parametrize("intent", [Intent.WITHDRAW, Intent.TIDY])
def test_whoever_removes_what_was_begun_leaves_it_alone(
    gate: Gate, store: MemoryStore, kind: str, helper: str, intent: Intent
) -> None:
    gate.move(transfer(), store, hooks=drain_after(gate, 3))
    place = gate.base / HELPERS[helper]
    put(kind, place)
    before = look(place)
    outcome = gate.move(transfer(attempt=2, intent=intent), store)
    assert (outcome.verdict, outcome.code) == (
        Verdict.CANCELED if intent is Intent.WITHDRAW else Verdict.TIDIED,
        None,
    )
    assert look(place) == before
    assert gate.helpers() == [HELPERS[helper]]


@pytest.mark.parametrize("helper", HELPERS)
@pytest.mark.parametrize("size", SIZES)
def test_a_link_in_its_place_is_taken_away_and_not_followed(gate: Gate, helper: str, size: str) -> None:
    store = MemoryStore(chunk_bytes=16 * KIB)
    store.seed("in/data.bin", SIZES[size])
    (gate.base / "somewhere").write_bytes(b"theirs")
    if size == "large":
        gate.move(transfer(), store, hooks=drain_after(gate, 3))
    put("link", gate.base / HELPERS[helper])
    lane = Lane.LARGE if size == "large" else Lane.SMALL
    check_complete(gate.move(transfer(attempt=2), store, lane=lane), gate, SIZES[size])
    gate.move(transfer(attempt=3, intent=Intent.TIDY), store)
    assert gate.helpers() == []
    assert (gate.base / "somewhere").read_bytes() == b"theirs"
