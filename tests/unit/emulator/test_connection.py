"""How long a connection of the emulator waits for a head, and how many there may be; against a transport that only notes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from penstock.emulator.connection import CONNECTIONS_MAX, HEAD_TIME_S, TOLD_MAX, Connection

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class NotingTransport:
    """Takes what is written, and notes how it ended."""

    def __init__(self) -> None:
        self.written = b""
        self.end = ""

    def write(self, data: bytes) -> None:
        self.written += data

    def write_eof(self) -> None:
        self.end = "half closed"

    def close(self) -> None:
        self.end = "closed"

    def abort(self) -> None:
        self.end = "cut"

    def is_closing(self) -> bool:
        return self.end in {"closed", "cut"}

    def get_extra_info(self, _: str) -> None:
        return None

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def hello(_: Any, __: Any, send: Callable[..., Any]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def connected(state: ServerState) -> tuple[Connection, NotingTransport]:
    connection = Connection(
        Config(hello, ws="none", log_config=None), state, {}, new_token=lambda: "A" * 32, clock=lambda: 0
    )
    transport = NotingTransport()
    connection.connection_made(transport)  # type: ignore[arg-type]
    return connection, transport


async def test_a_head_has_to_arrive_in_time() -> None:
    for pieces, end in [((), "closed"), ((b"GET / HT",), "half closed"), ((b"\r\n", b"\r\n"), "half closed")]:
        connection, transport = connected(ServerState())
        for piece in pieces:
            connection.data_received(piece)
        connection.sweep(connection.loop.time() + HEAD_TIME_S - 1)
        assert transport.end == ""
        connection.sweep(connection.loop.time() + HEAD_TIME_S + 1)
        assert transport.end == end
        assert transport.written.startswith(b"HTTP/1.1 400 Bad Request\r\n") == bool(pieces)
        assert (b"<Code>RequestTimeout</Code>" in transport.written) == bool(pieces)


async def test_a_body_may_take_longer_and_a_kept_connection_too() -> None:
    connection, transport = connected(ServerState())
    connection.data_received(b"PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")
    connection.sweep(connection.loop.time() + 100 * HEAD_TIME_S)
    assert transport.end == ""
    connection.data_received(b"defghi")
    (task,) = connection.tasks
    await task
    assert transport.written.startswith(b"HTTP/1.1 200 OK")
    connection.sweep(connection.loop.time() + HEAD_TIME_S + 1)
    assert transport.end == ""  # the library's own time for idle connections runs
    connection.data_received(b"GET")
    connection.sweep(connection.loop.time() + HEAD_TIME_S + 1)
    assert transport.end == "half closed"


async def test_connections_are_numbered() -> None:
    state = ServerState()
    crowd = [connected(state) for _ in range(CONNECTIONS_MAX)]
    assert {transport.end for _, transport in crowd} == {""}
    beyond = [connected(state)[1] for _ in range(TOLD_MAX)]
    assert {transport.end for transport in beyond} == {"half closed"}
    assert all(b"503 Service Unavailable" in transport.written for transport in beyond)
    assert connected(state)[1].end == "cut"
