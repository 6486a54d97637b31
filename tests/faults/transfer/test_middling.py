"""Do files between small and large, which are never whole in memory, arrive whole or not at all, and leave nothing behind?"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.errors import FailureCode, StoreUnavailableError
from penstock.model import ConflictPolicy, Direction
from penstock.stores.base import Abilities
from penstock.transfer import crc64, posix
from penstock.transfer.grains import Grains
from penstock.transfer.transfer import Lane, Outcome, Progress, StopReason, Verdict
from tests.faults.transfer.exports import KEY, check_complete, export, write
from tests.fixtures.gate import KIB, Gate, transfer
from tests.fixtures.memorystore import Damage, Fault, MemoryStore, Moment, Raise, Truncate
from tests.fixtures.pagecache import cached_bytes, is_in_memory_only

CONTENT = random.Random(12).randbytes(40 * 16 * KIB + 4321)
OTHER = random.Random(13).randbytes(len(CONTENT))
GONE = StoreUnavailableError("cut off")


@pytest.fixture(params=["direct", "cached"])
def wide(request: pytest.FixtureRequest, gate: Gate) -> Gate:
    """A gate whose small lane takes these files, past the page cache or through it."""
    direct_min_bytes = 0 if request.param == "direct" else 1 << 40
    gate.limits = replace(gate.limits, small_file_max_bytes=1 << 20, direct_min_bytes=direct_min_bytes)
    return gate


@pytest.fixture
def stream() -> MemoryStore:
    """A bucket whose bodies come in pieces."""
    return MemoryStore(chunk_bytes=10_007)


def fetch(gate: Gate, store: MemoryStore, **changes: object) -> Outcome:
    return gate.move(transfer(Direction.IMPORT, **changes), store, lane=Lane.SMALL)


def send(gate: Gate, store: MemoryStore, **changes: object) -> Outcome:
    return gate.move(export(**changes), store, lane=Lane.SMALL)


# ------------------------------------------------------------------------------------------------------------------ imports


def test_an_import_arrives_whole(wide: Gate, stream: MemoryStore) -> None:
    stream.seed("in/data.bin", CONTENT)
    outcome = fetch(wide, stream)
    assert (outcome.verdict, outcome.message) == (Verdict.COMPLETE, "")
    assert outcome.detail is not None
    assert outcome.detail.checksum == f"crc64:{crc64.update(CONTENT)}"
    assert (outcome.bytes_done, outcome.actual_bytes) == (len(CONTENT),) * 2
    assert wide.target.read_bytes() == CONTENT
    assert wide.helpers() == []
    assert len(stream.calls_of("get")) == 1


@pytest.mark.parametrize("size", [64 * KIB + 1, 5 * 16 * KIB, 5 * 16 * KIB - 1, 5 * 16 * KIB + 4096])
def test_sizes_around_grains_and_pages(wide: Gate, stream: MemoryStore, size: int) -> None:
    stream.seed("in/data.bin", CONTENT[:size])
    assert fetch(wide, stream).verdict is Verdict.COMPLETE
    assert wide.target.read_bytes() == CONTENT[:size]


def test_an_import_stays_in_the_page_cache_unless_it_goes_past_it(
    tmp_path: Path, wide: Gate, stream: MemoryStore
) -> None:
    if is_in_memory_only(tmp_path):
        pytest.skip("this file system has no disk to write to")
    with (wide.base / "probe").open("wb") as probe:
        can = posix.direct_alignment(probe.fileno()) > 0
    stream.seed("in/data.bin", CONTENT)
    assert fetch(wide, stream).verdict is Verdict.COMPLETE
    cached = cached_bytes(wide.target)
    # Kernels let go of some pages by themselves.
    assert cached <= 8192 if can and not wide.limits.direct_min_bytes else cached > len(CONTENT) // 2


@pytest.mark.parametrize(
    "action", [Truncate(after_bytes=300_000), Damage()], ids=["its answer breaks off", "it comes damaged"]
)
def test_a_broken_import_begins_anew(wide: Gate, stream: MemoryStore, action: Truncate | Damage) -> None:
    stream.seed("in/data.bin", CONTENT)
    stream.script(Fault("get", action=action))
    outcome = fetch(wide, stream)
    assert (outcome.verdict, outcome.message) == (Verdict.COMPLETE, "")
    assert wide.target.read_bytes() == CONTENT
    assert len(stream.calls_of("get")) == 2
    assert wide.helpers() == []


def test_an_import_that_breaks_each_time_leaves_nothing(wide: Gate, stream: MemoryStore) -> None:
    wide.target.write_bytes(b"before")
    stream.seed("in/data.bin", CONTENT)
    stream.script(Fault("get", times=99, action=Truncate(after_bytes=300_000)))
    outcome = fetch(wide, stream)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.STORE_UNAVAILABLE)
    assert wide.target.read_bytes() == b"before"
    assert wide.helpers() == []


@pytest.mark.parametrize("reason", [StopReason.CANCEL, StopReason.FENCED])
def test_an_import_that_is_stopped_in_the_middle(wide: Gate, stream: MemoryStore, reason: StopReason) -> None:
    """Who is fenced touches nothing any more: the partial file is the next attempt's."""
    stream.seed("in/data.bin", CONTENT)

    def stop(progress: Progress) -> None:
        if progress.bytes_done > len(CONTENT) // 2:
            wide.hooks.stop = reason

    wide.hooks.on_progress = stop
    outcome = fetch(wide, stream)
    assert outcome.verdict is (Verdict.CANCELED if reason is StopReason.CANCEL else Verdict.RETURNED)
    assert not wide.target.exists()
    assert (wide.helpers() == []) == (reason is StopReason.CANCEL)
    wide.hooks.stop, wide.hooks.on_progress = None, lambda progress: None
    assert fetch(wide, stream, attempt=2).verdict is Verdict.COMPLETE
    assert wide.target.read_bytes() == CONTENT
    assert wide.helpers() == []


def test_a_drain_lets_an_import_end(wide: Gate, stream: MemoryStore) -> None:
    stream.seed("in/data.bin", CONTENT)

    def stop(progress: Progress) -> None:
        wide.hooks.stop = StopReason.DRAIN

    wide.hooks.on_progress = stop
    assert fetch(wide, stream).verdict is Verdict.COMPLETE


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_refuses_in_the_middle_leaves_nothing(
    wide: Gate, stream: MemoryStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    stream.seed("in/data.bin", CONTENT)
    plain = os.pwrite

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        if offset > len(CONTENT) // 2:
            raise OSError(number, os.strerror(number))
        return plain(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    outcome = fetch(wide, stream)
    expected = FailureCode.IO_ERROR if number == errno.EIO else FailureCode.NO_SPACE
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, expected)
    assert not wide.target.exists()
    assert wide.helpers() == []


def test_under_skip_what_appears_meanwhile_stays(wide: Gate, stream: MemoryStore) -> None:
    stream.seed("in/data.bin", CONTENT)

    def appear(progress: Progress) -> None:
        wide.target.write_bytes(b"theirs")

    wide.hooks.on_progress = appear
    outcome = fetch(wide, stream, conflict_policy=ConflictPolicy.SKIP_THE_FILE)
    assert outcome.verdict is Verdict.SKIPPED
    assert wide.target.read_bytes() == b"theirs"
    assert wide.helpers() == []


# ------------------------------------------------------------------------------------------------------------------ exports


@pytest.mark.parametrize("abilities", [None, Abilities(part_etag_is_md5=True)], ids=["crc64", "md5"])
def test_an_export_arrives_whole(wide: Gate, abilities: Abilities | None) -> None:
    store = MemoryStore(abilities=abilities)
    write(wide, CONTENT)
    outcome = send(wide, store)
    check_complete(outcome, store, CONTENT)
    assert [call.verb for call in store.calls] == ["put"]


def test_a_lost_answer_is_sent_once_more(wide: Gate, store: MemoryStore) -> None:
    write(wide, CONTENT)
    store.script(Fault("put", action=Raise(GONE, Moment.AFTER)))
    check_complete(send(wide, store), store, CONTENT)
    assert len(store.calls_of("put")) == 2


def test_an_object_stored_badly_is_overwritten_at_once(wide: Gate, store: MemoryStore) -> None:
    write(wide, CONTENT)
    store.script(Fault("put", action=Damage()))
    check_complete(send(wide, store), store, CONTENT)


def overwrite(path: Path) -> None:
    """From now on another file of the same size, with the same times as far as anybody may set them."""
    found = path.stat()
    descriptor = os.open(path, os.O_WRONLY)
    os.pwrite(descriptor, OTHER, 0)
    os.close(descriptor)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def shorten(path: Path) -> None:
    os.truncate(path, len(CONTENT) - 1)


@pytest.mark.parametrize("change", [overwrite, shorten])
@pytest.mark.parametrize("at_piece", [1, 20, 40])
@pytest.mark.parametrize("seen", [b"", b"before"], ids=["new", "there"])
def test_what_changes_while_it_is_sent_is_not_published(  # noqa: PLR0917
    wide: Gate,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    at_piece: int,
    seen: bytes,
) -> None:
    """The first reading has proven what it is, the second one, which is sent, meets other bytes: its end is withheld."""
    write(wide, CONTENT)
    if seen:
        store.seed(KEY, seen)
    plain, reads = posix.read_full, [0]
    pieces = -(-len(CONTENT) // wide.limits.grain_bytes)

    def read_full(descriptor: int, buffer: memoryview, offset: int) -> int:
        reads[0] += 1
        if reads[0] == pieces + at_piece:
            change(wide.target)
        return plain(descriptor, buffer, offset)

    monkeypatch.setattr(posix, "read_full", read_full)
    outcome = send(wide, store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.SOURCE_CHANGED)
    assert "was changed while it was read" in outcome.message
    assert reads[0] > pieces
    assert (store.content(KEY) if KEY in set(store.keys()) else b"") == seen


def test_what_changed_before_it_was_sent_is_seen(
    wide: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(wide, CONTENT)
    plain, reads = posix.read_full, [0]

    def read_full(descriptor: int, buffer: memoryview, offset: int) -> int:
        reads[0] += 1
        if reads[0] == 2:
            overwrite(wide.target)
        return plain(descriptor, buffer, offset)

    monkeypatch.setattr(posix, "read_full", read_full)
    outcome = send(wide, store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.SOURCE_CHANGED)
    assert store.calls_of("put") == []


@pytest.mark.parametrize("stops_at", [1, 60])
def test_an_export_that_is_canceled_in_the_middle_leaves_nothing(
    wide: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, stops_at: int
) -> None:
    write(wide, CONTENT)
    plain, reads = posix.read_full, [0]

    def read_full(descriptor: int, buffer: memoryview, offset: int) -> int:
        reads[0] += 1
        if reads[0] == stops_at:
            wide.hooks.stop = StopReason.CANCEL
        return plain(descriptor, buffer, offset)

    monkeypatch.setattr(posix, "read_full", read_full)
    assert send(wide, store).verdict is Verdict.CANCELED
    assert store.keys() == []


# ------------------------------------------------------------------------------------------------------------------- memory


def test_grains_are_used_again_and_no_more_are_kept_than_asked() -> None:
    grains = Grains(8192, kept=1)
    with grains.lent() as one, grains.lent() as other:
        assert len(one) == len(other) == 8192
        one[0], other[0] = 1, 2
    with grains.lent() as again:
        assert again[0] == 2  # the first that came back was kept
        with grains.lent() as fresh:
            assert fresh[0] == 0


@pytest.mark.parametrize("direction", list(Direction))
def test_without_memory_for_a_grain_it_is_tried_again(
    wide: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, direction: Direction
) -> None:
    def refused(grains: Grains) -> memoryview:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    is_import = direction is Direction.IMPORT
    if is_import:
        store.seed(KEY, CONTENT)
    else:
        write(wide, CONTENT)
    with monkeypatch.context() as scarce:
        scarce.setattr(Grains, "_taken", refused)
        outcome = fetch(wide, store) if is_import else send(wide, store)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.IO_ERROR)
    assert "has no memory for it now" in outcome.message
    assert wide.helpers() == []
    assert (fetch(wide, store) if is_import else send(wide, store)).verdict is Verdict.COMPLETE
    assert wide.target.read_bytes() == store.content(KEY) == CONTENT
