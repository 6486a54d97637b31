"""Turns penstock.toml and secrets.toml into `Settings` and a `Registry`, or says what to mend and where.

Reads the two files and changes nothing. Every refusal is a SettingsError that names the file, the key and what is allowed.
"""

from __future__ import annotations

import os
import shlex
import stat
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from penstock.errors import SettingsError
from penstock.model import Registry
from penstock.settings.choices import Settings, known_time_zone, rules
from penstock.settings.entries import Entry, access_key_of, bucket_of, file_system_of
from penstock.settings.home import Home
from penstock.settings.naming import nearest

SETTINGS_FILE_MAX_BYTES = 16 << 20
TABLES = ("file_system", "bucket")


def open_home(path: str | Path) -> Home:
    """The HOME at `path`. Raises SettingsError where `penstock init` did not make one."""
    home = Home(path=Path(os.path.abspath(os.path.expanduser(path))))
    if not home.settings_file.is_file():
        raise SettingsError(
            f"{home.path} was not made by Penstock ({home.settings_file.name} is missing); make it with: "
            f"penstock init {shlex.quote(str(path))}"
        )
    return home


def load_settings(home: Home) -> Settings:
    """Every setting of penstock.toml. Raises SettingsError."""
    return settings_of(read_table(home.settings_file), home.settings_file)


def load_registry(home: Home) -> Registry:
    """One consistent snapshot of what is registered. Raises SettingsError.

    An embedded bucket's endpoint is empty: only the running service knows it.
    """
    document = read_table(home.settings_file)
    settings_of(document, home.settings_file)
    return registry_of(document, read_secrets(home.secrets_file), home)


def read_table(path: Path) -> dict[str, Any]:
    """The TOML file as plain values. Raises SettingsError for a file that is missing, unreadable or broken."""
    try:
        with path.open("rb") as file:
            data = file.read(SETTINGS_FILE_MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > SETTINGS_FILE_MAX_BYTES:
        raise SettingsError(f"{path} is larger than {SETTINGS_FILE_MAX_BYTES >> 20} MiB")
    return parse(data, path)


def parse(data: bytes, path: Path) -> dict[str, Any]:
    """TOML text as plain values. Raises SettingsError."""
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error


def read_secrets(path: Path) -> dict[str, Any]:
    """secrets.toml as plain values. Raises SettingsError, also when others than the owner may read it."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise SettingsError(
            f"{path} holds secrets and must be its owner's alone; mend it with: chmod 600 {shlex.quote(str(path))}"
        )
    return read_table(path)


def settings_of(document: Mapping[str, Any], path: Path) -> Settings:
    """The settings in the document. Raises SettingsError for an unknown key or a value that is not allowed."""
    known = rules()
    for name in document:
        if name not in known and name not in TABLES:
            raise SettingsError(f"{path}: {name!r} is not a setting{nearest(name, [*known, *TABLES])}")
    chosen: dict[str, Any] = {}
    for name, (rule, _) in known.items():
        if name not in document:
            continue
        value = document[name]
        if rule.refuses(value) or (name == "api_time_zone" and not known_time_zone(value)):
            raise SettingsError(f"{path}: {name} = {value!r} is not allowed; it has to be {rule.allowed()}")
        chosen[name] = value
    settings = Settings(**chosen)
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        missing = "tls_key" if settings.tls_certificate else "tls_certificate"
        raise SettingsError(f"{path}: {missing} is empty; TLS needs both tls_certificate and tls_key, or neither")
    return settings


def registry_of(document: Mapping[str, Any], secrets: Mapping[str, Any], home: Home) -> Registry:
    """File systems, buckets and access keys of the two documents. Raises SettingsError."""
    settings_file, secrets_file = home.settings_file, home.secrets_file
    for name in secrets:
        if name not in {"bucket", "access_key"}:
            raise SettingsError(f"{secrets_file}: {name!r} is not known here{nearest(name, ['bucket', 'access_key'])}")
    return Registry(
        file_systems={entry.name: file_system_of(entry) for entry in _entries(document, "file_system", settings_file)},
        buckets={entry.name: bucket_of(entry) for entry in _entries(document, "bucket", settings_file)},
        access_keys={entry.name: access_key_of(entry) for entry in _entries(secrets, "access_key", secrets_file)},
    )


def _entries(document: Mapping[str, Any], table: str, path: Path) -> Iterable[Entry]:
    named = document.get(table, {})
    if not isinstance(named, Mapping):
        raise SettingsError(f"{path}: {table} has to be a table of entries like [{table}.NAME]")
    for name, values in named.items():
        if not isinstance(values, Mapping):
            raise SettingsError(f"{path}: {table}.{name} has to be a table, written as [{table}.{name}]")
        yield Entry(path=path, table=table, name=name, values=values)


def beneath(home: Home, written: str) -> Path | None:
    """A path of the settings, absolute (relative ones begin in HOME); None where it is empty."""
    return home.path / written if written else None
