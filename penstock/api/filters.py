"""Filters of the Describe operations: `Filters.N.Key` and `Filters.N.Value`, read into what the catalog's queries take.

Keys are told apart by a declared table; filters AND, the comma-separated values within one OR. No I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from penstock.api.errors import ApiError
from penstock.api.parameters import Parameter, Wire, repeated
from penstock.api.paths import CONTROL
from penstock.api.times import minute_ns

IDS_MAX = 10
FilterValue = tuple[str, ...] | str | int
Judge = Callable[[str], FilterValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What was asked for, by key; a key that was not given asks for nothing."""

    asked: tuple[tuple[str, FilterValue], ...] = ()

    def words(self, key: str) -> tuple[str, ...] | None:
        """The values of a list filter, None when it was not given."""
        found = self._find(key)
        return found if isinstance(found, tuple) else None

    def text(self, key: str) -> str | None:
        """The value of a text filter."""
        found = self._find(key)
        return found if isinstance(found, str) else None

    def time_ns(self, key: str) -> int | None:
        """The value of a time filter."""
        found = self._find(key)
        return found if isinstance(found, int) else None

    def _find(self, key: str) -> FilterValue | None:
        return next((value for name, value in self.asked if name == key), None)


def filters(judges: Mapping[str, Judge], *, max_count: int) -> Parameter[Filters]:
    """The parameter `Filters` of an operation that knows these keys and takes at most `max_count` filters."""
    groups = repeated("Filters", ("Key", "Value"))

    def take(wire: Wire) -> Filters:
        pairs = groups(wire)
        if len(pairs) > max_count:
            raise ApiError("InvalidFilterParam", f"There are at most {max_count} filters.")
        asked: dict[str, FilterValue] = {}
        for key, value in pairs:
            if key not in judges:
                raise ApiError("InvalidFilterParam", f"A filter's key is one of {', '.join(judges)}.")
            if key in asked:
                raise ApiError("InvalidFilterParam", f"The filter {key} was given twice.")
            if CONTROL.search(value):
                raise ApiError("IllegalCharacters", f"The filter {key} holds control characters.")
            asked[key] = judges[key](value)
        return Filters(asked=tuple(asked.items()))

    return Parameter(names=("Filters.N.Key", "Filters.N.Value"), default=Filters(), take=take, keys=tuple(judges))


def ids(value: str) -> tuple[str, ...]:
    """Up to ten ids, comma-separated, matched exactly."""
    found = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    if not 1 <= len(found) <= IDS_MAX:
        raise _wrong(f"a filter by id has 1 to {IDS_MAX} of them, comma-separated")
    return found


def words_of(words: type[StrEnum] | tuple[str, ...]) -> Judge:
    """A comma-separated choice out of fixed words."""
    known = tuple(str(word) for word in words)

    def judge(value: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
        if not found or not set(found) <= set(known):
            raise _wrong(f"the value is out of {', '.join(known)}, comma-separated")
        return found

    return judge


def one_text(max_characters: int) -> Judge:
    """One text, taken whole: paths may hold commas."""

    def judge(value: str) -> str:
        if not 1 <= len(value) <= max_characters:
            raise _wrong(f"the value has 1 to {max_characters} characters")
        return value

    return judge


def exact_text(max_characters: int) -> Judge:
    """As `one_text`, for a key that is matched exactly: a list of one."""
    whole = one_text(max_characters)
    return lambda value: (str(whole(value)),)


def minute(value: str) -> int:
    """A time such as `2024-10-23T16:28Z`."""
    found = minute_ns(value.strip())
    if found is None:
        raise _wrong("a time is of the form yyyy-MM-ddThh:mmZ")
    return found


def _wrong(reason: str) -> ApiError:
    return ApiError("InvalidFilterValue", f"A filter's value is not usable: {reason}.")
