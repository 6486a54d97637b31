"""Are troubles of roots told as looks found them, also those of a process of its own, and of looks that hang?"""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from penstock.app.farroots import FarRoots
from penstock.app.making import Tls, make_home
from penstock.app.mounts import HANGS_S, Looks
from penstock.app.processors import Processors
from penstock.app.registering import NewFileSystem, register_file_system
from penstock.app.rootwatch import RootWatch
from penstock.engine.soundness import MountTrouble
from penstock.settings.editing import record_root
from penstock.settings.home import Home
from penstock.settings.reading import load_registry
from tests.fixtures.waiting import wait_until

PATIENCE_S = 30.0
AWAY = MountTrouble(code="FileSystemUnavailable", message="nothing is mounted there")


def registered(place: Path) -> Home:
    """A HOME with one file system, of which it is recorded that it lies on another machine."""
    home = make_home(place / "home", tls=Tls.NONE, now_ns=1, entropy=os.urandom).home
    (place / "data").mkdir()
    new = NewFileSystem(path=place / "data", file_system_id="bmcpfs-a", version="2.7.0", description="")
    register_file_system(home, new, now_ns=1, entropy=os.urandom)
    known = load_registry(home).file_systems["bmcpfs-a"]
    record_root(home, known, replace(known, mount_type="nfs"))
    return home


def test_a_look_that_does_not_come_back_is_trouble_itself() -> None:
    now = [0.0]
    looks = Looks(lambda: now[0])
    looks.note("a", None)
    assert looks.troubles() == {}
    looks.note("a", MountTrouble())
    assert looks.troubles() == {"a": MountTrouble()}
    looks.note("a", None)
    now[0] = HANGS_S
    assert looks.troubles()["a"].code == "NoAnswer"
    looks.note("a", AWAY)
    assert looks.troubles() == {"a": AWAY}


def test_a_watch_tells_what_its_looks_find(tmp_path: Path) -> None:
    home, looks = registered(tmp_path), Looks(time.monotonic)
    watch = RootWatch(home, registry=lambda: load_registry(home), entropy=os.urandom, note=looks.note)
    with closing(watch):
        watch.step()
        assert looks.troubles()["bmcpfs-a"] == MountTrouble()
        (tmp_path / "data").rename(tmp_path / "elsewhere")
        watch.step()
        assert looks.troubles()["bmcpfs-a"].code == "FileSystemUnavailable"
        (tmp_path / "elsewhere").rename(tmp_path / "data")
        watch.step()
        assert looks.troubles()["bmcpfs-a"] == MountTrouble()


def test_what_the_process_over_far_roots_finds_is_told_here(tmp_path: Path) -> None:
    home, looks = registered(tmp_path), Looks(time.monotonic)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    far = FarRoots(home, registry=lambda: load_registry(home), note=looks.note)

    def is_told() -> bool:
        far.step()
        return "bmcpfs-a" in looks.troubles()

    try:
        wait_until(is_told, PATIENCE_S, "no look of another process was told of")
    finally:
        child = far._process
        far.stop()
        assert child is not None
        child.wait(PATIENCE_S)
    trouble = looks.troubles()["bmcpfs-a"]
    assert trouble.code == "FileSystemUnavailable"
    assert str(tmp_path / "data") in trouble.message


def test_idle_processors_are_told_after_a_second() -> None:
    now = [0.0]
    processors = Processors(lambda: now[0])
    assert processors.idle() is None

    def known() -> str:
        now[0] += 1.0
        idle = processors.idle()
        return "" if idle is None else f"{idle}"

    assert 0.0 <= float(wait_until(known, PATIENCE_S, "the kernel counts no time")) <= 1.0
    now[0] += 100.0
    assert processors.idle() is None  # of so long a time it says nothing about now
