"""Where a look at the ledger ended, as a text that a page can keep: of a list both ways, and of what has changed.

A cursor of a list belongs to the filters that it was made for. Knows no noun.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from penstock.catalog.pages import filters_digest
from penstock.errors import InvalidNextTokenError

_PLACE = struct.Struct(">BBq16s")
_MOMENT = struct.Struct(">qqqq")
_TEXT_MAX = 64


class Way(IntEnum):
    """Whether a page goes on to what is older (or, by another order, behind), or back."""

    ON = 0
    BACK = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Between which rows a page begins: behind (or before) the one with this number, in this stretch of the order."""

    way: Way
    stretch: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The newest of what was seen: a number given, an end (its time and number), a happening's time."""

    number: int
    ended_ns: int
    ended_number: int
    happened_ns: int


def write_place(place: Place, query: object) -> str:
    """As a text."""
    return _written(_PLACE.pack(place.way, place.stretch, place.number, filters_digest(query)))


def read_place(cursor: str, query: object) -> Place:
    """InvalidNextTokenError."""
    way, stretch, number, digest = _read(cursor, _PLACE)
    if way > Way.BACK:
        raise InvalidNextTokenError("this cursor is malformed")
    if digest != filters_digest(query):
        raise InvalidNextTokenError("this cursor belongs to other filters")
    return Place(way=Way(way), stretch=stretch, number=number)


def write_moment(moment: Moment) -> str:
    """As a text."""
    return _written(_MOMENT.pack(moment.number, moment.ended_ns, moment.ended_number, moment.happened_ns))


def read_moment(cursor: str) -> Moment:
    """InvalidNextTokenError."""
    number, ended_ns, ended_number, happened_ns = _read(cursor, _MOMENT)
    return Moment(number=number, ended_ns=ended_ns, ended_number=ended_number, happened_ns=happened_ns)


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _read(text: str, shape: struct.Struct) -> tuple[Any, ...]:
    try:
        if len(text) > _TEXT_MAX or not text.isascii():
            raise InvalidNextTokenError("this cursor is malformed")
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return shape.unpack(raw)
    except (binascii.Error, struct.error) as error:
        raise InvalidNextTokenError("this cursor is malformed") from error
