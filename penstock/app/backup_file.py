"""What a backup is: a directory, or a tar file of one, with a manifest that names every file, its size and its SHA-256.

Reads and judges; `backing_up` makes them, `restoring` takes them. Writes only into a directory that it is told to unpack to.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from penstock.errors import SettingsError

FORMAT = 1
MANIFEST = "manifest.json"
CATALOG = "catalog.db"
SETTINGS = "penstock.toml"
SECRETS = ("secrets.toml", "console.key", "tls/server.key")
"""Who has these can do what the service can."""
OPEN = (CATALOG, SETTINGS, "tls/server.pem", "tls/ca.pem")
"""What a backup always has, as far as HOME has it."""
PIECE_BYTES = 1 << 20
MANIFEST_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One file of a backup."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup is of. `home` is where its HOME was, `schema` that of its catalog, `penstock` the version that made it."""

    penstock: str
    schema: int
    made_ns: int
    home: str
    files: Mapping[str, Kept]

    @property
    def has_secrets(self) -> bool:
        """Whether keys and credentials are in it."""
        return SECRETS[0] in self.files

    def as_bytes(self) -> bytes:
        """As it is written."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1).encode() + b"\n"


def manifest_of(data: bytes, where: Path) -> Manifest:
    """As it was written. Raises SettingsError."""
    try:
        told = json.loads(data)
        if told["format"] != FORMAT:
            raise SettingsError(
                f"{where} is a backup of another format ({told['format']!r}): take the version that made it"
            )
        files = {
            name: Kept(size_bytes=int(kept["size_bytes"]), sha256=str(kept["sha256"]))
            for name, kept in told["files"].items()
        }
        made = Manifest(
            penstock=str(told["penstock"]),
            schema=int(told["schema"]),
            made_ns=int(told["made_ns"]),
            home=str(told["home"]),
            files=files,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{where} is no backup of Penstock: its {MANIFEST} cannot be read") from error
    unknown = set(files) - {*OPEN, *SECRETS}
    if unknown or CATALOG not in files:
        raise SettingsError(f"{where} is no backup of Penstock: it has {', '.join(sorted(unknown)) or 'no catalog'}")
    return made


def sha256_of(file: IO[bytes], *, on_bytes: Callable[[int], None] = lambda _: None) -> str:
    """Of all that is read from it. Raises OSError."""
    digest, done = hashlib.sha256(), 0
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
        done += len(piece)
        on_bytes(done)
    return digest.hexdigest()


def unpacked(backup: Path, directory: Path) -> Path:
    """Where the files of a backup lie: itself, or `directory`, into which a tar file is unpacked. Raises SettingsError."""
    if backup.is_dir():
        return backup
    try:
        with tarfile.open(backup, "r:") as archive:
            for member in archive:
                if not member.isreg() or member.name not in {MANIFEST, *OPEN, *SECRETS}:
                    raise SettingsError(f"{backup} is no backup of Penstock: {member.name} is in it")
                source = archive.extractfile(member)
                assert source is not None
                target = directory / member.name
                target.parent.mkdir(mode=0o700, exist_ok=True)
                with source, os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    shutil.copyfileobj(source, file, PIECE_BYTES)
    except (tarfile.TarError, EOFError) as error:
        raise SettingsError(f"{backup} is no backup of Penstock: {error}") from error
    except OSError as error:
        raise SettingsError(f"{error.filename or backup}: {error.strerror or error}") from error
    return directory


def judged(place: Path, named: Path, *, on_progress: Callable[[int, int], None]) -> Manifest:
    """The manifest of what lies at `place`, once every file was compared with it. Raises SettingsError, which says `named`."""
    try:
        with (place / MANIFEST).open("rb") as file:
            manifest = manifest_of(file.read(MANIFEST_MAX_BYTES), named)
        total = sum(kept.size_bytes for kept in manifest.files.values())
        before = 0
        for name, kept in manifest.files.items():
            path, begun = place / name, before
            with path.open("rb") as file:
                found = sha256_of(file, on_bytes=lambda done, begun=begun: on_progress(begun + done, total))  # type: ignore[misc]
            if (path.stat().st_size, found) != (kept.size_bytes, kept.sha256):
                raise SettingsError(
                    f"{named} is damaged: {name} is not as it was when the backup was made; take another one"
                )
            before += kept.size_bytes
    except FileNotFoundError as error:
        raise SettingsError(
            f"{named} is no backup of Penstock, or not a whole one: {error.filename} is missing"
        ) from error
    except OSError as error:
        raise SettingsError(f"{error.filename or named}: {error.strerror or error}") from error
    return manifest
