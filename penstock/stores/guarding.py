"""What guards a body on its way to a store: a checksum that the store was seen to compare, else Content-MD5, else nothing.

Where the ETag is an MD5, that is compared, too, whatever was sent. Nothing is sent where the store tells CRC-64 of what it
keeps: that is compared afterwards. Pure but for reading the body.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import fastcrc

from penstock.stores.base import Abilities, Buffer, Checksum, StreamedBody

Body = Sequence[Buffer] | StreamedBody


class Guard(NamedTuple):
    """What is sent with one body: headers, and what its answer is compared with. Empty where it is not used."""

    headers: Mapping[str, str]
    md5: bytes = b""
    checksum: str = ""


UNGUARDED = Guard({})
Guarding = Callable[[Body], Guard]


class _Digest(Protocol):
    def update(self, data: Buffer, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32c:
    """CRC-32C as S3 writes it: four bytes, the highest first."""

    def __init__(self) -> None:
        self._crc: int | None = None

    def update(self, data: Buffer, /) -> None:
        self._crc = fastcrc.crc32.iscsi(data) if self._crc is None else fastcrc.crc32.iscsi(data, self._crc)

    def digest(self) -> bytes:
        return (self._crc or 0).to_bytes(4, "big")


_MAKERS: Mapping[Checksum, Callable[[], _Digest]] = {Checksum.CRC32C: _Crc32c, Checksum.SHA256: hashlib.sha256}


def guarding_of(abilities: Abilities) -> Guarding:
    """How bodies for a bucket with these abilities are guarded."""
    if abilities.crc64:
        return lambda _: UNGUARDED  # one pass over the bytes less
    if abilities.checksum is not Checksum.NONE:
        algorithm = abilities.checksum
        if abilities.part_etag_is_md5:
            return lambda body: _twofold_guard(body, algorithm)
        return lambda body: checksum_guard(body, algorithm)
    return md5_guard


def md5_guard(body: Body) -> Guard:
    """Content-MD5."""
    md5 = hashlib.md5(usedforsecurity=False)
    _read(body, md5)
    return Guard({"content-md5": base64.b64encode(md5.digest()).decode()}, md5.digest())


def checksum_guard(body: Body, algorithm: Checksum) -> Guard:
    """One of S3's additional checksums, in a header."""
    digest = _MAKERS[algorithm]()
    _read(body, digest)
    checksum = base64.b64encode(digest.digest()).decode()
    return Guard({header_of(algorithm): checksum}, checksum=checksum)


def _twofold_guard(body: Body, algorithm: Checksum) -> Guard:
    """The checksum is sent, and the MD5 is compared with the ETag: what the store says of what it has is told by that one."""
    digest, md5 = _MAKERS[algorithm](), hashlib.md5(usedforsecurity=False)
    _read(body, digest, md5)
    checksum = base64.b64encode(digest.digest()).decode()
    return Guard({header_of(algorithm): checksum}, md5.digest(), checksum)


def header_of(algorithm: Checksum) -> str:
    """The header that carries it."""
    return f"x-amz-checksum-{algorithm.value.lower()}"


def element_of(algorithm: Checksum) -> str:
    """What it is called in documents."""
    return f"Checksum{algorithm.value}" if algorithm is not Checksum.NONE else ""


def _read(body: Body, *digests: _Digest) -> None:
    """One pass over the bytes for all of them."""
    pieces: Iterable[Buffer] = body if isinstance(body, Sequence) else body.preview()
    for piece in pieces:
        for digest in digests:
            digest.update(piece)
