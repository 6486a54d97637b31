"""Does a pacer hear of every request, and of what the store wishes?"""

from __future__ import annotations

from collections.abc import Hashable

import pytest

from penstock.errors import (
    ObjectNotFoundError,
    StoreError,
    StoreUnavailableError,
    ThrottledError,
)
from penstock.stores.pacer import Weight
from tests.faults.stores.conftest import Opener
from tests.faults.stores.test_connections import put, read
from tests.fixtures.scriptedserver import Peer, ScriptedServer, answer, error_body, object_answer, saying


class ListeningPacer:
    """A pacer that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.is_open = True

    def enter(self, patience_s: float, stops: object = None, weight: Weight = Weight.WHOLE) -> bool:
        if self.is_open:
            self.heard.append("enter")
        return self.is_open

    def leave(self, weight: Weight = Weight.WHOLE) -> None:
        self.heard.append("leave")

    def sent(self) -> None:
        self.heard.append("sent")

    def moved(self) -> None:
        self.heard.append("moved")

    def turned_away(self) -> None:
        self.heard.append("away")

    def turned_back(self) -> None:
        self.heard.append("back")

    def answered(
        self, method: str, kind: Hashable, *, began_s: float, looked_s: float, held_back_s: float | None
    ) -> None:
        assert began_s <= looked_s
        self.heard.append(f"{method} {held_back_s}")

    def refused(self, method: str, error: StoreError, *, began_s: float) -> None:
        self.heard.append(f"{method} {type(error).__name__}")

    def lost(self, *, began_s: float) -> None:
        self.heard.append("lost")


def test_a_held_back_request_tells_for_how_long(open_at: Opener) -> None:
    pacer = ListeningPacer()
    with ScriptedServer(saying(object_answer(b"x", x_oss_qos_delay_time="1500"))) as server:
        assert read(open_at(server.endpoint, pacer=pacer)) == b"x"
    assert pacer.heard == ["enter", "sent", "GET 1.5", "leave"]


def test_an_answer_is_owed_once_the_body_is_sent(open_at: Opener) -> None:
    pacer = ListeningPacer()
    before: list[str] = []
    content = bytes(32 << 20)  # more than the network holds by itself

    def slowly(peer: Peer) -> None:
        peer.read_head()
        before.extend(pacer.heard)
        peer.read_exactly(len(content))
        peer.send(answer("200 OK", etag='"e"'))

    with ScriptedServer(slowly) as server:
        put(open_at(server.endpoint, pacer=pacer), content)
    assert before == ["enter"]
    assert pacer.heard == ["enter", "sent", "leave", "PUT None"]


def test_a_pacer_hears_of_every_request_once_whatever_comes_of_it(open_at: Opener) -> None:
    pacer = ListeningPacer()
    scenes = [
        saying(answer("503 Slow", error_body("SlowDown"), connection="close")),
        saying(answer("404 None", error_body("NoSuchKey"), connection="close")),
        lambda peer: peer.close(),
        saying(object_answer(b"x")),
    ]
    with ScriptedServer(*scenes) as server:
        store = open_at(server.endpoint, pacer=pacer)
        for error in (ThrottledError, ObjectNotFoundError, StoreUnavailableError):
            with pytest.raises(error):
                read(store)
        with store.get("key") as stream:
            assert pacer.heard[-1] == "GET None"  # it counts until its body has been read
            assert stream.readinto(memoryview(bytearray(9))) == 1
        assert pacer.heard == [
            *("enter", "sent", "leave", "GET ThrottledError"),
            *("enter", "sent", "leave", "GET ObjectNotFoundError"),
            *("enter", "sent", "leave", "GET StoreUnavailableError"),
            *("enter", "sent", "GET None", "leave"),
        ]


def test_nothing_is_sent_while_the_pacer_says_no(open_at: Opener) -> None:
    pacer = ListeningPacer()
    pacer.is_open = False
    with ScriptedServer() as server:
        store = open_at(server.endpoint, pacer=pacer)
        assert store.begin_get("key") is None
        with pytest.raises(StoreUnavailableError):
            read(store)
        assert server.connections == 0


@pytest.mark.parametrize(
    ("content", "retry_after_s"),
    [
        (answer("503 Slow", error_body("SlowDown"), retry_after="3"), 3.0),
        (answer("503 Slow", error_body("UploadTrafficRateLimitExceeded")), None),
        (answer("503 Slow", b"", x_oss_qos_delay_time="250"), 0.25),
        (answer("429 Too Many"), None),
        (answer("400 Bad", error_body("ThrottlingException")), None),
    ],
)
def test_throttling_is_told_with_the_stores_own_wish(
    open_at: Opener, content: bytes, retry_after_s: float | None
) -> None:
    with ScriptedServer(saying(content)) as server, pytest.raises(ThrottledError) as caught:
        put(open_at(server.endpoint))
    assert caught.value.retry_after_s == retry_after_s
    assert caught.value.waiting_helps
