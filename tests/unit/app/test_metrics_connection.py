"""Do those who read the metrics get them, whatever strangers do on the same listener, and what do those cost?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus
from typing import cast

import pytest

from penstock.app import metrics_connection
from penstock.app.metrics_connection import CONNECTIONS_MAX, HEAD_MAX_BYTES, MetricsConnection
from penstock.app.metrics_page import metrics_server
from tests.fixtures.waiting import seen_until

pytestmark = pytest.mark.anyio

ASKED = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"
PATIENCE_S = 60.0

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Page:
    """A page that says what it was asked, once the gate is open."""

    content_type = "text/plain"

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = 0
        self.filling = b""

    async def answer(self, method: str, path: str) -> tuple[HTTPStatus, bytes]:
        self.asked += 1
        await self.gate.wait()
        return HTTPStatus.OK, self.filling + f"{method} {path}".encode()


class Listener:
    """A real server of the page."""

    def __init__(self) -> None:
        self.page = Page()
        self.server = metrics_server(self.page)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    @property
    def connections(self) -> set[MetricsConnection]:
        return cast("set[MetricsConnection]", self.server.server_state.connections)

    async def open(self, sent: bytes = b"") -> Ends:
        """A connection on which this was sent, once the server has it."""
        before = set(self.connections)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        await seen_until(lambda: self.connections - before, PATIENCE_S, "nobody takes the connection")
        return reader, writer

    async def ask(self, sent: bytes) -> tuple[str, str]:
        """First line and body of the answer to this."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        answer = await heard(reader)
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        return head.partition(b"\r\n")[0].decode(), body.decode()


async def heard(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server hangs up."""
    async with asyncio.timeout(PATIENCE_S):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener()
    serving = asyncio.create_task(listener.server.serve(sockets=[listener.socket]))
    await seen_until(lambda: listener.server.started, PATIENCE_S, "it does not start")
    yield listener
    listener.page.gate.set()
    listener.server.should_exit = True
    await serving
    assert not listener.server.server_state.tasks


@pytest.mark.parametrize(
    ("sent", "line", "body"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK", "GET /metrics"),
        (b"GET /other?a=1 HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK", "GET /other"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK", ""),
        (b"nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request", ""),
        (b"GET /metrics HTTP/2\r\n\r\n", "HTTP/1.1 400 Bad Request", ""),
        (b"\x16\x03\x01\r\n\r\n", "HTTP/1.1 400 Bad Request", ""),
    ],
)
async def test_each_connection_is_answered_once(listener: Listener, sent: bytes, line: str, body: str) -> None:
    assert await listener.ask(sent) == (line, body)


async def test_a_head_may_come_in_single_bytes(listener: Listener) -> None:
    reader, writer = await listener.open()
    for byte in ASKED:
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await heard(reader)).endswith(b"\r\n\r\nGET /metrics")
    writer.close()


async def test_heads_are_bounded_and_not_kept(listener: Listener) -> None:
    _, writer = await listener.open(ASKED[:-2])
    (connection,) = listener.connections
    line = b"x: " + b"y" * 1000 + b"\r\n"
    with suppress(ConnectionError):
        for _ in range(1000):
            writer.write(line)
            await writer.drain()
            assert len(connection._head) <= HEAD_MAX_BYTES
    await seen_until(lambda: not listener.connections, PATIENCE_S, "it is not hung up on")
    assert not connection._head
    assert listener.page.asked == 0
    writer.close()


async def test_who_sends_too_long_a_head_hears_so(listener: Listener) -> None:
    line, _ = await listener.ask(b"GET /metrics HTTP/1.1\r\nx: " + b"y" * HEAD_MAX_BYTES)
    assert line == "HTTP/1.1 431 Request Header Fields Too Large"


async def test_silent_callers_do_not_lock_out_the_scraper(listener: Listener) -> None:
    silent = [await listener.open(b"GET /met" * (number % 2)) for number in range(CONNECTIONS_MAX)]
    assert len(listener.connections) == CONNECTIONS_MAX
    assert await listener.ask(ASKED) == ("HTTP/1.1 200 OK", "GET /metrics")
    assert await heard(silent[0][0]) == b"", "it waited longest"
    assert len(listener.connections) == CONNECTIONS_MAX - 1
    for _, writer in silent:
        writer.close()


async def test_what_is_asked_already_does_not_give_way(listener: Listener) -> None:
    listener.page.gate.clear()
    asked = [await listener.open(ASKED) for _ in range(CONNECTIONS_MAX)]
    await seen_until(lambda: listener.page.asked == CONNECTIONS_MAX, PATIENCE_S, "not all are asked")
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    assert await heard(reader) == b"", "one too many"
    writer.close()
    listener.page.gate.set()
    for reader, writer in asked:
        assert (await heard(reader)).endswith(b"GET /metrics")
        writer.close()


@pytest.mark.parametrize("sent", [b"", ASKED[:-2]])
async def test_a_head_that_does_not_come_is_not_waited_for(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(metrics_connection, "HEAD_TIME_S", 0.05)
    reader, writer = await listener.open(sent)
    assert await heard(reader) == b""
    assert not listener.connections
    writer.close()


async def test_an_answer_that_is_not_fetched_is_not_kept(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_connection, "FETCH_TIME_S", 0.05)
    listener.page.filling = b"x" * (32 << 20)
    _, writer = await listener.open(ASKED)
    cast("asyncio.Transport", writer.transport).pause_reading()
    await seen_until(lambda: listener.page.asked and not listener.connections, PATIENCE_S, "it is waited for")
    writer.transport.abort()


async def test_what_is_asked_when_the_server_ends_is_answered(listener: Listener) -> None:
    listener.page.gate.clear()
    idle, idle_writer = await listener.open()
    asked, writer = await listener.open(ASKED)
    await seen_until(lambda: listener.page.asked, PATIENCE_S, "it is not asked")
    listener.server.should_exit = True
    assert await heard(idle) == b""
    listener.page.gate.set()
    assert (await heard(asked)).endswith(b"GET /metrics")
    writer.close()
    idle_writer.close()
