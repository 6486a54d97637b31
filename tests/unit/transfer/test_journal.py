"""Does a journal say what was written, however it was torn?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.transfer import crc64, journal
from penstock.transfer.identity import Identity
from penstock.transfer.journal import Journal, Publishing, Recorded, SourceIdentity

SOURCE = SourceIdentity(key="k\nö", etag="e", version_id="v", size_bytes=100, part_size_bytes=10)
PUBLISHING = Publishing(inode=7, size_bytes=100, crc64=2**64 - 1, modify_ns=-5, compared=1)
PARTIAL = Identity(inode=5, birth_ns=9)
NAME = b".penstock-0.journal"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def written(directory: int) -> None:
    made = Journal.create(directory, NAME, SOURCE, PARTIAL)
    made.record_part(1, 11)
    made.record_part(2, 22)
    made.record_part(1, 12)
    made.record_publishing(PUBLISHING)
    made.close()


def test_what_is_written_is_read(directory: int, tmp_path: Path) -> None:
    assert journal.read(directory, NAME) is None
    written(directory)
    assert journal.read(directory, NAME) == Recorded(
        source=SOURCE, partial=PARTIAL, parts={1: 12, 2: 22}, publishing=PUBLISHING
    )
    assert os.stat(tmp_path / NAME.decode()).st_mode & 0o777 == 0o600


def test_creating_replaces_an_older_one(directory: int) -> None:
    written(directory)
    Journal.create(directory, NAME, SOURCE, PARTIAL).close()
    assert journal.read(directory, NAME) == Recorded(source=SOURCE, partial=PARTIAL)


def test_a_promise_that_is_taken_back_is_none(directory: int) -> None:
    written(directory)
    found = Journal.reopen(directory, NAME)
    assert found is not None
    found[0].take_back()
    found[0].close()
    assert journal.read(directory, NAME) == Recorded(source=SOURCE, partial=PARTIAL, parts={1: 12, 2: 22})


def test_one_of_an_earlier_version_is_read_and_tells_no_file_but_the_promised_one() -> None:
    told = (
        b'{"format":1,"source":{"key":"k","etag":"e","version_id":"","size_bytes":7,"part_size_bytes":7}}',
        b'{"part":1,"crc64":5}',
        b'{"publishing":{"inode":7,"size_bytes":7,"crc64":5,"modify_ns":0,"compared":1,"owner_kept":1,"time_kept":1}}',
    )
    lines = [b"%016x %s\n" % (crc64.update(payload), payload) for payload in told]
    begun, promised = journal.parse(b"".join(lines[:2])), journal.parse(b"".join(lines))
    assert begun.source is not None
    assert (begun.parts, begun.partial, begun.ours) == ({1: 5}, None, None)
    assert promised.publishing is not None
    assert (promised.partial, promised.ours) == (None, Identity(inode=7))


@pytest.mark.parametrize("kind", ["whole", "torn", "zeros", "theirs"])
def test_what_no_journal_begins_with_is_told_however_a_journal_is_torn(
    directory: int, tmp_path: Path, kind: str
) -> None:
    written(directory)
    file = tmp_path / NAME.decode()
    whole = file.read_bytes()
    texts = {
        "whole": [whole],
        "torn": [whole[:cut] + bytes(zeros) for cut in range(40) for zeros in (0, 1, 4096)],
        "zeros": [bytes(length) for length in (0, 1, 17, 18, 4096)],
        "theirs": [b"\x89PNG\r\n", b"hello", b"0123456789abcdef hello", b"0123456789abcdef0", b"\0x", b"{}"],
    }
    for text in texts[kind]:
        file.write_bytes(text)
        assert journal.is_foreign(directory, NAME) is (kind == "theirs"), text
        if kind == "theirs":
            assert Journal.reopen(directory, NAME) is None
            assert file.read_bytes() == text


def test_a_torn_tail_costs_only_itself(directory: int, tmp_path: Path) -> None:
    written(directory)
    file = tmp_path / NAME.decode()
    whole = file.read_bytes()
    for cut in range(len(whole) + 1):
        file.write_bytes(whole[:cut])
        found = Journal.reopen(directory, NAME)
        lines = whole[:cut].count(b"\n") + (whole[cut : cut + 1] == b"\n")
        assert (found is not None) == (lines >= 1)  # without a first line it cannot be gone on with
        if found is None:
            assert file.read_bytes() == whole[:cut]
            continue
        reopened, recorded = found
        assert (recorded.source, recorded.partial) == (SOURCE, PARTIAL)
        assert recorded.parts == [{}, {}, {1: 11}, {1: 11, 2: 22}, {1: 12, 2: 22}, {1: 12, 2: 22}][lines]
        assert (recorded.publishing is not None) == (lines == 5)
        reopened.record_part(9, 99)
        reopened.close()
        again = journal.read(directory, NAME)
        assert again is not None
        assert again.parts == {**recorded.parts, 9: 99}


@given(st.integers(0, 400), st.integers(1, 255))
def test_a_damaged_line_is_passed_over(at: int, flip: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            written(descriptor)
            file = Path(place) / NAME.decode()
            content = bytearray(file.read_bytes())
            content[at % len(content)] ^= flip
            recorded = journal.parse(bytes(content))
        finally:
            os.close(descriptor)
    assert recorded.publishing in {None, PUBLISHING}
    assert (recorded.source, recorded.partial) in {(None, None), (SOURCE, PARTIAL)}
    assert set(recorded.parts.items()) <= {(1, 11), (1, 12), (2, 22)}


@given(st.binary(max_size=300))
def test_any_bytes_are_parsed(content: bytes) -> None:
    assert journal.parse(content) == Recorded()


def test_a_link_in_its_place_is_not_followed(directory: int, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / NAME.decode()).symlink_to("victim")
    assert Journal.reopen(directory, NAME) is None
    assert journal.read(directory, NAME) is None
    Journal.create(directory, NAME, SOURCE, PARTIAL).close()
    assert (tmp_path / "victim").read_text() == "untouched"
