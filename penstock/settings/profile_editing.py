"""The verbs of `penstock profile add | remove | use`: each replaces profiles.toml in one step, or refuses and changes nothing.

Apart from `profiles`, because every command reads profiles, and what writes TOML is much to load. Calls no service.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import tomlkit
from tomlkit import TOMLDocument

from penstock.errors import SettingsError
from penstock.settings.files import replace_file
from penstock.settings.profiles import FILE_NAME, Profile, load_profiles, profile_of
from penstock.settings.writing import drop_entry, put_entry

_HEAD = """\
# Services that the penstock commands may be pointed at by name. There are secrets in here: only the owner may read this file.
# `penstock profile add|remove|use` write it.
"""


def keep_profile(directory: Path, profile: Profile) -> None:
    """Adds it, or puts it in the place of the one with its name. Raises SettingsError and changes nothing where it is no good."""
    profile_of(directory / FILE_NAME, profile.name, _values(profile))

    def put(document: TOMLDocument) -> None:
        if profile.name in document.get("profile", {}):
            drop_entry(document, "profile", profile.name)
        put_entry(document, "profile", profile.name, _values(profile))

    _change(directory, put)


def drop_profile(directory: Path, name: str) -> None:
    """Forgets it, its secret too. Raises SettingsError when there is none."""
    load_profiles(directory).named(name)

    def drop(document: TOMLDocument) -> None:
        drop_entry(document, "profile", name)
        if document.get("default") == name:
            del document["default"]

    _change(directory, drop)


def choose_default(directory: Path, name: str) -> None:
    """From now on it is meant where nothing else is said. Raises SettingsError when there is none."""
    load_profiles(directory).named(name)

    def choose(document: TOMLDocument) -> None:
        document["default"] = name

    _change(directory, choose)


def _values(profile: Profile) -> dict[str, str]:
    told = {
        "endpoint": profile.endpoint,
        "access_key_id": profile.access_key_id,
        "access_key_secret": profile.access_key_secret,
        "ca_file": profile.ca_file,
        "file_system": profile.file_system_id,
    }
    return {key: value for key, value in told.items() if value}


def _change(directory: Path, change: Callable[[TOMLDocument], None]) -> None:
    """One change at a time, on what stands there then."""
    path = directory / FILE_NAME
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        with _locked(directory):
            load_profiles(directory)
            document = tomlkit.parse(path.read_text(encoding="utf-8") if path.exists() else _HEAD)
            change(document)
            replace_file(path, document.as_string().encode())
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # directories cannot be locked on NFS; the last writer wins there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
