"""Whose a request is, and what it asks: from one that is whole to its operation and the key that signed it.

Reading takes the loop's time, the longer the request the more, and there is none to give to strangers. So of a long one it is
looked first whose key it names, and of a long body that its head signs, whether it did. What only reading can tell, as with
Signature 1.0, is read in turns. Called by `application`; calls `protocol`, `signature` and `dispatch`. Uses up no nonce.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from penstock.api import dispatch, protocol, signature
from penstock.api.errors import ApiError
from penstock.api.operation import Desk, Nonce, Operation
from penstock.api.options import Fidelity
from penstock.api.protocol import Format, Head, Request
from penstock.api.signature import Claim
from penstock.api.unfamiliar import Kind
from penstock.model import AccessKey

_REST = 4.0
"""After a turn nobody has one for so many times as long as it took: all turns together get a fifth of the loop's time."""

_Signed = tuple[Operation, AccessKey, Nonce]


Find = Callable[[str, str, Fidelity], Operation]
"""From an action's name and version to its operation."""


class Heard(NamedTuple):
    """A request that a key of ours has signed. A tuple: it is made for every one."""

    request: Request
    shape: Format
    operation: Operation
    key: AccessKey
    nonce: Nonce


class Callers:
    """Everybody who calls, known by what they sign."""

    def __init__(self, desk: Desk, *, now_ns: Callable[[], int], find: Find = dispatch.find) -> None:
        self._desk = desk
        self._find = find
        self._options = desk.options
        self._now_ns = now_ns
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def heard(self, head: Head, body: bytes) -> Heard:
        """What was said, and by whom. Raises ApiError."""
        options = self._options
        length_bytes = len(head.query_string) + len(body)
        if length_bytes <= options.unnamed_max_bytes:
            return self._read(head, body)
        is_older = not signature.is_v3(head)
        if is_older and len(body) > options.older_body_max_bytes:
            raise protocol.older_body_too_large(options)
        signature.check_name(head, body, self._desk.registry().access_keys, options)
        if is_older and length_bytes > options.older_at_once_max_bytes:
            return await self._read_in_turn(head, body)
        return self._read(head, body)

    def signed_call(self, head: Head) -> str:
        """Which call a key of ours has signed by this head, its body unseen; "" where none has."""
        desk = self._desk
        try:
            key, claim = signature.verify_head(
                head,
                protocol.read_query(head, self._options),
                desk.registry().access_keys,
                now_ns=self._now_ns(),
                clock_skew_s=self._options.clock_skew_s,
            )
        except ApiError:
            return ""
        return _call_of(key, claim)

    # ------------------------------------------------------------------------------------------------------------ within

    async def _read_in_turn(self, head: Head, body: bytes) -> Heard:
        """As `_read`, one after another and with rests: whoever has overheard the name of a key can send such requests."""
        options = self._options
        if self._waiting >= options.older_waiting_max:
            words = "Too many long requests with Signature 1.0 wait to be read: send this one again, or sign by ACS3."
            raise ApiError("ServiceUnavailable", words, retry_after_s=options.throttled_retry_after_s)
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        began_s = time.monotonic()
        try:
            return self._read(head, body)
        finally:
            rest_s = _REST * (time.monotonic() - began_s)
            asyncio.get_running_loop().call_later(rest_s, self._turn.release)

    def _read(self, head: Head, body: bytes) -> Heard:
        is_judged_first = len(body) > self._options.believed_body_max_bytes and signature.is_v3(head)
        signed = self._signed_undecoded(head, body) if is_judged_first else None
        request = protocol.parse_request(head, body, self._options)
        shape = protocol.answer_format(request.parameters)
        return Heard(request, shape, *(signed or self._signed(request)))

    def _signed(self, request: Request) -> _Signed:
        desk = self._desk
        action, version = signature.called(request)
        operation = self._find(action, version, self._options.fidelity)
        key, claim = signature.verify(
            request, desk.registry().access_keys, now_ns=self._now_ns(), clock_skew_s=self._options.clock_skew_s
        )
        self._look_at_version(operation, version)
        return operation, key, Nonce(_call_of(key, claim))

    def _look_at_version(self, operation: Operation, version: str) -> None:
        if version != protocol.VERSION:
            self._desk.unfamiliar.note(Kind.VERSION, operation.name, version)

    def _signed_undecoded(self, head: Head, body: bytes) -> _Signed:
        """As `_signed`, of a body that nobody but its caller may have us decode."""
        desk = self._desk
        query = protocol.read_query(head, self._options)
        action, version = signature.called(head)
        operation = self._find(action, version, self._options.fidelity)
        key, claim = signature.verify_whole(
            head,
            query,
            body,
            desk.registry().access_keys,
            now_ns=self._now_ns(),
            clock_skew_s=self._options.clock_skew_s,
        )
        self._look_at_version(operation, version)
        return operation, key, Nonce(_call_of(key, claim))


def _call_of(key: AccessKey, claim: Claim) -> str:
    """A call's nonce. Two keys may choose the same: neither must be able to use up the other's."""
    return f"{key.access_key_id}:{claim.nonce}"
