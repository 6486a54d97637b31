"""The door: ASGI in, OSS out. Reads who and what from a request, has it verified and routed, writes the answer.

Every failure becomes an OSS error document here and nowhere else; a full disk becomes 507, what nobody foresaw 500
InternalError and a logged traceback. Calls routes, signature and errors; holds no state but the number of requests in flight.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from penstock.emulator import routes
from penstock.emulator.operations.strangers import admit_stranger
from penstock.emulator.protocol import names, signature
from penstock.emulator.protocol.answer import Answer, http_time, refusal
from penstock.emulator.protocol.call import Body, Call
from penstock.emulator.protocol.errors import ClientGoneError, OssFault, disk_full, invalid_argument
from penstock.emulator.protocol.hosts import Hosts
from penstock.emulator.protocol.numerals import whole_number
from penstock.emulator.service import Service
from penstock.emulator.storage.room import is_full

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

IN_FLIGHT_MAX = 512
HEADERS_MAX_BYTES = 64 * 1024
URL_MAX_BYTES = 32 * 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Whose requests are served, and under which names."""

    secret_of: Callable[[str], str | None]
    token_of: Callable[[str], str | None]
    region: str
    hosts: Hosts


class Gateway:
    """The ASGI application of one Service."""

    def __init__(self, service_of: Callable[[], Service], access: Access) -> None:
        """`service_of` yields the open service; requests come only while there is one."""
        self._service_of = service_of
        self._access = access
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service_of()
        begun = time.monotonic_ns()
        request_id = service.new_token()[:24]
        host = _header(scope, b"host")
        body = Body(receive, None)
        expects = bool(_header(scope, b"expect"))
        self._in_flight += 1
        try:
            answer = await self._answer(service, scope, body, request_id=request_id, host=host)
            try:
                close = _must_close(scope["method"], body, expects=expects)
                date = http_time(
                    service.clock()
                )  # not uvicorn's, which is a tick old: Last-Modified never lies ahead of it
                await _send(answer, scope, receive, send, request_id=request_id, begun=begun, date=date, close=close)
            finally:
                if answer.release is not None:
                    answer.release()
        except ClientGoneError:
            return  # there is nobody to answer
        finally:
            self._in_flight -= 1

    async def _answer(self, service: Service, scope: Scope, body: Body, *, request_id: str, host: str) -> Answer:
        try:
            if self._in_flight > IN_FLIGHT_MAX:
                raise OssFault(503, "ServiceUnavailable", "Too many requests at once; try again.")
            call = self._call(service, scope, body, request_id=request_id, host=host)
            signature.check_kind(call)
            operation = routes.find(
                call
            )  # before the signature: V1 signs parameters by a list, and clients' lists differ
            signer = await self._signer(service, call)
            if call.key:
                names.check_object_key(call.key)
            if signer is None:
                await admit_stranger(service, call)
            return await operation(service, call)
        except ClientGoneError:
            raise
        except OssFault as fault:
            return refusal(fault, request_id=request_id, host=host, method=scope["method"])
        except Exception as error:
            if is_full(error):
                log.warning("request %s: %s refused, the disk is full", request_id, scope["method"])
                return refusal(disk_full(), request_id=request_id, host=host, method=scope["method"])
            log.exception("request %s failed: %s", request_id, scope["method"])
            unforeseen = OssFault(500, "InternalError", "The emulator failed; its log says why.")
            return refusal(unforeseen, request_id=request_id, host=host, method=scope["method"])

    async def _signer(self, service: Service, call: Call) -> str | None:
        """Who signed; None if nobody did. A missing bucket is told before a wrong key, but to whom is about to make it."""
        try:
            return signature.verify(
                call, secret_of=self._access.secret_of, token_of=self._access.token_of, region=self._access.region
            )
        except OssFault as fault:
            if fault.code in signature.WRONG_KEY and call.bucket and not routes.makes_bucket(call):
                await service.ledger.read(lambda database: service.require(call, database))
            raise

    def _call(self, service: Service, scope: Scope, body: Body, *, request_id: str, host: str) -> Call:
        raw_path: bytes = scope["raw_path"]
        raw_query: bytes = scope["query_string"]
        if len(raw_path) + len(raw_query) > URL_MAX_BYTES:
            raise OssFault(414, "RequestURITooLong", "The URL is too long.")
        headers = _headers(scope)
        body.length_bytes = whole_number(headers.get("content-length", ""))
        bucket, key = self._access.hosts.resource(raw_path, host)
        return Call(
            request_id=request_id,
            method=scope["method"],
            host=host,
            bucket=bucket,
            key=key,
            query=_query(raw_query),
            headers=headers,
            body=body,
            received_ns=service.clock(),
        )


def _must_close(method: str, body: Body, *, expects: bool) -> bool:
    """Whether the connection cannot serve another request: a body was announced that may never come.

    The rest of a body that is on its way is read and thrown away, so that the client can read the answer.
    """
    if body.touched or not (expects or body.length_bytes):
        return False
    return expects or method not in {"PUT", "POST"}


def _header(scope: Scope, wanted: bytes) -> str:
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value.decode("utf-8", "surrogateescape"))
    return ""


def _headers(scope: Scope) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    size = 0
    for raw_name, raw_value in scope["headers"]:
        size += len(raw_name) + len(raw_value)
        name, value = raw_name.decode("latin-1"), raw_value.decode("utf-8", "surrogateescape")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    if size > HEADERS_MAX_BYTES:
        raise OssFault(400, "RequestHeaderSectionTooLarge", f"The headers have more than {HEADERS_MAX_BYTES} bytes.")
    return headers


def _query(raw: bytes) -> Mapping[str, str]:
    query: dict[str, str] = {}
    for pair in raw.split(b"&"):
        if not pair:
            continue
        name, _, value = pair.partition(b"=")
        decoded = unquote_to_bytes(name).decode("utf-8", "surrogateescape")
        if decoded in query:
            raise invalid_argument("A query parameter is given twice.", name=decoded[:64], value="")
        query[decoded] = unquote_to_bytes(value).decode("utf-8", "surrogateescape")
    return query


async def _send(
    answer: Answer, scope: Scope, receive: Receive, send: Send, *, request_id: str, begun: int, date: str, close: bool
) -> None:
    length = answer.length_bytes if answer.stream is not None or scope["method"] == "HEAD" else len(answer.body)
    headers = {
        "Server": "AliyunOSS",
        "Date": date,
        "x-oss-request-id": request_id,
        "x-oss-server-time": str((time.monotonic_ns() - begun) // 10**6),
        **answer.headers,
    }
    if answer.status not in {204, 304} and length is not None:
        headers["Content-Length"] = str(length)
    if close:
        headers["Connection"] = "close"
    raw = [(name.encode("latin-1"), value.encode("utf-8", "surrogateescape")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    if answer.stream is None or scope["method"] == "HEAD":
        await send({"type": "http.response.body", "body": answer.body})
        return
    gone = asyncio.ensure_future(_hung_up(receive))
    try:
        async for block in answer.stream:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()
        await answer.stream.aclose()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
