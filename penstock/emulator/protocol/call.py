"""One request as OSS sees it: verb, bucket, key, query, headers and a body that is read once, in order.

Calls only numerals; the gateway makes it from ASGI's scope. Header values keep their bytes (surrogateescape).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.emulator.protocol.errors import (
    ClientGoneError,
    OssFault,
    invalid_argument,
    malformed_xml,
    no_such_bucket,
)
from penstock.emulator.protocol.numerals import whole_number

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
BODY_IDLE_S = 60.0


class Body:
    """The request's body. Iterate it at most once."""

    __slots__ = ("_more", "_receive", "length_bytes", "touched")

    def __init__(self, receive: Receive, length_bytes: int | None) -> None:
        self._receive = receive
        self._more = True
        self.length_bytes = length_bytes
        """What Content-Length announced; None for a chunked body or none at all."""
        self.touched = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The chunks as they come. Raises ClientGoneError when the client hangs up, OssFault 400 when it stalls."""
        while self._more:
            self.touched = True
            try:
                async with asyncio.timeout(BODY_IDLE_S):
                    message = await self._receive()
            except TimeoutError:
                raise OssFault(
                    400, "RequestTimeout", "The body did not arrive in time.", headers={"Connection": "close"}
                ) from None
            if message["type"] != "http.request":
                raise ClientGoneError
            self._more = bool(message.get("more_body", False))
            chunk = message.get("body", b"")
            if chunk:
                yield chunk

    async def whole(self, limit_bytes: int) -> bytes:
        """The body in memory. Raises OssFault 400 MalformedXML if it is longer than `limit_bytes`."""
        pieces = bytearray()
        async for chunk in self:
            pieces += chunk
            if len(pieces) > limit_bytes:
                raise malformed_xml(f"The document is longer than {limit_bytes} bytes.")
        return bytes(pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `query` and `headers` have one value a name; header names are lower case."""

    request_id: str
    method: str
    host: str
    bucket: str
    """Empty on the service itself."""
    key: bytes
    """Empty on a bucket; percent-decoded."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body
    received_ns: int
    owner: str = ""
    """The access key id that signed, once that is known."""

    def header(self, name: str, default: str = "") -> str:
        """The header's value, or `default`."""
        return self.headers.get(name, default)

    def parameter(self, name: str, default: str = "") -> str:
        """The query parameter's value, or `default`."""
        return self.query.get(name, default)

    def number(self, name: str, *, default: int, least: int, most: int) -> int:
        """A whole number out of the query. Raises OssFault 400 InvalidArgument."""
        text = self.query.get(name, "")
        if not text:
            return default
        value = whole_number(text)
        if value is None or not least <= value <= most:
            raise invalid_argument(f"{name} lies between {least} and {most}.", name=name, value=text)
        return value

    def flag(self, name: str) -> bool:
        """A header that is `true` or `false`. Raises OssFault 400 InvalidArgument."""
        text = self.headers.get(name)
        if text is None:
            return False
        if text.lower() not in {"true", "false"}:
            raise invalid_argument(f"{name} is true or false.", name=name, value=text)
        return text.lower() == "true"

    @property
    def missing_bucket(self) -> OssFault:
        """What to raise when this call's bucket is not there."""
        return no_such_bucket(self.bucket)
