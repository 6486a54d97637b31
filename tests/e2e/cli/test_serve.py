"""Does `penstock serve` come up, tell it once, keep what it holds, and go down leaving nothing?"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from penstock.app.making import Tls
from penstock.client import Client, ClientOptions
from penstock.errors import ApiRefusedError
from tests.e2e.cli.processes import alive, descendants, emulator_of
from tests.fixtures.service import COMMAND, RunningService, init_home, run_cli, start_service, try_cli
from tests.fixtures.waiting import wait_until

SEEN_S = 8.0  # a second, and what it takes a machine that others use; who does not look never sees it


def client_of(service: RunningService, *, key: dict[str, str] | None = None, ca_file: str = "") -> Client:
    """A client with the key of init, or another."""
    used = key or service.init
    return Client(
        ClientOptions(
            endpoint=service.api,
            access_key_id=used["access_key_id"],
            access_key_secret=used["access_key_secret"],
            ca_file=ca_file,
        )
    )


def file_systems(client: Client) -> dict[str, str]:
    """Version by id, as the API answers."""
    with client:
        answer = client.call("DescribeFileSystems", {})
    return {each["FileSystemId"]: each["Version"] for each in answer["FileSystems"]["FileSystem"]}


def comes_in(client: Client) -> bool:
    """Whether the client's key is taken."""
    try:
        file_systems(client)
    except ApiRefusedError:
        return False
    return True


def whole_family(pid: int) -> set[int]:
    """The service's children, once the emulator and two movers are there."""
    return wait_until(lambda: found if len(found := descendants(pid)) >= 3 else set(), 30, "too few children")


@pytest.fixture
def running(home: Path) -> Iterator[RunningService]:
    """A service of this test's own."""
    service = start_service(home)
    yield service
    service.stop()


def test_the_ready_line_is_all_that_stdout_gets(home: Path) -> None:
    stdout, stderr = home.parent / "stdout", home.parent / "stderr"
    with stdout.open("wb") as out, stderr.open("wb") as err:
        process = subprocess.Popen(
            [*COMMAND, "serve", str(home), "--port", "0", "--emulator-port", "0"], stdout=out, stderr=err
        )
    text = wait_until(stdout.read_text, 60, "no ready line")
    ready = json.loads(text)
    for name in ("api", "console", "oss"):
        host, port = ready[name].removeprefix("http://").split(":")
        socket.create_connection((host, int(port)), timeout=60).close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert set(ready) == {"api", "console", "oss"}
    assert stdout.read_text() == text
    assert (text.count("\n"), text[-1]) == (1, "\n")
    assert stderr.read_text()


def test_one_key_pair_opens_both(service: RunningService) -> None:
    assert list(file_systems(client_of(service))) == [service.init["file_system_id"]]
    elsewhere = service.home.parent / "elsewhere"
    init_home(elsewhere)
    added = try_cli(
        "bucket", "add", str(elsewhere), "otherbucket", "--kind", "oss", "--endpoint", service.oss, "--region",
        service.init["region"], environment={
            "OSS_ACCESS_KEY_ID": service.init["access_key_id"],
            "OSS_ACCESS_KEY_SECRET": service.init["access_key_secret"],
        },
    )  # fmt: skip
    assert added.returncode == 1
    assert "NoSuchBucket" in added.stderr  # the bucket is not there, but the key came in


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_leaves_nothing(home: Path, number: signal.Signals) -> None:
    service = start_service(home)
    family = whole_family(service.pid)
    service.process.send_signal(number)
    assert service.process.wait(60) == 0
    assert service.stop() == 0
    assert alive(family) == []
    assert not (home / "service.json").exists()


def test_sigkill_leaves_no_process_and_a_restart_comes_up(home: Path) -> None:
    service = start_service(home)
    family = whole_family(service.pid)
    service.kill()
    wait_until(lambda: not alive(family), 30, "its children are still there")
    again = start_service(home)
    assert list(file_systems(client_of(again))) == [again.init["file_system_id"]]
    assert again.stop() == 0


def test_what_says_that_init_was_broken_off_goes_when_all_was_made(home: Path) -> None:
    (home / "init.unfinished").touch()
    start_service(home).stop()
    assert not (home / "init.unfinished").exists()


def test_a_home_in_use_is_refused_with_3(service: RunningService) -> None:
    done = try_cli("serve", str(service.home), "--port", "0", "--emulator-port", "0")
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert f"in use by another service (process {service.pid})" in line


@pytest.mark.parametrize(("option", "other"), [("--port", "--emulator-port"), ("--emulator-port", "--port")])
def test_a_taken_port_is_said_with_a_way_out(home: Path, option: str, other: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = try_cli("serve", str(home), option, str(port), other, "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"port {port}" in done.stderr
    assert f"{option} N (0 = any free one)" in done.stderr
    assert f"port {port} (Address already in use). Is" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_that_init_did_not_make_is_said(tmp_path: Path) -> None:
    done = try_cli("serve", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "penstock init" in done.stderr


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("port = 8680", "prot = 8680", "did you mean 'port'"),
        ('listen = "127.0.0.1"', 'listen = "host.invalid"', "cannot listen on host.invalid"),
        ('tls_certificate = ""\ntls_key = ""', 'tls_certificate = "a"\ntls_key = "b"', "cannot be used"),
    ],
)
def test_a_setting_that_cannot_be_is_said(home: Path, before: str, after: str, said: str) -> None:
    text = (home / "penstock.toml").read_text()
    assert before in text
    (home / "penstock.toml").write_text(text.replace(before, after))
    done = try_cli("serve", str(home), "--port", "0", "--emulator-port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_additions_are_seen_within_a_second(running: RunningService, tmp_path: Path) -> None:
    client = client_of(running)
    (tmp_path / "more").mkdir()
    adding = try_cli("filesystem", "add", str(running.home), str(tmp_path / "more"))
    added = adding.stdout.strip()
    assert "its file system has: " in adding.stderr
    wait_until(lambda: added in file_systems(client), SEEN_S, "the file system was not seen")
    other = client_of(running, key=json.loads(run_cli("key", "add", str(running.home), "--json")))
    wait_until(lambda: comes_in(other), SEEN_S, "the key was not seen")
    (key_id,) = {each["access_key_id"] for each in json.loads(run_cli("key", "list", str(running.home), "--json"))} - {
        running.init["access_key_id"]
    }
    run_cli("key", "revoke", str(running.home), key_id)
    wait_until(lambda: not comes_in(other), SEEN_S, "the key was not revoked")


def test_a_key_switched_off_while_the_file_was_open_to_others_is_shut_out_once_that_is_mended(
    running: RunningService,
) -> None:
    client = client_of(running)
    secrets = running.home / "secrets.toml"
    secrets.write_text(secrets.read_text().replace("active = true", "active = false"))
    secrets.chmod(0o644)
    wait_until(lambda: "registry.kept_as_it_was" in running.log_text(), 30, "the log says nothing")
    assert comes_in(client)
    secrets.chmod(0o600)
    wait_until(lambda: not comes_in(client), 30, "the key is still taken")
    assert running.log_text().count("registry.kept_as_it_was") == 1


def test_a_broken_file_keeps_what_was_good(running: RunningService) -> None:
    client = client_of(running)
    before = file_systems(client)
    good = (running.home / "penstock.toml").read_bytes()
    (running.home / "penstock.toml").write_bytes(good + b"\nport = \n")
    wait_until(lambda: "registry.kept_as_it_was" in running.log_text(), 30, "the log says nothing")
    assert file_systems(client) == before
    (running.home / "penstock.toml").write_bytes(good.replace(b'version = "2.7.0"', b'version = "2.8.0"'))
    wait_until(lambda: set(file_systems(client).values()) == {"2.8.0"}, 30, "the mended file was not seen")


def test_an_emulator_that_dies_is_started_again_at_the_same_address(running: RunningService) -> None:
    first = emulator_of(running.pid)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: emulator_of(running.pid) not in {0, first}, 20, "it was not started again")
    run_cli("object", "put", str(running.home), "examplebucket", "-", "after", stdin=b"x")
    with closing(HTTPConnection(running.oss.removeprefix("http://"), timeout=60)) as there:
        there.request("GET", "/examplebucket/after")
        assert there.getresponse().status == 403  # it wants a signature
    assert "emulator.ended" in running.log_text()
    assert running.stop() == 0


def test_the_first_embedded_bucket_may_come_while_it_serves(tmp_path: Path) -> None:
    home = tmp_path / "home"
    init_home(home)
    text = (home / "penstock.toml").read_text()
    (home / "penstock.toml").write_text(text[: text.index("[bucket.examplebucket]")])
    service = start_service(home)
    assert service.oss == ""
    assert emulator_of(service.pid) == 0
    run_cli("bucket", "add", str(home), "later", "--kind", "embedded")
    run_cli("object", "put", str(home), "later", "-", "key", stdin=b"x")
    assert run_cli("object", "get", str(home), "later", "key", "-") == "x"
    assert service.stop() == 0


def test_no_secret_is_on_a_command_line_in_an_environment_or_in_the_log(running: RunningService) -> None:
    run_cli("object", "put", str(running.home), "examplebucket", "-", "key", stdin=b"x")
    assert not comes_in(client_of(running, key={**running.init, "access_key_secret": "wrong"}))
    lines = (running.home / "secrets.toml").read_text().splitlines()
    secrets = [line.partition('"')[2].rstrip('"') for line in lines if "secret = " in line]
    assert len(secrets) == 2
    seen = running.log_text()
    for pid in {running.pid, *descendants(running.pid)}:
        seen += Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/environ").read_text(errors="replace")
    assert "emulator_child" in seen
    for secret in secrets:
        assert secret not in seen


def test_tls_is_served_with_the_certificate_of_init(tmp_path: Path) -> None:
    home = tmp_path / "home"
    init_home(home, tls=Tls.LOCAL)
    service = start_service(home)
    assert service.api.startswith("https://")
    trusting = client_of(service, ca_file=str(home / "tls/ca.pem"))
    assert list(file_systems(trusting)) == [service.init["file_system_id"]]
    assert run_cli("flow", "list", "--home", str(home)).startswith("ID")
    refused = try_cli(
        "flow", "list", "--endpoint", service.api, "--file-system", service.init["file_system_id"], "--access-key-id",
        service.init["access_key_id"], environment={"PENSTOCK_ACCESS_KEY_SECRET": service.init["access_key_secret"]},
    )  # fmt: skip
    assert refused.returncode == 4
    assert "is not trusted" in refused.stderr
    assert service.stop() == 0


def test_standing_alone_the_emulator_makes_a_key_and_says_where(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [*COMMAND, "emulator", str(tmp_path / "data")], stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["oss"].startswith("http://127.0.0.1:")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert process.stdout.read() == ""
    process.stdout.close()
    kept = tmp_path / "data/access-key.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    key = json.loads(kept.read_text())
    assert set(key) == {"access_key_id", "access_key_secret"}
    said = (tmp_path / "stderr").read_text()
    assert str(kept) in said
    assert key["access_key_secret"] not in said


@pytest.mark.parametrize("given", ["OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"])
def test_a_part_of_a_key_is_refused(tmp_path: Path, given: str) -> None:
    done = try_cli("emulator", str(tmp_path / "data"), environment={given: "alone"})
    assert (done.returncode, done.stdout) == (1, "")
    assert "set " in done.stderr
    assert given in done.stderr
    assert not (tmp_path / "data").exists()


def test_standing_alone_the_emulator_knows_no_penstock_toml(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = try_cli("emulator", str(tmp_path / "data"), "--port", str(taken.getsockname()[1]))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Choose another port with --port N (0 = any free one)" in done.stderr
    assert "penstock.toml" not in done.stderr


def test_a_directory_in_which_the_emulator_cannot_write_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "data/lock").mkdir(parents=True)  # permissions and read-only mounts do not keep root out everywhere
    done = try_cli("emulator", str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"penstock: {tmp_path / 'data'} cannot be written: ")


@pytest.mark.parametrize("word", ["data.example.com", "=bucket", "data.example.com=NO_BUCKET"])
def test_a_cname_that_is_none_is_said(tmp_path: Path, word: str) -> None:
    done = try_cli("emulator", str(tmp_path / "data"), "--cname", word)
    assert (done.returncode, done.stdout) == (1, "")
    assert "HOST=BUCKET" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_directory_of_buckets_in_use_is_refused_in_a_sentence_and_left_as_it_is(service: RunningService) -> None:
    done = try_cli("emulator", str(service.home / "emulator"))
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("penstock: another emulator serves")
    assert not (service.home / "emulator" / "access-key.json").exists()


def test_what_is_no_http_is_said_as_every_other_event(running: RunningService) -> None:
    host, port = running.api.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as nonsense:
        nonsense.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert nonsense.recv(64).startswith(b"HTTP/1.1 400")
    wait_until(lambda: "WARNING http.refused" in running.log_text(), 30, "the log says nothing")
    said = next(line for line in running.log_text().splitlines() if "http.refused" in line)
    assert "code=InvalidParameter.Format peer=127.0.0.1" in said
    assert running.stop() == 0
    assert [line for line in running.log_text().splitlines() if not line.startswith("20")] == []
    assert "engine.mover_ended" in running.log_text()
    assert "engine.mover_died" not in running.log_text()


@pytest.mark.parametrize("command", ["serve", "emulator"])
def test_a_closed_stdout_is_said(home: Path, command: str) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, command, str(home)],
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "stdout is closed" in done.stderr
    assert "Traceback" not in done.stderr


def test_listening_beyond_this_machine_without_tls_is_warned_of(home: Path) -> None:
    text = (home / "penstock.toml").read_text()
    (home / "penstock.toml").write_text(text.replace('listen = "127.0.0.1"', 'listen = "0.0.0.0"'))
    service = start_service(home)
    assert service.stop() == 0
    assert "WARNING service.not_encrypted listen=0.0.0.0" in service.log_text()
