"""Pages of lists, newest first: where the last one ended, and walking many ordered branches as one.

A NextToken holds the last number and a digest of the filters it was made for, so it fits no others. Knows no noun.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import heapq
import json
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TypeVar

from penstock.catalog.verbs import Page
from penstock.errors import InvalidNextTokenError

Item = TypeVar("Item")

AFTER_ALL = (1 << 63) - 1
"""Above every number: where the first page begins."""

_TOKEN = struct.Struct(">q16s")
_SHAPE = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)


def filters_digest(query: object) -> bytes:
    """What a NextToken is bound to: the kind of list and all of its filters (a frozen dataclass)."""
    text = json.dumps([type(query).__name__, asdict(query)], sort_keys=True, default=str)  # type: ignore[call-overload]
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def write_token(number: int, query: object) -> str:
    """The NextToken of a page that ended with `number`."""
    return base64.urlsafe_b64encode(_TOKEN.pack(number, filters_digest(query))).decode("ascii")


def read_token(next_token: str, query: object) -> int:
    """The number below which the page begins. InvalidNextTokenError."""
    if not next_token:
        return AFTER_ALL
    try:
        if not _SHAPE.fullmatch(next_token):
            raise InvalidNextTokenError("this NextToken is malformed")
        number, digest = _TOKEN.unpack(base64.urlsafe_b64decode(next_token))
    except (binascii.Error, struct.error) as error:
        raise InvalidNextTokenError("this NextToken is malformed") from error
    if digest != filters_digest(query):
        raise InvalidNextTokenError("this NextToken belongs to other filters")
    return int(number)


Branch = Callable[[int, int], Sequence[int]]
"""(before, limit) → at most `limit` numbers below `before`, falling: one walk along one index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """How a page is filled: from these branches, at most `limit` items, at most `rows_max` numbers looked at."""

    branches: Sequence[Branch]
    limit: int
    rows_max: int


def merged(branches: Sequence[Branch], before: int, portion: int) -> Iterator[int]:
    """The numbers of all branches below `before`, falling, each once; read `portion` at a time."""
    last = AFTER_ALL
    for number in heapq.merge(*(_along(branch, before, portion) for branch in branches), reverse=True):
        if number != last:
            last = number
            yield number


def _along(branch: Branch, before: int, portion: int) -> Iterator[int]:
    while True:
        numbers = branch(before, portion)
        yield from numbers
        if len(numbers) < portion:
            return
        before = numbers[-1]


def fill(walk: Walk, next_token: str, query: object, load: Callable[[Sequence[int]], dict[int, Item]]) -> Page[Item]:
    """A page of what `load` keeps of the numbers it is given (it leaves out what the other filters do not want).

    A page may be short, or even empty, and still have a NextToken: then `rows_max` numbers were looked at.
    """
    numbers = merged(walk.branches, read_token(next_token, query), walk.limit + 1)
    items: list[Item] = []
    looked, last = 0, AFTER_ALL
    while looked < walk.rows_max:
        portion = list(islice(numbers, min(walk.limit + 1, walk.rows_max - looked)))
        if not portion:
            return Page(items=tuple(items), next_token="")
        looked += len(portion)
        kept = load(portion)
        for number in portion:
            if number in kept:
                if len(items) == walk.limit:
                    return Page(items=tuple(items), next_token=write_token(last, query))
                items.append(kept[number])
            last = number
    return Page(items=tuple(items), next_token=write_token(last, query))
