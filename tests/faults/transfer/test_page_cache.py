"""Does a large file leave others their memory: is what is dirty bounded, and the page cache as it was, in both directions?"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import random
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.transfer import pagecache, posix
from penstock.transfer.flusher import GRAIN_BYTES, Flusher, Span
from penstock.transfer.footprint import STEP_BYTES
from penstock.transfer.part_file import DIRECT_GRAIN_BYTES
from penstock.transfer.transfer import Progress, StopReason, Verdict
from tests.faults.transfer.exports import export, write
from tests.fixtures.gate import KIB, Gate, RecordingHooks, transfer
from tests.fixtures.memorystore import MemoryStore
from tests.fixtures.pagecache import cached_bytes, is_in_memory_only, push_out

MIB = 1 << 20
SIZE_BYTES = 24 * MIB + 4321
CONTENT = random.Random(11).randbytes(SIZE_BYTES)
WINDOW_BYTES = 2 * GRAIN_BYTES
EVICTED_BYTES = 512 * KIB
"""Kernels let go of some pages by themselves; what is looked for is a part, or a hole of a MiB."""


@pytest.fixture(autouse=True)
def _on_disk(tmp_path: Path) -> None:
    if is_in_memory_only(tmp_path):
        pytest.skip("this file system has no disk to write back to")


@pytest.fixture
def wide(gate: Gate) -> Gate:
    """A gate with parts of a real size."""
    gate.limits = replace(gate.limits, part_size_bytes=4 * MIB)
    return gate


def tells_direct_io(directory: Path) -> bool:
    with (directory / "probe").open("wb") as file:
        return posix.direct_alignment(file.fileno()) > 0


def test_a_part_that_grows_has_a_bounded_window_in_memory(tmp_path: Path) -> None:
    """Pieces of odd lengths, from an odd offset: at no moment is more than two grains (and the piece) in memory."""
    path = tmp_path / "file"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    piece = memoryview(CONTENT)[:77_777]
    try:
        os.truncate(descriptor, SIZE_BYTES)
        span = Span(Flusher(descriptor, unsynced_bytes_max=1 << 40, synced=lambda: None), 12_345)
        offset, most = 12_345, 0
        while offset + len(piece) <= SIZE_BYTES:
            offset += os.pwrite(descriptor, piece, offset)
            span.grow(len(piece))
            most = max(most, cached_bytes(path))
        span.flush()
        assert WINDOW_BYTES // 2 < most <= WINDOW_BYTES + MIB  # the first bound: this test does see dirty pages
        assert cached_bytes(path) <= 64 * KIB  # the pages at both of its ends
    finally:
        os.close(descriptor)


def test_an_import_keeps_a_window_a_worker_in_memory_and_leaves_nothing_there(
    wide: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system that tells nothing of direct I/O."""
    store.seed("in/data.bin", CONTENT)
    seen: list[int] = []
    looking = threading.Lock()

    def look() -> None:
        with looking:
            seen.extend(cached_bytes(path) for path in wide.base.glob(".penstock-*.partial"))

    monkeypatch.setattr(posix, "direct_alignment", lambda descriptor: 0)
    wide.hooks.on_progress = lambda progress: look()
    outcome = wide.move(transfer(), store)
    assert (outcome.verdict, outcome.message) == (Verdict.COMPLETE, "")
    assert wide.target.stat().st_size == SIZE_BYTES
    assert cached_bytes(wide.target) <= 64 * KIB
    workers = wide.pool.workers
    assert len(seen) > 100
    assert max(seen) <= workers * (WINDOW_BYTES + 64 * KIB) < SIZE_BYTES
    assert wide.target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "number", [errno.EIO, errno.ENOSPC, errno.ENOLINK, errno.ETIMEDOUT, errno.ENODATA, errno.EACCES]
)
def test_whatever_is_said_of_a_write_while_it_is_waited_for_is_believed(
    wide: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Disks and servers have many words for it, and say each once: the fsync at the end would know of nothing."""
    store.seed("in/data.bin", CONTENT)
    plain, asked = pagecache._sync_file_range, []
    assert plain is not None

    def sync_file_range(descriptor: int, offset: int, length_bytes: int, flags: int) -> int:
        asked.append(offset)
        if len(asked) == 3:
            ctypes.set_errno(number)
            return -1
        return int(plain(descriptor, offset, length_bytes, flags))

    monkeypatch.setattr(posix, "direct_alignment", lambda descriptor: 0)
    monkeypatch.setattr(pagecache, "_sync_file_range", sync_file_range)
    outcome = wide.move(transfer(), store)
    assert outcome.verdict in {Verdict.RETRY, Verdict.FAILED}, outcome
    assert not wide.target.exists()
    assert wide.helpers() == []
    assert wide.move(transfer(attempt=2), store).verdict is Verdict.COMPLETE
    assert wide.target.read_bytes() == CONTENT


def test_where_no_range_can_be_synced_the_file_is(
    wide: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.seed("in/data.bin", CONTENT)

    def sync_file_range(*_: int) -> int:
        ctypes.set_errno(errno.ENOSYS)
        return -1

    monkeypatch.setattr(posix, "direct_alignment", lambda descriptor: 0)
    monkeypatch.setattr(pagecache, "_sync_file_range", sync_file_range)
    assert wide.move(transfer(), store).verdict is Verdict.COMPLETE
    assert wide.target.read_bytes() == CONTENT


def test_an_import_goes_past_the_page_cache_where_the_file_system_tells_how(wide: Gate, store: MemoryStore) -> None:
    """Only the end of the file, which is no whole page, is ever in memory."""
    if not tells_direct_io(wide.base):
        pytest.skip("this file system tells nothing of direct I/O")
    store.seed("in/data.bin", CONTENT)
    seen: list[int] = []
    looking = threading.Lock()

    def look() -> None:
        with looking:
            seen.extend(cached_bytes(path) for path in wide.base.glob(".penstock-*.partial"))

    wide.hooks.on_progress = lambda progress: look()
    assert wide.move(transfer(), store).verdict is Verdict.COMPLETE
    assert len(seen) > 20
    assert max(seen) <= 64 * KIB
    assert wide.target.read_bytes() == CONTENT


@pytest.mark.parametrize("refused", [errno.EINVAL, 0])
def test_what_the_disk_does_not_take_directly_goes_through_the_page_cache(
    wide: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    """A file system that told that it can and then refuses, or takes less than it was given."""
    if not tells_direct_io(wide.base):
        pytest.skip("this file system tells nothing of direct I/O")
    store.seed("in/data.bin", CONTENT)
    plain, struck = os.pwrite, []
    seen: list[int] = []

    def look() -> None:
        seen.extend(cached_bytes(path) for path in wide.base.glob(".penstock-*.partial"))

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            struck.append(offset)
            if refused:
                raise OSError(refused, os.strerror(refused))
            return plain(descriptor, data[:4096], offset)
        return plain(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    wide.hooks.on_progress = lambda progress: look()
    assert wide.move(transfer(), store).verdict is Verdict.COMPLETE
    assert len(struck) >= SIZE_BYTES // DIRECT_GRAIN_BYTES
    assert len(seen) > 20
    assert max(seen) <= wide.pool.workers * (DIRECT_GRAIN_BYTES + 64 * KIB)
    assert wide.target.read_bytes() == CONTENT


def test_an_import_that_goes_on_leaves_nothing_of_what_it_read_again(wide: Gate, store: MemoryStore) -> None:
    store.seed("in/data.bin", CONTENT)

    def drain(progress: Progress) -> None:
        if progress.bytes_done > SIZE_BYTES // 2:
            wide.hooks.stop = StopReason.DRAIN

    wide.hooks.on_progress = drain
    assert wide.move(transfer(), store).verdict is Verdict.RETURNED
    again = wide.move(transfer(attempt=2), store, hooks=RecordingHooks())
    assert (again.verdict, again.message) == (Verdict.COMPLETE, "")
    assert len(store.calls_of("get")) < 2 * -(-SIZE_BYTES // (4 * MIB))  # some parts were read again instead
    assert cached_bytes(wide.target) <= 64 * KIB


@pytest.mark.parametrize("counts", [True, False], ids=["counted", "probed"])
@pytest.mark.parametrize("has_hole", [True, False], ids=["a hole in what is there", "an island in what is not"])
def test_an_export_leaves_holes_and_islands_in_the_page_cache(
    wide: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, has_hole: bool, counts: bool
) -> None:
    """The kernel lets go of single pages of what is otherwise there: the rest of their part was dropped for it."""
    if not counts:
        monkeypatch.setattr(pagecache, "_CACHESTAT", -1)
    write(wide, CONTENT)
    push_out(wide.target)
    hole = range(5 * MIB + 512 * KIB, 6 * MIB + 512 * KIB)  # in the middle of a part, which was what was looked at
    descriptor = os.open(wide.target, os.O_RDONLY)
    try:
        if has_hole:
            os.pread(descriptor, SIZE_BYTES, 0)
            os.posix_fadvise(descriptor, hole.start, len(hole), os.POSIX_FADV_DONTNEED)
        else:
            pagecache.read_by_hand(descriptor)
            os.pread(descriptor, len(hole), hole.start)
    finally:
        os.close(descriptor)
    before = cached_bytes(wide.target)
    assert before > 0
    assert SIZE_BYTES - 2 * MIB < before < SIZE_BYTES if has_hole else before < 2 * MIB
    assert wide.move(export(), store).verdict is Verdict.COMPLETE
    off = cached_bytes(wide.target) - before
    assert -EVICTED_BYTES <= off <= 64 * KIB if counts else abs(off) <= STEP_BYTES


@pytest.mark.parametrize("is_there", [True, False], ids=["what is there", "what is not"])
@pytest.mark.parametrize("nth", [0, 1, 2])
def test_a_single_byte_that_belies_its_step_is_outvoted(
    wide: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, nth: int, *, is_there: bool
) -> None:
    """Kernels read what they are asked about: it may have come before they answer. And they let go of single pages."""
    asked: dict[int, list[int]] = {}

    def is_cached(descriptor: int, offset: int) -> bool:
        of_step = asked.setdefault(offset // STEP_BYTES, [])
        of_step.append(offset)
        return is_there is (len(of_step) - 1 != nth)

    monkeypatch.setattr(pagecache, "_CACHESTAT", -1)
    monkeypatch.setattr(pagecache, "is_cached", is_cached)
    write(wide, CONTENT)
    push_out(wide.target)
    if is_there:
        wide.target.read_bytes()
    before = cached_bytes(wide.target)
    assert wide.move(export(), store).verdict is Verdict.COMPLETE
    assert abs(cached_bytes(wide.target) - before) <= STEP_BYTES // 2
    assert [len(set(of_step)) for _, of_step in sorted(asked.items())] == [3] * 6 + [1]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_export_leaves_the_page_cache_as_it_found_it(wide: Gate, store: MemoryStore, share: float) -> None:
    """What a training has read or just written stays; what was read from disk for the export goes."""
    write(wide, CONTENT)
    push_out(wide.target)
    with wide.target.open("rb") as file:
        file.read(int(SIZE_BYTES * share))
    before = cached_bytes(wide.target)
    assert before == 0 or before >= SIZE_BYTES - EVICTED_BYTES
    outcome = wide.move(export(), store)
    assert (outcome.verdict, outcome.message) == (Verdict.COMPLETE, "")
    after = cached_bytes(wide.target)
    if share:
        assert before - EVICTED_BYTES <= after <= SIZE_BYTES + 4 * KIB
    else:
        assert after <= SIZE_BYTES // 8  # the kernel's own read-ahead beyond a part's end
