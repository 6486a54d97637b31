"""Does a profile stand for a service elsewhere, with no secret shown, and does what is missing say what to do?"""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fixtures.ports import free_port
from tests.fixtures.service import RunningService, run_cli, try_cli

Place = Mapping[str, str]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """The environment of somebody who has no profiles yet."""
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


def file_of(place: Place) -> Path:
    return Path(place["XDG_CONFIG_HOME"]) / "penstock/profiles.toml"


def add(
    service: RunningService, place: Place, name: str, *more: str, secret: str = "", endpoint: str = ""
) -> subprocess.CompletedProcess[str]:
    """`penstock profile add` of the served HOME's first key."""
    return try_cli(
        "profile", "add", name, "--endpoint", endpoint or service.api, "--access-key-id",
        service.init["access_key_id"], *more,
        environment={**place, "PENSTOCK_ACCESS_KEY_SECRET": secret or service.init["access_key_secret"]},
    )  # fmt: skip


def test_a_profile_is_all_that_a_command_needs(service: RunningService, place: Place) -> None:
    assert add(service, place, "here").returncode == 0
    assert stat.S_IMODE(file_of(place).stat().st_mode) == 0o600
    assert json.loads(run_cli("flow", "list", "--json", environment=place))["DataFlowInfo"]
    assert add(service, place, "there", "--no-check", endpoint="http://127.0.0.1:1").returncode == 0
    assert try_cli("flow", "list", "--profile", "there", environment=place).returncode == 4
    assert try_cli("flow", "list", environment={**place, "PENSTOCK_PROFILE": "there"}).returncode == 4
    run_cli("profile", "use", "there", environment=place)
    assert try_cli("flow", "list", environment=place).returncode == 4
    run_cli("flow", "list", "--profile", "here", environment={**place, "PENSTOCK_ENDPOINT": "http://127.0.0.1:1"})
    run_cli("profile", "remove", "there", environment=place)
    assert "which service?" in try_cli("flow", "list", environment=place).stderr


def test_no_secret_is_shown(service: RunningService, place: Place) -> None:
    said = add(service, place, "here")
    texts = [said.stdout, said.stderr]
    for words in (["list"], ["list", "--json"], ["show", "here"], ["show", "here", "--json"]):
        done = try_cli("profile", *words, environment=place)
        assert (done.returncode, service.init["access_key_id"] in done.stdout) == (0, True)
        texts += [done.stdout, done.stderr]
    assert service.init["access_key_secret"] not in "".join(texts)
    assert service.init["access_key_secret"] in file_of(place).read_text()


def test_what_the_service_refuses_is_not_kept(service: RunningService, place: Place) -> None:
    wrong = add(service, place, "here", secret="wrong")
    nowhere = add(service, place, "here", endpoint=f"http://127.0.0.1:{free_port()}")
    strange = add(service, place, "here", "--file-system", "bmcpfs-of-somebody-else")
    for done in (wrong, nowhere, strange):
        assert done.returncode == 1
        assert "--no-check" in done.stderr
    assert "SignatureDoesNotMatch" in wrong.stderr
    assert service.init["file_system_id"] in strange.stderr
    assert not file_of(place).exists()


def test_the_only_file_system_is_found_without_a_profile(service: RunningService, place: Place) -> None:
    outright = {
        **place,
        "PENSTOCK_ENDPOINT": service.api,
        "PENSTOCK_ACCESS_KEY_ID": service.init["access_key_id"],
        "PENSTOCK_ACCESS_KEY_SECRET": service.init["access_key_secret"],
    }
    run_cli("flow", "list", environment=outright)
    lacking = {name: value for name, value in outright.items() if name != "PENSTOCK_ACCESS_KEY_SECRET"}
    said = try_cli("flow", "list", environment=lacking)
    assert (said.returncode, "PENSTOCK_ACCESS_KEY_SECRET is not set" in said.stderr) == (1, True)


def test_who_says_nothing_is_told_the_three_ways(service: RunningService, place: Place) -> None:
    said = try_cli("flow", "list", environment=place)
    assert said.returncode == 1
    for way in ("--home HOME", "penstock profile add", "PENSTOCK_ACCESS_KEY_SECRET"):
        assert way in said.stderr
    add(service, place, "here")
    drop_default(place)
    assert "here: here" in try_cli("flow", "list", environment=place).stderr
    both = try_cli("flow", "list", "--profile", "here", "--home", str(service.home), environment=place)
    assert both.returncode == 2
    environment = {**place, "PENSTOCK_PROFILE": "here", "PENSTOCK_HOME": str(service.home)}
    assert "unset one" in try_cli("flow", "list", environment=environment).stderr


def drop_default(place: Place) -> None:
    """As an editor would."""
    file = file_of(place)
    lines = [line for line in file.read_text().splitlines() if not line.startswith("default")]
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("profile = 3", "has to be a table"),
        ("[profile.a]\nendpoint = 'ftp://x'\naccess_key_id = 'a'\naccess_key_secret = 'b'", "http[s]://host"),
        ("[profile.a]\nendpoint = 'http://k:s@x'\naccess_key_id = 'a'\naccess_key_secret = 'b'", "http[s]://host"),
        ("[profile.a]\nendpoint = 'http://x'", "access_key_id is missing"),
        ("[profile.a]\nendpint = 'http://x'", "did you mean"),
        ("default = 'b'", "is no profile"),
        ("[profile", "not valid TOML"),
    ],
)
def test_a_broken_file_says_what_to_mend(place: Place, text: str, words: str) -> None:
    file_of(place).parent.mkdir(parents=True)
    file_of(place).touch(0o600)
    file_of(place).write_text(text)
    said = try_cli("profile", "list", environment=place)
    assert (said.returncode, said.stdout) == (1, "")
    assert words in said.stderr
    assert str(file_of(place)) in said.stderr
    os.chmod(file_of(place), 0o644)
    assert "chmod 600" in try_cli("profile", "list", environment=place).stderr
