"""HTTP/1.1 to one host over kept-alive connections: requests out of buffers, answers into buffers.

Calls sockets, ssl and http.client's parser of answers. Never follows a redirect, never asks for a content encoding, never
signs, never tries a request twice, save one: a GET or HEAD on a kept-alive connection that turned out to be closed already.
Every step has its time limit, and whatever goes wrong is a StoreUnavailableError.
"""

from __future__ import annotations

import collections
import contextlib
import http.client
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from penstock.errors import IntegrityError, StoreRefusedError, StoreUnavailableError
from penstock.stores.base import Buffer, StreamedBody

READ_MAX_BYTES = 256 * 1024
"""One `readinto` takes at most this, so that a slow body gives control back often enough for a stop to be seen."""
TLS_SEND_MAX_BYTES = 64 * 1024
"""One send over TLS has to be through within its time limit, however slow the line."""
GATHER_MAX = 64
REPEATABLE = frozenset({"GET", "HEAD"})


Body = Sequence[Buffer] | StreamedBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds that one step may take: connecting (TLS included), one send, the first byte of an answer, one read.

    `slot_s` bounds the wait for a free connection; `idle_s` is the age at which an unused connection is no longer trusted.
    """

    connect_s: float = 5.0
    send_s: float = 30.0
    first_byte_s: float = 60.0
    read_s: float = 30.0
    slot_s: float = 60.0
    idle_s: float = 20.0


class _StaleError(Exception):
    """The peer had closed the connection before it answered anything."""


class _BodyError(Exception):
    """The body could not be read on; its cause is what its own code raised, which may look like trouble of the network."""


class _Connection:
    """One socket, and when it was last used."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.used_s = 0.0

    def usable(self, now_s: float, idle_s: float) -> bool:
        """Neither too old nor readable: an idle connection that has something to say is closed or out of step."""
        if now_s - self.used_s > idle_s:
            return False
        poller = select.poll()
        poller.register(self.sock, select.POLLIN)
        return not poller.poll(0)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()


class Response:
    """The answer to one request. Its connection goes back to the pool once the body was read to its end, else it is closed."""

    def __init__(self, wire: Wire, connection: _Connection, answer: http.client.HTTPResponse, *, method: str) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = _headers(answer)
        self._wire = wire
        self._connection: _Connection | None = connection
        self._answer = answer
        self._chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        self._length = 0 if _bodiless(method, self.status) else self._told_length()
        self._read_bytes = 0
        if self._length == 0:
            self._finish(keep=not answer.will_close)

    def _told_length(self) -> int | None:
        told = self.headers.get("content-length", "")
        if self._chunked or not told:
            return None
        if not (told.isascii() and told.isdigit()):
            raise StoreUnavailableError(f"{self._wire.name} told a Content-Length that is no number")
        return int(told)

    @property
    def length_bytes(self) -> int | None:
        """Length of the body; None when the peer did not tell it beforehand."""
        return self._length

    def readinto(self, buffer: memoryview) -> int:
        """Read what is there into `buffer`; 0 at the end of the body. Raises StoreUnavailableError when it ends early."""
        if self._connection is None or len(buffer) == 0:
            return 0
        try:
            count = self._read(buffer[:READ_MAX_BYTES])
        except TimeoutError as error:
            self._finish(keep=False)
            waited = self._wire.timeouts.read_s
            raise StoreUnavailableError(f"{self._wire.name} sent nothing of the body for {waited:g} s") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._finish(keep=False)
            raise StoreUnavailableError(f"{self._wire.name} broke off the body: {_words(error)}") from error
        self._read_bytes += count
        if count == 0:
            self._at_end()
        elif self._read_bytes == self._length:
            self._finish(keep=not self._answer.will_close)
        return count

    def _read(self, buffer: memoryview) -> int:
        if self._length is None:
            return self._answer.readinto(buffer)
        return self._answer.fp.readinto1(buffer[: self._length - self._read_bytes])

    def _at_end(self) -> None:
        if self._length is not None:
            self._finish(keep=False)
            raise StoreUnavailableError(
                f"{self._wire.name} ended the body early: {self._read_bytes} of {self._length} bytes came"
            )
        self._finish(keep=self._chunked and not self._answer.will_close)

    def read_bounded(self, max_bytes: int) -> bytes:
        """The whole body if it has at most `max_bytes`, else its beginning and the connection is closed."""
        if self._connection is None:
            return b""
        taken = bytearray()
        piece = memoryview(bytearray(min(max_bytes + 1, READ_MAX_BYTES)))
        while len(taken) <= max_bytes:
            count = self.readinto(piece)
            if count == 0:
                break
            taken += piece[:count]
        if len(taken) > max_bytes:
            self.close()
        return bytes(taken[:max_bytes])

    def close(self) -> None:
        """Give up the rest of the body. Idempotent."""
        self._finish(keep=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _finish(self, *, keep: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError, ValueError):
                self._answer.close()
            self._wire.take_back(connection, keep=keep)


class Wire:
    """All connections to one host. Thread-safe; at most `connections_max` at a time, further callers wait."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        timeouts: Timeouts,
        connections_max: int,
    ) -> None:
        self.name = f"{host}:{port}"
        self.timeouts = timeouts
        self._host = host
        self._port = port
        self._tls = tls
        self._lock = threading.Lock()
        self._idle: collections.deque[_Connection] = collections.deque()
        self._slots = threading.BoundedSemaphore(connections_max)
        self._connections_max = connections_max
        self._closed = False

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Body = (),
        *,
        first_byte_s: float | None = None,
    ) -> Response:
        """Send one request and return once the head of its answer is there; any status is an answer.

        `headers` must hold Host; Content-Length is added. `first_byte_s` replaces the usual patience for the answer.
        Raises StoreUnavailableError (for anything but GET and HEAD the outcome is unknown then), IntegrityError for a streamed
        body that gives another number of bytes than it said, and whatever else a streamed body raises.
        """
        head = _head(method, target, headers, _length(body))
        wait_s = self.timeouts.first_byte_s if first_byte_s is None else first_byte_s
        if not self._slots.acquire(timeout=self.timeouts.slot_s):
            raise StoreUnavailableError(f"all {self._connections_max} connections to {self.name} are busy")
        handed_over = False
        try:
            response = self._attempts(method, head, body, wait_s)
            handed_over = True  # the response gives the slot back
            return response
        finally:
            if not handed_over:
                self._slots.release()

    def close(self) -> None:
        """Close unused connections now, and those in use when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, collections.deque()
        for connection in idle:
            connection.close()

    def take_back(self, connection: _Connection, *, keep: bool) -> None:
        """For `Response` only: the connection is free again (or not to be used any more)."""
        connection.used_s = time.monotonic()
        dropped = []
        with self._lock:
            if keep and not self._closed:
                self._idle.append(connection)
            else:
                dropped.append(connection)
            while self._idle and connection.used_s - self._idle[0].used_s > self.timeouts.idle_s:
                dropped.append(self._idle.popleft())
        for each in dropped:
            each.close()
        self._slots.release()

    def _attempts(self, method: str, head: bytes, body: Body, wait_s: float) -> Response:
        kept = self._kept()
        if kept is not None:
            try:
                return self._exchange(kept, method, head, body, wait_s)
            except _StaleError as error:
                if method not in REPEATABLE:
                    raise StoreUnavailableError(f"{self.name} closed the connection without an answer") from error
        try:
            return self._exchange(self._connect(), method, head, body, wait_s)
        except _StaleError as error:
            raise StoreUnavailableError(f"{self.name} closed the connection without an answer") from error

    def _kept(self) -> _Connection | None:
        """The most recently used connection that still looks alive."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.usable(time.monotonic(), self.timeouts.idle_s):
                return connection
            connection.close()

    def _connect(self) -> _Connection:
        sock: socket.socket | None = None
        try:
            sock = socket.create_connection((_resolvable(self._host), self._port), timeout=self.timeouts.connect_s)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_hostname=self._host)
            return _Connection(sock)
        except (OSError, ValueError) as error:
            if sock is not None:
                sock.close()
            raise self._no_connection(error) from error

    def _no_connection(self, error: Exception) -> StoreUnavailableError:
        if isinstance(error, ssl.SSLCertVerificationError):
            return StoreUnavailableError(
                f"the certificate of {self.name} is not trusted ({error.verify_message}): "
                "name the file of its CA in the bucket's ca_file"
            )
        if isinstance(error, ssl.SSLError):
            return StoreUnavailableError(
                f"no TLS with {self.name} ({_words(error)}): check the endpoint's scheme and port, and the bucket's ca_file"
            )
        if isinstance(error, TimeoutError):
            return StoreUnavailableError(f"no connection to {self.name} within {self.timeouts.connect_s:g} s")
        return StoreUnavailableError(f"no connection to {self.name}: {_words(error)}")

    def _exchange(self, connection: _Connection, method: str, head: bytes, body: Body, wait_s: float) -> Response:
        """One request and the head of its answer on one connection, which is closed when that fails."""
        answer = http.client.HTTPResponse(connection.sock, method=method)
        try:
            sent_whole = self._send(connection.sock, _batches(head, body))
            connection.sock.settimeout(wait_s)
            answer.begin()
            connection.sock.settimeout(self.timeouts.read_s)
            if not sent_whole:
                answer.will_close = True
                if answer.status < 300:
                    raise StoreUnavailableError(f"{self.name} answered {answer.status} before the body was sent")
            return Response(self, connection, answer, method=method)
        except BaseException as error:
            with contextlib.suppress(OSError, ValueError):
                answer.close()
            connection.close()
            if isinstance(error, _BodyError) and error.__cause__ is not None:
                raise error.__cause__ from None
            meaning = self._meaning(error, wait_s)
            if meaning is None:
                raise
            raise meaning from error

    def _meaning(self, error: BaseException, wait_s: float) -> Exception | None:
        """What went wrong in an exchange, in our words; None for what is not of the network."""
        if isinstance(error, http.client.RemoteDisconnected | ConnectionError):
            return _StaleError()
        if isinstance(error, TimeoutError):
            return StoreUnavailableError(f"{self.name} gave no answer within {wait_s:g} s")
        if isinstance(error, OSError | http.client.HTTPException | ValueError):
            return StoreUnavailableError(f"{self.name} gave a broken answer: {_words(error)}")
        return None

    def _send(self, sock: socket.socket, batches: Iterable[list[memoryview]]) -> bool:
        """Send all views in order, without copying. False when the peer answered, or stopped listening, before the end."""
        sock.settimeout(self.timeouts.send_s)
        first = True
        for batch in batches:
            views = batch
            while views:
                if not first and self._tls is None and self._answers_early(sock):
                    return False
                try:
                    sent = sock.send(views[0][:TLS_SEND_MAX_BYTES]) if self._tls else sock.sendmsg(views[:GATHER_MAX])
                except TimeoutError as error:
                    raise self._stuck() from error
                except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
                    if first:
                        raise
                    return False  # it may have said why before it closed: the answer is read next
                first = False
                views = _after(views, sent)
        return True

    def _answers_early(self, sock: socket.socket) -> bool:
        """Wait until the socket takes more or the peer speaks; over TLS not asked (a session ticket is readable too)."""
        poller = select.poll()
        poller.register(sock, select.POLLIN | select.POLLOUT)
        events = poller.poll(self.timeouts.send_s * 1000)
        if not events:
            raise self._stuck()
        return bool(events[0][1] & select.POLLIN)

    def _stuck(self) -> StoreUnavailableError:
        return StoreUnavailableError(f"{self.name} took nothing of the body for {self.timeouts.send_s:g} s")


def _length(body: Body) -> int:
    if isinstance(body, Sequence):
        return sum(memoryview(part).nbytes for part in body)
    return body.length_bytes


def _batches(head: bytes, body: Body) -> Iterator[list[memoryview]]:
    """The whole message: what is in memory at once, what is streamed piece by piece."""
    if isinstance(body, Sequence):
        yield [memoryview(head), *(view for view in (memoryview(part).cast("B") for part in body) if len(view))]
        return
    yield [memoryview(head)]
    left = body.length_bytes
    for piece in _pieces(body):
        left -= len(piece)
        if left < 0:
            break
        if len(piece):
            yield [piece]
    if left:
        raise IntegrityError(f"the body of {body.length_bytes} bytes gave another number of bytes when it was sent")


def _pieces(body: StreamedBody) -> Iterator[memoryview]:
    """The pieces of a streamed body; what its own code raises is told apart from what the network raises."""
    pieces = iter(body)
    while True:
        try:
            piece = next(pieces)
        except StopIteration:
            return
        except Exception as error:
            raise _BodyError from error
        yield piece


def _after(views: list[memoryview], sent: int) -> list[memoryview]:
    """What is left of `views` once `sent` bytes of them are gone."""
    for index, view in enumerate(views):
        if sent < len(view):
            return [view[sent:], *views[index + 1 :]]
        sent -= len(view)
    return []


def _head(method: str, target: str, headers: Mapping[str, str], length: int) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if length or method in {"PUT", "POST"}:
        lines.append(f"content-length: {length}")
    for line in lines:
        if not line.isascii() or not line.isprintable():
            # The value may be a secret (a security token with a line break at its end): only its name is told.
            raise StoreRefusedError(f"the header {line.partition(':')[0]!r} can only carry printable ASCII characters")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _headers(answer: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value.strip() for name, value in answer.getheaders()}


def _bodiless(method: str, status: int) -> bool:
    return method == "HEAD" or status in {204, 304}


def _resolvable(host: str) -> str:
    """`*.localhost` is this machine (RFC 6761), which not every resolver knows: virtual-host style against local servers."""
    return "127.0.0.1" if host.endswith(".localhost") else host


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
