"""By what a root is recognised: looks at the directory that is there now, marks it where it can, and says what to write down.

Called when a file system is registered or confirmed; what is recorded already is not compared here. Changes nothing in HOME.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from penstock.errors import SettingsError
from penstock.model import FileSystem
from penstock.transfer.mark import MARK_FILE, UNREADABLE, make_mark, new_mark
from penstock.transfer.mounts import Mount, describe_mount


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """A file system as it is to be recorded; `not_marked` is why it has no mark, empty when it has one."""

    file_system: FileSystem
    not_marked: str = ""


def recognised(file_system: FileSystem, *, entropy: Callable[[int], bytes]) -> Recognised:
    """The file system with mark and mount as they are now. Raises SettingsError unless its root is a directory."""
    path = file_system.root
    if not os.path.isdir(path):
        raise SettingsError(f"{path} is no directory; make it, or mount what belongs there, and try again")
    try:
        on_mount = on(file_system, describe_mount(path))
    except OSError as error:
        raise SettingsError(f"{path} cannot be looked at: {error.strerror}") from error
    try:
        mark = _marked(path, new_mark(entropy))
    except OSError as error:  # read-only, or not ours to write to
        return Recognised(file_system=replace(on_mount, mark=""), not_marked=error.strerror or str(error))
    if mark == UNREADABLE:
        raise SettingsError(f"{path}/{MARK_FILE} is not as Penstock writes it; remove it and try again")
    return Recognised(file_system=replace(on_mount, mark=mark))


def on(file_system: FileSystem, mount: Mount | None) -> FileSystem:
    """The file system with what the mount table tells of it."""
    if mount is None:
        return replace(file_system, mount_type="", mount_source="", mount_point="")
    return replace(file_system, mount_type=mount.kind, mount_source=mount.source, mount_point=mount.point)


def _marked(path: str, mark: str) -> str:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return make_mark(directory, mark)
    finally:
        os.close(directory)
