"""The HTTP server: uvicorn with the API's own connections, which are swept for those that take too long."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import cast

import uvicorn

from penstock.api.application import Api
from penstock.api.connection import Connection
from penstock.app import serving
from penstock.app.serving import Server
from penstock.errors import SettingsError

GRACE_S = 5
SWEEP_TICKS = 10  # of a tenth of a second: how late a connection's times may be noticed to be over


class WebServer(Server):
    """Serves the API. `accepting` is set once it answers; set `should_exit` to end it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it, and tells when it is done."""
        await super().startup(sockets)
        if self.started:
            self.accepting.set()

    async def on_tick(self, counter: int) -> bool:
        """As uvicorn does it ten times a second, and ends connections that take too long."""
        if counter % SWEEP_TICKS == 0:
            now_s = asyncio.get_running_loop().time()
            for connection in cast("list[Connection]", list(self.server_state.connections)):
                connection.look(now_s)
        return await super().on_tick(counter)


def web_server(api: Api, *, certificate: Path | None, key: Path | None) -> WebServer:
    """A server for the API, with TLS where a certificate is given. Raises SettingsError for one that is no good."""
    config = serving.config(
        api,  # nobody but our connections looks at it: no ASGI
        grace_s=GRACE_S,
        http=Connection,
        interface="asgi3",
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"tls_certificate ({certificate}) and tls_key ({key}) cannot be used: {error}") from error
    return WebServer(config)
