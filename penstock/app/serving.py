"""uvicorn as the service uses it: on sockets that are bound already, silent, and ended by us and not by signals.

Called by `web` and `metrics_page`; knows neither.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn


class Server(uvicorn.Server):
    """Set `should_exit` to end it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service's business: it has more to bring to an end than this."""
        yield


def config(application: Any, *, grace_s: int, **more: Any) -> uvicorn.Config:
    """How all of our servers are set up; `more` is what only this one needs. Not loaded yet."""
    return uvicorn.Config(
        application,
        loop="none",
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=grace_s,
        **more,
    )
