"""Compressed on the way: texts of 1 KiB and more, to whoever says that he takes gzip. Pure streams."""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncGenerator, Mapping

LEAST_BYTES = 1024
LEVEL = 1
_GZIP_WINDOW = 31  # zlib's word for a gzip header around the largest window
_TYPES = frozenset(
    [
        "application/javascript",
        "application/json",
        "application/rss+xml",
        "application/x-javascript",
        "application/xml",
        "text/css",
        "text/html",
        "text/javascript",
        "text/plain",
        "text/xml",
    ]
)
_REFUSED = re.compile(r"q=0(?:\.0*)?\Z")


def applies(asked: str, headers: Mapping[str, str], size_bytes: int) -> bool:
    """Whether a whole object with these headers goes out compressed. `asked` is the request's Accept-Encoding."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return (
        size_bytes >= LEAST_BYTES
        and kind in _TYPES
        and "content-encoding" not in headers
        and _takes_gzip(asked.lower())
    )


def _takes_gzip(asked: str) -> bool:
    for offer in asked.split(","):
        coding, _, weight = offer.partition(";")
        if coding.strip() == "gzip":
            return not _REFUSED.match(weight.strip())
    return False


async def compressed(stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The bytes of `stream` as gzip."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    try:
        async for block in stream:
            if packed := packer.compress(block):
                yield packed
        yield packer.flush()
    finally:
        await stream.aclose()
