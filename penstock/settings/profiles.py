"""Profiles: where services are and as whom they are called, kept once by the person who types commands (profiles.toml, 0600).

Reads that one file, which `profile_editing` writes; knows neither HOME nor the environment, and calls no service. Every refusal
is a SettingsError that says what to mend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from penstock.errors import SettingsError
from penstock.settings.naming import nearest
from penstock.settings.reading import read_secrets

FILE_NAME = "profiles.toml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
PROFILES_MAX = 1000
TEXT_MAX = 4096

_KEYS = ("endpoint", "access_key_id", "access_key_secret", "ca_file", "file_system")
"""Of a profile's table; the first three have to be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One service. `ca_file` empty: the system's CAs; `file_system_id` empty: the service is asked for the only one."""

    name: str
    endpoint: str
    access_key_id: str
    access_key_secret: str = field(repr=False)
    ca_file: str = ""
    file_system_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """All of one person's. `default` is the name of the one that is meant where nothing else is said, or empty."""

    path: Path
    default: str
    profiles: Mapping[str, Profile]

    def named(self, name: str) -> Profile:
        """Raises SettingsError when there is none of that name."""
        if name not in self.profiles:
            raise SettingsError(
                f"there is no profile {name}{nearest(name, self.profiles)}; make it with: penstock profile add {name} "
                "--endpoint URL --access-key-id ID"
            )
        return self.profiles[name]


def load_profiles(directory: Path) -> Profiles:
    """What is kept in that directory; none where there is no file. Raises SettingsError."""
    path = directory / FILE_NAME
    document = read_secrets(path)
    for name in document:
        if name not in {"default", "profile"}:
            raise SettingsError(f"{path}: {name!r} is not known here{nearest(name, ['default', 'profile'])}")
    tables = document.get("profile", {})
    if not isinstance(tables, Mapping) or len(tables) > PROFILES_MAX:
        raise SettingsError(f"{path}: profile has to be a table of at most {PROFILES_MAX} entries like [profile.NAME]")
    profiles = {name: profile_of(path, name, values) for name, values in tables.items()}
    default = document.get("default", "")
    if default and (not isinstance(default, str) or default not in profiles):
        raise SettingsError(f"{path}: default = {default!r} is no profile; mend it with: penstock profile use NAME")
    return Profiles(path=path, default=default, profiles=profiles)


def profile_of(path: Path, name: str, values: object) -> Profile:
    """Judged. Raises SettingsError."""
    if NAME.fullmatch(name) is None:
        raise SettingsError(f"{name!r} is no name for a profile; take letters, digits, '.', '_' and '-', 63 at most")
    where = f"{path}: profile.{name}"
    if not isinstance(values, Mapping):
        raise SettingsError(f"{where} has to be a table, written as [profile.{name}]")
    for key, value in values.items():
        if key not in _KEYS:
            raise SettingsError(f"{where}: {key!r} is not known here{nearest(key, _KEYS)}")
        if not isinstance(value, str) or len(value) > TEXT_MAX or not value.isprintable():
            raise SettingsError(f"{where}: {key} has to be text in quotes, in one line")
    for key in _KEYS[:3]:
        if not values.get(key):
            raise SettingsError(f"{where}: {key} is missing")
    return Profile(
        name=name,
        endpoint=_endpoint(where, values["endpoint"]),
        access_key_id=values["access_key_id"],
        access_key_secret=values["access_key_secret"],
        ca_file=values.get("ca_file", ""),
        file_system_id=values.get("file_system", ""),
    )


def _endpoint(where: str, written: str) -> str:
    """What a URL holds besides host and port might be a secret, and is nothing that the API has."""
    try:
        url = urlsplit(written)
        right = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0 and "@" not in url.netloc
    except ValueError:
        right = False
    if not right or url.path.strip("/") or url.query or url.fragment:
        raise SettingsError(f"{where}: the endpoint has to be http[s]://host[:port]")
    return written.rstrip("/")
