"""The HTTP server: uvicorn with the API's own connections, which are swept for those that take too long.

It ends when its listener does: a service that nobody can reach is better started anew than kept.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import cast

import uvicorn

from penstock import telemetry
from penstock.api.application import Api
from penstock.api.connection import Connection
from penstock.api.crowd import Crowd
from penstock.app import serving
from penstock.app.encrypted import Handshake
from penstock.app.memory import AfterCrowds
from penstock.app.serving import Server
from penstock.errors import SettingsError

GRACE_S = 5
HANDSHAKE_TIME_S = 10.0
SWEEP_TICKS = 10  # of a tenth of a second: how late a connection's times may be noticed to be over


class WebServer(Server):
    """Serves the API. `accepting` is set once it answers; set `should_exit` to end it."""

    def __init__(self, config: uvicorn.Config, crowd: Crowd) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()
        self._crowd = crowd
        self._after_crowds = AfterCrowds()
        self._listening: list[socket.socket] = []
        self._handshakes: set[Handshake] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on `sockets`. As uvicorn does it, whose way would have TLS handshakes that nobody counts."""
        loop = asyncio.get_running_loop()
        self._listening = list(sockets or ())
        self.servers = [
            await loop.create_server(lambda: self._door(loop), sock=one, backlog=self.config.backlog)
            for one in self._listening
        ]
        self.started = True
        self.accepting.set()

    def _door(self, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
        connection = Connection(self.config, self.server_state, {}, loop)
        if self.config.ssl is None:
            return connection
        return Handshake(
            connection,
            crowd=self._crowd,
            context=self.config.ssl,
            limit_s=HANDSHAKE_TIME_S,
            under_way=self._handshakes,
            loop=loop,
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it; who is still shaking hands has nothing to wait for."""
        for handshake in list(self._handshakes):
            handshake.give_way()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """As uvicorn does it ten times a second, and ends connections that take too long."""
        if counter % SWEEP_TICKS == 0:
            now_s = asyncio.get_running_loop().time()
            for connection in cast("list[Connection]", list(self.server_state.connections)):
                connection.look(now_s)
            self._after_crowds.look(len(self._crowd))
            if any(one.fileno() < 0 for one in self._listening):
                # uvloop closes it when the kernel has nothing left to accept with.
                telemetry.event("http.listener_closed", level=telemetry.Level.ERROR)
                return True
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
    return WebServer(config, api.crowd)
