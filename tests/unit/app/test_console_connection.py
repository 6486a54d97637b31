"""Do visitors' connections have an end: heads that never do, answers that nobody fetches, handshakes, and how many there are?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from penstock.app import console_server, serving
from penstock.app.console_server import ConsoleServer, Door
from penstock.app.making import Tls
from penstock.app.serving import Server
from penstock.console import connection
from penstock.console.connection import VisitorConnection
from tests.fixtures.service import init_home
from tests.fixtures.waiting import seen_until

pytestmark = pytest.mark.anyio

SHORT_S = 0.2
PATIENCE_S = 30.0
LARGE_BYTES = 32 << 20
ASKED = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], object]


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """A few bytes at /, very many elsewhere."""
    body = b"here" if scope["path"] == "/" else bytes(LARGE_BYTES)
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def served(server: uvicorn.Server) -> AsyncIterator[int]:
    """A real listener of the server; its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    serving_it = asyncio.create_task(server.serve(sockets=[listening]))
    await seen_until(lambda: server.started, PATIENCE_S, "it does not start")
    yield int(listening.getsockname()[1])
    server.should_exit = True
    await serving_it


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Of a listener whose times are short, and which takes three."""
    monkeypatch.setattr(connection, "HEAD_TIME_S", SHORT_S)
    monkeypatch.setattr(connection, "FETCH_TIME_S", SHORT_S)
    monkeypatch.setattr(connection, "CONNECTIONS_MAX", 3)
    config = serving.config(application, grace_s=1, http=VisitorConnection, interface="asgi3", timeout_keep_alive=60)
    async with served(Server(config)) as port:
        yield port


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server hangs up."""
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionResetError):
            return await reader.read()
    return b""


async def answered(ends: Ends) -> bytes:
    """The answer to one more request on this connection."""
    ends[1].write(ASKED)
    async with asyncio.timeout(PATIENCE_S):
        return await ends[0].readuntil(b"here")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHo"])
async def test_a_head_that_never_ends_is_hung_up_on(port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    assert await rest(reader) == b""
    writer.close()


async def test_a_head_has_no_more_time_because_it_drips(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nX: ")
    dripping = asyncio.create_task(_drip(writer))
    assert await rest(reader) == b""
    dripping.cancel()
    writer.close()


async def _drip(writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(SHORT_S / 20)  # house: how a slow sender sends, nothing is waited for


async def test_the_next_head_on_a_connection_has_an_end_too_and_a_pause_before_it_has_not(port: int) -> None:
    ends = await asyncio.open_connection("127.0.0.1", port)
    other = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        assert (await answered(ends)).startswith(b"HTTP/1.1 200")
        assert await rest(other[0]) == b"", "by then a head of before would have been late"
    ends[1].write(ASKED[:9])
    assert await rest(ends[0]) == b""
    for _, writer in (ends, other):
        writer.close()


async def test_what_nobody_fetches_is_not_kept(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(ASKED.replace(b"/ ", b"/large ", 1))
    await seen_until(reader._buffer.__len__, PATIENCE_S, "nothing is answered")  # type: ignore[attr-defined]
    transport = writer.transport
    await seen_until(lambda: not reader._transport.is_reading(), PATIENCE_S, "it reads on")  # type: ignore[attr-defined]
    late = await asyncio.open_connection("127.0.0.1", port)
    assert await rest(late[0]) == b"", "the time for a head is the time for fetching here"
    fetched = await rest(reader)
    assert 0 < len(fetched) < LARGE_BYTES
    transport.abort()
    late[1].close()


async def test_no_more_are_let_in_than_there_is_room_for(port: int) -> None:
    first = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    for ends in first:
        await answered(ends)
    one_more = await asyncio.open_connection("127.0.0.1", port)
    assert (await rest(one_more[0])).startswith(b"HTTP/1.1 503 ")
    for _, writer in (first.pop(), one_more):
        writer.close()

    async def let_in() -> bool:
        ends = await asyncio.open_connection("127.0.0.1", port)
        ends[1].write(ASKED)
        head = await ends[0].readline()
        ends[1].close()
        return head.startswith(b"HTTP/1.1 200")

    async with asyncio.timeout(PATIENCE_S):
        while not await let_in():
            continue
    for ends in first:
        assert (await answered(ends)).startswith(b"HTTP/1.1 200"), "those who were there notice nothing"
        ends[1].close()


async def test_a_handshake_that_never_ends_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_server, "HANDSHAKE_TIME_S", SHORT_S)
    init_home(tmp_path / "home", tls=Tls.LOCAL)
    tls = tmp_path / "home" / "tls"
    config = serving.config(
        application,
        grace_s=1,
        http=Door,
        interface="asgi3",
        ssl_certfile=tls / "server.pem",
        ssl_keyfile=tls / "server.key",
    )
    config.load()

    def nobody() -> None:
        raise AssertionError("nobody has shaken hands")

    async with served(ConsoleServer(config, nobody, asyncio.Event())) as port:  # type: ignore[arg-type]
        for sent in (b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            assert b"200" not in await rest(reader)
            writer.close()
