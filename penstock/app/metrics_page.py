"""`GET /metrics` on a listener of its own: gathers what is known now when it is asked, and nothing in between.

Asks the movers for figures; reads the engine and the catalog's kept counters; `metrics` makes the text. No login: it listens
where the settings say, and nowhere by default.
"""

from __future__ import annotations

import time
from http import HTTPStatus

from penstock import telemetry
from penstock.app import serving
from penstock.app.addresses import METRICS_PATH
from penstock.app.metrics import Now, render
from penstock.app.metrics_connection import MetricsConnection, Page
from penstock.app.serving import Server
from penstock.catalog.catalog import Catalog
from penstock.engine.engine import Engine
from penstock.engine.local import LocalExecutor
from penstock.errors import CatalogError
from penstock.telemetry.footprint import resident_bytes

GRACE_S = 2


class MetricsPage:
    """One page; `MetricsConnection` asks for it."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, *, catalog: Catalog, engine: Engine, executor: LocalExecutor) -> None:
        self._catalog = catalog
        self._engine = engine
        self._executor = executor

    async def answer(self, method: str, path: str) -> tuple[HTTPStatus, bytes]:
        """Status and body of the answer to this."""
        if path != METRICS_PATH:
            return HTTPStatus.NOT_FOUND, b"metrics are at /metrics\n"
        if method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, b""
        return HTTPStatus.OK, await self._text()

    async def _text(self) -> bytes:
        try:
            live = await self._catalog.live_sub_tasks()
        except CatalogError:
            live = None  # everything else can still be told, and is what a person needs then
        now = Now(
            live=live,
            under_way=len(self._engine.flights),
            movers_up=self._executor.movers_up,
            movers=await self._executor.figures_now(),
            cpu_s=time.process_time(),
            resident_bytes=resident_bytes(),
        )
        return render(now, telemetry.numbers)


def metrics_server(page: Page) -> Server:
    """A server for the page, for a socket that listens already."""
    config = serving.config(page, grace_s=GRACE_S, http=MetricsConnection, interface="asgi3")
    config.load()
    return Server(config)
