"""The body of a GET while it arrives.

Calls the answer on the wire; knows the object it belongs to. Never keeps a byte.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from penstock.errors import StoreError, StoreUnavailableError
from penstock.stores import answers
from penstock.stores.base import ByteRange, ObjectInfo
from penstock.stores.exchange import Exchange
from penstock.stores.pacer import Weight
from penstock.stores.response import Response


class Stream:
    """The body of a GET, counted; leaving its context closes the connection unless the body was read to its end."""

    __slots__ = ("_began_s", "_exchange", "_info", "_left", "_length_bytes", "_response", "_weight")

    def __init__(
        self, exchange: Exchange, response: Response, info: ObjectInfo, length_bytes: int, weight: Weight
    ) -> None:
        self._exchange = exchange
        self._response = response
        self._info = info
        self._length_bytes = length_bytes
        self._weight = weight
        self._left = length_bytes
        self._began_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()

    @property
    def info(self) -> ObjectInfo:
        return self._info

    @property
    def length_bytes(self) -> int:
        return self._length_bytes

    def fileno(self) -> int:
        return self._response.fileno()

    def is_there(self) -> bool:
        return self._response.is_there()

    def came(self) -> None:
        pass

    def readinto(self, buffer: memoryview) -> int:
        if self._left == 0 or len(buffer) == 0:
            return 0
        if self._weight is Weight.PART:
            self._exchange.pacer.turned_back()
        try:
            count = self._response.readinto(buffer[: self._left])
        except StoreError as error:
            if isinstance(error, StoreUnavailableError):
                self._exchange.pacer.lost(began_s=self._began_s)
            self._exchange.name(error, self._info.key)
            raise
        if count == 0:
            key = self._info.key
            words = f"the body of {key!r} ended {self._left} bytes before its length of {self._length_bytes}"
            raise StoreUnavailableError(words, bucket=self._exchange.bucket, key=key)
        if self._left < self._length_bytes:  # the first piece has mostly come with the head, which was heard of
            self._exchange.pacer.moved()
        self._left -= count
        if self._left == 0:
            self._response.end()
        elif self._weight is Weight.PART:
            self._exchange.pacer.turned_away()
        return count


def lengths(response: Response, byte_range: ByteRange | None) -> tuple[int, int]:
    """Length of the body and of the object."""
    if byte_range is None:
        if response.status != 200:
            raise StoreUnavailableError(f"the store answered {response.status} to a request for a whole object")
        length = answers.length_of(response.headers)
        return length, length
    if response.status != 206:
        raise StoreUnavailableError("the store ignored the range that was asked and answered the whole object")
    length, size = answers.range_answered(response.headers, byte_range)
    if response.length_bytes not in {None, length}:
        raise StoreUnavailableError(f"the store's Content-Length {response.length_bytes} is not that of its range")
    return length, size
