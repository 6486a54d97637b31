"""Do failpoints do nothing until they are armed, refuse what they do not know, and kill once, when they should?"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from penstock import failpoints
from penstock.errors import SettingsError
from penstock.failpoints import PASSES_MAX
from tests.fixtures.service import init_home, try_cli

WALK = (
    "import sys; from penstock import failpoints as f; f.arm(sys.argv[1]); print([f.passing('rename') for _ in 'ab'])"
)


def walk(directory: Path) -> int:
    """A process that passes `rename` two times; its exit code."""
    command = [sys.executable, "-c", WALK, str(directory)]
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode


def test_unarmed_nobody_looks_for_traps() -> None:
    unarmed = failpoints.passing
    failpoints.arm("")
    assert failpoints.passing is unarmed
    unarmed("rename")


@pytest.mark.parametrize("name", ["renamd.1", "rename", f"rename.{PASSES_MAX + 1}", "rename.x"])
def test_what_is_no_trap_is_refused_at_start(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(SettingsError, match=re.escape(name)):
        failpoints.arm(str(tmp_path))


def test_a_service_does_not_start_among_unknown_traps(tmp_path: Path) -> None:
    init_home(tmp_path / "home")
    told = try_cli("serve", str(tmp_path / "home"), environment={failpoints.VARIABLE: str(tmp_path / "nowhere")})
    assert told.returncode != 0
    assert failpoints.VARIABLE in told.stderr


def test_only_the_passing_that_was_named_kills_and_only_once(tmp_path: Path) -> None:
    (tmp_path / "rename.3").touch()
    assert walk(tmp_path) == 0
    assert [name.name for name in tmp_path.iterdir()] == ["rename.1"]
    assert walk(tmp_path) == -signal.SIGKILL
    assert [name.name for name in tmp_path.iterdir()] == ["rename.0"]
    assert walk(tmp_path) == 0


def test_a_trap_is_told_where_it_was_passed_and_keeps_its_words(tmp_path: Path) -> None:
    (tmp_path / "rename.5").write_text("1 2")
    assert walk(tmp_path) == 0
    words, *places = (tmp_path / "rename.3").read_text().split("\n")
    assert words == "1 2"
    assert len(places) == 2
    assert all(place.startswith("__main__:") for place in places)


def test_a_trap_that_says_so_stops_and_whoever_is_let_go_on_goes_on(tmp_path: Path) -> None:
    (tmp_path / "rename.1").write_text(failpoints.STOP)
    command = [sys.executable, "-c", WALK, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as walking:
        stopped, status = os.waitpid(walking.pid, os.WUNTRACED)
        assert (stopped, os.WIFSTOPPED(status)) == (walking.pid, True)
        os.kill(walking.pid, signal.SIGCONT)
        assert walking.wait(60) == 0
    assert [name.name for name in tmp_path.iterdir()] == ["rename.0"]


def test_another_process_dies_with_it_where_the_trap_says_so(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (tmp_path / "rename.1").write_text(str(other.pid))
        assert walk(tmp_path) == -signal.SIGKILL
        assert other.wait(60) == -signal.SIGKILL
