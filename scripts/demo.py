"""The main job, shown: a service in a temporary HOME, the four published steps each way, and both copies compared.

Runs the installed command as anybody would and speaks to it by signed requests alone. Needs the runtime's packages only. What it
made is removed when all went well; when not, it stays and the last line says where.
"""

import filecmp
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from penstock.client import Client, ClientOptions, Parameter
from penstock.errors import PenstockError

LARGE_BYTES = 64 << 20
SMALL = b"<?xml version='1.0'?>\n<note>a small file, moved by Penstock</note>\n"
SIZES = {"file.xml": len(SMALL), "checkpoint.bin": LARGE_BYTES}
PENSTOCK = [sys.executable, "-m", "penstock.cli"]
READY_S = 30.0
MOVE_S = 60.0
END_S = 30.0
LIVE = {"CREATED", "RUNNING", "CANCELING"}

say = Console(highlight=False, soft_wrap=True)


class DemoError(Exception):
    """Something did not go as it should; the sentence says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One direction of the demo: what the four calls are told, and where the names are."""

    title: str
    action: str
    file_system_path: str
    prefix: str
    directory: str
    target_directory: str


IMPORT = Route(
    title="Import: from the bucket into the file system",
    action="StreamImport",
    file_system_path="/train/",
    prefix="/datasets/",
    directory="/v1/",
    target_directory="/data/",
)
EXPORT = Route(
    title="Export: from the file system into the bucket",
    action="StreamExport",
    file_system_path="/out/",
    prefix="/checkpoints/",
    directory="/step-100/",
    target_directory="/run-7/",
)


class Stage:
    """The temporary HOME with its service, and a client that shows what it asks and what it is answered."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.log = directory / "service.log"
        self.init: dict[str, str] = json.loads(self.run("init", str(self.home), "--json"))
        self.root = Path(self.init["root"])
        self.process, self.ready = self._serve()
        self.client = Client(
            ClientOptions(
                endpoint=self.ready["api"],
                access_key_id=self.init["access_key_id"],
                access_key_secret=self.init["access_key_secret"],
            )
        )

    def run(self, *arguments: str) -> str:
        """One `penstock` command; what it printed."""
        done = subprocess.run([*PENSTOCK, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DemoError(f"penstock {' '.join(arguments)} exited with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def _serve(self) -> tuple[subprocess.Popen[str], dict[str, str]]:
        with self.log.open("w") as log:
            process = subprocess.Popen(
                [*PENSTOCK, "serve", str(self.home), "--port", "0", "--emulator-port", "0"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], READY_S)
        line = process.stdout.readline() if readable else ""
        if not line:
            process.kill()
            process.wait()
            raise DemoError(f"the service did not become ready:\n{self.log.read_text()[-2000:]}")
        return process, json.loads(line)

    def call(self, action: str, **parameters: Parameter) -> dict[str, Any]:
        """One signed call, shown briefly."""
        told = escape("  ".join(f"{name}={_brief(value)}" for name, value in parameters.items()))
        say.print(f"  [bold cyan]{action}[/]  [dim]{told}[/]")
        answer = self.client.call(action, {"FileSystemId": self.init["file_system_id"], **parameters})
        told = escape("  ".join(f"{name}={_brief(value)}" for name, value in answer.items() if name != "RequestId"))
        say.print(f"    [green]200[/]  {told}")
        return answer

    def describe(self, task_id: str) -> dict[str, Any]:
        """DescribeDataFlowSubTasks of one task, not shown: it is asked many times."""
        filters = [{"Key": "DataFlowTaskIds", "Value": task_id}]
        parameters: Mapping[str, Parameter] = {"FileSystemId": self.init["file_system_id"], "Filters": filters}
        return self.client.call("DescribeDataFlowSubTasks", parameters)

    def stop(self) -> None:
        """SIGTERM, and wait for the service to end."""
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise DemoError("the service did not end after SIGTERM") from None
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()
        if status != 0:
            raise DemoError(f"the service ended with {status}:\n{self.log.read_text()[-2000:]}")


def _brief(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def write_files(directory: Path) -> None:
    """One small file and one of 64 MiB."""
    directory.mkdir(parents=True)
    (directory / "file.xml").write_bytes(SMALL)
    (directory / "checkpoint.bin").write_bytes(os.urandom(LARGE_BYTES))


def sub_tasks(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sub-tasks in an answer of DescribeDataFlowSubTasks."""
    return list(answer["DataFlowSubTask"]["DataFlowSubTask"])


def move(stage: Stage, route: Route) -> dict[str, Any]:
    """The four steps for both files; the final answer of the fourth."""
    say.print(f"\n[bold]{route.title}[/]")
    flow = stage.call(
        "CreateDataFlow",
        FileSystemPath=route.file_system_path,
        SourceStorage=f"oss://{stage.init['bucket']}",
        SourceStoragePath=route.prefix,
    )["DataFlowId"]
    task = stage.call(
        "CreateDataFlowTask",
        DataFlowId=flow,
        TaskAction=route.action,
        DataType="MetaAndData",
        ConflictPolicy="OVERWRITE_EXISTING",
        Directory=route.directory,
        DstDirectory=route.target_directory,
    )["TaskId"]
    for name in SIZES:
        stage.call(
            "CreateDataFlowSubTask",
            DataFlowId=flow,
            DataFlowTaskId=task,
            SrcFilePath=route.directory + name,
            DstFilePath=route.target_directory + name,
        )
    say.print(f"  [bold cyan]DescribeDataFlowSubTasks[/]  [dim]Filters=DataFlowTaskIds {task}[/]")
    answer = watch(stage, task)
    for each in sub_tasks(answer):
        if each["Status"] != "COMPLETE":
            raise DemoError(f"{each['SrcFilePath']} is {each['Status']}: {each['ErrorMsg']}")
    return answer


def watch(stage: Stage, task_id: str) -> dict[str, Any]:
    """Asks until every sub-task is final, with a bar."""
    until = time.monotonic() + MOVE_S
    columns = (
        TextColumn("    {task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=say) as progress:
        bar = progress.add_task("moving", total=sum(SIZES.values()))
        while True:
            answer = stage.describe(task_id)
            found = sub_tasks(answer)
            progress.update(bar, completed=sum(each["ProgressStats"]["BytesDone"] for each in found))
            if all(each["Status"] not in LIVE for each in found):
                return answer
            if time.monotonic() > until:
                raise DemoError(f"not done after {MOVE_S:g} s: {found}")
            time.sleep(0.05)


def compare(names: Mapping[Path, Path]) -> None:
    """Byte for byte."""
    for one, other in names.items():
        if not filecmp.cmp(one, other, shallow=False):
            raise DemoError(f"{one} and {other} differ")
        say.print(f"    [green]the same bytes[/]  {one.name}, {one.stat().st_size:,} bytes")


def show_answers(answers: Mapping[str, dict[str, Any]]) -> None:
    """What DescribeDataFlowSubTasks said in the end, whole."""
    for title, answer in answers.items():
        say.print(f"\n[bold]The final answer of DescribeDataFlowSubTasks for the {title}[/]")
        say.print_json(json.dumps(answer))


def perform(stage: Stage) -> None:
    """Both directions."""
    say.print(
        f"[dim]service[/]  {stage.ready['api']}   [dim]bucket[/]  {stage.ready['oss']}   [dim]HOME[/]  {stage.home}"
    )
    sources, back = stage.directory / "sources", stage.directory / "back"
    write_files(sources)
    for name in SIZES:
        stage.run("object", "put", str(stage.home), stage.init["bucket"], str(sources / name), f"datasets/v1/{name}")
    (stage.root / "train").mkdir()
    imported = move(stage, IMPORT)
    compare({sources / name: stage.root / "train" / "data" / name for name in SIZES})

    write_files(stage.root / "out" / "step-100")
    exported = move(stage, EXPORT)
    back.mkdir()
    for name in SIZES:
        stage.run("object", "get", str(stage.home), stage.init["bucket"], f"checkpoints/run-7/{name}", str(back / name))
    compare({stage.root / "out" / "step-100" / name: back / name for name in SIZES})
    show_answers({"import": imported, "export": exported})


def main() -> int:
    """Exits with 0 when both copies are the same as their sources."""
    begun = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="penstock-demo-"))
    stage: Stage | None = None
    try:
        stage = Stage(directory)
        try:
            perform(stage)
        finally:
            stage.stop()
    except (DemoError, PenstockError, OSError) as error:
        say.print(f"\n[bold red]The demo failed:[/] {escape(str(error))}")
        say.print(f"Everything it made is kept in {directory} (the service's log: {directory / 'service.log'})")
        return 1
    except KeyboardInterrupt:
        shutil.rmtree(directory, ignore_errors=True)
        return 130
    shutil.rmtree(directory)
    say.print(f"\n[bold green]Both copies are the same, byte for byte.[/] It took {time.monotonic() - begun:.1f} s.")
    say.print("Start it for real:")
    say.print(
        "    .venv/bin/penstock init ~/penstock\n    .venv/bin/penstock serve ~/penstock\n    .venv/bin/penstock --help"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
