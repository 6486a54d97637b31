"""`penstock fileset create | list | show | delete`."""

from __future__ import annotations

import click

from penstock.cli.answers import page, print_raw, show_page, things
from penstock.cli.arguments import AS_JSON, LIMIT, NEXT_TOKEN
from penstock.cli.connection import Service, with_service
from penstock.cli.flows import as_directory
from penstock.cli.output import note, print_facts

FILESET = click.argument("fset_id", metavar="FILESET")


@click.group()
def fileset() -> None:
    """Filesets: directories of the file system with an id."""


@fileset.command()
@click.argument("path")
@click.option("--description", help="2 to 128 characters, beginning with a letter.")
@click.option("--protected", is_flag=True, help="Refuse to delete it.")
@AS_JSON
@with_service
def create(service: Service, *, path: str, description: str | None, protected: bool, as_json: bool) -> None:
    """Make the directory PATH (/team/) a fileset; prints its id.

    PATH must be new, and the directory in which it is to be must exist.
    """
    answer = service.call(
        "CreateFileset",
        FileSystemPath=as_directory(path),
        Description=description,
        DeletionProtection=protected or None,
    )
    if as_json:
        print_raw(answer)
    else:
        click.echo(answer["FsetId"])


@fileset.command(name="list")
@LIMIT
@NEXT_TOKEN
@AS_JSON
@with_service
def list_(service: Service, *, limit: int, next_token: str, as_json: bool) -> None:
    """List filesets, newest first."""
    answer = page(service, "DescribeFilesets", filters={}, limit=limit, next_token=next_token)
    if as_json:
        print_raw(answer)
        return
    columns = {
        "ID": "FsetId",
        "STATUS": "Status",
        "PATH": "FileSystemPath",
        "BYTES": "SpaceUsage",
        "FILES": "FileCountUsage",
        "CREATED": "CreateTime",
        "DESCRIPTION": "Description",
    }
    show_page(answer, things(answer, "Entries", "Entrie"), columns)


@fileset.command()
@FILESET
@AS_JSON
@with_service
def show(service: Service, *, fset_id: str, as_json: bool) -> None:
    """Show one fileset."""
    found = service.call("GetFileset", FsetId=fset_id)["Data"]
    if as_json:
        print_raw(found)
        return
    quota = found["Quota"]
    print_facts(
        {
            "fileset": found["FsetId"],
            "status": found["Status"],
            "path": found["FileSystemPath"],
            "description": found.get("Description"),
            "protected": "yes" if found["DeletionProtection"] else "no",
            "bytes": found.get("SpaceUsage"),
            "files": found.get("FileCountUsage"),
            "quota, bytes": quota.get("SizeLimit"),
            "quota, files": quota.get("FileCountLimit"),
            "created": found["CreateTime"],
            "updated": found.get("UpdateTime"),
        }
    )


@fileset.command()
@FILESET
@with_service
def delete(service: Service, *, fset_id: str) -> None:
    """Delete a fileset with its directory, which must be empty. No file is ever removed."""
    service.call("DeleteFileset", FsetId=fset_id)
    note(f"{fset_id} is deleted")
