"""A lean client: calls signed beforehand, each with a nonce of its own, sent over kept connections, each answer timed.

So that what is measured is the service and not its client. One thread, no SDK.
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from penstock.client import ClientOptions, Parameter, canonical_query, flatten, form_body, signed_headers

CHUNK_BYTES = 256 << 10
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class RefusedError(Exception):
    """The service answered something else than 200."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What came of many calls: how long all of them took, and each."""

    wall_s: float
    latencies_s: Sequence[float]

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies_s) / self.wall_s

    def quantile_s(self, share: float) -> float:
        """The latency that so many do not exceed."""
        return quantile(self.latencies_s, share)


def quantile(values: Sequence[float], share: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def signed(
    options: ClientOptions,
    action: str,
    parameters: Mapping[str, Parameter | None],
    *,
    form: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """One call as it goes over the wire; `form` is its body."""
    query = canonical_query(flatten(parameters))
    body = form_body(form)
    headers = signed_headers(
        options,
        host=urlsplit(options.endpoint).netloc,
        action=action,
        query=query,
        body=body,
        now_s=time.time(),
        nonce=os.urandom(16).hex(),
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /?{query} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


class Line:
    """One kept connection: at most one call is under way."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, timeout=60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begun_s = 0.0
        self._data = b""

    def ask(self, call: bytes) -> None:
        """Send one."""
        self._data = b""
        self.begun_s = time.perf_counter()
        self.sock.sendall(call)

    def answered(self) -> bool:
        """Take in what has come; whether that was the rest of the answer. Raises RefusedError."""
        more = self.sock.recv(CHUNK_BYTES)
        if not more:
            raise RefusedError("the service closed the connection")
        self._data += more
        end = self._data.find(_END)
        if end < 0:
            return False
        head = self._data[:end].lower()
        at = head.find(_LENGTH)
        length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
        if len(self._data) < end + 4 + length:
            return False
        if not head.startswith(b"http/1.1 200"):
            raise RefusedError(self._data[:600].decode("utf-8", "replace"))
        return True

    def call(self, call: bytes) -> dict[str, Any]:
        """Send one and wait for its answer. Raises RefusedError."""
        self.ask(call)
        while not self.answered():
            pass
        found: dict[str, Any] = json.loads(self._data.partition(_END)[2])
        return found


def line_to(endpoint: str) -> Line:
    """A connection of its own."""
    url = urlsplit(endpoint)
    return Line((url.hostname or "", url.port or 80))


def ask_all(
    endpoint: str, calls: Iterable[bytes], *, connections: int, alive: Callable[[], None] = lambda: None
) -> Answers:
    """Sends all calls, `connections` at a time. Raises RefusedError at the first that is not answered with 200.

    `alive` is called now and then and may raise.
    """
    waiting = iter(calls)
    latencies: list[float] = []
    lines: dict[int, Line] = {}
    poll = select.epoll()
    try:
        begun = time.perf_counter()
        for _ in range(connections):
            call = next(waiting, None)
            if call is None:
                break
            line = line_to(endpoint)
            lines[line.sock.fileno()] = line
            poll.register(line.sock.fileno(), select.EPOLLIN)
            line.ask(call)
        while lines:
            ready = poll.poll(30)
            if not ready:
                raise RefusedError("no answer within 30 s")
            alive()
            for number, _ in ready:
                line = lines[number]
                if not line.answered():
                    continue
                latencies.append(time.perf_counter() - line.begun_s)
                call = next(waiting, None)
                if call is None:
                    poll.unregister(number)
                    lines.pop(number).sock.close()
                else:
                    line.ask(call)
        return Answers(wall_s=time.perf_counter() - begun, latencies_s=latencies)
    finally:
        for line in lines.values():
            line.sock.close()
        poll.close()
