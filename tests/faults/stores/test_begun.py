"""Requests that were begun: several on their way from one thread, short of connections, given up, on stale connections."""

from __future__ import annotations

import select
import threading
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import cast

import fastcrc
import pytest

from penstock.errors import ObjectNotFoundError, PreconditionFailedError, StoreRefusedError, StoreUnavailableError
from penstock.stores.base import ByteRange, ObjectStream, Overwrite, PutResult, Started, Store
from tests.faults.stores.conftest import PATIENT, Opener
from tests.faults.stores.test_connections import NOT_FOUND, closes_on_the_second, read
from tests.fixtures.scriptedserver import Peer, ScriptedServer, answer, error_body, object_answer
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.waiting import wait_until

CONTENT = b"content"
STORED = answer("200 OK", etag='"e"', x_oss_hash_crc64ecma=str(int(fastcrc.crc64.xz(CONTENT))))

Getting = Started[AbstractContextManager[ObjectStream]]


def begin_put(store: Store, content: bytes | bytearray = CONTENT) -> Started[PutResult] | None:
    crc64 = int(fastcrc.crc64.xz(content))
    return store.begin_put("key", [content], crc64=crc64, metadata={}, precondition=Overwrite())


def sent(begun: Getting | None) -> Getting:
    assert begun is not None
    return begun


def body_of(begun: Getting) -> bytes:
    with begun.result() as stream:
        taken = bytearray(stream.length_bytes)
        filled = 0
        while filled < len(taken):
            filled += stream.readinto(memoryview(taken)[filled:])
        return bytes(taken)


def test_all_of_a_batch_is_sent_before_any_answer_is_waited_for(open_at: Opener) -> None:
    """No scene answers before every request has come: one request after the other would never end."""
    arrived = threading.Barrier(4)

    def together(peer: Peer) -> None:
        body = peer.read_request().split()[1].encode()
        arrived.wait(60)
        peer.send(object_answer(body))

    def putting(peer: Peer) -> None:
        assert peer.read_request().startswith("PUT /bucket/key ")
        arrived.wait(60)
        peer.send(STORED)

    with ScriptedServer(together, together, together, putting) as server:
        store = open_at(server.endpoint)
        begun = [sent(store.begin_get(f"k{number}")) for number in range(3)]
        stored = begin_put(store)
        assert stored is not None
        assert [body_of(each) for each in begun] == [b"/bucket/k0", b"/bucket/k1", b"/bucket/k2"]
        assert stored.result().etag == "e"


def test_results_may_be_taken_in_any_order_and_connections_are_used_again(open_at: Opener) -> None:
    def two(peer: Peer) -> None:
        for _ in range(2):
            peer.send(object_answer(peer.read_request().split()[1].encode()))
        peer.wait_for_close()

    with ScriptedServer(two, two) as server:
        store = open_at(server.endpoint)
        for _ in range(2):
            first, second = sent(store.begin_get("a")), sent(store.begin_get("b"))
            assert body_of(second) == b"/bucket/b"
            assert body_of(first) == b"/bucket/a"
        assert server.connections == 2
        store.close()


def test_short_of_connections_nothing_is_begun_and_nothing_waits(open_at: Opener) -> None:
    """Two batches on two connections: each gets what is free, is told None for the rest, and both come to their end."""

    def twice(peer: Peer) -> None:
        for _ in range(2):
            peer.read_request()
            peer.send(object_answer(b"body"))
        peer.wait_for_close()

    def once(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"body"))
        peer.wait_for_close()

    with ScriptedServer(twice, once) as server:
        store = open_at(server.endpoint, connections_max=2)
        mine, yours = sent(store.begin_get("a")), sent(store.begin_get("b"))
        assert store.begin_get("c") is None
        assert begin_put(store) is None
        assert body_of(mine) == b"body"
        again = sent(store.begin_get("c"))
        assert store.begin_get("d") is None
        assert body_of(yours) == body_of(again) == b"body"
        store.close()


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = b'HTTP/1.1 200 OK\r\netag: "e"\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n'
PAGE = b"<html>\r\n\r\n"  # with what stands behind the chunk it ends as all chunks do
REFUSED = (
    b"HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: chunked\r\n\r\n"
    b"%x;a=b\r\n%s\r\n5\r\n0\r\n\r\n\r\n000\r\n\r\n" % (len(PAGE), PAGE)
)
HEARD: dict[str, tuple[str, bytes, int]] = {
    "the head of a body": ("get", object_answer(b"body"), len(object_answer(b""))),
    "an interim head": ("get", INTERIM + object_answer(b"body"), len(INTERIM + object_answer(b""))),
    "an error's body": ("get", NOT_FOUND, len(NOT_FOUND)),
    "a PUT's answer": ("put", STORED, len(STORED)),
    "a PUT's answer in chunks": ("put", CHUNKED, len(CHUNKED)),
    "a refusal in chunks that look like their end": ("put", REFUSED, len(REFUSED)),
    "no HTTP": ("get", b"SSH-2.0", 1),
}


@pytest.mark.parametrize("heard", HEARD)
def test_an_answer_is_there_with_its_last_byte_and_not_before(open_at: Opener, heard: str) -> None:
    method, whole, there_at = HEARD[heard]
    more = threading.Semaphore(0)

    def dripping(peer: Peer) -> None:
        peer.read_request()
        for at in range(there_at):
            assert more.acquire(timeout=60)
            peer.send(whole[at : at + 1])
        peer.send(whole[there_at:])
        peer.wait_for_close()

    with ScriptedServer(dripping) as server:
        store = open_at(server.endpoint, timeouts=PATIENT)
        begun = store.begin_get("key") if method == "get" else begin_put(store)
        assert begun is not None
        descriptor = begun.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert not begun.is_there()
        for at in range(1, there_at + 1):
            more.release()
            assert poll.poll(10_000)
            assert begun.is_there() == (at == there_at), at
        assert begun.fileno() == -1
        if heard == "an error's body":
            with pytest.raises(ObjectNotFoundError):
                begun.result()
        elif heard == "no HTTP":
            with pytest.raises(StoreUnavailableError, match="it begins with"):
                begun.result()
        elif whole is REFUSED:
            with pytest.raises(StoreUnavailableError, match="503"):
                begun.result()
        elif method == "get":
            assert body_of(cast("Getting", begun)) == b"body"
        else:
            assert cast("Started[PutResult]", begun).result().etag == "e"
        store.close()


FLOOD = b"1;%s\r\nx\r\n" % (b"y" * 4000)
UNCEASING = {
    "chunks whose frame fills the buffer": b"transfer-encoding: chunked\r\n\r\n" + FLOOD * 17,
    "a page as long as the buffer": b"content-length: 100000\r\n\r\n" + bytes(65536),
    "no chunks": b"transfer-encoding: chunked\r\n\r\n3\r\nabcdef",
    "no trailers": b"transfer-encoding: chunked\r\n\r\n0\r\nno trailer\r\n",
}


@pytest.mark.parametrize("heard", UNCEASING)
@pytest.mark.parametrize("status", ["503 Slow Down", "203 Else"])
def test_the_rest_of_a_refusal_that_was_seen_is_not_waited_for(open_at: Opener, heard: str, status: str) -> None:
    """Whoever looks after many answers at once would be held up with all of them."""

    def falls_silent(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 %s\r\n" % status.encode() + UNCEASING[heard])
        peer.wait_for_close()

    with ScriptedServer(falls_silent) as server:
        store = open_at(server.endpoint, timeouts=replace(PATIENT, read_s=60.0))
        begun = sent(store.begin_get("key"))
        wait_until(begun.is_there, 30, "it is not seen")
        watch = Stopwatch()
        with pytest.raises(StoreUnavailableError, match=status[:3]):
            begun.result()
        assert watch.took_s() < 20
        store.close()


def test_who_reads_chunks_is_not_told_that_a_piece_of_their_frame_is_more_of_the_body(open_at: Opener) -> None:
    def begins(peer: Peer) -> None:
        peer.read_request()
        whole = object_answer(b"", content_range="bytes 0-3/4", transfer_encoding="chunked")
        peer.send(whole.replace(b"200 OK", b"206 Some").replace(b"content-length: 0\r\n", b""))
        peer.wait_for_close()

    with (
        ScriptedServer(begins) as server,
        open_at(server.endpoint).get("key", byte_range=ByteRange(offset=0, length_bytes=4)) as stream,
    ):
        assert stream.fileno() == -1


def test_a_closing_is_there_and_told_by_the_result(open_at: Opener) -> None:
    def closing(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200")

    with ScriptedServer(closing) as server:
        begun = sent(open_at(server.endpoint).begin_get("key"))
        wait_until(begun.is_there, 30, "the closing is not seen")
        with pytest.raises(StoreUnavailableError, match="in the middle of its head"):
            begun.result()


def test_an_unread_stream_keeps_its_connection_until_it_is_left(open_at: Opener) -> None:
    def one(peer: Peer) -> None:
        peer.read_request()
        peer.send_until_refused(object_answer(bytes(1 << 20)), 1)
        peer.wait_for_close()

    with ScriptedServer(one, one) as server:
        store = open_at(server.endpoint, connections_max=1)
        with sent(store.begin_get("key")).result() as stream:
            assert stream.length_bytes == 1 << 20
            assert store.begin_get("key") is None
        sent(store.begin_get("key")).abandon()


def test_what_was_given_up_gives_its_place_back_and_closes(open_at: Opener) -> None:
    closed = threading.Event()

    def given_up(peer: Peer) -> None:
        peer.read_request()
        peer.wait_for_close()
        closed.set()

    def whole(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"body"))

    with ScriptedServer(given_up, whole) as server:
        store = open_at(server.endpoint, connections_max=1)
        begun = sent(store.begin_get("key"))
        begun.abandon()
        begun.abandon()
        assert closed.wait(60)
        with pytest.raises(StoreUnavailableError, match="given up"):
            begun.result()
        assert read(store) == b"body"


def test_an_error_of_the_store_is_raised_by_the_result(open_at: Opener) -> None:
    def refusing(peer: Peer) -> None:
        peer.read_request()
        peer.send(NOT_FOUND)
        peer.read_request()
        peer.send(answer("412 Precondition Failed", error_body("PreconditionFailed")))
        peer.wait_for_close()

    with ScriptedServer(refusing) as server:
        store = open_at(server.endpoint, connections_max=1)
        getting = sent(store.begin_get("key"))
        with pytest.raises(ObjectNotFoundError) as caught:
            getting.result()
        assert (caught.value.bucket, caught.value.key) == ("bucket", "key")
        putting = begin_put(store)
        assert putting is not None
        with pytest.raises(PreconditionFailedError):
            putting.result()
        store.close()


def test_a_request_that_cannot_be_sent_is_refused_at_once(open_at: Opener) -> None:
    store = open_at("http://127.0.0.1:1")
    with pytest.raises(StoreUnavailableError, match="no connection"):
        store.begin_get("key")
    with pytest.raises(StoreRefusedError):
        store.begin_get("")


def test_a_get_on_a_stale_connection_is_sent_again_when_its_result_is_asked(open_at: Opener) -> None:
    def second(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"second"))

    with ScriptedServer(closes_on_the_second, second) as server:
        store = open_at(server.endpoint, connections_max=1)
        assert read(store) == b"first"
        assert body_of(sent(store.begin_get("key"))) == b"second"
        assert server.connections == 2


def test_a_put_on_a_stale_connection_is_not_sent_again(open_at: Opener) -> None:
    def second(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"second"))

    with ScriptedServer(closes_on_the_second, second) as server:
        store = open_at(server.endpoint, connections_max=1)
        assert read(store) == b"first"
        putting = begin_put(store)
        assert putting is not None
        with pytest.raises(StoreUnavailableError, match="without an answer"):
            putting.result()
        assert read(store) == b"second"


def test_the_body_of_a_begun_put_may_be_used_again_at_once(open_at: Opener) -> None:
    received: list[bytes] = []
    go_on = threading.Event()

    def late(peer: Peer) -> None:
        peer.read_head()
        assert go_on.wait(60)
        received.append(peer.read_exactly(len(CONTENT)))
        peer.send(STORED)

    with ScriptedServer(late) as server:
        body = bytearray(CONTENT)
        begun = begin_put(open_at(server.endpoint), body)
        assert begun is not None
        body[:] = bytes(len(body))
        go_on.set()
        begun.result()
    assert received == [CONTENT]
