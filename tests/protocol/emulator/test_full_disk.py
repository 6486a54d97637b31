"""The disk is full: what cannot be kept is refused and says why; what deletes still works, and then there is room again."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.fixtures.emulator import READY_S, STOP_S, EmulatorServer
from tests.fixtures.service import read_line
from tests.fixtures.smalldisk import Kind, NoSmallDiskError, SmallDisk, small_disk
from tests.fixtures.waiting import wait_until
from tests.protocol.emulator.wire import Reply, connect, send

BUCKET = "on-a-small-disk"
DISK_BYTES = 6 << 20


@contextmanager
def emulator_on(disk: SmallDisk, log: Path) -> Iterator[EmulatorServer]:
    """An emulator whose directory lies there; what it logs goes to `log`, elsewhere."""
    keys = log.with_name("keys")
    if not keys.exists():
        with os.fdopen(os.open(keys, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"LTAI{secrets.token_hex(8)} {secrets.token_hex(16)}\n")
    key_id, secret = keys.read_text().split()
    program = [*disk.enter, sys.executable, "-m", "penstock.emulator", str(disk.inside / "root")]
    with log.open("a") as kept:
        process = subprocess.Popen(
            [*program, "--access-key-file", str(keys)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=kept,
            start_new_session=True,
        )
    assert process.stdout is not None
    try:
        endpoint = json.loads(read_line(process.stdout, READY_S))["oss"]
        yield EmulatorServer(
            endpoint=endpoint,
            access_key_id=key_id,
            access_key_secret=secret,
            region="cn-hangzhou",
            root=disk.path / "root",
            pid=process.pid,
            process=process,
        )
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(STOP_S)
        process.stdout.close()


@pytest.fixture(params=[Kind.TMPFS, Kind.EXT4])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    try:
        with small_disk(tmp_path / "disk", size_bytes=DISK_BYTES, kind=request.param) as made:
            yield made
    except NoSmallDiskError as error:
        pytest.skip(str(error))


def put_until_full(server: EmulatorServer, size_bytes: int) -> int:
    """How many objects found room before one was refused as it should."""
    with closing(connect(server)) as connection:
        for number in range(10_000):
            content = bytes([number % 251]) * size_bytes
            reply = send(server, "PUT", BUCKET, f"k{number:05}", body=content, connection=connection)
            if reply.status != 200:
                assert_full(reply)
                return number
    raise AssertionError("the disk has no end")


def fill_until_refused(server: EmulatorServer, disk: SmallDisk, size_bytes: int) -> list[str]:
    """Somebody else takes all room, and again what the emulator or the file system gives back late, until an object is refused as
    it should be; the keys of those that still found some."""
    stored: list[str] = []
    while len(stored) * size_bytes < DISK_BYTES:
        disk.fill()
        reply = send(server, "PUT", BUCKET, f"more{len(stored)}", body=bytes(size_bytes))
        if reply.status != 200:
            assert_full(reply)
            return stored
        stored.append(f"more{len(stored)}")
    raise AssertionError("the disk has no end")


def delete_all(server: EmulatorServer, count: int, more: list[str]) -> None:
    """All that `put_until_full` and `fill_until_refused` stored."""
    with closing(connect(server)) as connection:
        for key in [*(f"k{number:05}" for number in range(count)), *more]:
            deleted = send(server, "DELETE", BUCKET, key, connection=connection)
            assert deleted.status == 204, (key, deleted.code)


def assert_full(reply: Reply) -> None:
    assert (reply.status, reply.code) == (507, "InsufficientStorage")
    assert "full" in (reply.xml.findtext("Message") or "")


@pytest.mark.parametrize("size_bytes", [1_000, 50_000, 200_000])
def test_deleting_makes_room_again(disk: SmallDisk, tmp_path: Path, size_bytes: int) -> None:
    log = tmp_path / "log"
    with emulator_on(disk, log) as server:
        assert send(server, "PUT", BUCKET, body=b"").status == 200
        if size_bytes < 4096:
            disk.fill(but_bytes=2 << 20)  # some hundreds of them say what thousands would
        count = put_until_full(server, size_bytes)
        assert count > (200 if size_bytes < 4096 else 5)
        more = fill_until_refused(server, disk, 300_000)
        assert send(server, "GET", BUCKET, "k00000").body == bytes(size_bytes)
        begun = send(server, "POST", BUCKET, "begun", query={"uploads": ""})
        assert begun.status in {200, 507}
        delete_all(server, count, more)
        assert send(server, "GET", BUCKET, query={"list-type": "2"}).xml.findtext("KeyCount") == "0"
        disk.empty()
        wait_until(lambda: send(server, "PUT", BUCKET, "after", body=bytes(size_bytes)).status == 200, 20, "no room")
    told = log.read_text()
    assert "the disk is full" in told
    assert "Traceback" not in told


def test_an_emulator_starts_on_a_full_disk_and_lets_things_be_deleted(disk: SmallDisk, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with emulator_on(disk, log) as server:
        send(server, "PUT", BUCKET, body=b"")
        count = put_until_full(server, 50_000)
    disk.fill()
    with emulator_on(disk, log) as server:
        more = fill_until_refused(server, disk, 300_000)
        delete_all(server, count, more)
    assert "Traceback" not in log.read_text()
