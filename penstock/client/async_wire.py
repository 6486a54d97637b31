"""The wire on asyncio: calls of the API over a few kept connections, without a thread.

What is signed and read is the blocking wire's (`signing`, `answers`); only bytes come and go differently here. It follows no
redirects and tries nothing twice.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable
from typing import Any

import httptools

from penstock.client.answers import ANSWER_MAX_BYTES, Answered, read_answer, reason, retry_after_s
from penstock.client.signing import Call, ClientOptions, Written, address_of, written
from penstock.client.wire import tls_context
from penstock.errors import ApiUnreachableError

CONNECTIONS_MAX = 8
READ_BYTES = 64 << 10


class AsyncClient:
    """Calls the API, at most CONNECTIONS_MAX calls at once; more wait for their turn. One event loop at a time."""

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
        self._address = address_of(options.endpoint)
        self._tls = tls_context(options) if self._address.is_tls else None
        self._idle: list[_Connection] = []
        self._turns = asyncio.Semaphore(CONNECTIONS_MAX)

    async def call(self, call: Call) -> dict[str, Any]:
        """The answer to one call. Raises ApiRefusedError, and ApiUnreachableError: then the outcome is unknown."""
        async with self._turns:
            sent = written(
                self._options, call, host=self._address.host, now_s=self._now_s(), nonce=self._entropy(16).hex()
            )
            answered = await self._exchange(sent)
        return read_answer(self._options.endpoint, answered)

    async def close(self) -> None:
        """Closes the connections; the next call opens another."""
        while self._idle:
            self._idle.pop().close()

    async def _exchange(self, sent: Written) -> Answered:
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(self._options.timeout_s):
                connection = await self._connected()
                answered = await connection.exchange(sent)
        except ssl.SSLCertVerificationError as error:
            raise ApiUnreachableError(
                f"the certificate of {self._options.endpoint} is not trusted ({error.verify_message}); name its CA"
            ) from error
        except (OSError, EOFError, httptools.HttpParserError) as error:
            if connection is not None:
                connection.close()
            raise ApiUnreachableError(f"{self._options.endpoint} does not answer: {reason(error)}") from error
        except BaseException:  # broken off in the middle: whoever calls next must not read this answer
            if connection is not None:
                connection.close()
            raise
        if connection.is_reusable:
            self._idle.append(connection)
        else:
            connection.close()
        return answered

    async def _connected(self) -> _Connection:
        while self._idle:
            kept = self._idle.pop()
            if kept.is_quiet:
                return kept
            kept.close()
        reader, writer = await asyncio.open_connection(
            self._address.name, self._address.port, ssl=self._tls, limit=READ_BYTES
        )
        return _Connection(reader, writer)


class _Connection:
    """One connection, with one call on it at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.is_reusable = True

    @property
    def is_quiet(self) -> bool:
        """Whether the other side has kept it open."""
        return self.is_reusable and not self._reader.at_eof() and not self._writer.is_closing()

    def close(self) -> None:
        """Ends it at once: nothing that was said is waited for."""
        self.is_reusable = False
        self._writer.transport.abort()

    async def exchange(self, sent: Written) -> Answered:
        """The answer. Raises OSError, EOFError, HttpParserError."""
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.headers.items())
        self._writer.write(f"POST {sent.target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + sent.body)
        await self._writer.drain()
        coming = _Coming()
        while not coming.is_whole:
            piece = await self._reader.read(READ_BYTES)
            if not piece:
                raise EOFError("it closed the connection")
            coming.feed(piece)
        self.is_reusable = coming.parser.should_keep_alive()
        return coming.answered()


class _Coming:
    """An answer that is coming in; httptools calls the `on_…` methods."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.is_whole = False
        self._headers: dict[bytes, bytes] = {}
        self._body = bytearray()

    def feed(self, piece: bytes) -> None:
        """Raises HttpParserError, OSError for what is too long."""
        self.parser.feed_data(piece)
        if len(self._body) > ANSWER_MAX_BYTES:
            raise OSError(f"it answered with more than {ANSWER_MAX_BYTES >> 20} MiB")

    def answered(self) -> Answered:
        """The answer, once it is whole."""
        return Answered(
            status=self.parser.get_status_code(),
            body=bytes(self._body),
            retry_after_s=retry_after_s(self._header(b"x-acs-retry-after"), self._header(b"retry-after")),
        )

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """All of it is here."""
        self.is_whole = True

    def _header(self, name: bytes) -> str | None:
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")
