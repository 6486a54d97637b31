"""Which HTTP server costs the request path least? Run by hand, `python -m bench.http_servers`; docs/decisions/0004 has numbers.

Each candidate runs in a process of its own, with two handlers: a fixed answer, and CreateDataFlowSubTask as the API has it, over
a ledger that takes everything at the loop's next turn (so that the catalog is not what is measured). What Penstock does not
depend on comes from `.venv-bench`, where somebody has to install it first: granian, hypercorn, robyn, socketify, zttp.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.candidates import CANDIDATES
from bench.lean import Answers, RefusedError, ask_all, signed
from penstock.client import ClientOptions

CALLS = 3000
ROUNDS = 4
WARM_CALLS = 500
CONNECTIONS = 64
IDLE_CONNECTIONS = 1000
READY_S = 20.0
IDS = {"FileSystemId": "bmcpfs-1", "DataFlowId": "df-0123456789abcdef", "DataFlowTaskId": "task-0123456789abcdef"}


def main() -> None:
    """Measures all, or those named as arguments, and prints a table."""
    sys.stdout.write("| server | handler | a second | CPU µs each | p50 ms | p99 ms | MiB | KiB an idle connection |\n")
    for name in sys.argv[1:] or CANDIDATES:
        for handler in ("fixed", "create"):
            sys.stdout.write(f"| {name} | {handler} | {_row(name, handler)} |\n")
            sys.stdout.flush()


def _row(name: str, handler: str) -> str:
    try:
        with _served(name, handler) as (process, endpoint):
            calls = _calls(endpoint)
            ask_all(endpoint, calls[:WARM_CALLS], connections=CONNECTIONS)
            rounds = [
                _round(process.pid, endpoint, calls[at : at + CALLS]) for at in range(WARM_CALLS, len(calls), CALLS)
            ]
            each_us, found = min(rounds, key=lambda one: one[0])  # the round that other work disturbed least
            used_kib, idle_kib = _pss_kib(process.pid), _idle_kib(process.pid, endpoint)
    except (OSError, RuntimeError, RefusedError) as error:
        return f"{type(error).__name__}: {str(error)[:60]!r} | | | | |"
    p50, p99 = (1e3 * found.quantile_s(share) for share in (0.5, 0.99))
    return f"{found.per_second:,.0f} | {each_us:.0f} | {p50:.1f} | {p99:.1f} | {used_kib / 1024:.0f} | {idle_kib:.1f}"


def _round(process_id: int, endpoint: str, calls: list[bytes]) -> tuple[float, Answers]:
    before_s = _cpu_s(process_id)
    found = ask_all(endpoint, calls, connections=CONNECTIONS)
    return 1e6 * (_cpu_s(process_id) - before_s) / len(calls), found


def _calls(endpoint: str) -> list[bytes]:
    options = ClientOptions(endpoint=endpoint, access_key_id="id", access_key_secret="secret")  # noqa: S106  nobody's
    paths = [f"/{number:07d}" for number in range(WARM_CALLS + ROUNDS * CALLS)]
    return [
        signed(options, "CreateDataFlowSubTask", {**IDS, "SrcFilePath": path, "DstFilePath": path}) for path in paths
    ]


@contextlib.contextmanager
def _served(name: str, handler: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    packages = next((Path(__file__).parent.parent / ".venv-bench").glob("lib/python3*/site-packages"), None)
    command = [sys.executable, "-m", "bench.candidates", name, handler, str(port), os.fspath(packages or "")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(process, port)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise RuntimeError("not to be had here")


def _idle_kib(process_id: int, endpoint: str) -> float:
    host, _, port = endpoint.removeprefix("http://").partition(":")
    before = _pss_kib(process_id)
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE_CONNECTIONS):
            stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
        time.sleep(1)
        return (_pss_kib(process_id) - before) / IDLE_CONNECTIONS


def _cpu_s(process_id: int) -> float:
    threads = Path(f"/proc/{process_id}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def _pss_kib(process_id: int) -> int:
    lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
