"""What is stored beside an object's bytes: the HTTP headers it comes back with, and the user's own. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Mapping

from penstock.emulator.operations import acl, tagging
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.errors import OssFault, invalid_argument
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.traits import DEFAULT_ACL, Traits

STORAGE_CLASS = "x-oss-storage-class"
USER_PREFIX = "x-oss-meta-"
USER_MAX_BYTES = 8 * 1024
DEFAULT_TYPE = "application/octet-stream"
STORAGE_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")
ENCRYPTION = "x-oss-server-side-encryption"
ENCRYPTION_ALGORITHMS = ("AES256", "KMS", "SM4")
# Kept and told, never carried out: nothing is encrypted here.
ENCRYPTION_HEADERS = (ENCRYPTION, f"{ENCRYPTION}-key-id", "x-oss-server-side-data-encryption")
KMS_KEY = "00000000-0000-4000-8000-000000000001"  # the master key that is named where a request names none
STORED = ("content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_USER_NAME = re.compile(r"x-oss-meta-[a-z0-9-]+\Z")
OVERRIDES = {f"response-{name}": name for name in STORED}


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
    kept.update(_encryption(call))
    return kept


def _encryption(call: Call) -> dict[str, str]:
    kept = {name: call.headers[name] for name in ENCRYPTION_HEADERS if name in call.headers}
    if kept and kept.get(ENCRYPTION) not in ENCRYPTION_ALGORITHMS:
        raise OssFault(400, "InvalidEncryptionAlgorithmError", "There is no such encryption algorithm.")
    if kept.get(ENCRYPTION) == "KMS":
        kept.setdefault(f"{ENCRYPTION}-key-id", KMS_KEY)
    return kept


def encryption_of(headers: Mapping[str, str]) -> dict[str, str]:
    """What a Put answers of how the object is said to be encrypted."""
    return {name: headers[name] for name in ENCRYPTION_HEADERS if name in headers}


def traits_from_request(call: Call) -> Traits:
    """ACL and tags of a Put, Initiate, Append or PutSymlink. Raises OssFault 400 InvalidArgument, InvalidTag."""
    return Traits(acl=acl.asked_object_acl(call) or DEFAULT_ACL, tags=tagging.from_header(call))


def in_bucket(headers: Mapping[str, str], bucket: Bucket) -> dict[str, str]:
    """`headers`, with the bucket's storage class where none was asked for."""
    return {STORAGE_CLASS: bucket.storage, **headers}


def storage_class(asked: str) -> str:
    """The class asked for, or the default. Raises OssFault 400 InvalidArgument."""
    if not asked:
        return STORAGE_CLASSES[0]
    if asked in STORAGE_CLASSES:
        return asked
    raise invalid_argument("There is no such storage class.", name=STORAGE_CLASS, value=asked)


def to_answer(stored: Mapping[str, str], query: Mapping[str, str]) -> dict[str, str]:
    """The headers of a GET or HEAD; `response-*` parameters override stored ones. Raises OssFault 400 InvalidRequest."""
    headers = dict(stored)
    for parameter, name in OVERRIDES.items():
        if parameter in query:
            value = query[parameter]
            if any(ord(character) < 32 or ord(character) == 127 for character in value):
                raise OssFault(400, "InvalidRequest", f"{parameter} holds a control character.")
            headers[name] = value
    return headers
