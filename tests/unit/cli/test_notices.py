"""What is known of a tree without the kernel's notices, of files that are being written, and of what was remembered?"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from penstock.cli import notices as module
from penstock.cli import settling as settling_module
from penstock.cli.memory import Kept, Memory, Stamp, State
from penstock.cli.notices import Notices
from penstock.cli.settling import Settling, is_written
from penstock.errors import SettingsError


def refused(**_: object) -> None:
    raise OSError(errno.EMFILE, "Too many open files")


def tree(top: Path) -> None:
    for name in ("b", "a/2", "a/1", "a/skipped/x", "c/deep/3"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    (top / "link").symlink_to("b")


def test_without_the_kernels_notices_walks_find_all_and_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path)
    monkeypatch.setattr(module, "INotify", refused)
    said: list[str] = []
    with Notices(str(tmp_path), skips=lambda name: name.endswith("skipped"), say=said.append) as notices:
        assert list(notices.walk()) == ["b", "a/1", "a/2", "c/deep/3"]
        assert list(notices.walk("a")) == ["a/1", "a/2"]
        assert (notices.fileno(), notices.read()) == (-1, [])
    assert len(said) == 1
    assert "fs.inotify.max_user_watches" in said[0]


def test_a_directory_that_is_gone_ends_its_walk_and_one_that_cannot_be_read_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path)
    real = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("/c"):
            raise OSError(errno.EIO, "Input/output error")
        return real(path)

    with Notices(str(tmp_path), skips=lambda _: False, say=print) as notices:
        assert [*notices.walk(), notices.missed] == ["b", "a/1", "a/2", "a/skipped/x", "c/deep/3", False]
        monkeypatch.setattr(os, "scandir", scandir)
        assert [*notices.walk(), notices.missed] == ["b", "a/1", "a/2", "a/skipped/x", True]
        with pytest.raises(FileNotFoundError):
            list(notices.walk("nowhere"))


def test_a_file_that_is_open_for_writing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("w") as file:
        assert is_written(str(path))
        file.write("1")
    assert not is_written(str(path))
    assert not is_written(str(tmp_path / "gone"))
    with path.open() as _:
        assert not is_written(str(path))


def stamp(path: Path) -> Stamp:
    return Stamp.of(path.lstat())


def test_what_changes_begins_to_wait_anew_and_too_many_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("1")
    second.write_text("1")
    settling = Settling(str(tmp_path), quiet_s=10)
    settling.add("first", stamp(first), 100.0)
    settling.add("second", stamp(second), 101.0)
    settling.add("gone", stamp(second), 101.0)
    assert settling.next_s(103.0) == 7.0
    assert settling.ready(109.0, 10) == []
    first.write_text("22")
    assert settling.ready(112.0, 10) == [("second", stamp(second))]
    assert len(settling) == 1
    assert settling.ready(121.0, 10) == []
    assert settling.ready(122.0, 10) == [("first", stamp(first))]
    monkeypatch.setattr(settling_module, "WAITING_MAX", 1)
    for name in ("first", "first", "second"):
        assert not settling.spilled
        settling.add(name, stamp(first), 130.0)
    assert settling.spilled


def test_what_is_remembered_is_there_again_and_goes_with_its_file(tmp_path: Path) -> None:
    path = str(tmp_path / "deeper/state.db")
    some = Stamp(size_bytes=1, modified_ns=2**62, inode=-1)
    name = os.fsdecode(b"not utf-8 \xff")
    with Memory(path) as memory:
        memory.keep(name, Kept(stamp=some, state=State.FAILED, tries=2, at_s=5))
        memory.keep("gone", Kept(stamp=some, state=State.EXPORTED))
        memory.commit()
        with pytest.raises(SettingsError, match="another watch of this directory runs"):
            Memory(path)
    with Memory(path) as memory:
        assert memory.known(name) == Kept(stamp=some, state=State.FAILED, tries=2, at_s=5)
        memory.see(name)
        memory.end_walk()
        assert memory.known("gone") is None
        assert memory.known(name) is not None
    (tmp_path / "text").write_text("this is no database, and longer than a header of one would be " * 20)
    with pytest.raises(SettingsError, match="remove it"):
        Memory(str(tmp_path / "text"))
