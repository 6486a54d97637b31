"""One connection to a store: bytes out, bytes in through a buffer of its own, and a time limit on every step.

Calls sockets and ssl. Knows nothing of HTTP; raises OSError (TimeoutError among them) as the network gives it.

A plain socket blocks in the kernel (`SO_RCVTIMEO`), so that an answer costs one system call: a socket with Python's timeout
asks `poll` before every single one. TLS has Python's timeout, since the ssl module would read on and on.
"""

from __future__ import annotations

import codecs
import contextlib
import math
import select
import socket
import ssl
import struct
from collections.abc import Callable, Iterator

from penstock.stores.pacer import Weight
from penstock.stores.tunnel import through

BUFFER_BYTES = 16 * 1024
"""Holds a head and the body of a small object, which then come by one system call."""
BUFFER_MAX_BYTES = 64 * 1024
"""The buffer grows up to this for a head that is longer."""
READ_MAX_BYTES = 512 * 1024
"""One read takes at most this, so that a slow body gives control back often enough for a stop to be seen."""
TLS_SEND_MAX_BYTES = 64 * 1024
"""One send over TLS has to be through within its time limit, however slow the line."""
GATHER_MAX = 64
TIMEOUT_MIN_S = 0.001
HEED_EVERY_S = 0.25
"""So often who waits here looks whether it should wait no longer."""

codecs.lookup("idna")
# Resolving a name loads this when it is needed first; without memory or descriptors at that moment it would be missing for good.


class HaltedError(Exception):
    """Whoever waited is to wait no longer."""


class Line:
    """One plain connection. `start` and `end` bound what lies unread in `buffer`; `used_s` is when it was last used.

    `answered` is the request id of the last answer that came here, "" before the first.

    `patience_s` is how long one read blocks by itself; a read may be given more time or less. For one thread at a time.
    While `stops` is set, whoever waits asks it now and then, and raises HaltedError once it is so.
    """

    __slots__ = (
        "_patience_s", "_poller", "_sock", "_view", "answered", "buffer", "end", "start", "stops", "used_s", "weight",
    )  # fmt: skip

    _sock: socket.socket

    def __init__(self, sock: socket.socket, *, patience_s: float) -> None:
        self._sock = sock
        self._patience_s = max(patience_s, TIMEOUT_MIN_S)
        self._poller = select.poll()  # kept: making one for each look costs more than the look
        self._poller.register(sock, select.POLLIN)
        self.buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self.buffer)
        self.start = 0
        self.end = 0
        self.used_s = 0.0
        self.answered = ""
        self.stops: Callable[[], bool] | None = None
        self.weight = Weight.WHOLE  # of the request under way
        self._prepare()

    def _prepare(self) -> None:
        self._sock.settimeout(None)
        microseconds = math.ceil(self._patience_s * 1_000_000)
        timeval = struct.pack("@ll", *divmod(microseconds, 1_000_000))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)

    # ---------------------------------------------------------------------------------------------------------- reading

    def receive(self, view: memoryview, wait_s: float) -> int:
        """Read what is there into `view`; 0 when the peer has closed. Raises TimeoutError, OSError."""
        if wait_s < self._patience_s and not self.is_readable(wait_s):
            raise TimeoutError
        try:
            return self._sock.recv_into(view)
        except BlockingIOError:
            for slice_s in self._slices(wait_s - self._patience_s):
                if self.is_readable(slice_s):
                    return self._sock.recv_into(view)
            raise TimeoutError from None

    def _slices(self, wait_s: float) -> Iterator[float]:
        """A wait, cut so that a stop is heard in between. Raises HaltedError."""
        if self.stops is None:
            yield wait_s
            return
        while True:
            if self.stops():
                raise HaltedError
            yield min(wait_s, HEED_EVERY_S)
            wait_s -= HEED_EVERY_S
            if wait_s <= 0:
                return

    def read(self, view: memoryview, wait_s: float) -> int:
        """What lies in the buffer, else what comes; 0 when the peer has closed. Raises TimeoutError, OSError."""
        there = self.end - self.start
        if there == 0:
            return self.receive(view[:READ_MAX_BYTES], wait_s)
        count = min(there, len(view))
        view[:count] = self._view[self.start : self.start + count]
        self.start += count
        return count

    def fill(self, wait_s: float) -> int:
        """Read more into the buffer; 0 when the peer has closed. The buffer must not be full (`make_room`)."""
        count = self.receive(self._view[self.end :], wait_s)
        self.end += count
        return count

    def take_in(self) -> bool:
        """Read into the buffer what has come, without waiting. False when no more can come: it is full, or the peer has closed.

        What broke a connection is told by the next read: as the peer's closing.
        """
        if not self.make_room():
            return False
        try:
            count = self._sock.recv_into(self._view[self.end :], 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.end += count
        return count > 0

    def has_come(self) -> bool:
        """Whether the next read will not wait, now that this is readable. Under TLS part of a record may have come."""
        return True

    def make_room(self) -> bool:
        """Make sure that `fill` can read something. False when all the buffer may ever hold lies there unread."""
        if self.start:
            there = self.end - self.start
            self.buffer[:there] = self.buffer[self.start : self.end]
            self.start, self.end = 0, there
        if self.end < len(self.buffer):
            return True
        if len(self.buffer) >= BUFFER_MAX_BYTES:
            return False
        self._view.release()
        self.buffer = self.buffer + bytes(BUFFER_MAX_BYTES - len(self.buffer))
        self._view = memoryview(self.buffer)
        return True

    def is_readable(self, wait_s: float) -> bool:
        """Whether something can be read, be it the peer's closing, within that time."""
        return bool(self._poller.poll(max(wait_s, 0.0) * 1000))

    def fileno(self) -> int:
        """What becomes readable when more comes; -1 while something that has come lies unread."""
        return self.descriptor if self.is_drained else -1

    @property
    def descriptor(self) -> int:
        """The socket's."""
        return self._sock.fileno()

    @property
    def is_drained(self) -> bool:
        """Whether nothing more has come than was read."""
        return self.start == self.end

    # ---------------------------------------------------------------------------------------------------------- sending

    def send(self, views: list[memoryview], wait_s: float) -> int:  # noqa: ARG002 - a plain socket takes what fits, at once
        """Send some of these bytes; 0 when none fit now. Raises OSError."""
        try:
            return self._sock.sendmsg(views[:GATHER_MAX], (), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def wait_to_send(self, wait_s: float) -> bool:
        """Wait until the peer takes more or speaks; True when it speaks. Raises TimeoutError."""
        poller = select.poll()
        poller.register(self._sock, select.POLLIN | select.POLLOUT)
        for slice_s in self._slices(wait_s):
            events = poller.poll(slice_s * 1000)
            if events:
                return bool(events[0][1] & select.POLLIN)
        raise TimeoutError

    # ------------------------------------------------------------------------------------------------------------- life

    def is_usable(self, now_s: float, idle_s: float) -> bool:
        """Neither too old nor readable: an idle connection that has something to say is closed or out of step."""
        return now_s - self.used_s <= idle_s and not self._poller.poll(0)

    def close(self) -> None:
        """Close it. Idempotent."""
        with contextlib.suppress(OSError):
            self._sock.close()


class TlsLine(Line):
    """One connection under TLS. Whether the peer speaks while a body is sent is not asked: a session ticket speaks too."""

    __slots__ = ("_timeout_s",)

    _sock: ssl.SSLSocket

    def _prepare(self) -> None:
        self._timeout_s = 0.0

    def receive(self, view: memoryview, wait_s: float) -> int:
        for slice_s in self._slices(wait_s):
            self._allow(slice_s)
            with contextlib.suppress(TimeoutError):  # what has come of a record is kept
                return self._sock.recv_into(view)
        raise TimeoutError

    def take_in(self) -> bool:
        self._sock.settimeout(0.0)
        self._timeout_s = 0.0
        try:
            while self.make_room():
                count = self._sock.recv_into(self._view[self.end :])
                self.end += count
                if count == 0 or self._sock.pending() == 0:
                    return count > 0
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except OSError:
            return False
        return False

    def has_come(self) -> bool:
        return not (self.take_in() and self.is_drained)

    @property
    def is_drained(self) -> bool:
        return self.start == self.end and self._sock.pending() == 0

    def send(self, views: list[memoryview], wait_s: float) -> int:
        piece = _first_of(views)
        for slice_s in self._slices(wait_s):
            self._allow(slice_s)
            with contextlib.suppress(TimeoutError):  # the same bytes have to be offered again
                return self._sock.send(piece)
        raise TimeoutError

    def wait_to_send(self, wait_s: float) -> bool:  # noqa: ARG002 - sending waits by itself
        return False

    def _allow(self, wait_s: float) -> None:
        wait_s = max(wait_s, TIMEOUT_MIN_S)
        if wait_s != self._timeout_s:
            self._sock.settimeout(wait_s)
            self._timeout_s = wait_s


def connect(
    address: tuple[str, int],
    tls: ssl.SSLContext | None,
    *,
    connect_s: float,
    patience_s: float,
    proxy: tuple[str, int] | None = None,
) -> Line:
    """Connect, TLS included, each of the two within `connect_s`; a proxy's tunnel for TLS has as long again.

    Without TLS a proxy is spoken to itself. Raises OSError (RefusedTunnelError among them), ValueError.
    """
    host, port = address
    near_host, near_port = proxy or address
    sock = socket.create_connection((_resolvable(near_host), near_port), timeout=connect_s)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is None:
            return Line(sock, patience_s=patience_s)
        if proxy is not None:
            through(sock, host, port, wait_s=connect_s)
        # Without its closing word (close_notify) the end of a TLS stream may be anybody's doing: that is an error then.
        sock = tls.wrap_socket(sock, server_hostname=host, suppress_ragged_eofs=False)
        return TlsLine(sock, patience_s=patience_s)
    except BaseException:
        sock.close()
        raise


def _first_of(views: list[memoryview]) -> memoryview | bytes:
    """What one send over TLS takes: a small message whole (one record instead of two), else the beginning of its first view."""
    if len(views) > 1 and sum(map(len, views)) <= TLS_SEND_MAX_BYTES:
        return b"".join(views)
    return views[0][:TLS_SEND_MAX_BYTES]


def _resolvable(host: str) -> str:
    """`*.localhost` is this machine (RFC 6761), which not every resolver knows: virtual-host style against local servers."""
    return "127.0.0.1" if host.endswith(".localhost") else host
