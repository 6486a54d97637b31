"""What lies below a stand-in's own HOME: emptied by a reset, copied by a snapshot, put back by a restore.

Emptying moves things aside within HOME, which takes milliseconds however many they are, and removes them afterwards. File systems
whose root lies elsewhere, and buckets that are not embedded, are never touched. Blocks: called in threads, while the buckets are
closed and the catalog is.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from pathlib import Path

from penstock.app.registering import TAGS
from penstock.catalog.copying import copy_catalog
from penstock.emulator.making import create_bucket
from penstock.model import BucketKind, Registry
from penstock.settings.home import Home
from penstock.stores.base import Versioning
from penstock.transfer.mark import MARK_FILE

_DIRECTORY = "stand-in.kept"
_CATALOG_FILES = ("catalog.db", "catalog.db-wal", "catalog.db-shm", "nonces.db", "nonces.db-wal", "nonces.db-shm")
_CLOCK = "clock.json"


class Contents:
    """Of one HOME."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._kept = home.path / _DIRECTORY
        self._aside = home.path / f"{_DIRECTORY}.old"

    def snapshots(self) -> list[str]:
        """By name."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(name for name in os.listdir(self._kept) if not name.endswith(".part"))
        return []

    def empty(self, registry: Registry) -> None:
        """No catalog, no object, no file; embedded buckets as `init` makes them."""
        aside = self._put_aside(registry)
        for bucket in registry.buckets.values():
            if bucket.kind is BucketKind.EMBEDDED:
                create_bucket(self._home.emulator, bucket.name, tags=TAGS, versioning=Versioning.ENABLED.value)
        _removed_later(aside)

    def keep(self, name: str, registry: Registry, clock: dict[str, int]) -> None:
        """Copy all of it. A snapshot of that name that was there is replaced."""
        whole, part = self._kept / name, self._kept / f"{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True, mode=0o700)
        copy_catalog(self._home.catalog_file, part / "catalog.db", on_progress=_silently)
        shutil.copytree(self._home.emulator, part / "emulator", symlinks=True)
        for file_system_id, root in self._roots(registry):
            shutil.copytree(root, part / "roots" / file_system_id, symlinks=True)
        (part / _CLOCK).write_text(json.dumps(clock))
        shutil.rmtree(whole, ignore_errors=True)
        os.rename(part, whole)

    def put_back(self, name: str, registry: Registry) -> dict[str, int]:
        """What was kept so takes the place of what is there; how the clock stood."""
        kept = self._kept / name
        aside = self._put_aside(registry)
        shutil.copyfile(kept / "catalog.db", self._home.catalog_file)
        shutil.copytree(kept / "emulator", self._home.emulator, symlinks=True)
        for file_system_id, root in self._roots(registry):
            copy = kept / "roots" / file_system_id
            if copy.exists():
                shutil.copytree(copy, root, symlinks=True, dirs_exist_ok=True, ignore=_without_mark)
        _removed_later(aside)
        clock: dict[str, int] = json.loads((kept / _CLOCK).read_text())
        return clock

    def _put_aside(self, registry: Registry) -> Path:
        """Where it is now."""
        self._aside.mkdir(mode=0o700, exist_ok=True)
        aside = self._aside / str(len(os.listdir(self._aside)))
        while aside.exists():
            aside = aside.with_name(f"{aside.name}x")
        aside.mkdir(mode=0o700)
        for name in _CATALOG_FILES:
            with contextlib.suppress(FileNotFoundError):
                os.rename(self._home.path / name, aside / name)
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._home.emulator, aside / "emulator")
        for file_system_id, root in self._roots(registry):
            (aside / file_system_id).mkdir()
            for name in os.listdir(root):
                if name != MARK_FILE:
                    os.rename(root / name, aside / file_system_id / name)
        return aside

    def _roots(self, registry: Registry) -> list[tuple[str, Path]]:
        """The file systems that lie below HOME, links followed."""
        own = self._home.path.resolve()
        roots = [(file_system_id, Path(one.root)) for file_system_id, one in registry.file_systems.items()]
        return [(file_system_id, root) for file_system_id, root in roots if _lies_in(root, own)]


def _silently(_: int, __: int) -> None:
    """Nobody watches a copy."""


def _lies_in(root: Path, home: Path) -> bool:
    try:
        return root.resolve(strict=True).is_relative_to(home)
    except OSError:
        return False


def _without_mark(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name == MARK_FILE]


def _removed_later(directory: Path) -> None:
    """Nobody waits for it; what is left when the process ends goes with the next reset, or with HOME."""
    threading.Thread(
        target=shutil.rmtree, args=(directory,), kwargs={"ignore_errors": True}, name="remove", daemon=True
    ).start()
