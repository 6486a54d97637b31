"""Which credentials a bucket is reached with: kept ones, those of the environment, or ones that renew themselves.

Calls `credentials` for secrets.toml and `sources` for the rest. `Bucket.credentials` is one word: empty (secrets.toml),
`environment`, the absolute path of a file, or a URL. One source serves all buckets that name it.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from pathlib import Path

from penstock.errors import PermissionDeniedError, SettingsError
from penstock.model import ENVIRONMENT, Bucket, BucketKind, Credentials
from penstock.stores.credentials import load_credentials
from penstock.stores.renewing import Renewing, Source
from penstock.stores.sources import FileSource, UrlSource

Keys = Credentials | Renewing
"""What a store is opened with."""

VARIABLES: Mapping[BucketKind, tuple[str, str, str]] = {
    BucketKind.OSS: ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"),
    BucketKind.S3: ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
}
"""Key id, secret and session token in the environment, by kind."""


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that hold credentials: what the movers' own environment gets of the service's."""
    names = (name for variables in VARIABLES.values() for name in variables)
    return {name: environment[name] for name in names if environment.get(name)}


class Keychain:
    """Thread-safe. `environment` holds at least what `passed_on` picks."""

    def __init__(self, secrets_path: Path, environment: Mapping[str, str]) -> None:
        self._secrets_path = secrets_path
        self._environment = environment
        self._lock = threading.Lock()
        self._renewing: dict[str, Renewing] = {}

    def of(self, bucket: Bucket) -> Keys:
        """The same object each time for credentials that renew themselves: nothing is asked of their source here.

        Raises PermissionDeniedError: there are none, and a person can mend that.
        """
        if not bucket.credentials:
            return load_credentials(self._secrets_path, bucket.name)
        if bucket.credentials == ENVIRONMENT:
            return of_environment(self._environment, bucket.kind)
        with self._lock:
            known = self._renewing.get(bucket.credentials)
            if known is None:
                known = self._renewing[bucket.credentials] = Renewing(_source(bucket.credentials))
            return known


def of_environment(environment: Mapping[str, str], kind: BucketKind) -> Credentials:
    """The key pair of that kind. Raises PermissionDeniedError that names the variables."""
    key_id, secret, token = (environment.get(name, "").strip() for name in VARIABLES.get(kind, ("", "", "")))
    if not key_id or not secret:
        wanted = " and ".join(VARIABLES[kind][:2]) if kind in VARIABLES else "nothing"
        raise PermissionDeniedError(
            f"the environment lacks {wanted}: the service and `bucket add` each want them in their own"
        )
    return Credentials(access_key_id=key_id, access_key_secret=secret, security_token=token)


def _source(word: str) -> Source:
    return FileSource(Path(word)) if word.startswith("/") else UrlSource(word, tls=_tls)


def _tls() -> ssl.SSLContext:
    try:
        return ssl.create_default_context()
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"this machine's CA certificates cannot be read: {error}") from error
