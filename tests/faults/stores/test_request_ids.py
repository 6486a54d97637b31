"""Is an answer that comes a second time told from that of a store which gives the same request id more than once?"""

from __future__ import annotations

import pytest

from penstock.errors import StoreUnavailableError
from penstock.model import BucketKind
from penstock.stores.base import Store
from tests.faults.stores.conftest import Opener
from tests.faults.stores.test_connections import put, read
from tests.fixtures.scriptedserver import Peer, Scene, ScriptedServer, object_answer
from tests.fixtures.waiting import wait_until

MD5 = '"9a0364b9e99bb480dd25e1f0284c8555"'
NAMES = {BucketKind.OSS: "x_oss_request_id", BucketKind.S3: "x_amz_request_id"}


def telling(*told: tuple[str, bytes], name: str = "x_oss_request_id") -> Scene:
    """Answer as many requests, with these request ids and bodies (a body is for a GET only)."""

    def scene(peer: Peer) -> None:
        for request_id, body in told:
            peer.read_request()
            peer.send(object_answer(body, **{name: request_id}).replace(b'"E"', MD5.encode()))
        peer.wait_for_close()

    return scene


def do(store: Store, verbs: str) -> list[bytes]:
    """One request for each letter, and what was read: G gets, P puts."""
    told: list[bytes] = []
    for verb in verbs:
        if verb == "G":
            told.append(read(store))
        else:
            put(store)
    return told


@pytest.mark.parametrize("kind", [BucketKind.OSS, BucketKind.S3])
@pytest.mark.parametrize("verbs", ["GGGGG", "PPPPP", "GPGPG", "PGPGP", "GGPPP", "PPGGG"])
def test_a_store_that_calls_all_requests_the_same_can_be_used(open_at: Opener, kind: BucketKind, verbs: str) -> None:
    def always(peer: Peer) -> None:
        while True:
            try:
                head = peer.read_request()
            except EOFError:
                return
            body = b"body" if head.startswith("GET") else b""
            peer.send(object_answer(body, **{NAMES[kind]: "4442587FB7D0A2F9"}).replace(b'"E"', MD5.encode()))

    with ScriptedServer(always, always) as server:
        store = open_at(server.endpoint, kind=kind)
        assert do(store, verbs) == [b"body"] * verbs.count("G")
        assert server.connections == 2, "the second one tells, both are kept"
        store.close()


def test_connections_are_kept_where_request_ids_differ(open_at: Opener) -> None:
    first = telling(("A", b"first"))
    second = telling(("B", b""), ("C", b"third"), ("D", b""), ("E", b"fifth"))
    with ScriptedServer(first, second) as server:
        store = open_at(server.endpoint)
        assert do(store, "GPGPG") == [b"first", b"third", b"fifth"]
        store.close()


def test_an_answer_that_comes_again_is_not_believed(open_at: Opener) -> None:
    shifted = telling(("B", b"second"), ("B", b"second"))
    with ScriptedServer(telling(("A", b"first")), shifted, telling(("C", b"third"))) as server:
        store = open_at(server.endpoint)
        assert do(store, "GGG") == [b"first", b"second", b"third"]
        store.close()


def test_who_sends_in_company_is_told_that_a_read_will_be_sent_again(open_at: Opener) -> None:
    """Before it takes the answer: connecting anew would hold up the others."""
    shifted = telling(("B", b"second"), ("B", b"second"))
    with ScriptedServer(telling(("A", b"first")), shifted, telling(("C", b"third"))) as server:
        store = open_at(server.endpoint)
        do(store, "GG")
        begun = store.begin_get("key")
        assert begun is not None
        wait_until(begun.is_there, 30, "no answer came")
        assert begun.is_asked_anew
        with begun.result() as stream:
            assert stream.readinto(memoryview(bytearray(9))) == len(b"third")
        store.close()


def test_an_answer_that_comes_again_is_not_believed_of_a_write(open_at: Opener) -> None:
    """Nor is the write sent again: it may have been done."""
    shifted = telling(("B", b"second"), ("B", b""))
    with ScriptedServer(telling(("A", b"first")), shifted) as server:
        store = open_at(server.endpoint)
        do(store, "GG")
        with pytest.raises(StoreUnavailableError, match="once more"):
            put(store)
        assert server.connections == 2
        store.close()


def test_a_cache_that_repeats_an_answer_can_be_used(open_at: Opener) -> None:
    cached = ("B", b"body")
    with ScriptedServer(telling(("A", b"first")), telling(cached, cached), telling(cached, cached, cached)) as server:
        store = open_at(server.endpoint)
        assert do(store, "GGGGG") == [b"first", *[b"body"] * 4]
        store.close()


def test_several_servers_behind_one_name_that_repeat_their_own_can_be_used(open_at: Opener) -> None:
    """The first two connections tell them apart by chance: one write fails, and no more."""
    more = telling(("two", b""), ("two", b""), ("two", b""))
    with ScriptedServer(telling(("one", b"")), telling(("two", b""), ("two", b"")), more) as server:
        store = open_at(server.endpoint)
        do(store, "PP")
        with pytest.raises(StoreUnavailableError, match="once more"):
            put(store)
        do(store, "PPP")
        store.close()


def test_an_empty_request_id_says_nothing(open_at: Opener) -> None:
    with ScriptedServer(telling(("", b"one"), ("", b"two"), ("", b"three"))) as server:
        store = open_at(server.endpoint)
        assert do(store, "GGG") == [b"one", b"two", b"three"]
        store.close()
