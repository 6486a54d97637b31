"""When there are too many connections, or too much of what they send is held, who has to leave?"""

from __future__ import annotations

import asyncio

import pytest

from penstock.api import connection
from penstock.api.bodies import Bodies
from penstock.api.crowd import Crowd
from tests.unit.api.oneline import GET, OPTIONS, Echo, Line, post, refused


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
