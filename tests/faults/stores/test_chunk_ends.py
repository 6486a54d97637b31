"""Once the bytes of a range are here: does the end of its chunks leave the connection usable, and anything else close it?"""

from __future__ import annotations

import pytest

from penstock.stores import response
from penstock.stores.base import ByteRange, Store
from penstock.stores.body import TRAILERS_MAX_BYTES
from tests.faults.stores.conftest import Opener
from tests.fixtures.scriptedserver import Peer, Scene, ScriptedServer

RANGE = ByteRange(offset=0, length_bytes=5)
HEAD = (
    b'HTTP/1.1 206 Partial Content\r\ntransfer-encoding: chunked\r\netag: "E"\r\n'
    b"last-modified: Wed, 23 Oct 2024 16:28:16 GMT\r\ncontent-range: bytes 0-4/100\r\n\r\n"
)
OURS, THEIRS = b"5\r\n12345\r\n", b"5\r\nabcde\r\n"
END = b"0\r\n\r\n"
SMUGGLED = HEAD + b"5\r\nwrong\r\n" + END


def got(store: Store) -> bytes:
    content = bytearray(5)
    with store.get("key", byte_range=RANGE) as stream:
        filled = 0
        while filled < 5:
            filled += stream.readinto(memoryview(content)[filled:])
        assert stream.readinto(memoryview(content)) == 0
    return bytes(content)


def in_turn(*answers: tuple[bytes, ...]) -> Scene:
    """One connection: an answer for each request, in these pieces; then all is kept open until the other side closes."""

    def scene(peer: Peer) -> None:
        for pieces in answers:
            peer.read_request()
            for piece in pieces:
                peer.send(piece)
        peer.wait_for_close()

    return scene


@pytest.mark.parametrize(
    "pieces",
    [
        (HEAD + OURS + END,),
        (HEAD, OURS, END),
        (HEAD + OURS, b"0", b"\r\n", b"\r", b"\n"),
        (HEAD + OURS[:-1], OURS[-1:] + b"000;a=b\r\nx-late: 1\r\n", b"x-more: 2\r\n\r\n"),
    ],
    ids=["at once", "behind", "in crumbs", "trailers"],
)
def test_the_end_of_the_chunks_leaves_the_connection_for_the_next_request(
    open_at: Opener, pieces: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "END_WAIT_S", 10.0)  # a busy machine's server may be late with its crumbs
    with ScriptedServer(in_turn(pieces, (HEAD + THEIRS + END,))) as server:
        store = open_at(server.endpoint)
        assert [got(store), got(store)] == [b"12345", b"abcde"]
        store.close()
        assert server.connections == 1


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"0\r\n",
        b"5\r\n67890\r\n" + END,
        b"1\r\n",
        b"zero\r\n\r\n",
        b"0\r\nno trailer\r\n\r\n",
        b"0\r\n" + b"x: y\r\n" * (TRAILERS_MAX_BYTES // 6 + 1) + b"\r\n",
        END + SMUGGLED,
        SMUGGLED,
    ],
    ids=[
        "silence", "half an end", "more bytes", "more to come", "no size", "no trailer", "endless trailers", "an answer too many",
        "an answer for an end",
    ],
)  # fmt: skip
def test_anything_else_closes_the_connection_and_is_no_part_of_the_next_answer(open_at: Opener, tail: bytes) -> None:
    with ScriptedServer(in_turn((HEAD + OURS + tail,)), in_turn((HEAD + THEIRS + END,))) as server:
        store = open_at(server.endpoint)
        assert [got(store), got(store)] == [b"12345", b"abcde"]
        store.close()
        assert server.connections == 2
