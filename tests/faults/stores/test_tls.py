"""TLS: a certificate that is not trusted is refused, and the message says what to do about it."""

from __future__ import annotations

import contextlib
import select
import ssl
import threading
from pathlib import Path

import pytest

from penstock.errors import PermissionDeniedError, StoreUnavailableError
from penstock.stores.base import Buffer, Overwrite
from tests.faults.stores.conftest import Opener
from tests.faults.stores.test_connections import LARGE, LARGE_CRC64, read
from tests.fixtures.scriptedserver import Peer, ScriptedServer, answer, error_body, object_answer
from tests.fixtures.waiting import wait_until


def test_a_certificate_of_a_named_ca_is_trusted(open_at: Opener, tls: ssl.SSLContext, certificate: Path) -> None:
    received: list[int] = []

    def taking(peer: Peer) -> None:
        peer.read_request()
        peer.send(object_answer(b"body"))
        peer.read_head()
        received.append(len(peer.read_exactly(len(LARGE))))
        peer.send(answer("200 OK", etag='"e"', x_oss_hash_crc64ecma=str(LARGE_CRC64)))
        peer.wait_for_close()

    with ScriptedServer(taking, tls=tls) as server:
        # A busy machine takes its time to decipher that much: patience is not what is asked here.
        store = open_at(server.endpoint, ca_file=str(certificate))
        assert read(store) == b"body"
        halves: list[Buffer] = [LARGE[: len(LARGE) // 2], memoryview(LARGE)[len(LARGE) // 2 :]]
        store.put("key", halves, crc64=LARGE_CRC64, metadata={}, precondition=Overwrite())
        store.close()
    assert received == [len(LARGE)]
    assert server.connections == 1


def test_a_certificate_of_an_unknown_ca_is_refused_and_the_setting_named(open_at: Opener, tls: ssl.SSLContext) -> None:
    with (
        ScriptedServer(lambda _peer: None, tls=tls) as server,
        pytest.raises(StoreUnavailableError, match=r"not trusted .*ca_file"),
    ):
        read(open_at(server.endpoint))


def test_a_certificate_for_another_name_is_refused(open_at: Opener, tls: ssl.SSLContext, certificate: Path) -> None:
    with (
        ScriptedServer(lambda _peer: None, tls=tls) as server,
        pytest.raises(StoreUnavailableError, match="not trusted"),
    ):
        read(open_at(server.endpoint.replace("127.0.0.1", "localhost"), ca_file=str(certificate)))


def test_a_server_without_tls_is_said_to_have_none(open_at: Opener) -> None:
    def plain(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.wait_for_close()

    with ScriptedServer(plain) as server, pytest.raises(StoreUnavailableError, match="no TLS with"):
        read(open_at(server.endpoint.replace("http:", "https:")))


@pytest.mark.parametrize("ending", ["takes the rest", "closes"])
def test_a_refusal_is_heard_over_tls_while_the_body_is_being_sent(
    open_at: Opener, tls: ssl.SSLContext, certificate: Path, ending: str
) -> None:
    """The client cannot look for it before the end of the body, but what was said before the close is read."""

    def refusing(peer: Peer) -> None:
        peer.read_head()
        peer.send(answer("403 Forbidden", error_body("AccessDenied")))
        if ending == "takes the rest":
            peer.read_exactly(len(LARGE))
        else:
            peer.wait_until_received()  # then the reset cannot overtake the answer

    with ScriptedServer(refusing, tls=tls) as server, pytest.raises(PermissionDeniedError):
        open_at(server.endpoint, ca_file=str(certificate)).put(
            "key", [LARGE], crc64=LARGE_CRC64, metadata={}, precondition=Overwrite()
        )


@pytest.mark.parametrize("ending", ["says so", "just ends"])
def test_a_body_up_to_the_close_needs_the_closing_word_of_tls(
    open_at: Opener, tls: ssl.SSLContext, certificate: Path, ending: str
) -> None:
    """Anybody on the way can end a TCP stream; only the peer can end a TLS stream, by close_notify."""

    def closing(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
        if ending == "says so":
            with contextlib.suppress(OSError):
                peer._sock.unwrap()  # type: ignore[attr-defined]

    with ScriptedServer(closing, tls=tls) as server:
        store = open_at(server.endpoint, ca_file=str(certificate))
        if ending == "says so":
            assert store.list_objects().objects == []
        else:
            with pytest.raises(StoreUnavailableError, match="broke off the body"):
                store.list_objects()


def test_begun_requests_over_tls_are_answered_and_used_again(
    open_at: Opener, tls: ssl.SSLContext, certificate: Path
) -> None:
    def two(peer: Peer) -> None:
        for _ in range(2):
            peer.send(object_answer(peer.read_request().split()[1].encode() * 5000))
        peer.wait_for_close()

    with ScriptedServer(two, two, tls=tls) as server:
        store = open_at(server.endpoint, ca_file=str(certificate))
        for _ in range(2):
            begun = [store.begin_get(key) for key in ("a", "b")]
            for key, each in zip("ab", begun, strict=True):
                assert each is not None
                with each.result() as stream:
                    body = bytearray()
                    buffer = memoryview(bytearray(100_000))
                    while count := stream.readinto(buffer):
                        body += buffer[:count]
                assert body == f"/bucket/{key}".encode() * 5000
        assert server.connections == 2
        store.close()


def test_half_an_answer_over_tls_is_not_waited_for(open_at: Opener, tls: ssl.SSLContext, certificate: Path) -> None:
    whole = object_answer(b"body" * 5000)
    more = threading.Event()

    def halting(peer: Peer) -> None:
        peer.read_request()
        peer.send(whole[:30])
        assert more.wait(60)
        peer.send(whole[30:])
        peer.wait_for_close()

    with ScriptedServer(halting, tls=tls) as server:
        store = open_at(server.endpoint, ca_file=str(certificate))
        begun = store.begin_get("key")
        assert begun is not None
        poll = select.poll()
        poll.register(begun.fileno(), select.POLLIN)
        assert poll.poll(10_000)
        for _ in range(3):  # the ticket of the session, the first half, nothing
            assert not begun.is_there()
        more.set()
        wait_until(begun.is_there, 30, "the answer does not come")
        with begun.result() as stream:
            body = bytearray()
            buffer = memoryview(bytearray(100_000))
            while count := stream.readinto(buffer):
                body += buffer[:count]
        assert body == b"body" * 5000
        store.close()
