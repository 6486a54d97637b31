"""The embedded bucket server's own process: `python -m penstock.start penstock.app.emulator_child HOME FD PARENT REGION`.

Serves HOME/emulator on the listening socket that it was given, prints one line when it answers, and dies with its parent:
by the kernel's signal, and by the end of the pipe that is its stdin. Reads the access keys from HOME, anew when they change.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette

from penstock import telemetry
from penstock.app.embedded import CLOSE, OPEN
from penstock.app.registry import Stamp, opens_buckets, stamp_of
from penstock.app.server_log import take_over_server_log
from penstock.emulator.application import create_app, serve
from penstock.errors import HomeInUseError, PenstockError
from penstock.model import BucketKind
from penstock.settings.home import Home
from penstock.settings.reading import load_registry
from penstock.stores.credentials import load_credentials

PR_SET_PDEATHSIG = 1
TURN_S = 15.0
LOOK_S = 0.02


class KeyBook:
    """The key pairs that open the bucket server: access keys with the right `oss:*`, and the service's own."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._stamp: Stamp = ()
        self._refused = ""
        self._secrets: dict[str, str] = {}

    def secret_of(self, access_key_id: str) -> str | None:
        """The secret of a key that may come in now; None for any other."""
        stamp = stamp_of(self._home)
        if stamp != self._stamp:
            self._look(stamp)
        return self._secrets.get(access_key_id)

    def _look(self, stamp: Stamp) -> None:
        """Takes the keys over; while that fails, every request tries again and the log says it once."""
        try:
            self._secrets = self._read()
        except PenstockError as error:
            if str(error) != self._refused:
                telemetry.failure("emulator.keys_kept_as_they_were", error)
            self._refused = str(error)
            return
        self._stamp, self._refused = stamp, ""

    def _read(self) -> dict[str, str]:
        registry = load_registry(self._home)
        secrets = {key.access_key_id: key.secret for key in registry.access_keys.values() if opens_buckets(key)}
        for bucket in registry.buckets.values():
            if bucket.kind is BucketKind.EMBEDDED:
                own = load_credentials(self._home.secrets_file, bucket.name)
                secrets[own.access_key_id] = own.access_key_secret
        return secrets


def die_with_parent(parent_pid: int, heard: Callable[[bytes], None]) -> None:
    """Has the kernel kill this process when its parent ends, and ends it at once if that has happened already.

    Until then `heard` is called with what comes through the pipe, in a thread of its own.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)
    threading.Thread(target=_end_with_pipe, args=(heard,), name="watchdog", daemon=True).start()


def _end_with_pipe(heard: Callable[[bytes], None]) -> None:
    while said := os.read(0, 4096):
        heard(said)
    os._exit(1)


class Exchange:
    """Closes the buckets when the parent says so (`CLOSE`), and opens them again (`OPEN`): a stand-in puts others there."""

    def __init__(self) -> None:
        self._app: Starlette | None = None
        self._may_open = threading.Event()

    def of(self, app: Starlette) -> None:
        """Whose buckets those are."""
        self._app = app

    def heard(self, said: bytes) -> None:
        """One word of the parent's, which waits for each answer."""
        if said == OPEN:
            self._may_open.set()
        elif said == CLOSE and self._app is not None:
            self._may_open.clear()
            state = self._app.state
            done = asyncio.run_coroutine_threadsafe(state.exchange(self._closed), state.loop)
            done.add_done_callback(lambda _: print("open", flush=True))

    def _closed(self) -> None:
        print("closed", flush=True)
        self._may_open.wait()


def take_turn(home: Home) -> None:
    """Holds the embedded buckets for this process, after waiting for a hand command, or a service just killed, to let go.

    Raises HomeInUseError when that takes too long.
    """
    descriptor = os.open(home.emulator_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + TURN_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise HomeInUseError(f"another process serves the buckets of {home.path}; end it first") from None
            time.sleep(LOOK_S)
        else:
            return  # the descriptor stays open: the lock is held until this process ends


def main(arguments: list[str]) -> int:
    """Serves until SIGTERM."""
    directory, descriptor, parent_pid, region = arguments
    exchange = Exchange()
    die_with_parent(int(parent_pid), exchange.heard)
    telemetry.configure(sys.stderr, form=telemetry.form_of(os.environ))
    take_over_server_log()
    home = Home(path=Path(directory))
    keys = KeyBook(home)
    app = create_app(root=home.emulator, credentials=keys.secret_of, region=region)
    exchange.of(app)
    try:
        take_turn(home)
        serve(app, sock=socket.socket(fileno=int(descriptor)), on_ready=lambda: print("ready", flush=True))
    except PenstockError as error:
        telemetry.failure("emulator.not_started", error)
        return 1
    return 0
