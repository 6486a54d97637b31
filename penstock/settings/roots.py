"""Which directories may be roots of file systems: none that would hand out HOME, and no file under two ids.

A root that holds HOME, or lies in it outside of `HOME/filesystem*`, would let the API export the secrets. Two roots of which one
holds the other would give one file two names, and "one live sub-task per target" goes by names. Looks at directories, links
followed, and at the mount table, for a directory can be mounted in several places; changes nothing. Of a root that does not
answer, its path and the mount table tell.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import SettingsError
from penstock.model import FileSystem
from penstock.settings.home import Home
from penstock.transfer.aside import ASIDE
from penstock.transfer.mark import MARK_FILE
from penstock.transfer.mounts import Spot, spot_at, spot_of, spots_beneath
from penstock.transfer.root import may_hang

LOOK_LIMIT_S = 5.0
"""So long a root may take to be looked at."""

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A directory, links followed. `identities` are device and inode of it and of all above it, as far as they are there.

    `spot` is where its files really lie, `beneath` are the spots of what is mounted in it.
    """

    path: Path
    identity: Identity | None
    identities: frozenset[Identity]
    spot: Spot | None
    beneath: tuple[Spot, ...]

    def holds(self, other: _Place) -> bool:
        """Whether the other one is this directory or lies in it, also where one of them is mounted a second time."""
        return other.path.is_relative_to(self.path) or self.identity in other.identities or self._reaches(other)

    def _reaches(self, other: _Place) -> bool:
        within = other.spot
        return within is not None and any(spot.holds(within) for spot in (self.spot, *self.beneath) if spot is not None)


def judge_roots(home: Home, file_systems: Mapping[str, FileSystem]) -> None:
    """Raises SettingsError when a root would hand out HOME, or two of them hold the same files."""
    own = _place(os.fspath(home.path))
    seen: list[tuple[FileSystem, _Place]] = []
    for file_system in file_systems.values():
        root = _place_of(file_system)
        _judge_home(home, own, file_system, root)
        for other, place in seen:
            if root.holds(place) or place.holds(root):
                raise SettingsError(
                    f"{file_system.root} (file system {file_system.file_system_id}) and {other.root} "
                    f"(file system {other.file_system_id}) hold the same files; one directory can belong to one file system only"
                )
            if file_system.mark and file_system.mark == other.mark:
                raise SettingsError(
                    f"{file_system.root} (file system {file_system.file_system_id}) and {other.root} (file system "
                    f"{other.file_system_id}) carry the same mark: they are one directory, or one is a copy of the other; if it "
                    f"is a copy, remove {MARK_FILE} from it and try again"
                )
        seen.append((file_system, root))


def _judge_home(home: Home, own: _Place, file_system: FileSystem, root: _Place) -> None:
    if root.holds(own):
        held = "is"
    elif own.holds(root) and not _is_spared(own, root):
        held = "lies in"
    else:
        return
    held = "holds" if held == "is" and root.path != own.path else held
    raise SettingsError(
        f"{file_system.root} cannot be the root of file system {file_system.file_system_id}: it {held} {home.path}, and the "
        f"service's secrets could be exported; take a directory outside of it, or one like {home.file_system_root}"
    )


def _is_spared(own: _Place, root: _Place) -> bool:
    """Whether it is `HOME/filesystem*` or lies in there: that is what init makes, and nothing of the service is there."""
    if root.path.is_relative_to(own.path):
        return root.path.relative_to(own.path).parts[0].startswith("filesystem")
    if root.spot is None or own.spot is None or not own.spot.holds(root.spot):
        return False
    return root.spot.path.relative_to(own.spot.path).parts[0].startswith("filesystem")


def _place_of(file_system: FileSystem) -> _Place:
    if not may_hang(file_system):
        return _place(file_system.root)
    try:
        return ASIDE.ask(_place, file_system.root, limit_s=LOOK_LIMIT_S)
    except TimeoutError:
        return _place_untouched(file_system.root)


def _place_untouched(path: str) -> _Place:
    """Nothing is asked of the directory itself: it was judged, links followed, when it was registered."""
    plain = os.path.normpath(path)
    return _Place(
        path=Path(plain), identity=None, identities=frozenset(), spot=spot_at(plain), beneath=spots_beneath(plain)
    )


def _place(path: str) -> _Place:
    real = Path(os.path.realpath(path))
    identities = [_identity(each) for each in (real, *real.parents)]
    return _Place(
        path=real,
        identity=identities[0],
        identities=frozenset(filter(None, identities)),
        spot=_spot(real),
        beneath=spots_beneath(os.fspath(real)),
    )


def _spot(path: Path) -> Spot | None:
    with contextlib.suppress(OSError):
        return spot_of(os.fspath(path))
    return None


def _identity(path: Path) -> Identity | None:
    """None for what is not there, or cannot be looked at: its path alone has to tell."""
    with contextlib.suppress(OSError):
        found = path.stat()
        return (found.st_dev, found.st_ino)
    return None
