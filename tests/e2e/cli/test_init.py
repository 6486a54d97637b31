"""Does `penstock init` make what it says, once, and keep it from others?"""

from __future__ import annotations

import errno
import json
import os
import signal
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from penstock.app import making
from penstock.app.reaching import reach_bucket
from penstock.app.registering import EMBEDDED_ABILITIES
from penstock.errors import SettingsError
from penstock.settings.home import Home
from penstock.stores.abilities import abilities_to_mapping
from penstock.stores.base import Versioning
from tests.fixtures.service import init_by_command, run_cli, try_cli

KEYS = {"access_key_id", "access_key_secret", "file_system_id", "root", "bucket", "region"}


def contents(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Every file's mode and bytes."""
    return {
        str(path.relative_to(directory)): (path.stat().st_mode, path.read_bytes())
        for path in directory.rglob("*")
        if path.is_file()
    }


def check_modes(home: Path) -> None:
    """HOME and what holds secrets are the owner's alone."""
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for file in (home / "penstock.toml", home / "secrets.toml", *home.glob("tls/*")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_it_makes_what_it_prints(tmp_path: Path) -> None:
    done = try_cli("init", str(tmp_path / "home"), "--json")
    made = json.loads(done.stdout)
    assert done.returncode == 0
    assert set(made) == KEYS
    assert made["bucket"] == "examplebucket"
    assert made["file_system_id"].startswith("bmcpfs-")
    root = Path(made["root"])
    assert root.is_absolute()
    assert root.is_relative_to(tmp_path / "home")
    assert os.listdir(root) == [".penstock-root"]
    (listed,) = json.loads(run_cli("filesystem", "list", str(tmp_path / "home"), "--json"))
    assert (listed["file_system_id"], listed["version"]) == (made["file_system_id"], "2.7.0")
    check_modes(tmp_path / "home")


def test_without_json_it_speaks_to_a_person(tmp_path: Path) -> None:
    said = run_cli("init", str(tmp_path / "home"))
    assert "access key secret" in said
    assert "oss://examplebucket" in said


def test_a_generous_umask_gives_nothing_away(tmp_path: Path) -> None:
    program = f"umask 000; exec {sys.executable} -m penstock.cli init {tmp_path}/home --tls"
    subprocess.run(["sh", "-c", program], check=True, capture_output=True)
    check_modes(tmp_path / "home")


def test_a_second_init_changes_nothing_and_exits_with_2(home: Path) -> None:
    before = contents(home)
    done = try_cli("init", str(home), "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "was made already; nothing was changed" in done.stderr
    assert contents(home) == before


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    done = try_cli("init", str(tmp_path))
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert os.listdir(tmp_path) == ["mine"]


@pytest.mark.parametrize("moment", ["new_access_key", "recognised", "create_bucket", "replace_file"])
def test_an_init_that_was_killed_is_made_again(tmp_path: Path, moment: str) -> None:
    home = tmp_path / "home"
    program = f"""
import os, signal
from pathlib import Path
from penstock.app import making
making.{moment} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
making.make_home(Path("{home}"), tls=making.Tls.LOCAL, now_ns=1, entropy=os.urandom)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert (home / "init.unfinished").exists()
    assert not (home / "penstock.toml").exists()
    if moment != "new_access_key":  # there is a directory for files by then
        (home / "filesystem" / "mine").write_text("mine")
        done = try_cli("init", str(home))
        assert done.returncode == 2
        assert "was broken off here" in done.stderr
        assert (home / "filesystem" / "mine").read_text() == "mine"
        (home / "filesystem" / "mine").unlink()
    init_by_command(home)
    check_modes(home)
    assert not (home / "init.unfinished").exists()


def without_its_end(home: Path) -> None:
    """What says that `init` is at work, left by a power cut when all was made."""
    init_by_command(home)
    (home / "init.unfinished").write_text("whatever")


@pytest.mark.parametrize(
    "mine",
    ["my-notes", "catalog.db", "settings.lock", "tls/mine.pem", "emulator/00/1", "filesystem/a/b", "tls2/ca.pem"],
)
def test_what_is_not_of_its_making_is_never_removed(tmp_path: Path, mine: str) -> None:
    home = tmp_path / "home"
    without_its_end(home)
    for made in ("penstock.toml", "secrets.toml"):
        (home / made).unlink()
    (home / mine).parent.mkdir(parents=True, exist_ok=True)
    (home / mine).write_text("mine")
    before = contents(home)
    done = try_cli("init", str(home))
    assert done.returncode == 2
    assert "nothing was changed" in done.stderr
    assert mine.partition("/")[0] in done.stderr
    assert contents(home) == before


def test_a_home_that_was_finished_and_lost_its_settings_keeps_its_secrets(tmp_path: Path) -> None:
    home = tmp_path / "home"
    without_its_end(home)
    (home / "penstock.toml").unlink()
    before = contents(home)
    done = try_cli("init", str(home))
    assert done.returncode == 2
    assert "secrets.toml" in done.stderr
    assert contents(home) == before


def test_a_link_to_somebodys_directory_is_not_followed(tmp_path: Path) -> None:
    home, theirs = tmp_path / "home", tmp_path / "theirs"
    home.mkdir()
    (home / "init.unfinished").touch()
    theirs.mkdir()
    (theirs / "ca.pem").write_text("theirs")
    (home / "tls").symlink_to(theirs)
    assert try_cli("init", str(home)).returncode == 2
    assert (theirs / "ca.pem").read_text() == "theirs"


def test_what_came_while_it_failed_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"

    def fails(*_: object, **__: object) -> None:
        (home / "filesystem" / "mine").write_text("mine")
        (home / "notes").write_text("mine")
        raise SettingsError("no space")

    monkeypatch.setattr(making, "create_bucket", fails)
    with pytest.raises(SettingsError, match="no space"):
        making.make_home(home, tls=making.Tls.LOCAL, now_ns=1, entropy=os.urandom)
    assert set(contents(home)) == {"filesystem/mine", "notes"}


def test_an_init_that_fails_at_its_last_step_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        raise OSError(errno.EIO, "the disk")

    monkeypatch.setattr(making, "sync_directory", fails)
    with pytest.raises(OSError, match="the disk"):
        making.make_home(tmp_path / "home", tls=making.Tls.LOCAL, now_ns=1, entropy=os.urandom)
    assert contents(tmp_path / "home") == {}


def test_an_empty_directory_becomes_a_home(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    init_by_command(tmp_path / "home")
    check_modes(tmp_path / "home")


def test_a_place_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = try_cli("init", str(tmp_path / "file"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no directory" in done.stderr


def test_of_many_inits_at_once_one_makes_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "penstock.cli", "init", str(tmp_path / "home"), "--json"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    printed = [process.communicate(timeout=60)[0] for process in running]
    assert sorted(process.returncode for process in running) == [0, 2, 2, 2]
    (made,) = [json.loads(text) for text in printed if text]
    (listed,) = json.loads(run_cli("key", "list", str(tmp_path / "home"), "--json"))
    assert listed["access_key_id"] == made["access_key_id"]


def test_the_embedded_bucket_is_ready_for_two_dataflows(home: Path) -> None:
    with reach_bucket(Home(path=home), "examplebucket") as store:
        assert store.bucket_tags() == {"cpfs-dataflow": "true"}
        assert store.versioning() is Versioning.ENABLED
        assert abilities_to_mapping(store.probe()) == EMBEDDED_ABILITIES


@pytest.fixture(scope="module")
def tls_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made with --tls."""
    home = tmp_path_factory.mktemp("tls") / "home"
    init_by_command(home, "--tls")
    return home


def test_tls_makes_a_ca_and_a_certificate_for_this_machine(tls_home: Path) -> None:
    server = x509.load_pem_x509_certificate((tls_home / "tls/server.pem").read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert sorted(os.listdir(tls_home / "tls")) == ["ca.pem", "server.key", "server.pem"]


def test_the_strictest_reading_of_certificates_accepts_them(tls_home: Path) -> None:
    client = ssl.create_default_context(cafile=tls_home / "tls/ca.pem")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tls_home / "tls/server.pem", tls_home / "tls/server.key")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    far = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = {near, far}
    for _ in range(10):
        for side in (near, far):
            try:
                side.do_handshake()
                waiting.discard(side)
            except ssl.SSLWantReadError:
                continue
    assert not waiting


def test_its_hint_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    home = tmp_path / "my home"
    assert f"penstock serve '{home}'\n" in try_cli("init", str(home)).stderr
    assert f"penstock serve '{home}'\n" in try_cli("init", str(home)).stderr
