"""One signed request to one bucket and its answer: address, signature, wire and error mapping put together.

Calls the wire and a signer. Knows nothing of verbs, and never asks twice.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from penstock.errors import StoreError, StoreUnavailableError
from penstock.stores import documents
from penstock.stores.addressing import Address, UnsignedRequest
from penstock.stores.base import Buffer, StreamedBody
from penstock.stores.documents import Document
from penstock.stores.pacer import Pacer
from penstock.stores.refusals import ERROR_MAX_BYTES, Asked, delay_s, refusal
from penstock.stores.wire import Response, Sent, Wire


class Signer(Protocol):
    """Turns a request's headers into those that are sent."""

    def sign(self, request: UnsignedRequest, now_ns: int) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One request in the words of the verbs; an empty key asks the bucket."""

    method: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Sequence[Buffer] | StreamedBody = ()


class Begun:
    """One request that was sent; `answer` or `abandon` has to be called, once."""

    def __init__(self, exchange: Exchange, asking: Asking, sent: Sent, expected: Collection[int]) -> None:
        self._exchange = exchange
        self._asking = asking
        self._sent = sent
        self._expected = expected

    def answer(self) -> Response:
        """An answer whose status is expected, else raises the StoreError that it means."""
        exchange, asking, began_s = self._exchange, self._asking, self._sent.began_s
        looked_s = time.monotonic()
        with exchange.naming(asking.key):
            try:
                response = self._sent.answer()
                exchange.check(asking, response, self._expected)
            except StoreError as error:
                exchange.pacer.refused(asking.method, error, began_s=began_s)
                raise
            delayed_s = delay_s(response.headers)
            exchange.pacer.answered(
                asking.method, _kind(asking), began_s=began_s, looked_s=looked_s, held_back_s=delayed_s
            )
            return response

    def abandon(self) -> None:
        """Close the connection without waiting."""
        self._sent.abandon()


class Exchange:
    """Requests to one bucket. `clock` gives UTC nanoseconds; `pacer` hears what comes of each request."""

    def __init__(
        self,
        *,
        bucket: str,
        address: Address,
        wire: Wire,
        signer: Signer,
        clock: Callable[[], int],
        pacer: Pacer,
    ) -> None:
        self.bucket = bucket
        self._address = address
        self._wire = wire
        self._signer = signer
        self._clock = clock
        self.pacer = pacer

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
        asking = Asking(method=method, key=key, query=query or {}, headers=headers or {}, body=body)
        return self.begin(asking, expected=expected, first_byte_s=first_byte_s).answer()

    def begin(self, asking: Asking, *, expected: Collection[int], first_byte_s: float | None = None) -> Begun:
        """Send one request, whose answer is waited for later. Waits for a free connection."""
        begun = self._begin(asking, expected, first_byte_s, self._wire.timeouts.slot_s)
        if begun is None:
            with self.naming(asking.key):
                raise self._wire.busy()
        return begun

    def try_begin(self, asking: Asking, *, expected: Collection[int]) -> Begun | None:
        """As `begin`; None when no connection is free right now."""
        return self._begin(asking, expected, None, 0.0)

    def _begin(
        self, asking: Asking, expected: Collection[int], first_byte_s: float | None, slot_s: float
    ) -> Begun | None:
        with self.naming(asking.key):
            request = UnsignedRequest(
                method=asking.method,
                path=self._address.path(asking.key),
                bucket=self.bucket,
                key=asking.key,
                query=asking.query,
                headers={"host": self._address.host_header, **asking.headers},
                payload_sha256=_payload_sha256(asking.method, asking.body),
            )
            signed = self._signer.sign(request, self._clock())
            try:
                sent = self._wire.send(
                    asking.method, request.target, signed, asking.body, first_byte_s=first_byte_s, slot_s=slot_s
                )
            except StoreUnavailableError as error:
                self.pacer.refused(asking.method, error, began_s=time.monotonic())
                raise
            return None if sent is None else Begun(self, asking, sent, expected)

    def check(self, asking: Asking, response: Response, expected: Collection[int]) -> None:
        """For `Begun` only: raises the StoreError that an unexpected answer means."""
        if response.status not in expected:
            raise self._refused(asking.method, asking.key, response)

    def document(
        self,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Sequence[Buffer] = (),
        first_byte_s: float | None = None,
    ) -> tuple[Document, Mapping[str, str]]:
        """Ask for a document; returns it and the headers. A 200 that carries an error raises that error."""
        with self.naming(key):
            response = self.ask(method, key, query=query, headers=headers, body=body, first_byte_s=first_byte_s)
            with response:
                content = response.read_bounded(documents.DOCUMENT_MAX_BYTES + 1)
            document = documents.parse(content)
            if document.tag == "Error":
                asked = Asked(method=method, bucket=self.bucket, key=key)
                raise refusal(asked, response.status, response.headers, content)
            return document, response.headers

    @contextmanager
    def naming(self, key: str) -> Iterator[None]:
        """Errors that pass through learn which bucket and key they are about."""
        try:
            yield
        except StoreError as error:
            error.bucket = error.bucket or self.bucket
            error.key = error.key or key
            raise

    def close(self) -> None:
        """Close all connections."""
        self._wire.close()

    def _refused(self, method: str, key: str, response: Response) -> StoreError:
        with response:
            try:
                body = response.read_bounded(ERROR_MAX_BYTES)
            except StoreError:
                body = b""  # the status says enough
        return refusal(Asked(method=method, bucket=self.bucket, key=key), response.status, response.headers, body)


def _kind(asking: Asking) -> Hashable:
    """What takes equally long: answers begin alike whatever their size, but a body that is sent counts by its length."""
    if asking.method != "PUT":
        return asking.method
    body = asking.body
    length = sum(map(len, body)) if isinstance(body, Sequence) else body.length_bytes
    return length.bit_length() >> 1  # four times as long is another kind


def _payload_sha256(method: str, body: Sequence[Buffer] | StreamedBody) -> str:
    """The hash of small documents (POST) and of nothing; objects and parts (PUT) are not hashed a second time."""
    if method == "PUT":
        return "UNSIGNED-PAYLOAD"
    digest = hashlib.sha256()
    for piece in body:
        digest.update(piece)
    return digest.hexdigest()
