"""Small strokes that most tests of the suite make: put bytes, read them back, upload in parts."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence

import fastcrc

from penstock.stores.base import Buffer, ByteRange, ObjectInfo, Overwrite, Part, Precondition, PutResult, Store


def crc64(content: Buffer) -> int:
    return int(fastcrc.crc64.xz(bytes(content)))


def noise(size_bytes: int, seed: int = 1) -> bytes:
    """The same bytes every time, and no two blocks of them alike."""
    return random.Random(seed).randbytes(size_bytes)


def put(
    store: Store,
    key: str,
    content: bytes = b"content",
    *,
    metadata: Mapping[str, str] | None = None,
    precondition: Precondition | None = None,
) -> PutResult:
    return store.put(
        key, [content], crc64=crc64(content), metadata=metadata or {}, precondition=precondition or Overwrite()
    )


def read(
    store: Store, key: str, *, version_id: str = "", byte_range: ByteRange | None = None, if_match: str = ""
) -> tuple[ObjectInfo, bytes]:
    with store.get(key, version_id=version_id, byte_range=byte_range, if_match=if_match) as stream:
        taken = bytearray()
        buffer = memoryview(bytearray(64 * 1024))
        while count := stream.readinto(buffer):
            taken += buffer[:count]
        assert len(taken) == stream.length_bytes
        return stream.info, bytes(taken)


def upload_parts(store: Store, key: str, upload_id: str, pieces: Iterable[tuple[int, bytes]]) -> list[Part]:
    return [store.put_part(key, upload_id, number, [piece], crc64=crc64(piece)) for number, piece in pieces]


def upload(store: Store, key: str, pieces: Sequence[bytes], *, precondition: Precondition | None = None) -> PutResult:
    upload_id = store.initiate(key, metadata={})
    parts = upload_parts(store, key, upload_id, enumerate(pieces, start=1))
    return store.complete(key, upload_id, parts, precondition=precondition or Overwrite())


def listed(store: Store, *, prefix: str = "", limit: int = 1000) -> list[str]:
    """All keys, page by page."""
    keys: list[str] = []
    token = ""
    while True:
        page = store.list_objects(prefix=prefix, token=token, limit=limit)
        keys.extend(found.key for found in page.objects)
        token = page.next_token
        if not token:
            return keys


class Streamed:
    """A body that is read while it is sent, through one small buffer."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def length_bytes(self) -> int:
        return len(self._content)

    def preview(self) -> Iterator[memoryview]:
        return self._pieces()

    def __iter__(self) -> Iterator[memoryview]:
        return self._pieces()

    def _pieces(self) -> Iterator[memoryview]:
        buffer = bytearray(1000)
        for start in range(0, len(self._content), len(buffer)):
            piece = self._content[start : start + len(buffer)]
            buffer[: len(piece)] = piece
            yield memoryview(buffer)[: len(piece)]


class TornError(Exception):
    """The source of a body was seen to change while it was sent."""


class Torn(Streamed):
    """One whose end is never given: its source has changed."""

    def __iter__(self) -> Iterator[memoryview]:
        given = 0
        for piece in self._pieces():
            given += len(piece)
            if given == self.length_bytes:
                raise TornError
            yield piece
