"""One HTTP/1.1 connection: from bytes to a request that is whole and within its bounds, and from its answer to bytes.

httptools parses; uvicorn's server accepts, encrypts and ends connections. What would lie between, uvicorn's own protocol and
ASGI, costs a request more than reading it does (docs/decisions/0004). Requests of one connection are answered in their order, one
at a time. Calls `Api.answer` and never looks at what is asked. What it refuses looks like every other refusal.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Any, cast

import httptools
from uvicorn import Config
from uvicorn.server import ServerState

from penstock.api import protocol
from penstock.api.answers import Answer, Caller, Then, download_head, message
from penstock.api.application import Api
from penstock.api.downloads import Download
from penstock.api.errors import ApiError
from penstock.api.protocol import Format, Head

_QUEUE_MAX = 256  # requests sent ahead of their answers; reading stops at the first, but one read may hold many
_SMALL_HEAD_BYTES = 4 << 10  # not counted: a connection costs as much by itself
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_Whole = tuple[Head, bytes]
_Refused = tuple[Answer, Format]


class Connection(asyncio.Protocol):
    """What uvicorn is given as `http`; its application is the `Api`.

    Once `_deaf`, nothing more is read, and the connection ends with the last answer. There is one deadline at a time, which the
    server's sweep looks at: a timer for each head and body would cost more than their parsing.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # noqa: ARG002  uvicorn gives it
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._api = cast("Api", config.loaded_app)
        self._options = self._api.options
        self._crowd = self._api.crowd
        self._bodies = self._api.bodies
        self._held_bytes = 0  # of requests that came here, until they are answered
        self._answering_bytes = 0
        self._server = server_state
        self._connections = cast("set[Connection]", server_state.connections)
        self._tasks = server_state.tasks
        self._loop = _loop or asyncio.get_running_loop()
        self._parser: httptools.HttpRequestParser
        self._transport: asyncio.Transport
        self._deadline_s = math.inf
        # the message that is coming in
        self._in_message = False
        self._head_bytes = 0
        self._held_head_bytes = 0
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head: Head | None = None
        self._body = bytearray()  # one block: a list would keep fifty bytes more for each that comes by itself
        self._framing_bytes = 0
        self._continue_awaited = False
        # those that are whole
        self._queue: deque[_Whole | _Refused] = deque()
        self._task: asyncio.Task[None] | None = None
        self._blocked = False
        self._flowing = asyncio.Event()  # set when a report that is sent may go on
        self._deaf = False
        self._refused = False
        self._bodiless = False
        self._answered = False

    # ------------------------------------------------------------------------------------------------------ the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # Not before: it holds us, we hold it, and who breaks off a TLS handshake is never lost.
        self._parser = httptools.HttpRequestParser(self)
        self._connections.add(self)
        self._set_deadline(self._options.head_time_s)
        self._crowd.came(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """A call that is under way is not interrupted: what it writes is written whole, only nobody hears of it."""
        self._connections.discard(self)
        self._crowd.left(self)
        self._deaf = True
        self._queue.clear()
        self._bodies.ended(self)
        self._let_go(self._held_bytes - self._answering_bytes)
        self._flowing.set()
        del self._parser

    def eof_received(self) -> bool:
        """A caller that sends no more still gets the answers it waits for (not with TLS, whose end is everybody's)."""
        self._deaf = True
        self._in_message = False  # its rest will never come
        self._drop_body()
        return self._busy and self._transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        """Answers are not fetched: no more are made before they are, which has to be while a connection may be idle.

        Nor is anything read: a whole body that waited here meanwhile could be refused no more, by nobody.
        """
        self._blocked = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._blocked = False
        self._flowing.set()
        if self._task is None:
            self._go_on()

    def shutdown(self) -> None:
        """The server ends: answer what is whole, and close; with TLS, an idle caller would say farewell at its next use only."""
        self._deaf = True
        if self._busy:
            return
        if self._transport.get_write_buffer_size():
            self._transport.close()
        else:
            self._transport.abort()

    @property
    def _busy(self) -> bool:
        return self._task is not None or bool(self._queue)

    # ---------------------------------------------------------------------------------------------------------- the parser

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self.look(self._loop.time())
            return  # read and dropped, so that what was answered is not lost in a reset of the connection
        head, body_bytes = self._head, len(self._body)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # to nothing: the request is answered, and what follows it is no HTTP
        except httptools.HttpParserCallbackError:
            raise  # a defect of ours
        except httptools.HttpParserError:
            if not self._deaf:
                self._refuse(ApiError("InvalidParameter.Format", "This is no HTTP request."))
        if not self._in_message or self._deaf:
            return
        if self._head is None:
            self._head_bytes += len(data)
            if self._head_bytes > self._options.head_max_bytes:
                self._refuse(ApiError("RequestHeaderTooLarge", "The request's first line and headers are too long."))
            else:
                self._hold_head(self._head_bytes)
        elif self._head is head:  # what comes in one read with the head is little, and not counted
            self._framing_bytes += len(data) - (len(self._body) - body_bytes)
            if self._framing_bytes > self._options.framing_max_bytes:
                self._refuse(ApiError("RequestEntityTooLarge", "The chunks are too small, or say too much more."))
        if not self._deaf:
            self.look(self._loop.time())  # the sweep comes late when the loop is busy, may be with these very bytes

    def on_message_begin(self) -> None:
        self._in_message = True
        self._head_bytes = self._held_head_bytes = 0
        self._target = b""
        self._headers = []
        self._head = None
        self._body = bytearray()
        self._framing_bytes = 0
        if self._task is None:
            self._set_deadline(self._options.head_time_s)

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is not None or self._deaf:
            return  # trailers mean nothing here: they are dropped, and are framing
        if len(self._headers) < self._options.header_max_count:
            self._headers.append((name, value))
        else:
            many = f"The request has more than {self._options.header_max_count} headers."
            self._refuse(ApiError("RequestHeaderTooLarge", many))

    def on_headers_complete(self) -> None:
        if self._deaf:
            return
        method = self._parser.get_method().decode("ascii")
        self._bodiless = method == "HEAD"
        try:
            self._head = head = protocol.read_head(method, self._target, self._headers, self._options)
            if head.body_bytes(self._options) == 0:
                return
        except ApiError as error:
            self._refuse(error)
            return
        if not self._hold_head(len(self._target) + sum([len(name) + len(value) for name, value in self._headers])):
            return
        if self._task is None:
            self._set_deadline(self._options.body_time_s)
        if head.headers.get("expect", "").lower() == "100-continue":
            self._continue_awaited = True
            if not self._busy:
                self._let_continue()

    def on_body(self, body: bytes) -> None:
        if self._deaf:
            return
        self._body += body
        self._hold(len(body))
        if len(self._body) > self._options.body_max_bytes:
            self._refuse(protocol.body_too_large(self._options))

    def on_message_complete(self) -> None:
        self._in_message = self._continue_awaited = False
        if self._deaf or self._head is None:
            return
        if not self._parser.should_keep_alive() or self._parser.get_http_version() != "1.1":
            self._deaf = True
        self._bodies.ended(self)
        self._let_go_of_head()
        whole, self._body = (self._head, bytes(self._body)), bytearray()  # not held until the next one begins
        if self._busy or self._blocked:
            self._wait(whole)
        else:
            self._begin(whole)

    # ------------------------------------------------------------------------------------------------------------- answers

    def _refuse(self, error: ApiError) -> None:
        """Answer this, behind what came before it, and hang up: what follows it cannot be told from its rest."""
        self._deaf = self._refused = True
        self._drop_body()
        host = next((value for name, value in self._headers if name.lower() == b"host"), b"")
        shape = protocol.format_hint(self._options, self._target.partition(b"?")[2])
        peer = self._transport.get_extra_info("peername")
        answer = self._api.refusal(error, host=host.decode("latin-1"), peer=str(peer[0]) if peer else "")
        self._headers, self._target = [], b""
        refused = (answer, shape)
        if self._busy or self._blocked:
            self._queue.append(refused)
        else:
            self._write(*refused)

    def signed_call(self) -> str:
        """As `bodies` and `crowd` ask: which call a known key has signed in the head of the body that comes in, if any."""
        return self._api.callers.signed_call(self._head) if self._head is not None and self._in_message else ""

    def make_room(self) -> None:
        """As `bodies` asks."""
        words = "Too much of other requests' bodies is under way: send this one again a little later."
        self._refuse(ApiError("ServiceUnavailable", words, retry_after_s=self._options.throttled_retry_after_s))

    def is_answering(self) -> bool:
        """As `crowd` asks."""
        return self._task is not None

    def is_silent(self) -> bool:
        """As `crowd` asks."""
        return not (self._busy or self._blocked or self._in_message)

    def give_way(self) -> None:
        """As `crowd` asks. Nothing lingers: who comes often enough would have more of them than are counted."""
        transport = self._transport
        hears = transport.get_extra_info("sslcontext") is None and not (self._busy or self._blocked or self._deaf)
        if hears and (self._in_message or not self._answered):  # else it waits for no answer
            self._refuse(ApiError("ServiceUnavailable", "Too many connections are open."))
            transport.close()
            hears = not transport.get_write_buffer_size()
        if not hears or not transport.is_closing():
            transport.abort()

    def _hold(self, count: int) -> None:
        self._held_bytes += count
        self._bodies.came(self, count)

    def _hold_head(self, total_bytes: int) -> bool:
        """A head that is long, or comes slowly, fills the room like a body. Whether there was room for it."""
        more_bytes = total_bytes - _SMALL_HEAD_BYTES - self._held_head_bytes
        if more_bytes > 0:
            self._held_head_bytes += more_bytes
            self._hold(more_bytes)
        return not self._deaf

    def _let_go_of_head(self) -> None:
        self._let_go(self._held_head_bytes)
        self._held_head_bytes = 0

    def _drop_body(self) -> None:
        """Nothing will become of what has come of this request."""
        self._bodies.ended(self)
        self._let_go_of_head()
        self._let_go(len(self._body))
        self._body = bytearray()

    def _let_go(self, count: int) -> None:
        self._held_bytes -= count
        self._bodies.give_back(count)

    def _wait(self, whole: _Whole) -> None:
        self._transport.pause_reading()
        if len(self._queue) < _QUEUE_MAX:
            self._queue.append(whole)
        else:
            self._refuse(ApiError("ServiceUnavailable", "Too many requests were sent ahead of their answers."))

    def _begin(self, whole: _Whole) -> None:
        self._deadline_s = math.inf  # it is ours to be in time now
        head, body = whole
        self._answering_bytes = len(body)  # the task gives them back, also if the connection is lost before it begins
        self._task = task = self._loop.create_task(self._answer(head, body))
        self._tasks.add(task)

    async def _answer(self, head: Head, body: bytes) -> None:
        task = self._task
        assert task is not None, "it is what runs this"
        try:
            answer, shape = await self._api.answer(head, body)
            if isinstance(answer, Download):
                await self._send(answer)
                return
            self._task = None
            if answer.caller is Caller.SIGNED:
                self._crowd.proved(self)
            self._write(answer, shape)
        except BaseException:
            self._transport.abort()  # the service ends, or a defect of ours: nobody is left waiting
            raise
        finally:
            self._answering_bytes = 0
            self._let_go(len(body))
            self._tasks.discard(task)
        self._go_on()

    async def _send(self, report: Download) -> None:
        """A report, as quickly as it is fetched; nothing comes behind it. Whoever fetches nothing for long is hung up on."""
        self._deaf = self._answered = True
        self._queue.clear()
        transport = self._transport
        transport.write(download_head(report.name, report.size_bytes, self._server.default_headers))
        async for piece in report.pieces:
            if transport.is_closing():
                return
            transport.write(piece)
            if self._blocked:
                self._flowing.clear()
                self._set_deadline(self._options.keep_alive_s)
                await self._flowing.wait()
        transport.close()

    def _go_on(self) -> None:
        """With the next request, if it is there, else with reading."""
        while self._queue and self._task is None and not self._blocked:
            following = self._queue.popleft()
            if isinstance(following[0], Head):
                self._begin(following)
            else:
                self._write(*following)
        if self._busy or self._blocked or self._deaf:
            return
        if self._continue_awaited:
            self._let_continue()
        self._transport.resume_reading()

    def _let_continue(self) -> None:
        self._continue_awaited = False
        self._transport.write(_CONTINUE)

    def _write(self, answer: Answer, shape: Format) -> None:
        transport = self._transport
        if transport.is_closing():
            return
        self._answered = True
        last = self._deaf and not self._queue
        then = Then.NEXT if not last else Then.CLOSE_AFTER_HEAD if self._bodiless else Then.CLOSE
        # One write: head and body in two cost a system call and a packet more.
        transport.write(message(answer, shape, self._server.default_headers, then))
        self._set_deadline(self._options.head_time_s if self._in_message else self._options.keep_alive_s)
        if not last:
            return
        if self._refused and transport.can_write_eof():
            # The caller may be sending still: hung up on at once, it would hear of a reset and not of the refusal.
            transport.write_eof()
            transport.resume_reading()
            self._set_deadline(self._options.linger_s)
        else:
            transport.close()

    # ---------------------------------------------------------------------------------------------------------------- time

    def _set_deadline(self, seconds: float) -> None:
        self._deadline_s = self._loop.time() + seconds

    def look(self, now_s: float) -> None:
        """End what takes too long; `now_s` is the loop's time."""
        if now_s < self._deadline_s:
            return
        if self._blocked or self._transport.is_closing():
            self._transport.abort()  # what was written will never be fetched
        elif self._in_message and self._head is not None and not self._deaf:
            self._refuse(ApiError("RequestTimeout", "The request's body did not arrive in time."))
        else:
            self._transport.close()
