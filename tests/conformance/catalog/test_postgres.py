"""Does PostgreSQL, too, take the schema and every statement, as they are written?"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.catalog import schema_versions, statements
from penstock.catalog.database import Dialect
from penstock.catalog.statements import Statement

POSTGRES = Dialect(
    number_key="BIGINT PRIMARY KEY",
    bytewise='COLLATE "C"',
    for_update="FOR UPDATE",
    skip_locked="FOR UPDATE SKIP LOCKED",
    parameter="$",
)


def program(name: str) -> str:
    """One of PostgreSQL's programs, on the path or where Debian keeps them; skips the test when there is none."""
    found = shutil.which(name) or next(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)
    return found or pytest.skip("PostgreSQL is not installed")


def unprivileged() -> str | None:
    """PostgreSQL refuses to run as root: then it runs as the user that Debian makes for it."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")


@pytest.fixture
def cluster() -> Iterator[Path]:
    """An empty database cluster, in a directory that its user can reach."""
    home = Path(tempfile.mkdtemp(prefix="penstock-postgres-"))
    try:
        user = unprivileged()
        if user:
            os.chown(home, pwd.getpwnam(user).pw_uid, -1)
        command = [program("initdb"), "-D", str(home / "data"), "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"]
        subprocess.run(command, user=user, cwd=home, check=True, capture_output=True, timeout=60)
        yield home / "data"
    finally:
        shutil.rmtree(home)


def prepared(number: int, statement: Statement) -> str:
    """A PREPARE of the statement."""
    return f"PREPARE p{number} AS {statement.for_size(2)}"


def test_it_takes_the_schema_and_every_statement(cluster: Path) -> None:
    named = statements.load(POSTGRES)
    schema = [statements.fill(text, POSTGRES) for _, text in schema_versions.files(schema_versions.LEDGER)]
    script = [*schema, *(prepared(number, statement) for number, statement in enumerate(named.values()))]
    # One process without a server: statements come on stdin, each ends with a semicolon and an empty line.
    done = subprocess.run(
        [program("postgres"), "--single", "-j", "-D", str(cluster), "postgres"],
        user=unprivileged(),
        cwd=cluster,
        input="".join(
            f"{text.rstrip().rstrip(';')};\n\n" for text in [*script, "SELECT count(*) FROM pg_prepared_statements"]
        ),
        text=True,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert not re.findall(r"ERROR:.*(?:\n.*STATEMENT:.*)?", done.stderr)
    assert f'count = "{len(named)}"' in done.stdout
