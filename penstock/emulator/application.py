"""The emulator's server: make the application, serve until SIGTERM.

Calls service (which opens the stores) and gateway (which answers). Never reads the environment or a configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import cast

import uvicorn
from starlette.applications import Starlette

from penstock.emulator.connection import Connection
from penstock.emulator.gateway import Access, Gateway
from penstock.emulator.protocol import names
from penstock.emulator.protocol.hosts import Hosts
from penstock.emulator.service import Service, open_service
from penstock.errors import PenstockError, SettingsError

KEEP_ALIVE_S = 75
RESTORE_S = 60.0
GRACE_S = 10.0
LAST_WORDS_S = 1.0
BACKLOG = 512
TICKS_A_SWEEP = 10  # the library ticks ten times a second

log = logging.getLogger("uvicorn.error")  # the server's own: whoever wants its log wants this, too


class Premises:
    """The root that is open. `opening` opens it, and blocks."""

    def __init__(self, opening: Callable[..., Service]) -> None:
        self._opening = opening
        self._opened: list[Service] = []

    def now(self) -> Service:
        """The open one."""
        return self._opened[0]

    async def open(self) -> None:
        """Raises what `open_service` raises."""
        self._opened.append(await asyncio.to_thread(self._opening, loop=asyncio.get_running_loop()))

    async def close(self) -> None:
        """Done when all is on the disk."""
        await asyncio.to_thread(self._opened.pop().close)

    async def exchange(self, meanwhile: Callable[[], None]) -> None:
        """Close it, have it replaced, and open what is there then. Requests that come meanwhile fail."""
        await self.close()
        try:
            await asyncio.to_thread(meanwhile)
        finally:
            await self.open()


def create_app(
    *,
    root: Path,
    credentials: Callable[[str], str | None],
    region: str,
    clock: Callable[[], int] = time.time_ns,
    domain: str | None = None,
    cnames: Mapping[str, str] | None = None,
    token_of: Callable[[str], str | None] | None = None,
    restore_s: float = RESTORE_S,
) -> Starlette:
    """A bucket server over the directory `root`, made if it is not there.

    `credentials` maps an access key id to its secret, or None; it is asked for every request, so keys may change.
    `token_of` names the security token that a temporary key's requests must carry, None for a lasting key.
    `region` is what V4 signatures must name ("cn-hangzhou"). `clock` yields ns since 1970. Buckets are found in
    the Host header beneath `domain`, beneath the names of the service (oss-REGION.aliyuncs.com and its kin) and beneath
    localhost; a host of `cnames` names the bucket it is mapped to; by address, the bucket leads the path. A restored object
    can be read after `restore_s` seconds. Starting it raises HomeInUseError while another emulator serves `root`,
    SettingsError for a root of another layout.
    """
    opening = partial(open_service, root, region=region, clock=clock, new_token=_new_token, restore_s=restore_s)
    premises = Premises(opening)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        app.state.loop = asyncio.get_running_loop()
        try:
            await premises.open()
        except PenstockError as error:
            app.state.failure = error  # the server only says that starting failed; `serve` says why
            raise
        try:
            yield
        finally:
            await premises.close()

    hosts = Hosts(domain=domain, cnames={host.lower(): bucket for host, bucket in (cnames or {}).items()})
    access = Access(secret_of=credentials, token_of=token_of or _lasting, region=region, hosts=hosts)
    gateway = Gateway(premises.now, access)
    app = Starlette(lifespan=lifespan)
    app.state.exchange = premises.exchange
    app.router.default = gateway  # not a route: patterns of routes pass over keys that hold a newline
    return app


def read_cname(word: str) -> tuple[str, str]:
    """Host and bucket of `HOST=BUCKET`. Raises SettingsError."""
    host, _, bucket = word.partition("=")
    if not host or not names.is_bucket_name(bucket):
        raise SettingsError(f"{word!r} is not HOST=BUCKET, the name of a host and that of a bucket")
    return host, bucket


def _lasting(_: str) -> None:
    """No key is a temporary one."""


def _new_token() -> str:
    return secrets.token_hex(16).upper()


@contextlib.contextmanager
def _saying_once(app: Starlette) -> Iterator[None]:
    """The library says nothing of a refusal to start, neither that there is one nor its traceback: `serve` raises it."""

    def is_news(_: logging.LogRecord) -> bool:
        return not isinstance(getattr(app.state, "failure", None), PenstockError)

    log.addFilter(is_news)
    try:
        yield
    finally:
        log.removeFilter(is_news)


class _Server(uvicorn.Server):
    """Tells when it is ready, and ends quietly on SIGTERM and SIGINT instead of dying of them once more.

    Connections are swept for heads that do not arrive.

    Whoever is still being answered after a while is hung up on. (The library would cancel what answers, and log a traceback for
    each.)
    """

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_A_SWEEP == 0:
            now_s = asyncio.get_running_loop().time()
            for connection in cast("list[Connection]", list(self.server_state.connections)):
                connection.sweep(now_s)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        hanging_up = asyncio.get_running_loop().call_later(GRACE_S, self._hang_up)
        try:
            await super().shutdown(sockets)
        finally:
            hanging_up.cancel()
        if self.server_state.tasks:  # it was told twice to end: nobody waited for them
            self._hang_up()
            await asyncio.wait(self.server_state.tasks, timeout=LAST_WORDS_S)
        if self.force_exit:  # the library would cancel what closes the buckets, and log a traceback
            await self.lifespan.shutdown()

    def _hang_up(self) -> None:
        """What answers sees that nobody is there any more, and ends."""
        connections = list(self.server_state.connections)
        if connections:
            log.warning("stopped: %d connections were cut before all was answered", len(connections))
        for connection in connections:
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kept = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)


def serve(app: Starlette, *, sock: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve `app` on the listening (or bound) `sock` until SIGTERM or SIGINT; `on_ready` is called once it answers.

    Requests under way get 10 seconds, then their connections are cut. Raises what starting raised (see `create_app`).
    """
    config = uvicorn.Config(
        app,
        http=partial(Connection, new_token=_new_token, clock=time.time_ns),  # type: ignore[arg-type]  # it only calls it
        loop="uvloop",
        ws="none",
        lifespan="on",
        server_header=False,
        date_header=False,
        access_log=False,
        log_config=None,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    server = _Server(config, on_ready)
    with _saying_once(app):
        try:
            server.run(sockets=[sock])
        except SystemExit:  # how uvicorn says that starting failed
            if server.started:
                raise
    if not server.started:
        if isinstance(failure := getattr(app.state, "failure", None), PenstockError):
            raise failure
        raise SettingsError("the emulator did not start; its log says why")
