"""Is a file that somebody links to one of our helper names left as it is, and does the work go on all the same?"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from penstock.model import ConflictPolicy
from penstock.settings.files import replace_file
from penstock.transfer import posix
from penstock.transfer.mark import make_mark, read_mark
from penstock.transfer.transfer import Verdict
from tests.faults.transfer.imports import CONTENT, check_complete, drain_after
from tests.fixtures.gate import Gate, transfer
from tests.fixtures.memorystore import MemoryStore

MARK = "1" * 32
SKIP = ConflictPolicy.SKIP_THE_FILE
LENGTHS = [0, 900, len(CONTENT), len(CONTENT) + 1]


class Victim:
    """Somebody's file, without a line's end, and how it looked."""

    def __init__(self, path: Path, length: int = 900) -> None:
        self._path = path
        self._content = b"\1" * length
        path.write_bytes(self._content)
        path.chmod(0o600)
        os.utime(path, ns=(5, 7))
        self._before = self._look()

    def take_the_place_of(self, helper: Path) -> None:
        helper.unlink(missing_ok=True)
        os.link(self._path, helper)

    def check(self) -> None:
        """It is as it was, and has no name more."""
        assert self._path.read_bytes() == self._content
        assert self._look() == self._before

    def _look(self) -> tuple[int, ...]:
        found = self._path.stat()
        return found.st_ino, found.st_mode, found.st_uid, found.st_size, found.st_mtime_ns, found.st_nlink


def helper(gate: Gate, kind: str) -> Path:
    (found,) = gate.base.glob(f".penstock-*.{kind}")
    return found


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("kinds", [("partial",), ("journal",), ("partial", "journal")])
def test_a_begun_import_writes_into_nothing_that_was_put_in_the_place_of_its_helpers(
    gate: Gate, store: MemoryStore, tmp_path: Path, kinds: tuple[str, ...], length: int
) -> None:
    assert gate.move(transfer(), store, hooks=drain_after(gate, 3)).verdict is Verdict.RETURNED
    victims = [Victim(tmp_path / f"victim-{kind}", length) for kind in kinds]
    for kind, victim in zip(kinds, victims, strict=True):
        victim.take_the_place_of(helper(gate, kind))
    check_complete(gate.move(transfer(attempt=2), store), gate)
    for victim in victims:
        victim.check()
    assert gate.target.stat().st_nlink == 1


def test_our_own_file_that_was_moved_on_between_link_and_unlink_is_not_written_into(
    gate: Gate, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no renameat2: killed in between; somebody takes the published file elsewhere."""

    def cannot(*args: object) -> None:
        raise OSError(errno.EINVAL, "NFS")

    plain = os.link

    def link_and_die(*args: Any, **kwargs: Any) -> None:
        plain(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(posix, "rename_without_replacing", cannot)
        patched.setattr(os, "link", link_and_die)
        with pytest.raises(KeyboardInterrupt):
            gate.move(transfer(conflict_policy=SKIP), store)
    taken = gate.target.rename(gate.base / "taken")
    before = taken.stat()
    assert before.st_nlink == 2
    check_complete(gate.move(transfer(attempt=2, conflict_policy=SKIP), store), gate)
    assert taken.read_bytes() == CONTENT
    assert taken.stat().st_ino == before.st_ino != gate.target.stat().st_ino
    assert (taken.stat().st_nlink, gate.target.stat().st_nlink) == (1, 1)


def test_a_mark_is_written_into_no_file_that_was_there(gate: Gate, tmp_path: Path) -> None:
    victim = Victim(tmp_path / "victim")
    victim.take_the_place_of(gate.path / ".penstock-root.partial")
    assert make_mark(gate.root.descriptor, MARK) == MARK == read_mark(gate.root.descriptor)
    victim.check()
    assert gate.helpers() == [".penstock-root"]
    assert (gate.path / ".penstock-root").stat().st_mode & 0o777 == 0o644


def test_settings_are_written_into_no_file_that_was_there(tmp_path: Path) -> None:
    victim = Victim(tmp_path / "victim")
    victim.take_the_place_of(tmp_path / f".penstock.toml.{os.getpid()}.new")
    replace_file(tmp_path / "penstock.toml", b"new")
    victim.check()
    assert (tmp_path / "penstock.toml").read_bytes() == b"new"
