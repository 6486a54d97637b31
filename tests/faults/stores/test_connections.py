"""Connections that break, stall, close early or are not there: always a StoreUnavailableError in time, never a wrong answer."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace

import fastcrc
import pytest

from penstock.errors import ObjectNotFoundError, PermissionDeniedError, StoreUnavailableError, ThrottledError
from penstock.stores.base import ByteRange, Overwrite, PutResult, Store
from penstock.stores.opening import Timeouts
from tests.faults.stores.conftest import PATIENT, Opener
from tests.fixtures.scriptedserver import Peer, ScriptedServer, answer, error_body, object_answer
from tests.fixtures.stopwatch import Stopwatch

LARGE = bytes(32 << 20)
LARGE_CRC64 = int(fastcrc.crc64.xz(LARGE))
NOT_FOUND = answer("404 Not Found", error_body("NoSuchKey"))


def read(store: Store, byte_range: ByteRange | None = None) -> bytes:
    with store.get("key", byte_range=byte_range) as stream:
        taken = bytearray()
        buffer = memoryview(bytearray(4096))
        while count := stream.readinto(buffer):
            taken += buffer[:count]
        return bytes(taken)


def put(store: Store, content: bytes = b"content") -> PutResult:
    return store.put("key", [content], crc64=int(fastcrc.crc64.xz(content)), metadata={}, precondition=Overwrite())


def test_a_truncated_body_is_noticed_and_the_connection_dropped(open_at: Opener) -> None:
    def truncated(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"0123456789")[:-4])

    def whole(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"0123456789"))

    with ScriptedServer(truncated, whole) as server:
        store = open_at(server.endpoint)
        with pytest.raises(StoreUnavailableError, match=r"6 of 10 bytes") as caught:
            read(store)
        assert caught.value.key == "key"
        assert caught.value.bucket == "bucket"
        assert caught.value.waiting_helps
        assert read(store) == b"0123456789"


def test_a_reset_in_the_body_is_noticed(open_at: Opener) -> None:
    def reset(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"0123456789")[:-4])
        peer.reset()

    with ScriptedServer(reset) as server, pytest.raises(StoreUnavailableError):
        read(open_at(server.endpoint))


def test_connections_are_kept_and_used_again(open_at: Opener) -> None:
    def three(peer: Peer) -> None:
        for _ in range(2):
            peer.read_request()
            peer.send(object_answer(b"body"))
        peer.read_request()
        peer.send(
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 100\r\n\r\n"
        )  # to HEAD: the length is told, nothing follows
        peer.read_request()
        peer.send(answer("200 OK", etag='"e"'))
        peer.wait_for_close()

    with ScriptedServer(three) as server:
        store = open_at(server.endpoint)
        assert read(store) == b"body"
        assert read(store) == b"body"
        with pytest.raises(ObjectNotFoundError):
            store.head("key")
        put(store)
        assert server.connections == 1
        store.close()


@pytest.mark.parametrize("how", ["connection: close", "an older protocol"])
def test_a_connection_that_the_server_will_close_is_not_kept(open_at: Opener, how: str) -> None:
    def closing(peer: Peer) -> None:
        peer.read_request()
        if how == "connection: close":
            peer.send(object_answer(b"body", connection="close"))
        else:
            peer.send(object_answer(b"body").replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert peer.wait_for_close() == b""

    with ScriptedServer(closing, closing) as server:
        store = open_at(server.endpoint)
        assert read(store) == read(store) == b"body"


def test_an_idle_connection_that_was_closed_is_not_used_again(open_at: Opener) -> None:
    closed = threading.Event()

    def closing(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"body"))
        peer.close()
        closed.set()

    def second(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer("200 OK", etag='"e"'))

    with ScriptedServer(closing, second) as server:
        store = open_at(server.endpoint)
        read(store)
        assert closed.wait(60)
        put(store)  # a PUT could not be sent again: the dead connection has to be recognised beforehand


def test_an_idle_connection_that_talks_unasked_is_not_used_again(open_at: Opener) -> None:
    done, said = threading.Event(), threading.Event()

    def talking(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"body"))
        assert done.wait(60)
        peer.send(object_answer(b"not asked for"))
        said.set()
        peer.wait_for_close()

    def second(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"right"))

    with ScriptedServer(talking, second) as server:
        store = open_at(server.endpoint)
        assert read(store) == b"body"
        done.set()
        assert said.wait(60)
        assert read(store) == b"right"


def test_an_old_idle_connection_is_not_used_again(open_at: Opener) -> None:
    def one(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"body"))
        peer.wait_for_close()

    with ScriptedServer(one, one) as server:
        store = open_at(server.endpoint, timeouts=Timeouts(idle_s=-1.0))
        assert read(store) == read(store) == b"body"
        assert server.connections == 2
        store.close()


def closes_on_the_second(peer: Peer) -> None:
    """Answer one request, take another and close without a byte."""
    peer.read_request()
    peer.send(object_answer(b"first"))
    peer.read_request()


@pytest.mark.parametrize("verb", ["get", "head"])
def test_a_read_on_a_connection_closed_meanwhile_is_sent_again_once(open_at: Opener, verb: str) -> None:
    def second(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"") if verb == "head" else object_answer(b"second"))

    with ScriptedServer(closes_on_the_second, second) as server:
        store = open_at(server.endpoint)
        assert read(store) == b"first"
        if verb == "head":
            assert store.head("key").etag == "E"
        else:
            assert read(store) == b"second"
        assert server.connections == 2


def test_a_write_on_a_connection_closed_meanwhile_is_not_sent_again(open_at: Opener) -> None:
    with ScriptedServer(closes_on_the_second) as server:
        store = open_at(server.endpoint)
        assert read(store) == b"first"
        with pytest.raises(StoreUnavailableError, match="without an answer"):
            put(store)
        assert server.connections == 1


def test_a_half_answer_on_a_kept_connection_is_not_asked_again(open_at: Opener) -> None:
    def half(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"first"))
        peer.read_request()
        peer.send(b"HTTP/1.1 2")

    with ScriptedServer(half) as server:
        store = open_at(server.endpoint)
        assert read(store) == b"first"
        with pytest.raises(StoreUnavailableError):
            read(store)
        assert server.connections == 1


def test_a_fresh_connection_closed_without_an_answer_is_not_tried_again(open_at: Opener) -> None:
    with ScriptedServer(lambda peer: peer.close() if peer.read_request() else None) as server:
        with pytest.raises(StoreUnavailableError, match="without an answer"):
            read(open_at(server.endpoint))
        assert server.connections == 1


@pytest.mark.parametrize("ending", ["stays open", "closes", "resets"])
def test_an_early_refusal_is_heard_while_the_body_is_being_sent(open_at: Opener, ending: str) -> None:
    done = threading.Event()

    def refusing(peer: Peer) -> None:
        peer.read_head()
        peer.send(answer("403 Forbidden", error_body("AccessDenied"), x_oss_request_id="R1"))
        if ending == "stays open":
            assert done.wait(60)
        elif ending == "resets":
            peer.wait_until_received()  # then the reset cannot overtake the answer
            peer.reset()

    with ScriptedServer(refusing) as server:
        store = open_at(server.endpoint)
        with pytest.raises(PermissionDeniedError) as caught:
            store.put("key", [LARGE], crc64=LARGE_CRC64, metadata={}, precondition=Overwrite())
        done.set()
        assert caught.value.request_id == "R1"


def test_an_early_throttling_answer_is_heard_too(open_at: Opener) -> None:
    def throttling(peer: Peer) -> None:
        peer.read_head()
        peer.send(answer("503 Service Unavailable", error_body("SlowDown"), retry_after="7"))

    with ScriptedServer(throttling) as server, pytest.raises(ThrottledError) as caught:
        open_at(server.endpoint).put_part("key", "upload", 1, [LARGE], crc64=LARGE_CRC64)
    assert caught.value.retry_after_s == 7


def test_an_early_success_is_no_success(open_at: Opener) -> None:
    def hasty(peer: Peer) -> None:
        peer.read_head()
        peer.send(answer("200 OK", etag='"e"', x_oss_hash_crc64ecma=str(LARGE_CRC64)))
        peer.read_exactly(1 << 20)
        peer.wait_for_close()

    with ScriptedServer(hasty) as server, pytest.raises(StoreUnavailableError, match="before the body was sent"):
        open_at(server.endpoint).put("key", [LARGE], crc64=LARGE_CRC64, metadata={}, precondition=Overwrite())


def test_a_server_that_never_answers_is_left_in_time(open_at: Opener) -> None:
    done = threading.Event()

    def silent(peer: Peer) -> None:
        peer.read_request()
        assert done.wait(60)

    with ScriptedServer(silent, silent) as server:
        for verb in (read, put):
            watch = Stopwatch()
            with pytest.raises(StoreUnavailableError, match=r"no answer within 0\.5 s"):
                verb(open_at(server.endpoint, timeouts=replace(PATIENT, first_byte_s=0.5)))
            assert watch.took_s() < 5
        done.set()


def test_a_body_that_stalls_is_left_in_time(open_at: Opener) -> None:
    done = threading.Event()

    def stalling(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(bytes(100))[:-50])
        assert done.wait(60)

    with ScriptedServer(stalling) as server:
        with pytest.raises(StoreUnavailableError, match=r"nothing of the body for 0\.3 s"):
            read(open_at(server.endpoint, timeouts=replace(PATIENT, read_s=0.3)))
        done.set()


def test_a_server_that_takes_nothing_of_the_body_is_left_in_time(open_at: Opener) -> None:
    done = threading.Event()

    def deaf(peer: Peer) -> None:
        peer.read_head()
        assert done.wait(60)

    with ScriptedServer(deaf) as server:
        with pytest.raises(StoreUnavailableError, match=r"took nothing of the body for 0\.5 s"):
            open_at(server.endpoint, timeouts=replace(PATIENT, send_s=0.5)).put(
                "key", [LARGE], crc64=LARGE_CRC64, metadata={}, precondition=Overwrite()
            )
        done.set()


def test_a_server_that_does_not_accept_is_left_in_time(open_at: Opener) -> None:
    with socket.socket() as listener, socket.socket() as filler, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in (filler, second):  # the queue takes them; nobody else fits
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        with pytest.raises(StoreUnavailableError, match=r"no connection to 127\.0\.0\.1:\d+ within 0\.5 s"):
            read(open_at(f"http://127.0.0.1:{listener.getsockname()[1]}", timeouts=replace(PATIENT, connect_s=0.5)))


def test_a_port_where_nobody_listens_is_said_so(open_at: Opener) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(StoreUnavailableError, match=r"no connection to 127\.0\.0\.1:\d+: .*refused"):
            read(open_at(f"http://127.0.0.1:{taken.getsockname()[1]}"))


def test_a_host_name_that_does_not_exist_is_said_so(open_at: Opener) -> None:
    with pytest.raises(StoreUnavailableError, match=r"no connection to no-such-host\.invalid:80"):
        read(open_at("http://no-such-host.invalid"))


def test_connections_are_bounded_and_waiting_for_one_too(open_at: Opener) -> None:
    def one(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(bytes(1 << 20)))
        peer.wait_for_close()

    with ScriptedServer(one, one) as server:
        store = open_at(server.endpoint, connections_max=1, timeouts=replace(PATIENT, slot_s=0.2))
        with store.get("key") as stream:
            assert stream.readinto(memoryview(bytearray(10))) == 10
            with pytest.raises(StoreUnavailableError, match="are busy"):
                store.head("key")
        assert len(read(store)) == 1 << 20
        store.close()


def test_failures_give_their_place_back(open_at: Opener) -> None:
    def failing(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n")

    with ScriptedServer(*[failing] * 5) as server:
        store = open_at(server.endpoint, connections_max=1)
        for _ in range(5):
            with pytest.raises(StoreUnavailableError, match="no number"):
                read(store)


def test_an_answer_that_is_no_http_is_unavailable(open_at: Opener) -> None:
    def babbling(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"220 ftp.example ready\r\n")

    with ScriptedServer(babbling) as server, pytest.raises(StoreUnavailableError, match="broken answer"):
        read(open_at(server.endpoint))


def test_a_head_of_an_answer_without_end_is_unavailable(open_at: Opener) -> None:
    def endless(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\n")
        assert peer.send_until_refused(b"x" * 100_000, 1000) < 100_000 * 1000

    with ScriptedServer(endless) as server, pytest.raises(StoreUnavailableError, match="broken answer"):
        read(open_at(server.endpoint))


def test_nothing_is_asked_for_that_is_not_wanted(open_at: Opener) -> None:
    heads: list[str] = []

    def listening(peer: Peer) -> None:
        heads.append(peer.read_request().lower())
        peer.send(object_answer(b"body"))

    with ScriptedServer(listening) as server:
        read(open_at(server.endpoint))
    names = {line.partition(":")[0] for line in heads[0].splitlines()[1:]}
    assert names == {"host", "x-oss-date", "x-oss-content-sha256", "x-oss-security-token", "authorization"}


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_redirects_are_not_followed(open_at: Opener, status: str) -> None:
    def redirecting(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer(status, location="http://127.0.0.1:1/elsewhere"))

    with ScriptedServer(redirecting) as server:
        with pytest.raises(Exception, match="redirects are not followed") as caught:
            read(open_at(server.endpoint, timeouts=PATIENT))
        assert server.connections == 1
    assert isinstance(caught.value, StoreUnavailableError) is status.startswith("307")
