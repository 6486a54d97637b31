"""The HTTP servers that `bench.http_servers` measures, each with the same two handlers.

Every one has a process to itself and is given what makes it quick: uvloop, no access log, nothing of WebSockets.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import uvicorn
import uvloop

from penstock.api.answers import Answer, content_type, render
from penstock.api.application import Api, create_api
from penstock.api.options import ApiOptions
from penstock.api.protocol import Format, read_head
from penstock.app.web import web_server
from penstock.catalog.catalog import Catalog
from penstock.model import AccessKey, Direction, FileSystem, Registry, TaskAction

Headers = list[tuple[bytes, bytes]]
Ask = Callable[[str, bytes, Headers], Awaitable[tuple[Answer, Format]]]
_FIXED = Answer(status=200, action="", request_id="R" * 36, body={"RequestId": "R" * 36, "DataFlowSubTaskId": "s" * 26})


class _Ledger:
    """A catalog that takes each sub-task at the loop's next turn, all of a turn at once, and forgets it."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[str]] = []

    async def data_flow(self, *_: str) -> Any:
        return SimpleNamespace(
            source_storage="oss://bucket", bucket="bucket", source_storage_path="/", file_system_path="/"
        )

    async def task(self, *_: str) -> Any:
        return SimpleNamespace(
            action=TaskAction.STREAM_IMPORT, direction=Direction.IMPORT, directory="/", target_directory="/"
        )

    async def create_sub_task(self, *_: object) -> str:
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._commit)
        future = loop.create_future()
        self._waiting.append(future)
        taken: str = await future
        return taken

    def _commit(self) -> None:
        for future in self._waiting:
            future.set_result("dfsubtask-0123456789abcdef")
        self._waiting = []


def api() -> Api:
    """The API as it is, over the ledger above."""
    registry = Registry(
        file_systems={"bmcpfs-1": FileSystem(file_system_id="bmcpfs-1", root="/")},
        buckets={},
        access_keys={"id": AccessKey(access_key_id="id", secret="secret")},  # noqa: S106  nobody's
    )
    return create_api(
        catalog=cast("Catalog", _Ledger()),
        registry=lambda: registry,
        open_bucket=lambda _: cast("Any", None),
        options=ApiOptions(),
        now_ns=time.time_ns,
        entropy=os.urandom,
    )


async def _fixed(_method: str, _target: bytes, _headers: Headers) -> tuple[Answer, Format]:
    return _FIXED, Format.JSON


def _create() -> Ask:
    made = api()

    async def ask(method: str, target: bytes, headers: Headers) -> tuple[Answer, Format]:
        answer, shape = await made.answer(read_head(method, target, headers, made.options), b"")
        assert isinstance(answer, Answer), "no link to a report is asked for"
        return answer, shape

    return ask


def _asgi(ask: Ask) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        target = scope["raw_path"] + b"?" + scope["query_string"]
        answer, shape = await ask(scope["method"], target, list(scope["headers"]))
        body = render(answer, shape)
        headers = [(b"content-type", content_type(shape).encode()), (b"content-length", b"%d" % len(body))]
        headers.append((b"x-acs-request-id", answer.request_id.encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


# ------------------------------------------------------------------------------------------------------------ candidates


def _uvicorn(kind: str) -> Callable[[Ask, int], None]:
    def serve(ask: Ask, port: int) -> None:
        options: Any = {"http": kind, "loop": "none", "ws": "none", "access_log": False, "log_config": None}
        server = uvicorn.Server(uvicorn.Config(_asgi(ask), proxy_headers=False, server_header=False, **options))
        _run(server.serve(sockets=[_listening(port)]))

    return serve


def _ours(ask: Ask, port: int) -> None:
    made = api()
    if ask is _fixed:
        made.answer = lambda head, body: _fixed(head.method, body, [])  # type: ignore[method-assign]
    _run(web_server(made, certificate=None, key=None).serve(sockets=[_listening(port)]))


def _granian(interface: str) -> Callable[[Ask, int], None]:
    def serve(ask: Ask, port: int) -> None:
        from granian.server.embed import Server  # type: ignore[import-not-found]  # noqa: PLC0415

        async def rsgi(scope: Any, protocol: Any) -> None:
            target = f"{scope.path}?{scope.query_string}".encode()
            headers = [(name.encode(), value.encode()) for name, value in scope.headers.items()]
            answer, shape = await ask(scope.method, target, headers)
            named = [("content-type", content_type(shape)), ("x-acs-request-id", answer.request_id)]
            protocol.response_bytes(answer.status, named, render(answer, shape))

        application = rsgi if interface == "rsgi" else _asgi(ask)
        named = {"address": "127.0.0.1", "port": port, "backlog": 2048}
        _run(Server(application, interface=interface, log_enabled=False, websockets=False, http="1", **named).serve())

    return serve


def _hypercorn(ask: Ask, port: int) -> None:
    from hypercorn.asyncio import serve  # type: ignore[import-not-found]  # noqa: PLC0415
    from hypercorn.config import Config  # type: ignore[import-not-found]  # noqa: PLC0415

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    _run(serve(_asgi(ask), config, shutdown_trigger=asyncio.Event().wait))


def _aiohttp(ask: Ask, port: int) -> None:
    from aiohttp import web  # noqa: PLC0415

    async def handle(request: web.BaseRequest) -> web.Response:
        answer, shape = await ask(request.method, request.raw_path.encode(), list(request.raw_headers))
        named = {"content-type": content_type(shape), "x-acs-request-id": answer.request_id}
        return web.Response(status=answer.status, body=render(answer, shape), headers=named)

    async def serve() -> None:
        server = web.Server(handle, access_log=None)
        await asyncio.get_running_loop().create_server(cast("Any", server), sock=_listening(port))
        await asyncio.Event().wait()

    _run(serve())


def _robyn(ask: Ask, port: int) -> None:
    from robyn import Response, Robyn  # type: ignore[import-not-found]  # noqa: PLC0415

    application = Robyn(__file__)

    async def handle(request: Any) -> Any:
        target = "/?" + "&".join(f"{name}={value[0]}" for name, value in request.query_params.to_dict().items())
        headers = [(name.encode(), value[0].encode()) for name, value in request.headers.get_headers().items()]
        answer, shape = await ask(request.method, target.encode(), headers)
        named = {"content-type": content_type(shape)}
        return Response(status_code=answer.status, headers=named, description=render(answer, shape))

    application.add_route("POST", "/", handle)
    sys.argv = sys.argv[:1]  # it reads them
    application.start(host="127.0.0.1", port=port)


def _socketify(ask: Ask, port: int) -> None:
    from socketify import App  # type: ignore[import-not-found]  # noqa: PLC0415

    application = App()

    async def handle(response: Any, request: Any) -> None:
        headers: Headers = []
        request.for_each_header(lambda name, value: headers.append((name.encode(), value.encode())))
        answer, shape = await ask("POST", f"/?{request.get_query_string() or ''}".encode(), headers)
        response.write_status(answer.status)
        response.write_header("content-type", content_type(shape))
        response.end(render(answer, shape))

    application.post("/", handle)
    application.listen({"port": port, "host": "127.0.0.1"}, lambda _: None)
    application.run()


CANDIDATES: dict[str, Callable[[Ask, int], None]] = {
    "ours on uvicorn, httptools": _ours,
    "uvicorn, httptools": _uvicorn("httptools"),
    "uvicorn, zttp": _uvicorn("zttp"),
    "uvicorn, h11": _uvicorn("h11"),
    "granian, RSGI": _granian("rsgi"),
    "granian, ASGI": _granian("asgi"),
    "aiohttp.web": _aiohttp,
    "hypercorn": _hypercorn,
    "robyn": _robyn,
    "socketify": _socketify,
}


def _listening(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), backlog=2048)


def _run(serving: Coroutine[Any, Any, object]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving)


def main() -> None:
    """Serve until the process is ended."""
    name, handler, port, packages = sys.argv[1:]
    sys.path.append(packages)
    logging.disable()
    CANDIDATES[name](_fixed if handler == "fixed" else _create(), int(port))


if __name__ == "__main__":
    main()
