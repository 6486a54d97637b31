"""Can strangers crowd out a caller whose requests are signed, with bodies that they never finish, or that are long to read?"""

from __future__ import annotations

import json
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from penstock.api.options import ApiOptions
from penstock.model import AccessKey
from tests.fixtures.apicaller import FILE_SYSTEM, OWNER
from tests.fixtures.apiserver import ApiServer, serving
from tests.fixtures.signing import v1_parameters, v3_headers
from tests.fixtures.waiting import wait_until

EACH_BYTES = 45_000
LONG = b"x" * 65_536
ESCAPES = b"SubTasks=" + b"%41" * (((4 << 20) - 9) // 3)
QUICK_S = 0.25  # half the time; while all of it was decoded for everybody: seconds
CALLS = 30
IMPOSTOR = AccessKey(access_key_id=OWNER.access_key_id, secret="guessed")
NOBODY = AccessKey(access_key_id="LTAI-nobody", secret="nothing")

Headers = dict[str, str]


def plain(_: ApiServer) -> Headers:
    return {}


def signed_by(server: ApiServer, key: AccessKey) -> Headers:
    return v3_headers(
        {},
        LONG,
        action="CreateDataFlowSubTasks",
        nonce=server.nonce(),
        now_ns=server.now_ns(),
        signer=server.signer(key),
    )


def ours(server: ApiServer) -> Headers:
    return signed_by(server, OWNER)


def impostor(server: ApiServer) -> Headers:
    return signed_by(server, IMPOSTOR)


def nobody(server: ApiServer) -> Headers:
    return signed_by(server, NOBODY)


def overheard() -> Callable[[ApiServer], Headers]:
    """Everybody sends the head of one call that was really signed."""
    kept: Headers = {}

    def head(server: ApiServer) -> Headers:
        kept.update(kept or signed_by(server, OWNER))
        return kept

    return head


def target(server: ApiServer, kind: str) -> str:
    if kind != "older":
        return "/"
    signed = v1_parameters({}, nonce=server.nonce(), now_ns=server.now_ns(), signer=server.signer(OWNER))
    return "/?" + "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in signed.items())


@contextmanager
def crowd(server: ApiServer, count: int, kind: str) -> Iterator[list[socket.socket]]:
    """So many connections, each with a body that begins and does not end."""
    headers = {"ours": ours, "impostor": impostor, "nobody": nobody, "overheard": overheard()}.get(kind, plain)
    with ExitStack() as stack:
        sockets = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            said = {"host": server.host, **headers(server), "content-length": str(len(LONG))}
            lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
            one.sendall(f"POST {target(server, kind)} HTTP/1.1\r\n{lines}\r\n".encode() + LONG[:EACH_BYTES])
            sockets.append(one)
        yield sockets


def bulk(server: ApiServer, flow: str, task: str, name: str) -> dict[str, str]:
    """A call of a thousand files with long names: half a megabyte, eleven times what each of the crowd has sent."""
    sources, targets = ([f"/{name}-{number}-{letter * 200}" for number in range(1000)] for letter in "st")
    entries = [{"SrcFilePath": source, "DstFilePath": aim} for source, aim in zip(sources, targets, strict=True)]
    ids = {"FileSystemId": FILE_SYSTEM, "DataFlowId": flow, "DataFlowTaskId": task}
    return ids | {"SubTasks": json.dumps(entries)}


@pytest.mark.parametrize(
    ("kind", "count", "bound_bytes"),
    [
        ("plain", 1600, 64 << 20),
        ("plain", 60, 2 << 20),
        ("impostor", 60, 2 << 20),
        ("nobody", 60, 2 << 20),
        ("overheard", 60, 2 << 20),
        ("older", 60, 2 << 20),
    ],
)
def test_a_signed_bulk_call_passes_a_crowd_of_strangers(
    tmp_path: Path, kind: str, count: int, bound_bytes: int
) -> None:
    assert count * EACH_BYTES > bound_bytes, "so that the room is full"
    with serving(tmp_path, ApiOptions(bodies_max_bytes=bound_bytes, body_time_s=60.0)) as server:
        flow = server.make_flow()
        task = server.make_stream(flow)
        with crowd(server, count, kind) as sockets:
            full = bound_bytes - 2 * EACH_BYTES
            wait_until(lambda: server.api.bodies.held_bytes >= full, 30, "the crowd did not fill the room")
            for number in range(3):
                response = server.ask_form("CreateDataFlowSubTasks", bulk(server, flow, task, f"call{number}"))
                assert response.status == 200, response.text
                assert response.body["RefusedCount"] == 0
            assert server.api.bodies.held_bytes <= bound_bytes
            refused = [one for one in sockets if b"503" in peeked(one)]
            assert len(refused) >= (count * EACH_BYTES - bound_bytes) // EACH_BYTES, "room was made among the crowd"
        wait_until(lambda: server.api.bodies.held_bytes == 0, 30, "bodies were not given back")


def peeked(one: socket.socket) -> bytes:
    """What has come on a connection, or nothing."""
    one.setblocking(False)
    try:
        return one.recv(64, socket.MSG_PEEK)
    except BlockingIOError:
        return b""
    except ConnectionError:
        return b"503"  # hung up on while it was sending


def test_callers_of_ours_share_the_room_among_themselves(tmp_path: Path) -> None:
    """Where nobody is a stranger the largest has to come again, and a client that does is served."""
    with serving(tmp_path, ApiOptions(bodies_max_bytes=1 << 20, body_time_s=60.0)) as server:
        flow = server.make_flow()
        task = server.make_stream(flow)
        with crowd(server, 23, "ours"):
            wait_until(lambda: server.api.bodies.held_bytes >= 22 * EACH_BYTES, 30, "they did not come")
            response = server.ask_form("CreateDataFlowSubTasks", bulk(server, flow, task, "a"))
            assert (response.status, response.code) == (503, "ServiceUnavailable")
            assert response.headers["x-acs-retry-after"] == "1"
        wait_until(lambda: server.api.bodies.held_bytes == 0, 30, "bodies were not given back")
        assert server.ask_form("CreateDataFlowSubTasks", bulk(server, flow, task, "a")).status == 200


def repeated(server: ApiServer, headers: Headers, body: bytes, stop: threading.Event) -> tuple[int, set[bytes]]:
    """Send this again and again, each time once the last was answered: how often that was, and the answers' first lines."""
    said = {"host": server.host, **headers, "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    request = f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + body
    count, answers = 0, set()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as one:
        while not stop.is_set():
            one.sendall(request)
            answers.add(one.recv(65_536).partition(b"\r\n")[0])
            count += 1
    return count, answers


def older_body(server: ApiServer, key: AccessKey, size_bytes: int) -> bytes:
    """Of somebody who knows the name of a key, or makes it up, and signs by guessing."""
    signed = v1_parameters({}, action="DescribeDataFlows", nonce="n", now_ns=server.now_ns(), signer=server.signer(key))
    start = urlencode(signed).encode() + b"&X="
    return start + b"%22a" * ((size_bytes - len(start)) // 4)


BODIES: dict[str, Callable[[ApiServer], bytes]] = {
    "plain": lambda _: ESCAPES,
    "impostor": lambda _: ESCAPES,
    "older, too long": lambda server: older_body(server, IMPOSTOR, 4 << 20),
    "older": lambda server: older_body(server, IMPOSTOR, 256 << 10),
    "older, unknown": lambda server: older_body(server, NOBODY, 256 << 10),
}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("plain", b"413"),
        ("impostor", b"400"),
        ("older, too long", b"413"),
        ("older", b"400"),
        ("older, unknown", b"404"),
    ],
)
def test_whoever_has_long_bodies_decoded_for_nobody_keeps_nobody_waiting(
    tmp_path: Path, kind: str, status: bytes
) -> None:
    with serving(tmp_path) as server, ThreadPoolExecutor(4) as pool:
        headers = impostor(server) if kind == "impostor" else {}
        body = BODIES[kind](server)
        stop = threading.Event()
        strangers = [pool.submit(repeated, server, headers, body, stop) for _ in range(4)]
        took_s = []
        try:
            for _ in range(CALLS):
                began_s = time.perf_counter()
                assert server.ask("DescribeDataFlows", {"FileSystemId": FILE_SYSTEM}).status == 200
                took_s.append(time.perf_counter() - began_s)
        finally:
            stop.set()
        for stranger in strangers:
            count, answers = stranger.result(60)
            assert count >= (1 if kind == "older" else 2)  # those are read in turns, with rests
            assert {answer.split()[1] for answer in answers} == {status}
        print(f"{statistics.median(took_s):.3f} s a call")
        assert statistics.median(took_s) < QUICK_S, took_s
