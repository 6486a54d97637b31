"""Names, links and what is no file, asked for through the API: a refusal, or FAILED with the true reason, and nothing changes.

What does arrive is exactly what was asked for, under exactly that name.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.errors import ApiRefusedError
from tests.fixtures.service import WARM, init_home, start_service
from tests.fixtures.site import Site

OUTSIDE = b"not to be seen from within"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("site") / "home"
    init_home(home)
    (home.parent / "outside").mkdir()
    (home.parent / "outside/secret").write_bytes(OUTSIDE)
    running = Site.of(start_service(home, command=WARM))
    yield running
    running.close()


def outside(site: Site) -> dict[str, bytes]:
    """All that lies beside HOME, where no path may lead."""
    place = site.service.home.parent / "outside"
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def tree(place: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything in a directory: kind, inode, content or target."""
    found = {}
    for path in sorted(place.rglob("*")):
        state = path.lstat()
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(place))] = (state.st_mode, state.st_ino, content)
    return found


def put(site: Site, prefix: str, *keys: str, content: bytes = b"content") -> None:
    """Objects of that content."""
    place, here = site.place()
    (place / "source").write_bytes(content)
    stream = site.stream(here, "StreamExport", prefix=prefix)
    for key in keys:
        site.move(stream, "/source", f"/{key}")
    site.all_complete(stream)


BAD_NAMES = {
    "up": "/a/../b",
    "only up": "/../../etc/passwd",
    "here": "/a/./b",
    "twice": "/a//b",
    "NUL": "/a\0b",
    "newline": "/a\nb",
    "escape": "/a\x1bb",
    "delete": "/a\x7fb",
    "reserved": "/.penstock-0123456789abcdef.partial",
    "the mark": "/.penstock-root",
    "too long": "/" + "a/" * 600 + "b",
    "no leading slash": "a",
    "a directory": "/a/",
    "empty": "",
}


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_names_that_are_none_are_refused_on_both_sides(site: Site, name: str) -> None:
    place, here = site.place()
    (place / "file").write_bytes(b"content")
    before = tree(place)
    for action in ("StreamImport", "StreamExport"):
        stream = site.stream(here, action)
        for source, target in ((name, "/file"), ("/file", name)):
            with pytest.raises(ApiRefusedError) as caught:
                site.move(stream, source, target)
            assert caught.value.status in {400, 404}, caught.value
        assert site.rows(stream) == {}
    assert tree(place) == before
    assert OUTSIDE in outside(site).values()


GOOD_NAMES = [
    "a" * 255,
    "é" * 127 + "x",
    "e\u0301 is not \u00e9",
    "\u00e9 is not e\u0301",
    "\u2024\u2024",
    "\uff0e\uff0e",
    "..a",
    "...",
    "a\\..\\b",
    "a%2e%2e%2fb",
    "-rf",
    "~",
    "$(id)",
    "a b+c&d=e;f?g#h",
    "\u202egnp.exe",
    "x" * 200 + "/" + "y" * 200 + "/" + "z" * 200,
]


def test_names_that_only_look_odd_are_names(site: Site) -> None:
    (out, there), (back, here) = site.place(), site.place()
    files = {name: os.urandom(10) for name in GOOD_NAMES}
    for name, content in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    export, imports = site.stream(there, "StreamExport"), site.stream(here, "StreamImport", prefix=there)
    for stream in (export, imports):
        site.move_all(stream, list(files))
        site.all_complete(stream)
    assert {str(path.relative_to(back)): path.read_bytes() for path in back.rglob("*") if path.is_file()} == files


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        directory = os.open(path.parent, os.O_RDONLY)
        sock.bind(f"/proc/self/fd/{directory}/{path.name}")  # its whole path may be too long for an address
        os.close(directory)


def character_device(path: Path) -> None:
    os.mknod(path, 0o20644, os.makedev(1, 5))  # /dev/zero: it would never end


def block_device(path: Path) -> None:
    os.mknod(path, 0o60644, os.makedev(7, 200))


THINGS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    # what stands there: how it is made, what an export of it says, what an import onto it says
    "directory": (Path.mkdir, "SourceIsDirectory", "TargetIsDirectory"),
    "fifo": (os.mkfifo, "SourceNotRegular", "TargetNotRegular"),
    "socket": (bound_socket, "SourceNotRegular", "TargetNotRegular"),
    "character": (character_device, "SourceNotRegular", "TargetNotRegular"),
    "block": (block_device, "SourceNotRegular", "TargetNotRegular"),
    "out": (lambda path: path.symlink_to("../../../outside/secret"), "SourceIsSymlink", ""),
    "absolute": (lambda path: path.symlink_to("/etc/passwd"), "SourceIsSymlink", ""),
    "dangling": (lambda path: path.symlink_to("nothing"), "SourceIsSymlink", ""),
    "loop": (lambda path: path.symlink_to(path.name), "SourceIsSymlink", ""),
    "outdir/secret": (
        lambda path: path.parent.symlink_to("../../../outside"),
        "OutsideFileSystem",
        "OutsideFileSystem",
    ),
    "outdir/deeper/new": (lambda path: None, "OutsideFileSystem", "OutsideFileSystem"),
    "loopdir/x": (lambda path: path.parent.symlink_to("loopdir"), "OutsideFileSystem", "OutsideFileSystem"),
    "proc/fd/0": (lambda path: path.parent.parent.symlink_to("/proc/self"), "OutsideFileSystem", "OutsideFileSystem"),
    "file/x": (lambda path: path.parent.write_bytes(b"file"), "SourceNotFound", "TargetParentIsNotDirectory"),
    "fifodir/x": (lambda path: os.mkfifo(path.parent), "SourceNotFound", "TargetParentIsNotDirectory"),
    "none/x": (lambda path: None, "SourceNotFound", ""),
}


@pytest.fixture(scope="module")
def things(site: Site) -> tuple[Path, str]:
    """A directory with all of them."""
    place, here = site.place()
    for name, (make, _, _) in THINGS.items():
        make(place / name)
    put(site, here, "object")
    return place, here


def test_what_is_no_file_is_not_exported_and_holds_nobody_up(site: Site, things: tuple[Path, str]) -> None:
    place, here = things
    before = tree(place)
    stream = site.stream(here, "StreamExport", prefix=f"{here}-out")
    ids = {site.move(stream, f"/{name}", "/to"): said for name, (_, said, _) in THINGS.items()}
    rows = site.ended(stream, 20)
    found = {each: (row["Status"], row["ErrorMsg"].partition(":")[0]) for each, row in rows.items()}
    assert found == {each: ("FAILED", said) for each, said in ids.items()}
    assert tree(place) == before


def test_what_stands_in_the_way_of_an_import_stays_and_nothing_leads_out(site: Site, things: tuple[Path, str]) -> None:
    place, here = things
    before, beside = tree(place), outside(site)
    stream = site.stream(here, "StreamImport")
    ids = {site.move(stream, "/object", f"/{name}"): name for name in THINGS}
    rows = site.ended(stream, 20)
    after = tree(place)
    for each, row in rows.items():
        name, said = ids[each], THINGS[ids[each]][2]
        assert (row["Status"], row["ErrorMsg"].partition(":")[0]) == ("FAILED" if said else "COMPLETE", said), name
        if said:
            assert after.get(name) == before.get(name), name
        else:
            assert (place / name).read_bytes() == b"content"
            assert not (place / name).is_symlink()  # the link itself was replaced, never what it led to
    assert outside(site) == beside
    site.none_left()
    for name in ("out", "absolute", "dangling", "loop", "none/x"):  # for whoever comes after us
        (place / name).unlink()
        if name != "none/x":
            THINGS[name][0](place / name)
    (place / "none").rmdir()


def test_a_hard_link_is_a_file_and_an_import_leaves_its_other_name_alone(site: Site) -> None:
    place, here = site.place()
    (place / "one").write_bytes(b"old")
    os.link(place / "one", place / "two")
    put(site, here, "object", content=b"new")
    export, imports = site.stream(here, "StreamExport"), site.stream(here, "StreamImport")
    site.move(export, "/two", "/linked")
    site.all_complete(export)
    site.move(imports, "/object", "/two")
    site.move(imports, "/linked", "/three")
    site.all_complete(imports)
    assert [(place / name).read_bytes() for name in ("one", "two", "three")] == [b"old", b"new", b"old"]


def test_keys_that_no_directory_can_hold_together(site: Site) -> None:
    place, here = site.place()
    put(site, here, "a", "a/b")
    stream = site.stream(here, "StreamImport")
    first = site.move(stream, "/a", "/a")
    site.all_complete(stream)
    second = site.move(stream, "/a/b", "/a/b")
    rows = site.ended(stream)
    assert rows[first]["Status"] == "COMPLETE"
    assert rows[second]["ErrorMsg"].startswith("TargetParentIsNotDirectory: ")
    assert tree(place).keys() == {"a"}


@pytest.mark.parametrize("name", ["c" * 256, "é" * 128])
def test_a_name_that_is_too_long_for_a_file_may_be_part_of_a_key(site: Site, name: str) -> None:
    place, here = site.place()
    (place / "file").write_bytes(b"content")
    export, imports = site.stream(here, "StreamExport"), site.stream(here, "StreamImport")
    for stream, source, target in ((export, name, "to"), (imports, "file", name), (imports, "file", f"{name}/x")):
        with pytest.raises(ApiRefusedError, match="longer than 255 bytes"):
            site.move(stream, f"/{source}", f"/{target}")
    site.move(export, "/file", f"/{name}/x")
    site.all_complete(export)
    site.move(imports, f"/{name}/x", "/back")
    site.all_complete(imports)
    assert (place / "back").read_bytes() == b"content"
    assert tree(place).keys() == {"file", "back"}


def test_a_key_of_the_longest_length_comes_and_goes(site: Site) -> None:
    place, here = site.place()
    room = 1022 - len(f"{here}/")
    name = "/".join(["s" * 200] * 4)
    name += "/" + "t" * (room - len(name) - 1)
    assert len(f"/{here}/{name}") == 1023  # one more is refused
    (place / name).parent.mkdir(parents=True)
    (place / name).write_bytes(b"far down")
    export = site.stream(here, "StreamExport")
    site.move_all(export, [name])
    site.all_complete(export)
    (place / name).unlink()
    imports = site.stream(here, "StreamImport")
    site.move_all(imports, [name])
    site.all_complete(imports)
    assert (place / name).read_bytes() == b"far down"
