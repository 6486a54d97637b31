"""Does nothing ever lead out of the root, with openat2 and without it? Do the other kernel calls keep their word?"""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.transfer import beneath, posix
from tests.fixtures.descriptors import opened

OPENERS = [
    pytest.param(
        beneath.open_beneath, id="openat2", marks=pytest.mark.skipif(not beneath.has_openat2(), reason="no openat2")
    ),
    pytest.param(beneath.walk_beneath, id="walk"),
]
READ = os.O_RDONLY | os.O_NONBLOCK
NOFOLLOW = READ | os.O_NOFOLLOW
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
LINK = os.O_PATH | os.O_NOFOLLOW


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[int]:
    """A descriptor of a root full of traps; what must not be reached says OUTSIDE."""
    root = tmp_path / "root"
    (root / "dir/sub").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("OUTSIDE")
    (root / "plain").write_text("plain")
    (root / "dir/file").write_text("file")
    links = {
        "in_link": "dir/file",
        "dirlink": "dir",
        "dir/up": "../plain",
        "dir/sub/upup": "../../plain",
        "dots": "./dir/./../dir//file",
        "slashed": "dir/",
        "fileslash": "plain/",
        "out_rel": "../outside/secret",
        "dir/out": "../../outside/secret",
        "out_dir": "../outside",
        "out_abs": str(tmp_path / "outside/secret"),
        "abs_inside": str(root / "plain"),
        "abs_root": "/",
        "out_and_back": "../root/plain",
        "loop": "loop",
        "ping": "pong",
        "pong": "ping",
        "dangling": "nowhere",
        "self": ".",
        "chain0": "plain",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    for number in range(1, 42):
        (root / f"chain{number}").symlink_to(f"chain{number - 1}")
    os.mkfifo(root / "fifo")
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


CASES: list[tuple[str, int, str | int]] = [
    ("plain", READ, "plain"),
    ("dir/file", READ, "file"),
    ("dir//file", READ, "file"),
    ("./dir/./file", READ, "file"),
    ("dir/../plain", READ, "plain"),
    ("dir/sub/../../plain", READ, "plain"),
    ("in_link", READ, "file"),
    ("dirlink/file", READ, "file"),
    ("dirlink/file", NOFOLLOW, "file"),
    ("dir/up", READ, "plain"),
    ("dir/sub/upup", READ, "plain"),
    ("dirlink/sub/upup", READ, "plain"),
    ("dots", READ, "file"),
    ("slashed/file", READ, "file"),
    ("self/self/self/plain", READ, "plain"),
    ("chain39", READ, "plain"),
    ("chain40", READ, errno.ELOOP),
    ("in_link", NOFOLLOW, errno.ELOOP),
    ("dirlink", NOFOLLOW | os.O_DIRECTORY, errno.ENOTDIR),
    ("dir/up", NOFOLLOW, errno.ELOOP),
    ("loop", READ, errno.ELOOP),
    ("loop/x", READ, errno.ELOOP),
    ("ping", READ, errno.ELOOP),
    ("dangling", READ, errno.ENOENT),
    ("missing", READ, errno.ENOENT),
    ("missing/x", READ, errno.ENOENT),
    ("", READ, errno.ENOENT),
    ("plain/", READ, errno.ENOTDIR),
    ("plain/x", READ, errno.ENOTDIR),
    ("plain/.", READ, errno.ENOTDIR),
    ("plain/..", READ, errno.ENOTDIR),
    ("fileslash", READ, errno.ENOTDIR),
    ("plain", DIRECTORY, errno.ENOTDIR),
    ("..", READ, errno.EXDEV),
    ("../root/plain", READ, errno.EXDEV),
    ("dir/../../root/plain", READ, errno.EXDEV),
    ("dirlink/../..", READ, errno.EXDEV),
    ("/", READ, errno.EXDEV),
    ("/etc/passwd", READ, errno.EXDEV),
    ("out_rel", READ, errno.EXDEV),
    ("dir/out", READ, errno.EXDEV),
    ("dirlink/out", READ, errno.EXDEV),
    ("out_dir/secret", READ, errno.EXDEV),
    ("out_dir", DIRECTORY, errno.EXDEV),
    ("out_abs", READ, errno.EXDEV),
    ("abs_inside", READ, errno.EXDEV),
    ("abs_root", READ, errno.EXDEV),
    ("out_and_back", READ, errno.EXDEV),
    ("nul\0name", READ, errno.EINVAL),
    ("x" * 300, READ, errno.ENAMETOOLONG),
]


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(("path", "flags", "found"), CASES, ids=[f"{p[:24]}-{f:x}" for p, f, _ in CASES])
def test_paths_resolve_beneath_the_root(
    tree: int, opener: beneath.Opener, path: str, flags: int, found: str | int
) -> None:
    if isinstance(found, int):
        with pytest.raises(OSError) as caught:
            os.close(opener(tree, path.encode(), flags))
        assert caught.value.errno == found
        return
    descriptor = opener(tree, path.encode(), flags)
    try:
        assert os.read(descriptor, 100).decode() == found
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(
    ("path", "flags", "kind"),
    [
        ("in_link", LINK, stat.S_IFLNK),
        ("out_abs", LINK, stat.S_IFLNK),
        ("dirlink/", LINK, stat.S_IFDIR),
        ("dir", DIRECTORY, stat.S_IFDIR),
        ("slashed", DIRECTORY, stat.S_IFDIR),
        ("dir/sub/..", DIRECTORY, stat.S_IFDIR),
        ("dir/sub/../..", DIRECTORY, stat.S_IFDIR),
        (".", DIRECTORY, stat.S_IFDIR),
        ("self", DIRECTORY, stat.S_IFDIR),
    ],
)
def test_what_is_opened(tree: int, opener: beneath.Opener, path: str, flags: int, kind: int) -> None:
    descriptor = opener(tree, path.encode(), flags)
    try:
        assert stat.S_IFMT(posix.look_open(descriptor).mode) == kind
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("opener", OPENERS)
def test_magic_links_are_refused(opener: beneath.Opener) -> None:
    descriptor = os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for path in (b"exe", b"cwd", b"root/etc/passwd"):
            with pytest.raises(OSError) as caught:
                os.close(opener(descriptor, path, READ))
            assert caught.value.errno in {errno.ELOOP, errno.EXDEV}
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("opener", OPENERS)
def test_a_directory_swapped_for_a_link_meanwhile_never_leads_out(tmp_path: Path, opener: beneath.Opener) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a/secret").write_text("inside")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/secret").write_text("OUTSIDE")
    (root / "link").symlink_to("../out")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(root / "a", root / "kept")
            os.rename(root / "link", root / "a")
            os.rename(root / "a", root / "link")
            os.rename(root / "kept", root / "a")

    thread = threading.Thread(target=swap)
    thread.start()
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    seen: set[object] = set()
    try:
        for _ in range(2000):
            try:
                found = opener(descriptor, b"a/secret", READ)
            except OSError as error:
                seen.add(error.errno)
                continue
            seen.add(os.read(found, 100))
            os.close(found)
    finally:
        stop.set()
        thread.join()
        os.close(descriptor)
    assert b"OUTSIDE" not in seen
    assert seen <= {b"inside", errno.ENOENT, errno.EXDEV, errno.ENOTDIR, errno.EAGAIN, errno.ELOOP}


def test_opening_leaks_no_descriptors(tree: int) -> None:
    before = opened()
    for opener in (beneath.open_beneath, beneath.walk_beneath):
        for path, flags, _ in CASES:
            try:
                os.close(opener(tree, path.encode(), flags))
            except OSError:
                continue
    assert opened() <= before


def test_looking_tells_what_stat_tells(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"12345")
    os.utime(file, ns=(1, -123_456_789_012))
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        state = posix.look(directory, b"f")
        found = os.lstat(file)
        assert (state.inode, state.device, state.size_bytes) == (found.st_ino, found.st_dev, 5)
        assert (state.modify_ns, state.change_ns, state.links) == (-123_456_789_012, found.st_ctime_ns, 1)
        assert state.is_regular
        assert posix.look_or_none(directory, b"missing") is None
        assert posix.look_path(str(file).encode()).inode == found.st_ino
    finally:
        os.close(directory)


def test_looking_without_statx_tells_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        rich = posix.look(directory, b"f")
        monkeypatch.setattr(posix, "has_statx", lambda: False)
        plain = posix.look(directory, b"f")
        assert (rich.inode, rich.device, rich.modify_ns, rich.change_ns, rich.mode) == (
            plain.inode,
            plain.device,
            plain.modify_ns,
            plain.change_ns,
            plain.mode,
        )
    finally:
        os.close(directory)


@pytest.mark.parametrize("there", ["file", "directory", "dangling", "socket"])
def test_rename_without_replacing_replaces_nothing(tmp_path: Path, there: str) -> None:
    (tmp_path / "new").write_text("new")
    target = tmp_path / "target"
    bound = None
    if there == "file":
        target.write_text("old")
    elif there == "directory":
        target.mkdir()
    elif there == "dangling":
        target.symlink_to("nowhere")
    else:
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(str(target))
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(FileExistsError):
            posix.rename_without_replacing(directory, b"new", b"target")
        assert (tmp_path / "new").read_text() == "new"
    finally:
        os.close(directory)
        if bound is not None:
            bound.close()


def test_rename_without_replacing_takes_a_free_name(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("new")
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        posix.rename_without_replacing(directory, b"new", b"target")
    finally:
        os.close(directory)
    assert (tmp_path / "target").read_text() == "new"
    assert not (tmp_path / "new").exists()


def test_reserving_takes_space_and_keeps_the_content_empty(tmp_path: Path) -> None:
    with open(tmp_path / "f", "wb") as file:
        reserved = posix.reserve(file.fileno(), 1 << 20)
        assert not posix.reserve(file.fileno(), 0)
    if reserved:
        assert os.stat(tmp_path / "f").st_blocks * 512 >= 1 << 20


def test_reserving_more_than_there_is_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = os.fstatvfs

    def nearly_full(descriptor: int) -> os.statvfs_result:
        found = list(plain(descriptor))
        found[4] = 3  # f_bavail, blocks
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "fstatvfs", nearly_full)
    with open(tmp_path / "f", "wb") as file:
        with pytest.raises(OSError) as caught:
            posix.reserve(file.fileno(), 1 << 20)
        assert caught.value.errno == errno.ENOSPC
        assert os.fstat(file.fileno()).st_blocks == 0


def test_locks_are_exclusive_between_openings(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with open(tmp_path / "f", "rb+") as one, open(tmp_path / "f", "rb+") as other:
        assert posix.try_lock(one.fileno())
        assert posix.try_lock(one.fileno())
        assert not posix.try_lock(other.fileno())


def test_the_umask_is_read_without_being_changed() -> None:
    now = os.umask(0o027)
    os.umask(now)
    assert posix.umask() == now


def test_reading_and_writing_go_on_until_done(tmp_path: Path) -> None:
    with open(tmp_path / "f", "wb+") as file:
        posix.write_all(file.fileno(), memoryview(b"0123456789"), 5)
        buffer = bytearray(20)
        assert posix.read_full(file.fileno(), memoryview(buffer), 5) == 10
        assert buffer[:10] == b"0123456789"
        assert posix.read_full(file.fileno(), memoryview(buffer)[:3], 12) == 3
