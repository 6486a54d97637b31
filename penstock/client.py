"""A small client of the dataflow API: one call, signed (ACS3-HMAC-SHA256), over one kept connection.

Called by the command line and by programs that want no SDK. It follows no redirects, tries nothing twice, verifies
certificates, and knows neither HOME nor the environment: address and keys are arguments. One thread at a time.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import select
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

from penstock.errors import ApiRefusedError, ApiUnreachableError

API_VERSION = "2017-06-26"
ALGORITHM = "ACS3-HMAC-SHA256"
ANSWER_MAX_BYTES = 64 << 20
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

Parameter = str | int | bool | Sequence["Parameter"] | Mapping[str, "Parameter"]
"""What a parameter may be: lists become `Name.1`, `Name.2`, mappings become `Name.Key`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """Where to call and as whom. `endpoint` is `http[s]://host[:port]`; `ca_file` verifies it (empty: the system's)."""

    endpoint: str
    access_key_id: str
    access_key_secret: str = field(repr=False)
    ca_file: str = ""
    timeout_s: float = 30.0


def flatten(parameters: Mapping[str, Parameter | None]) -> dict[str, str]:
    """Parameters as the wire has them; those that are None are left out."""
    flat: dict[str, str] = {}

    def put(name: str, value: Parameter) -> None:
        if isinstance(value, bool):
            flat[name] = "true" if value else "false"
        elif isinstance(value, str | int):
            flat[name] = str(value)
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                put(f"{name}.{key}", inner)
        else:
            for number, inner in enumerate(value, start=1):
                put(f"{name}.{number}", inner)

    for name, value in parameters.items():
        if value is not None:
            put(name, value)
    return flat


def canonical_query(flat: Mapping[str, str]) -> str:
    """The query string, sorted and encoded as it is signed."""
    return "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in sorted(flat.items()))


def sign(options: ClientOptions, *, query: str, headers: Mapping[str, str]) -> str:
    """The Authorization header of a POST to `/` with an empty body; every one of `headers` (lower-case names) is signed."""
    names = sorted(headers)
    signed = ";".join(names)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    request = f"POST\n/\n{query}\n{lines}\n{signed}\n{EMPTY_SHA256}"
    text = f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(options.access_key_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Credential={options.access_key_id},SignedHeaders={signed},Signature={signature}"


class Client:
    """Calls the API. `now_s` and `entropy` are clock and randomness, given by tests."""

    def __init__(
        self,
        options: ClientOptions,
        *,
        now_s: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Raises ApiUnreachableError for an endpoint that is no address or a CA file that cannot be read."""
        self._options = options
        self._now_s = now_s
        self._entropy = entropy
        self._host, self._connection = _prepare(options)

    def call(self, action: str, parameters: Mapping[str, Parameter | None]) -> dict[str, Any]:
        """The answer to one call.

        Raises ApiRefusedError (the API's own word) and ApiUnreachableError (no answer: the outcome is unknown).
        """
        query = canonical_query(flatten(parameters))
        headers = {
            "host": self._host,
            "x-acs-action": action,
            "x-acs-version": API_VERSION,
            "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._now_s())),
            "x-acs-signature-nonce": self._entropy(16).hex(),
            "x-acs-content-sha256": EMPTY_SHA256,
            "accept": "application/json",
        }
        headers["authorization"] = sign(self._options, query=query, headers=headers)
        status, body = self._exchange(f"/?{query}" if query else "/", headers)
        answer = self._decode(status, body)
        if status != 200:
            raise ApiRefusedError(
                str(answer.get("Message") or f"HTTP {status}"),
                code=str(answer.get("Code") or f"HTTP{status}"),
                status=status,
                request_id=str(answer.get("RequestId") or ""),
                hint=str(answer.get("Recommend") or ""),
            )
        return answer

    def close(self) -> None:
        """Closes the connection; the next call opens another."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _exchange(self, target: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self._drop_stale_connection()
        try:
            self._connection.putrequest("POST", target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                self._connection.putheader(name, value)
            self._connection.putheader("content-length", "0")
            self._connection.endheaders()
            response = self._connection.getresponse()
            body = response.read(ANSWER_MAX_BYTES + 1)
        except ssl.SSLCertVerificationError as error:
            self._connection.close()
            raise ApiUnreachableError(
                f"the certificate of {self._options.endpoint} is not trusted ({error.verify_message}); name its CA"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ApiUnreachableError(f"{self._options.endpoint} does not answer: {_reason(error)}") from error
        if len(body) > ANSWER_MAX_BYTES:
            self._connection.close()
            raise ApiUnreachableError(f"{self._options.endpoint} answered with more than {ANSWER_MAX_BYTES >> 20} MiB")
        return response.status, body

    def _drop_stale_connection(self) -> None:
        """A kept connection that can be read before anything was asked has been closed by the other side."""
        sock = self._connection.sock
        if sock is None:
            return
        watch = select.poll()
        watch.register(sock, select.POLLIN)
        if watch.poll(0):
            self._connection.close()

    def _decode(self, status: int, body: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ApiUnreachableError(
                f"{self._options.endpoint} answered {status} with something that is not JSON: is it Penstock's API?"
            ) from error
        if not isinstance(answer, dict):
            raise ApiUnreachableError(f"{self._options.endpoint} answered {status} with JSON that is no object")
        return answer


def _prepare(options: ClientOptions) -> tuple[str, http.client.HTTPConnection]:
    """The Host header and a connection that is not open yet."""
    try:
        url = urlsplit(options.endpoint)
        port = url.port
    except ValueError as error:
        raise ApiUnreachableError(f"{options.endpoint!r} is not http[s]://host[:port]") from error
    if url.scheme not in {"http", "https"} or not url.hostname or url.path.strip("/") or url.query:
        raise ApiUnreachableError(f"{options.endpoint!r} is not http[s]://host[:port]")
    name = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    usual = {"http": 80, "https": 443}[url.scheme]
    host = name if port in {None, usual} else f"{name}:{port}"
    if url.scheme == "http":
        return host, http.client.HTTPConnection(url.hostname, port or usual, timeout=options.timeout_s)
    try:
        context = ssl.create_default_context(cafile=options.ca_file or None)
    except OSError as error:
        raise ApiUnreachableError(f"the CA file {options.ca_file} cannot be used: {error}") from error
    return host, http.client.HTTPSConnection(url.hostname, port or usual, timeout=options.timeout_s, context=context)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
