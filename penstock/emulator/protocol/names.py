"""Which bucket and object names OSS accepts. Pure checks; refuse with an `OssFault`."""

from __future__ import annotations

import re

from penstock.emulator.protocol.errors import OssFault

KEY_MAX_BYTES = 1023
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]\Z")


def is_bucket_name(name: str) -> bool:
    """Three to 63 of a-z, 0-9 and `-`, no `-` at either end."""
    return _BUCKET.match(name) is not None


def check_bucket_name(name: str) -> None:
    """Raises OssFault 400 InvalidBucketName."""
    if not is_bucket_name(name):
        raise OssFault(400, "InvalidBucketName", "The bucket name is not valid.", elements={"BucketName": name[:256]})


def check_object_key(key: bytes) -> None:
    """Raises OssFault 400 InvalidObjectName unless `key` is 1 to 1023 bytes of UTF-8 that begin with neither / nor \\."""
    if not 1 <= len(key) <= KEY_MAX_BYTES:
        raise OssFault(400, "InvalidObjectName", f"An object name has 1 to {KEY_MAX_BYTES} bytes, not {len(key)}.")
    if key[:1] in {b"/", b"\\"}:
        raise OssFault(400, "InvalidObjectName", "An object name begins with neither a slash nor a backslash.")
    try:
        key.decode("utf-8")
    except UnicodeDecodeError:
        raise OssFault(400, "InvalidObjectName", "An object name is UTF-8.") from None
