"""One signed request to one bucket and its answer: address, signature, wire and error mapping put together.

Calls the wire and a signer. Knows nothing of verbs, and never asks twice.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from types import TracebackType
from typing import Protocol

from penstock import failpoints
from penstock.errors import OffTopicError, PermissionDeniedError, StoreError, StoreSilentError, StoreUnavailableError
from penstock.stores import documents
from penstock.stores.addressing import Address, UnsignedRequest
from penstock.stores.attended import AttendedBody
from penstock.stores.base import Buffer, StreamedBody
from penstock.stores.documents import Document
from penstock.stores.message import Body, length_of
from penstock.stores.pacer import Pacer, Weight
from penstock.stores.refusals import ERROR_MAX_BYTES, Asked, delay_s, refusal
from penstock.stores.response import Response
from penstock.stores.stops import Stops
from penstock.stores.wire import Sent, Wire

NOTHING_SHA256 = hashlib.sha256().hexdigest()


class Signer(Protocol):
    """Turns a request's headers into those that are sent."""

    def sign(self, request: UnsignedRequest, now_ns: int) -> dict[str, str]: ...

    def refused(self, now_ns: int) -> None:
        """The store took the credentials for wrong, or for expired."""
        ...


class Begun:
    """One request that was sent; `answer` or `abandon` has to be called, once."""

    __slots__ = ("_exchange", "_expected", "_kind", "_looked_s", "_request", "_sent")

    def __init__(
        self, exchange: Exchange, request: UnsignedRequest, kind: Hashable, sent: Sent, expected: Collection[int]
    ) -> None:
        self._exchange = exchange
        self._kind = kind
        self._request = request
        self._sent = sent
        self._expected = expected
        self._looked_s: float | None = None

    def answer(self) -> Response:
        """An answer whose status is expected, else raises the StoreError that it means."""
        exchange, method, began_s = self._exchange, self._request.method, self._sent.began_s
        looked_s = time.monotonic() if self._looked_s is None else self._looked_s
        try:
            response = self._sent.answer()
            failpoints.passing("request.answered")
            if response.status not in self._expected:
                raise exchange.refused(method, self._request.key, response)
        except StoreError as error:
            exchange.tell(method, error, began_s=began_s)
            exchange.name(error, self._request.key)
            raise
        exchange.pacer.answered(
            method, self._kind, began_s=began_s, looked_s=looked_s, held_back_s=delay_s(response.headers)
        )
        return response

    def fileno(self) -> int:
        """What becomes readable when the answer comes. Whoever asks looks at it by itself, and says so if it sees it come."""
        self._looked_s = math.inf
        return self._sent.fileno()

    def is_there(self) -> bool:
        """Read what has come, without waiting: whether `answer` will not wait."""
        return self._sent.is_there()

    @property
    def is_asked_anew(self) -> bool:
        """Whether `answer` will send the request once more, as was seen by `is_there`."""
        return self._sent.is_asked_anew

    def came(self) -> None:
        """The answer was seen to come right now."""
        self._looked_s = self._sent.began_s

    def abandon(self) -> None:
        """Close the connection without waiting."""
        if self._sent.is_awaited:
            self._exchange.pacer.lost(began_s=self._sent.began_s)
        self._sent.abandon()


class Exchange:
    """Requests to one bucket. `clock` gives UTC nanoseconds; `pacer` hears what comes of each request.

    `always` are headers that every request carries.
    """

    def __init__(
        self,
        *,
        bucket: str,
        address: Address,
        wire: Wire,
        signer: Signer,
        clock: Callable[[], int],
        pacer: Pacer,
        always: Mapping[str, str] | None = None,
        stops: Stops | None = None,
    ) -> None:
        self.bucket = bucket
        self._address = address
        self._always = {"host": address.host_header, **(always or {})}
        self._wire = wire
        self._signer = signer
        self._clock = clock
        self.pacer = pacer
        self._stops = stops

    def heeding(self, stops: Stops) -> Exchange:
        """The same, for somebody who may be told to stop: see `Store.heeding`."""
        return Exchange(
            bucket=self.bucket,
            address=self._address,
            wire=self._wire,
            signer=self._signer,
            clock=self._clock,
            pacer=self.pacer,
            always=self._always,
            stops=stops,
        )

    @property
    def is_warm(self) -> bool:
        """Whether a connection is kept open for the next request."""
        return self._wire.is_warm

    def ask(
        self,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Sequence[Buffer] | StreamedBody = (),
        expected: Collection[int] = (200,),
        first_byte_s: float | None = None,
    ) -> Response:
        """Send one request; returns an answer whose status is expected, else raises the StoreError that it means.

        An empty key asks the bucket. Waits for a free connection.
        """
        return self.begin(
            method, key, query=query, headers=headers, body=body, expected=expected, first_byte_s=first_byte_s
        ).answer()

    def begin(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Sequence[Buffer] | StreamedBody = (),
        expected: Collection[int],
        first_byte_s: float | None = None,
    ) -> Begun:
        """Send one request, whose answer is waited for later. Waits for a free connection."""
        request = self._request(method, key, query or {}, headers or {}, body)
        begun = self._begin(request, body, expected, first_byte_s, self._wire.timeouts.slot_s)
        if begun is None:
            with self.naming(key):
                raise self._wire.busy()
        return begun

    def try_begin(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Sequence[Buffer] = (),
        expected: Collection[int],
    ) -> Begun | None:
        """As `begin`; None when no connection is free right now."""
        return self._begin(self._request(method, key, query or {}, headers or {}, body), body, expected, None, 0.0)

    def _request(
        self, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str], body: Body
    ) -> UnsignedRequest:
        try:
            path = self._address.path(key)
        except StoreError as error:
            self.name(error, key)
            raise
        return UnsignedRequest(
            method=method,
            path=path,
            bucket=self.bucket,
            key=key,
            query=query,
            headers={**self._always, **headers},
            payload_sha256=_payload_sha256(method, body),
        )

    def _begin(
        self,
        request: UnsignedRequest,
        body: Body,
        expected: Collection[int],
        first_byte_s: float | None,
        slot_s: float,
    ) -> Begun | None:
        try:
            signed = self._signer.sign(request, self._clock())
            failpoints.passing("request.send")
            sent = self._wire.send(
                request.method,
                request.target,
                signed,
                body if isinstance(body, Sequence) else AttendedBody(body, self.pacer),
                first_byte_s=first_byte_s,
                slot_s=slot_s,
                stops=self._stops,
                weight=_weight(request),
            )
        except StoreError as error:
            if isinstance(error, StoreUnavailableError) and not isinstance(error, StoreSilentError):
                self.tell(request.method, error, began_s=time.monotonic())
            self.name(error, request.key)
            raise
        failpoints.passing("request.sent")
        if sent is None:
            return None
        return Begun(self, request, _kind(request.method, body), sent, expected)

    def tell(self, method: str, error: StoreError, *, began_s: float) -> None:
        """For `Begun` only: tell the pacer what came instead of the answer; that we stopped waiting is no fault of the store."""
        if isinstance(error, StoreUnavailableError) and self._stops is not None and self._stops.soon():
            self.pacer.lost(began_s=began_s)
        else:
            self.pacer.refused(method, error, began_s=began_s)

    def document(
        self,
        method: str,
        key: str = "",
        *,
        about: tuple[str, ...],
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Sequence[Buffer] = (),
        first_byte_s: float | None = None,
    ) -> tuple[Document, Mapping[str, str]]:
        """Ask for a document whose root element's name holds one of the words `about`; returns it and the headers.

        A 200 that carries an error raises that error; one that carries anything else (a page of something in between that
        happens to be XML) is no answer to what was asked.
        """
        with self.naming(key):
            response = self.ask(method, key, query=query, headers=headers, body=body, first_byte_s=first_byte_s)
            with response:
                content = response.read_bounded(documents.DOCUMENT_MAX_BYTES + 1)
            document = documents.parse(content)
            if document.tag == "Error":
                asked = Asked(method=method, bucket=self.bucket, key=key)
                raise refusal(asked, response.status, response.headers, content)
            if not any(word in document.tag for word in about):
                raise OffTopicError(f"the store's answer is <{document.tag[:40]}>: not about {about[0]}")
            return document, response.headers

    def naming(self, key: str) -> _Naming:
        """Errors that pass through learn which bucket and key they are about."""
        return _Naming(self, key)

    def name(self, error: StoreError, key: str) -> None:
        """The same for one error, for those who are passed for every small file: a context costs, an `except` does not."""
        error.bucket = error.bucket or self.bucket
        error.key = error.key or key

    def close(self) -> None:
        """Close all connections."""
        self._wire.close()

    def refused(self, method: str, key: str, response: Response) -> StoreError:
        """For `Begun` only: the StoreError that an unexpected answer means."""
        with response:
            try:
                body = response.read_bounded(ERROR_MAX_BYTES)
            except StoreError:
                body = b""  # the status says enough
        error = refusal(Asked(method=method, bucket=self.bucket, key=key), response.status, response.headers, body)
        if isinstance(error, PermissionDeniedError):
            self._signer.refused(self._clock())
        return error


class _Naming:
    """The context that gives errors their names."""

    __slots__ = ("_exchange", "_key")

    def __init__(self, exchange: Exchange, key: str) -> None:
        self._exchange = exchange
        self._key = key

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, StoreError):
            self._exchange.name(error, self._key)


def _weight(request: UnsignedRequest) -> Weight:
    """A range of an object, or a part of an upload: what large files are moved by."""
    return Weight.PART if "partNumber" in request.query or "range" in request.headers else Weight.WHOLE


def _kind(method: str, body: Body) -> Hashable:
    """What takes equally long: answers begin alike whatever their size, but a body that is sent counts by its length."""
    if method != "PUT":
        return method
    return length_of(body).bit_length() >> 1  # four times as long is another kind


def _payload_sha256(method: str, body: Body) -> str:
    """The hash of small documents (POST) and of nothing; objects and parts (PUT) are not hashed a second time."""
    if method == "PUT":
        return "UNSIGNED-PAYLOAD"
    if body == ():
        return NOTHING_SHA256
    digest = hashlib.sha256()
    for piece in body:
        digest.update(piece)
    return digest.hexdigest()
