"""The answer to one request, once its head is here: its body, read into buffers, and what becomes of its connection.

Calls `body` and `line`; gives the connection back to whoever owns it. Never waits longer than the owner's timeouts say.
"""

from __future__ import annotations

import contextlib
import time
from types import TracebackType
from typing import Protocol, Self

from penstock.errors import StoreUnavailableError
from penstock.stores import troubles
from penstock.stores.body import body_of
from penstock.stores.head import Framing, Head
from penstock.stores.line import READ_MAX_BYTES, Line
from penstock.stores.tempo import Tempo
from penstock.stores.timeouts import Timeouts

END_WAIT_S = 0.1
"""The end of the chunks comes with the last of them, or right behind. A new connection takes about as long."""
_UNTIMED = Tempo(Timeouts())


class Owner(Protocol):
    """Whose connection it is."""

    name: str
    timeouts: Timeouts

    def take_back(self, line: Line) -> None:
        """The connection may be used again, and its place is free."""
        ...

    def drop(self, line: Line) -> None:
        """The connection is to be closed, and its place is free."""
        ...


class Response:
    """The answer to one request. Its connection goes back to the pool once the body was read to its end, else it is closed."""

    __slots__ = ("_body", "_head", "_line", "_read_s", "_reusable", "_tempo", "_wire", "headers", "status")

    def __init__(self, wire: Owner, line: Line, head: Head, *, reusable: bool, waits: bool) -> None:
        self.status = head.status
        self.headers = head.headers
        self._wire = wire
        self._head = head
        self._line: Line | None = line
        self._body = body_of(head)
        self._reusable = reusable and head.reusable
        self._read_s = wire.timeouts.read_s if waits else 0.0  # for a body that is read whole
        self._tempo: Tempo | None = None
        if self._body.ended:
            self._finish()

    @property
    def length_bytes(self) -> int | None:
        """Length of the body; None when the peer did not tell it beforehand."""
        return None if self._head.framing in {Framing.CHUNKS, Framing.CLOSE} else self._head.length_bytes

    def fileno(self) -> int:
        """What becomes readable when more of the body comes; -1 where something lies here already, or nothing will come."""
        # Nor for chunks: what comes may be a piece of their frame only, and a read would wait for the rest of it.
        return -1 if self._line is None or self._head.framing is Framing.CHUNKS else self._line.fileno()

    def is_there(self) -> bool:
        """Whether `readinto` will not wait, now that this is readable."""
        return self._line is None or self._line.has_come()

    def readinto(self, buffer: memoryview) -> int:
        """Read what is there into `buffer`; 0 at the end of the body. Raises StoreUnavailableError when it ends early."""
        if self._tempo is None:
            self._tempo = _UNTIMED  # the first read, mostly the only one
            return self._read(buffer, self._wire.timeouts.read_s)
        if self._tempo is _UNTIMED:
            self._tempo = Tempo(self._wire.timeouts)
        began_s = time.monotonic()
        count = self._read(buffer, self._wire.timeouts.read_s)
        if self._tempo.is_too_slow(count, time.monotonic() - began_s) and self._line is not None:
            self.close()
            least = f"{self._wire.timeouts.slow_bytes} bytes in {self._wire.timeouts.slow_s:g} s"
            raise StoreUnavailableError(f"{self._wire.name} sent less of the body than {least}")
        return count

    def read_bounded(self, max_bytes: int) -> bytes:
        """The whole body if it has at most `max_bytes`, else its beginning and the connection is closed.

        Raises StoreUnavailableError, also when it is not whole within `Timeouts.document_s`.
        """
        if self._line is None:
            return b""
        deadline_s = time.monotonic() + self._wire.timeouts.document_s
        taken = bytearray()
        piece = memoryview(bytearray(min(max_bytes + 1, self.length_bytes or READ_MAX_BYTES, READ_MAX_BYTES)))
        while len(taken) <= max_bytes:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                self.close()
                raise StoreUnavailableError(f"{self._wire.name} did not bring its answer to an end in time")
            count = self._read(piece, min(self._read_s, left_s))
            if count == 0:
                break
            taken += piece[:count]
        if len(taken) > max_bytes:
            self.close()
        return bytes(taken[:max_bytes])

    def end(self) -> None:
        """All that is wanted of the body was read: read the end of its chunks, too, so that the connection can be used again.

        Whatever else comes, or nothing in `END_WAIT_S`, closes the connection. Raises nothing of that: all bytes are there.
        """
        if self._line is None:
            return
        if self._reusable and self._head.framing is Framing.CHUNKS:
            with contextlib.suppress(StoreUnavailableError):
                self._read(memoryview(bytearray(1)), END_WAIT_S)
        self.close()

    def close(self) -> None:
        """Give up the rest of the body. Idempotent."""
        self._reusable = False
        self._finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line is not None:
            self.close()

    def _read(self, buffer: memoryview, wait_s: float) -> int:
        if self._line is None or len(buffer) == 0:
            return 0
        try:
            count = self._body.readinto(self._line, buffer, wait_s)
        except BaseException as error:
            self.close()
            meaning = troubles.in_body(self._wire.name, error, read_s=wait_s)
            if meaning is None:
                raise
            raise meaning from error
        if self._body.ended:
            self._finish()
        return count

    def _finish(self) -> None:
        line, self._line = self._line, None
        if line is None:
            return
        if self._reusable and line.is_drained:  # a byte too many would be taken for the beginning of the next answer
            self._wire.take_back(line)
        else:
            self._wire.drop(line)
