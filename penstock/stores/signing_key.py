"""What both protocols sign with: the moment in their words, and the key of a day, a region and a service. Pure."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hashlib import _Hash

SECOND_NS = 10**9
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))


class Moment(NamedTuple):
    """A second as it stands in signed headers, what a key of that day is good for, and that key.

    `inner` and `outer` are HMAC's two hashes after they took in that key: who signs goes on with copies, in a third of the time.
    """

    second: int
    stamp: str
    scope: str
    key: bytes
    inner: _Hash
    outer: _Hash


class SigningKey:
    """`prefix` + secret, then day, region, service and closing word, each hashed with the one before; kept for the day.

    Thread-safe without a lock: what is kept is one value that is replaced as a whole, and making it twice does no harm.
    """

    def __init__(self, prefix: str, secret: str, *, region: str, service: str, closing: str) -> None:
        self._start = f"{prefix}{secret}".encode()
        self._steps = (region, service, closing)
        self._kept = _keyed(second=-1, stamp="", scope="", key=b"")

    def moment(self, now_ns: int) -> Moment:
        """The second in which `now_ns` lies."""
        kept = self._kept
        second = now_ns // SECOND_NS
        if kept.second == second:
            return kept
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        day = stamp[:8]
        same_day = kept.stamp.startswith(day)
        scope = "/".join((day, *self._steps))
        kept = _keyed(second=second, stamp=stamp, scope=scope, key=kept.key if same_day else self._of(day))
        self._kept = kept
        return kept

    def _of(self, day: str) -> bytes:
        key = self._start
        for step in (day, *self._steps):
            key = hmac.digest(key, step.encode(), "sha256")
        return key


def signature(moment: Moment, text: str) -> str:
    """HMAC-SHA256 of `text` under the moment's key, in hex."""
    inner, outer = moment.inner.copy(), moment.outer.copy()
    inner.update(text.encode())
    outer.update(inner.digest())
    return outer.hexdigest()


def _keyed(*, second: int, stamp: str, scope: str, key: bytes) -> Moment:
    padded = key.ljust(hashlib.sha256().block_size, b"\0")  # a key is a SHA-256, so never longer
    inner, outer = (hashlib.sha256(padded.translate(pad)) for pad in (_INNER_PAD, _OUTER_PAD))
    return Moment(second=second, stamp=stamp, scope=scope, key=key, inner=inner, outer=outer)
