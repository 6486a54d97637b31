"""A visitor's connection: uvicorn's, with bounds that it does not have of its own.

Anybody who reaches the listener may send a head of any length for any time, or fetch nothing of what was answered; here both
have an end. Knows nothing of what is served.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

CONNECTIONS_MAX = 256
HEAD_MAX_BYTES = 64 << 10
HEAD_TIME_S = 15.0
FETCH_TIME_S = 60.0
_HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 5\r\nconnection: close\r\n\r\n"


class VisitorConnection(HttpToolsProtocol):
    """What uvicorn is given as `http`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_bytes = 0
        self._in_head = True
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """One more, if there is room for it."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            transport.write(_TOO_MANY)
            transport.close()
            return
        self._set_timer(HEAD_TIME_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._set_timer(0)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """More of a request."""
        if self.transport.is_closing():
            return
        if self._in_head:
            if self._timer is None:
                self._set_timer(HEAD_TIME_S)  # the head of one more request on this connection
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_MAX_BYTES and not self.transport.is_closing():
            self.transport.write(_HEAD_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """The head is whole; what follows has bounds of its own (`guard`)."""
        self._in_head, self._head_bytes = False, 0
        self._set_timer(0)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next one begins with a head."""
        self._in_head = True
        super().on_message_complete()

    def pause_writing(self) -> None:
        """What was answered is not fetched."""
        super().pause_writing()
        self._set_timer(FETCH_TIME_S)

    def resume_writing(self) -> None:
        """It is."""
        self._set_timer(0)
        super().resume_writing()

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds:
            self._timer = self.loop.call_later(seconds, self.transport.abort)
