"""The process in which the embedded bucket server runs: how to start it, and how to start it for a moment.

The listening socket is made here and handed down, so that a restart keeps the port. No secret is on its command line; it
reads the keys from HOME. It ends with the process that started it, whatever end that takes.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator

from penstock.errors import SettingsError
from penstock.settings.home import Home

READY_S = 30.0
END_S = 12.0
BACKLOG = 512
CLOSE, OPEN = b"close\n", b"open\n"
"""What its parent may say to it."""


def listen(host: str, port: int, *, setting: str, option: str) -> socket.socket:
    """A listening socket. Raises SettingsError that says how to choose another port: by `option`, by `setting` ("": not so)."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        ways = [f"{option} N (0 = any free one)"] * bool(option) + [f"{setting} in penstock.toml"] * bool(setting)
        words = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        raise SettingsError(
            f"cannot listen on {host} port {port} ({words}). Is another service there? "
            f"Choose another port with {' or '.join(ways)}"
        ) from error


def url_of(sock: socket.socket, scheme: str = "http") -> str:
    """The URL at which a listening socket is reached from this machine."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def host_and_port(listen: str) -> tuple[str, int]:
    """`host:port` or `[IPv6]:port`, as the settings allow it, taken apart."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def child_command(home: Home, sock: socket.socket, region: str) -> list[str]:
    """What to start; the socket's descriptor has to be passed on, stdin is the watchdog's pipe, stdout tells when it answers."""
    program = [sys.executable, "-P", "-m", "penstock.start", "penstock.app.emulator_child"]
    return [*program, os.fspath(home.path), str(sock.fileno()), str(os.getpid()), region]


@contextlib.contextmanager
def momentary_emulator(home: Home, region: str) -> Iterator[str]:
    """The embedded bucket server on a free port of loopback, for as long as the context lasts; yields its URL.

    Raises SettingsError when it does not start (or another process serves these buckets).
    """
    with listen("127.0.0.1", 0, setting="emulator_port", option="--emulator-port") as sock:
        child = subprocess.Popen(
            child_command(home, sock, region),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(sock.fileno(),),
            start_new_session=True,
        )
        try:
            _await_ready(child)
            yield url_of(sock)
        finally:
            child.terminate()
            try:
                child.wait(END_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()


def _await_ready(child: subprocess.Popen[bytes]) -> None:
    assert child.stdout is not None
    readable, _, _ = select.select([child.stdout], [], [], READY_S)
    if not readable or not child.stdout.readline():
        raise SettingsError("the embedded bucket server did not start; the lines above say why")
