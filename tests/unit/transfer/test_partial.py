"""Is a partial file held by exactly one mover, never truncated, and sealed as it should be?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.errors import TransferError
from penstock.transfer import posix
from penstock.transfer.partial import PartialFile

NAME = b".penstock-0.partial"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_a_held_one_is_neither_taken_over_nor_removed(directory: int, tmp_path: Path) -> None:
    held = PartialFile.create(directory, NAME)
    for take in (PartialFile.create, PartialFile.reopen):
        with pytest.raises(TransferError) as caught:
            take(directory, NAME)
        assert caught.value.waiting_helps
    assert held.is_named()
    held.close()
    taken = PartialFile.reopen(directory, NAME)
    assert taken is not None
    taken.discard()
    assert PartialFile.reopen(directory, NAME) is None


def test_starting_anew_unlinks_instead_of_truncating(directory: int, tmp_path: Path) -> None:
    first = PartialFile.create(directory, NAME)
    posix.write_all(first.descriptor, memoryview(b"first"), 0)
    first.close()
    (tmp_path / "witness").hardlink_to(tmp_path / NAME.decode())
    second = PartialFile.create(directory, NAME)
    assert second.state().size_bytes == 0
    assert (tmp_path / "witness").read_bytes() == b"first"
    second.discard()


def test_it_is_private_until_sealed_and_then_as_the_umask_says(directory: int, tmp_path: Path) -> None:
    partial = PartialFile.create(directory, NAME)
    assert partial.state().mode & 0o777 == 0o600
    posix.write_all(partial.descriptor, memoryview(b"content"), 0)
    sealed = partial.seal(-123_456_789)
    assert sealed.mode & 0o777 == 0o666 & ~posix.umask()
    assert sealed.modify_ns == -123_456_789
    assert sealed.size_bytes == 7
    assert partial.descriptor == -1
    with pytest.raises(TransferError):
        PartialFile.reopen(directory, NAME)  # closed for writing, still held
    partial.close()
    assert os.stat(tmp_path / NAME.decode()).st_mtime_ns == -123_456_789


@pytest.mark.parametrize("seconds", [0, 1, 63_072_000, -86_400, -2_000_000_000, 4_102_444_800, 2_208_988_800])
def test_times_survive_sealing(directory: int, tmp_path: Path, seconds: int) -> None:
    partial = PartialFile.create(directory, NAME)
    ns = seconds * 1_000_000_000 + 123_456_789
    assert partial.seal(ns).modify_ns == ns
    partial.close()
    assert os.stat(tmp_path / NAME.decode()).st_mtime_ns == ns


def test_one_whose_name_went_to_another_file_is_not_taken_for_it(directory: int, tmp_path: Path) -> None:
    partial = PartialFile.create(directory, NAME)
    os.unlink(tmp_path / NAME.decode())
    assert not partial.is_named()
    (tmp_path / NAME.decode()).touch()
    assert not partial.is_named()
    partial.close()


def test_a_link_under_the_reserved_name_is_removed_and_not_followed(directory: int, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / NAME.decode()).symlink_to("victim")
    partial = PartialFile.create(directory, NAME)
    posix.write_all(partial.descriptor, memoryview(b"x"), 0)
    partial.discard()
    assert (tmp_path / "victim").read_text() == "untouched"
