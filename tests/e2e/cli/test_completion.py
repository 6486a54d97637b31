"""Does a shell complete commands, options, and the ids that there are, and nothing, quickly, where nobody answers?"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from penstock.cli.program import COMMANDS
from tests.fixtures.ports import free_port
from tests.fixtures.service import RunningService, environment, run_cli

SCRIPTS = Path(sys.executable).parent


def offered(line: str, more: Mapping[str, str] | None = None) -> list[str]:
    """What bash offers when Tab is hit at the end of that line, with the script that `penstock completion bash` prints."""
    words = line.split(" ")
    asking = f"""
        eval "$(penstock completion bash)"
        COMP_WORDS=({" ".join(words)} {'""' if not words[-1] else ""})
        COMP_CWORD={len(words) - 1}
        _penstock_completion penstock
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", asking],
        env={**environment(more), "PATH": f"{SCRIPTS}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_bash_completes_commands_options_and_choices() -> None:
    assert offered("penstock ") == list(COMMANDS)
    assert offered("penstock sub") == ["subtask"]
    assert offered("penstock bucket ") == ["add", "list", "probe"]
    assert "--verify" in offered("penstock bucket add --v")
    assert offered("penstock completion z") == ["zsh"]


def test_bash_completes_what_there_is(service: RunningService, tmp_path: Path) -> None:
    place = {"PENSTOCK_HOME": str(service.home), "XDG_CONFIG_HOME": str(tmp_path)}
    (Path(service.init["root"]) / "completed").mkdir()
    flow = run_cli("flow", "create", "/completed/", "oss://examplebucket/completed/", environment=place).strip()
    task = run_cli("task", "create", flow, "import", environment=place).strip()
    assert offered("penstock flow show df-", place) == [flow]
    assert offered(f"penstock task show {task[:8]}", place) == [task]
    assert offered("penstock flow list --file-system bmc", place) == [service.init["file_system_id"]]
    assert offered(f"penstock object ls {service.home} ex", place) == ["examplebucket"]
    assert offered(f"penstock key revoke {service.home} PSTK", place) == [service.init["access_key_id"]]
    more = {**place, "PENSTOCK_ACCESS_KEY_SECRET": service.init["access_key_secret"]}
    named = ("--endpoint", service.api, "--access-key-id", service.init["access_key_id"])
    run_cli("profile", "add", "lab", *named, environment=more)
    assert offered("penstock profile show l", place) == ["lab"]
    assert offered("penstock flow show --profile lab df-", {"XDG_CONFIG_HOME": str(tmp_path)}) == [flow]


def test_nothing_is_offered_and_nothing_said_where_nobody_answers(home: Path) -> None:
    assert offered("penstock flow show ") == []
    assert offered("penstock flow show ", {"PENSTOCK_HOME": str(home)}) == []
    nowhere = {
        "PENSTOCK_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "PENSTOCK_ACCESS_KEY_ID": "a",
        "PENSTOCK_ACCESS_KEY_SECRET": "b",
        "PENSTOCK_FILE_SYSTEM": "bmcpfs-x",
    }
    assert offered("penstock flow show ", nowhere) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_one_that_it_reads(shell: str) -> None:
    text = run_cli("completion", shell)
    assert "_PENSTOCK_COMPLETE=" in text
    assert "penstock" in text
    program = shutil.which(shell)
    if program is not None:
        checked = subprocess.run([program, "-n"], input=text, capture_output=True, text=True, check=False, timeout=30)
        assert (checked.returncode, checked.stderr) == (0, "")
