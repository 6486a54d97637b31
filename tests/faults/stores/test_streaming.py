"""Parts that are read while they are sent: pieces in order, and what goes wrong in the reading is told as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import fastcrc
import pytest

from penstock.errors import IntegrityError, PermissionDeniedError, StoppedError, StoreUnavailableError
from penstock.model import BucketKind
from tests.faults.stores.conftest import Opener
from tests.fixtures.scriptedserver import Peer, ScriptedServer, answer, error_body

PIECE = 100_000
COUNT = 20


class Pieces:
    """A body in one buffer that is used again for every piece; `before` is called before each."""

    def __init__(
        self, *, count: int = COUNT, said: int = COUNT, before: Callable[[int], None] = lambda _n: None
    ) -> None:
        self._count = count
        self._said = said
        self._before = before
        self._buffer = bytearray(PIECE)
        self.passes = 0

    @property
    def length_bytes(self) -> int:
        return self._said * PIECE

    def preview(self) -> Iterator[memoryview]:
        self.passes += 1
        yield from self._read()

    def __iter__(self) -> Iterator[memoryview]:
        self.passes += 1
        for number, piece in enumerate(self._read()):
            self._before(number)
            yield piece

    def _read(self) -> Iterator[memoryview]:
        for number in range(self._count):
            self._buffer[:] = bytes([number]) * PIECE
            yield memoryview(self._buffer)[:0]  # a piece may be empty
            yield memoryview(self._buffer)


WHOLE = b"".join(bytes([number]) * PIECE for number in range(COUNT))
CRC64 = int(fastcrc.crc64.xz(WHOLE))


@pytest.mark.parametrize("kind", [BucketKind.OSS, BucketKind.S3])
def test_pieces_arrive_in_order_from_one_buffer(open_at: Opener, kind: BucketKind) -> None:
    received: list[bytes] = []
    heads: list[str] = []

    def taking(peer: Peer) -> None:
        heads.append(peer.read_head().lower())
        received.append(peer.read_exactly(len(WHOLE)))
        md5 = hashlib.md5(WHOLE).hexdigest()
        peer.send(answer("200 OK", etag=f'"{md5}"', x_oss_hash_crc64ecma=str(CRC64)))

    body = Pieces()
    with ScriptedServer(taking) as server:
        part = open_at(server.endpoint, kind=kind).put_part("key", "upload", 1, body, crc64=None)
    assert received == [WHOLE]
    assert part.size_bytes == len(WHOLE)
    assert part.crc64 == CRC64
    assert body.passes == (2 if kind is BucketKind.S3 else 1)  # an MD5 has to be told beforehand
    assert ("content-md5" in heads[0]) is (kind is BucketKind.S3)


@pytest.mark.parametrize(
    "error",
    [OSError(5, "Input/output error"), TimeoutError("disk"), ConnectionResetError(), ValueError(), StoppedError()],
)
@pytest.mark.parametrize("at", [0, 7])
def test_what_the_reading_raises_is_passed_on(open_at: Opener, error: Exception, at: int) -> None:
    def failing(number: int) -> None:
        if number >= at:
            raise error

    with ScriptedServer(*[lambda peer: peer.close() if peer.wait_for_close() else None] * 2) as server:
        store = open_at(server.endpoint, connections_max=1)
        for _ in range(2):  # the second time shows that the first gave its connection's place back
            with pytest.raises(type(error)) as caught:
                store.put_part("key", "upload", 1, Pieces(before=failing), crc64=None)
            assert caught.value is error


@pytest.mark.parametrize("count", [COUNT - 1, COUNT + 1])
def test_a_body_of_another_length_than_it_said_is_an_integrity_error(open_at: Opener, count: int) -> None:
    received: list[int] = []

    def taking(peer: Peer) -> None:
        received.append(len(peer.wait_for_close()))

    with ScriptedServer(taking) as server, pytest.raises(IntegrityError, match="another number of bytes"):
        open_at(server.endpoint).put_part("key", "upload", 1, Pieces(count=count), crc64=None)
    assert received[0] < (COUNT + 1) * PIECE  # never more than was said, so nothing is taken for a next request


def test_an_early_refusal_ends_the_reading(open_at: Opener) -> None:
    def refusing(peer: Peer) -> None:
        peer.read_head()
        peer.send(answer("403 Forbidden", error_body("AccessDenied")))
        peer.wait_for_close()

    asked: list[int] = []
    body = Pieces(count=10_000, said=10_000, before=asked.append)
    with ScriptedServer(refusing) as server, pytest.raises(PermissionDeniedError):
        open_at(server.endpoint).put_part("key", "upload", 1, body, crc64=None)
    assert len(asked) < 20_000


def test_a_streamed_part_is_never_sent_again(open_at: Opener) -> None:
    def closing_on_the_second(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer("200 OK", etag='"e"', x_oss_hash_crc64ecma=str(CRC64)))
        peer.read_head()

    with ScriptedServer(closing_on_the_second) as server:
        store = open_at(server.endpoint)
        store.put_part("key", "upload", 1, Pieces(), crc64=None)
        body = Pieces()
        with pytest.raises(StoreUnavailableError):
            store.put_part("key", "upload", 2, body, crc64=None)
        assert body.passes == 1
        assert server.connections == 1
