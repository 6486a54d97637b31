"""`penstock filesystem add | confirm | list`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from penstock.app.recognising import Recognised
from penstock.app.registering import NewFileSystem, confirm_file_system, register_file_system
from penstock.app.surveying import survey
from penstock.cli import completing
from penstock.cli.arguments import HOME
from penstock.cli.output import moment, note, print_json, print_table, warn
from penstock.model import FileSystem
from penstock.settings.reading import load_registry, open_home


@click.group()
def filesystem() -> None:
    """File systems: the directories that Penstock moves files to and from."""


@filesystem.command()
@HOME
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--id", "file_system_id", default="", help="Its id, bmcpfs-… or cpfs-…; made up where not given.")
@click.option(
    "--type",
    "prefix",
    type=click.Choice(("bmcpfs", "cpfs")),
    default="bmcpfs",
    show_default=True,
    help="What it passes for where its id is made up: CPFS for Lingjun, or the general-purpose CPFS.",
)
@click.option(
    "--version", default="2.7.0", show_default=True, help="The version that it claims; streaming needs 2.6.0."
)
@click.option("--description", default="", help="A note for people.")
def add(*, home: Path, path: Path, file_system_id: str, prefix: str, version: str, description: str) -> None:
    """Register the directory PATH as a file system; prints its id.

    PATH must exist. Nothing outside of it is ever touched. It is marked with a small file, .penstock-root, so that nothing is
    written under the mount point while what is there now is gone; where it cannot be marked, it is known by what is mounted
    there. What its file system can do is tried out with a helper file, and what it cannot is said. A running service sees it
    within a second.
    """
    seen = register_file_system(
        open_home(home),
        NewFileSystem(
            path=path, file_system_id=file_system_id, prefix=prefix, version=version, description=description
        ),
        now_ns=time.time_ns(),
        entropy=os.urandom,
    )
    click.echo(seen.file_system.file_system_id)
    _tell(seen, "is registered")


@filesystem.command()
@HOME
@click.argument("file_system_id", shell_complete=completing.file_systems)
def confirm(*, home: Path, file_system_id: str) -> None:
    """Take what is at the root's path now for the registered directory.

    For a file system that is FileSystemUnavailable although the right directory is there: it was moved or restored without its
    mark, or it has no mark and its disk has another name since. A running service sees it within a second.
    """
    _tell(confirm_file_system(open_home(home), file_system_id, entropy=os.urandom), "is confirmed")


def _tell(seen: Recognised, what: str) -> None:
    found = seen.file_system
    where = f" ({found.mount_type} from {found.mount_source})" if found.mount_type else ""
    note(f"{found.root}{where} {what}")
    if not found.mark:
        note(f"it cannot be marked ({seen.not_marked}): it is known by what is mounted there, and by nothing else")
    surveyed = survey(found)
    if surveyed.untried:
        note(f"what its file system can do could not be tried out: {surveyed.untried}")
        return
    note(f"its file system has: {', '.join(surveyed.can)}")
    for missed in surveyed.lacks:
        warn(missed)


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
                    "mount_point": each.mount_point,
                    "mark": each.mark,
                }
                for each in found
            ]
        )
        return
    print_table(
        ["ID", "ROOT", "VERSION", "MOUNT", "KNOWN BY", "ADDED", "DESCRIPTION"],
        [
            [
                each.file_system_id,
                each.root,
                each.version,
                each.mount_type or "-",
                _known_by(each),
                moment(each.created_ns) or "-",
                each.description,
            ]
            for each in found
        ],
    )


def _known_by(file_system: FileSystem) -> str:
    if file_system.mark:
        return "its mark"
    return "its mount" if file_system.mount_type else "its path"
