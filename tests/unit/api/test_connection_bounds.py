"""Is what is too long, too much or wrongly framed refused at once, and is nothing of it kept?"""

from __future__ import annotations

import sys
import tracemalloc

import pytest

from tests.unit.api.oneline import CHUNKED, OPTIONS, Line, refused


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"POST / HTTP/1.1\r\ncontent-length: 201\r\n\r\n", 413, "RequestEntityTooLarge"),
        (b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 201\r\n\r\n", 413, "RequestEntityTooLarge"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nff\r\n" + b"x" * 201, 413, "RequestEntityTooLarge"),
        (b"POST / HTTP/1.1\r\nx: " + b"x" * 4000, 431, "RequestHeaderTooLarge"),
        (b"POST / HTTP/1.1\r\n" + b"x: y\r\n" * 1001 + b"\r\n", 431, "RequestHeaderTooLarge"),
        (b"POST /?" + b"x" * 1001 + b" HTTP/1.1\r\n\r\n", 414, "RequestURITooLong"),
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


def test_many_headers_are_refused(line: Line) -> None:
    many = b"".join(b"a%d:\r\n" % number for number in range(OPTIONS.header_max_count))
    line.feed([b"GET /?a HTTP/1.1\r\n" + many + b"\r\n"])
    assert [answer[0] for answer in line.answers()] == [200]
    line.feed([b"GET /?a HTTP/1.1\r\n" + many + b"b:\r\nc:\r\n"])
    assert [answer[0] for answer in line.answers()] == [200, 431]
