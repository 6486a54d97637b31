"""A source on a file server whose clock is behind ours, or ahead: what is COMPLETE is the file at one moment.

The server is pretended: whatever the kernel tells of a stamp is put back and cut to the server's grain.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.errors import FailureCode
from penstock.transfer import posix
from penstock.transfer.posix import FileState
from penstock.transfer.root import Root
from penstock.transfer.transfer import Verdict
from tests.faults.chaos.conftest import Opener
from tests.faults.chaos.stand import CONTENTS, Stand
from tests.faults.chaos.test_torn_files import opened
from tests.faults.chaos.test_whole_seconds import written_twice

SECOND_NS = 10**9
TICK_NS = 64_000_000
MARK = "0123456789abcdef0123456789abcdef"
CLOCKS = {
    "behind": (10 * SECOND_NS, TICK_NS),
    "behind, whole seconds": (30 * SECOND_NS, SECOND_NS),
    "an hour behind": (3_600 * SECOND_NS, SECOND_NS),
    "ahead, whole seconds": (-30 * SECOND_NS, SECOND_NS),
}


@pytest.fixture(params=list(CLOCKS))
def clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """By how much the server is behind, and its grain; from now on all files lie there."""
    behind_ns, grain_ns = CLOCKS[request.param]
    plain = posix._statx

    def stamped(at_ns: int) -> int:
        there_ns = at_ns - behind_ns
        return there_ns - there_ns % grain_ns

    def statx(directory: int, name: bytes, flags: int) -> FileState | None:
        found = plain(directory, name, flags)
        if found is None:
            return None
        return found._replace(change_ns=stamped(found.change_ns), modify_ns=stamped(found.modify_ns))

    monkeypatch.setattr(posix, "_statx", statx)
    monkeypatch.setattr("penstock.transfer.root.LOCAL_TYPES", frozenset[str]())
    monkeypatch.setattr("penstock.transfer.root._STAMPED_HERE", frozenset[str]())
    return behind_ns, grain_ns


@pytest.fixture
def marked() -> Iterator[Callable[[Stand], None]]:
    """Has a stand's root known by its mark."""
    roots = list[Root]()

    def mark(stand: Stand) -> None:
        (stand.gate.path / ".penstock-root").write_text(f"mark = {MARK}\n")
        roots.append(stand.gate.root)
        stand.gate.root = Root.open(replace(stand.gate.root.file_system, mark=MARK))

    yield mark
    for root in roots:
        root.close()


@pytest.mark.parametrize("size", list(CONTENTS))
def test_two_writes_within_one_of_its_stamps_are_told_apart(
    open_case: Opener,
    clock: tuple[int, int],
    marked: Callable[[Stand], None],
    size: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand, content = opened(open_case, size, "Never")
    marked(stand)

    def stamp(path: Path) -> int:
        return posix.look_path(os.fsencode(path)).change_ns

    for _ in range(5):
        first_ns, second_ns, ending = written_twice(stand, size, monkeypatch, clock[1], stamp=stamp)
        assert ending.verdict is Verdict.COMPLETE, stand.told(ending)
        assert stand.bytes_of() == b"B" * len(content), "torn"
        assert ending.outcomes[0].code is FailureCode.SOURCE_CHANGED
        if second_ns == first_ns or size == "large":
            return
    pytest.fail("never within one stamp: this proves nothing")
