"""`penstock init`: makes a HOME with all that the first steps need.

One access key, one file system over an empty directory, one embedded bucket with the tag and the versioning that dataflows ask
for, and on demand a local CA. penstock.toml is written last: HOME is made once it is there. What fails half-way is removed; what
a death half-way leaves goes with the next `init`, unless anything of others is with it (`broken_off`).
"""

from __future__ import annotations

import fcntl
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import tomlkit

from penstock.app import broken_off
from penstock.app.lock import service_runs
from penstock.app.recognising import recognised
from penstock.app.registering import EMBEDDED_ABILITIES, TAGS
from penstock.emulator.making import create_bucket
from penstock.errors import HomeExistsError, HomeInUseError, SettingsError
from penstock.model import AccessKey, AddressingStyle, Bucket, BucketKind, Credentials, FileSystem
from penstock.settings.choices import Settings
from penstock.settings.entries import access_key_values, bucket_values, file_system_values
from penstock.settings.files import replace_file, sync_directory
from penstock.settings.home import Home
from penstock.settings.naming import new_access_key, new_embedded_credentials, new_file_system_id
from penstock.settings.writing import SECRETS_HEAD, first_settings, put_entry
from penstock.stores.base import Versioning

FIRST_BUCKET = "examplebucket"


class Tls(StrEnum):
    """Whether the new service speaks https with a certificate of its own making."""

    NONE = "none"
    LOCAL = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What `init` made."""

    home: Home
    key: AccessKey
    file_system: FileSystem
    bucket: str
    region: str

    def as_json(self) -> dict[str, str]:
        """What scripts read."""
        return {
            "access_key_id": self.key.access_key_id,
            "access_key_secret": self.key.secret,
            "file_system_id": self.file_system.file_system_id,
            "root": self.file_system.root,
            "bucket": self.bucket,
            "region": self.region,
        }


def make_home(
    path: Path,
    *,
    tls: Tls,
    now_ns: int,
    entropy: Callable[[int], bytes],
    names: Callable[[int], bytes] | None = None,
) -> Made:
    """Makes HOME at `path`, which must not exist or be an empty directory. Raises HomeExistsError, SettingsError.

    `names` is what the file system's id is made of, if that is not to be `entropy`, as secrets are.
    """
    home = Home(path=Path(os.path.abspath(os.path.expanduser(path))))
    descriptor = _empty_directory(home)
    try:
        try:
            return _fill(home, tls=tls, now_ns=now_ns, entropy=entropy, names=names or entropy)
        except BaseException:
            broken_off.remove(home)
            raise
    finally:
        os.close(descriptor)


def _empty_directory(home: Home) -> int:
    """HOME, empty, 0700 and locked: a second `init` at the same moment comes too late. Raises HomeExistsError, SettingsError."""
    try:
        os.makedirs(home.path.parent, exist_ok=True)
        if not home.path.is_dir():
            os.mkdir(home.path, 0o700)
        descriptor = os.open(home.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileExistsError as error:
        raise HomeExistsError(f"{home.path} is there already and is no directory") from error
    except OSError as error:
        raise SettingsError(f"{home.path} cannot be made: {error.strerror}") from error
    try:
        _refuse_made(home)  # before a lock that its service may hold
        _lock(descriptor, home)
        _refuse_made(home)
        if broken_off.is_here(home):
            _refuse_others(home)
            broken_off.remove(home)
        if os.listdir(descriptor):
            raise HomeExistsError(
                f"{home.path} is not empty, and not a HOME of Penstock; nothing was changed. If a `penstock init` was broken "
                "off here, remove what it has left"
            )
        os.fchmod(descriptor, 0o700)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int, home: Home) -> None:
    """Waits for another `init`. Raises HomeInUseError when a service holds HOME, which lost its settings then."""
    if home.service_lock.exists() and service_runs(home):
        raise HomeInUseError(
            f"{home.path} is in use by a service, although its penstock.toml is gone; stop that one first"
        )
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _refuse_made(home: Home) -> None:
    if home.settings_file.exists():
        raise HomeExistsError(
            f"{home.path} was made already; nothing was changed. Start it with: "
            f"penstock serve {shlex.quote(str(home.path))}"
        )


def _refuse_others(home: Home) -> None:
    others = broken_off.of_others(home)
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        raise HomeExistsError(
            f"a `penstock init` was broken off here, in {home.path}, and not of its making, or not for certain, is"
            f" {', '.join(others[:5])}{more}; nothing was changed. Was it in use since, put its penstock.toml back; else"
            " move that away, or take another directory"
        )


def _fill(home: Home, *, tls: Tls, now_ns: int, entropy: Callable[[int], bytes], names: Callable[[int], bytes]) -> Made:
    broken_off.begin(home)
    region = Settings().region
    key = new_access_key(entropy, created_ns=now_ns, description="made by init")
    os.mkdir(home.file_system_root, 0o755)
    file_system = FileSystem(
        file_system_id=new_file_system_id(names),
        root=os.fspath(home.file_system_root),
        description="made by init",
        region=region,
        created_ns=now_ns,
    )
    file_system = recognised(file_system, entropy=entropy).file_system
    changed: dict[str, str] = {}
    if tls is Tls.LOCAL:
        # What makes certificates is much to import for those who make none.
        from penstock.app.certificates import write_certificates  # noqa: PLC0415

        write_certificates(home, now_ns=now_ns, entropy=entropy)
        changed = {"tls_certificate": "tls/server.pem", "tls_key": "tls/server.key"}
    create_bucket(home.emulator, FIRST_BUCKET, tags=TAGS, versioning=Versioning.ENABLED.value)
    replace_file(home.secrets_file, _secrets(key, new_embedded_credentials(entropy)))
    replace_file(home.settings_file, _settings(changed, file_system, region))
    broken_off.end(home)
    sync_directory(home.path.parent)
    return Made(home=home, key=key, file_system=file_system, bucket=FIRST_BUCKET, region=region)


def _secrets(key: AccessKey, embedded: Credentials) -> bytes:
    document = tomlkit.parse(SECRETS_HEAD)
    put_entry(document, "access_key", key.access_key_id, access_key_values(key))
    values = {"access_key_id": embedded.access_key_id, "access_key_secret": embedded.access_key_secret}
    put_entry(document, "bucket", FIRST_BUCKET, values)
    return document.as_string().encode()


def _settings(changed: dict[str, str], file_system: FileSystem, region: str) -> bytes:
    document = tomlkit.parse(first_settings(changed))
    bucket = Bucket(
        name=FIRST_BUCKET,
        kind=BucketKind.EMBEDDED,
        endpoint="",
        region=region,
        addressing_style=AddressingStyle.PATH,
        abilities=EMBEDDED_ABILITIES,
    )
    put_entry(document, "file_system", file_system.file_system_id, file_system_values(file_system))
    put_entry(document, "bucket", FIRST_BUCKET, bucket_values(bucket))
    return document.as_string().encode()
