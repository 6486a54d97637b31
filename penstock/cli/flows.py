"""`penstock flow create | list | show | modify | start | stop | delete`."""

from __future__ import annotations

import click

from penstock.cli import completing
from penstock.cli.answers import Thing, page, print_raw, show_page, the_one, things
from penstock.cli.arguments import AS_JSON, LIMIT, NEXT_TOKEN, STATUS
from penstock.cli.connection import Service, with_service
from penstock.cli.output import note, print_facts

FLOW = click.argument("flow_id", metavar="FLOW", shell_complete=completing.flows)


@click.group()
def flow() -> None:
    """Dataflows: each binds a directory of the file system to a prefix of a bucket."""


@flow.command()
@click.argument("path")
@click.argument("storage", shell_complete=completing.storages)
@click.option("--description", help="2 to 128 characters, beginning with a letter.")
@click.option("--ssl", is_flag=True, help="Insist on SSL: refuse a bucket with an http:// endpoint.")
@click.option("--fileset", "fset_id", help="The fileset whose directory PATH is; for file systems cpfs-….")
@click.option("--throughput", type=int, help="What to buy, in MB/s: 600, 1200, 1500 or 2000; for file systems cpfs-….")
@AS_JSON
@with_service
def create(
    service: Service,
    *,
    path: str,
    storage: str,
    description: str | None,
    ssl: bool,
    fset_id: str | None,
    throughput: int | None,
    as_json: bool,
) -> None:
    """Bind the directory PATH to STORAGE; prints the dataflow's id.

    PATH is a directory of the file system (/train/) that exists. STORAGE is a registered bucket with a prefix
    (oss://examplebucket/data/, s3://mine/).
    """
    bucket, prefix = _parts(storage)
    answer = service.call(
        "CreateDataFlow",
        FileSystemPath=as_directory(path),
        SourceStorage=bucket,
        SourceStoragePath=prefix,
        SourceSecurityType="SSL" if ssl else None,
        Description=description,
        FsetId=fset_id,
        Throughput=throughput,
    )
    if as_json:
        print_raw(answer)
    else:
        click.echo(answer["DataFlowId"])


def _parts(storage: str) -> tuple[str, str]:
    scheme, found, rest = storage.partition("://")
    bucket, _, prefix = rest.partition("/")
    if not found or not bucket:
        raise click.UsageError("STORAGE is oss://BUCKET/PREFIX/ or s3://BUCKET/PREFIX/")
    return f"{scheme}://{bucket}", as_directory(prefix)


def as_directory(path: str) -> str:
    """With the slashes that the API asks for at both ends."""
    inner = path.strip("/")
    return f"/{inner}/" if inner else "/"


def find_flow(service: Service, flow_id: str) -> Thing:
    """The dataflow of that id. Raises SettingsError when there is none."""
    answer = page(service, "DescribeDataFlows", filters={"DataFlowIds": flow_id})
    return the_one(things(answer, "DataFlowInfo", "DataFlow"), "dataflow", flow_id)


@flow.command(name="list")
@STATUS
@LIMIT
@NEXT_TOKEN
@AS_JSON
@with_service
def list_(service: Service, *, status: str | None, limit: int, next_token: str, as_json: bool) -> None:
    """List dataflows, newest first."""
    answer = page(service, "DescribeDataFlows", filters={"Status": status}, limit=limit, next_token=next_token)
    if as_json:
        print_raw(answer)
        return
    columns = {
        "ID": "DataFlowId",
        "STATUS": "Status",
        "PATH": "FileSystemPath",
        "STORAGE": "SourceStorage",
        "PREFIX": "SourceStoragePath",
        "CREATED": "CreateTime",
        "DESCRIPTION": "Description",
    }
    show_page(answer, things(answer, "DataFlowInfo", "DataFlow"), columns)


@flow.command()
@FLOW
@AS_JSON
@with_service
def show(service: Service, *, flow_id: str, as_json: bool) -> None:
    """Show one dataflow."""
    found = find_flow(service, flow_id)
    if as_json:
        print_raw(found)
        return
    print_facts(
        {
            "dataflow": found["DataFlowId"],
            "status": found["Status"],
            "error": found.get("ErrorMessage"),
            "path": found["FileSystemPath"],
            "storage": f"{found['SourceStorage']}{found['SourceStoragePath']}",
            "description": found.get("Description"),
            "created": found["CreateTime"],
            "updated": found.get("UpdateTime"),
        }
    )


@flow.command()
@FLOW
@click.option("--description", required=True, help="2 to 128 characters, beginning with a letter.")
@with_service
def modify(service: Service, *, flow_id: str, description: str) -> None:
    """Change a dataflow's description."""
    service.call("ModifyDataFlow", DataFlowId=flow_id, Description=description)
    note(f"{flow_id} is modified")


@flow.command()
@FLOW
@with_service
def start(service: Service, *, flow_id: str) -> None:
    """Let a stopped dataflow start new work again."""
    service.call("StartDataFlow", DataFlowId=flow_id)
    note(f"{flow_id} is started")


@flow.command()
@FLOW
@with_service
def stop(service: Service, *, flow_id: str) -> None:
    """Let a dataflow start no new work; what runs goes on."""
    service.call("StopDataFlow", DataFlowId=flow_id)
    note(f"{flow_id} is stopped")


@flow.command()
@FLOW
@with_service
def delete(service: Service, *, flow_id: str) -> None:
    """Delete a dataflow with its history; refused while tasks of it are live. Files and objects are not touched."""
    service.call("DeleteDataFlow", DataFlowId=flow_id)
    note(f"{flow_id} is deleted")
