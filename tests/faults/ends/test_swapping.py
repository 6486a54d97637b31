"""While somebody swaps directories and files for links that lead out, again and again: is ever a byte read or written outside?"""

from __future__ import annotations

import ctypes
import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.errors import FailureCode
from penstock.model import Direction, FileSystem
from penstock.transfer import beneath
from penstock.transfer.root import Root
from penstock.transfer.transfer import Lane, Verdict
from tests.fixtures.gate import Gate, open_gate, transfer
from tests.fixtures.memorystore import MemoryStore

SECRET = b"SECRET" * 10
PLAIN = b"within"
ROUNDS, ROUNDS_MAX, SWAPS = 1000, 20_000, 200
"""So often at least; more where the two have hardly met by then."""
RENAMEAT2 = {"x86_64": 316}.get(os.uname().machine, 276)
EXPECTED = {
    FailureCode.OUTSIDE_FILE_SYSTEM,
    FailureCode.SOURCE_IS_SYMLINK,
    FailureCode.SOURCE_CHANGED,
    FailureCode.SOURCE_NOT_FOUND,
    FailureCode.FILE_SYSTEM_UNAVAILABLE,  # the directory was moved while the file was on its way
}


def exchange(one: Path, other: Path) -> None:
    """renameat2(RENAME_EXCHANGE): both names are there at every moment."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(RENAMEAT2, -100, os.fsencode(one), -100, os.fsencode(other), 2) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextmanager
def swapping(*pairs: tuple[Path, Path]) -> Iterator[list[int]]:
    """Swaps each pair again and again; how often is the answer's only item."""
    done, count = threading.Event(), [0]

    def swap() -> None:
        dice = random.Random(1)
        while not done.is_set():
            exchange(*dice.choice(pairs))
            count[0] += 1
            if count[0] % 8 < 2:  # else hardly a file would get through
                done.wait(dice.random() * 0.004)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield count
    finally:
        done.set()
        thread.join()


@pytest.fixture(params=["openat2", "walk"])
def gate(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Gate]:
    """The root `fs`, with everything twice: as it should be, and as a link to `outside`."""
    (tmp_path / "outside/deep").mkdir(parents=True)
    (tmp_path / "outside/deep/file").write_bytes(SECRET)
    made = open_gate(tmp_path / "fs")
    if request.param == "walk":
        made.root.close()
        described = FileSystem(file_system_id="fs-1", root=str(tmp_path / "fs"))
        made.root = Root.open(described, opener=beneath.walk_beneath)
    (made.base / "dir/deep").mkdir(parents=True)
    (made.base / "dir/deep/file").write_bytes(PLAIN)
    (made.base / "dirlink").symlink_to(tmp_path / "outside")
    (made.base / "relative").symlink_to("../../outside")
    (made.base / "dir/deeplink").symlink_to("../../../outside/deep")
    (made.base / "dir/deep/filelink").symlink_to(tmp_path / "outside/deep/file")
    yield made
    made.close()


def rounds(both: set[object], seen: set[object], count: list[int]) -> Iterator[int]:
    """Numbers until the race was run often enough, and both ways."""
    for number in range(ROUNDS_MAX):
        if number >= ROUNDS and both <= seen and count[0] >= SWAPS:
            return
        yield number
    raise AssertionError(f"in {ROUNDS_MAX} rounds and {count[0]} swaps only {seen} were seen")


def pairs(gate: Gate) -> list[tuple[Path, Path]]:
    base = gate.base
    return [(base / "dir", base / "dirlink"), (base / "dir", base / "relative")]


def test_nothing_is_read_outside(gate: Gate) -> None:
    store = MemoryStore()
    seen: set[object] = set()
    with swapping(*pairs(gate)) as count:
        for number in rounds({None, FailureCode.OUTSIDE_FILE_SYSTEM}, seen, count):
            what = transfer(Direction.EXPORT, path="base/dir/deep/file", key=f"out/{number}")
            seen.add(gate.move(what, store, lane=(Lane.SMALL, Lane.LARGE)[number % 2]).code)
    assert seen <= {None, *EXPECTED}, seen
    assert {store.content(info.key) for info in store.list_objects(limit=ROUNDS_MAX).objects} == {PLAIN}


def test_a_file_that_is_swapped_for_a_link_is_never_followed(gate: Gate) -> None:
    store, deep = MemoryStore(), gate.base / "dir/deep"
    seen: set[object] = set()
    with swapping((deep / "file", deep / "filelink")) as count:
        for number in rounds({None, FailureCode.SOURCE_IS_SYMLINK}, seen, count):
            what = transfer(Direction.EXPORT, path="base/dir/deep/file", key=f"out/{number}")
            seen.add(gate.move(what, store, lane=(Lane.SMALL, Lane.LARGE)[number % 2]).code)
    assert seen <= {None, *EXPECTED}, seen
    assert {store.content(info.key) for info in store.list_objects(limit=ROUNDS_MAX).objects} == {PLAIN}


def test_nothing_is_written_outside(gate: Gate, tmp_path: Path) -> None:
    store = MemoryStore()
    store.seed("in/small", b"imported")
    before = sorted(str(path) for path in (tmp_path / "outside").rglob("*"))
    complete = 0
    seen: set[object] = set()
    with swapping(*pairs(gate)) as count:
        for number in rounds({None, FailureCode.OUTSIDE_FILE_SYSTEM}, seen, count):
            what = transfer(path=f"base/dir/deep/new{number}/x", key="in/small", sub_task_id=f"sub-{number}")
            outcome = gate.move(what, store, lane=(Lane.SMALL, Lane.LARGE)[number % 2])
            seen.add(outcome.code)
            complete += outcome.verdict is Verdict.COMPLETE
    assert sorted(str(path) for path in (tmp_path / "outside").rglob("*")) == before
    assert (tmp_path / "outside/deep/file").read_bytes() == SECRET
    assert seen <= {None, *EXPECTED, FailureCode.TARGET_NOT_DIRECTORY}, seen
    assert gate.helpers() == []
    assert [name for _, _, names in os.walk(gate.path) for name in names].count("x") == complete
