"""Does the service go on answering its callers while ten thousand strangers are connected, and after them?"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from penstock.app.limits import CONNECTIONS_MAX
from tests.faults.api.conftest import client_of
from tests.fixtures.service import COMMAND, RunningService, init_home, start_service
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.waiting import wait_until

FLOOD = 10_000
SPARE = 500
CALLS = 20
CALL_MAX_S = (
    12.0  # on a machine that is busy with other tests, too; behind the strangers it would be their twenty seconds
)
AGAIN = 5_000
GROWTH_MAX_BYTES = 48 << 20  # once they have gone
AGAIN_MAX_BYTES = 24 << 20
BODY = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n"
HELLO = bytes.fromhex("1603010200010001fc0303")  # of TLS, as far as it goes

KINDS: dict[str, bytes] = {
    "silent": b"",
    "half a head": b"POST /?Action=DescribeDataFlows HTTP/1.1\r\nhost: x\r\nx-slow: ",
    "half a body": BODY + b"x" * 3000,
    "half a handshake": HELLO,
}


@contextlib.contextmanager
def descriptors(count: int) -> Iterator[None]:
    """Leave to open so many; skips where the machine does not permit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"a process may open {hard} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def flood(service: RunningService, count: int, said: bytes) -> Iterator[list[socket.socket]]:
    """So many connections, on each of which this was said."""
    where = urlsplit(service.api)
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            one = socket.create_connection((where.hostname, where.port), timeout=30)
            sockets.append(one)
            with contextlib.suppress(OSError):  # it may have been hung up on already
                one.sendall(said)
        yield sockets
    finally:
        for one in sockets:
            one.close()


def open_files(service: RunningService) -> int:
    return len(os.listdir(f"/proc/{service.pid}/fd"))


def resident_bytes(service: RunningService) -> int:
    pages = int(Path(f"/proc/{service.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def has_at_most(service: RunningService, most_bytes: int) -> bool:
    return resident_bytes(service) <= most_bytes


def timed(calls: Sequence[Callable[[], object]]) -> list[float]:
    took_s = []
    for call in calls:
        watch = Stopwatch()
        call()
        took_s.append(watch.took_s())
    return took_s


def look(service: RunningService) -> None:
    """A signed call on a connection of its own."""
    with client_of(service) as client:
        assert client.call("DescribeDataFlows", {"FileSystemId": service.init["file_system_id"]})["RequestId"]


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("service", "kind"),
    [("http", "silent"), ("http", "half a head"), ("http", "half a body"), ("https", "half a handshake")],
    indirect=["service"],
)
def test_ten_thousand_strangers_lock_nobody_out(service: RunningService, kind: str) -> None:
    with descriptors(FLOOD + SPARE), client_of(service) as known:
        query = {"FileSystemId": service.init["file_system_id"]}
        known.call("DescribeDataFlows", query)
        files, memory = open_files(service), [resident_bytes(service)]
        for count, growth_max_bytes in ((FLOOD, GROWTH_MAX_BYTES), (AGAIN, AGAIN_MAX_BYTES)):
            with flood(service, count, KINDS[kind]):
                took_s = timed([lambda: look(service)] * CALLS)
                took_s += timed([lambda: known.call("DescribeDataFlows", query)])
                most = open_files(service)
            assert max(took_s) < CALL_MAX_S
            assert most <= CONNECTIONS_MAX + files + SPARE
            wait_until(lambda: open_files(service) <= files + 5, 60, "connections were not given back")
            # Giving back lasts a while, and is seen half done.
            is_given_back = partial(has_at_most, service, memory[-1] + growth_max_bytes)
            wait_until(is_given_back, 30, "memory was not given back")
            memory.append(resident_bytes(service))
            print(
                f"{count} x {kind}: {sorted(took_s)[CALLS // 2]:.3f} s a call, {max(took_s):.3f} s at most, {most} files open"
            )
        print(f"resident: {[each >> 20 for each in memory]} MiB")
        assert service.process.poll() is None


@pytest.mark.timeout(400)
def test_a_process_that_may_open_few_files_keeps_its_own(tmp_path: Path) -> None:
    """700 files: 188 connections, and room for databases, movers and stores."""
    home = tmp_path / "home"
    init_home(home)
    limited = ("/bin/sh", "-c", 'ulimit -n 700; exec "$0" "$@"')
    service = start_service(home, command=(*limited, *COMMAND))
    try:
        with descriptors(2000), flood(service, 1000, b""):
            assert open_files(service) < 600
            assert max(timed([lambda: look(service)] * CALLS)) < CALL_MAX_S
        look(service)
    finally:
        service.stop()
    assert "OSError" not in service.log_text()
