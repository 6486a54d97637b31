"""A TLS connection until its handshake is over: one of the crowd from the moment it is accepted, not only afterwards.

uvloop shakes hands by itself where a listener is given TLS; but what it accepts so is counted by nobody until the handshake is
over, and may be more than the process can have open. Called by `web`; hands over to the API's `Connection`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine, Generator
from typing import Any, cast

from penstock.api.connection import Connection
from penstock.api.crowd import Crowd


class Handshake(asyncio.Protocol):
    """What the plain connection speaks to, and for a moment the encrypted one; then `connection` gets that."""

    def __init__(
        self,
        connection: Connection,
        *,
        crowd: Crowd,
        context: ssl.SSLContext,
        limit_s: float,
        under_way: set[Handshake],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """`under_way` is where it keeps itself until it is over."""
        self._connection = connection
        self._crowd = crowd
        self._context = context
        self._limit_s = limit_s
        self._under_way = under_way
        self._loop = loop
        self._transport: asyncio.Transport
        self._early: list[bytes] = []
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = plain = cast("asyncio.Transport", transport)
        self._under_way.add(self)
        self._crowd.came(self)
        if self._ended:
            return
        begun = _Begun(
            self._loop.start_tls(plain, self, self._context, server_side=True, ssl_handshake_timeout=self._limit_s)
        )
        self._loop.create_task(self._shake_hands(begun))

    def data_received(self, data: bytes) -> None:
        """Of the encrypted connection, which may be read before `start_tls` tells that it is there."""
        self._early.append(data)

    def eof_received(self) -> bool:
        self._ended = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._over()

    async def _shake_hands(self, begun: _Begun) -> None:
        try:
            encrypted = cast("asyncio.Transport", await begun)
        except OSError:
            return  # no TLS, too late, or hung up on
        finally:
            ended = self._ended
            self._over()
        if ended:
            self._transport.abort()
            return
        encrypted.set_protocol(self._connection)
        self._connection.connection_made(encrypted)
        for data in self._early:
            self._connection.data_received(data)

    def _over(self) -> None:
        self._ended = True
        self._crowd.left(self)
        self._under_way.discard(self)

    # ---------------------------------------------------------------------------------------------------- as `crowd` asks

    def is_answering(self) -> bool:
        """Nothing was asked yet."""
        return False

    def is_silent(self) -> bool:
        """Asked of those whose key is known; this one's is not."""
        return False

    def signed_call(self) -> str:
        """Nothing is signed yet."""
        return ""

    def give_way(self) -> None:
        """Hang up: nothing can be said before the handshake is over."""
        self._over()
        self._transport.abort()


class _Begun:
    """A coroutine that has run up to where it waits first.

    There `start_tls` takes the plain connection over. A task would begin with it at the loop's next turn only, and uvloop reads
    before that.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._waits_for = coroutine.send(None)

    def __await__(self) -> Generator[Any, Any, Any]:
        waits_for = self._waits_for
        while True:
            try:
                try:
                    sent = yield waits_for
                except BaseException as error:  # noqa: BLE001 - it is the coroutine's
                    waits_for = self._coroutine.throw(error)
                else:
                    waits_for = self._coroutine.send(sent)
            except StopIteration as end:
                return end.value
