"""What the console is handed by the service: the API in this process, what is registered, time, chance, and when to end.

Only values and functions; whoever assembles the service fills them in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from penstock.catalog.live import Seeing
from penstock.console.calls import Call
from penstock.model import AccessKey, Bucket, Registry, Report
from penstock.stores.base import Store

Found = TypeVar("Found")


class Answered(Protocol):
    """What the API answers to one action. `code` is empty on success."""

    @property
    def status(self) -> int:
        """The HTTP status that a caller over the wire would see."""

    @property
    def code(self) -> str:
        """The error code; empty on success."""

    @property
    def request_id(self) -> str:
        """By which the service's log is searched."""

    @property
    def body(self) -> Mapping[str, Any]:
        """The answer's fields; of a refusal Code, Message and Recommend."""


class Sent(Protocol):
    """A report that is handed out: its length, and its bytes in pieces."""

    @property
    def size_bytes(self) -> int:
        """All of it."""

    @property
    def pieces(self) -> AsyncIterator[bytes]:
        """Read from the catalog as they are sent."""


class Errands(Protocol):
    """Blocking questions to stores or file systems, asked from a few threads each and never waited for longer than a bound."""

    async def ask(self, whom: str, question: Callable[[], Found], *, limit_s: float) -> Found:
        """The answer of `whom`. Raises TimeoutError, and whatever the question raises."""


Perform = Callable[[AccessKey, str, Mapping[str, str]], Awaitable[Answered]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Everything outside of the console that it may use. `may` and `sees` judge a key's rights as the API does;
    `calls` are the API's last ones that a key may know of, newest first, beyond a number; `report` is one of a batch's by its
    task's id, None where there is none: it asks for no rights.

    `ending` is set when the service stops: what lasts, like a stream, ends then. `home` is what commands are told, `api_url`
    and `ca_file` (empty: the system's) what programs are; `path_base` is how the service reads a sub-task's paths. `is_stand_in`
    has pages say so, and gives them one more.
    """

    perform: Perform
    open_bucket: Callable[[Bucket], Store]
    stores: Errands
    file_systems: Errands
    may: Callable[[AccessKey, str, str], bool]
    sees: Callable[[AccessKey, str], bool]
    registry: Callable[[], Registry]
    seeing: Seeing
    report: Callable[[str, Report], Awaitable[Sent | None]]
    calls: Callable[[AccessKey, int], Iterator[Call]]
    now_ns: Callable[[], int]
    entropy: Callable[[int], bytes]
    ending: asyncio.Event
    home: str
    api_url: str
    ca_file: str
    path_base: str
    region: str
    session_key: bytes
    host_names: frozenset[str]
    is_stand_in: bool
