"""What survives SIGKILL, what is swept away, and what one root allows."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.emulator import EmulatorServer, start_emulator
from tests.fixtures.waiting import wait_until
from tests.protocol.emulator.test_wire import dial, head_of
from tests.protocol.emulator.wire import connect, send, signed, target

DEADLINE_S = 20


def files(root: Path) -> list[Path]:
    return sorted((root / "data").glob("*/*"))


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    wait_until(condition, DEADLINE_S, "the emulator did not do it")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmulatorServer]:
    started = start_emulator(tmp_path / "root")
    yield started
    started.stop()


def test_what_was_acknowledged_survives_sigkill(server: EmulatorServer, tmp_path: Path) -> None:
    """Eight clients put until the kill; each object that was acknowledged must be there whole, and nothing else."""
    name = server.bucket(versioning="Enabled")
    acknowledged: dict[str, tuple[str, bytes]] = {}

    def put(worker: int) -> None:
        for number in range(10_000):
            key = f"{worker}/{number % 5}"
            body = hashlib.sha256(key.encode() + bytes([number % 256])).digest() * (1 if worker % 2 else 4000)
            try:
                reply = send(server, "PUT", name, key, body=body)
            except OSError:
                return
            assert reply.status == 200
            acknowledged[reply.headers["x-oss-version-id"]] = (key, body)

    threads = [threading.Thread(target=put, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: len(acknowledged) > 100)
    server.kill()
    for thread in threads:
        thread.join()
    again = start_emulator(tmp_path / "root")
    try:
        for version_id, (key, body) in acknowledged.items():
            reply = send(again, "GET", name, key, query={"versionId": version_id})
            assert (reply.status, reply.body == body) == (200, True)
        listed: dict[str | None, str | None] = {}
        marker = {"key-marker": "", "version-id-marker": ""}
        while True:
            page = send(again, "GET", name, query={"versions": "", "max-keys": "1000", **marker}).xml
            listed |= {node.findtext("VersionId"): node.findtext("Size") for node in page.findall("Version")}
            if page.findtext("IsTruncated") == "false":
                break
            marker = {
                "key-marker": page.findtext("NextKeyMarker") or "",
                "version-id-marker": page.findtext("NextVersionIdMarker") or "",
            }
        assert set(acknowledged) <= set(listed)
        large = [size for size in listed.values() if size == str(32 * 4000)]
        assert len(files(again.root)) == len(large)
    finally:
        again.stop()


def test_a_body_under_way_is_swept_after_sigkill(server: EmulatorServer, tmp_path: Path) -> None:
    name = server.bucket()
    with dial(server) as connected:
        connected.sendall(head_of(server, "PUT", name, "k", {"content-length": "50000000"}))
        connected.sendall(b"x" * 3_000_000)
        until(lambda: bool(files(server.root)))
        server.kill()
    assert files(server.root)
    again = start_emulator(tmp_path / "root")
    try:
        assert files(again.root) == []
        assert send(again, "HEAD", name, "k").status == 404
    finally:
        again.stop()


def test_files_go_when_nothing_needs_them(server: EmulatorServer) -> None:
    name = server.bucket()
    body = b"x" * 300_000
    send(server, "PUT", name, "k", body=body)
    send(server, "PUT", name, "copy", headers={"x-oss-copy-source": f"/{name}/k"}, body=b"")
    send(server, "PUT", name, "k", body=body + b"2")
    assert len(files(server.root)) == 2
    send(server, "DELETE", name, "k")
    until(lambda: len(files(server.root)) == 1)
    assert send(server, "GET", name, "copy").body == body
    send(server, "DELETE", name, "copy")
    until(lambda: not files(server.root))
    upload_id = send(server, "POST", name, "k", query={"uploads": ""}).xml.findtext("UploadId") or ""
    for number in ("1", "2", "2"):
        send(server, "PUT", name, "k", query={"partNumber": number, "uploadId": upload_id}, body=body)
    until(lambda: len(files(server.root)) == 2)
    send(server, "DELETE", name, "k", query={"uploadId": upload_id})
    until(lambda: not files(server.root))


def test_a_body_being_read_outlives_its_object(server: EmulatorServer) -> None:
    name = server.bucket()
    body = bytes(range(256)) * 4096 * 32
    send(server, "PUT", name, "k", body=body)
    connection = connect(server)
    connection.request("GET", target(name, "k"), headers=signed(server, "GET", name, "k"))
    answer = connection.getresponse()
    start = answer.read(1000)
    assert send(server, "DELETE", name, "k").status == 204
    assert send(server, "GET", name, "k").status == 404
    assert len(files(server.root)) == 1
    assert start + answer.read() == body
    connection.close()
    until(lambda: not files(server.root))


def test_a_reader_that_hangs_up_is_let_go(server: EmulatorServer) -> None:
    name = server.bucket()
    send(server, "PUT", name, "k", body=bytes(64 * 1024 * 1024))
    connection = connect(server)
    connection.request("GET", target(name, "k"), headers=signed(server, "GET", name, "k"))
    connection.getresponse().read(1000)
    connection.sock.close()
    connection.close()
    send(server, "DELETE", name, "k")
    until(lambda: not files(server.root))


def test_memory_does_not_grow_with_the_body(server: EmulatorServer) -> None:
    name = server.bucket()

    def peak_kib() -> int:
        status = Path(f"/proc/{server.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])

    send(server, "PUT", name, "k", body=bytes(1024 * 1024))
    send(server, "GET", name, "k")
    before = peak_kib()
    size = 96 * 1024 * 1024
    send(server, "PUT", name, "k", body=bytes(size))
    assert len(send(server, "GET", name, "k").body) == size
    assert peak_kib() - before < 24 * 1024


def test_a_root_has_one_emulator(server: EmulatorServer, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "penstock.emulator", str(server.root)]
    command += ["--access-key-file", str(tmp_path / "root.keys")]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert second.stdout == ""
    (line,) = second.stderr.splitlines()
    assert line.startswith("emulator: another emulator serves")
    assert send(server, "GET").status == 200


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "index.sqlite3").write_bytes(b"this is no database" * 1000)
    with pytest.raises(RuntimeError, match="status 1"):
        start_emulator(root)


def test_sigterm_ends_it_in_order(server: EmulatorServer) -> None:
    name = server.bucket()
    send(server, "PUT", name, "k", body=b"x")
    kept = connect(server)
    assert send(server, "GET", name, "k", connection=kept).status == 200
    assert server.stop() == 0
    kept.close()
    assert not (server.root / "index.sqlite3-wal").exists()
