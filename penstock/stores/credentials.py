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


def load_credentials(path: Path, bucket_name: str) -> Credentials:
    """The key pair kept for this bucket.

    Raises PermissionDeniedError when there is none or the file cannot be used: as with refused credentials, a person can
    mend it while the work waits.
    """
    kept = _buckets(path, bucket_name).get(bucket_name)
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


def load_all_credentials(path: Path) -> dict[str, Credentials]:
    """Every kept key pair by its bucket's name. Raises PermissionDeniedError as `load_credentials` does."""
    return {name: load_credentials(path, name) for name in _buckets(path, "")}


def _buckets(path: Path, bucket_name: str) -> Mapping[str, Any]:
    try:
        found = os.stat(path)
        return _parsed(path, (found.st_mtime_ns, found.st_ino, found.st_size))
    except OSError as error:
        raise PermissionDeniedError(f"{path} cannot be read: {error.strerror}", bucket=bucket_name) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PermissionDeniedError(f"{path} is not valid TOML", bucket=bucket_name) from error


@lru_cache(maxsize=4)
def _parsed(path: Path, stamp: tuple[int, int, int]) -> Mapping[str, Any]:  # noqa: ARG001 - the stamp is the cache's key
    table = tomllib.loads(path.read_bytes().decode("utf-8")).get("bucket", {})
    return table if isinstance(table, Mapping) else {}
