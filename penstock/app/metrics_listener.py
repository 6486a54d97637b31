"""The listener of metrics and health, from before the catalog is opened until the engine is drained; none where none is set.

What makes the page is much to import, so it is imported only where somebody may ask.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from penstock.app.health import Health
from penstock.app.serving import Server
from penstock.catalog.catalog import Catalog
from penstock.catalog.live import Seeing
from penstock.engine.engine import Engine
from penstock.engine.local import LocalExecutor
from penstock.model import Registry

if TYPE_CHECKING:
    from penstock.app.metrics_page import MetricsPage


class MetricsListener:
    """`task` is the serving, None where nobody is served."""

    def __init__(self, page: MetricsPage | None, server: Server | None, task: asyncio.Task[Any] | None) -> None:
        self._page = page
        self._server = server
        self.task = task

    @classmethod
    def begun(cls, sock: socket.socket | None, *, home: Path, movers_wanted: int, health: Health) -> Self:
        """Serving on `sock`, if there is one."""
        if sock is None:
            return cls(None, None, None)
        from penstock.app.metrics_page import MetricsPage, metrics_server  # noqa: PLC0415

        page = MetricsPage(home=home, movers_wanted=movers_wanted, health=health)
        server = metrics_server(page)
        return cls(page, server, asyncio.create_task(server.serve(sockets=[sock]), name="metrics"))

    def tell_of(
        self,
        *,
        catalog: Catalog,
        engine: Engine,
        executor: LocalExecutor,
        seeing: Seeing,
        registry: Callable[[], Registry],
    ) -> None:
        """From now on there are numbers."""
        if self._page is not None:
            from penstock.app.metrics_page import Sources  # noqa: PLC0415

            self._page.tell_of(
                Sources(catalog=catalog, engine=engine, executor=executor, seeing=seeing, registry=registry)
            )

    async def end(self) -> None:
        """Answer what is asked, and no more. Silent when it has ended already."""
        if self._server is not None and self.task is not None:
            self._server.should_exit = True
            await asyncio.wait({self.task})
