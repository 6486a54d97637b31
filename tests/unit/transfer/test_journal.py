"""Does a journal say what was written, however it was torn?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.transfer import journal
from penstock.transfer.journal import Journal, Publishing, Recorded, SourceIdentity

SOURCE = SourceIdentity(key="k\nö", etag="e", version_id="v", size_bytes=100, part_size_bytes=10)
PUBLISHING = Publishing(inode=7, size_bytes=100, crc64=2**64 - 1, modify_ns=-5, compared=1)
NAME = b".penstock-0.journal"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def written(directory: int) -> None:
    made = Journal.create(directory, NAME, SOURCE)
    made.record_part(1, 11)
    made.record_part(2, 22)
    made.record_part(1, 12)
    made.record_publishing(PUBLISHING)
    made.close()


def test_what_is_written_is_read(directory: int, tmp_path: Path) -> None:
    assert journal.read(directory, NAME) is None
    written(directory)
    assert journal.read(directory, NAME) == Recorded(source=SOURCE, parts={1: 12, 2: 22}, publishing=PUBLISHING)
    assert os.stat(tmp_path / NAME.decode()).st_mode & 0o777 == 0o600


def test_creating_replaces_an_older_one(directory: int) -> None:
    written(directory)
    Journal.create(directory, NAME, SOURCE).close()
    assert journal.read(directory, NAME) == Recorded(source=SOURCE)


def test_a_torn_tail_costs_only_itself(directory: int, tmp_path: Path) -> None:
    written(directory)
    file = tmp_path / NAME.decode()
    whole = file.read_bytes()
    for cut in range(len(whole) + 1):
        file.write_bytes(whole[:cut])
        found = Journal.reopen(directory, NAME)
        assert found is not None
        reopened, recorded = found
        lines = whole[:cut].count(b"\n") + (whole[cut : cut + 1] == b"\n")
        assert (recorded.source is not None) == (lines >= 1)
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
    assert recorded.source in {None, SOURCE}
    assert set(recorded.parts.items()) <= {(1, 11), (1, 12), (2, 22)}


@given(st.binary(max_size=300))
def test_any_bytes_are_parsed(content: bytes) -> None:
    assert journal.parse(content) == Recorded()


def test_a_link_in_its_place_is_not_followed(directory: int, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / NAME.decode()).symlink_to("victim")
    assert Journal.reopen(directory, NAME) is None
    assert journal.read(directory, NAME) is None
    Journal.create(directory, NAME, SOURCE).close()
    assert (tmp_path / "victim").read_text() == "untouched"
