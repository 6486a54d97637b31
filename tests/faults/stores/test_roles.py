"""A role's URL: whatever is there, the answer is bounded in time and size, and a store signs with what it gave."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from penstock.errors import PermissionDeniedError, StoreUnavailableError
from penstock.model import AddressingStyle, Bucket, BucketKind
from penstock.stores.opening import open_store
from penstock.stores.renewing import Renewing
from penstock.stores.sources import QUICK, UrlSource
from tests.faults.stores.conftest import PATIENT, SECRET
from tests.fixtures.scriptedserver import Peer, ScriptedServer, answer, error_body, object_answer, saying

ROLE = "/latest/meta-data/ram/security-credentials/role"
PLAIN = "/role"
HURRIED = replace(QUICK, connect_s=20.0, first_byte_s=2.0, read_s=2.0, document_s=2.0)


def document(number: int = 1) -> bytes:
    told = {"Code": "Success", "AccessKeyId": f"STS.{number}", "AccessKeySecret": SECRET, "SecurityToken": f"t{number}"}
    return json.dumps({**told, "Expiration": "2999-01-01T00:00:00Z"}).encode()


def source(server: ScriptedServer, path: str = PLAIN) -> UrlSource:
    return UrlSource(server.endpoint + path, tls=pytest.fail, timeouts=HURRIED)


def test_a_hardened_metadata_service_is_asked_for_a_session_first() -> None:
    heard: list[str] = []

    def opening(peer: Peer) -> None:
        heard.append(peer.read_head())
        peer.send(answer("200 OK", b"session-token"))

    def giving(peer: Peer) -> None:
        heard.append(peer.read_head())
        peer.send(answer("200 OK", document()))

    with ScriptedServer(opening, giving) as server:
        assert source(server, ROLE).fetch().credentials.security_token == "t1"
    first, second = heard
    assert first.startswith("PUT /latest/api/token HTTP/1.1\r\n")
    assert "x-aliyun-ecs-metadata-token-ttl-seconds: 60" in first
    assert second.startswith(f"GET {ROLE} HTTP/1.1\r\n")
    assert "x-aliyun-ecs-metadata-token: session-token" in second


@pytest.mark.parametrize("session", ["404 Not Found", "403 Forbidden", "405 Method Not Allowed"])
def test_one_without_sessions_is_asked_without(session: str) -> None:
    with ScriptedServer(saying(answer(session)), saying(answer("200 OK", document()))) as server:
        assert source(server, ROLE).fetch().credentials.access_key_id == "STS.1"


def silent(peer: Peer) -> None:
    peer.wait_for_close()


def hung_up(peer: Peer) -> None:
    peer.read_head()


@pytest.mark.parametrize("session", [silent, hung_up], ids=["silent", "hung up"])
def test_one_whose_session_never_comes_is_asked_without(session: Callable[[Peer], None]) -> None:
    """Their answers are not let through to containers; those of plain questions are, where sessions are not asked for."""
    heard: list[str] = []

    def giving(peer: Peer) -> None:
        heard.append(peer.read_head())
        peer.send(answer("200 OK", document()))

    with ScriptedServer(session, giving) as server:
        assert source(server, ROLE).fetch().credentials.access_key_id == "STS.1"
    assert heard[0].startswith(f"GET {ROLE} HTTP/1.1\r\n")
    assert "metadata-token" not in heard[0]


def endless(peer: Peer) -> None:
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
    peer.send_until_refused(b" " * 65536, 1000)


def dripping(peer: Peer) -> None:
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
    peer.wait_for_close()


@pytest.mark.parametrize(
    ("scene", "kind", "words"),
    [
        (silent, StoreUnavailableError, "no answer within"),
        (dripping, StoreUnavailableError, ""),
        (endless, PermissionDeniedError, "no JSON"),
        (saying(answer("500 Internal Server Error")), StoreUnavailableError, "answered 500"),
        (saying(answer("429 Too Many Requests")), StoreUnavailableError, "answered 429"),
        (saying(answer("404 Not Found")), PermissionDeniedError, "role is attached"),
        (saying(answer("302 Found", location="http://example.com/")), PermissionDeniedError, "answered 302"),
        (saying(answer("200 OK", f'{{"AccessKeySecret": "{SECRET}"}}'.encode())), PermissionDeniedError, "AccessKeyId"),
        (saying(b"SSH-2.0-OpenSSH\r\n"), StoreUnavailableError, ""),
    ],
    ids=["silent", "dripping", "endless", "500", "429", "404", "redirect", "half", "no HTTP"],
)
def test_whatever_is_there_is_bounded(scene: Callable[[Peer], None], kind: type[Exception], words: str) -> None:
    with ScriptedServer(scene) as server:
        with pytest.raises(kind, match=words or None) as caught:
            source(server).fetch()
        assert SECRET not in str(caught.value)
        assert f"{server.endpoint}{PLAIN}" in str(caught.value)


def test_nobody_there_is_a_wait() -> None:
    with ScriptedServer() as server:
        gone = source(server)
    with pytest.raises(StoreUnavailableError, match=f"the credentials of {gone.place} cannot be had: no connection"):
        gone.fetch()


@pytest.mark.parametrize("kind", [BucketKind.OSS, BucketKind.S3])
def test_a_store_signs_with_what_the_role_gives_and_asks_anew_when_it_is_refused(kind: BucketKind) -> None:
    heard: list[str] = []
    now_ns = [1_800_000_000 * 10**9]

    def storing(peer: Peer) -> None:
        for said in (object_answer(b""), answer("403 Forbidden", error_body("ExpiredToken")), object_answer(b"")):
            heard.append(peer.read_head())
            peer.send(said)

    def get() -> None:
        with store.get("key"):
            now_ns[0] += 60 * 10**9

    with (
        ScriptedServer(saying(answer("200 OK", document(1))), saying(answer("200 OK", document(2)))) as role,
        ScriptedServer(storing) as server,
    ):
        bucket = Bucket(
            name="bucket", kind=kind, endpoint=server.endpoint, region="r", addressing_style=AddressingStyle.PATH
        )
        store = open_store(bucket, Renewing(source(role)), timeouts=PATIENT, clock=lambda: now_ns[0])
        get()
        with pytest.raises(PermissionDeniedError, match="expired"):
            get()
        get()
        store.close()
    tokens = [line for head in heard for line in head.splitlines() if "security-token: " in line]
    assert [token.rpartition(" ")[2] for token in tokens] == ["t1", "t1", "t2"]
