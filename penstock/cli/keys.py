"""`penstock key add | list | revoke`. A secret is shown once, when its key is made."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import click

from penstock.cli import completing
from penstock.cli.arguments import HOME
from penstock.cli.output import moment, note, print_facts, print_json, print_table, warn
from penstock.errors import SettingsError
from penstock.settings.editing import add_access_key, revoke_access_key
from penstock.settings.naming import check_file_system_id, nearest, new_access_key
from penstock.settings.reading import load_registry, open_home

RIGHT = re.compile(r"\*|nas:[A-Za-z*]+|oss:\*")


@click.group()
def key() -> None:
    """Access keys: who may call the API, and what for."""


@key.command()
@HOME
@click.option(
    "--allow",
    multiple=True,
    default=["*"],
    metavar="PATTERN",
    help="An action, with * for any: nas:Describe*, oss:*. [default: *]",
)
@click.option(
    "--file-system", multiple=True, default=["*"], metavar="ID", help="A file system it may use. [default: all]"
)
@click.option("--description", default="", help="A note for people.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def add(
    *,
    home: Path,
    allow: tuple[str, ...],
    file_system: tuple[str, ...],
    description: str,
    as_json: bool,
) -> None:
    """Make an access key; prints its id and its secret, once.

    --allow and --file-system may be given several times. `nas:` patterns are actions of the API; `oss:*` opens the embedded
    bucket server, with all its buckets. A key with --file-system does not open it unless it is given --allow 'oss:*' too.
    """
    for pattern in allow:
        if RIGHT.fullmatch(pattern) is None:
            raise SettingsError(f"{pattern!r} is no right; write nas:ACTION (with * for any part), oss:* or *")
    for file_system_id in file_system:
        if file_system_id != "*":
            check_file_system_id(file_system_id)
    found = open_home(home)
    known = load_registry(found).file_systems
    made = new_access_key(
        os.urandom, created_ns=time.time_ns(), allow=allow, file_systems=file_system, description=description
    )
    add_access_key(found, made)
    if as_json:
        print_json({"access_key_id": made.access_key_id, "access_key_secret": made.secret})
    else:
        print_facts({"access key id": made.access_key_id, "access key secret": made.secret})
    for file_system_id in file_system:
        if file_system_id != "*" and file_system_id not in known:
            warn(f"file system {file_system_id} is not registered{nearest(file_system_id, known)}")
    note("The secret is not shown again; it is kept in HOME/secrets.toml.")


@key.command(name="list")
@HOME
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, home: Path, as_json: bool) -> None:
    """List the access keys, without their secrets."""
    found = load_registry(open_home(home)).access_keys.values()
    if as_json:
        print_json(
            [
                {
                    "access_key_id": each.access_key_id,
                    "active": each.active,
                    "allow": list(each.allow),
                    "file_systems": list(each.file_systems),
                    "description": each.description,
                }
                for each in found
            ]
        )
        return
    print_table(
        ["ID", "STATE", "ALLOW", "FILE SYSTEMS", "MADE", "DESCRIPTION"],
        [
            [
                each.access_key_id,
                "active" if each.active else "revoked",
                ",".join(each.allow),
                ",".join(each.file_systems),
                moment(each.created_ns) or "-",
                each.description,
            ]
            for each in found
        ],
    )


@key.command()
@HOME
@click.argument("access_key_id", shell_complete=completing.access_keys)
def revoke(*, home: Path, access_key_id: str) -> None:
    """Make a key useless, at once and for good; it stays listed."""
    revoke_access_key(open_home(home), access_key_id)
    note(f"{access_key_id} is revoked")
