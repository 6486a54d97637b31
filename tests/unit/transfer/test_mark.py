"""Is a root marked once, whoever does it, and is a mark never taken for one that it is not?"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.transfer.mark import UNREADABLE, make_mark, new_mark, read_mark

ONE, OTHER = "1" * 32, "2" * 32
UNFINISHED = ".penstock-root.partial"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_the_first_mark_stays(root: int, tmp_path: Path) -> None:
    assert read_mark(root) == ""
    assert [make_mark(root, ONE), make_mark(root, OTHER), read_mark(root)] == [ONE] * 3
    assert os.listdir(tmp_path) == [".penstock-root"]
    assert (tmp_path / ".penstock-root").stat().st_mode & 0o777 == 0o644


def test_many_at_once_agree(root: int) -> None:
    def try_it(_: int) -> str:
        try:
            return make_mark(root, new_mark(os.urandom))
        except BlockingIOError:
            return ""
        except OSError as error:
            assert "another process is marking it" in str(error)  # noqa: PT017
            return ""

    with ThreadPoolExecutor(8) as pool:
        said = set(pool.map(try_it, range(64))) - {""}
    assert said == {read_mark(root)}


def test_what_a_death_left_is_replaced(root: int, tmp_path: Path) -> None:
    (tmp_path / UNFINISHED).write_text("mark = 12")
    assert make_mark(root, ONE) == ONE
    assert os.listdir(tmp_path) == [".penstock-root"]


def test_who_is_at_it_is_not_disturbed(root: int, tmp_path: Path) -> None:
    with (tmp_path / UNFINISHED).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another process is marking it"):
            make_mark(root, ONE)


@pytest.mark.parametrize("kind", ["empty", "garbage", "long", "link", "directory", "fifo", "socket"])
def test_what_is_no_mark_is_none_and_stays(root: int, tmp_path: Path, kind: str) -> None:
    place = tmp_path / ".penstock-root"
    match kind:
        case "empty":
            place.touch()
        case "garbage":
            place.write_bytes(b"mark = " + b"\xff" * 32 + b"\n")
        case "long":
            place.write_text("#" * 5000 + f"\nmark = {ONE}\n")
        case "link":
            (tmp_path / "elsewhere").write_text(f"mark = {ONE}\n")
            place.symlink_to("elsewhere")
        case "directory":
            place.mkdir()
        case "fifo":
            os.mkfifo(place)
        case "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                os.chdir(tmp_path)
                bound.bind(".penstock-root")
    before = place.lstat()
    assert read_mark(root) == UNREADABLE
    assert make_mark(root, OTHER) == UNREADABLE
    assert (place.lstat().st_ino, place.lstat().st_size) == (before.st_ino, before.st_size)
