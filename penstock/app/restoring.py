"""`penstock restore`: puts a backup's catalog into HOME, or makes a HOME of it; what was there is kept beside it.

A file in HOME says that a restore is under way, from before anything is moved until all is in its place: a service does not start
meanwhile, and one that was killed is simply run again. Calls `catalog.copying` and `catalog.soundness`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from penstock.app.backing_up import ENDLESS_S, Tell
from penstock.app.backup_file import CATALOG, Manifest, judged, unpacked
from penstock.app.lock import service_lock, service_runs
from penstock.catalog.copying import begin_after, last_number
from penstock.catalog.soundness import Soundness, look_at_catalog
from penstock.errors import HomeInUseError, PenstockError, SettingsError
from penstock.settings.files import replace_file, sync_directory
from penstock.settings.home import Home

UNFINISHED = "restore.unfinished"
KEPT = "before-restore-"
_STAGED = f".{CATALOG}.restoring"
_OURS = (".restoring-", _STAGED, "service.lock", f".{UNFINISHED}.")
"""What a restore may leave in a new HOME that is killed before it touches anything."""
_CATALOG_FILES = (CATALOG, f"{CATALOG}-wal", f"{CATALOG}-shm")


class Extent(StrEnum):
    """What of a backup is taken into a HOME that is there."""

    CATALOG = "catalog"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was done. `kept` is where that lies which was there before, None where nothing was; `files` were put in place."""

    home: Home
    manifest: Manifest
    kept: Path | None
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """What HOME says of a restore that is under way: where old files go, and how far it goes."""

    kept: str
    extent: Extent


def refuse_unfinished(home: Home) -> None:
    """Raises SettingsError where a restore was broken off: what lies there is neither the old nor the new."""
    if (home.path / UNFINISHED).exists():
        raise SettingsError(
            f"a `penstock restore` was broken off in {home.path}: run it again, with the same backup or another one: "
            f"penstock restore BACKUP {shlex.quote(str(home.path))}"
        )


def restore(backup: Path, path: Path, *, extent: Extent, tell: Tell) -> Restored:
    """Takes the backup into the HOME at `path`, or makes one there. All of it is compared before anything of HOME is touched.

    Raises SettingsError, HomeInUseError, CatalogUnavailableError.
    """
    home = Home(path=Path(os.path.abspath(path.expanduser())))
    with contextlib.ExitStack() as stack:
        is_new = not home.settings_file.exists()
        if is_new:
            _make_directory(home)
            extent = Extent.ALL
        stack.enter_context(_held(home))
        place = unpacked(backup, stack.enter_context(_scratch(home)))
        manifest = judged(place, backup, on_progress=lambda done, total: tell("comparing", done, total))
        _refuse_beside_original(home, manifest)
        _stage(home, place, tell)
        begun = _begun(home, extent)
        files = tuple(manifest.files) if begun.extent is Extent.ALL else (CATALOG,)
        kept = _switch(home, place, begun, files)
    return Restored(home=home, manifest=manifest, kept=kept, files=files)


def _make_directory(home: Home) -> None:
    try:
        os.makedirs(home.path, mode=0o700, exist_ok=True)
        others = [name for name in os.listdir(home.path) if not name.startswith(_OURS)]
        if others and not (home.path / UNFINISHED).exists():
            raise SettingsError(
                f"{home.path} is not empty, and no HOME of Penstock; nothing was changed. Take a directory that is not there yet"
            )
        os.chmod(home.path, 0o700)
    except OSError as error:
        raise SettingsError(f"{home.path}: {error.strerror}") from error


@contextlib.contextmanager
def _held(home: Home) -> Iterator[None]:
    """HOME, locked. What a refused restore made on its way goes again; what a broken one has left stays for the next."""
    was_locked = home.service_lock.exists()
    with service_lock(home):
        try:
            yield
        except PenstockError:
            if not (home.path / UNFINISHED).exists():
                (home.path / _STAGED).unlink(missing_ok=True)
                if not was_locked:
                    home.service_lock.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _scratch(home: Home) -> Iterator[Path]:
    """A directory on the disk of HOME, for what is unpacked; what a death has left of an earlier one goes first."""
    for left in home.path.glob(".restoring-*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".restoring-", dir=home.path) as directory:
        yield Path(directory)


def _refuse_beside_original(home: Home, manifest: Manifest) -> None:
    """Raises HomeInUseError: the backup's own HOME is served, and both would do the same unfinished work."""
    original = Home(path=Path(manifest.home))
    with contextlib.suppress(OSError):
        if original.path != home.path.resolve() and original.settings_file.exists() and service_runs(original):
            raise HomeInUseError(
                f"{original.path}, of which this is a backup, is being served: both would do the same unfinished work. Stop that "
                "service first"
            )


def _stage(home: Home, place: Path, tell: Tell) -> None:
    """The new catalog beside the old one, sound, of a schema that is known, and giving no number again; durable."""
    staged = home.path / _STAGED
    staged.unlink(missing_ok=True)
    shutil.copyfile(place / CATALOG, staged)
    os.chmod(staged, 0o600)
    tell("checking", 0, 0)
    found = look_at_catalog(staged, until_s=ENDLESS_S)
    if found.soundness is not Soundness.SOUND:
        raise SettingsError(f"the catalog of the backup is damaged ({found.words}); take another one")
    if found.schema > found.known:
        raise SettingsError(
            f"a newer Penstock has made the backup (schema {found.schema}, known here: {found.known}); run that version"
        )
    begin_after(staged, max(time.time_ns(), last_number(home.catalog_file)))


def _switch(home: Home, place: Path, begun: _Begun, files: tuple[str, ...]) -> Path | None:
    """Old files aside, new ones in their place; what says that this is under way is there already, and goes last."""
    kept = home.path / begun.kept
    kept.mkdir(mode=0o700, exist_ok=True)
    for name in _CATALOG_FILES:
        if not (kept / name).exists() and (home.path / name).exists():
            os.rename(home.path / name, kept / name)
    os.rename(home.path / _STAGED, home.catalog_file)
    sync_directory(kept)
    sync_directory(home.path)
    for name in files:
        if name != CATALOG:
            _replaced(home, kept, place, name)
    is_empty = not os.listdir(kept)
    if is_empty:
        kept.rmdir()
    (home.path / UNFINISHED).unlink()
    sync_directory(home.path)
    return None if is_empty else kept


def _begun(home: Home, extent: Extent) -> _Begun:
    """Says that a restore is under way; one that was broken off is gone on with, as far as it was to go."""
    path = home.path / UNFINISHED
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        told = json.loads(path.read_bytes())
        return _Begun(kept=str(told["kept"]), extent=Extent.ALL if extent is Extent.ALL else Extent(told["extent"]))
    moment = datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%dT%H%M%S%fZ")
    begun = _Begun(kept=f"{KEPT}{moment}", extent=extent)
    replace_file(path, json.dumps(asdict(begun)).encode())
    return begun


def _replaced(home: Home, kept: Path, place: Path, name: str) -> None:
    """One of the small files; the old one is kept once."""
    target = home.path / name
    target.parent.mkdir(mode=0o700, exist_ok=True)
    if target.exists() and not (kept / name).exists():
        (kept / name).parent.mkdir(mode=0o700, exist_ok=True)
        replace_file(kept / name, target.read_bytes())
    replace_file(target, (place / name).read_bytes())
