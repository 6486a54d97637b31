"""Is `--help` enough to start, and does wrong usage say so with 2?"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from penstock import __version__
from penstock.cli.program import COMMANDS, program
from tests.fixtures.service import run_cli, try_cli


def commands() -> list[list[str]]:
    """Every command of the tree, as words."""
    found: list[list[str]] = [[]]
    context = click.Context(program)
    for name in COMMANDS:
        command = program.get_command(context, name)
        found.append([name])
        if isinstance(command, click.Group):
            found += [[name, inner] for inner in command.list_commands(context)]
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_help_with_a_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([*words, "--help"], standalone_mode=False) == 0
    text = capsys.readouterr().out
    assert re.search(r"\n  [A-Z][^\n]+", text)
    options = re.findall(r"^  -.*(?:\n {4,}.*)*", text.partition("\nOptions:\n")[2], re.MULTILINE)
    assert any("--help" in option for option in options)
    for option in options:  # names and what they take have single spaces between them, words about them stand apart
        assert re.search(r"\S(?: {2,}|\n +)\S.*[a-z]", option), option


def test_the_first_page_shows_first_steps_and_exit_codes() -> None:
    text = run_cli("--help")
    for words in ("penstock init", "penstock serve", "subtask create TASK", "Exit codes", *COMMANDS):
        assert words in text


def test_the_version_is_told() -> None:
    assert __version__ in run_cli("--version")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["init"], ["serve", "home", "--port", "70000"], ["flow", "create"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    done = try_cli(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage:" in done.stderr


def test_the_console_script_is_installed() -> None:
    assert shutil.which("penstock", path=str(Path(sys.executable).parent))


def test_commands_are_printed_as_they_can_be_typed() -> None:
    script = Path(sys.executable).parent / "penstock"
    text = subprocess.run(
        [script, "--help"], env={"PATH": "/usr/bin"}, capture_output=True, text=True, check=True
    ).stdout
    assert f"  {script} init ~/penstock " in text
    assert "export PENSTOCK_HOME=~/penstock " in text
    found = {"PATH": str(script.parent)}
    text = subprocess.run([script, "--help"], env=found, capture_output=True, text=True, check=True).stdout
    assert "    penstock init ~/penstock " in text
