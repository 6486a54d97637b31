"""Is everybody covered by a sync that began after they came, and told when it failed?"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.transfer import shared_sync
from penstock.transfer.shared_sync import SharedSync

DEADLINE_S = 60.0


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


class Disk:
    """Holds each sync until it is let go; `fail` names those that fail."""

    def __init__(self, fail: tuple[int, ...] = ()) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.count = 0
        self._fail = fail

    def sync(self, descriptor: int) -> None:
        self.count += 1
        number = self.count
        self.begun.release()
        assert self.go_on.acquire(timeout=DEADLINE_S)
        if number in self._fail:
            raise OSError(errno.EIO, "broken")


def waiting(sync: SharedSync, count: int) -> Callable[[], bool]:
    def look() -> bool:
        with sync._lock:
            return sum(group.users for group in sync._groups.values()) == count

    return look


def until(look: Callable[[], bool]) -> None:
    deadline = threading.Event()
    for _ in range(1000):
        if look():
            return
        deadline.wait(DEADLINE_S / 1000)
    raise AssertionError("it did not happen")


@pytest.mark.parametrize("fail", [(), (1,), (2,)])
def test_who_comes_meanwhile_shares_the_next_one(
    directory: int, monkeypatch: pytest.MonkeyPatch, fail: tuple[int, ...]
) -> None:
    disk = Disk(fail)
    monkeypatch.setattr(shared_sync, "sync_directory", disk.sync)
    sync = SharedSync()
    failed: list[str] = []

    def ask(name: str) -> None:
        try:
            sync.sync(directory)
        except OSError:
            failed.append(name)

    first = threading.Thread(target=ask, args=("first",))
    first.start()
    assert disk.begun.acquire(timeout=DEADLINE_S)
    others = [threading.Thread(target=ask, args=(f"other{number}",)) for number in range(5)]
    for other in others:
        other.start()
    until(waiting(sync, 6))
    disk.go_on.release()
    assert disk.begun.acquire(timeout=DEADLINE_S)  # a second one begins, for all who came meanwhile
    disk.go_on.release()
    for thread in (first, *others):
        thread.join(DEADLINE_S)
    assert disk.count == 2
    expected = {(): [], (1,): ["first"], (2,): [f"other{number}" for number in range(5)]}[fail]
    assert sorted(failed) == expected
    assert sync._groups == {}


def test_one_after_the_other_each_has_its_own(directory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(shared_sync, "sync_directory", calls.append)
    sync = SharedSync()
    for _ in range(3):
        sync.sync(directory)
    assert len(calls) == 3


def test_directories_do_not_wait_for_each_other(
    directory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    other = os.open(tmp_path / "other", os.O_RDONLY)
    held = Disk()
    monkeypatch.setattr(shared_sync, "sync_directory", lambda fd: held.sync(fd) if fd == directory else None)
    sync = SharedSync()
    thread = threading.Thread(target=sync.sync, args=(directory,))
    thread.start()
    assert held.begun.acquire(timeout=DEADLINE_S)
    sync.sync(other)
    held.go_on.release()
    thread.join(DEADLINE_S)
    os.close(other)


def test_file_systems_that_cannot_sync_directories_are_let_pass(
    directory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(descriptor: int) -> None:
        raise OSError(errno.EINVAL, "no such thing here")

    monkeypatch.setattr(os, "fsync", cannot)
    SharedSync().sync(directory)
