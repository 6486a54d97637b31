"""`penstock filesystem add | list`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from penstock.app.registering import NewFileSystem, register_file_system
from penstock.cli.arguments import HOME
from penstock.cli.output import moment, note, print_json, print_table
from penstock.settings.reading import load_registry, open_home


@click.group()
def filesystem() -> None:
    """File systems: the directories that Penstock moves files to and from."""


@filesystem.command()
@HOME
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--id", "file_system_id", default="", help="Its id, bmcpfs-…; made up where not given.")
@click.option(
    "--version", default="2.7.0", show_default=True, help="The version that it claims; streaming needs 2.6.0."
)
@click.option("--description", default="", help="A note for people.")
def add(*, home: Path, path: Path, file_system_id: str, version: str, description: str) -> None:
    """Register the directory PATH as a file system; prints its id.

    PATH must exist. Nothing outside of it is ever touched. What is mounted there now is remembered, so that nothing is
    written under the mount point while that is gone. A running service sees it within a second.
    """
    added = register_file_system(
        open_home(home),
        NewFileSystem(path=path, file_system_id=file_system_id, version=version, description=description),
        now_ns=time.time_ns(),
        entropy=os.urandom,
    )
    click.echo(added.file_system_id)
    where = f" ({added.mount_type} from {added.mount_source})" if added.mount_type else ""
    note(f"{added.root}{where} is registered")


@filesystem.command(name="list")
@HOME
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, home: Path, as_json: bool) -> None:
    """List the registered file systems."""
    found = load_registry(open_home(home)).file_systems.values()
    if as_json:
        print_json(
            [
                {
                    "file_system_id": each.file_system_id,
                    "root": each.root,
                    "version": each.version,
                    "description": each.description,
                    "region": each.region,
                    "mount_type": each.mount_type,
                    "mount_source": each.mount_source,
                }
                for each in found
            ]
        )
        return
    print_table(
        ["ID", "ROOT", "VERSION", "MOUNT", "ADDED", "DESCRIPTION"],
        [
            [
                each.file_system_id,
                each.root,
                each.version,
                each.mount_type or "-",
                moment(each.created_ns) or "-",
                each.description,
            ]
            for each in found
        ],
    )
