"""How operations say which parameters they take: one `Parameter` each, that reads, judges and names its wire form.

An operation declares a tuple of them; `parse` reads them all before anything else happens. What is not declared is tolerated
and ignored. No I/O.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar, cast

from penstock.api.errors import ApiError, illegal_characters, invalid_format, missing
from penstock.api.paths import CONTROL, check_directory, check_file_path

Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)
Word = TypeVar("Word", bound=StrEnum)
Wire = Mapping[str, str]

TEXT_MAX_CHARACTERS = 1024
IDENTIFIER_MAX_CHARACTERS = 128
CLIENT_TOKEN_MAX_CHARACTERS = 64
INT64_MAX = (1 << 63) - 1
_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter(Generic[Value_co]):
    """One parameter. `names` are its wire names (`N` stands for an index from 1); `take` raises ApiError.

    `keys` are the words that `Filters.N.Key` may be, where that is what it reads.
    """

    names: tuple[str, ...]
    default: Value_co
    take: Callable[[Wire], Value_co]
    keys: tuple[str, ...] = ()


class Values:
    """What a request's parameters came to, one value for each declared parameter."""

    __slots__ = ("_by_name",)

    def __init__(self, by_name: dict[str, object]) -> None:
        self._by_name = by_name

    def __getitem__(self, parameter: Parameter[Value]) -> Value:
        return cast("Value", self._by_name[parameter.names[0]])


def parse(declared: Sequence[Parameter[object]], wire: Wire) -> Values:
    """Read every declared parameter, in the order of declaration. Raises ApiError for the first that is wrong.

    No control character may stand anywhere, in names and in what is ignored neither.
    """
    if CONTROL.search("".join([*wire, *wire.values()])):
        raise _control_characters(wire)
    return Values({parameter.names[0]: parameter.take(wire) for parameter in declared})


def _control_characters(wire: Wire) -> ApiError:
    for name, value in wire.items():
        if CONTROL.search(name):
            return illegal_characters("A parameter's name", "control characters")
        if CONTROL.search(value):
            break
    return illegal_characters(name, "control characters")


def fingerprint(action: str, declared: Sequence[Parameter[object]], values: Values) -> str:
    """A digest of what a call asks for: its action and each value that differs from its default.

    ClientToken and DryRun do not count, neither does what belongs to the signature or to transport.
    """
    asked = sorted(
        f"{parameter.names[0]}={str(values[parameter])!r}"
        for parameter in declared
        if parameter is not CLIENT_TOKEN and parameter is not DRY_RUN and values[parameter] != parameter.default
    )
    return hashlib.sha256("\n".join([action, *asked]).encode("utf-8", "surrogatepass")).hexdigest()


# ------------------------------------------------------------------------------------------------------- kinds of values


def required(
    name: str, judge: Callable[[str, str], Value], default: Value, *, missing_code: str = ""
) -> Parameter[Value]:
    """A parameter that has to be there; an empty one is missing. `default` is never taken, it only says the type."""

    def take(wire: Wire) -> Value:
        text = wire.get(name)
        if not text:
            raise missing(name, code=missing_code)
        return judge(name, text)

    return Parameter(names=(name,), default=default, take=take)


def optional(name: str, judge: Callable[[str, str], Value], default: Value) -> Parameter[Value]:
    """A parameter that may be absent; an empty one is absent, because some SDKs send every field."""

    def take(wire: Wire) -> Value:
        text = wire.get(name)
        return judge(name, text) if text else default

    return Parameter(names=(name,), default=default, take=take)


def only_as(names: tuple[str, ...], parameter: Parameter[Value]) -> Parameter[Value]:
    """`parameter`, refusing its object (`Condition` of `Condition.Size`) in any form but `names`: a guard is never dropped."""
    whole = names[0].partition(".")[0].lower()

    def take(wire: Wire) -> Value:
        for given in wire:
            if given not in names and given.lower().startswith(whole):
                raise invalid_format(given, f"it is given as {' and '.join(names)}")
        return parameter.take(wire)

    return Parameter(names=parameter.names, default=parameter.default, take=take)


def bounded_text(max_characters: int) -> Callable[[str, str], str]:
    """Any text without control characters."""

    def judge(name: str, text: str) -> str:
        if CONTROL.search(text):
            raise illegal_characters(name, "control characters")
        if len(text) > max_characters:
            raise invalid_format(name, f"it has at most {max_characters} characters")
        return text

    return judge


identifier = bounded_text(IDENTIFIER_MAX_CHARACTERS)
text = bounded_text(TEXT_MAX_CHARACTERS)


def integer(least: int, most: int, *, code: str = "InvalidParameter.InvalidFormat") -> Callable[[str, str], int]:
    """A decimal number between two bounds, both included."""

    def judge(name: str, text: str) -> int:
        if _INTEGER.fullmatch(text) is None or not least <= int(text) <= most:
            raise ApiError(code, f"{name} is a number from {least} to {most}.")
        return int(text)

    return judge


def boolean(name: str, text: str) -> bool:
    """`true` or `false` in any case: the Python SDK sends `True`."""
    word = text.lower()
    if word not in ("true", "false"):
        raise invalid_format(name, "it is true or false")
    return word == "true"


def word_of(words: type[Word], *, code: str = "InvalidParameter.InvalidFormat") -> Callable[[str, str], Word]:
    """One of a fixed set of words, in exactly this spelling."""

    def judge(name: str, text: str) -> Word:
        try:
            return words(text)
        except ValueError:
            raise ApiError(code, f"{name} is one of {', '.join(words)}.") from None

    return judge


def client_token(name: str, text: str) -> str:
    """1 to 64 printable ASCII characters, compared as they are."""
    if CONTROL.search(text):
        raise illegal_characters(name, "control characters")
    if not text.isascii() or len(text) > CLIENT_TOKEN_MAX_CHARACTERS:
        raise invalid_format(name, f"it has 1 to {CLIENT_TOKEN_MAX_CHARACTERS} ASCII characters")
    return text


def repeated(prefix: str, fields: tuple[str, ...]) -> Callable[[Wire], list[tuple[str, ...]]]:
    """Reads `prefix.N.field` groups by rising N: one tuple of texts each, "" for a field that is absent."""
    pattern = re.compile(rf"{re.escape(prefix)}\.([1-9]\d{{0,3}})\.({'|'.join(map(re.escape, fields))})", re.ASCII)
    start = f"{prefix}."

    def take(wire: Wire) -> list[tuple[str, ...]]:
        groups: dict[int, dict[str, str]] = {}
        for name, value in wire.items():
            found = pattern.fullmatch(name) if name.startswith(start) else None
            if found is not None:
                groups.setdefault(int(found[1]), {})[found[2]] = value
        return [tuple(groups[index].get(field, "") for field in fields) for index in sorted(groups)]

    return take


# ------------------------------------------------------------------------------- parameters that several operations have

FILE_SYSTEM_ID = required("FileSystemId", identifier, "")
DATA_FLOW_ID = required("DataFlowId", identifier, "")
TASK_ID = required("TaskId", identifier, "")
DRY_RUN = optional("DryRun", boolean, default=False)
CLIENT_TOKEN = optional("ClientToken", client_token, "")
NEXT_TOKEN = optional("NextToken", text, "")


def max_results(least: int) -> Parameter[int]:
    """How many items a page has: `least`..100, 20 unless told."""
    return optional("MaxResults", integer(least, 100, code="InvalidParameter.InvalidMaxResults"), 20)


def required_file_path(name: str) -> Parameter[str]:
    """A path that ends with a file's name."""
    return required(name, check_file_path, "")


def required_directory(name: str) -> Parameter[str]:
    """A path that starts and ends with `/`."""
    return required(name, check_directory, "")


def optional_directory(name: str) -> Parameter[str]:
    """As `required_directory`; "" when absent."""
    return optional(name, check_directory, "")
