"""Is each request answered once, in order and whole, however its bytes arrive and whatever comes with them?"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.api.oneline import Line


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
