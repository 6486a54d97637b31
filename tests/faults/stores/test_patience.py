"""Peers that give their bytes one by one, speak while they are spoken to, or end a TLS stream without its closing word."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from penstock.errors import StoreError, StoreUnavailableError
from penstock.stores.base import ByteRange, Overwrite, Store
from tests.faults.stores.conftest import PATIENT, Opener
from tests.faults.stores.test_connections import LARGE, LARGE_CRC64, put, read
from tests.fixtures.memoryline import MemoryLine, MemoryWire
from tests.fixtures.scriptedserver import Peer, ScriptedServer, answer, object_answer
from tests.fixtures.stopwatch import Stopwatch

PATIENT_S = 10.0
CHUNKED = (
    b"HTTP/1.1 206 OK\r\ncontent-range: bytes 0-4/5\r\nlast-modified: Wed, 23 Oct 2024 16:28:16 GMT\r\n"
    b"transfer-encoding: chunked\r\n\r\n5;"
)


def dripping(beginning: bytes, drop: bytes) -> Callable[[Peer], None]:
    """Answer with this beginning, then a drop whenever the client has taken the one before, until it has enough."""

    def scene(peer: Peer) -> None:
        peer.read_request()
        peer.send(beginning)
        tick = threading.Event()  # nobody sets it: how slowly it drips is what is played here
        while True:
            try:
                peer.send(drop)
            except ConnectionError:
                return
            tick.wait(0.02)

    return scene


@pytest.mark.parametrize(
    ("beginning", "drop", "act"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"[:1], read),
        (b"HTTP/1.1 200 OK\r\nx: ", b"x", read),
        (b"HTTP/1.1 200 OK\r\n", b"a: 1\r\n", put),
        (CHUNKED, b"x", lambda store: read(store, ByteRange(offset=0, length_bytes=5))),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n", b" ", lambda store: store.list_objects()),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n", b" ", put),
        (b"HTTP/1.1 500 No\r\ncontent-length: 60000\r\n\r\n", b" ", read),
    ],
    ids=["no answer", "a header", "headers", "a chunk's size", "a listing", "after a PUT", "an error"],
)
def test_bytes_that_come_one_by_one_are_not_waited_for_without_end(
    open_at: Opener, beginning: bytes, drop: bytes, act: Callable[[Store], object]
) -> None:
    timeouts = replace(PATIENT, first_byte_s=0.4, read_s=0.3, document_s=0.4)
    with ScriptedServer(dripping(beginning, drop)) as server:
        watch = Stopwatch()
        with pytest.raises(StoreError):
            act(open_at(server.endpoint, timeouts=timeouts))
        assert watch.took_s() < PATIENT_S / 2


def test_a_slow_answer_within_its_time_is_heard(open_at: Opener) -> None:
    """The head may come in pieces, and later than one read waits by itself."""

    def slow(peer: Peer) -> None:
        peer.read_request()
        tick = threading.Event()
        for piece in (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 ",
            object_answer(b"body")[9:40],
            object_answer(b"body")[40:],
        ):
            tick.wait(0.15)
            peer.send(piece)

    with ScriptedServer(slow) as server:
        timeouts = replace(PATIENT, read_s=0.1)
        assert read(open_at(server.endpoint, timeouts=timeouts)) == b"body"


def test_continue_in_the_middle_of_a_body_does_not_end_it(open_at: Opener) -> None:
    """Some servers say 100 unasked; it is no answer, and the rest of the body is still wanted."""
    received: list[int] = []

    def encouraging(peer: Peer) -> None:
        peer.read_head()
        for piece in (b"HTTP/1.1 100 Conti", b"nue\r\n\r\nHTTP/1.1 102 Processing\r\nx: y\r\n\r\n"):
            peer.send(piece)
            received.append(len(peer.read_exactly(1 << 20)))
        received.append(len(peer.read_exactly(len(LARGE) - sum(received))))
        peer.send(answer("200 OK", etag='"e"', x_oss_hash_crc64ecma=str(LARGE_CRC64)))
        peer.wait_for_close()

    with ScriptedServer(encouraging) as server:
        store = open_at(server.endpoint, timeouts=PATIENT)
        store.put("key", [LARGE], crc64=LARGE_CRC64, metadata={}, precondition=Overwrite())
        store.close()
    assert sum(received) == len(LARGE)


def test_a_connection_that_takes_nothing_more_is_replaced_for_a_write_too() -> None:
    """Nothing of the request was sent, so it cannot have been done: the only time that a PUT is sent once more."""
    wire = MemoryWire([b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"])
    first = wire.send("PUT", "/", {"host": "peer"}, [b"x"], slot_s=0)
    assert first is not None
    assert first.answer().status == 200
    kept = wire.lines[0]

    class Gone(MemoryLine):
        def send(self, views: list[memoryview], wait_s: float) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    kept.__class__ = Gone
    again = wire.send("PUT", "/", {"host": "peer"}, [b"x"], slot_s=0)
    assert again is not None
    assert kept.closed
    assert len(wire.lines) == 2
    with pytest.raises(StoreUnavailableError, match="without an answer"):
        again.answer()


def test_a_connection_that_stops_half_way_is_not_replaced_for_a_write() -> None:
    class Failing(MemoryLine):
        def send(self, views: list[memoryview], wait_s: float) -> int:
            if len(views) > 1:
                return len(views[0])
            raise ConnectionResetError(104, "reset")

    wire = MemoryWire([b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"])
    first = wire.send("GET", "/", {"host": "peer"}, slot_s=0)
    assert first is not None
    first.answer()
    wire.lines[0].__class__ = Failing
    again = wire.send("PUT", "/", {"host": "peer"}, [b"x"], slot_s=0)
    assert again is not None
    with pytest.raises(StoreUnavailableError):
        again.answer()
    assert len(wire.lines) == 1


def test_a_half_closed_peer_that_answers_is_heard_and_not_used_again(open_at: Opener) -> None:
    closed = threading.Event()

    def half_closing(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"body"))
        peer._sock.shutdown(socket.SHUT_WR)
        closed.set()
        assert peer.wait_for_close() == b""

    with ScriptedServer(half_closing, half_closing) as server:
        store = open_at(server.endpoint)
        for _ in range(2):
            assert read(store) == b"body"
            assert closed.wait(PATIENT_S)
            closed.clear()
        assert server.connections == 2
        store.close()


@pytest.mark.parametrize(("slow_bytes", "is_given_up"), [(10_000, True), (5, False)])
def test_a_body_that_drips_is_given_up(open_at: Opener, slow_bytes: int, is_given_up: bool) -> None:
    """Each drop comes well within the time of a read."""
    body = b"x" * 60

    def drips(peer: Peer) -> None:
        peer.read_request()
        whole = object_answer(body)
        peer.send(whole[: -len(body)])
        tick = threading.Event()
        for _ in body:
            tick.wait(0.02)
            try:
                peer.send(b"x")
            except ConnectionError:
                return

    timeouts = replace(PATIENT, slow_s=0.4, slow_bytes=slow_bytes)
    with ScriptedServer(drips) as server:
        store = open_at(server.endpoint, timeouts=timeouts)
        if is_given_up:
            with pytest.raises(StoreUnavailableError, match="less of the body than 10000 bytes"):
                read(store)
        else:
            assert read(store) == body


def test_a_store_that_takes_a_body_drop_by_drop_is_given_up(open_at: Opener) -> None:
    def sips(peer: Peer) -> None:
        peer.read_head()
        tick = threading.Event()
        with contextlib.suppress(EOFError):
            while True:
                peer.read_exactly(256 << 10)
                tick.wait(0.05)

    timeouts = replace(PATIENT, slow_s=0.4, slow_bytes=1 << 30)
    with ScriptedServer(sips) as server, pytest.raises(StoreUnavailableError, match="too little"):
        open_at(server.endpoint, timeouts=timeouts).put(
            "key", [LARGE], crc64=LARGE_CRC64, metadata={}, precondition=Overwrite()
        )
