"""One signed request to one bucket and its answer: address, signature, wire and error mapping put together.

Calls the wire and a signer. Knows nothing of verbs, and never asks twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from penstock.errors import StoreError
from penstock.stores import documents
from penstock.stores.addressing import Address, UnsignedRequest
from penstock.stores.base import Buffer, StreamedBody
from penstock.stores.documents import Document
from penstock.stores.refusals import ERROR_MAX_BYTES, Asked, delay_s, refusal
from penstock.stores.wire import Response, Wire


class Signer(Protocol):
    """Turns a request's headers into those that are sent."""

    def sign(self, request: UnsignedRequest, now_ns: int) -> dict[str, str]: ...


class Exchange:
    """Requests to one bucket. `clock` gives UTC nanoseconds; `told_delay` hears by how many seconds the store held us back."""

    def __init__(
        self,
        *,
        bucket: str,
        address: Address,
        wire: Wire,
        signer: Signer,
        clock: Callable[[], int],
        told_delay: Callable[[float], None],
    ) -> None:
        self.bucket = bucket
        self._address = address
        self._wire = wire
        self._signer = signer
        self._clock = clock
        self._told_delay = told_delay

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

        An empty key asks the bucket.
        """
        with self.naming(key):
            request = UnsignedRequest(
                method=method,
                path=self._address.path(key),
                bucket=self.bucket,
                key=key,
                query=query or {},
                headers={"host": self._address.host_header, **(headers or {})},
                payload_sha256=_payload_sha256(method, body),
            )
            signed = self._signer.sign(request, self._clock())
            response = self._wire.request(method, request.target, signed, body, first_byte_s=first_byte_s)
            if response.status not in expected:
                raise self._refused(method, key, response)
            delayed_s = delay_s(response.headers)
            if delayed_s:
                self._told_delay(delayed_s)
            return response

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


def _payload_sha256(method: str, body: Sequence[Buffer] | StreamedBody) -> str:
    """The hash of small documents (POST) and of nothing; objects and parts (PUT) are not hashed a second time."""
    if method == "PUT":
        return "UNSIGNED-PAYLOAD"
    digest = hashlib.sha256()
    for piece in body:
        digest.update(piece)
    return digest.hexdigest()
