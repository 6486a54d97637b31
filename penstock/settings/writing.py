"""Puts penstock.toml and secrets.toml on the disk: whole or not at all, 0600, one writer at a time, comments kept.

A change is made on a tomlkit document under the edit lock, judged as if it had been read, and only then takes the place
of the file (`files`). Nothing here decides what to change.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tomlkit
import tomlkit.exceptions
from tomlkit import TOMLDocument

from penstock.errors import SettingsError
from penstock.settings.choices import rules
from penstock.settings.files import replace_file
from penstock.settings.home import Home
from penstock.settings.reading import parse, read_secrets, read_table, registry_of, settings_of

SETTINGS_HEAD = """\
# Penstock's settings. Each one is shown with its default; the service reads them when it starts.
# File systems and buckets, at the end, are seen by a running service within a second; `penstock filesystem add`
# and `penstock bucket add` write them. No secrets are kept here: they are in secrets.toml.
"""

SECRETS_HEAD = """\
# Penstock's secrets: access keys of the API ([access_key.ID]) and credentials of buckets ([bucket.NAME]).
# Only the owner may read this file. `penstock key add|revoke` and `penstock bucket add` write it.
"""


def first_settings(changed: dict[str, str]) -> str:
    """The text of a new penstock.toml: every setting with its comment; `changed` are those that differ from the default."""
    lines = [SETTINGS_HEAD.rstrip("\n")]
    for name, (rule, field) in rules().items():
        if rule.heading:
            lines.append(f"\n\n# --- {rule.heading}")
        if rule.comment:
            lines.append("")
        for line in rule.comment.splitlines():
            lines += [f"# {piece}" for piece in textwrap.wrap(line, 118)]
        if rule.comment:
            lines.append(f"# Allowed: {rule.allowed()}.")
        lines.append(f"{name} = {tomlkit.item(changed.get(name, field.default)).as_string()}")
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def edit_lock(home: Home) -> Iterator[None]:
    """Waits until no other process edits this HOME, and keeps them out."""
    descriptor = os.open(home.edit_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def change_settings(home: Home, change: Callable[[TOMLDocument], None]) -> None:
    """Changes penstock.toml; the caller holds the edit lock. Raises SettingsError and changes nothing when it would be broken."""
    document = _document(home.settings_file)
    change(document)
    data = _bytes(document)
    judged = parse(data, home.settings_file)
    settings_of(judged, home.settings_file)
    registry_of(judged, read_secrets(home.secrets_file), home)
    replace_file(home.settings_file, data)


def change_secrets(home: Home, change: Callable[[TOMLDocument], None]) -> None:
    """Changes secrets.toml; the caller holds the edit lock. Raises SettingsError and changes nothing when it would be broken."""
    document = _document(home.secrets_file) if home.secrets_file.exists() else tomlkit.parse(SECRETS_HEAD)
    change(document)
    data = _bytes(document)
    registry_of(read_table(home.settings_file), parse(data, home.secrets_file), home)
    replace_file(home.secrets_file, data)


def put_entry(document: TOMLDocument, table: str, name: str, values: dict[str, Any]) -> None:
    """Adds `[table.name]`. Raises SettingsError when it is there already."""
    if table not in document:
        document.append(table, tomlkit.table(is_super_table=True))
    entries = document[table]
    if name in entries:
        raise SettingsError(f"{table.replace('_', ' ')} {name} is registered already")
    entry = tomlkit.table()
    for key, value in values.items():
        entry.append(key, tomlkit.item(value))
    entries.append(name, entry)


def drop_entry(document: TOMLDocument, table: str, name: str) -> None:
    """Removes `[table.name]`. Raises SettingsError when it is not there."""
    if table not in document or name not in document[table]:
        raise SettingsError(f"{table.replace('_', ' ')} {name} is not registered")
    del document[table][name]


def _document(path: Path) -> TOMLDocument:
    try:
        return tomlkit.parse(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except (tomlkit.exceptions.TOMLKitError, ValueError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error


def _bytes(document: TOMLDocument) -> bytes:
    return document.as_string().encode("utf-8")
