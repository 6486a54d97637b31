"""One answer: status, headers, and a body in memory or as a stream of known length. Calls nothing."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from penstock.emulator.protocol.documents import Element, render
from penstock.emulator.protocol.errors import OssFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`length_bytes` is the stream's length (of a HEAD: the body's that a GET would have), None where it is not known.

    `release` is called once, when the answer has been sent or cannot be.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    stream: AsyncGenerator[bytes, None] | None = None
    length_bytes: int | None = 0
    release: Callable[[], None] | None = None


def document(root: Element, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that is an XML document."""
    body = render(root)
    return Answer(status=status, headers={"Content-Type": "application/xml", **(headers or {})}, body=body)


def refusal(fault: OssFault, *, request_id: str, host: str, method: str) -> Answer:
    """The error document; a HEAD's travels in `x-oss-err`, and a 304 has none."""
    root = Element(
        "Error",
        [
            Element("Code", fault.code),
            Element("Message", fault.message),
            Element("RequestId", request_id),
            Element("HostId", host),
            *(Element(tag, text) for tag, text in fault.elements.items()),
            Element("EC", fault.ec) if fault.ec else None,
        ],
    )
    told = {**fault.headers, **({"x-oss-ec": fault.ec} if fault.ec else {})}
    if fault.status == 304:
        return Answer(status=304, headers=fault.headers)
    body = render(root)
    if method == "HEAD":
        headers = {"x-oss-err": base64.b64encode(body).decode("ascii"), **told}
        return Answer(status=fault.status, headers=headers)
    return Answer(status=fault.status, headers={"Content-Type": "application/xml", **told}, body=body)


def http_time(time_ns: int) -> str:
    """`Mon, 02 Jan 2023 15:04:05 GMT`, whole seconds."""
    return _http_second(time_ns // 10**9)


@lru_cache(maxsize=64)
def _http_second(time_s: int) -> str:
    """Every answer bears the present one."""
    return format_datetime(datetime.fromtimestamp(time_s, tz=UTC), usegmt=True)


def xml_time(time_ns: int) -> str:
    """`2023-01-02T15:04:05.000Z`: whole seconds, and the three zeros that clients expect."""
    return f"{datetime.fromtimestamp(time_ns // 10**9, tz=UTC):%Y-%m-%dT%H:%M:%S}.000Z"
