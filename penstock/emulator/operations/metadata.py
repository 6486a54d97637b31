"""What is stored beside an object's bytes: the HTTP headers it comes back with, and the user's own. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Mapping

from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.errors import OssFault, invalid_argument, not_implemented
from penstock.emulator.storage.buckets import Bucket

STORAGE_CLASS = "x-oss-storage-class"
USER_PREFIX = "x-oss-meta-"
USER_MAX_BYTES = 8 * 1024
DEFAULT_TYPE = "application/octet-stream"
STORAGE_CLASSES = ("Standard", "IA")
STORED = ("content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_USER_NAME = re.compile(r"x-oss-meta-[a-z0-9-]+\Z")
_OVERRIDES = {f"response-{name}": name for name in STORED}


def from_request(call: Call) -> dict[str, str]:
    """The headers of a Put, Initiate or Copy that are kept. Raises OssFault 400 where user metadata exceeds 8 KiB."""
    kept = {name: value for name, value in call.headers.items() if name in STORED and value}
    kept.setdefault("content-type", DEFAULT_TYPE)
    user = {name: value for name, value in call.headers.items() if name.startswith(USER_PREFIX)}
    for name in user:
        if not _USER_NAME.match(name):
            raise invalid_argument("User metadata names are letters, digits and hyphens.", name=name, value="")
    size = sum(len(name) + len(value.encode("utf-8", "surrogateescape")) for name, value in user.items())
    if size > USER_MAX_BYTES:
        raise invalid_argument(f"User metadata has {size} bytes; the limit is {USER_MAX_BYTES}.")
    kept.update(user)
    if asked := call.header(STORAGE_CLASS):
        kept[STORAGE_CLASS] = storage_class(asked)
    return kept


def in_bucket(headers: Mapping[str, str], bucket: Bucket) -> dict[str, str]:
    """`headers`, with the bucket's storage class where none was asked for."""
    return {STORAGE_CLASS: bucket.storage, **headers}


def storage_class(asked: str) -> str:
    """The class asked for, or the default. Raises OssFault 501 for those whose behaviour is not emulated."""
    if not asked:
        return STORAGE_CLASSES[0]
    if asked in STORAGE_CLASSES:
        return asked
    if asked in {"Archive", "ColdArchive", "DeepColdArchive"}:
        raise not_implemented(f"the storage class {asked}")
    raise invalid_argument("There is no such storage class.", name=STORAGE_CLASS, value=asked)


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
