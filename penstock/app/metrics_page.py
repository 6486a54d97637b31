"""`GET /metrics` on a listener of its own: gathers what is known now when it is asked, and nothing in between. Health too.

Asks the movers for figures; reads the engine and the catalog's kept counters; `metrics` makes the text. No login: it listens
where the settings say, and nowhere by default.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from penstock import __version__, telemetry
from penstock.app import serving
from penstock.app.addresses import METRICS_PATH
from penstock.app.health import LIVE_PATH, READY_PATH, Health, as_text
from penstock.app.metrics import Now, render
from penstock.app.metrics_connection import MetricsConnection, Page
from penstock.app.serving import Server
from penstock.catalog.catalog import Catalog
from penstock.catalog.live import Seeing, Soundness
from penstock.engine.engine import Engine
from penstock.engine.local import LocalExecutor
from penstock.errors import CatalogError
from penstock.model import Registry
from penstock.telemetry.footprint import resident_bytes

GRACE_S = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Who is asked for numbers."""

    catalog: Catalog
    engine: Engine
    executor: LocalExecutor
    seeing: Seeing
    registry: Callable[[], Registry]


class MetricsPage:
    """One page; `MetricsConnection` asks for it."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, *, home: Path, movers_wanted: int, health: Health) -> None:
        self._home = home
        self._movers_wanted = movers_wanted
        self._health = health
        self._started_s = time.time()
        self._sources: Sources | None = None

    def tell_of(self, sources: Sources) -> None:
        """From now on there are numbers; before that, only health is told."""
        self._sources = sources

    async def answer(self, method: str, path: str) -> tuple[HTTPStatus, bytes]:
        """Status and body of the answer to this."""
        if path not in (METRICS_PATH, LIVE_PATH, READY_PATH):
            return HTTPStatus.NOT_FOUND, b"metrics are at /metrics, health is at /healthz and /readyz\n"
        if method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, b""
        if path == LIVE_PATH:
            return HTTPStatus.OK, as_text(())
        if path == METRICS_PATH and self._sources is not None:
            return HTTPStatus.OK, await self._text(self._sources)
        reasons = await self._health.reasons()
        return HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK, as_text(reasons)

    async def _text(self, sources: Sources) -> bytes:
        live: Mapping[str, int] | None = None
        oldest_s: float | None = None
        buckets: Mapping[str, Soundness] = {}
        file_systems: Mapping[str, Soundness] = {}
        with contextlib.suppress(CatalogError):  # everything else can still be told, and is what a person needs then
            live = await sources.catalog.live_sub_tasks()
            oldest_ns = await sources.catalog.oldest_waiting_ns()
            oldest_s = max(0.0, time.time() - oldest_ns / 1e9) if oldest_ns else 0.0
            overview = await sources.seeing.overview(sorted(sources.registry().file_systems), flying_max=0)
            if overview.engine is not None:
                buckets = {each.name: each.soundness for each in overview.engine.buckets}
                file_systems = {each.file_system_id: each.soundness for each in overview.engine.mounts}
        now = Now(
            live=live,
            oldest_s=oldest_s,
            under_way=len(sources.engine.flights),
            movers_up=sources.executor.movers_up,
            movers=await sources.executor.figures_now(),
            movers_wanted=self._movers_wanted,
            home_free_bytes=shutil.disk_usage(self._home).free,
            is_ready=not await self._health.reasons(),
            started_s=self._started_s,
            version=__version__,
            buckets=buckets,
            file_systems=file_systems,
            cpu_s=time.process_time(),
            resident_bytes=resident_bytes(),
        )
        return render(now, telemetry.numbers)


def metrics_server(page: Page) -> Server:
    """A server for the page, for a socket that listens already."""
    config = serving.config(page, grace_s=GRACE_S, http=MetricsConnection, interface="asgi3")
    config.load()
    return Server(config)
