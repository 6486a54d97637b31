"""Is a stop heard by whoever waits for a silent store, and is what became of a change still listened for?"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fastcrc
import pytest

from penstock.engine.pacer import BucketPacer
from penstock.errors import StoreUnavailableError
from penstock.stores import stops
from penstock.stores.base import Overwrite, Store
from penstock.stores.opening import Timeouts
from tests.faults.stores.conftest import Opener
from tests.faults.stores.test_connections import LARGE, LARGE_CRC64, put, read
from tests.fixtures.scriptedserver import Peer, ScriptedServer, answer, object_answer
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.waiting import wait_until

PATIENT = Timeouts(connect_s=20.0, send_s=20.0, first_byte_s=20.0, read_s=20.0, slot_s=20.0, document_s=20.0)
PROMPT_S = 8.0
CRC64 = str(int(fastcrc.crc64.xz(b"content")))


def send_all(store: Store) -> None:
    store.put("key", [LARGE], crc64=LARGE_CRC64, metadata={}, precondition=Overwrite())


WAITS: dict[str, Callable[[Store], object]] = {
    "head": lambda store: store.head("key"),
    "get": read,
    "a body": read,
    "a listing": lambda store: store.list_objects(),
    "a part's body": lambda store: store.put_part("key", "upload", 1, [LARGE], crc64=LARGE_CRC64),
    "an object's body": send_all,
}


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def waiting(stop: threading.Event) -> Iterator[Callable[..., Callable[[], None]]]:
    """Begin to wait in a thread; what comes back stops it, and returns, or raises, as it ends."""
    threads: list[threading.Thread] = []

    def begin(
        store: Store, act: Callable[[Store], object], *, forsakes: Callable[[], bool] | None = None
    ) -> Callable[[], None]:
        ended: list[BaseException | None] = []

        def wait() -> None:
            try:
                act(store.heeding(stop.is_set, forsakes))
            except BaseException as error:  # noqa: BLE001  told below
                ended.append(error)
            else:
                ended.append(None)

        thread = threading.Thread(target=wait)
        thread.start()
        threads.append(thread)

        def end() -> None:
            assert not ended
            stop.set()
            thread.join(60)
            if isinstance(ended[0], BaseException):
                raise ended[0]

        return end

    yield begin
    stop.set()
    for thread in threads:
        thread.join(60)


@pytest.mark.parametrize("secure", ["plain", "tls"])
@pytest.mark.parametrize("what", WAITS)
def test_a_stop_ends_a_wait_at_once(
    *,
    open_at: Opener,
    waiting: Callable[..., Callable[[], None]],
    what: str,
    secure: str,
    tls: ssl.SSLContext,
    certificate: Path,
) -> None:
    heard, over = threading.Event(), threading.Event()

    def play(peer: Peer) -> None:
        peer.read_head()
        if what == "a body":
            peer.send(object_answer(b"content")[:-3])
        heard.set()
        over.wait(60)  # nothing more is taken meanwhile
        peer.wait_for_close()

    with ScriptedServer(play, tls=tls if secure == "tls" else None) as server:
        store = open_at(server.endpoint, ca_file=str(certificate) if secure == "tls" else "", timeouts=PATIENT)
        end = waiting(store, WAITS[what])
        assert heard.wait(60)
        watch = Stopwatch()
        with pytest.raises(StoreUnavailableError):
            end()
        assert watch.took_s() < PROMPT_S
        over.set()


@pytest.mark.parametrize("answers", ["soon", "never", "late, and nobody forsakes it"])
def test_what_became_of_a_change_is_listened_for(
    open_at: Opener,
    stop: threading.Event,
    waiting: Callable[..., Callable[[], None]],
    monkeypatch: pytest.MonkeyPatch,
    answers: str,
) -> None:
    """A PUT that is sent whole may have been done: its answer is worth some seconds, or all the time that it takes."""
    monkeypatch.setattr(stops, "LISTEN_ON_S", 20.0 if answers == "soon" else 0.2)
    sent = threading.Event()

    def late(peer: Peer) -> None:
        peer.read_request()
        sent.set()
        if answers != "never":
            assert stop.wait(60)
            threading.Event().wait(1.0)  # longer than anything else would be waited for
            peer.send(answer("200 OK", etag='"e"', x_oss_hash_crc64ecma=CRC64))
        peer.wait_for_close()

    with ScriptedServer(late) as server:
        store = open_at(server.endpoint, timeouts=PATIENT)
        end = waiting(store, put) if "nobody" not in answers else waiting(store, put, forsakes=lambda: False)
        assert sent.wait(60)
        if answers != "never":
            end()
        else:
            with pytest.raises(StoreUnavailableError):
                end()
        store.close()


def test_a_stop_is_heard_in_the_queue_for_a_turn(open_at: Opener, waiting: Callable[..., Callable[[], None]]) -> None:
    pacer = BucketPacer("bucket", most=1, clock_s=time.monotonic)
    assert pacer.enter(0)
    store = open_at("http://127.0.0.1:1", timeouts=PATIENT, pacer=pacer)
    end = waiting(store, read)
    wait_until(lambda: pacer.figures().waiting == 1, 20, "nobody queues")
    watch = Stopwatch()
    with pytest.raises(StoreUnavailableError):
        end()
    assert watch.took_s() < PROMPT_S / 2  # the next look is a pause's patience away
    assert pacer.figures().waiting == 0
