"""`penstock serve`: everything put together, in one process with one event loop, and brought to an end in order.

Lock, sockets, registry, emulator (a child process), catalog, engine with its movers (child processes), API. The ready line is
printed when all of it accepts. A part that ends by itself ends the service, so that whoever watches it can start it anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import uvloop

from penstock import __version__, failpoints, telemetry
from penstock.api.application import Api, create_api
from penstock.app import broken_off
from penstock.app.addresses import METRICS_PATH, Addresses, publish_addresses, withdraw_addresses
from penstock.app.boot import boot_id
from penstock.app.clock import SteadyClock
from penstock.app.console_server import console_server
from penstock.app.console_socket import console_socket
from penstock.app.embedded import host_and_port, listen, url_of
from penstock.app.emulator_process import EmulatorProcess
from penstock.app.farroots import FarRoots
from penstock.app.filesets import FilesetKeeper
from penstock.app.founder import HomeFounder
from penstock.app.health import Health, Stage
from penstock.app.limits import connections_within_limit, leave_no_core_files, open_files_freely
from penstock.app.lock import HeldHome, service_lock
from penstock.app.metrics_listener import MetricsListener
from penstock.app.mounts import Looks
from penstock.app.options import api_options, catalog_bounds, engine_options, executor_options
from penstock.app.registry import LiveRegistry
from penstock.app.restoring import refuse_unfinished
from penstock.app.rootwatch import RootWatch
from penstock.app.seeing import make_sight
from penstock.app.server_log import take_over_server_log
from penstock.app.serving import Server
from penstock.app.standin.mark import refuse_stand_in
from penstock.app.web import WebServer, web_server
from penstock.app.working import Work, Working
from penstock.catalog.catalog import Catalog
from penstock.catalog.live import Seeing
from penstock.catalog.sqlite import LOG_BYTES_READY, SqliteDatabase
from penstock.engine.doomed import ADVICE
from penstock.engine.engine import Engine
from penstock.engine.executor import Executor
from penstock.engine.local import LocalExecutor
from penstock.errors import LeftBehindError, PenstockError, SettingsError
from penstock.model import Bucket
from penstock.settings.choices import Settings
from penstock.settings.home import Home
from penstock.settings.reading import beneath, load_settings
from penstock.stores.base import Store
from penstock.stores.keychain import Keychain
from penstock.stores.opening import open_store
from penstock.telemetry.lines import LogFormat
from penstock.transfer.root import may_hang

EMULATOR_AGAIN_S = 3.0
HOME_LOOK_S = 0.5
EXIT_REPLACED = 1
GC_THRESHOLDS = (20_000, 20, 20)
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What the command line says; None leaves it to the settings. `traps` is where failpoints look for traps, in tests."""

    port: int | None = None
    emulator_port: int | None = None
    console_port: int | None = None
    traps: str = ""


class ServiceEndedError(PenstockError):
    """A part of the service ended by itself; the log has the details."""


def serve_home(home: Home, options: ServeOptions) -> None:
    """Serves until SIGTERM or SIGINT. Raises HomeInUseError, SettingsError, ServiceEndedError, CatalogError."""
    refuse_stand_in(home)
    serve_as(Service, home, options)


def serve_as(kind: Callable[[HeldHome, Settings, ServeOptions], Service], home: Home, options: ServeOptions) -> None:
    """As `serve_home`, by this kind of service."""
    leave_no_core_files()
    take_over_server_log()
    failpoints.arm(options.traps)
    settings = load_settings(home)
    _write_log_as(LogFormat(settings.log_format))
    open_files_freely(settings.mover_small_files + settings.mover_large_files)
    with service_lock(home) as held, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        refuse_unfinished(home)
        broken_off.end(home)  # its `init` may have died when all was made
        runner.run(kind(held, settings, options).run())


def _write_log_as(form: LogFormat) -> None:
    """The children's lines too."""
    os.environ[telemetry.LOG_VARIABLE] = form.value
    telemetry.configure(sys.stderr, form=form)


class Service:
    """One run of the service."""

    def __init__(self, held: HeldHome, settings: Settings, options: ServeOptions) -> None:
        """Takes the API's port. Raises SettingsError."""
        self._held = held
        self._home = home = held.home
        self._keychain = Keychain(home.secrets_file, os.environ)
        self._settings = settings
        self._traps = options.traps
        self._emulator_port = settings.emulator_port if options.emulator_port is None else options.emulator_port
        port = settings.port if options.port is None else options.port
        self._registry = LiveRegistry(home, region=settings.region, on_change=self._registry_changed)
        self._socket = listen(settings.listen, port, setting="port", option="--port")
        _warn_of_open_ears(self._socket, settings)
        self._metrics_socket = _metrics_socket(settings)
        self._console_socket = console_socket(settings, console_port=options.console_port, port=options.port)
        if self._console_socket is not None:
            _warn_of_open_ears(self._console_socket, settings)
        self._now_ns = SteadyClock(wall_ns=time.time_ns, monotonic_ns=time.monotonic_ns).now_ns
        self._looks = Looks(time.monotonic)
        self._emulator: EmulatorProcess | None = None
        self._engine: Engine | None = None
        self._health = Health(time.monotonic)
        self._stopping = asyncio.Event()
        self._emulator_wanted = asyncio.Event()

    async def run(self) -> None:
        """Up, until a signal or the end of a part, and down."""
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._stopping.set)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._socket.close)
            for sock in filter(None, (self._metrics_socket, self._console_socket)):
                stack.callback(sock.close)
            stack.push_async_callback(self._stop_emulator)
            metrics = self._begin_metrics()
            stack.push_async_callback(metrics.end)
            if self._registry.wants_emulator():
                await self._start_emulator()
            executor = LocalExecutor(options=executor_options(self._settings, self._home, os.environ, self._traps))
            work = await self._begin_work(stack, executor, metrics)
            stack.callback(self._watch_roots().stop)
            stack.callback(work.api.trail.flush)
            far = FarRoots(self._home, registry=self._registry.current, note=self._looks.note)
            stack.callback(far.stop)
            beside = {
                "console": (self._console(work.api, work.seeing), self._console_socket),
            }
            looks = {"far roots": far.run, **work.keeping}
            await self._serve(work.engine, self._web(work.api), beside, looks, metrics)
        if executor.left_behind:
            raise LeftBehindError(
                f"stopped, but {'; '.join(executor.left_behind)}: {ADVICE}. `penstock serve` may be started meanwhile"
            )

    async def _begin_work(
        self, stack: contextlib.AsyncExitStack, executor: LocalExecutor, metrics: MetricsListener
    ) -> Work:
        """Catalog, engine and API. What has to be closed in the end goes to `stack`."""
        database = SqliteDatabase(self._home.catalog_file, log_bytes_ready=LOG_BYTES_READY)
        catalog = await Catalog.open(
            database,
            now_ns=self._now_ns,
            entropy=os.urandom,
            boot_id=boot_id(os.urandom),
            bounds=catalog_bounds(self._settings),
        )
        stack.push_async_callback(catalog.close)
        self._engine = engine = self._make_engine(catalog, executor)
        await engine.start()
        seeing = make_sight(
            catalog=catalog, engine=engine, executor=executor, mounts=self._looks.troubles, clock_s=time.monotonic
        )
        self._health.watch(catalog, lambda: executor.movers_up, loss=database.loss)
        metrics.tell_of(
            catalog=catalog, engine=engine, executor=executor, seeing=seeing, registry=self._registry.current
        )
        keeping = {"filesets": FilesetKeeper(catalog, registry=self._registry.current, now_ns=self._now_ns).run}
        return Work(engine=engine, api=self._api(catalog, seeing), seeing=seeing, keeping=keeping)

    def _watch_roots(self) -> RootWatch:
        watch = RootWatch(
            self._home,
            registry=self._registry.current,
            entropy=os.urandom,
            is_mine=lambda file_system: not may_hang(file_system),
            note=self._looks.note,
        )
        watch.start()
        return watch

    def _make_engine(self, catalog: Catalog, executor: Executor) -> Engine:
        return Engine(
            catalog=catalog,
            executor=executor,
            registry=self._registry.current,
            open_bucket=self._open_bucket,
            options=engine_options(self._settings),
            now_ns=self._now_ns,
            jitter=random.SystemRandom().random,
        )

    def _api(self, catalog: Catalog, seeing: Seeing) -> Api:
        return create_api(
            catalog=catalog,
            seeing=seeing,
            registry=self._registry.current,
            open_bucket=self._open_bucket,
            options=api_options(self._settings, connections_max=connections_within_limit()),
            now_ns=time.time_ns,  # callers' clocks are compared with the system's own
            entropy=os.urandom,
            reasons=self._health.reasons,
            founder=HomeFounder(
                self._home,
                root=self._settings.file_system_root,
                registry=self._registry,
                now_ns=time.time_ns,
                entropy=os.urandom,
            ),
        )

    def _web(self, api: Api) -> WebServer:
        return web_server(
            api,
            certificate=beneath(self._home, self._settings.tls_certificate),
            key=beneath(self._home, self._settings.tls_key),
        )

    def _console(self, api: Api, seeing: Seeing) -> Server | None:
        """Who serves the console, where somebody may visit it."""
        if self._console_socket is None:
            return None
        return console_server(
            api,
            home=self._home,
            settings=self._settings,
            registry=self._registry.current,
            open_bucket=self._open_bucket,
            seeing=seeing,
            now_ns=time.time_ns,
            certificate=beneath(self._home, self._settings.tls_certificate),
            key=beneath(self._home, self._settings.tls_key),
            api_url=url_of(self._socket, self._scheme),
        )

    def _begin_metrics(self) -> MetricsListener:
        """Who tells metrics and health, where somebody may ask: from now on, because a migration may take minutes."""
        return MetricsListener.begun(
            self._metrics_socket, home=self._home.path, movers_wanted=self._settings.movers, health=self._health
        )

    async def _serve(
        self,
        engine: Working,
        web: WebServer,
        beside: Mapping[str, tuple[Server | None, socket.socket | None]],
        looks: Mapping[str, Callable[[], Coroutine[Any, Any, None]]],
        metrics: MetricsListener,
    ) -> None:
        """From the ready line to the last part's end. Raises ServiceEndedError when a part ended unasked."""
        parts = {
            asyncio.create_task(engine.run(), name="engine"),
            asyncio.create_task(web.serve(sockets=[self._socket]), name="API"),
            asyncio.create_task(self._registry.run(), name="registry"),
            asyncio.create_task(self._watch_home(), name="look at HOME"),
            *(asyncio.create_task(run(), name=f"look at {what}") for what, run in looks.items()),
            asyncio.create_task(self._watch_emulator(), name="embedded bucket server"),
        }
        for name, (server, sock) in beside.items():
            if server is not None and sock is not None:
                parts.add(asyncio.create_task(server.serve(sockets=[sock]), name=name))
        if metrics.task is not None:
            parts.add(metrics.task)
        signals = asyncio.create_task(self._stopping.wait(), name="signals")
        ready = asyncio.create_task(self._ready(web), name="ready line")
        ended, _ = await asyncio.wait({signals, ready, *parts}, return_when=asyncio.FIRST_COMPLETED)
        if ended == {ready} and ready.exception() is None:
            ended, _ = await asyncio.wait({signals, *parts}, return_when=asyncio.FIRST_COMPLETED)
        self._health.stage = Stage.DRAINING
        withdraw_addresses(self._home)
        for server in filter(None, (web, *(server for server, _ in beside.values()))):
            server.should_exit = True
        await self._bring_down(engine, parts | {signals, ready}, metrics)
        unasked = [_why(part) for part in ended - {signals} if part is not ready or part.exception() is not None]
        if unasked:
            raise ServiceEndedError(f"{'; '.join(unasked)}. The service ends; start it again")

    async def _bring_down(self, engine: Working, parts: set[asyncio.Task[Any]], metrics: MetricsListener) -> None:
        """Drains the engine while the API ends, then cancels what never ends by itself."""
        telemetry.event("service.stopping")
        await engine.drain(deadline_s=self._settings.drain_s)
        await metrics.end()  # until now it was told how the drain goes on
        for part in parts:
            if part.get_name() not in {"engine", "API", "metrics", "console"}:
                part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        telemetry.event("service.stopped")

    async def _ready(self, web: WebServer) -> None:
        await web.accepting.wait()
        _collect_rarely()
        self._health.stage = Stage.SERVING
        addresses = self._publish()
        try:
            sys.stdout.write(self._ready_line(addresses) + "\n")
            sys.stdout.flush()
        except OSError as error:
            raise SettingsError(f"stdout cannot be written to ({error.strerror})") from error

    def _ready_line(self, addresses: Addresses) -> str:
        return addresses.ready_line()

    def _publish(self) -> Addresses:
        scheme = self._scheme
        local_ca = scheme == "https" and self._home.ca_file.exists()
        addresses = Addresses(
            api=url_of(self._socket, scheme),
            console=url_of(self._console_socket, scheme) if self._console_socket is not None else None,
            oss=self._emulator.url if self._emulator else None,
            ca_file=os.fspath(self._home.ca_file) if local_ca else "",
            pid=os.getpid(),
            metrics=url_of(self._metrics_socket) + METRICS_PATH if self._metrics_socket is not None else None,
            version=__version__,
        )
        publish_addresses(self._home, addresses)
        return addresses

    @property
    def _scheme(self) -> str:
        return "https" if self._settings.tls_certificate else "http"

    async def _watch_home(self) -> None:
        """Ends this process as SIGKILL would, should its HOME's path lead to another HOME.

        Nothing may be brought to an end in order then: what is opened or removed by its path would be the other one's.
        """
        while True:
            await asyncio.sleep(HOME_LOOK_S)
            if self._held.is_elsewhere():
                break
        telemetry.event(
            "service.home_replaced",
            level=telemetry.Level.ERROR,
            home=os.fspath(self._home.path),
            advice="this HOME was moved and another put in its place: serve it where it is now",
        )
        os._exit(EXIT_REPLACED)

    # ------------------------------------------------------------------------------------------------- the embedded bucket

    async def _start_emulator(self) -> None:
        sock = listen(self._settings.listen, self._emulator_port, setting="emulator_port", option="--emulator-port")
        emulator = EmulatorProcess(self._home, sock, region=self._settings.region, clock_s=time.monotonic)
        try:
            await emulator.start()
        except BaseException:
            sock.close()
            raise
        self._emulator = emulator
        self._registry.emulator_at(emulator.url)

    async def _watch_emulator(self) -> None:
        """Brings it up when the first embedded bucket is added to a running service, and keeps it up."""
        while self._emulator is None:
            await self._emulator_wanted.wait()
            try:
                await self._start_emulator()
                self._publish()
            except SettingsError as error:  # a taken port is no reason to end everything else
                telemetry.failure("emulator.not_started", error)
                await asyncio.sleep(EMULATOR_AGAIN_S)
        await self._emulator.watch()

    async def _stop_emulator(self) -> None:
        if self._emulator is not None:
            await self._emulator.stop()
            self._emulator.close()

    # -------------------------------------------------------------------------------------------------------- the registry

    def _registry_changed(self) -> None:
        if self._registry.wants_emulator():
            self._emulator_wanted.set()
        if self._engine is not None:
            self._engine.registry_changed()

    def _open_bucket(self, bucket: Bucket) -> Store:
        return open_store(bucket, self._keychain.of(bucket))


def _metrics_socket(settings: Settings) -> socket.socket | None:
    """Where metrics are told, if anywhere. Raises SettingsError."""
    if not settings.metrics_listen:
        return None
    host, port = host_and_port(settings.metrics_listen)
    return listen(host, port, setting="metrics_listen", option="")


def _collect_rarely() -> None:
    """Have the collector look for cycles seldom, and never among what lives as long as the service.

    Looking through what was imported and made by now would hold up whoever waits for tens of milliseconds each time. Calls and
    files make many objects and few cycles: nearly all of them go when nobody refers to them any more.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _warn_of_open_ears(sock: socket.socket, settings: Settings) -> None:
    """Beyond this machine, what is signed can be read by whoever listens in, unless it is TLS."""
    address = str(sock.getsockname()[0])
    if settings.tls_certificate or ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        return
    telemetry.event(
        "service.not_encrypted",
        level=telemetry.Level.WARNING,
        listen=address,
        advice="set tls_certificate and tls_key in penstock.toml, or listen on 127.0.0.1",
    )


def _why(part: asyncio.Task[Any]) -> str:
    """What a part that ended has to say."""
    error = None if part.cancelled() else part.exception()
    if error is None:
        return f"the {part.get_name()} ended"
    if not isinstance(error, PenstockError):
        logging.getLogger("penstock").error("the %s failed", part.get_name(), exc_info=error)
    return f"the {part.get_name()} failed: {error}"
