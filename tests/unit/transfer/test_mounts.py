"""Is the mount table read as it is written, and are the same files found to be the same wherever they are mounted?"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from penstock.transfer import mounts, posix
from penstock.transfer.mounts import Mount, Spot, describe_mount, spot_of, spots_beneath

TABLE = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:30 / /proc rw - proc proc rw
31 22 8:16 /with\\040blank /mnt/a\\040b rw master:2 propagate_from:1 - xfs /dev/sd\\134b rw
32 22 0:40 / /mnt/nfs rw - nfs4 10.0.0.1:/export rw
33 22 254:0 /srv/part /mnt/nfs/part rw - ext4 /dev/vda rw
34 22 0:30 / /mnt/nfs/proc rw - proc proc rw
35 22 0:40 / /mnt/nfs/more rw - nfs4 10.0.0.1:/export/more rw
broken line
"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(TABLE)
    monkeypatch.setattr(mounts, "_MOUNTINFO", str(path))
    return path


def on(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Whatever is looked at lies on that mount."""
    state = posix.look_path(b"/")._replace(mount_id=number)
    monkeypatch.setattr(posix, "look_path", lambda path: state)


def test_a_line_is_read_with_its_escapes_and_optional_fields(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, 31)
    assert describe_mount("/mnt/a b") == Mount(
        kind="xfs", source="/dev/sd\\b[/with blank]", point="/mnt/a b", device="8:16", part="/with blank"
    )
    assert spot_of("/mnt/a b/c") == Spot(device="8:16", path=PurePosixPath("/with blank/c"))


def test_for_nfs_no_part_is_told(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, 32)
    assert describe_mount("/mnt/nfs") == Mount(
        kind="nfs4", source="10.0.0.1:/export", point="/mnt/nfs", device="0:40", part="/"
    )
    assert spot_of("/mnt/nfs") is None  # another export of that server has the same device and the same part


def test_what_is_mounted_inside_is_found_but_for_what_holds_nobodys_files(table: Path) -> None:
    assert spots_beneath("/mnt/nfs") == (Spot(device="254:0", path=PurePosixPath("/srv/part")),)
    assert spots_beneath("/mnt/nfs/part") == ()


def test_where_nothing_is_told_nothing_is_said(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (0, 99):
        on(monkeypatch, number)
        assert describe_mount("/") is None
        assert spot_of("/") is None
    os.unlink(table)
    on(monkeypatch, 22)
    assert describe_mount("/") is None
    assert spots_beneath("/") == ()
