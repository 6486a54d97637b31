"""Is a root recognised wherever its disk turns up, and never taken for what lies where it was mounted?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.app.making import Tls, make_home
from penstock.app.registering import NewFileSystem, confirm_file_system, register_file_system
from penstock.app.rootwatch import RootWatch
from penstock.errors import FailureCode, SettingsError, TransferError
from penstock.model import FileSystem
from penstock.settings.editing import record_root
from penstock.settings.home import Home
from penstock.settings.reading import load_registry
from penstock.transfer.root import Root
from tests.fixtures.mounts import bind, disk, mount, must, unmount
from tests.fixtures.service import run_cli

ID = "bmcpfs-root"


@pytest.fixture
def home(place: Path) -> Home:
    return make_home(place / "home", tls=Tls.NONE, now_ns=1, entropy=os.urandom).home


@pytest.fixture
def data(place: Path) -> Path:
    """A mount point that nothing is mounted at yet."""
    (place / "data").mkdir()
    return place / "data"


@pytest.fixture
def watch(home: Home) -> Iterator[RootWatch]:
    one = RootWatch(home, registry=lambda: load_registry(home), entropy=os.urandom)
    yield one
    one.close()


def register(home: Home, path: Path, name: str = ID) -> FileSystem:
    new = NewFileSystem(path=path, file_system_id=name, version="2.7.0", description="")
    register_file_system(home, new, now_ns=1, entropy=os.urandom)
    return load_registry(home).file_systems[name]


def known(home: Home) -> FileSystem:
    return load_registry(home).file_systems[ID]


def without_mark(home: Home, path: Path) -> FileSystem:
    """Registered as versions before the mark did it."""
    register(home, path)
    record_root(home, known(home), replace(known(home), mark="", mount_point=""))
    (path / ".penstock-root").unlink()
    return known(home)


def refusal(file_system: FileSystem) -> str:
    with pytest.raises(TransferError) as caught:
        Root.open(file_system)
    assert (caught.value.code, caught.value.waiting_helps) == (FailureCode.FILE_SYSTEM_UNAVAILABLE, True)
    return str(caught.value)


def test_a_disk_that_has_another_name_after_a_reboot_is_the_same(
    home: Home, data: Path, place: Path, watch: RootWatch
) -> None:
    image = place / "image"
    with ExitStack() as stack:
        first = stack.enter_context(disk(image, size_mib=8))
        mount(data, kind="ext4", source=first)
        added = register(home, data)
        must("umount", str(data))
        assert "does not carry its mark" in refusal(added)
        shutil.copy(image, place / "renamed")  # the same disk, but the kernel names it otherwise
        second = stack.enter_context(disk(place / "renamed"))
        assert second != first
        mount(data, kind="ext4", source=second)
        Root.open(added).close()
        watch.step()
        assert (known(home).mount_source, known(home).mark) == (second, added.mark)
        watch.close()
        must("umount", str(data))


def test_another_disk_under_the_old_name_is_another_root(home: Home, data: Path, place: Path, watch: RootWatch) -> None:
    with disk(place / "image", size_mib=8) as device:
        mount(data, kind="ext4", source=device)
        added = register(home, data)
        must("umount", str(data))
        must("mkfs.ext4", "-q", "-F", device)
        mount(data, kind="ext4", source=device)
        assert "does not carry its mark" in refusal(added)
        watch.step()
        assert known(home) == added
        assert not (data / ".penstock-root").exists()
        must("umount", str(data))


def test_a_copy_that_was_mounted_over_the_original_does_not_make_the_original_the_root(
    home: Home, data: Path, place: Path, watch: RootWatch
) -> None:
    added = register(home, data)
    (place / "new").mkdir()
    mount(place / "new")
    shutil.copytree(data, place / "new", dirs_exist_ok=True)  # with its mark
    must("umount", "--lazy", str(place / "new"))
    mount(data)
    put_mark(data, added.mark)
    watch.step()
    assert known(home).mount_point == str(data)
    unmount(data)
    assert (data / ".penstock-root").exists()
    assert f"nothing is mounted at {data} any more" in refusal(known(home))
    assert confirm_file_system(home, ID, entropy=os.urandom).file_system == known(home)
    Root.open(known(home)).close()


def put_mark(path: Path, mark: str) -> None:
    (path / ".penstock-root").write_text(f"mark = {mark}\n")


def test_what_was_registered_without_a_mark_gets_one_where_the_old_check_passes(
    home: Home, data: Path, watch: RootWatch
) -> None:
    mount(data, source="the-disk")
    old = without_mark(home, data)
    must("umount", "--lazy", str(data))
    watch.step()
    assert known(home) == old
    assert "is it mounted?" in refusal(old)
    mount(data, source="the-disk")
    watch.step()
    assert known(home).mark
    assert (data / ".penstock-root").read_text().endswith(f"mark = {known(home).mark}\n")
    assert known(home).mount_point == str(data)
    Root.open(known(home)).close()


def test_a_read_only_root_is_known_by_its_mount_and_by_a_mark_that_is_there(
    home: Home, data: Path, place: Path
) -> None:
    with disk(place / "image", size_mib=8) as device:
        mount(data, kind="ext4", source=device, options="ro")
        new = NewFileSystem(path=data, file_system_id=ID, version="2.7.0", description="")
        seen = register_file_system(home, new, now_ns=1, entropy=os.urandom)
        assert (seen.file_system.mark, seen.not_marked) == ("", "Read-only file system")
        Root.open(seen.file_system).close()
        must("mount", "-o", "remount,rw", str(data))
        put_mark(data, "5" * 32)  # by a service that may write there
        must("mount", "-o", "remount,ro", str(data))
        assert "its mount" in run_cli("filesystem", "list", str(home.path))
        run_cli("filesystem", "confirm", str(home.path), ID)
        assert known(home).mark == "5" * 32
        assert "its mount" not in run_cli("filesystem", "list", str(home.path))
        must("umount", str(data))


def test_two_services_share_a_root_and_its_mark(home: Home, data: Path, place: Path) -> None:
    other = make_home(place / "other-home", tls=Tls.NONE, now_ns=1, entropy=os.urandom).home
    assert register(home, data).mark == register(other, data).mark != ""


def test_a_copy_with_its_mark_is_no_second_root_until_the_mark_is_removed(home: Home, data: Path, place: Path) -> None:
    register(home, data)
    shutil.copytree(data, place / "copy")
    with pytest.raises(SettingsError, match=r"carry the same mark.*remove \.penstock-root from it"):
        register(home, place / "copy", "bmcpfs-copy")
    (place / "copy/.penstock-root").unlink()
    assert register(home, place / "copy", "bmcpfs-copy").mark != known(home).mark


def test_a_mark_that_is_removed_under_a_running_service_is_put_back(home: Home, data: Path, watch: RootWatch) -> None:
    added = register(home, data)
    watch.step()
    (data / ".penstock-root").unlink()
    watch.step()
    Root.open(added).close()
    (data / ".penstock-root").unlink()
    watch.close()  # a new service does not know whether this is the directory that had it
    watch.step()
    assert not (data / ".penstock-root").exists()
    assert "does not carry its mark" in refusal(added)
    confirm_file_system(home, ID, entropy=os.urandom)
    Root.open(known(home)).close()


@pytest.mark.parametrize("outer_first", [True, False])
def test_a_bind_mount_of_a_part_of_another_root_is_seen_as_part_of_it(
    home: Home,
    data: Path,
    place: Path,
    outer_first: bool,
) -> None:
    (data / "part/deeper").mkdir(parents=True)
    (place / "elsewhere").mkdir()
    bind(data / "part", place / "elsewhere")
    roots = [data, place / "elsewhere/deeper"]
    register(home, roots[not outer_first])
    with pytest.raises(SettingsError, match="hold the same files"):
        register(home, roots[outer_first], "bmcpfs-again")


@pytest.mark.parametrize("case", ["home in a root's mount", "home seen elsewhere"])
def test_a_root_that_shows_home_through_a_mount_is_refused(home: Home, data: Path, place: Path, case: str) -> None:
    (data / "inner").mkdir()
    if case == "home in a root's mount":
        bind(home.path, data / "inner")
        root = data
    else:
        bind(home.path, data)
        root = data
    with pytest.raises(SettingsError, match="secrets could be exported"):
        register(home, root)
