"""Does publishing replace nothing where it must not, however many race for the name?"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.model import Guarantee
from penstock.transfer import posix, publish

RACES = 300


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(params=["renameat2", "link", "neither"])
def offered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the file system offers: NFS and Lustre answer EINVAL to renameat2, some have no links either."""

    def cannot(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EINVAL, "not offered")

    if request.param != "renameat2":
        monkeypatch.setattr(posix, "rename_without_replacing", cannot)
    if request.param == "neither":
        monkeypatch.setattr(os, "link", cannot)
    return str(request.param)


def make(path: Path, content: str) -> int:
    path.write_text(content)
    return os.stat(path).st_ino


def test_a_free_name_is_taken(directory: int, tmp_path: Path, offered: str) -> None:
    inode = make(tmp_path / "partial", "new")
    held = publish.publish_new(directory, b"partial", b"name", inode)
    assert held is (Guarantee.BEST_EFFORT if offered == "neither" else Guarantee.ATOMIC)
    assert (tmp_path / "name").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["name"]
    assert os.stat(tmp_path / "name").st_nlink == 1


@pytest.mark.parametrize("there", ["file", "dangling link", "directory"])
def test_a_taken_name_stays(directory: int, tmp_path: Path, offered: str, there: str) -> None:
    inode = make(tmp_path / "partial", "new")
    target = tmp_path / "name"
    if there == "file":
        target.write_text("old")
    elif there == "directory":
        target.mkdir()
    else:
        target.symlink_to("nowhere")
    assert publish.publish_new(directory, b"partial", b"name", inode) is None
    assert (tmp_path / "partial").read_text() == "new"
    assert target.is_symlink() or target.is_dir() or target.read_text() == "old"


def test_a_repeated_call_that_tells_of_its_own_success_counts_as_success(directory: int, tmp_path: Path) -> None:
    inode = make(tmp_path / "partial", "new")
    os.link(tmp_path / "partial", tmp_path / "name")
    assert publish.publish_new(directory, b"partial", b"name", inode) is Guarantee.ATOMIC
    assert sorted(os.listdir(tmp_path)) == ["name"]
    os.rename(tmp_path / "name", tmp_path / "other")
    os.link(tmp_path / "other", tmp_path / "name")
    assert publish.publish_new(directory, b"partial", b"name", inode) is Guarantee.ATOMIC  # gone and there: it was us
    publish.publish_over(directory, b"partial", b"name", inode)
    with pytest.raises(FileNotFoundError):
        publish.publish_over(directory, b"partial", b"name", inode + 1)


def test_a_link_at_the_target_is_replaced_and_not_followed(directory: int, tmp_path: Path) -> None:
    inode = make(tmp_path / "partial", "new")
    make(tmp_path / "elsewhere", "untouched")
    (tmp_path / "name").symlink_to("elsewhere")
    publish.publish_over(directory, b"partial", b"name", inode)
    assert not (tmp_path / "name").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == "untouched"


@pytest.mark.parametrize("offered", ["renameat2", "link"], indirect=True)
def test_of_two_racers_exactly_one_wins_and_nothing_is_replaced(directory: int, tmp_path: Path, offered: str) -> None:
    barrier = threading.Barrier(2)
    foreign: list[bool] = []

    def race() -> None:
        for number in range(RACES):
            barrier.wait()
            try:
                descriptor = os.open(tmp_path / f"name{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            except FileExistsError:
                foreign.append(False)
            else:
                os.write(descriptor, b"foreign")
                os.close(descriptor)
                foreign.append(True)
            barrier.wait()

    racer = threading.Thread(target=race)
    racer.start()
    ours: list[bool] = []
    for number in range(RACES):
        inode = make(tmp_path / "partial", "ours")
        barrier.wait()
        ours.append(publish.publish_new(directory, b"partial", f"name{number}".encode(), inode) is not None)
        barrier.wait()
    racer.join()
    assert [one != other for one, other in zip(ours, foreign, strict=True)] == [True] * RACES
    for number, won in enumerate(ours):
        assert (tmp_path / f"name{number}").read_text() == ("ours" if won else "foreign")
