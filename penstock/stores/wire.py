"""HTTP/1.1 to one host over kept-alive connections: requests out of buffers, answers into buffers.

Calls `pool`, `line`, `dialogue`, `response` and `request_ids`. Never follows a redirect, never asks for a content encoding, never
signs, never tries a request twice, save on a kept-alive connection that turned out to be closed already, or out of step.
Every step has its time limit, and whatever goes wrong is a StoreUnavailableError.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping

from penstock.errors import StoreUnavailableError
from penstock.stores import dialogue, troubles
from penstock.stores.body import Ahead
from penstock.stores.dialogue import StaleError, StuckError
from penstock.stores.head import BrokenAnswerError, Head
from penstock.stores.line import HaltedError, Line, connect
from penstock.stores.message import Body, BodyError, batches, head_of, length_of
from penstock.stores.pacer import Pacer, Weight
from penstock.stores.pool import Pool
from penstock.stores.request_ids import RequestIds, request_id_of
from penstock.stores.response import Response
from penstock.stores.stops import Reluctant, Stops
from penstock.stores.timeouts import SILENT_RETRY_S, Timeouts

REPEATABLE = frozenset({"GET", "HEAD"})
_TELLING = frozenset({"PUT", "POST"})  # what became of these only their answers tell
BLOCK_S = 0.5
"""One read blocks in the kernel for so long at most, then looks whether it is to go on."""


class Sent:
    """One request that is on its way, and the connection on which its answer will come. For one thread.

    On a kept connection that turns out to be closed it is sent once more, on a fresh one: any request of which nothing could
    be sent, and a GET or HEAD also when the answer fails to come, or has the request id of the one before. Either `answer`
    or `abandon` has to be called, else the connection's place stays taken.
    """

    __slots__ = (
        "_ahead", "_body", "_head", "_is_over", "_is_seen", "_line", "_method", "_on_kept", "_sent_whole", "_stops", "_taken",
        "_wait_s", "_weight", "_wire", "began_s",
    )  # fmt: skip

    def __init__(
        self,
        wire: Wire,
        method: str,
        head: bytes,
        body: Body,
        *,
        wait_s: float,
        stops: Stops | None,
        weight: Weight,
    ) -> None:
        self._wire = wire
        self._stops = stops
        self._weight = weight
        self._method = method
        self._head = head
        self._body = body
        self._wait_s = wait_s
        self._line: Line | None = None
        self._sent_whole = True
        self._on_kept = False
        self._taken: Head | None = None
        self._ahead: Ahead | None = None
        self._is_over = False  # nothing more can be taken in
        self._is_seen = False  # by `is_there`: then nothing waits, for others of its thread would wait, too
        self.began_s = time.monotonic()

    def transmit(self) -> None:
        """For `Wire` only: send the request, on a kept connection if there is one."""
        kept = self._wire.kept()
        if kept is not None:
            try:
                self._transmit(kept)
            except StaleError:
                pass  # nothing of it was sent
            else:
                self._on_kept = True
                return
        self._transmit_anew()

    def answer(self) -> Response:
        """Wait for the head of the answer. Raises StoreUnavailableError."""
        if self._line is None:
            raise StoreUnavailableError(f"the request to {self._wire.name} was given up")
        handed_over = False
        try:
            head = self._own()
            if head.status < 300 and not self._sent_whole:
                raise StoreUnavailableError(f"{self._wire.name} answered {head.status} before the body was sent")
            line, self._line = self._line, None
            response = Response(self._wire, line, head, reusable=self._sent_whole, waits=not self._is_seen)
            handed_over = True
            return response
        finally:
            if not handed_over:
                self.abandon()

    def fileno(self) -> int:
        """What becomes readable when the answer comes; -1 once it is there, or was asked for."""
        line = self._line
        if line is None:
            return -1
        begun = self._taken is not None or not line.is_drained
        return -1 if begun and self.is_there() else line.descriptor

    def is_there(self) -> bool:
        """Read what has come, without waiting: whether there is nothing more to wait for before a body that is to be kept.

        A short body that only tells what became of the request has to be there, too. Raises nothing: `answer` will.
        """
        line = self._line
        self._is_seen = line is None or self._sees(line)
        return self._is_seen

    def _sees(self, line: Line) -> bool:
        self._is_over = not line.take_in()
        try:
            head = self._taken = self._taken or dialogue.take_head(line, self._method)
        except BrokenAnswerError:
            return True
        if head is None or self._is_over:
            return self._is_over
        if self._method == "GET" and head.status < 300:
            return True
        self._ahead = self._ahead or Ahead(head)
        return self._ahead.lies_whole(line)

    @property
    def is_asked_anew(self) -> bool:
        """Whether `answer` will send the request once more and wait, as was seen by `is_there`."""
        line = self._line
        if line is None or not self._on_kept or self._method not in REPEATABLE:
            return False
        head = self._taken
        if head is None:
            return self._is_over and line.is_drained
        return self._is_of_before(line, request_id_of(head.headers))

    @property
    def is_awaited(self) -> bool:
        """Whether its answer was neither read nor given up."""
        return self._line is not None

    def abandon(self) -> None:
        """Give the request up and close its connection. Idempotent; does nothing once the answer was read."""
        line, self._line = self._line, None
        if line is not None:
            self._wire.drop(line)

    def _own(self) -> Head:
        """The head of this request's answer, for certain: on a fresh connection there is no other."""
        head = self._heard()
        assert self._line is not None
        told = request_id_of(head.headers)
        if self._is_of_before(self._line, told):  # out of step: this one's own answer will be the next one's
            self._wire.ids.came_again(told)
            if self._method not in REPEATABLE:
                raise StoreUnavailableError(f"{self._wire.name} gave the answer to the request before once more")
            head = self._heard_anew()
            told = request_id_of(head.headers)
        if not self._on_kept:
            self._wire.ids.came_first(told)
        if told:
            self._line.answered = told
        return head

    def _is_of_before(self, line: Line, told: str) -> bool:
        return bool(told) and told == line.answered and not self._wire.ids.say_nothing(told)

    def _heard(self) -> Head:
        try:
            return self._read_head()
        except StaleError as error:
            if not self._on_kept or self._method not in REPEATABLE:
                raise self._no_answer() from error
        return self._heard_anew()

    def _heard_anew(self) -> Head:
        """Send a GET or HEAD once more, on a fresh connection."""
        assert self._line is not None
        self._line.close()
        self._on_kept = self._is_seen = False
        self._transmit_anew()
        try:
            return self._read_head()
        except StaleError as error:
            raise self._no_answer() from error

    def _read_head(self) -> Head:
        assert self._line is not None
        taken, self._taken = self._taken, None
        if taken is not None:
            return taken
        try:
            return dialogue.read_head(self._line, self._method, 0.0 if self._is_seen else self._wait_s)
        except TimeoutError as error:
            words = f"{self._wire.name} gave no answer within {self._wait_s:g} s"
            raise StoreUnavailableError(words, retry_after_s=SILENT_RETRY_S) from error
        except HaltedError as error:
            raise StoreUnavailableError(
                f"{self._wire.name} had not answered when it was to be waited no longer"
            ) from error
        except (OSError, BrokenAnswerError) as error:
            raise self._broken(error) from error

    def _transmit_anew(self) -> None:
        try:
            self._transmit(self._wire.connect())
        except StaleError as error:
            raise self._no_answer() from error

    def _transmit(self, line: Line) -> None:
        """Send the request on this connection, which is closed when that fails."""
        timeouts = self._wire.timeouts
        sent = False
        line.stops = None if self._stops is None else self._stops.soon
        line.weight = self._weight
        try:
            self._sent_whole = dialogue.transmit(line, batches(self._head, self._body), timeouts)
            sent = True
            # A part changes nothing that its upload's abort would not end, and to delete once more does no harm.
            if self._stops is not None and self._method in _TELLING and self._weight is not Weight.PART:
                line.stops = Reluctant(self._stops.late)
        except BodyError as error:
            raise (error.__cause__ or error) from None
        except HaltedError as error:
            raise StoreUnavailableError(f"what was sent to {self._wire.name} was broken off") from error
        except StuckError as error:
            least = f"nothing of the body for {timeouts.send_s:g} s, or too little for {timeouts.slow_s:g} s"
            words = f"{self._wire.name} took {least}"
            raise StoreUnavailableError(words, retry_after_s=SILENT_RETRY_S) from error
        except (OSError, BrokenAnswerError) as error:
            raise self._broken(error) from error
        finally:
            if sent:
                self._line = line
            else:
                line.close()

    def _broken(self, error: Exception) -> StoreUnavailableError:
        return StoreUnavailableError(f"{self._wire.name} gave a broken answer: {troubles.words(error)}")

    def _no_answer(self) -> StoreUnavailableError:
        return StoreUnavailableError(f"{self._wire.name} closed the connection without an answer")


class Wire:
    """All connections to one host. Thread-safe; the pacer says how many there may be at a time, further callers wait."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        timeouts: Timeouts,
        pacer: Pacer,
        proxy: tuple[str, int] | None = None,
    ) -> None:
        self.name = f"{host}:{port}"
        # A proxy is told the whole URL, save through a tunnel, where it hears nothing.
        self._origin = f"http://{_authority(host, port)}" if proxy is not None and tls is None else ""
        self._proxy = proxy
        self.timeouts = timeouts
        self._host = host
        self._port = port
        self._tls = tls
        self._pool = Pool(pacer, idle_s=timeouts.idle_s)
        self.ids = RequestIds()

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Body = (),
        *,
        first_byte_s: float | None = None,
        slot_s: float,
        stops: Stops | None = None,
        weight: Weight = Weight.WHOLE,
    ) -> Sent | None:
        """Send one request; any status is an answer. None when no connection is free within `slot_s` seconds.

        With a `slot_s` of 0 only a kept connection is free: making one would have to be waited for. `stops`: see `Store.heeding`.
        `headers` must hold Host; Content-Length is added. `first_byte_s` replaces the usual patience for the answer.
        Raises, here or when the answer is read, StoreUnavailableError (for anything but GET and HEAD the outcome is unknown
        then), and here IntegrityError for a streamed body that gives another number of bytes than it said, and whatever
        else a streamed body raises.
        """
        head = head_of(method, self._origin + target, headers, length_of(body))
        if not self._pool.take_place(slot_s, None if stops is None else stops.soon, weight):
            return None
        handed_over = False
        try:
            wait_s = self.timeouts.first_byte_s if first_byte_s is None else first_byte_s
            sent = Sent(self, method, head, body, wait_s=wait_s, stops=stops, weight=weight)
            sent.transmit()
            handed_over = True  # what was sent gives the place back
            return sent
        finally:
            self._pool.sent()
            if not handed_over:
                self._pool.give_back(weight)

    @property
    def is_warm(self) -> bool:
        """Whether a connection is kept open for the next request."""
        return self._pool.has_kept and not self.ids.is_unsure

    def busy(self) -> StoreUnavailableError:
        """The error of a request for which no connection became free in time."""
        return StoreUnavailableError(f"all connections to {self.name} are busy")

    def close(self) -> None:
        """Close unused connections now, and those in use when they come back."""
        self._pool.close()

    def take_back(self, line: Line) -> None:
        """For `Response` only: the connection may be used again, and its place is free."""
        self._pool.give_back(line.weight, line)

    def drop(self, line: Line) -> None:
        """For `Sent` and `Response` only: the connection is closed, and its place is free."""
        line.close()
        self._pool.give_back(line.weight)

    def kept(self) -> Line | None:
        """For `Sent` only: a connection that was used before and may be used again."""
        return None if self.ids.is_unsure else self._pool.kept()

    def connect(self) -> Line:
        """For `Sent` only: a fresh connection. Raises StoreUnavailableError."""
        timeouts = self.timeouts
        patience_s = min(timeouts.first_byte_s, timeouts.read_s, BLOCK_S)
        try:
            return connect(
                (self._host, self._port),
                self._tls,
                connect_s=timeouts.connect_s,
                patience_s=patience_s,
                proxy=self._proxy,
            )
        except (OSError, ValueError) as error:
            name = self.name if self._proxy is None else f"{self.name} through the proxy {_authority(*self._proxy)}"
            raise troubles.of_connecting(name, error, connect_s=timeouts.connect_s) from error


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
