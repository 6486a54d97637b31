"""`penstock backup`: the catalog as it is at one moment, with settings, and secrets where they are asked for; served or not.

Calls `catalog.copying` and `catalog.soundness`. The backup takes its name when it is whole, compared, and on the disk; HOME is
only read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from penstock import __version__
from penstock.app.backup_file import CATALOG, MANIFEST, OPEN, SECRETS, Kept, Manifest, sha256_of
from penstock.catalog.copying import copy_catalog
from penstock.catalog.soundness import Soundness, look_at_catalog
from penstock.errors import SettingsError
from penstock.settings.files import sync_directory
from penstock.settings.home import Home

ENDLESS_S = float("inf")
ROOM_FACTOR = 1.1
_UNFINISHED = ".penstock-backup-"
_BEGINNING_S = 60.0
"""One so young may not have its lock yet."""


class Secrets(StrEnum):
    """Whether keys and credentials go into a backup."""

    LEFT_OUT = "left out"
    TAKEN = "taken"


Tell = Callable[[str, int, int], None]
"""What is done now, bytes done, and the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """A backup that is there."""

    path: Path
    manifest: Manifest
    size_bytes: int


def back_up(home: Home, target: Path, *, secrets: Secrets, tell: Tell) -> BackedUp:
    """Makes it at `target`: a tar file where that ends with `.tar`, else a directory that must not be there yet.

    An existing directory gets a tar file with the time in its name. Raises SettingsError, CatalogUnavailableError.
    """
    now_ns = time.time_ns()
    target = _named(home, target, now_ns)
    with contextlib.suppress(OSError):
        _sweep(target.parent)
    _refuse(home, target)
    partial = target.with_name(f"{_UNFINISHED}{os.getpid()}-{os.urandom(4).hex()}")
    try:
        os.mkdir(partial, 0o700)
        held = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(OSError):  # a file system without locks: what is left there is nobody's to remove
                fcntl.flock(held, fcntl.LOCK_EX)
            manifest = _gathered(home, partial, now_ns, secrets, tell)
            made = _packed(partial, manifest, tell) if target.suffix == ".tar" else partial
            size = sum(each.stat().st_size for each in ([made] if made.is_file() else made.rglob("*")))
            os.rename(made, target)
            sync_directory(target.parent)
        finally:
            partial.with_suffix(".tar").unlink(missing_ok=True)
            shutil.rmtree(partial, ignore_errors=True)
            os.close(held)
    except OSError as error:
        raise SettingsError(f"{error.filename or target}: {error.strerror or error}") from error
    return BackedUp(path=target, manifest=manifest, size_bytes=size)


def _sweep(directory: Path) -> None:
    """Removes what backups have left there that were killed: whoever lives holds a lock on his. Raises OSError."""
    for left in directory.glob(f"{_UNFINISHED}*"):
        if left.suffix or time.time() - left.stat().st_mtime < _BEGINNING_S:
            continue
        held = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # it is being written, or its file system knows no locks
        else:
            left.with_suffix(".tar").unlink(missing_ok=True)
            shutil.rmtree(left, ignore_errors=True)
        finally:
            os.close(held)


def _named(home: Home, target: Path, now_ns: int) -> Path:
    target = Path(os.path.abspath(target.expanduser()))
    if not target.is_dir() or (target / MANIFEST).exists():
        return target
    moment = datetime.fromtimestamp(now_ns / 1e9, UTC).strftime("%Y%m%dT%H%M%SZ")
    return target / f"penstock-{home.path.name}-{moment}.tar"


def _refuse(home: Home, target: Path) -> None:
    """What would be in the way, before anything is done. Raises SettingsError."""
    if target.exists():
        raise SettingsError(f"{target} is there already; a backup replaces nothing")
    if target.is_relative_to(home.path):
        raise SettingsError(f"{target} lies in HOME, and would be lost with it; take another disk")
    if not target.parent.is_dir():
        raise SettingsError(f"{target.parent} is no directory; make it, or mount what belongs there, and try again")
    if not home.catalog_file.exists():
        raise SettingsError(f"{home.path} was never served: there is no catalog to back up")
    copies = 2 if target.suffix == ".tar" else 1
    needed = int(home.catalog_file.stat().st_size * copies * ROOM_FACTOR)
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise SettingsError(f"{target.parent} has {free:,} bytes free, and the backup takes up to {needed:,}")


def _gathered(home: Home, directory: Path, now_ns: int, secrets: Secrets, tell: Tell) -> Manifest:
    """All files of it, durable and compared with what they were read from."""
    copy_catalog(home.catalog_file, directory / CATALOG, on_progress=lambda done, total: tell("copying", done, total))
    tell("checking", 0, 0)
    found = look_at_catalog(directory / CATALOG, until_s=ENDLESS_S)
    if found.soundness is not Soundness.SOUND:
        raise SettingsError(
            f"{home.catalog_file} is damaged ({found.words}): nothing was backed up. Keep older backups, and see what can be "
            f"read of it: sqlite3 {CATALOG} .recover"
        )
    taken = OPEN + (SECRETS if secrets is Secrets.TAKEN else ())
    for name in taken:
        if name != CATALOG and (home.path / name).is_file():
            _copied(home.path / name, directory / name)
    manifest = Manifest(
        penstock=__version__,
        schema=found.schema,
        made_ns=now_ns,
        home=os.fspath(home.path.resolve()),
        files={name: _kept(directory / name) for name in taken if (directory / name).is_file()},
    )
    _written(directory / MANIFEST, manifest.as_bytes())
    for each in (*(one for one in directory.iterdir() if one.is_dir()), directory):
        sync_directory(each)
    return manifest


def _kept(path: Path) -> Kept:
    with path.open("rb") as file:
        return Kept(size_bytes=path.stat().st_size, sha256=sha256_of(file))


def _copied(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, exist_ok=True)
    _written(target, source.read_bytes())


def _written(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _packed(directory: Path, manifest: Manifest, tell: Tell) -> Path:
    """One tar file of it, 0600, beside it; read again and compared before it counts."""
    path = directory.with_suffix(".tar")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w:", format=tarfile.PAX_FORMAT) as archive:
            for name in (MANIFEST, *manifest.files):
                archive.add(directory / name, arcname=name, filter=_nobodys)
        file.flush()
        os.fsync(file.fileno())
    tell("comparing", 0, 0)
    with tarfile.open(path, "r:") as archive:
        for name, kept in manifest.files.items():
            _compare(archive, name, kept)
    return path


def _compare(archive: tarfile.TarFile, name: str, kept: Kept) -> None:
    source = archive.extractfile(name)
    assert source is not None
    with source:
        if sha256_of(source) != kept.sha256:
            raise SettingsError(f"{name} was written, and reads otherwise: is that disk well? Nothing was backed up")


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Whose it was on this machine means nothing on another."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member
