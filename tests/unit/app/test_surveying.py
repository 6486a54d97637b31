"""Is a person told what a root's file system can do, and what follows from what it cannot?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.app import surveying
from penstock.app.surveying import survey
from penstock.model import FileSystem
from penstock.transfer.probing import RootAbilities
from penstock.transfer.root import Root

ALL = RootAbilities(
    rename_no_replace=True,
    hard_links=True,
    directory_fsync=True,
    file_locks=True,
    fallocate=True,
    direct_io=True,
    fine_stamps=True,
    statx=True,
    openat2=True,
    name_max_bytes=255,
)


def at(path: Path) -> FileSystem:
    return FileSystem(file_system_id="bmcpfs-1", root=str(path))


def test_what_is_here_is_tried_out_and_nothing_is_left(tmp_path: Path) -> None:
    found = survey(at(tmp_path))
    assert {"hard links", "file locks", "fsync of directories"} <= set(found.can)
    assert found.untried == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"rename_no_replace": False}, ""),
        ({"hard_links": False}, ""),
        ({"openat2": False}, ""),
        ({"rename_no_replace": False, "hard_links": False}, "best effort"),
        ({"directory_fsync": False}, "power cut"),
        ({"file_locks": False}, "flock"),
        ({"fallocate": False}, "NoSpace"),
        ({"direct_io": False}, "page cache"),
        ({"statx": False}, "cache"),
        ({"fine_stamps": False}, "whole seconds"),
        ({"name_max_bytes": 143}, "143 bytes"),
    ],
)
def test_what_is_missed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: Mapping[str, object], said: str
) -> None:
    def probe(_: Root) -> RootAbilities:
        return replace(ALL, **changes)  # type: ignore[arg-type]

    monkeypatch.setattr(surveying, "probe_root", probe)
    found = survey(at(tmp_path))
    assert len(found.lacks) == (1 if said else 0)
    assert said in "".join(found.lacks)
    assert len(found.can) == 9 - sum(value is False for value in changes.values())


def test_what_cannot_be_tried_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is not usable" in survey(at(tmp_path / "nowhere")).untried

    def probe(_: Root) -> RootAbilities:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(surveying, "probe_root", probe)
    assert survey(at(tmp_path)) == surveying.Survey(untried="Read-only file system")
