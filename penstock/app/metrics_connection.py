"""One connection of whoever reads the metrics: one short head in, one answer out, and closed.

What uvicorn would put here keeps heads of any length for any time, in the process that serves the API. Anybody who reaches the
listener may ask, so everything is bounded: the head, the time for it and for fetching the answer, and the connections. Calls
`MetricsPage`; never looks at more than the request's first line.
"""

from __future__ import annotations

import asyncio
import math
from http import HTTPStatus
from typing import Any, Protocol, cast

from uvicorn import Config
from uvicorn.server import ServerState

HEAD_MAX_BYTES = 16 << 10
HEAD_TIME_S = 5.0
FETCH_TIME_S = 10.0
CONNECTIONS_MAX = 32

_END = b"\r\n\r\n"
_HEAD = "HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n"


class Page(Protocol):
    """What is asked."""

    content_type: str

    async def answer(self, method: str, path: str) -> tuple[HTTPStatus, bytes]:
        """Status and body of the answer to this."""


class MetricsConnection(asyncio.Protocol):
    """What uvicorn is given as `http`; its application is the `Page`.

    When all connections are taken, the one that has waited longest for its caller gives way: so nobody can lock out the
    scraper by connecting and saying nothing, or by fetching nothing.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # noqa: ARG002  uvicorn gives it
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._page = cast("Page", config.loaded_app)
        self._server = server_state
        self._connections = cast("set[MetricsConnection]", server_state.connections)
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self.waits_since_s = math.inf  # for its caller; infinite while it does not
        self._timer: asyncio.TimerHandle | None = None
        self._head = bytearray()
        self._asked = False
        self._task: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------------------------------------------ the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if len(self._connections) >= CONNECTIONS_MAX and not self._somebody_gives_way():
            self._asked = True
            self._transport.abort()
            return
        self._connections.add(self)
        self._wait_for_caller(HEAD_TIME_S)

    def data_received(self, data: bytes) -> None:
        if self._asked:
            return  # there is one request a connection
        searched = max(0, len(self._head) - len(_END) + 1)
        self._head += data
        end = self._head.find(_END, searched)
        if (end if end >= 0 else len(self._head)) > HEAD_MAX_BYTES:
            self._begin(self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))
        elif end >= 0:
            self._begin(self._answer(bytes(self._head.partition(b"\r\n")[0])))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._connections.discard(self)
        self._asked = True
        self._stop_timer()

    def shutdown(self) -> None:
        """The server ends: what is asked already is answered."""
        if self._task is None:
            self._transport.abort()

    # ------------------------------------------------------------------------------------------------------------- answers

    def _begin(self, answering: Any) -> None:
        self._asked = True
        self._head = bytearray()
        self._stop_timer()  # it is ours to be in time now
        self._transport.pause_reading()
        self._task = task = self._loop.create_task(answering)
        self._server.tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        self._server.tasks.discard(task)
        if task.cancelled() or task.exception() is not None:
            self._transport.abort()  # the service ends, or a defect of ours: nobody is left waiting

    async def _answer(self, line: bytes) -> None:
        method, _, rest = line.decode("latin-1").partition(" ")
        target, _, version = rest.partition(" ")
        if version not in ("HTTP/1.0", "HTTP/1.1"):
            await self._refuse(HTTPStatus.BAD_REQUEST)
            return
        status, body = await self._page.answer(method, target.partition("?")[0])
        self._write(status, body, bodiless=method == "HEAD")

    async def _refuse(self, status: HTTPStatus) -> None:
        self._write(status, b"", bodiless=True)

    def _write(self, status: HTTPStatus, body: bytes, *, bodiless: bool) -> None:
        if self._transport.is_closing():
            return
        head = (_HEAD % (status, status.phrase, self._page.content_type, len(body))).encode("ascii")
        usual = b"".join([b"%b: %b\r\n" % header for header in self._server.default_headers])
        self._transport.write(head + usual + b"\r\n" + (b"" if bodiless else body))
        self._wait_for_caller(FETCH_TIME_S)
        self._transport.close()  # once it is fetched

    # ---------------------------------------------------------------------------------------------------------------- time

    def _wait_for_caller(self, seconds: float) -> None:
        self.waits_since_s = self._loop.time()
        self._timer = self._loop.call_later(seconds, self._transport.abort)

    def _stop_timer(self) -> None:
        self.waits_since_s = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def give_way(self) -> None:
        """End at once, and be forgotten now: the transport tells of its end only later."""
        self._connections.discard(self)
        self._transport.abort()

    def _somebody_gives_way(self) -> bool:
        longest = min(self._connections, key=lambda one: one.waits_since_s)
        if longest.waits_since_s == math.inf:
            return False
        longest.give_way()
        return True
