"""Do `penstock object` and `penstock bucket` do what a stranger expects, with a service and without one?"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.settings.editing import add_bucket
from penstock.settings.reading import open_home
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.moto import MotoServer
from tests.fixtures.registered import registered_bucket
from tests.fixtures.service import COMMAND, RunningService, run_cli, try_cli


@pytest.fixture(params=["served", "not-served"])
def place(request: pytest.FixtureRequest) -> str:
    """A HOME whose service runs, or one whose service does not."""
    if request.param == "served":
        service: RunningService = request.getfixturevalue("service")
        return str(service.home)
    return str(request.getfixturevalue("home"))


@pytest.mark.parametrize("size_bytes", [0, (16 << 20) - 1, 16 << 20, (32 << 20) + 5])
def test_what_is_put_is_got(service: RunningService, tmp_path: Path, size_bytes: int) -> None:
    home, key = str(service.home), f"sizes/{size_bytes}"
    (tmp_path / "file").write_bytes(os.urandom(size_bytes))
    run_cli("object", "put", home, "examplebucket", str(tmp_path / "file"), key)
    run_cli("object", "get", home, "examplebucket", key, str(tmp_path / "back"))
    assert (tmp_path / "file").read_bytes() == (tmp_path / "back").read_bytes()
    (listed,) = json.loads(run_cli("object", "ls", home, "examplebucket", key, "--json"))
    assert (listed["key"], listed["size"]) == (key, size_bytes)


def test_names_are_filled_in(service: RunningService, tmp_path: Path) -> None:
    (tmp_path / "a b.xml").write_text("x")
    (tmp_path / "out").mkdir()
    run_cli("object", "put", str(service.home), "examplebucket", str(tmp_path / "a b.xml"), "names/")
    run_cli("object", "get", str(service.home), "examplebucket", "names/a b.xml", str(tmp_path / "out"))
    assert os.listdir(tmp_path / "out") == ["a b.xml"]


def test_a_pipe_goes_in_and_out(place: str) -> None:
    run_cli("object", "put", place, "examplebucket", "-", "pipe", stdin=b"through\n")
    assert run_cli("object", "get", place, "examplebucket", "pipe", "-") == "through\n"
    done = try_cli("object", "put", place, "examplebucket", "-", stdin=b"x")
    assert done.returncode == 2
    assert "needs a KEY" in done.stderr


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_refused_at_once(home: Path, tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "odd")
    done = try_cli("object", "put", str(home), "examplebucket", str(tmp_path / "odd"), timeout_s=20)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{tmp_path / 'odd'} is no regular file" in done.stderr


def test_removed_is_gone_and_twice_is_well(service: RunningService) -> None:
    run_cli("object", "put", str(service.home), "examplebucket", "-", "gone", stdin=b"x")
    for _ in range(2):
        run_cli("object", "rm", str(service.home), "examplebucket", "gone")
    assert json.loads(run_cli("object", "ls", str(service.home), "examplebucket", "gone", "--json")) == []


def test_a_missing_object_leaves_no_file(service: RunningService, tmp_path: Path) -> None:
    done = try_cli("object", "get", str(service.home), "examplebucket", "nope", str(tmp_path / "nope"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "NoSuchKey" in done.stderr
    assert os.listdir(tmp_path) == []


def test_an_unknown_bucket_is_said_with_the_one_that_was_meant(service: RunningService) -> None:
    done = try_cli("object", "ls", str(service.home), "exampelbucket")
    assert done.returncode == 1
    assert "did you mean 'examplebucket'?" in done.stderr


def test_a_name_cannot_move_the_cursor(service: RunningService) -> None:
    run_cli("object", "put", str(service.home), "examplebucket", "-", "cursor\x1b[2J", stdin=b"x")
    listed = run_cli("object", "ls", str(service.home), "examplebucket", "cursor")
    assert "\x1b" not in listed
    assert r"cursor\x1b[2J" in listed


def test_an_embedded_bucket_can_be_added(place: str) -> None:
    name = f"mine{os.urandom(3).hex()}"
    assert run_cli("bucket", "add", place, name, "--kind", "embedded") == f"oss://{name}\n"
    run_cli("object", "put", place, name, "-", "key", stdin=b"x")
    done = try_cli("bucket", "add", place, name, "--kind", "embedded")
    assert done.returncode == 1
    assert "registered already" in done.stderr


# ------------------------------------------------------------------------------------------------------ the other kinds


def oss_bucket(home: Path, name: str, emulator: EmulatorServer, *more: str) -> tuple[int, str]:
    """`bucket add --kind oss` of a bucket on the emulator; exit code and stderr."""
    done = try_cli(
        "bucket", "add", str(home), name, "--kind", "oss", "--endpoint", emulator.endpoint, "--region", emulator.region,
        *more, environment={
            "OSS_ACCESS_KEY_ID": emulator.access_key_id,
            "OSS_ACCESS_KEY_SECRET": emulator.access_key_secret,
        },
    )  # fmt: skip
    return done.returncode, done.stderr


def listed_bucket(home: Path, name: str) -> dict[str, object]:
    """What `bucket list` says of it."""
    (found,) = [each for each in json.loads(run_cli("bucket", "list", str(home), "--json")) if each["name"] == name]
    return dict(found)


def test_a_bucket_with_tag_and_versioning_is_added_without_a_warning(home: Path, emulator: EmulatorServer) -> None:
    name = emulator.bucket(versioning="Enabled")
    assert oss_bucket(home, name, emulator) == (0, "")
    found = listed_bucket(home, name)
    assert found["addressing_style"] == "path"
    assert found["abilities"] == {
        "create_only_put": False,
        "create_only_complete": False,
        "crc64": True,
        "part_etag_is_md5": True,
        "bucket_tags": True,
        "content_md5": False,
        "checksum": "",
        "versioning": "Enabled",
    }
    run_cli("object", "put", str(home), name, "-", "key", stdin=b"x")
    assert run_cli("object", "get", str(home), name, "key", "-") == "x"
    assert emulator.access_key_secret not in (home / "penstock.toml").read_text()
    assert (home / "secrets.toml").stat().st_mode & 0o777 == 0o600


def test_a_list_tells_where_credentials_come_from_without_a_query(home: Path) -> None:
    places = {
        "bucket-a": ("", "kept"),
        "bucket-b": ("environment", "environment"),
        "bucket-c": ("/etc/role?.json", "/etc/role?.json"),
        "bucket-d": ("http://127.0.0.1:1/role?key=hidden", "http://127.0.0.1:1/role"),
    }
    for name, (word, _) in places.items():
        add_bucket(open_home(home), registered_bucket(name, credentials=word), None)
    assert {name: listed_bucket(home, name)["credentials"] for name in places} == {
        name: told for name, (_, told) in places.items()
    }


def test_credentials_of_the_environment_are_wanted_of_both(home: Path, emulator: EmulatorServer) -> None:
    done = try_cli(
        "bucket", "add", str(home), "bucket", "--kind", "oss", "--endpoint", emulator.endpoint, "--region", emulator.region,
        "--credentials", "environment",
    )  # fmt: skip
    assert done.returncode == 1
    assert "the service and `bucket add` each want them in their own" in done.stderr


@pytest.mark.parametrize(("right", "answer"), [("oss:*", "NoSuchBucket"), ("nas:*", "InvalidAccessKeyId")])
def test_the_bucket_server_asks_for_its_right(service: RunningService, home: Path, right: str, answer: str) -> None:
    if answer != "NoSuchBucket":  # what is not there is told to anybody, as OSS does
        run_cli("bucket", "add", str(service.home), "otherbucket", "--kind", "embedded")
    key = json.loads(run_cli("key", "add", str(service.home), "--allow", right, "--json"))
    done = try_cli(
        "bucket", "add", str(home), "otherbucket", "--kind", "oss", "--endpoint", service.oss, "--region", "cn-hangzhou",
        environment={"OSS_ACCESS_KEY_ID": key["access_key_id"], "OSS_ACCESS_KEY_SECRET": key["access_key_secret"]},
    )  # fmt: skip
    assert done.returncode == 1
    assert answer in done.stderr


def test_commands_at_once_without_a_service_wait_for_each_other(home: Path) -> None:
    commands = [
        subprocess.Popen([*COMMAND, "object", "put", str(home), "examplebucket", __file__, f"{number}"])
        for number in range(4)
    ]
    assert [command.wait(60) for command in commands] == [0, 0, 0, 0]
    listed = json.loads(run_cli("object", "ls", str(home), "examplebucket", "--json"))
    assert [each["key"] for each in listed] == ["0", "1", "2", "3"]


def test_what_dataflows_will_miss_is_said_with_its_mending_command(home: Path, emulator: EmulatorServer) -> None:
    name = emulator.bucket(tags={})
    code, said = oss_bucket(home, name, emulator)
    assert code == 0
    assert f"ossutil bucket-tagging --method put oss://{name} cpfs-dataflow#true -e http" in said
    assert f"ossutil bucket-versioning --method put oss://{name} enabled -e http" in said


def test_waived_checks_do_not_warn(home: Path, emulator: EmulatorServer) -> None:
    name = emulator.bucket(tags={})
    assert oss_bucket(home, name, emulator, "--no-tag-check", "--no-versioning-check") == (0, "")
    found = listed_bucket(home, name)
    assert (found["tag_check"], found["versioning_check"]) == (False, False)


@pytest.mark.xdist_group("moto")
def test_an_s3_bucket_is_added_with_the_keys_of_its_kind(home: Path, moto: MotoServer) -> None:
    name = moto.make_bucket(tags={})
    command = ["bucket", "add", str(home), name, "--kind", "s3", "--endpoint", moto.endpoint, "--region", moto.region]
    without = try_cli(*command)
    assert without.returncode == 1
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in without.stderr
    keys = {"AWS_ACCESS_KEY_ID": moto.access_key_id, "AWS_SECRET_ACCESS_KEY": moto.access_key_secret}
    done = try_cli(*command, environment=keys)
    assert (done.returncode, done.stdout) == (0, f"s3://{name}\n")
    assert "aws s3api put-bucket-tagging" in done.stderr
    run_cli("object", "put", str(home), name, "-", "key", stdin=b"x")
    assert run_cli("object", "get", str(home), name, "key", "-") == "x"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--kind", "oss", "--endpoint", "127.0.0.1:1", "--region", "r"], "--endpoint has to be"),
        (["--kind", "oss", "--region", "r"], "--endpoint has to be"),
        (["--kind", "oss", "--endpoint", "http://127.0.0.1:1"], "--region is missing"),
        (["--kind", "oss", "--endpoint", "http://127.0.0.1:1", "--region", "r"], "127.0.0.1"),
        (["--kind", "embedded", "--endpoint", "http://h"], "has no --endpoint"),
    ],
)
def test_what_cannot_be_reached_is_not_registered(home: Path, options: list[str], said: str) -> None:
    before = (home / "penstock.toml").read_bytes()
    keys = {"OSS_ACCESS_KEY_ID": "AK", "OSS_ACCESS_KEY_SECRET": "SK"}
    done = try_cli("bucket", "add", str(home), "mine", *options, environment=keys)
    assert done.returncode == 1
    assert said in done.stderr
    assert (home / "penstock.toml").read_bytes() == before
