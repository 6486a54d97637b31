"""A source that changes where time stamps have whole seconds, on real file systems: what is COMPLETE is the file at one moment.

Each case writes twice within one second, so that both stamps are one. Needs root, as all mounts do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from penstock.errors import FailureCode
from penstock.model import ConflictPolicy, Direction
from penstock.transfer.posix import look_path
from penstock.transfer.stamps import TICK_NS, are_whole_seconds
from penstock.transfer.transfer import Verdict
from tests.faults.chaos.conftest import Opener
from tests.faults.chaos.stand import CONTENTS, LANES, MODIFY_NS, OTHER, Ending, Stand
from tests.faults.chaos.test_torn_files import MOMENTS, Writer, check_one_moment, opened, rewrite, scripted
from tests.fixtures.mounts import clean_mounts, disk, mount
from tests.fixtures.waiting import wait_until

SECOND_NS = 10**9


@dataclass(frozen=True, slots=True)
class Kind:
    """A file system, how it is made, and how long all its changes may bear one stamp."""

    name: str
    make: tuple[str, ...]
    grain_ns: int = SECOND_NS


KINDS = {
    "ext4": Kind("ext4", ("mkfs.ext4", "-q", "-I", "128", "-F")),
    "ext3": Kind("ext3", ("mkfs.ext3", "-q", "-I", "128", "-F")),
    "ext2": Kind("ext2", ("mkfs.ext2", "-q", "-I", "128", "-F")),
    "vfat": Kind("vfat", ("mkfs.vfat",), 2 * SECOND_NS),
}


@pytest.fixture(params=["ext4"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def tree(tmp_path: Path, kind: Kind) -> Iterator[Path]:
    point = tmp_path / "disk"
    point.mkdir()
    with clean_mounts(tmp_path), disk(tmp_path / "image", size_mib=48, make=kind.make) as device:
        mount(point, kind=kind.name, source=device)
        (point / "probe").touch()
        assert are_whole_seconds(look_path(os.fsencode(point / "probe")))
        yield point


def change_ns(path: Path) -> int:
    """The change time, as a stamp."""
    return path.stat().st_ctime_ns


def await_second(grain_ns: int) -> None:
    """Until a stamp begins, with time enough to write twice before the next one."""
    began = time.time_ns() // grain_ns
    wait_until(lambda: time.time_ns() // grain_ns != began, 5, "time stands still")


@pytest.mark.parametrize("kind", list(KINDS), indirect=True)
@pytest.mark.parametrize("size", ["small", "middling", "large"])
def test_two_writes_within_one_stamp_are_told_apart(
    open_case: Opener, kind: Kind, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one comes in the middle of the first reading; on a slow machine, not at the first try."""
    stand, content = opened(open_case, size, "Never")
    for _ in range(5):
        first_ns, second_ns, ending = written_twice(stand, size, monkeypatch, kind.grain_ns)
        assert ending.verdict is Verdict.COMPLETE, stand.told(ending)
        assert stand.bytes_of() == b"B" * len(content), "torn"
        first = ending.outcomes[0]
        assert (first.verdict, first.code) == (Verdict.RETRY, FailureCode.SOURCE_CHANGED)
        if size == "large":  # it had rested
            assert second_ns >= first_ns + kind.grain_ns
            return
        if second_ns == first_ns:
            return
    pytest.fail("never within one stamp: this proves nothing")


def written_twice(
    stand: Stand, size: str, monkeypatch: pytest.MonkeyPatch, grain_ns: int, *, stamp: Callable[[Path], int] = change_ns
) -> tuple[int, int, Ending]:
    """The file's stamp after the first and after the second writing, and how its export ended."""
    target, length = stand.gate.target, len(CONTENTS[size])
    await_second(grain_ns)
    target.write_bytes(b"A" * length)
    written_ns, first_ns = time.time_ns(), stamp(target)
    if grain_ns > 2 * TICK_NS:  # finer stamps would do then
        wait_until(lambda: time.time_ns() - written_ns > 3 * TICK_NS // 2, 5, "time stands still")
    plain, stamps = os.preadv, list[int]()

    def half(descriptor: int, buffers: list[memoryview], offset: int, *flags: int) -> int:
        if stamps or flags:
            return plain(descriptor, buffers, offset, *flags)
        count = plain(descriptor, [memoryview(buffers[0])[: length // 3]], offset)
        with target.open("rb+", buffering=0) as file:
            file.write(b"B" * length)
        stamps.append(stamp(target))
        return count

    with monkeypatch.context() as patched:
        patched.setattr(os, "preadv", half)
        ending = stand.carry(stand.what(Direction.EXPORT), LANES[size])
    return first_ns, stamps[0], ending


@pytest.mark.parametrize("moment", list(MOMENTS))
def test_a_file_whose_time_was_put_back_is_waited_out(open_case: Opener, moment: str) -> None:
    when = MOMENTS[moment]
    stand, content = opened(open_case, when.size, "Enabled")
    scripted(stand, when, lambda: rewrite(stand.gate.target))
    ending = stand.carry(stand.what(Direction.EXPORT, ConflictPolicy.KEEP_LATEST), LANES[when.size])
    after = stand.gate.target.read_bytes()
    kept_ns = MODIFY_NS - MODIFY_NS % SECOND_NS
    stand.judge_export(ending, content, after, times={content: kept_ns, after: kept_ns})
    assert ending.verdict is Verdict.COMPLETE, stand.told(ending)
    if when.is_seen:
        assert ending.outcomes[0].code is FailureCode.SOURCE_CHANGED
        assert stand.bytes_of() == after == OTHER[: len(content)]


@pytest.mark.parametrize(("size", "exports"), [("small", 40), ("middling", 20), ("large", 1)])
def test_an_export_beside_a_writer_is_the_file_at_one_moment(open_case: Opener, size: str, exports: int) -> None:
    stand, content = opened(open_case, size, "Never")
    stand.write(bytes(len(content)))
    with Writer(stand.gate.target, len(content)) as writer:
        for _ in range(exports):
            ending = stand.carry(stand.what(Direction.EXPORT), LANES[size])
            check_one_moment(stand, ending)
    assert writer.generations > 0


@pytest.mark.parametrize("size", list(CONTENTS))
def test_a_file_that_has_rested_is_neither_waited_for_nor_read_twice(
    open_case: Opener, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand, content = opened(open_case, size, "Never")
    stand.write(content)
    stand.gate.clock = lambda: time.time_ns() + 3 * SECOND_NS
    rests = list[float]()
    read = list[int]()
    plain = os.preadv
    monkeypatch.setattr("penstock.transfer.attempt.Attempt.rest", lambda attempt, left_s, check: rests.append(left_s))

    def counted(descriptor: int, buffers: list[memoryview], offset: int, *flags: int) -> int:
        read.append(plain(descriptor, buffers, offset, *flags))
        return read[-1]

    monkeypatch.setattr(os, "preadv", counted)
    ending = stand.carry(stand.what(Direction.EXPORT), LANES[size])
    assert ending.verdict is Verdict.COMPLETE
    assert rests == []
    if size == "small":
        assert sum(read) == len(content)


def test_an_import_is_not_made_again_for_the_fraction_that_was_lost(open_case: Opener) -> None:
    """Its object is newer by that fraction only: which of the two is the latest nobody knows, and what is there stays."""
    stand = open_case()
    stand.seed(CONTENTS["small"])
    again = stand.what(Direction.IMPORT, ConflictPolicy.KEEP_LATEST)
    assert stand.carry(again, LANES["small"]).verdict is Verdict.COMPLETE
    assert stand.gate.target.stat().st_mtime_ns == MODIFY_NS - MODIFY_NS % SECOND_NS
    assert stand.carry(again, LANES["small"]).verdict is Verdict.SKIPPED
    os.utime(stand.gate.target, ns=(0, MODIFY_NS - SECOND_NS))
    assert stand.carry(again, LANES["small"]).verdict is Verdict.COMPLETE
