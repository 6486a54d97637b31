"""`penstock subtask create | list | show | cancel`: one file each, or many by `feeding`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import BinaryIO

import click

from penstock.cli import completing
from penstock.cli.answers import Thing, page, print_raw, show_page, the_one, things, value_at
from penstock.cli.arguments import AS_JSON, LIMIT, NEXT_TOKEN, STATUS
from penstock.cli.bars import byte_bar
from penstock.cli.connection import Service, with_service
from penstock.cli.feeding import ListForm, create_many, create_one, listed_files
from penstock.cli.output import note, print_facts, size
from penstock.cli.patience import Patience
from penstock.cli.tasks import TASK, find_task
from penstock.client import FileToMove
from penstock.errors import ApiRefusedError, ApiUnreachableError

MANY = """\
\b
Many files:
  penstock subtask create TASK --each a.bin b.bin c.bin
  find . -type f -printf '%P\\0' | penstock subtask create TASK --from - --null --wait
  penstock subtask create TASK --from list.txt         a line is SOURCE, or SOURCE, a tab, and TARGET
  penstock subtask create TASK --from list.json --json-lines
\b
A line of JSON: {"SrcFilePath": "/a", "DstFilePath": "/b", "Condition": {"Size": 5, "ModifyTime": "17000..."}};
all but SrcFilePath may be left out. A thousand files go in one call. What is refused is said on stderr, the others
are moved; while the service has no places left the command waits, and what got no answer is asked again, never
twice done. The exit code is 0 if all were accepted (with --wait: are COMPLETE), else 1.
"""
LIVE = frozenset({"CREATED", "RUNNING", "CANCELING"})
LOOKS_S = (0.05, 0.1, 0.2, 0.4)
SUB_TASK = click.argument("sub_task_id", metavar="SUBTASK", shell_complete=completing.sub_tasks)


@click.group()
def subtask() -> None:
    """Sub-tasks: each moves one file, whole or not at all."""


@subtask.command(epilog=MANY)
@TASK
@click.argument("source", nargs=-1, metavar="SOURCE [TARGET]")
@click.option("--size", "size_bytes", type=click.IntRange(min=0), help="Move it only if the source has this size.")
@click.option(
    "--modified", "modified_ns", type=int, help="Move it only if the source was modified then (ns since 1970)."
)
@click.option("--each", is_flag=True, help="Every argument is a SOURCE that keeps its name.")
@click.option("--from", "listed", type=click.File("rb"), help="Move the files listed in this file; - is stdin.")
@click.option("-0", "--null", "by_null", is_flag=True, help="The list is separated by NUL, as of find -print0.")
@click.option("--json-lines", "as_entries", is_flag=True, help="Each line of the list is a JSON object.")
@click.option("--wait", is_flag=True, help="Wait until all is done; exit with 1 unless it is COMPLETE.")
@AS_JSON
@with_service
def create(
    service: Service,
    *,
    task_id: str,
    source: tuple[str, ...],
    size_bytes: int | None,
    modified_ns: int | None,
    each: bool,
    listed: BinaryIO | None,
    by_null: bool,
    as_entries: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Move the file SOURCE to TARGET on the stream TASK, or many files; prints the sub-tasks' ids.

    SOURCE is relative to the task's directory, TARGET (the same name where not given) to its target directory.
    """
    file = _one_file(source, modified_ns, size_bytes) if not each and listed is None else None
    if file is not None:
        if by_null or as_entries:
            raise click.UsageError("--null and --json-lines say how the list of --from is written")
        _create_one(service, find_task(service, task_id), file, wait=wait, as_json=as_json)
        return
    if (each and listed is not None) or (listed is not None and source):
        raise click.UsageError("give sources as arguments or by --from, not both")
    if each and not source:
        raise click.UsageError("--each needs at least one SOURCE: nothing was named, so nothing would be moved")
    if size_bytes is not None or modified_ns is not None:
        raise click.UsageError("--size and --modified are for one file; in a list of --json-lines each has its own")
    files: Iterator[FileToMove] = (FileToMove(source=name, target=name) for name in source)
    if listed is not None:
        files = listed_files(listed, form=ListForm.JSON if as_entries else ListForm.NULL if by_null else ListForm.LINES)
    create_many(service, find_task(service, task_id), files, wait=wait, as_json=as_json)


def _one_file(source: tuple[str, ...], modified_ns: int | None, size_bytes: int | None) -> FileToMove:
    if len(source) not in (1, 2):
        raise click.UsageError("name a SOURCE, or a SOURCE and its TARGET; for more sources say --each or --from FILE")
    return FileToMove(
        source=source[0], target=source[-1] or source[0], modify_time_ns=modified_ns, size_bytes=size_bytes
    )


def _create_one(service: Service, stream: Thing, file: FileToMove, *, wait: bool, as_json: bool) -> None:
    sub_task_id = create_one(service, stream, file)
    if not wait:
        if as_json:
            print_raw({"DataFlowSubTaskId": sub_task_id})
        else:
            click.echo(sub_task_id)
        return
    try:
        found = await_sub_task(service, sub_task_id)
    except (ApiRefusedError, ApiUnreachableError, KeyboardInterrupt):
        note("the file was accepted and is moved, though nobody waits for it any more; what became of it:")
        note(f"  penstock subtask show {sub_task_id}")
        raise
    if as_json:
        print_raw(found)
    else:
        print_sub_task(found)
    if found["Status"] != "COMPLETE":
        raise click.exceptions.Exit(1)


def find_sub_task(service: Service, sub_task_id: str) -> Thing:
    """The sub-task of that id. Raises SettingsError when there is none."""
    answer = page(service, "DescribeDataFlowSubTasks", filters={"DataFlowSubTaskIds": sub_task_id})
    return the_one(things(answer, "DataFlowSubTask", "DataFlowSubTask"), "sub-task", sub_task_id)


def await_sub_task(service: Service, sub_task_id: str) -> Thing:
    """The sub-task when it is final; shows progress meanwhile, and waits for a service that is restarted."""
    looks, patience = 0, Patience()
    with byte_bar(sub_task_id, None) as tell:
        while True:
            found = patience.asked(lambda: find_sub_task(service, sub_task_id))
            stats = found["ProgressStats"]
            tell(stats["BytesDone"], stats["BytesTotal"] or None)
            if found["Status"] not in LIVE:
                return found
            time.sleep(LOOKS_S[min(looks, len(LOOKS_S) - 1)])
            looks += 1


@subtask.command(name="list")
@click.option("--task", "task_id", shell_complete=completing.tasks, help="Only of this task.")
@click.option("--flow", "flow_id", shell_complete=completing.flows, help="Only of this dataflow.")
@click.option("--source", help="Only with exactly this source, as it is listed.")
@click.option("--target", help="Only with exactly this target, as it is listed.")
@STATUS
@LIMIT
@NEXT_TOKEN
@AS_JSON
@with_service
def list_(
    service: Service,
    *,
    task_id: str | None,
    flow_id: str | None,
    source: str | None,
    target: str | None,
    status: str | None,
    limit: int,
    next_token: str,
    as_json: bool,
) -> None:
    """List sub-tasks, newest first."""
    filters = {
        "DataFlowTaskIds": task_id,
        "DataFlowIds": flow_id,
        "SrcFilePath": source,
        "DstFilePath": target,
        "Status": status,
    }
    answer = page(service, "DescribeDataFlowSubTasks", filters=filters, limit=limit, next_token=next_token)
    if as_json:
        print_raw(answer)
        return
    columns = {
        "ID": "DataFlowSubTaskId",
        "STATUS": "Status",
        "PROGRESS": "Progress",
        "BYTES": "ProgressStats.BytesTotal",
        "SOURCE": "SrcFilePath",
        "TARGET": "DstFilePath",
        "CREATED": "CreateTime",
        "ERROR": "ErrorMsg",
    }
    show_page(answer, things(answer, "DataFlowSubTask", "DataFlowSubTask"), columns)


@subtask.command()
@SUB_TASK
@AS_JSON
@with_service
def show(service: Service, *, sub_task_id: str, as_json: bool) -> None:
    """Show one sub-task."""
    found = find_sub_task(service, sub_task_id)
    if as_json:
        print_raw(found)
    else:
        print_sub_task(found)


def print_sub_task(found: Thing) -> None:
    """What is known of a sub-task, a line each."""
    stats = found["ProgressStats"]
    print_facts(
        {
            "sub-task": found["DataFlowSubTaskId"],
            "task": found["DataFlowTaskId"],
            "status": found["Status"],
            "progress": f"{found['Progress'] / 100:g} %",
            "error": found.get("ErrorMsg"),
            "source": found["SrcFilePath"],
            "target": found["DstFilePath"],
            "bytes": f"{stats['BytesDone']} of {stats['BytesTotal']}, {stats['ActualBytes']} moved",
            "speed": f"{size(stats['AverageSpeed'])}/s",
            "modified (ns)": value_at(found, "FileDetail.ModifyTime"),
            "checksum": value_at(found, "FileDetail.Checksum"),
            "created": found.get("CreateTime"),
            "started": found.get("StartTime"),
            "ended": found.get("EndTime"),
        }
    )


@subtask.command()
@SUB_TASK
@with_service
def cancel(service: Service, *, sub_task_id: str) -> None:
    """Withdraw a sub-task that has not ended; nothing of it is left behind."""
    found = find_sub_task(service, sub_task_id)
    service.call(
        "CancelDataFlowSubTask",
        DataFlowId=found["DataFlowId"],
        DataFlowTaskId=found["DataFlowTaskId"],
        DataFlowSubTaskId=sub_task_id,
    )
    note(f"{sub_task_id} is being cancelled")
