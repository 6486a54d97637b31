"""`GET /metrics` on a listener of its own: gathers what is known now when it is asked, and nothing in between.

Reads the executor's figures, the engine and the catalog's kept counters; `metrics` makes the text. No login: it listens where
the settings say, and nowhere by default.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from penstock import telemetry
from penstock.app import serving
from penstock.app.metrics import Now, render
from penstock.app.serving import Server
from penstock.catalog.catalog import Catalog
from penstock.engine.engine import Engine
from penstock.engine.local import LocalExecutor
from penstock.errors import CatalogError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PATH = "/metrics"
CONCURRENT_MAX = 32
GRACE_S = 2

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class MetricsPage:
    """An ASGI application with one page."""

    def __init__(self, *, catalog: Catalog, engine: Engine, executor: LocalExecutor) -> None:
        self._catalog = catalog
        self._engine = engine
        self._executor = executor

    async def __call__(self, scope: MutableMapping[str, Any], _receive: Receive, send: Send) -> None:
        """Answer one request."""
        status, body = 404, b"metrics are at /metrics\n"
        if scope["path"] == PATH:
            status, body = (200, await self._text()) if scope["method"] in {"GET", "HEAD"} else (405, b"")
        headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _text(self) -> bytes:
        try:
            live = await self._catalog.live_sub_tasks()
        except CatalogError:
            live = None  # everything else can still be told, and is what a person needs then
        now = Now(
            live=live,
            under_way=len(self._engine.flights),
            movers_up=self._executor.movers_up,
            movers=self._executor.figures.all(),
            cpu_s=time.process_time(),
            resident_bytes=_resident_bytes(),
        )
        return render(now, telemetry.numbers)


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def metrics_server(page: MetricsPage) -> Server:
    """A server for the page, for a socket that listens already."""
    config = serving.config(page, grace_s=GRACE_S, http="httptools", limit_concurrency=CONCURRENT_MAX)
    config.load()
    return Server(config)


def host_and_port(listen: str) -> tuple[str, int]:
    """`host:port` or `[IPv6]:port`, as the settings allow it, taken apart."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)
