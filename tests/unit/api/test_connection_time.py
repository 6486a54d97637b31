"""Who has how long to go on, and what becomes of those who do not?"""

from __future__ import annotations

import pytest

from tests.unit.api.oneline import CHUNKED, OPTIONS, Line, refused


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
