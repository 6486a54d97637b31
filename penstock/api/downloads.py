"""Reports of batches, handed out to whoever has the link: signed, and good for a day.

The link is a secret, as the vendor's is: it needs no key of the API. Called by `connection` before a request is read as a call.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import parse_qsl, urlencode

import msgspec

from penstock.api.answers import Body, Json
from penstock.api.errors import ApiError
from penstock.api.protocol import Head
from penstock.catalog.batches import Batches
from penstock.catalog.reports import head_of
from penstock.model import Report

MARK = b"Report="
"""How the query of a link begins."""

SEGMENTS_AT_ONCE = 4
_SECRET = "&Signature="  # noqa: S105  (where it begins)
_NS_PER_S = 1_000_000_000
_QUERY_MAX_BYTES = 1024


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """A report that is to be sent: its name, its length, and its bytes in pieces."""

    name: str
    size_bytes: int
    pieces: AsyncIterator[bytes]


class Downloads:
    """Makes links, and finds what they lead to. `scheme` is that of the listener."""

    def __init__(self, batches: Batches, *, scheme: str, link_s: int, now_ns: Callable[[], int]) -> None:
        self._batches = batches
        self._scheme = scheme
        self._link_s = link_s
        self._now_ns = now_ns
        self._key = b""

    async def link(self, host: str, task_id: str, report: Report) -> str:
        """A link to one report; without the host where that is not known. Raises CatalogError."""
        expires = str(self._now_ns() // _NS_PER_S + self._link_s)
        signature = self._signed(await self._known_key(), task_id, report, expires)
        query = {"Report": report.value, "TaskId": task_id, "Expires": expires, "Signature": signature}
        return f"{self._scheme}://{host}/?{urlencode(query)}" if host else f"/?{urlencode(query)}"

    async def find(self, head: Head) -> Download:
        """What a link leads to. Raises ApiError, CatalogError."""
        given = _parameters(head.query_string)
        task_id, expires = given.get("TaskId", ""), given.get("Expires", "")
        try:
            report = Report(given.get("Report", ""))
        except ValueError:
            raise ApiError("InvalidParameter.Format", "This link leads to no report.") from None
        signature = self._signed(await self._known_key(), task_id, report, expires)
        if not hmac.compare_digest(signature.encode(), given.get("Signature", "").encode("utf-8", "replace")):
            raise ApiError(
                "SignatureDoesNotMatch", "This link was not made here; ask DescribeDataFlowTasks for another."
            )
        if int(expires) < self._now_ns() // _NS_PER_S:
            raise ApiError("InvalidTimeStamp.Expired", "This link is too old; ask DescribeDataFlowTasks for another.")
        download = await self.open(task_id, report)
        if download is None:
            raise ApiError("InvalidTaskId.NotFound", "This report is kept no longer.")
        return download

    async def open(self, task_id: str, report: Report) -> Download | None:
        """A report for whoever may have it; None where there is none. Raises CatalogError."""
        size_bytes = await self._batches.report_size(task_id, report)
        if size_bytes is None:
            return None
        return Download(
            name=f"{report.value}.csv",
            size_bytes=len(head_of(report)) + size_bytes,
            pieces=self._pieces(task_id, report),
        )

    async def _pieces(self, task_id: str, report: Report) -> AsyncIterator[bytes]:
        yield head_of(report)
        after = 0
        while found := await self._batches.segments(task_id, report, after=after, limit=SEGMENTS_AT_ONCE):
            yield b"".join(segment.lines for segment in found)
            after = found[-1].number

    async def _known_key(self) -> bytes:
        if not self._key:
            self._key = bytes.fromhex(await self._batches.report_key())
        return self._key

    @staticmethod
    def _signed(key: bytes, task_id: str, report: Report, expires: str) -> str:
        return hmac.digest(key, f"{task_id}\n{report.value}\n{expires}".encode("utf-8", "replace"), "sha256").hex()


def unsigned(body: Body) -> Body:
    """An answer for others than whoever asked: links to reports without what makes them open."""
    return {name: _unsigned(value) for name, value in body.items()} if "TaskInfo" in body else body


def _unsigned(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {name: _unsigned(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_unsigned(one) for one in value]
    return value.partition(_SECRET)[0] if isinstance(value, str) and _SECRET in value else value


def _parameters(query: bytes) -> Mapping[str, str]:
    """Raises ApiError."""
    if len(query) > _QUERY_MAX_BYTES:
        raise ApiError("RequestURITooLong", "This link is longer than any of ours.")
    return dict(parse_qsl(query.decode("latin-1")))
