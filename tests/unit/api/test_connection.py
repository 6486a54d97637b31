"""Is each request answered once, in order and whole, however its bytes arrive and whatever comes with them?"""

from __future__ import annotations

import asyncio
import http.client
import io
import itertools
import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from penstock.api import answers, connection
from penstock.api.answers import Answer
from penstock.api.bodies import Bodies
from penstock.api.connection import Connection
from penstock.api.crowd import Crowd
from penstock.api.errors import ApiError
from penstock.api.options import ApiOptions
from penstock.api.protocol import Format, Head

OPTIONS = ApiOptions(
    body_max_bytes=200, framing_max_bytes=2000, header_max_bytes=2000, head_max_bytes=4000, connections_max=3
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


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def line(loop: asyncio.AbstractEventLoop) -> Line:
    return Line(loop)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request and its bytes."""

    method: str
    query: str
    body: bytes
    chunks: int

    def raw(self) -> bytes:
        head = f"{self.method} /?{self.query} HTTP/1.1\r\nHost: h\r\n".encode()
        if self.chunks:
            size = max(1, len(self.body) // self.chunks)
            parts = [self.body[at : at + size] for at in range(0, len(self.body), size)]
            chunked = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked + b"0\r\n\r\n"
        length = b"Content-Length: %d\r\n" % len(self.body) if self.body or self.method == "POST" else b""
        return head + length + b"\r\n" + self.body

    def echo(self) -> tuple[int, dict[str, Any], None]:
        asked = {"Method": self.method, "Query": self.query, "Body": self.body.decode("latin-1")}
        return 200, {"RequestId": "R", **asked}, None


REQUESTS = st.builds(
    Asked,
    method=st.sampled_from(["GET", "POST"]),
    query=st.text("abc=&", min_size=1, max_size=6),
    body=st.binary(max_size=40),
    chunks=st.integers(0, 3),
)
NONSENSE = (
    b"nonsense\r\n\r\n",
    b"GET /?x HTTP/9.9.9\r\n\r\n",
    b"POST /?x HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    b"\x16\x03\x01",
)


def cut(data: bytes, at: Sequence[int]) -> list[bytes]:
    places = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(places)]


@example(
    requests=[
        Asked(method="GET", query="=", body=b"", chunks=1),
        Asked(method="POST", query="=", body=b"", chunks=0),
    ],
    at=[112],
    turns=[0],
    end=NONSENSE[0],
)
@given(
    requests=st.lists(REQUESTS, min_size=1, max_size=5),
    at=st.lists(st.integers(0, 10_000), max_size=12),
    turns=st.lists(st.integers(0, 4), min_size=1),
    end=st.sampled_from([b"", *NONSENSE]),
)
def test_requests_are_answered_in_order_however_they_are_cut(
    loop: asyncio.AbstractEventLoop, requests: list[Asked], at: list[int], turns: list[int], end: bytes
) -> None:
    line = Line(loop)
    again = iter(turns * 1000)
    line.feed(cut(b"".join(request.raw() for request in requests) + end, at), lambda: next(again))
    found = line.answers()
    assert found[: len(requests)] == [request.echo() for request in requests]
    if not end:
        assert (len(found), line.transport.closed) == (len(requests), False)
    else:
        ((status, body, connection),) = found[len(requests) :]
        assert (status, body["Code"], connection) == (400, "InvalidParameter.Format", "close")
        assert line.transport.ended
        assert line.transport.reading, "or the caller could not finish sending, and hear"


def test_a_request_may_be_cut_at_every_byte(line: Line) -> None:
    asked = Asked(method="POST", query="a=1", body=b"b=2", chunks=0)
    raw = asked.raw()
    for place in range(len(raw) + 1):
        line.feed([raw[:place], raw[place:]])
    line.feed([raw[place : place + 1] for place in range(len(raw))])
    assert line.answers() == [asked.echo()] * (len(raw) + 2)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=3))
def test_noise_is_refused_or_waited_for(loop: asyncio.AbstractEventLoop, noise: bytes, at: list[int]) -> None:
    line = Line(loop)
    line.feed(cut(noise, at))
    for status, body, _ in line.answers():
        assert status in (400, 404, 413, 414, 431), body
    line.connection.look(loop.time() + 1e6)
    line.connection.connection_lost(None)
    assert not line.state.connections


# ------------------------------------------------------------------------------------------------------------------- ends


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /?a HTTP/1.0\r\n\r\n",
        b"GET /?a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /?a HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /?a HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)
def test_the_last_request_of_a_connection(line: Line, raw: bytes) -> None:
    line.feed([raw + b"GET /?never HTTP/1.1\r\n\r\n"])
    ((status, body, connection),) = line.answers()
    assert (status, body["Query"], connection) == (200, "a", "close")
    assert line.transport.closed


def test_a_server_that_ends_answers_what_is_whole(loop: asyncio.AbstractEventLoop) -> None:
    idle, busy, half, unread = Line(loop), Line(loop), Line(loop), Line(loop)
    unread.transport.unsent = 1
    busy.api.gate.clear()
    busy.connection.data_received(b"GET /?a HTTP/1.1\r\n\r\nGET /?b HTTP/1.1\r\n\r\nGET /")
    half.connection.data_received(b"GET /")
    busy.turn()
    for line in (idle, busy, half, unread):
        line.connection.shutdown()
    assert (idle.transport.aborted, unread.transport.aborted, unread.transport.closed) == (True, False, True)
    assert (idle.transport.closed, half.transport.closed, busy.transport.closed) == (True, True, False)
    busy.api.gate.set()
    busy.feed([])
    busy.turn(5)
    busy.feed([])
    assert [(body["Query"], last) for _, body, last in busy.answers()] == [("a", None), ("b", "close")]
    assert busy.transport.closed


def test_a_caller_that_hangs_up_interrupts_nothing(line: Line) -> None:
    line.api.gate.clear()
    line.connection.data_received(b"GET /?a HTTP/1.1\r\n\r\nGET /?b HTTP/1.1\r\n\r\n")
    line.turn()
    line.transport.closed = True
    line.connection.connection_lost(None)
    (task,) = line.state.tasks
    line.api.gate.set()
    line.feed([])
    assert (task.done(), task.exception(), line.transport.written) == (True, None, b"")


def test_a_caller_that_has_said_all_is_answered(line: Line) -> None:
    line.connection.data_received(b"GET /?a HTTP/1.1\r\n\r\nGET /")
    assert line.connection.eof_received()
    line.feed([])
    assert [(body["Query"], last) for _, body, last in line.answers()] == [("a", "close")]
    assert line.transport.closed


def test_a_server_that_cannot_wait_hangs_up(line: Line) -> None:
    line.api.gate.clear()
    line.connection.data_received(b"GET /?a HTTP/1.1\r\n\r\n")
    line.turn()
    (task,) = line.state.tasks
    task.cancel()
    line.feed([])
    assert (line.transport.aborted, line.transport.written) == (True, b"")


# ----------------------------------------------------------------------------------------------------------------- bounds


def refused(line: Line, status: int, code: str) -> None:
    *_, (found, body, connection) = line.answers()
    assert (found, body["Code"], connection) == (status, code, "close")
    assert line.transport.ended, "not closed at once: the caller may still be sending"


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"POST / HTTP/1.1\r\ncontent-length: 201\r\n\r\n", 413, "RequestEntityTooLarge"),
        (b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 201\r\n\r\n", 413, "RequestEntityTooLarge"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nff\r\n" + b"x" * 201, 413, "RequestEntityTooLarge"),
        (b"POST / HTTP/1.1\r\nx: " + b"x" * 4000, 431, "RequestHeaderTooLarge"),
        (b"POST / HTTP/1.1\r\n" + b"x: y\r\n" * 1001 + b"\r\n", 431, "RequestHeaderTooLarge"),
        (b"POST /?" + b"x" * 65_534 + b" HTTP/1.1\r\n\r\n", 414, "RequestURITooLong"),
        (b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400, "InvalidParameter.Format"),
        (
            b"POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "InvalidParameter.Format",
        ),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", 400, "InvalidParameter.Format"),
        (b"PUT / HTTP/1.1\r\ncontent-length: 5\r\n\r\nabc", 400, "UnsupportedHTTPMethod"),
    ],
)
def test_what_is_out_of_bounds_is_refused_at_once(line: Line, raw: bytes, status: int, code: str) -> None:
    line.feed([b"GET /?before HTTP/1.1\r\n\r\n", raw, b"more" * 100])
    assert line.answers()[0][1]["Query"] == "before"
    assert len(line.answers()) == 2
    refused(line, status, code)


CHUNKED = b"POST /?a HTTP/1.1\r\nHost: h\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "again"),
    [
        pytest.param(b"0\r\n", b"x: y\r\n" * 100, id="trailers"),
        pytest.param(b"0\r\nx", b"x" * 600, id="a trailer's name"),
        pytest.param(b"0\r\nx: ", b"y" * 600, id="a trailer's value"),
        pytest.param(b"1;", b"x" * 600, id="an extension"),
        pytest.param(b"1;x=", b"y" * 600, id="an extension's value"),
        pytest.param(b"", b"1;" + b"x" * 600 + b"\r\ny\r\n", id="an extension each"),
        pytest.param(b"", b"1\r\ny\r\n" * 10, id="tiny chunks"),
        pytest.param(b"", b"000000000000001\r\ny\r\n" * 10, id="long sizes"),
    ],
)
def test_what_frames_a_body_is_bounded_and_not_kept(line: Line, start: bytes, again: bytes) -> None:
    line.feed([CHUNKED, start])
    tracemalloc.start()
    try:
        sent = 0
        while not line.answers() and sent < 1 << 20:
            line.connection.data_received(again)
            sent += len(again)
        kept_bytes, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    refused(line, 413, "RequestEntityTooLarge")
    bound = OPTIONS.framing_max_bytes + OPTIONS.body_max_bytes + len(again)
    assert sent <= bound
    assert kept_bytes <= most_bytes < 20 * bound, "the answer is in it"
    for _ in range(1000):
        line.connection.data_received(again)
    assert len(line.answers()) == 1


def test_trailers_are_dropped_even_in_one_read(line: Line) -> None:
    line.feed([CHUNKED, b"2\r\nab\r\n0\r\n" + b"x: y\r\n" * 300])
    assert line.connection._headers == [(b"Host", b"h"), (b"transfer-encoding", b"chunked")]
    line.feed([b"\r\n", CHUNKED + b"1;x=y\r\nc\r\n0\r\nHost: other\r\n\r\n"])
    assert [(status, body["Body"]) for status, body, _ in line.answers()] == [(200, "ab"), (200, "c")]


def test_each_body_has_the_framing_for_itself(line: Line) -> None:
    for _ in range(5):
        line.feed([CHUNKED, b"1;" + b"x" * 1500 + b"\r\na\r\n", b"0\r\n\r\n"])
    assert [status for status, _, _ in line.answers()] == [200] * 5


def test_a_body_in_single_bytes_is_one_block(line: Line) -> None:
    body = b"x" * OPTIONS.body_max_bytes
    line.feed([b"POST /?a HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body)])
    line.feed([body[at : at + 1] for at in range(len(body) - 1)])
    assert sys.getsizeof(line.connection._body) < 2 * len(body)
    line.feed([body[-1:]])
    assert line.answers()[0][1]["Body"] == body.decode()


def test_a_refusal_waits_for_what_came_before_it(line: Line) -> None:
    line.api.gate.clear()
    line.connection.data_received(b"GET /?a HTTP/1.1\r\n\r\nGET /?b HTTP/1.1\r\n\r\nnonsense\r\n\r\n")
    line.turn(3)
    assert line.transport.written == b""
    line.api.gate.set()
    line.turn(20)
    assert [status for status, _, _ in line.answers()] == [200, 200, 400]


def test_a_body_that_is_longer_than_said_is_the_next_request(line: Line) -> None:
    line.feed([b"POST /?a HTTP/1.1\r\ncontent-length: 2\r\n\r\nab", b"cd\r\n\r\n"])
    assert [status for status, _, _ in line.answers()] == [200, 400]


def test_the_body_is_asked_for_once_the_head_is_good(line: Line) -> None:
    head = b"POST /?a HTTP/1.1\r\nexpect: 100-Continue\r\ncontent-length: 2\r\n\r\n"
    line.feed([head])
    assert line.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    line.feed([b"ab"])
    line.transport.written = line.transport.written.partition(b"\r\n\r\n")[2]
    assert line.answers()[0][1]["Body"] == "ab"
    line.api.gate.clear()
    line.connection.data_received(b"GET /?b HTTP/1.1\r\n\r\n" + head)
    line.turn(3)
    assert line.transport.written.count(b"HTTP/1.1") == 1, "not before the answer to the request before it"
    line.api.gate.set()
    line.turn(20)
    assert line.transport.written.endswith(b"}HTTP/1.1 100 Continue\r\n\r\n")


def test_no_more_than_so_many_requests_run_ahead(line: Line) -> None:
    line.connection.data_received(b"GET /?a HTTP/1.1\r\n\r\n" * 2000)
    assert not line.transport.reading
    line.turn(2000)
    found = line.answers()
    assert [status for status, _, _ in found] == [200] * (len(found) - 1) + [503]
    assert 200 < len(found) < 300


def test_answers_that_are_not_fetched_stop_the_work(line: Line) -> None:
    line.connection.pause_writing()
    reads = line.transport.reading
    assert not reads, "a body that came now could not be refused"
    line.connection.data_received(b"GET /?a HTTP/1.1\r\n\r\n")
    line.turn(5)
    assert (line.transport.written, line.transport.reading) == (b"", False)
    line.connection.resume_writing()
    line.turn(5)
    assert len(line.answers()) == 1
    assert line.transport.reading
    line.connection.pause_writing()
    line.connection.look(line.loop.time() + OPTIONS.keep_alive_s + 1)
    assert line.transport.aborted


def post(length: int, sent: int, call: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nx-call: %b\r\ncontent-length: %d\r\n\r\n" % (call, length) + b"b" * sent


GET = b"GET /?a HTTP/1.1\r\nx-call: %b\r\n\r\n"


def crowd_of(loop: asyncio.AbstractEventLoop, *said: bytes) -> tuple[Echo, list[Line]]:
    """As many connections as may be open, on each of which this was said."""
    api = Echo()
    lines = [Line(loop, api=api) for _ in said]
    assert len(lines) == OPTIONS.connections_max
    for line, piece in zip(lines, said, strict=True):
        line.feed([piece])
    return api, lines


def closed(*lines: Line) -> list[bool]:
    return [line.transport.closed for line in lines]


def test_the_stranger_that_came_first_gives_way(loop: asyncio.AbstractEventLoop) -> None:
    api, lines = crowd_of(loop, GET % b"ours", b"", b"GET")
    lines += [Line(loop, api=api), Line(loop, api=api)]
    assert closed(*lines) == [False, True, True, False, False]
    for line in lines[1:3]:
        refused(line, 503, "ServiceUnavailable")
    assert len(api.crowd) == OPTIONS.connections_max


def test_who_was_refused_is_a_stranger_and_waits_for_no_answer(loop: asyncio.AbstractEventLoop) -> None:
    api, lines = crowd_of(loop, GET % b"no", GET % b"ours", GET % b"ours")
    said = lines[0].transport.written
    lines.append(Line(loop, api=api))
    assert closed(*lines) == [True, False, False, False]
    assert lines[0].transport.written == said


def test_a_signed_head_whose_body_comes_is_no_strangers_but_once(loop: asyncio.AbstractEventLoop) -> None:
    api, lines = crowd_of(loop, post(200, 5, b"A"), post(200, 5, b"A"), post(200, 5, b"B"))
    lines.append(Line(loop, api=api))
    assert closed(*lines) == [False, True, False, False]
    lines.append(Line(loop, api=api))
    assert closed(*lines) == [False, True, False, True, False]
    lines[0].feed([b"b" * 195])
    assert [answer[0] for answer in lines[0].answers()] == [200]


def test_a_call_under_way_is_not_cut_short(loop: asyncio.AbstractEventLoop) -> None:
    api, lines = crowd_of(loop, GET % b"ours", b"", b"")
    api.crowd = Crowd(max_count=1)
    busy = Line(loop, api=api)
    api.gate.clear()
    busy.connection.data_received(GET % b"no")
    busy.turn()
    late = Line(loop, api=api)
    assert closed(busy, late) == [False, True]
    refused(late, 503, "ServiceUnavailable")
    api.gate.set()
    busy.turn(5)
    assert [answer[0] for answer in busy.answers()] == [400]
    assert not closed(*lines)[0]


def test_where_all_are_known_the_one_that_was_silent_longest_gives_way(loop: asyncio.AbstractEventLoop) -> None:
    api, lines = crowd_of(loop, GET % b"A", GET % b"B", GET % b"C")
    lines[0].feed([GET % b"D"])
    said = lines[1].transport.written
    lines.append(Line(loop, api=api))
    assert closed(*lines) == [False, True, False, False]
    assert lines[1].transport.written == said, "it waits for no answer"


def test_who_fetches_nothing_gives_way_at_once(loop: asyncio.AbstractEventLoop) -> None:
    api, lines = crowd_of(loop, GET % b"no", GET % b"ours", GET % b"ours")
    lines[0].connection.pause_writing()
    lines[0].connection.data_received((GET % b"no") * 3)
    Line(loop, api=api)
    assert lines[0].transport.aborted


def test_long_heads_fill_the_room_like_bodies(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_SMALL_HEAD_BYTES", 100)
    api = Echo()
    api.bodies, api.crowd = Bodies(max_bytes=1000), Crowd(max_count=100)
    slow = [Line(loop, api=api) for _ in range(3)]
    for line in slow:
        line.feed([b"POST / HTTP/1.1\r\nx: " + b"x" * 480])  # 500 bytes
    assert [line.transport.ended for line in slow] == [True, False, False]
    refused(slow[0], 503, "ServiceUnavailable")
    assert api.bodies.held_bytes == 800
    slow[1].feed([b"\r\ncontent-length: 5\r\n\r\n"])
    assert api.bodies.held_bytes >= 800, "while the body comes its head is kept"
    slow[1].feed([b"12345"])
    assert [answer[0] for answer in slow[1].answers()] == [200]
    assert api.bodies.held_bytes == 400
    slow[2].connection.connection_lost(None)
    assert api.bodies.held_bytes == 0


def test_many_headers_are_refused(line: Line) -> None:
    many = b"".join(b"a%d:\r\n" % number for number in range(OPTIONS.header_max_count))
    line.feed([b"GET /?a HTTP/1.1\r\n" + many + b"\r\n"])
    assert [answer[0] for answer in line.answers()] == [200]
    line.feed([b"GET /?a HTTP/1.1\r\n" + many + b"b:\r\nc:\r\n"])
    assert [answer[0] for answer in line.answers()] == [200, 431]


def test_bodies_of_all_connections_have_one_bound(loop: asyncio.AbstractEventLoop) -> None:
    """Who holds most of it has to leave; who asks for little is served."""
    api = Echo()
    api.bodies, api.crowd = Bodies(max_bytes=1000), Crowd(max_count=100)
    many = [Line(loop, api=api) for _ in range(9)]
    for line in many:
        line.feed([post(200, 100)])
    hog = Line(loop, api=api)
    hog.feed([post(200, 100), b"b" * 50])
    refused(hog, 503, "ServiceUnavailable")
    assert api.bodies.held_bytes == 9 * 100
    little = Line(loop, api=api)
    little.feed([post(90, 90)])
    assert [answer[0] for answer in little.answers()] == [200]
    assert not any(line.transport.written for line in many)
    for line in many:
        line.feed([b"b" * 100])
        assert [answer[0] for answer in line.answers()] == [200]
    assert api.bodies.held_bytes == 0


def test_strangers_leave_before_those_whose_head_is_signed(loop: asyncio.AbstractEventLoop) -> None:
    """The largest of them first; only among themselves do callers of ours leave. What is signed once holds once."""
    api = Echo()
    api.bodies, api.crowd = Bodies(max_bytes=1000), Crowd(max_count=100)

    def sending(sent: int, call: bytes = b"") -> Line:
        line = Line(loop, api=api)
        line.feed([post(200, sent, call)])
        return line

    def hung_up(*lines: Line) -> list[bool]:
        return [line.transport.ended for line in lines]

    strangers = [sending(sent) for sent in (90, 100, 80)]
    ours = [sending(190, b"1"), sending(180, b"2"), sending(170, b"3")]
    again = sending(195, b"1")  # a head that was overheard
    assert hung_up(*strangers, *ours, again) == [False] * 6 + [True]
    latest = [sending(180, b"4"), sending(180, b"5")]
    assert hung_up(*strangers, *ours, *latest) == [True, True, False, *[False] * 5]
    latest.append(sending(180, b"6"))
    assert hung_up(*strangers, *ours, *latest) == [True, True, True, True, *[False] * 5]
    refused(ours[0], 503, "ServiceUnavailable")
    for line in latest:
        line.feed([b"b" * 20])
        assert [answer[0] for answer in line.answers()] == [200]


@pytest.mark.parametrize(
    "end",
    ["answer", "close", "close while it is answered", "close before the next", "farewell", "refusal", "pipelined"],
)
def test_what_is_held_of_bodies_is_given_back(loop: asyncio.AbstractEventLoop, end: str) -> None:
    api = Echo()
    line = Line(loop, api=api)
    if end == "close while it is answered":
        api.gate.clear()
        line.connection.data_received(post(5, 5))
        line.turn()
        line.connection.connection_lost(None)
        assert api.bodies.held_bytes == 5
        api.gate.set()
        line.turn(5)
    elif end == "close before the next":
        api.gate.clear()
        line.connection.data_received(post(5, 5) * 2)
        line.turn()
        api.gate.set()
        line.loop.call_soon(
            line.connection.connection_lost, None
        )  # between the first one's end and the second's beginning
        line.turn(5)
    elif end == "pipelined":
        line.feed([post(5, 5) * 3])
        assert len(line.answers()) == 3
    else:
        line.feed([post(5, 5 if end == "answer" else 3)])
        if end == "close":
            line.connection.connection_lost(None)
        elif end == "farewell":
            line.connection.eof_received()
        elif end == "refusal":
            line.connection.look(line.loop.time() + OPTIONS.body_time_s + 1)
            refused(line, 408, "RequestTimeout")
    assert api.bodies.held_bytes == 0


# ------------------------------------------------------------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("sent", "limit_s"),
    [
        (b"", OPTIONS.head_time_s),
        (b"POST / HT", OPTIONS.head_time_s),
        (b"GET /?a HTTP/1.1\r\n\r\n", OPTIONS.keep_alive_s),
        (b"GET /?a HTTP/1.1\r\n\r\nGET", OPTIONS.head_time_s),
    ],
)
def test_what_does_not_go_on_is_hung_up_on(line: Line, sent: bytes, limit_s: float) -> None:
    line.feed([sent])
    now_s = line.loop.time()
    line.connection.look(now_s + limit_s - 1)
    assert not line.transport.closed
    line.connection.look(now_s + limit_s + 1)
    assert line.transport.closed


@pytest.mark.parametrize("said", [b"content-length: 5", b"transfer-encoding: chunked"])
def test_a_body_that_does_not_come(line: Line, said: bytes) -> None:
    line.feed([b"POST / HTTP/1.1\r\n" + said + b"\r\n\r\n"])
    now_s = line.loop.time()
    line.connection.look(now_s + OPTIONS.body_time_s - 1)
    assert line.transport.written == b""
    line.connection.look(now_s + OPTIONS.body_time_s + 1)
    refused(line, 408, "RequestTimeout")
    line.connection.look(line.loop.time() + OPTIONS.linger_s + 1)
    assert line.transport.closed


@pytest.mark.parametrize(
    ("head", "limit_s", "code"),
    [(b"POST / HTTP/1.1\r\n", OPTIONS.head_time_s, ""), (CHUNKED, OPTIONS.body_time_s, "RequestTimeout")],
)
def test_time_is_over_for_those_who_send_on_though_nobody_sweeps(
    line: Line, monkeypatch: pytest.MonkeyPatch, head: bytes, limit_s: float, code: str
) -> None:
    began_s = line.loop.time()
    line.feed([head])
    monkeypatch.setattr(line.loop, "time", lambda: began_s + limit_s - 1)
    line.connection.data_received(b"1")
    assert (line.transport.written, line.transport.closed) == (b"", False)
    monkeypatch.setattr(line.loop, "time", lambda: began_s + limit_s + 1)
    line.connection.data_received(b"1")
    if code:
        refused(line, 408, code)
        monkeypatch.setattr(line.loop, "time", lambda: began_s + limit_s + 1 + OPTIONS.linger_s)
        line.connection.data_received(b"1")
    assert line.transport.closed


def test_what_is_whole_when_it_is_read_is_not_late(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.feed([CHUNKED, b"1\r\na\r\n"])
    late_s = line.loop.time() + OPTIONS.body_time_s + 1
    with monkeypatch.context() as patched:
        patched.setattr(line.loop, "time", lambda: late_s)
        line.connection.data_received(b"0\r\n\r\n")
    line.feed([])
    assert line.answers()[0][1]["Body"] == "a"


def test_our_own_work_has_all_the_time(line: Line) -> None:
    line.api.gate.clear()
    line.connection.data_received(b"GET /?a HTTP/1.1\r\n\r\n")
    line.turn()
    line.connection.look(line.loop.time() + 1e6)
    assert not line.transport.closed
    line.api.gate.set()
    line.feed([])
    assert len(line.answers()) == 1
