"""Where the file system that is meant lies on this machine: told, as HOME has it, or by the mark in its root.

And which places a command is about: they decide which one is meant.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from penstock.cli.connection import Service
from penstock.cli.items import FILE_SYSTEM
from penstock.settings.reading import load_registry

MARK = ".penstock-root"


def places_of(told: str | None, named: Iterable[str]) -> list[str]:
    """The paths of this machine among what was named; where there is none, where we are."""
    if told:
        return [told]
    return [each for each in named if not each.startswith(FILE_SYSTEM) and "://" not in each] or [os.getcwd()]


def root_of(service: Service, told: str | None, sources: Iterable[str]) -> str:
    """The directory, without links; "" where nothing tells. Raises SettingsError for a HOME that cannot be read."""
    if told:
        return os.path.realpath(told)
    if service.home is not None:
        known = load_registry(service.home).file_systems.get(service.file_system_id)
        if known is not None:
            return os.path.realpath(known.root)
    return _marked_above(os.path.realpath(places_of(None, sources)[0]))


def _marked_above(path: str) -> str:
    """The nearest directory above that carries the mark of a registered root."""
    while True:
        if os.path.lexists(os.path.join(path, MARK)):
            return path
        above = os.path.dirname(path)
        if above == path:
            return ""
        path = above
