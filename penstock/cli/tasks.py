"""`penstock task create | batch | list | show | cancel`."""

from __future__ import annotations

import json

import click

from penstock.cli import completing
from penstock.cli.answers import Thing, page, print_raw, show_page, the_one, things
from penstock.cli.arguments import AS_JSON, LIMIT, NEXT_TOKEN, STATUS
from penstock.cli.connection import Service, with_service
from penstock.cli.flows import FLOW, as_directory
from penstock.cli.output import note, print_facts, size

ACTIONS = {"import": "StreamImport", "export": "StreamExport"}
POLICIES = {"skip": "SKIP_THE_FILE", "latest": "KEEP_LATEST", "overwrite": "OVERWRITE_EXISTING"}
TASK = click.argument("task_id", metavar="TASK", shell_complete=completing.tasks)


@click.group()
def task() -> None:
    """Tasks of a dataflow: streams, open for sub-tasks until cancelled, and batches, which move all that they find."""


@task.command()
@FLOW
@click.argument("direction", type=click.Choice(list(ACTIONS)))
@click.option(
    "--directory", default="/", show_default=True, help="Where sources lie, beneath the dataflow's source side."
)
@click.option("--target-directory", help="Where targets lie, beneath its other side. [default: the same]")
@click.option(
    "--existing",
    type=click.Choice(list(POLICIES)),
    default="overwrite",
    show_default=True,
    help="What to do where a target exists: skip it, keep the latest, overwrite it.",
)
@AS_JSON
@with_service
def create(
    service: Service,
    *,
    flow_id: str,
    direction: str,
    directory: str,
    target_directory: str | None,
    existing: str,
    as_json: bool,
) -> None:
    """Open a stream on FLOW: import (bucket to file system) or export; prints the task's id."""
    answer = service.call(
        "CreateDataFlowTask",
        DataFlowId=flow_id,
        TaskAction=ACTIONS[direction],
        DataType="MetaAndData",
        ConflictPolicy=POLICIES[existing],
        Directory=as_directory(directory),
        DstDirectory=None if target_directory is None else as_directory(target_directory),
    )
    if as_json:
        print_raw(answer)
    else:
        click.echo(answer["TaskId"])


@task.command()
@FLOW
@click.argument("direction", type=click.Choice(list(ACTIONS)))
@click.option("--directory", help="Move all of this directory, beneath the dataflow's source side. [default: /]")
@click.option("--include", "includes", multiple=True, help="Of that directory only this one in it. May be repeated.")
@click.option(
    "--entry", "entries", multiple=True, help="Move this path; all beneath it if it ends with /. May be repeated."
)
@click.option("--lists", help="Move what the *.csv here list; from the top of the bucket.")
@click.option("--target-directory", help="Where targets lie, beneath its other side. [default: the same, or /]")
@click.option("--create-directory", is_flag=True, help="Make that directory if it is missing (import).")
@click.option(
    "--existing",
    type=click.Choice(list(POLICIES)),
    default="skip",
    show_default=True,
    help="What to do where a target exists: skip it, keep the latest, overwrite it.",
)
@AS_JSON
@with_service
def batch(
    service: Service,
    *,
    flow_id: str,
    direction: str,
    directory: str | None,
    includes: tuple[str, ...],
    entries: tuple[str, ...],
    lists: str | None,
    target_directory: str | None,
    create_directory: bool,
    existing: str,
    as_json: bool,
) -> None:
    """Have the service list what is there and move all of it, on FLOW; prints the task's id. It goes on by itself."""
    answer = service.call(
        "CreateDataFlowTask",
        DataFlowId=flow_id,
        TaskAction=direction.capitalize(),
        DataType="MetaAndData",
        ConflictPolicy=POLICIES[existing],
        Directory=None if directory is None else as_directory(directory),
        Includes=json.dumps([as_directory(each) for each in includes], ensure_ascii=False) if includes else None,
        EntryList=json.dumps(["/" + each.lstrip("/") for each in entries], ensure_ascii=False) if entries else None,
        TransferFileListPath=None if lists is None else as_directory(lists),
        DstDirectory=None if target_directory is None else as_directory(target_directory),
        CreateDirIfNotExist="true" if create_directory else None,
    )
    if as_json:
        print_raw(answer)
    else:
        click.echo(answer["TaskId"])


def find_task(service: Service, task_id: str) -> Thing:
    """The task of that id. Raises SettingsError when there is none."""
    answer = page(service, "DescribeDataFlowTasks", filters={"TaskIds": task_id})
    return the_one(things(answer, "TaskInfo", "Task"), "task", task_id)


@task.command(name="list")
@click.option("--flow", "flow_id", shell_complete=completing.flows, help="Only of this dataflow.")
@STATUS
@LIMIT
@NEXT_TOKEN
@AS_JSON
@with_service
def list_(
    service: Service,
    *,
    flow_id: str | None,
    status: str | None,
    limit: int,
    next_token: str,
    as_json: bool,
) -> None:
    """List tasks, newest first."""
    filters = {"DataFlowIds": flow_id, "Status": status}
    answer = page(service, "DescribeDataFlowTasks", filters=filters, limit=limit, next_token=next_token)
    if as_json:
        print_raw(answer)
        return
    columns = {
        "ID": "TaskId",
        "FLOW": "DataFlowId",
        "ACTION": "TaskAction",
        "STATUS": "Status",
        "DIRECTORY": "Directory",
        "TARGET": "DstDirectory",
        "POLICY": "ConflictPolicy",
        "DONE": "ProgressStats.FilesDone",
        "OF": "ProgressStats.FilesTotal",
        "CREATED": "CreateTime",
    }
    show_page(answer, things(answer, "TaskInfo", "Task"), columns)


@task.command()
@TASK
@AS_JSON
@with_service
def show(service: Service, *, task_id: str, as_json: bool) -> None:
    """Show one task."""
    found = find_task(service, task_id)
    if as_json:
        print_raw(found)
        return
    stats = found.get("ProgressStats", {})
    print_facts(
        {
            "task": found["TaskId"],
            "dataflow": found["DataFlowId"],
            "action": found["TaskAction"],
            "status": found["Status"],
            "error": found.get("ErrorMsg"),
            "directory": found.get("Directory"),
            "target directory": found.get("DstDirectory"),
            "policy": found.get("ConflictPolicy"),
            "files": f"{stats.get('FilesDone', 0)} of {stats.get('FilesTotal', 0)}, {stats.get('ActualFiles', 0)} moved",
            "bytes": f"{size(stats.get('BytesDone', 0))} of {size(stats.get('BytesTotal', 0))}",
            "speed": f"{size(stats.get('AverageSpeed', 0))}/s",
            "compared": ", ".join(f"{name} {count}" for name, count in found.get("CompareStats", {}).items() if count),
            "created": found.get("CreateTime"),
            "ended": found.get("EndTime"),
        }
    )


@task.command()
@TASK
@with_service
def cancel(service: Service, *, task_id: str) -> None:
    """Close a stream; refused while sub-tasks of it are live."""
    found = find_task(service, task_id)
    service.call("CancelDataFlowTask", DataFlowId=found["DataFlowId"], TaskId=task_id)
    note(f"{task_id} is cancelled")
