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
HANDSHAKE_TIME_S = 10.0  # until it is over, a connection is not among those that are counted and swept
SWEEP_TICKS = 10  # of a tenth of a second: how late a connection's times may be noticed to be over


class WebServer(Server):
    """Serves the API. `accepting` is set once it answers; set `should_exit` to end it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on `sockets`. As uvicorn does it, whose way has no bound of ours on the time of a TLS handshake."""
        config, loop = self.config, asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                lambda: Connection(config, self.server_state, {}, loop),
                sock=one,
                ssl=config.ssl,
                backlog=config.backlog,
                ssl_handshake_timeout=HANDSHAKE_TIME_S if config.ssl else None,
            )
            for one in sockets or ()
        ]
        self.started = True
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
