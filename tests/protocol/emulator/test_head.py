"""Does whoever sends a head without end, or none, cost the emulator more than a little? Asked by bare sockets."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.fixtures.emulator import EmulatorServer
from tests.protocol.emulator.wire import TIMEOUT_S, Reply, send

MIB = 1 << 20
FLOOD_BYTES = 64 * MIB
GROWTH_MAX_BYTES = 24 * MIB
BLOCK_BYTES = 64 << 10

_GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
_LINES = b"".join(b"x-oss-meta-%d: a\r\n" % number for number in range(4000))
_CHUNKED = b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"


def dial(server: EmulatorServer) -> socket.socket:
    parts = urlsplit(server.endpoint)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=TIMEOUT_S)


def resident_bytes(server: EmulatorServer) -> int:
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * 4096


def flood(connected: socket.socket, first: bytes, more: bytes) -> int:
    """Send until nobody takes it, and never more than FLOOD_BYTES; how much went out."""
    block = more * (BLOCK_BYTES // len(more) + 1)
    sent = 0
    try:
        for piece in itertools.chain([first], itertools.repeat(block, FLOOD_BYTES // len(block))):
            connected.sendall(piece)
            sent += len(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return sent


def reply_on(connected: socket.socket) -> Reply:
    answer = http.client.HTTPResponse(connected, method="GET")
    answer.begin()
    body = answer.read()
    return Reply(status=answer.status, headers={n.lower(): v for n, v in answer.getheaders()}, body=body)


def told(connected: socket.socket, sent: bytes) -> Reply:
    """The refusal of what is no more than it needs to be: it arrives whole, and the connection ends behind it."""
    connected.sendall(sent)
    reply = reply_on(connected)
    assert connected.recv(1) == b""
    assert reply.headers["connection"] == "close"
    assert len(reply.headers["x-oss-request-id"]) == 24
    return reply


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (_GET + _LINES * 4, 400, "RequestHeaderSectionTooLarge"),
        (_GET + b"x-oss-meta-a: " + b"a" * 300_000, 400, "RequestHeaderSectionTooLarge"),
        (_GET + b"a" * 300_000, 400, "RequestHeaderSectionTooLarge"),
        (b"GET /" + b"a" * 300_000, 414, "RequestURITooLong"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "RequestURITooLong"),
        (b"\x16\x03\x01 nonsense\r\n\r\n", 400, "BadRequest"),
    ],
    ids=["lines", "value", "name", "url", "whole-url", "nonsense"],
)
def test_a_head_too_long_is_refused_while_it_arrives(
    emulator: EmulatorServer, sent: bytes, status: int, code: str
) -> None:
    with dial(emulator) as connected:
        reply = told(connected, sent)
    assert (reply.status, reply.code) == (status, code)


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (_GET, b"a: b\r\n"),
        (_GET + b"a: ", b"b" * 1024),
        (b"GET /", b"a" * 1024),
        (b"", b"\r\n"),
        (_CHUNKED, b"a: b\r\n"),
        (_CHUNKED + b"a: ", b"b" * 1024),
        (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ],
    ids=["lines", "value", "url", "blank-lines", "trailers", "trailer", "pipeline"],
)
def test_a_flood_costs_little_memory(emulator: EmulatorServer, first: bytes, more: bytes) -> None:
    before = resident_bytes(emulator)
    with dial(emulator) as connected:
        connected.settimeout(5)  # a pipeline is not read further while it is answered
        with contextlib.suppress(TimeoutError):
            flood(connected, first, more)
        assert resident_bytes(emulator) - before < GROWTH_MAX_BYTES
    assert send(emulator, "GET").status == 200


def test_what_is_just_short_enough_is_judged_as_ever(emulator: EmulatorServer) -> None:
    with dial(emulator) as connected:
        connected.sendall(_GET + b"x-a: " + b"a" * 60_000)
        connected.sendall(b"\r\n\r\n")
        assert reply_on(connected).status == 403
        for piece in (b"\r\n", b"GET /nobody/k HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n"):
            connected.sendall(piece)
        assert reply_on(connected).status in {403, 404}
