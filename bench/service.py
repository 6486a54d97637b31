"""Penstock as it is measured: the installed command on a HOME of its own, asked through its API alone, durability on.

Nothing here knows how Penstock works inside. The embedded bucket that `init` makes lies idle: no target is measured against it.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.accounts import open_account
from bench.lean import Answers, ask_all, signed
from penstock.client import Client, ClientOptions, FileToMove, Parameter, bulk_entry, bulk_pages

COMMAND = (sys.executable, "-P", "-m", "penstock.cli")
REGIONS = {"oss": "cn-hangzhou", "s3": "us-east-1"}
READY_S = 60.0
STOP_S = 40.0
KEYS = {
    f"{maker}_{name}": value
    for maker, secret in (("OSS", "ACCESS_KEY_SECRET"), ("AWS", "SECRET_ACCESS_KEY"))
    for name, value in (("ACCESS_KEY_ID", "benchkeyid01"), (secret, "benchsecret01"))
}


class ServiceError(Exception):
    """Penstock did not do what was asked; the sentence says what."""


class Penstock:
    """A running service and its account of CPU."""

    def __init__(self, home: Path, root: Path, *, settings: Mapping[str, int] | None = None) -> None:
        self.home = home
        self.root = root
        self._init: dict[str, str] = json.loads(self._run("init", str(home), "--json"))
        self._set(settings or {})
        self.file_system_id = self._run("filesystem", "add", str(home), str(root)).split()[0]
        self.account = open_account()
        try:
            self._start()
        except BaseException:
            self.account.close()
            raise

    def add_bucket(self, name: str, port: int, *, kind: str = "oss") -> None:
        """Registers a bucket on 127.0.0.1 that speaks OSS or S3."""
        endpoint = f"http://127.0.0.1:{port}"
        place = ("--endpoint", endpoint, "--region", REGIONS[kind])
        self._run("bucket", "add", str(self.home), name, "--kind", kind, *place, "--no-versioning-check")

    @contextlib.contextmanager
    def beside(self, root: Path) -> Iterator[Penstock]:
        """The same service, asked about another file system of it, by a client of its own."""
        other = copy.copy(self)
        other.root = root
        other.file_system_id = self._run("filesystem", "add", str(self.home), str(root)).split()[0]
        other.client = Client(self.options)
        try:
            yield other
        finally:
            other.client.close()

    # -------------------------------------------------------------------------------------------------------- calls

    def call(self, action: str, **parameters: Parameter | None) -> dict[str, Any]:
        """One call; its answer."""
        return self.client.call(action, {"FileSystemId": self.file_system_id, **parameters})

    def flow(self, bucket: str, path: str, *, kind: str = "oss") -> str:
        """A dataflow between a directory and a whole bucket. A bucket just registered is seen within a second."""
        (self.root / path.strip("/")).mkdir(parents=True, exist_ok=True)
        until = time.monotonic() + 10
        while True:
            try:
                answer = self.call(
                    "CreateDataFlow", FileSystemPath=path, SourceStorage=f"{kind}://{bucket}", SourceStoragePath="/"
                )
            except Exception:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
            else:
                return str(answer["DataFlowId"])

    def task(self, flow: str, action: str, directory: str, target_directory: str) -> str:
        """A stream."""
        answer = self.call(
            "CreateDataFlowTask",
            DataFlowId=flow,
            TaskAction=action,
            DataType="MetaAndData",
            ConflictPolicy="OVERWRITE_EXISTING",
            Directory=directory,
            DstDirectory=target_directory,
        )
        return str(answer["TaskId"])

    def sub_task(self, flow: str, task: str, name: str, target: str = "") -> bytes:
        """The signed call that moves one file."""
        return self.signed(
            "CreateDataFlowSubTask",
            DataFlowId=flow,
            DataFlowTaskId=task,
            SrcFilePath=f"/{name}",
            DstFilePath=f"/{target or name}",
        )

    def one_by_one(self, flow: str, task: str, names: Sequence[str]) -> list[bytes]:
        """The signed calls that move files of these names, one a file."""
        return [self.sub_task(flow, task, each) for each in names]

    def bulk(self, flow: str, task: str, names: Sequence[str], target: str = "") -> list[bytes]:
        """The signed calls of the bulk door that move files of these names, to names that begin with `target`."""
        ids = {"DataFlowId": flow, "DataFlowTaskId": task, "PathBase": "task"}
        files = (FileToMove(source=name, target=f"{target}{name}") for name in names)
        return [
            signed(
                self.options,
                "CreateDataFlowSubTasks",
                {"FileSystemId": self.file_system_id, **ids},
                form={"SubTasks": f"[{','.join(map(bulk_entry, page))}]"},
            )
            for page in bulk_pages(files)
        ]

    def signed(self, action: str, **parameters: Parameter | None) -> bytes:
        """A call that `ask` sends."""
        return signed(self.options, action, {"FileSystemId": self.file_system_id, **parameters})

    def ask(self, calls: list[bytes], *, connections: int) -> Answers:
        """Sends calls that were signed before."""
        return ask_all(self.options.endpoint, calls, connections=connections)

    def wait(self, task: str, count: int, *, every_s: float, limit_s: float) -> None:
        """Until so many files of a task are done. Raises ServiceError for a failure, or after `limit_s`."""
        until = time.monotonic() + limit_s
        while (stats := self._stats(task))["FilesDone"] < count:
            if time.monotonic() > until:
                raise ServiceError(f"not done after {limit_s:g} s: {stats}; {self._trouble(task)}")
            time.sleep(every_s)

    def files_done(self, task: str) -> int:
        """How many files of a task are there."""
        return int(self._stats(task)["FilesDone"])

    def _stats(self, task: str) -> dict[str, Any]:
        filters: Parameter = [{"Key": "TaskIds", "Value": task}]
        (found,) = self.call("DescribeDataFlowTasks", Filters=filters)["TaskInfo"]["Task"]
        stats: dict[str, Any] = found["ProgressStats"]
        return stats

    def _trouble(self, task: str) -> str:
        filters: Parameter = [{"Key": "DataFlowTaskIds", "Value": task}]
        answer = self.call("DescribeDataFlowSubTasks", Filters=filters, MaxResults=100)
        found = answer["DataFlowSubTask"]["DataFlowSubTask"]
        words = {f"{each['Status']}: {each.get('ErrorMsg', '')}" for each in found if each["Status"] != "COMPLETE"}
        return "; ".join(sorted(words)[:5])

    # ------------------------------------------------------------------------------------------------------ processes

    @property
    def process_id(self) -> int:
        """The control process."""
        return self._process.pid

    def stop(self) -> None:
        """SIGTERM and the end; the account is given back."""
        self._end()
        self.account.close()

    def again(self) -> None:
        """Ends the service and starts it anew on the same HOME."""
        self.pause()
        self.go_on()

    def pause(self) -> None:
        """Ends the service; its HOME and its account stay."""
        self._end()

    def go_on(self) -> None:
        """Starts it anew."""
        self._start()

    def _start(self) -> None:
        command = [*COMMAND, "serve", str(self.home), "--port", "0", "--emulator-port", "0"]
        with (self.home.parent / f"{self.home.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.account.joining(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._await_ready()
        except BaseException:  # a signal, too: nobody else knows of it yet
            self._stop_process()
            raise

    def _await_ready(self) -> None:
        self.account.began(self._process.pid)
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], READY_S)
        line = self._process.stdout.readline() if readable else b""
        if not line:
            said = (self.home.parent / f"{self.home.name}.log").read_text(errors="replace")[-1500:]
            raise ServiceError(f"Penstock did not become ready: {said}")
        self.options = ClientOptions(
            endpoint=json.loads(line)["api"],
            access_key_id=self._init["access_key_id"],
            access_key_secret=self._init["access_key_secret"],
        )
        self.client = Client(self.options)

    def _end(self) -> None:
        self.client.close()
        self._stop_process()

    def _stop_process(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*COMMAND, *arguments], env={**os.environ, **KEYS}, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode != 0:
            raise ServiceError(f"penstock {' '.join(arguments)} exited with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def _set(self, settings: Mapping[str, int]) -> None:
        path = self.home / "penstock.toml"
        text = path.read_text()
        for name, value in settings.items():
            text = re.sub(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        path.write_text(text)
