"""A connection of the HTTP server that bounds what comes before an application is asked: a request's first line and headers.

Extends uvicorn's connection, which holds whatever it is sent. What it refuses looks like every other refusal of this API.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from penstock.api.answers import RequestIds, content_type, refusal, render
from penstock.api.errors import ApiError
from penstock.api.protocol import Format, format_hint

URL_MAX_BYTES = 65_535  # the parser below counts positions in a URL in 16 bits; what is longer goes into a form body


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadBounds:
    """How large a request's head may become before it is whole, and how long that may take."""

    head_max_bytes: int = 128 << 10
    head_time_s: float = 20.0


class _OutOfBoundsError(Exception):
    """Ends the parsing from within one of its callbacks."""


def bounded_connection(bounds: HeadBounds, entropy: Callable[[int], bytes]) -> type[asyncio.Protocol]:
    """What to give to uvicorn as `http`: it wants a class."""

    class BoundedConnection(_Bounded):
        head_bounds = bounds
        request_ids = RequestIds(entropy)

    return BoundedConnection


class _Bounded(HttpToolsProtocol):
    head_bounds: HeadBounds
    request_ids: RequestIds

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._in_head = True
        self._refused: ApiError | None = None
        self._shape = Format.JSON
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.head_bounds.head_max_bytes:
                self._refused = ApiError("RequestHeaderTooLarge", "The request's first line and headers are too long.")
                self.send_400_response("")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._watch()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._unwatch()
        if len(self.url) > URL_MAX_BYTES:
            self._refused = ApiError("RequestURITooLong", f"The URL exceeds {URL_MAX_BYTES} bytes; send a form body.")
            self._shape = format_hint(self.url.partition(b"?")[2])
            raise _OutOfBoundsError
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, or one out of bounds, and hang up. (uvicorn calls it so.)"""
        if self.transport.is_closing():
            return
        error = self._refused or ApiError("InvalidParameter.Format", msg)
        answer = refusal(error, action="", request_id=self.request_ids.take(), host="")
        body = render(answer, self._shape)
        head = (
            f"HTTP/1.1 {answer.status} Refused\r\ncontent-type: {content_type(self._shape)}\r\n"
            f"content-length: {len(body)}\r\nx-acs-request-id: {answer.request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def _watch(self) -> None:
        self._unwatch()
        self._timer = self.loop.call_later(self.head_bounds.head_time_s, self.transport.close)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
