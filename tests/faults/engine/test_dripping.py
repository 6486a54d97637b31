"""A store whose answers begin and stop in their middle: do the small files of other buckets go on meanwhile?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import fastcrc
import pytest

from penstock.engine import small_lane
from penstock.errors import FailureCode
from penstock.model import AddressingStyle, Bucket, BucketKind, Credentials
from penstock.stores.base import Store
from penstock.stores.opening import Timeouts, open_store
from penstock.transfer.transfer import Verdict
from tests.faults.engine.company import CONTENT, GOOD, PATIENCE_S, Company
from tests.fixtures.gate import open_gate
from tests.fixtures.memorystore import MemoryStore
from tests.fixtures.scriptedserver import Peer, ScriptedServer, answer, object_answer
from tests.fixtures.waiting import wait_until


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    gate = open_gate(tmp_path)
    yield Company(gate, MemoryStore())
    gate.close()


def open_slow(endpoint: str) -> Store:
    """A bucket that is waited for longer than any test lasts."""
    bucket = Bucket(
        name="slow",
        kind=BucketKind.OSS,
        endpoint=endpoint,
        region="r",
        addressing_style=AddressingStyle.PATH,
        abilities={"crc64": True},
    )
    credentials = Credentials(access_key_id="k", access_key_secret="s")
    patience_s = 3 * PATIENCE_S
    return open_store(bucket, credentials, timeouts=Timeouts(first_byte_s=patience_s, read_s=patience_s))


def got(body: bytes) -> bytes:
    return object_answer(body, x_oss_hash_crc64ecma=str(int(fastcrc.crc64.xz(body))))


def stored(body: bytes) -> bytes:
    """With a body of its own, which a PUT's answer may have."""
    return answer("200 OK", b"thank you", etag='"e"', x_oss_hash_crc64ecma=str(int(fastcrc.crc64.xz(body))))


SLOW = CONTENT + b"slow"
CUTS = {
    "a head, imported": ("import", 30),
    "behind a head, imported": ("import", len(got(SLOW)) - len(SLOW)),
    "a body, imported": ("import", len(got(SLOW)) - 100),
    "a head, exported": ("export", 30),
    "behind a head, exported": ("export", len(stored(SLOW)) - len(b"thank you")),
    "a body, exported": ("export", len(stored(SLOW)) - 3),
}


@pytest.mark.parametrize("cut", CUTS)
def test_an_answer_that_stops_in_its_middle_holds_up_nobody_else(company: Company, cut: str) -> None:
    direction, at = CUTS[cut]
    whole = got(SLOW) if direction == "import" else stored(SLOW)
    halted, go_on = threading.Event(), threading.Event()

    def dripping(peer: Peer) -> None:
        peer.read_request()
        peer.send(got(b"warm"))
        peer.read_request()
        peer.send(whole[:at])
        peer.wait_until_received()
        halted.set()
        assert go_on.wait(PATIENCE_S)
        peer.send(whole[at : at + 2])
        peer.send(whole[at + 2 :])
        peer.wait_for_close()

    with ScriptedServer(dripping) as server:
        slow = open_slow(server.endpoint)
        with slow.get("warm") as stream:
            assert stream.readinto(memoryview(bytearray(10))) == 4
        company.elsewhere["slow"] = slow
        company.give(*(getattr(company, f"{direction}s")("slow", bucket="slow")))
        while not halted.is_set():
            company.lane.step()
        company.lane.step()
        company.give(*company.imports(*GOOD))
        company.until(len(GOOD))
        company.check_imported(*GOOD)
        assert "slow" not in company.outcomes
        go_on.set()
        company.until(len(GOOD) + 1)
        assert company.outcomes["slow"].verdict is Verdict.COMPLETE
        if direction == "import":
            company.check_imported("slow")
        assert server.connections == 1
        slow.close()


def test_a_closed_connection_is_replaced_aside(company: Company) -> None:
    """The kept connection ends with the request on it, and the fresh one is answered late."""
    halted, go_on = threading.Event(), threading.Event()

    def closing(peer: Peer) -> None:
        peer.read_request()
        peer.send(got(b"warm"))
        peer.read_request()

    def late(peer: Peer) -> None:
        peer.read_request()
        halted.set()
        assert go_on.wait(PATIENCE_S)
        peer.send(got(SLOW))
        peer.wait_for_close()

    with ScriptedServer(closing, late) as server:
        slow = open_slow(server.endpoint)
        with slow.get("warm") as stream:
            assert stream.readinto(memoryview(bytearray(10))) == 4
        company.elsewhere["slow"] = slow
        company.give(*company.imports("slow", bucket="slow"))
        stepping = threading.Thread(target=company.until, args=(len(GOOD) + 1,))
        stepping.start()
        assert halted.wait(PATIENCE_S)
        company.give(*company.imports(*GOOD))
        wait_until(lambda: len(company.outcomes) == len(GOOD), PATIENCE_S / 2, "the others are held up")
        assert "slow" not in company.outcomes
        go_on.set()
        stepping.join(PATIENCE_S)
        company.check_imported("slow", *GOOD)
        slow.close()


def test_a_small_body_has_the_time_of_one_answer_in_all(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_lane, "LATE_S", 1.0)
    over = threading.Event()

    def dripping(peer: Peer) -> None:
        peer.read_request()
        peer.send(got(b"warm"))
        peer.read_request()
        whole = got(SLOW)
        peer.send(whole[: -len(SLOW)])
        for at in range(len(SLOW)):
            if over.wait(0.3):  # well within the time of each wait
                break
            peer.send(SLOW[at : at + 1])
        peer.wait_for_close()

    with ScriptedServer(dripping) as server:
        slow = open_slow(server.endpoint)
        with slow.get("warm") as stream:
            assert stream.readinto(memoryview(bytearray(10))) == 4
        company.elsewhere["slow"] = slow
        company.give(*company.imports("slow", bucket="slow"))
        company.until(1)
        over.set()
        assert (company.outcomes["slow"].verdict, company.outcomes["slow"].code) == (
            Verdict.RETRY,
            FailureCode.STORE_UNAVAILABLE,
        )
        slow.close()
