"""Does a mover know, without asking the kernel, whose calls may hang?"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from penstock.engine.harbour import Harbour
from penstock.engine.messages import Places
from penstock.model import FileSystem
from penstock.transfer.mounts import Mount
from penstock.transfer.root import Root


class OpenRoot:
    """An open root on a mount of that kind; nothing else of it may be asked."""

    def __init__(self, kind: str) -> None:
        self.mount = Mount(kind=kind, source="s", point="/", device="0:1", part="/") if kind else None

    def close(self) -> None:
        pass


def harbour(recorded: str, opened: str = "") -> Harbour:
    """One with a file system that was registered on one kind of mount and may be open on another one by now."""
    places = Places(file_systems=(FileSystem(file_system_id="fs-1", root="/nowhere", mount_type=recorded),))
    return Harbour(
        places=places,
        secrets_path=Path("/nowhere"),
        store_opener=lambda *_: pytest.fail("a store was opened"),
        root_opener=lambda _: cast("Root", OpenRoot(opened)),
    )


KINDS = {
    **dict.fromkeys(("nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "fuse", "fuse.sshfs", "ceph", "9p", ""), True),
    **dict.fromkeys(("ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs"), False),
}


@pytest.mark.parametrize(("kind", "is_far"), KINDS.items())
def test_before_it_is_open_what_was_recorded_counts(kind: str, is_far: bool) -> None:
    assert harbour(kind).is_far("fs-1") is is_far


@pytest.mark.parametrize(("kind", "is_far"), KINDS.items())
@pytest.mark.parametrize("recorded", ["ext4", "nfs"])
def test_once_it_is_open_what_it_lies_on_counts(recorded: str, kind: str, is_far: bool) -> None:
    known = harbour(recorded, kind)
    with known.root("fs-1"):
        assert known.is_far("fs-1") is is_far
    known.doubt_root("fs-1")
    assert known.is_far("fs-1") is (recorded == "nfs")
