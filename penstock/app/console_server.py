"""Who serves the console: a listener of its own, behind which nothing of a console is there until the first visitor comes.

What the console is made of is much to import, in a process that others wait for: it is imported in a thread, while the first
connection waits. Calls `penstock.console`; hands it the API, the registry and the rights in one value.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import uvicorn

from penstock import telemetry
from penstock.api import rights
from penstock.api.application import Api
from penstock.api.errands import Errands
from penstock.api.errors import ApiError
from penstock.app import serving
from penstock.app.console_calls import calls_seen
from penstock.app.serving import Server
from penstock.app.standin.mark import is_stand_in
from penstock.catalog.live import Seeing
from penstock.console.reach import Reach
from penstock.errors import SettingsError
from penstock.model import AccessKey, Bucket, Registry
from penstock.settings.choices import Settings
from penstock.settings.files import replace_file
from penstock.settings.home import Home
from penstock.stores.base import Store

GRACE_S = 5
HANDSHAKE_TIME_S = 10.0
SESSION_KEY_BYTES = 32
ERRAND_THREADS = 4
_APPLICATION, _CONNECTION = "penstock.console.application", "penstock.console.connection"

MakeConnection = Callable[[], asyncio.Protocol]


class ConsoleServer(Server):
    """Serves the console; set `should_exit` to end it."""

    def __init__(self, config: uvicorn.Config, make_reach: Callable[[], Reach], ending: asyncio.Event) -> None:
        super().__init__(config)
        self._make_reach = make_reach
        self._ending = ending
        self._make_connection: MakeConnection | None = None
        self._loading: asyncio.Task[MakeConnection] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on `sockets`. As uvicorn does it, which would want to know at once what is served."""
        loop = asyncio.get_running_loop()
        tls = self.config.ssl
        self.servers = [
            await loop.create_server(
                self._door,
                sock=one,
                backlog=self.config.backlog,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE_TIME_S if tls is not None else None,
            )
            for one in sockets or ()
        ]
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it; streams, which would never end, are told to."""
        self._ending.set()
        if self._loading is not None:
            self._loading.cancel()
        await super().shutdown(sockets)

    def _door(self) -> asyncio.Protocol:
        return self._make_connection() if self._make_connection is not None else Door(self.loaded)

    async def loaded(self) -> MakeConnection:
        """What makes connections of visitors, once the console is there."""
        if self._make_connection is None:
            if self._loading is None or self._loading.done():
                self._loading = asyncio.create_task(self._load())
            self._make_connection = await asyncio.shield(self._loading)
        return self._make_connection

    async def _load(self) -> MakeConnection:
        application, connection = await asyncio.to_thread(_imported)
        self.config.loaded_app = application.create_console(self._make_reach())
        kind = connection.VisitorConnection
        return lambda: cast("asyncio.Protocol", kind(self.config, self.server_state, {}, asyncio.get_running_loop()))


class Door(asyncio.Protocol):
    """A visitor's connection while the console is being loaded."""

    def __init__(self, loaded: Callable[[], Awaitable[MakeConnection]]) -> None:
        self._loaded = loaded
        self._task: asyncio.Task[None] | None = None
        self._early: list[bytes] = []
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have it wait, with most of what it sends, in the kernel."""
        plain = cast("asyncio.Transport", transport)
        plain.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._hand_over(plain))

    def data_received(self, data: bytes) -> None:
        """uvloop begins to read all the same, once: what came goes to who comes behind us."""
        self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Nobody waits any more."""
        self._gone = True

    async def _hand_over(self, transport: asyncio.Transport) -> None:
        try:
            make = await self._loaded()
        except Exception as error:  # noqa: BLE001 - a fault of ours: files move on, and the log says why there are no pages
            telemetry.failure("console.not_loaded", error)
            transport.abort()
            return
        if self._gone:
            return
        connection = make()
        transport.set_protocol(connection)
        connection.connection_made(transport)
        for data in self._early:
            connection.data_received(data)
        transport.resume_reading()


def _imported() -> tuple[Any, Any]:
    return importlib.import_module(_APPLICATION), importlib.import_module(_CONNECTION)


def console_server(
    api: Api,
    *,
    home: Home,
    settings: Settings,
    registry: Callable[[], Registry],
    open_bucket: Callable[[Bucket], Store],
    seeing: Seeing,
    now_ns: Callable[[], int],
    certificate: Path | None,
    key: Path | None,
    api_url: str,
) -> ConsoleServer:
    """A server for the console, with TLS where a certificate is given. Raises SettingsError for one that is no good."""
    config = serving.config(
        _nobody, grace_s=GRACE_S, http=Door, interface="asgi3", ssl_certfile=certificate, ssl_keyfile=key
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"tls_certificate ({certificate}) and tls_key ({key}) cannot be used: {error}") from error
    ending = asyncio.Event()

    def make_reach() -> Reach:
        return Reach(
            perform=api.perform,
            open_bucket=open_bucket,
            stores=Errands("console-store", threads_each=ERRAND_THREADS),
            file_systems=Errands("console-file-system", threads_each=ERRAND_THREADS),
            may=_may,
            sees=rights.sees,
            registry=registry,
            seeing=seeing,
            report=api.report,
            calls=lambda key, after: calls_seen(api, key, after),
            now_ns=now_ns,
            entropy=os.urandom,
            ending=ending,
            home=os.fspath(home.path),
            api_url=api_url,
            ca_file=os.fspath(home.ca_file) if certificate is not None and home.ca_file.exists() else "",
            path_base=settings.subtask_path_base,
            region=settings.region,
            session_key=_session_key(home),
            host_names=_host_names(settings),
            is_stand_in=is_stand_in(home),
        )

    return ConsoleServer(config, make_reach, ending)


async def _nobody(scope: object, receive: object, send: object) -> None:
    """What is served before the console is loaded: nothing asks it."""


def _may(key: AccessKey, action: str, file_system_id: str) -> bool:
    try:
        rights.check(key, action, file_system_id)
    except ApiError:
        return False
    return True


def _session_key(home: Home) -> bytes:
    """The secret that sessions are signed with, made when it is missing. To remove the file ends them all, at the next start."""
    try:
        kept = home.console_key_file.read_bytes()
    except FileNotFoundError:
        kept = b""
    if len(kept) != SESSION_KEY_BYTES:
        kept = os.urandom(SESSION_KEY_BYTES)
        replace_file(home.console_key_file, kept)
    return kept


def _host_names(settings: Settings) -> frozenset[str]:
    """Names by which the console may be visited: this machine's, and those that the settings say."""
    chosen = (name.strip().lower() for name in settings.console_names.split(","))
    return frozenset(filter(None, (*chosen, socket.gethostname().lower())))
