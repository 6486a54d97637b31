"""A verb whose request was sent: what waits for its answer and makes a value of it. Calls `exchange`; knows no verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from penstock.stores.exchange import Begun
from penstock.stores.response import Response

Answer = TypeVar("Answer")


class Pending(Generic[Answer]):
    """Implements `stores.base.Started`."""

    __slots__ = ("_begun", "_finish")

    def __init__(self, begun: Begun, finish: Callable[[Response], Answer]) -> None:
        self._begun = begun
        self._finish = finish

    def result(self) -> Answer:
        return self._finish(self._begun.answer())

    def fileno(self) -> int:
        return self._begun.fileno()

    def is_there(self) -> bool:
        return self._begun.is_there()

    @property
    def is_asked_anew(self) -> bool:
        return self._begun.is_asked_anew

    def came(self) -> None:
        self._begun.came()

    def abandon(self) -> None:
        self._begun.abandon()
