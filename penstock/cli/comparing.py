"""`penstock compare DIR [STORAGE]`: what differs between a directory and where it is bound to in a bucket. Moves nothing.

Finds the dataflow, begins a Compare task, shows it until it has ended, and tells what its reports say. Looks at neither side
itself: the service does, so it works from anywhere.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from penstock.cli import completing
from penstock.cli.answers import Thing
from penstock.cli.bars import spinner
from penstock.cli.connection import Service, with_service_at
from penstock.cli.failure import ExitCode
from penstock.cli.interrupts import Interrupts
from penstock.cli.items import FILE_SYSTEM
from penstock.cli.named_files import Tree
from penstock.cli.output import note, size, visible
from penstock.cli.patience import Patience
from penstock.cli.roots import places_of, root_of
from penstock.cli.tasks import find_task
from penstock.client import FlowFacts, Penstock
from penstock.client.fetching import report_lines, report_pieces
from penstock.client.finding import as_directory, storage_parts
from penstock.errors import ApiRefusedError, ApiUnreachableError, SettingsError

LIVE = frozenset({"Pending", "Executing", "Canceling"})
LOOKS_S = (0.05, 0.1, 0.2, 0.4)
SHOWN_MAX = 100
"""At a terminal; the whole is in the report."""

EXAMPLES = """\
\b
Examples:
  penstock compare checkpoints/                                   with where a dataflow binds it to
  penstock compare checkpoints/ oss://examplebucket/run-7/ --checksum
  penstock compare fs:/train/ --csv differences.csv               as the file system has it, where it is not mounted here
\b
A line a difference: what it is, in what, the path; then the counts. The exit code is 0 if both sides are the same, 1 if
anything differs or could not be compared, 4 if the service does not answer, 130 after Ctrl-C, which cancels the comparison.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What is compared by which dataflow: directories beneath its two sides."""

    flow: FlowFacts
    directory: str
    target_directory: str

    @property
    def words(self) -> str:
        """For people."""
        here, there = self.flow.path[:-1] + self.directory, self.flow.there[:-1] + self.target_directory
        return f"{here} and {there}, by dataflow {self.flow.flow_id}"


@click.command(epilog=EXAMPLES)
@click.argument("directory", metavar="DIR")
@click.argument("storage", required=False)
@click.option("--flow", "flow_id", metavar="ID", shell_complete=completing.flows, help="Use this dataflow.")
@click.option("--checksum", is_flag=True, help="Read the files, and compare with the CRC-64 that the store tells.")
@click.option("--download", is_flag=True, help="The same, and read objects whose store tells none.")
@click.option(
    "--csv", "csv_path", metavar="FILE", type=click.Path(dir_okay=False), help="Write the report of differences there."
)
@click.option(
    "--root", metavar="DIR", envvar="PENSTOCK_ROOT", help="Where the file system is mounted here. [env: PENSTOCK_ROOT]"
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line: plan, difference, failed, summary.")
@with_service_at(lambda asked: places_of(asked["root"], [asked["directory"]]))
def compare(
    service: Service,
    /,
    *,
    directory: str,
    storage: str | None,
    flow_id: str | None,
    checksum: bool,
    download: bool,
    csv_path: str | None,
    root: str | None,
    as_json: bool,
) -> None:
    """Say what differs between DIR, with all that lies beneath it, and STORAGE (oss://BUCKET/PREFIX/).

    Compared are sizes and modification times, with --checksum contents, too. Neither side is changed. A dataflow has to hold both
    sides; the narrowest one is used. Without STORAGE, DIR is compared with where a dataflow binds it to.
    """
    tree = Tree(root=root_of(service, root, [directory]))
    inner = directory.removeprefix(FILE_SYSTEM) if directory.startswith(FILE_SYSTEM) else tree.inner(directory)
    with Penstock.of(service.options, file_system_id=service.file_system_id) as penstock:
        way = found_way(penstock.flows(), as_directory(inner), storage, flow_id)
    teller = _JsonLines() if as_json else _Lines()
    teller.plan(way)
    began_s = time.monotonic()
    with Interrupts() as interrupts:
        checksums = "Read" if download else "Stored" if checksum else "None"
        task = _Comparison(service, way, checksums, interrupts).run()
    if csv_path is not None:
        _kept(service, task, csv_path)
    told(service, task, teller)
    teller.sum_up(task, time.monotonic() - began_s)
    raise click.exceptions.Exit(exit_code_of(task))


def found_way(flows: Sequence[FlowFacts], directory: str, storage: str | None, flow_id: str | None) -> Way:
    """The narrowest dataflow that holds both sides. Raises SettingsError, click.UsageError."""
    try:
        there = storage_parts(storage) if storage is not None else None
    except ValueError as error:
        raise click.UsageError(f"STORAGE: {error}") from error
    fitting = [
        flow
        for flow in flows
        if (flow.flow_id == flow_id or not flow_id)
        and directory.startswith(flow.path)
        and (there is None or (there[0] == flow.storage and there[1].startswith(flow.prefix)))
    ]
    if not fitting:
        sides = f"{directory} and {there[0]}{there[1]}" if there is not None else directory
        raise SettingsError(
            f"no dataflow{f' {flow_id}' if flow_id else ''} holds {sides}: see `penstock flow list`; one is made by: "
            f"penstock flow create {directory} {f'{there[0]}{there[1]}' if there else 'oss://BUCKET/PREFIX/'}"
        )
    best = max(fitting, key=lambda flow: (len(flow.path), len(flow.prefix)))
    rivals = [flow for flow in fitting if (len(flow.path), len(flow.prefix)) == (len(best.path), len(best.prefix))]
    if len(rivals) > 1 and there is None:
        listed = ", ".join(f"{flow.flow_id} ({flow.there})" for flow in rivals)
        raise SettingsError(f"several dataflows hold {directory}: say STORAGE, or --flow ID; there are {listed}")
    below = directory[len(best.path) - 1 :]
    return Way(
        flow=best, directory=below, target_directory=below if there is None else there[1][len(best.prefix) - 1 :]
    )


class _Comparison:
    """The task, from its beginning to its end. Ctrl-C cancels it."""

    def __init__(self, service: Service, way: Way, checksums: str, interrupts: Interrupts) -> None:
        self._service = service
        self._way = way
        self._checksums = checksums
        self._interrupts = interrupts
        self._patience = Patience()

    def run(self) -> Thing:
        """The task when it has ended. Raises what the client raises; KeyboardInterrupt once it is cancelled."""
        flow_id, token = self._way.flow.flow_id, uuid.uuid4().hex
        answer = self._patience.asked(
            lambda: self._service.call(
                "CreateDataFlowTask",
                DataFlowId=flow_id,
                TaskAction="Compare",
                DataType="MetaAndData",
                ConflictPolicy="SKIP_THE_FILE",
                Directory=self._way.directory,
                DstDirectory=self._way.target_directory,
                CompareChecksum=self._checksums,
                ClientToken=token,
            )
        )
        task_id = str(answer["TaskId"])
        try:
            return self._waited(task_id)
        except (ApiUnreachableError, ApiRefusedError):
            note(f"the comparison goes on without this command: penstock task show {task_id}")
            raise

    def _waited(self, task_id: str) -> Thing:
        looks, seen = 0, -1
        with spinner("comparing") as shown:
            while True:
                task = self._patience.asked(lambda: find_task(self._service, task_id))
                if task["Status"] not in LIVE:
                    return task
                if self._interrupts.came:
                    self._cancelled(task_id)
                shown.tell(_state(task))
                looks = 0 if task["Progress"] != seen else looks + 1
                seen = task["Progress"]
                self._interrupts.sleep(LOOKS_S[min(looks, len(LOOKS_S) - 1)])

    def _cancelled(self, task_id: str) -> None:
        with contextlib.suppress(ApiRefusedError):  # it has ended, or is ending
            self._service.call("CancelDataFlowTask", DataFlowId=self._way.flow.flow_id, TaskId=task_id)
            note(f"{task_id} is cancelled")
        raise KeyboardInterrupt


def _state(task: Thing) -> str:
    if task["Status"] == "Pending":
        return "waits: four tasks of its dataflow are under way"
    return task["ErrorMsg"] or f"{task['ProgressStats']['FilesTotal']:,} paths; {counts_of(task)}"


def counts_of(task: Thing) -> str:
    """The counts of a comparison in words; what is 0 is left out, but for the first."""
    stats = task["CompareStats"]
    words = {
        "Differs": "differ",
        "OnlyInFileSystem": "only in the file system",
        "OnlyInBucket": "only in the bucket",
        "Failed": "could not be compared",
        "Skipped": "skipped (no files)",
    }
    return ", ".join(
        [f"{stats['Same']:,} same", *(f"{stats[name]:,} {said}" for name, said in words.items() if stats[name])]
    )


def exit_code_of(task: Thing) -> ExitCode:
    """0 only where all was compared, and is the same."""
    stats = task["CompareStats"]
    is_same = not any(stats[name] for name in ("Differs", "OnlyInFileSystem", "OnlyInBucket", "Failed"))
    return ExitCode.DONE if task["Status"] == "Completed" and is_same else ExitCode.FAILED


# ---------------------------------------------------------------------------------------------------------------- tell


def _link(task: Thing, name: str) -> str:
    """To a report of the task; "" where it has none."""
    reports = task.get("Reports", {}).get("Report", [])
    return next((str(each["Path"]) for each in reports if each["Name"] == name), "")


def _read(service: Service, task: Thing, name: str) -> Iterator[Mapping[str, str]]:
    link = _link(task, name)
    if link:
        yield from report_lines(service.options, link)


def told(service: Service, task: Thing, teller: _Lines) -> None:
    """What differs, and what could not be compared."""
    for line in _read(service, task, "DifferencesReport"):
        if not teller.difference(line):
            break
    for line in _read(service, task, "FailedFilesReport"):
        if not teller.failed(line):
            break


def _kept(service: Service, task: Thing, path: str) -> None:
    """Write the report into a file; its head alone where nothing differs. Raises OSError."""
    link = _link(task, "DifferencesReport")
    with open(path, "wb") as file:
        file.writelines(report_pieces(service.options, link) if link else [f"{','.join(_NAMES)}\r\n".encode()])


class _Lines:
    """For people: differences on stdout, what could not be compared on stderr."""

    def __init__(self) -> None:
        self._left: dict[str, int] = {}
        self._max = SHOWN_MAX if sys.stdout.isatty() else None

    def plan(self, way: Way) -> None:
        """What is compared with what."""
        note(f"comparing {visible(way.words)}")

    def difference(self, line: Mapping[str, str]) -> bool:
        """A line of the report; whether more shall come."""
        reason = line["Reason"].replace(" ", "+")
        sizes = f"  {line['SrcSize']} and {line['DstSize']} bytes" if "Size" in line["Reason"] else ""
        words = f"{line['Result']}{f' {reason}' if reason else ''}"
        return self._say("differences", f"{words:<24}  {visible(line['SrcFilePath'])}{sizes}", click.echo)

    def failed(self, line: Mapping[str, str]) -> bool:
        """Likewise of what could not be compared."""
        return self._say("failed", f"{visible(line['SrcFilePath'])}: {visible(line['Reason'])}", note)

    def _say(self, what: str, text: str, say: Callable[[str], Any]) -> bool:
        shown = self._left[what] = self._left.get(what, 0) + 1
        if self._max is not None and shown > self._max:
            say("… and more: --csv FILE has all of them")
            return False
        say(text)
        return True

    def sum_up(self, task: Thing, seconds: float) -> None:
        """The last lines."""
        stats = task["CompareStats"]
        untold = {"ModifyTimeNotCompared": "modification times", "ChecksumNotCompared": "checksums"}
        for name, what in untold.items():
            if stats[name]:
                hint = "; --download reads those objects" if name == "ChecksumNotCompared" else ""
                note(f"{what} of {stats[name]:,} objects were not compared: the bucket does not tell them{hint}")
        if task["Status"] != "Completed":
            note(f"the comparison is {task['Status']}: {visible(task['ErrorMsg'])}")
        read = f"; {size(stats['BytesRead'])} read" if stats["BytesRead"] else ""
        click.secho(f"{counts_of(task)}{read}, in {seconds:.1f} s", bold=sys.stdout.isatty())


class _JsonLines(_Lines):
    """A JSON object for each event, a line each."""

    def plan(self, way: Way) -> None:
        """As an event of its own."""
        _print_event("plan", {"text": way.words})

    def difference(self, line: Mapping[str, str]) -> bool:
        """Names as the report has them, but as JSON has names; texts as they are there, for nanoseconds are too long for many."""
        told = {_NAMES.get(name, name): value for name, value in line.items()}
        _print_event("difference", told)
        return True

    def failed(self, line: Mapping[str, str]) -> bool:
        """Likewise."""
        _print_event("failed", {"source": line["SrcFilePath"], "target": line["DstFilePath"], "error": line["Reason"]})
        return True

    def sum_up(self, task: Thing, seconds: float) -> None:
        """The last line."""
        counts = {"task": task["TaskId"], "status": task["Status"], "error": task["ErrorMsg"]}
        _print_event("summary", {**counts, **task["CompareStats"], "seconds": round(seconds, 3)})


_NAMES = {
    "SrcFilePath": "source",
    "DstFilePath": "target",
    "Result": "result",
    "Reason": "reason",
    "SrcSize": "source_size",
    "DstSize": "target_size",
    "SrcModifyTime": "source_modify_time_ns",
    "DstModifyTime": "target_modify_time_ns",
    "SrcChecksum": "source_checksum",
    "DstChecksum": "target_checksum",
}


def _print_event(event: str, fields: Mapping[str, Any]) -> None:
    text = json.dumps({"event": event, **fields}, ensure_ascii=False)
    click.echo(text if text.isprintable() else json.dumps({"event": event, **fields}))
