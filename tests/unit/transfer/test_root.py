"""Is nothing touched outside of the root, and nothing under a mount that is gone?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.errors import FailureCode, TransferError
from penstock.model import FileSystem
from penstock.transfer import beneath, posix
from penstock.transfer.mark import make_mark
from penstock.transfer.mounts import describe_mount
from penstock.transfer.probing import probe_root
from penstock.transfer.root import Root
from tests.fixtures.gate import Gate


def a_file_system(root: Path, mount_type: str = "", mount_source: str = "") -> FileSystem:
    return FileSystem(file_system_id="fs-1", root=str(root), mount_type=mount_type, mount_source=mount_source)


def _kind_and_source(path: Path) -> tuple[str, str]:
    mount = describe_mount(str(path))
    assert mount is not None
    return mount.kind, mount.source


def refused(call: object) -> TransferError:
    with pytest.raises(TransferError) as caught:
        call()  # type: ignore[operator]
    return caught.value


def test_a_missing_root_is_unavailable(tmp_path: Path) -> None:
    error = refused(lambda: Root.open(a_file_system(tmp_path / "none")))
    assert (error.code, error.waiting_helps) == (FailureCode.FILE_SYSTEM_UNAVAILABLE, True)


def test_a_root_that_is_a_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    assert refused(lambda: Root.open(a_file_system(tmp_path / "f"))).code is FailureCode.FILE_SYSTEM_UNAVAILABLE


def test_another_directory_under_the_same_path_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "fs").mkdir()
    root = Root.open(a_file_system(tmp_path / "fs"))
    root.check()
    (tmp_path / "fs").rename(tmp_path / "elsewhere")
    assert refused(root.check).waiting_helps
    (tmp_path / "fs").mkdir()
    assert refused(root.check).code is FailureCode.FILE_SYSTEM_UNAVAILABLE
    (tmp_path / "fs").rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / "fs")
    root.check()
    root.close()


def test_the_mount_is_compared_with_what_was_recorded(tmp_path: Path) -> None:
    kind, source = _kind_and_source(tmp_path)
    assert kind
    assert source
    Root.open(a_file_system(tmp_path, mount_type=kind, mount_source=source)).close()
    for other in (
        {"mount_type": "lustre", "mount_source": source},
        {"mount_type": kind, "mount_source": "10.0.0.1@tcp:/x"},
    ):
        error = refused(lambda other=other: Root.open(a_file_system(tmp_path, **other)))
        assert error.code is FailureCode.FILE_SYSTEM_UNAVAILABLE
        assert "mounted" in str(error)


def test_a_file_system_that_was_mounted_again_is_taken_anew(tmp_path: Path) -> None:
    kind, source = _kind_and_source(tmp_path)
    (tmp_path / "fs").mkdir()
    root = Root.open(a_file_system(tmp_path / "fs", mount_type=kind, mount_source=source))
    (tmp_path / "fs").rename(tmp_path / "elsewhere")
    assert refused(root.check).waiting_helps
    (tmp_path / "fs").mkdir()
    (tmp_path / "fs/here").touch()
    root.check()
    os.close(root.open_beneath(b"here", os.O_RDONLY))
    root.close()


MARK, ANOTHER = "0123456789abcdef" * 2, "f" * 32


def a_marked_directory(path: Path, mark: str = MARK) -> Path:
    path.mkdir()
    descriptor = os.open(path, os.O_RDONLY)
    assert make_mark(descriptor, mark) == mark
    os.close(descriptor)
    return path


def test_a_marked_root_is_known_by_its_mark_and_by_nothing_else(tmp_path: Path) -> None:
    marked = FileSystem(
        file_system_id="fs-1", root=str(tmp_path / "fs"), mount_type="lustre", mount_source="/dev/other", mark=MARK
    )
    a_marked_directory(tmp_path / "fs")
    root = Root.open(marked)
    (tmp_path / "fs").rename(tmp_path / "elsewhere")
    for content, said in (
        (None, "does not carry its mark"),
        (f"mark = {ANOTHER}\n", "the mark of another root"),
        ("", "is damaged"),
    ):
        (tmp_path / "fs").mkdir(exist_ok=True)
        if content is not None:
            (tmp_path / "fs/.penstock-root").write_text(content)
        for call in (root.check, lambda: Root.open(marked)):
            error = refused(call)
            assert (error.code, error.waiting_helps) == (FailureCode.FILE_SYSTEM_UNAVAILABLE, True)
            assert said in str(error)
            assert "penstock filesystem confirm HOME fs-1" in str(error)
    (tmp_path / "fs/.penstock-root").write_text(f"mark = {MARK}\n")
    root.check()  # a copy with its mark: it was moved to another disk
    root.close()


def test_a_copy_under_a_vanished_mount_is_not_taken_for_the_root(tmp_path: Path) -> None:
    a_marked_directory(tmp_path / "fs")
    here = describe_mount(str(tmp_path))
    assert here is not None

    def mounted_at(point: str) -> FileSystem:
        return FileSystem(file_system_id="fs-1", root=str(tmp_path / "fs"), mount_point=point, mark=MARK)

    error = refused(lambda: Root.open(mounted_at(str(tmp_path / "fs"))))
    assert f"nothing is mounted at {tmp_path}/fs any more" in str(error)
    for point in ("", here.point):
        Root.open(mounted_at(point)).close()


def test_only_a_recorded_file_system_of_this_machine_is_local_and_not_what_is_mounted_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, source = _kind_and_source(tmp_path)
    monkeypatch.setattr("penstock.transfer.root.LOCAL_TYPES", frozenset({kind}))
    device = tmp_path.stat().st_dev
    recorded = Root.open(a_file_system(tmp_path, mount_type=kind, mount_source=source))
    unknown = Root.open(a_file_system(tmp_path))
    moved = Root.open(
        FileSystem(file_system_id="fs-1", root=str(a_marked_directory(tmp_path / "fs")), mount_type="nfs4", mark=MARK)
    )
    assert moved.is_local(device)  # what it lies on by now counts
    moved.close()
    assert (recorded.is_local(device), recorded.is_local(device + 1), unknown.is_local(device)) == (True, False, False)
    monkeypatch.setattr("penstock.transfer.root.LOCAL_TYPES", frozenset({"ext4", "xfs"} - {kind}))
    assert not recorded.is_local(device)
    recorded.close()
    unknown.close()


def test_an_absent_mount_is_described_as_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        describe_mount(str(tmp_path / "none"))


@pytest.mark.parametrize("opener", [beneath.open_beneath, beneath.walk_beneath])
def test_missing_levels_are_made_below_the_base_only(tmp_path: Path, opener: beneath.Opener) -> None:
    (tmp_path / "base").mkdir()
    root = Root.open(a_file_system(tmp_path), opener=opener)
    descriptor, name = root.make_parents("base/a/b/c.txt", base="base")
    assert name == b"c.txt"
    assert os.stat(tmp_path / "base/a/b").st_ino == os.fstat(descriptor).st_ino
    assert os.stat(tmp_path / "base/a").st_mode & 0o777 == 0o777 & ~posix.umask()
    os.close(descriptor)
    error = refused(lambda: root.make_parents("absent/a/b/c.txt", base="absent"))
    assert error.code is FailureCode.BASE_NOT_FOUND
    assert f"mkdir -p '{tmp_path}/absent'" in str(error)
    assert not (tmp_path / "absent").exists()
    root.close()


def test_a_link_on_the_way_may_stay_inside_but_not_lead_out(tmp_path: Path) -> None:
    root_path = tmp_path / "fs"
    (root_path / "base/real").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (root_path / "base/inside").symlink_to("real")
    (root_path / "base/outside").symlink_to("../../out")
    (root_path / "base/dangling").symlink_to("nothing")
    (root_path / "base/file").touch()
    root = Root.open(a_file_system(root_path))
    descriptor, _ = root.make_parents("base/inside/new/x", base="base")
    os.close(descriptor)
    assert (root_path / "base/real/new").is_dir()
    for path, number in {"base/outside/new/x": 18, "base/file/new/x": 20}.items():
        with pytest.raises(OSError) as caught:
            root.make_parents(path, base="base")
        assert caught.value.errno == number
    assert refused(lambda: root.make_parents("base/dangling/x", base="base")).code is FailureCode.TARGET_NOT_DIRECTORY
    assert not list((tmp_path / "out").iterdir())
    root.close()


def test_levels_are_made_durable_once(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    plain = os.fsync

    def remember(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        plain(descriptor)

    monkeypatch.setattr(os, "fsync", remember)
    descriptor, _ = gate.root.make_parents("base/a/b/c", base="base")
    gate.root.make_durable(descriptor, "base/a/b/c", base="base")
    wanted = [os.stat(gate.base / level).st_ino for level in ("", "a")]
    assert synced == wanted  # the directory itself is synced when the file is published in it
    gate.root.make_durable(descriptor, "base/a/b/other", base="base")
    assert synced == wanted
    os.close(descriptor)


def test_probing_tells_and_leaves_nothing(gate: Gate) -> None:
    found = probe_root(gate.root)
    assert found.hard_links
    assert found.file_locks
    assert found.directory_fsync
    assert found.name_max_bytes == 255
    assert found.openat2 is beneath.has_openat2()
    assert gate.helpers() == []


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    root = Root.open(a_file_system(tmp_path))
    root.close()
    root.close()
