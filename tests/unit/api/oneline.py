"""One connection of the API's server over a transport that is none: what is written to it and done to it is remembered."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

from uvicorn.server import ServerState

from penstock.api import answers
from penstock.api.answers import Answer
from penstock.api.bodies import Bodies
from penstock.api.connection import Connection
from penstock.api.crowd import Crowd
from penstock.api.errors import ApiError
from penstock.api.options import ApiOptions
from penstock.api.protocol import Format, Head

OPTIONS = ApiOptions(
    query_max_bytes=1000,
    body_max_bytes=200,
    framing_max_bytes=2000,
    header_max_bytes=2000,
    head_max_bytes=4000,
    connections_max=3,
)


class Transport:
    """Remembers what is done to it."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = self.ended = self.aborted = False
        self.reading = True
        self.unsent = 0

    def write(self, data: bytes) -> None:
        assert not self.closed
        assert not self.ended
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.closed
        self.reading = True

    def get_extra_info(self, _name: str) -> None:
        return None


class Echo:
    """An API that answers what it was asked, once the gate is open."""

    def __init__(self) -> None:
        self.options = OPTIONS
        self.bodies = Bodies(max_bytes=OPTIONS.bodies_max_bytes)
        self.crowd = Crowd(max_count=OPTIONS.connections_max)
        self.callers = self
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0

    async def answer(self, head: Head, body: bytes) -> tuple[Answer, Format]:
        self.under_way += 1
        assert self.under_way == 1, "one at a time"
        await self.gate.wait()
        self.under_way -= 1
        asked = {"Method": head.method, "Query": head.query_string.decode("latin-1"), "Body": body.decode("latin-1")}
        if head.headers.get("x-call", "").startswith("no"):
            return self.refusal(ApiError("SignatureDoesNotMatch", "no"), host="", peer=""), Format.JSON
        return answers.success("Echo", "R", asked), Format.JSON

    def signed_call(self, head: Head) -> str:
        return head.headers.get("x-call", "")

    def refusal(self, error: ApiError, *, host: str, peer: str) -> Answer:
        return answers.refusal(error, action="", request_id="R", host=host)


class Line:
    """One connection over a transport that is none."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, state: ServerState | None = None, api: Echo | None = None
    ) -> None:
        self.loop = loop
        self.state = state or ServerState()
        self.api = api or Echo()
        self.transport = Transport()
        self.connection = Connection(cast("Any", SimpleNamespace(loaded_app=self.api)), self.state, {}, loop)
        self.connection.connection_made(cast("asyncio.Transport", self.transport))

    def turn(self, times: int = 1) -> None:
        """Let the loop go round."""
        for _ in range(times):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def feed(self, pieces: Sequence[bytes], between: Callable[[], int] = lambda: 1) -> None:
        """These pieces, as the transport would hand them over: not while reading is paused, not once it is closed."""
        for piece in pieces:
            for _ in range(50):
                if self.transport.reading:
                    break
                self.turn()
            assert self.transport.reading
            if self.transport.closed or not piece:
                continue
            self.connection.data_received(piece)
            self.turn(between())
        while self.state.tasks:
            self.turn()

    def answers(self) -> list[tuple[int, dict[str, Any], str | None]]:
        """Status, body and Connection of all that was written."""
        file, found = io.BytesIO(self.transport.written), []
        while file.tell() < len(self.transport.written):
            response = http.client.HTTPResponse(cast("Any", SimpleNamespace(makefile=lambda _: _Kept(file))))
            response.begin()
            found.append((response.status, json.loads(response.read()), response.getheader("connection")))
        return found


class _Kept(io.BufferedReader):
    def __init__(self, file: io.BytesIO) -> None:
        self._file = file

    def readline(self, *sizes: Any) -> bytes:
        return self._file.readline(*sizes)

    def read(self, *sizes: Any) -> bytes:
        return self._file.read(*sizes)

    def close(self) -> None:
        pass

    def flush(self) -> None:
        pass


def refused(line: Line, status: int, code: str) -> None:
    *_, (found, body, connection) = line.answers()
    assert (found, body["Code"], connection) == (status, code, "close")
    assert line.transport.ended, "not closed at once: the caller may still be sending"


CHUNKED = b"POST /?a HTTP/1.1\r\nHost: h\r\ntransfer-encoding: chunked\r\n\r\n"


def post(length: int, sent: int, call: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nx-call: %b\r\ncontent-length: %d\r\n\r\n" % (call, length) + b"b" * sent


GET = b"GET /?a HTTP/1.1\r\nx-call: %b\r\n\r\n"
