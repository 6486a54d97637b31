"""Credentials of buckets, found by the bucket's name in secrets.toml.

Whoever moves bytes asks here with a name, so that no message carries a secret. The file is read again when it changed.
Nothing is written, and an error never holds a secret.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from penstock.errors import PermissionDeniedError
from penstock.model import Credentials

Stamp = tuple[int, int, int]


def load_credentials(path: Path, bucket_name: str) -> Credentials:
    """The key pair kept for this bucket.

    Raises PermissionDeniedError when there is none or the file cannot be used: as with refused credentials, a person can
    mend it while the work waits.
    """
    stamp = _stamp(path, bucket_name)
    try:
        return _kept(path, stamp, bucket_name)
    except OSError as error:
        raise _unreadable(path, bucket_name, error) from error


def _stamp(path: Path, bucket_name: str) -> Stamp:
    """What tells whether the file is still the one that was read."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise _unreadable(path, bucket_name, error) from error
    return found.st_mtime_ns, found.st_ino, found.st_size


def _unreadable(path: Path, bucket_name: str, error: OSError) -> PermissionDeniedError:
    return PermissionDeniedError(f"{path} cannot be read: {error.strerror}", bucket=bucket_name)


@lru_cache(maxsize=256)
def _kept(path: Path, stamp: Stamp, bucket_name: str) -> Credentials:
    """Asked for every file that moves: all but the look at the file is done once."""
    kept = _buckets(path, stamp, bucket_name).get(bucket_name)
    if not isinstance(kept, Mapping):
        raise PermissionDeniedError(
            f"no credentials are kept for bucket {bucket_name}; keep them with: penstock bucket add", bucket=bucket_name
        )
    key_id, secret, token = (kept.get(word, "") for word in ("access_key_id", "access_key_secret", "security_token"))
    if not (isinstance(key_id, str) and isinstance(secret, str) and isinstance(token, str) and key_id and secret):
        raise PermissionDeniedError(
            f"{path}: [bucket.{bucket_name}] has to hold access_key_id and access_key_secret as texts",
            bucket=bucket_name,
        )
    return Credentials(access_key_id=key_id, access_key_secret=secret, security_token=token)


def _buckets(path: Path, stamp: Stamp, bucket_name: str) -> Mapping[str, Any]:
    try:
        return _parsed(path, stamp)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PermissionDeniedError(f"{path} is not valid TOML", bucket=bucket_name) from error


@lru_cache(maxsize=4)
def _parsed(path: Path, stamp: Stamp) -> Mapping[str, Any]:  # noqa: ARG001 - the stamp is the cache's key
    table = tomllib.loads(path.read_bytes().decode("utf-8")).get("bucket", {})
    return table if isinstance(table, Mapping) else {}
