"""What becomes of callers who drip, and of those who send more than anybody may, while others want to be answered?"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.api.options import ApiOptions
from tests.fixtures.apartserver import ApartServer, serving_apart
from tests.fixtures.apicaller import FILE_SYSTEM, ApiCaller
from tests.fixtures.apiserver import ApiServer, serving
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.waiting import wait_until

HURRIED = ApiOptions(head_time_s=1.0, body_time_s=1.0, keep_alive_s=2.0, linger_s=0.5)
DRIPPERS = 200
LARGE = 50
CALL_MAX_S = 8.0  # one after another they would be heard for a second each
GROWTH_MAX_BYTES = 128 << 20
"""Of the 650 MiB that are sent. What 50 bodies had at one moment, up to their bounds, malloc does not give back at once."""

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"
DRIPS: dict[str, tuple[bytes, bytes]] = {
    "a first line": (b"POST /?", b"x"),
    "headers": (HEAD + b"x-slow: ", b"x"),
    "many headers": (HEAD, b"x: y\r\n"),
    "a body": (HEAD + b"content-length: 60000\r\n\r\n", b"x"),
    "chunks": (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "trailers": (HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n"),
    "nothing after an answer": (HEAD + b"content-length: 0\r\n\r\n", b""),
}
TOO_LARGE: dict[str, tuple[bytes, bytes, bytes]] = {
    "a first line": (b"POST /?", b"x" * 65_536, b"414|431"),
    "one header": (HEAD + b"x: ", b"x" * 65_536, b"431"),
    "many headers": (HEAD, b"x: y\r\n" * 10_000, b"431"),
    "an announced body": (HEAD + b"content-length: 999999999999\r\n\r\n", b"x" * 65_536, b"413"),
    "chunks": (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65_536 + b"\r\n", b"413|503"),
    "what frames chunks": (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1;" + b"x" * 65_536 + b"\r\nx\r\n", b"413"),
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with serving(tmp_path, HURRIED) as hurried:
        yield hurried


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApartServer]:
    """In a process of its own: this one's memory tells of those who send, and of all the tests before."""
    with serving_apart(tmp_path_factory.mktemp("apart"), HURRIED) as hurried:
        asked_meanwhile(hurried, iter([True, False]).__next__)
        yield hurried


def asked_meanwhile(server: ApiCaller, go_on: Callable[[], bool]) -> float:
    """Call again and again while others do what they do; how long the slowest call took."""
    slowest_s = 0.0
    while go_on():
        watch = Stopwatch()
        status = server.ask("DescribeDataFlows", {"FileSystemId": FILE_SYSTEM}).status
        assert status == 200 or (status == 408 and watch.stood_s() > 0), (
            "everybody is late when the machine stands still"
        )
        slowest_s = max(slowest_s, watch.took_s())
    return slowest_s


@pytest.mark.parametrize("kind", DRIPS)
def test_who_drips_is_hung_up_on_and_holds_up_nobody(server: ApiServer, kind: str) -> None:
    begin, drip = DRIPS[kind]
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            for _ in range(DRIPPERS)
        ]
        open_ones = set(sockets)

        def dripping() -> bool:
            """A drop on each connection that takes one."""
            for one in list(open_ones):
                try:
                    one.sendall(drip)
                except OSError:
                    open_ones.discard(one)
            return len(server.api.crowd) > 1  # one may be that of the call before

        for one in sockets:
            one.sendall(begin)
        until_s = time.monotonic() + 30
        slowest_s = asked_meanwhile(server, lambda: dripping() and time.monotonic() < until_s)
        wait_until(lambda: len(server.api.crowd) == 0, 30, "they did not go")
    print(f"{slowest_s:.3f} s a call at most")
    assert slowest_s < CALL_MAX_S
    assert server.api.bodies.held_bytes == 0


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_who_sends_too_much_is_refused_and_not_kept(apart: ApartServer, kind: str) -> None:
    begin, more, statuses = TOO_LARGE[kind]
    answers: list[bytes] = []

    def send() -> None:
        with socket.create_connection(("127.0.0.1", apart.port), timeout=30) as one:
            with contextlib.suppress(OSError):  # it hangs up before it has heard all
                one.sendall(begin)
                for _ in range(200):
                    one.sendall(more)
            with contextlib.suppress(OSError):
                answers.append(one.recv(64))

    before = apart.figures()
    senders = [threading.Thread(target=send) for _ in range(LARGE)]
    for sender in senders:
        sender.start()
    slowest_s = asked_meanwhile(apart, lambda: any(sender.is_alive() for sender in senders))
    print(f"{slowest_s:.3f} s a call at most")
    assert slowest_s < CALL_MAX_S
    told = [answer.split()[1] for answer in answers if answer]
    assert told, "the refusal is heard by some at least"
    assert set(told) <= {*statuses.split(b"|"), b"408"}, "too large, or too slow on a busy machine"
    wait_until(lambda: apart.figures().connections == 0, 30, "they are still there")
    after = apart.figures()
    print(f"resident: {before.resident_bytes >> 20} and then {after.resident_bytes >> 20} MiB")
    assert after.body_bytes == 0
    assert after.resident_bytes - before.resident_bytes < GROWTH_MAX_BYTES
