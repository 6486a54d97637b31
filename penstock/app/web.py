"""The HTTP server: uvicorn on a socket that is bound already, ended by us and not by signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from penstock.api.connection import HeadBounds, bounded_connection
from penstock.errors import SettingsError

KEEP_ALIVE_S = 75
GRACE_S = 5
CONCURRENT_MAX = 4096


class WebServer(uvicorn.Server):
    """Serves one ASGI application. `accepting` is set once it answers; set `should_exit` to end it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it, and tells when it is done."""
        await super().startup(sockets)
        if self.started:
            self.accepting.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service's business: it has more to bring to an end than this."""
        yield


def web_server(application: Any, *, certificate: Path | None, key: Path | None) -> WebServer:
    """A server for the application, with TLS where a certificate is given. Raises SettingsError for one that is no good."""
    config = uvicorn.Config(
        application,
        http=bounded_connection(HeadBounds(), os.urandom),
        loop="none",
        ws="none",
        lifespan="on",
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        limit_concurrency=CONCURRENT_MAX,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"tls_certificate ({certificate}) and tls_key ({key}) cannot be used: {error}") from error
    return WebServer(config)
