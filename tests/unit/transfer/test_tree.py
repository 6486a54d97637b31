"""Does a look at a directory tree find each entry once, in order, wherever one look ends and the next begins?"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from penstock.errors import FailureCode
from penstock.model import FileSystem
from penstock.transfer import tree
from penstock.transfer.aside import ASIDE
from penstock.transfer.listed import Kind, Listed, Look, Trouble


@pytest.fixture
def there(tmp_path: Path) -> FileSystem:
    """A file system with a tree in it."""
    for name in ("b/x", "b/y", "b.txt", "b0", "b/c/d/e", "a", "c/only/deep/file", "b!", "b-", "ü/ö"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "data/empty/inner").mkdir(parents=True)
    (tmp_path / "data/link").symlink_to("a")
    (tmp_path / "data/dir-link").symlink_to("b")
    (tmp_path / "data/dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "data/fifo")
    (tmp_path / "data/b/.penstock-0123456789abcdef.partial").write_text("ours")
    (tmp_path / "data/.penstock-reports").mkdir()
    (tmp_path / "data/.penstock-reports/r.csv").write_text("ours")
    os.close(os.open(os.fsencode(tmp_path) + b"/data/\xff\xfe", os.O_CREAT | os.O_WRONLY))
    return FileSystem(file_system_id="fs", root=str(tmp_path))


EXPECTED = {
    "a": Kind.FILE, "b!": Kind.FILE, "b-": Kind.FILE, "b.txt": Kind.FILE, "b0": Kind.FILE, "b/c/d/e": Kind.FILE, "b/x": Kind.FILE,
    "b/y": Kind.FILE, "c/only/deep/file": Kind.FILE, "dangling": Kind.SYMLINK, "dir-link": Kind.SYMLINK,
    "empty/inner/": Kind.EMPTY, "fifo": Kind.SPECIAL, "link": Kind.SYMLINK, "ü/ö": Kind.FILE,
    os.fsdecode(b"\xff\xfe"): Kind.FILE,
}  # fmt: skip


def in_order(paths: list[str]) -> list[str]:
    """As a store lists the keys of the same files."""
    return sorted(paths, key=os.fsencode)


def seen(there: FileSystem, limit: int) -> list[Listed]:
    """All entries, by looks of so many."""
    found: list[Listed] = []
    after: str | None = ""
    while after is not None:
        page = tree.look(there, "data/", after, limit)
        assert isinstance(page, Look)
        assert len(page.found) <= limit
        found += page.found
        after = page.after
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_each_entry_is_found_once_and_in_order(there: FileSystem, limit: int) -> None:
    found = seen(there, limit)
    assert {one.path: one.kind for one in found} == EXPECTED
    assert [one.path for one in found] == in_order(list(EXPECTED))
    sizes = {one.path: one.size_bytes for one in found if one.kind is Kind.FILE}
    assert sizes["b/c/d/e"] == len("b/c/d/e")
    state = os.stat(f"{there.root}/data/a")
    assert found[0] == Listed("a", Kind.FILE, state.st_size, state.st_mtime_ns)


def test_a_process_of_its_own_sees_the_same(there: FileSystem) -> None:
    """As of a file system that may hang: names that are not UTF-8 come through whole."""
    assert ASIDE.ask(tree.look, there, "data", "b/x", 100, limit_s=60) == tree.look(there, "data", "b/x", 100)


def test_what_comes_and_goes_between_two_looks_moves_nothing_else(there: FileSystem) -> None:
    data = Path(there.root) / "data"
    first = tree.look(there, "data", "", 5)
    assert isinstance(first, Look)
    assert first.after == "b/c/d/e"
    (data / "a0").write_text("behind us")
    (data / "b/c/d/e").unlink()
    (data / "b/c/z").write_text("before us")
    second = tree.look(there, "data", first.after, 100)
    assert isinstance(second, Look)
    rest = [path for path in in_order([*EXPECTED, "b/c/z"]) if path not in {one.path for one in first.found}]
    assert [one.path for one in second.found] == rest
    (data / "b/c/z").unlink()
    (data / "b/c/d").rmdir()
    (data / "b/c").rmdir()
    third = tree.look(there, "data", "b/c/z", 1)
    assert isinstance(third, Look)
    assert [one.path for one in third.found] == ["b/x"]


def test_what_is_closed_is_named_and_the_look_goes_on(there: FileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    (Path(there.root) / "data/b").chmod(0)
    try:
        if os.access(f"{there.root}/data/b", os.R_OK):  # the superuser may look into anything
            listing = os.scandir
            monkeypatch.setattr(os, "scandir", lambda fd: _closed(listing, fd, f"{there.root}/data/b"))
        kinds = {one.path: one.kind for one in seen(there, 3)}
    finally:
        (Path(there.root) / "data/b").chmod(0o755)
    assert kinds == {path: kind for path, kind in EXPECTED.items() if not path.startswith("b/")} | {"b/": Kind.CLOSED}


def _closed(listing: object, descriptor: int, closed: str) -> object:
    if os.path.samestat(os.fstat(descriptor), os.stat(closed)):
        raise PermissionError(13, "closed")
    return listing(descriptor)  # type: ignore[operator]


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_base_that_goes_while_it_is_looked_at(
    there: FileSystem, is_replaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its names seem to have gone, each by itself: nobody may take that for the end of what there was."""
    passed = tree._Walk._pass

    def goes(walk: tree._Walk, level: tree._Level, name: bytes) -> tree._Level | None:
        if name == b"b!":
            Path(there.root, "data").rename(Path(there.root, "moved"))
            if is_replaced:
                Path(there.root, "data").mkdir()
        return passed(walk, level, name)

    monkeypatch.setattr(tree._Walk, "_pass", goes)
    found = tree.look(there, "data/", "", 1000)
    assert isinstance(found, Trouble)
    assert (found.code, found.waiting_helps) == (FailureCode.SOURCE_NOT_FOUND, False)


def test_a_base_that_is_none(there: FileSystem) -> None:
    Path(there.root, "out").symlink_to("/tmp")
    for base, code in {"none": FailureCode.SOURCE_NOT_FOUND, "data/a": FailureCode.SOURCE_NOT_FOUND}.items():
        found = tree.look(there, base, "", 10)
        assert isinstance(found, Trouble)
        assert (found.code, found.waiting_helps) == (code, False)
    outside = tree.look(there, "out", "", 10)
    assert isinstance(outside, Trouble)
    assert outside.code is FailureCode.OUTSIDE_FILE_SYSTEM
    gone = tree.look(FileSystem(file_system_id="fs", root=f"{there.root}/none"), "", "", 10)
    assert isinstance(gone, Trouble)
    assert gone.waiting_helps


def test_a_directory_that_is_required(there: FileSystem) -> None:
    assert tree.require_directory(there, "data/b/") is None
    assert tree.require_directory(there, "/") is None
    for path, code in {"data/none/": FailureCode.BASE_NOT_FOUND, "data/a/": FailureCode.TARGET_NOT_DIRECTORY}.items():
        found = tree.require_directory(there, path)
        assert found is not None
        assert (found.code, found.waiting_helps) == (code, False)


def test_a_socket_is_no_file(there: FileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data/s").mkdir()
    monkeypatch.chdir(tmp_path / "data/s")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
    found = tree.look(there, "data/s", "", 10)
    assert isinstance(found, Look)
    assert [(one.path, one.kind, one.size_bytes) for one in found.found] == [("socket", Kind.SPECIAL, 0)]
