"""Is a file read as if its stamps proved something only when they do: however fine they are, whoever's clock made them?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.transfer.posix import FileState
from penstock.transfer.stamps import TICK_NS, Stamps, are_whole_seconds

S = 1_000_000_000
NOW = 1_700_000_000 * S + 400_000_000
DAY = 86_400 * S


def a_file(change_ns: int, modify_ns: int | None = None) -> FileState:
    modified = change_ns if modify_ns is None else modify_ns
    return FileState(mode=0o100644, device=7, inode=1, links=1, size_bytes=1, modify_ns=modified, change_ns=change_ns)


def stamps_of(near: str) -> Stamps:
    return Stamps(lambda device: near, lambda device: -1, lambda: 0.0)


def rest_ns(near: str, state: FileState, now_ns: int = NOW) -> int:
    return stamps_of(near).rest_ns(state, lambda: now_ns)


@pytest.mark.parametrize(
    ("near", "grain_ns"), [("ext4", 1), ("xfs", 1), ("exfat", 10**7), ("ext3", S), ("vfat", 2 * S), ("", 2 * S)]
)
@given(changed_ns=st.integers(0, 4 * S), asked_ns=st.integers(0, 4 * S), later_ns=st.integers(1, 3 * S))
@example(changed_ns=2 * S - NOW % S, asked_ns=0, later_ns=1)  # a whole second by chance, where stamps are finer
def test_after_the_rest_every_change_bears_another_stamp(
    near: str, grain_ns: int, changed_ns: int, asked_ns: int, later_ns: int
) -> None:
    """`changed_ns`, then `asked_ns` later the question; any change after the rest that is asked for is to be seen.

    Nothing tells a fine stamp that is a whole second by chance from one of a file system that counts seconds: it rests as long.
    """

    def stamp(at_ns: int) -> int:
        ticks_ns = at_ns - at_ns % 16_000_000
        return ticks_ns - ticks_ns % grain_ns

    first = NOW + changed_ns
    asked = first + asked_ns
    rest = rest_ns(near, a_file(stamp(first)), asked)
    assert 0 <= rest <= TICK_NS + (max(grain_ns, S) if stamp(first) % S == 0 else grain_ns)
    assert stamp(asked + rest + later_ns) != stamp(first)


@pytest.mark.parametrize("near", ["ext4", "ext3", "vfat", ""])
def test_a_file_that_has_rested_is_not_waited_for(near: str) -> None:
    for age_ns in (DAY, DAY + 1, 30 * DAY):
        assert rest_ns(near, a_file(NOW - NOW % (2 * S) - age_ns)) == 0
        assert rest_ns(near, a_file(NOW - age_ns)) == 0


def test_whole_seconds_are_told_by_the_change_time_which_nobody_sets() -> None:
    archived = a_file(NOW - TICK_NS + 1, 1_600_000_000 * S)
    assert not are_whole_seconds(archived)
    assert rest_ns("ext4", archived) == 1
    assert are_whole_seconds(a_file(5 * S, 5 * S + 1))


def test_a_modification_time_to_come_is_no_reason_to_wait() -> None:
    assert rest_ns("ext4", a_file(NOW - 5 * S, NOW + DAY)) == 0


@pytest.mark.parametrize("change_ns", [0, 1_600_000_000 * S])
def test_where_change_times_tell_nothing_the_modification_time_does(change_ns: int) -> None:
    assert rest_ns("", a_file(change_ns, NOW - 5)) > 0
    assert rest_ns("hfsplus", a_file(change_ns, NOW - NOW % S)) == S + TICK_NS - NOW % S


def test_a_clock_that_was_put_back_here_costs_one_grain_at_most() -> None:
    assert rest_ns("ext4", a_file(NOW + 3_600 * S + 1)) == TICK_NS
    assert rest_ns("ext3", a_file(NOW - NOW % S + 3_600 * S)) == TICK_NS + S


class Server:
    """Somebody else's clock, `behind_ns` behind ours, asked by touching a mark."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, behind_ns: int) -> None:
        self.asked = 0
        self.now_s = 0.0
        self.behind_ns = behind_ns
        self._descriptor = os.open(directory, os.O_RDONLY)
        plain = os.utime

        def utime(path: str, *, dir_fd: int, follow_symlinks: bool) -> None:
            self.asked += 1
            plain(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

        monkeypatch.setattr("penstock.transfer.stamps.os.utime", utime)
        monkeypatch.setattr("penstock.transfer.stamps.posix.look", lambda directory, name: a_file(NOW - self.behind_ns))
        self.stamps = Stamps(lambda device: "", lambda device: self._descriptor, lambda: self.now_s)

    def rest_ns(self, state: FileState) -> int:
        return self.stamps.rest_ns(state, lambda: NOW)

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.mark.parametrize("behind_ns", [0, 10 * S, 3_600 * S, -10 * S, -3_600 * S])
def test_a_file_servers_clock_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind_ns: int) -> None:
    (tmp_path / ".penstock-root").touch()
    server = Server(tmp_path, monkeypatch, behind_ns)
    there = NOW - behind_ns
    assert server.rest_ns(a_file(there - 1)) == TICK_NS  # written right now, as the server says
    assert server.rest_ns(a_file(there - there % (2 * S))) == TICK_NS + 2 * S
    assert server.rest_ns(a_file(there - 60 * S - 1)) == 0
    assert server.rest_ns(a_file(NOW - 2 * DAY)) == 0
    server.close()


@pytest.mark.parametrize("ahead_ns", [0, S, 10 * S, 600 * S])
def test_where_change_times_tell_nothing_a_modification_time_is_judged_by_the_servers_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_ns: int
) -> None:
    """It tells when the file was made in place of when it was changed; what is its present is our time to come."""
    (tmp_path / ".penstock-root").touch()
    server = Server(tmp_path, monkeypatch, -ahead_ns)
    there, made_ns = NOW + ahead_ns, NOW - 3 * DAY + 5
    assert server.rest_ns(a_file(made_ns, there - 20_000_001)) == TICK_NS
    assert server.rest_ns(a_file(made_ns, there + S + 1)) == TICK_NS  # stamped by one of its neighbours, a second ahead
    assert server.rest_ns(a_file(made_ns, there - 60 * S - 1)) == 0
    assert server.rest_ns(a_file(made_ns, there + 60 * S + 1)) == 0  # somebody has set it
    assert server.rest_ns(a_file(made_ns, there + 2 * DAY)) == 0
    server.close()


def test_it_is_asked_once_a_minute_and_again_after_another_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".penstock-root").touch()
    server = Server(tmp_path, monkeypatch, 10 * S)
    server.rest_ns(a_file(NOW - 2 * DAY))
    assert server.asked == 0
    for now_s, asked in ((0.0, 1), (59.0, 1), (60.0, 2), (61.0, 2)):
        server.now_s = now_s
        server.rest_ns(a_file(NOW - S))
        assert server.asked == asked
    server.behind_ns = 3_600 * S
    server.stamps.forget()
    assert server.rest_ns(a_file(NOW - 3_600 * S - 1)) == TICK_NS
    server.close()


def test_where_no_clock_can_be_asked_minutes_are_not_believed(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)  # without a mark
    stamps = Stamps(lambda device: "", lambda device: descriptor, lambda: 0.0)
    assert stamps.rest_ns(a_file(NOW - 299 * S - 1), lambda: NOW) == TICK_NS
    assert stamps.rest_ns(a_file(NOW - 301 * S - 1), lambda: NOW) == 0
    assert stamps.rest_ns(a_file(NOW - 3 * DAY + 5, NOW + 299 * S + 1), lambda: NOW) == TICK_NS
    assert stamps.rest_ns(a_file(NOW - 3 * DAY + 5, NOW + 301 * S + 1), lambda: NOW) == 0
    os.close(descriptor)
