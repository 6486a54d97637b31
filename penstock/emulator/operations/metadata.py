"""What is stored beside an object's bytes: the HTTP headers it comes back with, and the user's own. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.errors import OssFault, invalid_argument, not_implemented

USER_PREFIX = "x-oss-meta-"
USER_MAX_BYTES = 8 * 1024
DEFAULT_TYPE = "application/octet-stream"
STORAGE_CLASSES = ("Standard", "IA")
STORED = ("content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_OVERRIDES = {f"response-{name}": name for name in STORED}


def from_request(call: Call) -> dict[str, str]:
    """The headers of a Put, Initiate or Copy that are kept. Raises OssFault 400 where user metadata exceeds 8 KiB."""
    kept = {name: value for name, value in call.headers.items() if name in STORED and value}
    kept.setdefault("content-type", DEFAULT_TYPE)
    user = {name: value for name, value in call.headers.items() if name.startswith(USER_PREFIX)}
    if any(name == USER_PREFIX for name in user):
        raise invalid_argument("A user metadata header needs a name.", name=USER_PREFIX, value="")
    size = sum(
        len(name) - len(USER_PREFIX) + len(value.encode("utf-8", "surrogateescape")) for name, value in user.items()
    )
    if size > USER_MAX_BYTES:
        raise invalid_argument(f"User metadata has {size} bytes; the limit is {USER_MAX_BYTES}.")
    kept.update(user)
    kept["x-oss-storage-class"] = storage_class(call.header("x-oss-storage-class"))
    return kept


def storage_class(asked: str) -> str:
    """The class asked for, or the default. Raises OssFault 501 for those whose behaviour is not emulated."""
    if not asked:
        return STORAGE_CLASSES[0]
    if asked in STORAGE_CLASSES:
        return asked
    if asked in {"Archive", "ColdArchive", "DeepColdArchive"}:
        raise not_implemented(f"the storage class {asked}")
    raise invalid_argument("There is no such storage class.", name="x-oss-storage-class", value=asked)


def to_answer(stored: Mapping[str, str], query: Mapping[str, str]) -> dict[str, str]:
    """The headers of a GET or HEAD; `response-*` parameters override stored ones. Raises OssFault 400 InvalidRequest."""
    headers = dict(stored)
    for parameter, name in _OVERRIDES.items():
        if parameter in query:
            value = query[parameter]
            if any(ord(character) < 32 or ord(character) == 127 for character in value):
                raise OssFault(400, "InvalidRequest", f"{parameter} holds a control character.")
            headers[name] = value
    return headers


def without_user(stored: Mapping[str, str]) -> dict[str, str]:
    """What is not the user's own metadata."""
    return {name: value for name, value in stored.items() if not name.startswith(USER_PREFIX)}
