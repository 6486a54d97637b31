"""One HTTP connection of the emulator: uvicorn's own, with bounds on what a client may send and how long it may take to ask.

uvicorn keeps a head of any length, for any time, and hands it on when it is whole; the gateway's bounds come after that. Here a
head is refused while it arrives. Sends OSS's error documents; looks at no request that is whole.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from penstock.emulator.gateway import HEADERS_MAX_BYTES, URL_MAX_BYTES
from penstock.emulator.protocol.answer import http_time, refusal
from penstock.emulator.protocol.errors import OssFault

# Above the bounds of its parts, which the gateway judges: colons, blanks and ends of line are counted, too.
HEAD_MAX_BYTES = 2 * (HEADERS_MAX_BYTES + URL_MAX_BYTES)
HEAD_TIME_S = 30.0
CONNECTIONS_MAX = 768  # a shell allows 1,024 descriptors
TOLD_MAX = 128  # connections beyond them that are told so; more are cut off
PIPELINED_MAX = 256
LINGER_S = 2.0


class Connection(HttpToolsProtocol):
    """What uvicorn is given as `http`.

    `_unread_bytes` came since the parser last completed a head or handed over bytes of a body: what it holds, and nobody bounds
    otherwise, be it a head, the trailers behind a chunked body, or blank lines. It can exceed its bound by one read.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        new_token: Callable[[], str],
        clock: Callable[[], int],
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._new_token = new_token
        self._clock = clock
        self.url = b""
        self.headers = []
        self._unread_bytes = 0
        self._advanced = False
        self._head_due_s = math.inf
        self._deaf = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection too many is told so at once."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._head_due_s = self.loop.time() + HEAD_TIME_S
        if len(self.connections) > CONNECTIONS_MAX + TOLD_MAX:
            self._cut()
        elif len(self.connections) > CONNECTIONS_MAX:
            self._refuse(OssFault(503, "ServiceUnavailable", "Too many connections are open; close some."))

    def data_received(self, data: bytes) -> None:
        """Parses, then judges what the parser keeps of it."""
        if self._deaf:
            return  # read and dropped, so that the refusal is not lost in a reset of the connection
        self._advanced = False
        super().data_received(data)
        if self._advanced:
            self._unread_bytes, self._head_due_s = 0, math.inf
            return
        self._unread_bytes += len(data)
        if self._unread_bytes > HEAD_MAX_BYTES:
            self._refuse(self._too_long())
        elif self._head_due_s == math.inf and not self._answering:
            self._head_due_s = self.loop.time() + HEAD_TIME_S

    def on_headers_complete(self) -> None:
        """Hands the request on; whoever sends too many ahead of their answers is cut off (uvicorn would keep them all)."""
        self._advanced = True
        super().on_headers_complete()
        if len(self.pipeline) > PIPELINED_MAX:
            self._cut()
            raise ValueError("too many requests ahead of their answers")  # ends the parsing

    def on_body(self, body: bytes) -> None:
        """Part of a body came."""
        self._advanced = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request's last byte came."""
        self._advanced = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  the library's words
        """What came is no HTTP, or its URL is longer than the library can read."""
        if not self._deaf:
            whole = len(self.url) <= URL_MAX_BYTES
            self._refuse(OssFault(400, "BadRequest", "This is no HTTP request.") if whole else self._too_long())

    def sweep(self, now_s: float) -> None:
        """End the connection if its head is overdue. `now_s` is the loop's time; called about once a second."""
        if now_s <= self._head_due_s or self._deaf:
            return
        if self._unread_bytes == 0:
            self.transport.close()  # nothing was asked: there is nothing to say
        else:
            self._refuse(OssFault(400, "RequestTimeout", "The request's head did not arrive in time."))

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _too_long(self) -> OssFault:
        if len(self.url) > URL_MAX_BYTES:
            return OssFault(414, "RequestURITooLong", "The URL is too long.")
        return OssFault(400, "RequestHeaderSectionTooLarge", f"The headers have more than {HEADERS_MAX_BYTES} bytes.")

    def _cut(self) -> None:
        self._deaf = True
        self.transport.abort()

    def _refuse(self, fault: OssFault) -> None:
        """Answer and hang up: what follows cannot be told from the rest of this. Amid another answer, only hang up."""
        if self._answering:
            self._cut()
            return
        self._deaf = True
        self._unset_keepalive_if_required()
        if self.transport.is_closing():
            return
        request_id = self._new_token()[:24]
        answer = refusal(fault, request_id=request_id, host="", method="GET")
        headers = {
            "Server": "AliyunOSS",
            "Date": http_time(self._clock()),
            "x-oss-request-id": request_id,
            **answer.headers,
            "Content-Length": str(len(answer.body)),
            "Connection": "close",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        first = f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}\r\n{lines}"
        self.transport.write(first.encode("latin-1") + b"\r\n" + answer.body)
        self.transport.write_eof()
        self.headers.clear()
        self.url = b""
        self.parser = cast("Any", None)  # what it holds is let go, as the library does it
        self.loop.call_later(LINGER_S, self.transport.abort)
