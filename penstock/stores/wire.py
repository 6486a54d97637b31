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
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import NoReturn, Self

from penstock.errors import StoreUnavailableError
from penstock.stores.message import Body, BodyError, after, batches, head_of, length_of
from penstock.stores.timeouts import Timeouts

READ_MAX_BYTES = 256 * 1024
"""One `readinto` takes at most this, so that a slow body gives control back often enough for a stop to be seen."""
TLS_SEND_MAX_BYTES = 64 * 1024
"""One send over TLS has to be through within its time limit, however slow the line."""
GATHER_MAX = 64
REPEATABLE = frozenset({"GET", "HEAD"})


class _StaleError(Exception):
    """The peer had closed the connection before it answered anything."""


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


class Sent:
    """One request that is on its way, and the connection on which its answer will come. For one thread.

    A GET or HEAD on a kept connection that turns out to be closed, now or when the answer is read, is sent once more, on a
    fresh one. Either `answer` or `abandon` has to be called, else the connection's place stays taken.
    """

    def __init__(self, wire: Wire, method: str, head: bytes, body: Body, *, wait_s: float) -> None:
        self._wire = wire
        self._method = method
        self._head = head
        self._body = body
        self._wait_s = wait_s
        self._connection: _Connection | None = None
        self._sent_whole = True
        kept = wire.kept()
        if kept is not None:
            try:
                self._transmit(kept)
            except _StaleError as error:
                self._check_repeatable(error)
            else:
                self._on_kept = True
                return
        self._on_kept = False
        self._transmit_anew()

    def answer(self) -> Response:
        """Wait for the head of the answer. Raises StoreUnavailableError."""
        connection, self._connection = self._connection, None
        if connection is None:
            raise StoreUnavailableError(f"the request to {self._wire.name} was given up")
        handed_over = False
        try:
            response = self._read(connection)
            handed_over = True  # the response gives the slot back
            return response
        finally:
            if not handed_over:
                self._wire.release()

    def abandon(self) -> None:
        """Give the request up and close its connection. Idempotent; does nothing once the answer was asked for."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._wire.take_back(connection, keep=False)

    def _read(self, connection: _Connection) -> Response:
        try:
            return self._response(connection)
        except _StaleError as error:
            if not self._on_kept:
                raise self._no_answer() from error
            self._check_repeatable(error)
        self._transmit_anew()
        fresh, self._connection = self._connection, None
        assert fresh is not None
        try:
            return self._response(fresh)
        except _StaleError as error:
            raise self._no_answer() from error

    def _transmit_anew(self) -> None:
        try:
            self._transmit(self._wire.connect())
        except _StaleError as error:
            raise self._no_answer() from error

    def _check_repeatable(self, error: _StaleError) -> None:
        if self._method not in REPEATABLE:
            raise self._no_answer() from error

    def _no_answer(self) -> StoreUnavailableError:
        return StoreUnavailableError(f"{self._wire.name} closed the connection without an answer")

    def _transmit(self, connection: _Connection) -> None:
        """Send the request on one connection, which is closed when that fails."""
        try:
            self._sent_whole = self._wire.transmit(connection.sock, batches(self._head, self._body))
        except BaseException as error:  # noqa: BLE001 - raised again
            connection.close()
            self._raise_mapped(error)
        self._connection = connection

    def _response(self, connection: _Connection) -> Response:
        """The head of the answer on one connection, which is closed when that fails."""
        answer = http.client.HTTPResponse(connection.sock, method=self._method)
        try:
            connection.sock.settimeout(self._wait_s)
            answer.begin()
            connection.sock.settimeout(self._wire.timeouts.read_s)
            if not self._sent_whole:
                answer.will_close = True
                if answer.status < 300:
                    raise StoreUnavailableError(f"{self._wire.name} answered {answer.status} before the body was sent")
            return Response(self._wire, connection, answer, method=self._method)
        except BaseException as error:  # noqa: BLE001 - raised again
            with contextlib.suppress(OSError, ValueError):
                answer.close()
            connection.close()
            self._raise_mapped(error)

    def _raise_mapped(self, error: BaseException) -> NoReturn:
        if isinstance(error, BodyError) and error.__cause__ is not None:
            raise error.__cause__ from None
        meaning = self._wire.meaning(error, self._wait_s)
        if meaning is None:
            raise error
        raise meaning from error


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

    def busy(self) -> StoreUnavailableError:
        """The error of a request for which no connection became free in time."""
        return StoreUnavailableError(f"all {self._connections_max} connections to {self.name} are busy")

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Body = (),
        *,
        first_byte_s: float | None = None,
        slot_s: float,
    ) -> Sent | None:
        """Send one request; any status is an answer. None when no connection is free within `slot_s` seconds.

        `headers` must hold Host; Content-Length is added. `first_byte_s` replaces the usual patience for the answer.
        Raises, here or when the answer is read, StoreUnavailableError (for anything but GET and HEAD the outcome is unknown
        then), and here IntegrityError for a streamed body that gives another number of bytes than it said, and whatever
        else a streamed body raises.
        """
        head = head_of(method, target, headers, length_of(body))
        wait_s = self.timeouts.first_byte_s if first_byte_s is None else first_byte_s
        if not self._slots.acquire(blocking=slot_s > 0, timeout=slot_s or None):
            return None
        handed_over = False
        try:
            sent = Sent(self, method, head, body, wait_s=wait_s)
            handed_over = True  # what was sent gives the slot back
            return sent
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

    def release(self) -> None:
        """For `Sent` only: its connection is closed already, its place is free."""
        self._slots.release()

    def kept(self) -> _Connection | None:
        """The most recently used connection that still looks alive."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.usable(time.monotonic(), self.timeouts.idle_s):
                return connection
            connection.close()

    def connect(self) -> _Connection:
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

    def meaning(self, error: BaseException, wait_s: float) -> Exception | None:
        """What went wrong in an exchange, in our words; None for what is not of the network."""
        if isinstance(error, http.client.RemoteDisconnected | ConnectionError):
            return _StaleError()
        if isinstance(error, TimeoutError):
            return StoreUnavailableError(f"{self.name} gave no answer within {wait_s:g} s")
        if isinstance(error, OSError | http.client.HTTPException | ValueError):
            return StoreUnavailableError(f"{self.name} gave a broken answer: {_words(error)}")
        return None

    def transmit(self, sock: socket.socket, views_of_message: Iterable[list[memoryview]]) -> bool:
        """Send all views in order, without copying. False when the peer answered, or stopped listening, before the end."""
        sock.settimeout(self.timeouts.send_s)
        first = True
        for batch in views_of_message:
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
                views = after(views, sent)
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


def _headers(answer: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value.strip() for name, value in answer.getheaders()}


def _bodiless(method: str, status: int) -> bool:
    return method == "HEAD" or status in {204, 304}


def _resolvable(host: str) -> str:
    """`*.localhost` is this machine (RFC 6761), which not every resolver knows: virtual-host style against local servers."""
    return "127.0.0.1" if host.endswith(".localhost") else host


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
