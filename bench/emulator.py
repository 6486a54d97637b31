"""`python -m bench.emulator`: how quick the emulator is, beside moto's S3 server, for put and get of 4 KiB and of 64 MiB.

One client for both, bare HTTP on one kept connection; rounds take turns, and medians are compared. The emulator checks signatures
and syncs what it acknowledges, moto checks nothing and keeps all in memory: that is told, not levelled. Needs the test tools.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures.emulator import start_emulator
from tests.fixtures.moto import start_moto
from tests.protocol.emulator.wire import signed, target

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "emulator.md"
BEGIN = "<!-- written by make bench-emulator: begin -->"
END = "<!-- written by make bench-emulator: end -->"
SIZES = {"4 KiB": (4 << 10, 200), "64 MiB": (64 << 20, 3)}
ROUNDS = 5
TIMEOUT_S = 300
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One contestant: `headers_of(method, key)` makes a request's headers."""

    name: str
    bucket: str
    connection: http.client.HTTPConnection
    headers_of: Callable[[str, str], dict[str, str]]

    def ask(self, method: str, key: str, body: bytes | None) -> int:
        """One request; the answer is the length of what came back. Raises RuntimeError."""
        headers = self.headers_of(method, key)
        self.connection.request(method, target(self.bucket, key), body=body, headers=headers)
        answer = self.connection.getresponse()
        length = len(answer.read())
        if answer.status != 200:
            raise RuntimeError(f"{self.name} answered {method} with {answer.status}")
        return length


def measure(server: Server, method: str, body: bytes, count: int) -> float:
    """Requests a second, over `count` of them on keys of their own."""
    begun = time.perf_counter()
    for number in range(count):
        length = server.ask(method, f"{len(body)}/{number}", body if method == "PUT" else None)
        if method == "GET" and length != len(body):
            raise RuntimeError(f"{server.name} answered {length} bytes of {len(body)}")
    return count / (time.perf_counter() - begun)


def contest(servers: list[Server], rounds: int) -> list[str]:
    """The table's rows: medians of rounds in turn, and the ratio of the first server to the second."""
    rows = []
    for size, (size_bytes, count) in SIZES.items():
        body = os.urandom(size_bytes)
        for method in ("PUT", "GET"):
            rates: dict[str, list[float]] = {server.name: [] for server in servers}
            for number in range(rounds + 1):
                for server in servers if number % 2 else reversed(servers):
                    rate = measure(server, method, body, count)
                    if number:  # the first round warms up
                        rates[server.name].append(rate)
            ours, theirs = (statistics.median(rates[server.name]) for server in servers)
            rows.append(
                f"| {method} {size} | {told(ours, size_bytes)} | {told(theirs, size_bytes)} | {ours / theirs:.2f} |"
            )
            sys.stderr.write(f"{rows[-1]}\n")
    return rows


def told(rate: float, size_bytes: int) -> str:
    """A rate in the unit that fits its size."""
    return f"{rate * size_bytes / MIB:,.0f} MiB/s" if size_bytes >= MIB else f"{rate:,.0f} /s"


def main(words: list[str]) -> int:
    """Measure; with --page write the table into the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.emulator", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--page", action="store_true", help="write the table into docs/emulator.md")
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="bench-emulator-") as name:
        emulator, moto = start_emulator(Path(name) / "root"), start_moto(Path(name))
        try:
            bucket = emulator.bucket()
            ours = Server(
                name="emulator",
                bucket=bucket,
                connection=_connected(emulator.endpoint),
                headers_of=lambda method, key: signed(emulator, method, bucket, key),
            )
            scope = f"{moto.access_key_id}/20260101/{moto.region}/s3/aws4_request"
            claimed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
            theirs = Server(
                name="moto",
                bucket=moto.make_bucket(),
                connection=_connected(moto.endpoint),
                headers_of=lambda *_: claimed,  # it looks whether there is one, and no further
            )
            rows = contest([ours, theirs], asked.rounds)
        finally:
            moto.stop()
            emulator.stop()
    table = ["| | emulator | moto | emulator / moto |", "|---|---|---|---|", *rows]
    sys.stdout.write("\n".join(table) + "\n")
    if asked.page:
        head, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n" + "\n".join(table) + f"\n{END}{rest.partition(END)[2]}")
    return 0


def _connected(endpoint: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=TIMEOUT_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
