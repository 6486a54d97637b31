"""The API as an ASGI application: bounds on what comes in, signatures, dispatch, answers that tell nothing of our insides.

A plain callable, because one route needs no router. Calls `protocol`, `signature`, `dispatch`, `perform`, `answers`.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from penstock import telemetry
from penstock.api import answers, dispatch, protocol, signature
from penstock.api.answers import Answer, RequestIds
from penstock.api.errands import Errands
from penstock.api.errors import ApiError
from penstock.api.operation import Desk, Nonce, Operation, Reply
from penstock.api.options import ApiOptions
from penstock.api.perform import perform
from penstock.api.protocol import Format, Request
from penstock.api.streams import Streams
from penstock.api.times import zone_named
from penstock.catalog.catalog import Catalog
from penstock.model import AccessKey, Bucket, Registry
from penstock.stores.base import Store

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_FRAMES_LOGGED = 4


class _GoneError(Exception):
    """The caller hung up before the request was whole: nobody is left to answer."""


def create_api(
    *,
    catalog: Catalog,
    registry: Callable[[], Registry],
    open_bucket: Callable[[Bucket], Store],
    options: ApiOptions,
    now_ns: Callable[[], int],
    entropy: Callable[[int], bytes],
) -> Api:
    """The API over this catalog. Raises SettingsError for an unknown `api_time_zone`.

    `open_bucket` is called for each look at a bucket, and what it returns is closed again.
    """
    desk = Desk(
        catalog=catalog,
        registry=registry,
        open_bucket=open_bucket,
        options=options,
        zone=zone_named(options.api_time_zone),
        stores=Errands("api-store", threads_each=options.errand_threads),
        file_systems=Errands("api-file-system", threads_each=options.errand_threads),
        streams=Streams(catalog, max_count=options.streams_cached_max),
    )
    return Api(desk, now_ns=now_ns, entropy=entropy)


class Api:
    """An ASGI 3 application (http and lifespan), and `perform` for callers in this process."""

    def __init__(self, desk: Desk, *, now_ns: Callable[[], int], entropy: Callable[[int], bytes]) -> None:
        self._desk = desk
        self._now_ns = now_ns
        self._request_ids = RequestIds(entropy)

    async def perform(self, principal: AccessKey, action: str, parameters: Mapping[str, str]) -> Answer:
        """One action for a caller of our own process, unsigned: rights, checks and answers are those of the wire."""
        request_id = self._request_ids.take()

        async def run() -> tuple[Operation, Reply]:
            operation = dispatch.find(action, protocol.VERSION, self._desk.options.fidelity)
            reply = await perform(self._desk, operation, principal=principal, wire=parameters, nonce=Nonce(""))
            return operation, reply

        return await self._answered(run, request_id=request_id, host="")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close"})

    # ------------------------------------------------------------------------------------------------------------ within

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = self._request_ids.take()
        host, shape = "", protocol.format_hint(scope["query_string"])
        try:
            headers = protocol.parse_headers(scope["headers"], self._desk.options)
            host = headers.get("host", "")
            protocol.check_route(scope["method"], scope["path"])
            body = await _read_body(receive, headers, self._desk.options)
            request = protocol.parse_request(
                method=scope["method"],
                path=scope["path"],
                query_string=scope["query_string"],
                headers=headers,
                body=body,
                options=self._desk.options,
            )
            shape = protocol.answer_format(request.parameters)
        except ApiError as error:
            answer = answers.refusal(error, action="", request_id=request_id, host=host)
        except _GoneError:
            return
        else:
            answer = await self._answered(lambda: self._signed(request), request_id=request_id, host=host)
        await _send(send, answer, shape, head=scope["method"] == "HEAD")

    async def _signed(self, request: Request) -> tuple[Operation, Reply]:
        desk = self._desk
        action, version = signature.called(request)
        operation = dispatch.find(action, version, desk.options.fidelity)
        key, claim = signature.verify(
            request, desk.registry().access_keys, now_ns=self._now_ns(), clock_skew_s=desk.options.clock_skew_s
        )
        # Two keys may choose the same nonce: neither must be able to use up the other's.
        nonce = Nonce(f"{key.access_key_id}:{claim.nonce}")
        return operation, await perform(desk, operation, principal=key, wire=request.parameters, nonce=nonce)

    async def _answered(
        self, run: Callable[[], Awaitable[tuple[Operation, Reply]]], *, request_id: str, host: str
    ) -> Answer:
        try:
            operation, reply = await run()
        except ApiError as error:
            telemetry.event("api.refused", request_id=request_id, code=error.code)
            return answers.refusal(error, action="", request_id=request_id, host=host)
        except Exception as error:  # noqa: BLE001 - the one place where a fault of ours becomes an answer
            frames = "".join(traceback.format_tb(error.__traceback__)[-_FRAMES_LOGGED:])
            telemetry.failure("api.failed", error, request_id=request_id, frames=frames)
            fault = ApiError(
                "InternalError", "Something went wrong here; the service's log tells more by this RequestId."
            )
            return answers.refusal(fault, action="", request_id=request_id, host=host)
        if reply.headers:
            telemetry.event("api.marked", request_id=request_id, action=operation.name, headers=dict(reply.headers))
        return answers.success(operation.name, request_id, reply.fields, reply.headers)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _read_body(receive: Receive, headers: Mapping[str, str], options: ApiOptions) -> bytes:
    """The whole body, within its bounds of size and time. Raises ApiError, _GoneError."""
    too_large = ApiError("RequestEntityTooLarge", f"The request's body exceeds {options.body_max_bytes} bytes.")
    announced = headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > options.body_max_bytes:
        raise too_large
    if announced == "0" and "transfer-encoding" not in headers:
        return b""
    chunks: list[bytes] = []
    size_bytes, more = 0, True
    try:
        async with asyncio.timeout(options.body_time_s):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _GoneError
                more = message.get("more_body", False)
                chunks.append(message.get("body", b""))
                size_bytes += len(chunks[-1])
                if size_bytes > options.body_max_bytes:
                    raise too_large
    except TimeoutError:
        raise ApiError("RequestTimeout", "The request's body did not arrive in time.") from None
    return b"".join(chunks)


async def _send(send: Send, answer: Answer, shape: Format, *, head: bool) -> None:
    body = answers.render(answer, shape)
    headers = [
        (b"content-type", answers.content_type(shape).encode("ascii")),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"x-acs-request-id", answer.request_id.encode("ascii")),
        (b"cache-control", b"no-store"),
    ]
    headers += [(name.encode("ascii"), value.encode("ascii")) for name, value in answer.headers]
    if answer.status in (408, 413, 414, 431):
        headers.append((b"connection", b"close"))  # the rest of the request is not read
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})
