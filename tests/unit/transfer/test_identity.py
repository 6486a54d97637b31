"""Is a file told from another one that got its inode's number?"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from penstock.transfer import posix
from penstock.transfer.identity import Identity
from penstock.transfer.posix import FileState

PLAIN = FileState(stat.S_IFREG, 1, 7, 1, 0, 0, 0, birth_ns=9)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"device": 2}, True),  # after the next mount
        ({"links": 2, "size_bytes": 5, "modify_ns": 3, "mode": stat.S_IFREG | 0o644}, True),
        ({"inode": 8}, False),
        ({"birth_ns": 10}, False),
        ({"birth_ns": 0}, True),  # not told now
        ({"mode": stat.S_IFDIR}, False),
    ],
)
def test_number_and_birth_tell(changes: dict[str, int], same: bool) -> None:
    assert Identity.of(PLAIN).is_of(PLAIN._replace(**changes)) is same


def test_where_no_birth_was_told_the_number_has_to_do() -> None:
    assert Identity(inode=7).is_of(PLAIN)
    assert not Identity(inode=8).is_of(PLAIN)


def test_it_is_the_same_by_descriptor_by_name_and_after_a_rename(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"x")
    with first.open("rb") as opened:
        known = Identity.of(posix.look_open(opened.fileno()))
    first.rename(second)
    assert known.is_of(posix.look_path(bytes(second)))
    os.truncate(second, 0)
    assert known.is_of(posix.look_path(bytes(second)))
