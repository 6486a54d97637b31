"""Is everything durable before what relies on it, and would the rules notice if it were not?"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.power.operations import Kind, Operation, UnreadError, read
from tests.faults.power.recording import WAYS, Recording, Way
from tests.faults.power.rules import SYNCS, complaints

pytestmark = pytest.mark.xdist_group("power")

Recorded = Callable[[Way], Recording]

NOT_NEEDED = {
    r"catalog\.db-wal$": "of a commit of which nobody was told in this record, or which another sync covers",
    r"\.journal$": "what is known of parts is read again before it is believed",
    r"\.partial$": "in the middle of a large file, so that a power cut costs little",
    r"/(home|filesystem|there|new|deep|many)$": "a directory that was durable already, or from which a journal was removed",
    r"nonces\.db": "the answers of calls that only read",
    r"service\.json": "where a running service listens",
}
HEARD = {"accepted before", "said to be COMPLETE"}
NAMED = {"got its name before all", "before its name", "the directory new", "the directory deep"}
PROMISED = {"promised before all", "before the promise", "names of its helper files", "the journal went before"}
WITHDRAWN = {"accepted before", "said to be CANCELED", "cancel was accepted before"}
SEEN_BY = {
    Way.IMPORT_SMALL: HEARD | NAMED,
    Way.IMPORT_LARGE: HEARD | NAMED | PROMISED,
    Way.EXPORT_SMALL: HEARD,
    Way.EXPORT_LARGE: HEARD | {"before the intent", "before the upload's id", "before what it has to be"},
    Way.ACCEPTED: {"accepted before", "copied before", "begun anew before"},
    Way.SYNC_FAILS: HEARD,
    Way.IMPORT_MIDDLING: HEARD | NAMED,
    Way.CANCEL_IMPORT: WITHDRAWN | {"went before the journal", "before all was durably gone"},
    Way.CANCEL_EXPORT: WITHDRAWN,
    Way.IMPORT_KILLED: HEARD | NAMED,
}
"""Words of the rules that apply to each."""


def without(operations: Sequence[Operation], *gone: Operation) -> list[Operation]:
    numbers = {id(one) for one in gone}
    return [one for one in operations if id(one) not in numbers]


def syncs_of(recording: Recording) -> list[Operation]:
    """All of the service's own, from the first sub-task on."""
    first = recording.facts.files[0].sub_task_id.encode()
    asked = min(one.begin for one in recording.operations if first in one.data)
    return [
        one
        for one in recording.operations
        if one.kind in SYNCS and one.begin > asked and not re.search(r"/emulator(/|$)", one.path)
    ]


@pytest.mark.parametrize("way", WAYS)
def test_nothing_relies_on_what_is_not_durable(recorded: Recorded, way: Way) -> None:
    recording = recorded(way)
    assert complaints(recording.operations, recording.facts) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_sync_that_is_taken_away_is_missed(recorded: Recorded, way: Way) -> None:
    """Of every sync some rule complains, but where it is known what else it is for; and every rule of those of some file."""
    recording = recorded(way)
    syncs = syncs_of(recording)
    seen: set[str] = set()
    for path in {sync.path for sync in syncs}:
        missed = complaints(without(recording.operations, *(one for one in syncs if one.path == path)), recording.facts)
        seen |= {words for words in SEEN_BY[way] if any(words in complaint for complaint in missed)}
    for sync in syncs:
        missed = complaints(without(recording.operations, sync), recording.facts)
        assert missed or any(re.search(path, sync.path) for path in NOT_NEEDED), f"nobody misses {sync}"
    assert seen == SEEN_BY[way]


def test_a_log_that_could_not_be_synced_is_written_anew_before_it_is_copied(recorded: Recorded) -> None:
    """And the call that waited for that sync is refused: `record` has asked once more."""
    recording = recorded(Way.SYNC_FAILS)
    log = [one for one in recording.operations if one.name == "catalog.db-wal"]
    (failed,) = (one for one in log if one.kind is Kind.FAILED_SYNC)
    written = {one.offset for one in log if one.kind is Kind.WRITE and one.end < failed.begin}
    after = [one for one in log if one.begin > failed.end]
    synced = next(number for number, one in enumerate(after) if one.kind in SYNCS)
    anew = [one for one in after[:synced] if one.kind is Kind.WRITE]
    assert min(one.offset for one in anew) == 0
    assert max(one.offset + len(one.data) for one in anew) > max(written)
    copied = min(one.begin for one in recording.operations if one.name == "catalog.db" and one.begin > failed.end)
    assert after[synced].end < copied


def test_a_file_that_is_written_to_after_its_sync_is_noticed(recorded: Recorded) -> None:
    recording = recorded(Way.IMPORT_LARGE)
    (rename,) = (one for one in recording.operations if one.kind is Kind.RENAME and one.path.endswith(".partial"))
    write = next(one for one in recording.operations if one.kind is Kind.WRITE and one.path == rename.path)
    for late in (
        replace(write, begin=rename.begin - 1, end=rename.begin - 1),
        replace(write, path=rename.new_path, begin=rename.end + 1, end=rename.end + 1),
    ):
        assert complaints([*recording.operations, late], recording.facts)


def test_a_sync_that_only_overlaps_proves_nothing(recorded: Recorded) -> None:
    recording = recorded(Way.IMPORT_LARGE)
    (rename,) = (one for one in recording.operations if one.kind is Kind.RENAME and one.path.endswith(".partial"))
    (sync,) = (one for one in recording.operations if one.path == rename.path and one.kind is Kind.SYNC)
    others = without(recording.operations, sync)
    write = max(one.end for one in others if one.path == rename.path and one.kind is not Kind.RENAME)
    for overlapping in (
        replace(sync, begin=write),
        replace(sync, end=rename.begin),
        replace(sync, kind=Kind.DATA_SYNC),
    ):
        assert complaints([*others, overlapping], recording.facts)
    assert complaints([*others, sync], recording.facts) == []


# ------------------------------------------------------------------------------------------------------------- the record

LINES = r"""
7 openat(AT_FDCWD</w>, "/w/a", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 4</w/a>
7 openat(AT_FDCWD</w>, "/elsewhere", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 4</elsewhere>
7 openat(AT_FDCWD</w>, "/w/gone", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)
7 pwrite64(4</w/a>, "\x00\xff\x22\x0a", 4, 7) = 3
8 fsync(4</w/a> <unfinished ...>
7 write(4</w/a>, "a \"b\"\n", 6)  = 6
8 <... fsync resumed>)              = 0
8 fsync(4</w/a>)                    = -1 EIO (Input/output error) (INJECTED)
7 utimensat(4</w/a>, NULL, [{tv_sec=1, tv_nsec=2} /* 1970 */, {tv_sec=3, tv_nsec=4} /* 1970 */], 0) = 0
7 renameat2(3</w>, "a", 3</w>, "b", RENAME_NOREPLACE) = 0
7 write(4</w/b>(deleted), "zz", 2) = 2
7 sendmsg(9<TCP:[1:1->1:2]>, {msg_iov=[{iov_base="G\"\\", iov_len=3}, {iov_base="\xff", iov_len=1}], msg_iovlen=2}, 0) = 4
""".strip().splitlines()


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text("\n".join(LINES) + "\n", encoding="latin-1")
    create, write, append, sync, failed, dress, rename, send = read(trace, world=Path("/w"))
    assert (create.kind, create.path, create.mode) == (Kind.CREATE, "/w/a", 0o600)
    assert (write.kind, write.data, write.offset) == (Kind.WRITE, b'\x00\xff"', 7)
    assert (append.data, append.offset) == (b'a "b"\n', -1)
    assert (sync.kind, sync.process, sync.begin, sync.end) == (Kind.SYNC, 8, 4, 6)
    assert (failed.kind, failed.path) == (Kind.FAILED_SYNC, "/w/a")
    assert dress.modify_ns == 3_000_000_004
    assert (rename.path, rename.new_path) == ("/w/a", "/w/b")
    assert (send.kind, send.data) == (Kind.SEND, b'G"\\\xff')


def test_a_call_that_is_not_understood_is_an_error(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text("7 fallocate(4</w/a>, FALLOC_FL_PUNCH_HOLE, 0, 100) = 0\n")
    with pytest.raises(UnreadError, match="PUNCH_HOLE"):
        read(trace, world=Path("/w"))
