"""Brings a database to the newest schema: numbered files in schema/, each applied once, in order, whole or not at all.

Says so before and after where there was a catalog already: with millions of rows a migration takes minutes, in which the
service does not accept.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from importlib import resources

from penstock import telemetry
from penstock.catalog.database import Connection, Dialect, Durability
from penstock.catalog.statements import fill
from penstock.errors import CatalogUnavailableError

_FILE = re.compile(r"(\d{4})_[a-z_]+\.sql")
LEDGER = range(1, 1000)
NONCES = range(2, 3)
"""The store of read nonces has only the tables of nonces."""
_PATIENCE = "with millions of sub-tasks this takes minutes; broken off it changes nothing, and begins anew"


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
    began_s = time.monotonic()
    connection.begin(Durability.SYNCED)
    try:
        connection.script("CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT PRIMARY KEY);")
        applied = {row["version"] for row in connection.fetch("SELECT version FROM schema_versions", ())}
        unknown = applied - {version for version, _ in known}
        if unknown:
            raise CatalogUnavailableError(
                f"the catalog was written by a newer Penstock (schema {max(unknown)}); run that version"
            )
        lacking = [version for version, _ in known if version not in applied]
        told = bool(applied and lacking)
        if told:
            telemetry.event(
                "catalog.migrating", level=telemetry.Level.WARNING, to_schema=max(lacking), advice=_PATIENCE
            )
        for version, text in known:
            if version in lacking:
                connection.script(fill(text, dialect))
                connection.script(f"INSERT INTO schema_versions (version) VALUES ({version});")  # noqa: S608  a number of ours
    except BaseException:
        connection.rollback()
        raise
    connection.confirm()
    connection.commit()
    if told:
        telemetry.event("catalog.migrated", to_schema=max(lacking), took_s=round(time.monotonic() - began_s, 3))
