"""Brings a database to the newest schema: numbered files in schema/, each applied once, in order, whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources

from penstock.catalog.database import Connection, Dialect, Durability
from penstock.catalog.statements import fill
from penstock.errors import CatalogUnavailableError

_FILE = re.compile(r"(\d{4})_[a-z_]+\.sql")
LEDGER = range(1, 1000)
NONCES = range(2, 3)
"""The store of read nonces has only the tables of nonces."""


def files(versions: range) -> Sequence[tuple[int, str]]:
    """(version, text) of each schema file among `versions`, in order."""
    found: list[tuple[int, str]] = []
    for file in resources.files("penstock.catalog").joinpath("schema").iterdir():
        match = _FILE.fullmatch(file.name)
        if match and int(match.group(1)) in versions:
            found.append((int(match.group(1)), file.read_text(encoding="utf-8")))
    return sorted(found)


def migrate(connection: Connection, dialect: Dialect, versions: range) -> None:
    """Apply what is missing. CatalogUnavailableError when the database was written by a newer Penstock."""
    known = files(versions)
    connection.begin(Durability.SYNCED)
    try:
        connection.script("CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT PRIMARY KEY);")
        applied = {row["version"] for row in connection.fetch("SELECT version FROM schema_versions", ())}
        unknown = applied - {version for version, _ in known}
        if unknown:
            raise CatalogUnavailableError(
                f"the catalog was written by a newer Penstock (schema {max(unknown)}); run that version"
            )
        for version, text in known:
            if version not in applied:
                connection.script(fill(text, dialect))
                connection.script(f"INSERT INTO schema_versions (version) VALUES ({version});")  # noqa: S608  a number of ours
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
