"""A recording: a served HOME moved some files below strace; what was there before, what was called, what was asked for.

`record(way, directory)` makes one. Everything lies in HOME, the file system and the embedded bucket server, too; what that
server writes counts as another machine's, which loses nothing.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss

from penstock import failpoints
from penstock.client import Client, ClientOptions
from penstock.errors import ApiRefusedError
from penstock.failpoints import Point
from penstock.settings.home import Home
from penstock.settings.writing import change_settings
from penstock.stores.credentials import load_credentials
from tests.faults.matrix.smallservice import KIB, LARGE_BYTES, LIMITS, MIDDLING_BYTES, SMALL_BYTES
from tests.faults.matrix.world import Traps
from tests.faults.power import strace, tracedservice
from tests.faults.power.disk import Change, Disk, changes_of
from tests.faults.power.operations import Kind, Operation, read
from tests.faults.power.states import State, States
from tests.fixtures.service import RunningService, init_home, start_service
from tests.fixtures.waiting import wait_until

ROOM = Path(__file__).parents[3]
SERVICE = (sys.executable, str(Path(tracedservice.__file__)))
PATIENCE_S = 60.0
HALFWAY_PASSING = 3
MODULE_OF_A_MOVER = b"penstock.engine.mover_process"
FAILS = "fdatasync:error=EIO:when=6"  # of each thread; the catalog's writer is the only one that syncs so often
SOON = 6  # moments
HELPERS = ".penstock-????????????????.*"
"""Partial files and journals; the mark of the root has another name."""
FINAL = frozenset({"COMPLETE", "FAILED", "CANCELED", "EXPIRED"})


class Way(StrEnum):
    """What is recorded."""

    IMPORT_SMALL = "import-small"  # several, into directories that have to be made, and into one that is there
    IMPORT_LARGE = "import-large"
    EXPORT_SMALL = "export-small"
    EXPORT_LARGE = "export-large"
    ACCEPTED = "accepted"  # a crowd, of which the catalog's log is copied several times meanwhile
    SYNC_FAILS = "sync-fails"  # the same, and once the log cannot be synced: who asked just then has to ask again
    IMPORT_MIDDLING = "import-middling"  # a grain at a time, past the page cache and through it
    CANCEL_IMPORT = "cancel-import"  # a large one, canceled in its midst
    CANCEL_EXPORT = "cancel-export"
    IMPORT_KILLED = "import-killed"  # under SKIP_THE_FILE, one by one; each mover dies before the name is durable

    @property
    def is_import(self) -> bool:
        """Whether files come in."""
        return not self.value.endswith(("export", "export-small", "export-large"))

    @property
    def is_alone(self) -> bool:
        """Whether it is one file: no second mover has any part in it."""
        return self.value.endswith("-large") or self.is_canceled

    @property
    def is_canceled(self) -> bool:
        """Whether its file is canceled, and ends so."""
        return self in HALFWAY


HALFWAY: Mapping[Way, Point] = {Way.CANCEL_IMPORT: "partial.written", Way.CANCEL_EXPORT: "part.sent"}
"""Where a mover is held until its file has been canceled."""

IS_WHOLE = os.environ.get("PENSTOCK_POWER_WHOLE") == "1"
"""Whether tests are to take the time for everything; `make power-cuts` sees to that."""

LONG = frozenset({Way.IMPORT_MIDDLING, Way.CANCEL_IMPORT, Way.CANCEL_EXPORT})
WAYS = [way for way in Way if IS_WHOLE or way not in LONG]
"""Those that tests record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One that was asked for. Its bytes are those of its path and size."""

    path: str
    sub_task_id: str
    size_bytes: int

    @property
    def is_large(self) -> bool:
        """Whether it is moved in parts."""
        return self.size_bytes > LIMITS.small_file_max_bytes

    @property
    def body(self) -> bytes:
        """Its bytes."""
        return body_of(self.path, self.size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was asked for, and the address where answers were sent from; `cancel` is the request id of a cancel's answer."""

    way: Way
    files: tuple[File, ...]
    init: Mapping[str, str]
    api: str
    shore: str
    cancel: str = ""


def body_of(path: str, size_bytes: int) -> bytes:
    """A file's bytes."""
    return random.Random(path).randbytes(size_bytes)


class Recording:
    """A directory: `before` (as it was), `world` (as it became), `trace` and `facts`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.world = directory / "world"
        known = json.loads((directory / "facts").read_text())
        files = tuple(File(**one) for one in known.pop("files"))
        self.facts = Facts(files=files, **{**known, "way": Way(known["way"])})
        self.operations: list[Operation] = read(directory / "trace", world=self.world)
        self.before = Disk.of(directory / "before", matters=self.matters)
        self.changes: list[Change]
        self.changes, self.end = changes_of(self.before, self.operations, self.world, matters=self.matters)

    @property
    def answers(self) -> list[Operation]:
        """What the API sent."""
        return [one for one in self.operations if one.path.startswith(f"TCP:[{self.facts.api}->")]

    @property
    def requests(self) -> list[Operation]:
        """What was sent to the bucket server."""
        return [one for one in self.operations if one.path.endswith(f"->{self.facts.shore}]")]

    def matters(self, path: str) -> bool:
        """What is read after a start: the catalog without SQLite's index of its log, the tree, and the bucket, if it changes."""
        name = path.removeprefix("home/")
        if name.startswith("emulator"):
            return not self.facts.way.is_import
        is_read = name == "home" or name.startswith(("catalog.db", "nonces.db", "filesystem"))
        return is_read and not name.endswith("-shm")

    def forgetful(self) -> Iterator[State]:
        """The disks, soon after a file was begun, of which the catalog has forgotten all that was not synced."""
        if self.facts.way.is_import:
            begun = [one.end for one in self.operations if one.kind is Kind.CREATE and one.name.endswith(".partial")]
        else:
            answers = f"TCP:[{self.facts.shore}->"
            begun = [one.end for one in self.operations if one.path.startswith(answers) and b" 200 " in one.data[:16]]
        yield from self.states().forgetful(begun, moments=SOON)

    def states(self) -> States:
        """The disks that a power cut may leave, from the first sub-task on.

        It comes after each change of the tree, before and after each sync, and after each message.
        """
        shore, first = str(self.world / "home" / "emulator"), self.facts.files[0].sub_task_id.encode()
        asked = min(one.begin for one in self.operations if first in one.data)
        moments: set[int] = set()
        for one in self.operations:
            if one.kind is Kind.SEND or (one.kind in {Kind.SYNC, Kind.DATA_SYNC} and not one.path.startswith(shore)):
                moments |= {one.begin - 1, one.end}
            elif one.path.startswith(self.facts.init["root"]):
                moments.add(one.end)
        return States(
            self.before,
            self.changes,
            self.end,
            keeps=lambda path: path.startswith(shore),
            moments=[moment for moment in moments if moment >= asked],
        )


# ----------------------------------------------------------------------------------------------------------------- making


def record(way: Way, directory: Path) -> Recording:
    """Move what `way` says below strace."""
    home = directory / "world" / "home"
    home.parent.mkdir(parents=True)
    init = init_home(home)
    work = _Work(way, home, init, Traps(directory / "traps"))
    if way.is_alone:  # below strace processes come up slowly
        change_settings(Home(path=home), lambda settings: settings.update(movers=1))
    work.make_tree()
    is_failing = way is Way.SYNC_FAILS
    if is_failing:  # so that nothing but the catalog's writer syncs that often below strace
        _served(home, (), work.prepare, traps=work.traps)
    shutil.copytree(directory / "world", directory / "before", ignore=shutil.ignore_patterns("*-shm"))
    trace = directory / "trace"
    facts: list[Facts] = []

    def go(service: RunningService) -> None:
        if not is_failing:
            work.prepare(service)
        facts.append(work.go(service))

    service = _served(home, strace.recording(trace, fails=FAILS if is_failing else ""), go, traps=work.traps)
    strace.wait_ended(trace, service.pid)
    (directory / "facts").write_text(json.dumps(asdict(facts[0])))
    return Recording(directory)


def _served(
    home: Path, tracer: Sequence[str], work: Callable[[RunningService], None], *, traps: Traps
) -> RunningService:
    """A service, which has ended; `work` was done meanwhile."""
    named = {"PYTHONPATH": str(ROOM), failpoints.VARIABLE: str(traps.directory)}
    service = start_service(home, environment=named, command=(*tracer, *SERVICE))
    try:
        work(service)
    finally:
        service.stop()
    return service


class _Work:
    """What a way asks of a service."""

    def __init__(self, way: Way, home: Path, init: Mapping[str, str], traps: Traps) -> None:
        self._way = way
        self.traps = traps
        self._home = Home(path=home)
        self._init = init
        self._root = Path(init["root"])
        self._flow: dict[str, str] = {}
        large = (("new/deep/large", LARGE_BYTES),)
        small = (("there/a", SMALL_BYTES), ("new/deep/b", SMALL_BYTES), ("new/deep/c", 0), ("new/d", SMALL_BYTES))
        self._wanted = {
            Way.IMPORT_SMALL: small,
            Way.EXPORT_SMALL: small,
            Way.ACCEPTED: tuple((f"many/{number}", 100) for number in range(12)),
            Way.IMPORT_MIDDLING: (("there/a", 100 * KIB), ("new/deep/b", MIDDLING_BYTES)),
            Way.IMPORT_KILLED: (("there/a", SMALL_BYTES), ("new/deep/b", MIDDLING_BYTES)),
            Way.SYNC_FAILS: tuple((f"many/{number}", 100) for number in range(8)),
        }.get(way, large)

    def _client(self, service: RunningService) -> Client:
        return Client(
            ClientOptions(
                endpoint=service.api,
                access_key_id=self._init["access_key_id"],
                access_key_secret=self._init["access_key_secret"],
            )
        )

    def make_tree(self) -> None:
        """A directory that is there already; the sources of exports."""
        (self._root / "there").mkdir()
        if not self._way.is_import:
            for path, size_bytes in self._wanted:
                (self._root / path).parent.mkdir(parents=True, exist_ok=True)
                (self._root / path).write_bytes(body_of(path, size_bytes))

    def prepare(self, service: RunningService) -> None:
        """Fill the bucket, and make the stream."""
        if self._way.is_import:
            self._fill_bucket(service)
        with self._client(service) as client:
            known = {"FileSystemId": self._init["file_system_id"]}
            flow = client.call(
                "CreateDataFlow",
                {
                    **known,
                    "FileSystemPath": "/",
                    "SourceStorage": f"oss://{self._init['bucket']}",
                    "SourceStoragePath": "/",
                },
            )
            known["DataFlowId"] = flow["DataFlowId"]
            task = client.call(
                "CreateDataFlowTask",
                {
                    **known,
                    "TaskAction": "StreamImport" if self._way.is_import else "StreamExport",
                    "DataType": "MetaAndData",
                    "ConflictPolicy": "SKIP_THE_FILE" if self._way is Way.IMPORT_KILLED else "OVERWRITE_EXISTING",
                    "Directory": "/",
                    "DstDirectory": "/",
                },
            )
            self._flow = {**known, "DataFlowTaskId": task["TaskId"]}

    def _fill_bucket(self, service: RunningService) -> None:
        key = load_credentials(self._home.secrets_file, self._init["bucket"])
        config = oss.config.load_default()
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(
            key.access_key_id, key.access_key_secret
        )
        config.region, config.endpoint, config.use_path_style = self._init["region"], service.oss, True
        client = oss.Client(config)
        for path, size_bytes in self._wanted:
            client.put_object(
                oss.PutObjectRequest(bucket=self._init["bucket"], key=path, body=body_of(path, size_bytes))
            )

    def go(self, service: RunningService) -> Facts:
        """Ask for the files, cancel them where that is the way, and wait until all is done."""
        files: list[File] = []
        cancel = ""
        end = "CANCELED" if self._way.is_canceled else "COMPLETE"
        with self._client(service) as client:
            if self._way.is_canceled:
                self.traps.lay_stop(HALFWAY[self._way], HALFWAY_PASSING)
            for path, size_bytes in self._wanted:
                if self._way is Way.IMPORT_KILLED:
                    self.traps.lay("renamed", 1)
                files.append(File(path=path, sub_task_id=self._asked(client, path), size_bytes=size_bytes))
                if self._way is Way.IMPORT_KILLED:
                    self._outlive(end)
            if self._way.is_canceled:
                cancel = self._cancel(service, client, files[0])
            wait_until(lambda: self._kept_statuses() == {end}, PATIENCE_S, f"not all is {end}")
            wait_until(lambda: not list(self._root.rglob(HELPERS)), PATIENCE_S, "helper files did not go")
            assert self._statuses(client) == {end}
        return Facts(
            way=self._way,
            files=tuple(files),
            init=self._init,
            api=service.api.rpartition("/")[2],
            shore=service.oss.rpartition("/")[2],
            cancel=cancel,
        )

    def _outlive(self, end: str) -> None:
        """Have the mover die, and another one go on, before anything else is under way: what is cut short is in no record."""
        wait_until(lambda: self.traps.is_sprung("renamed"), PATIENCE_S, "no mover was killed")
        wait_until(lambda: self._kept_statuses() == {end}, PATIENCE_S, f"it is not {end}")

    def _cancel(self, service: RunningService, client: Client, file: File) -> str:
        """Cancel it while its mover stands still, and let that go on; the request id of the answer."""
        point = HALFWAY[self._way]
        wait_until(lambda: self.traps.is_sprung(point), PATIENCE_S, f"nobody came to {point}")
        answer = client.call("CancelDataFlowSubTask", {**self._flow, "DataFlowSubTaskId": file.sub_task_id})
        for children in Path(f"/proc/{service.pid}/task").glob("*/children"):
            for child in children.read_text().split():
                if MODULE_OF_A_MOVER in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(int(child), signal.SIGCONT)
        return str(answer["RequestId"])

    def _asked(self, client: Client, path: str) -> str:
        """Its id. Asked once more, with the same token, where the catalog could not take it."""
        asked = {**self._flow, "SrcFilePath": f"/{path}", "DstFilePath": f"/{path}", "ClientToken": path}
        try:
            answer = client.call("CreateDataFlowSubTask", asked)
        except ApiRefusedError as error:
            if (self._way, error.code) != (Way.SYNC_FAILS, "ServiceUnavailable"):
                raise
            answer = client.call("CreateDataFlowSubTask", asked)
        return str(answer["DataFlowSubTaskId"])

    def _kept_statuses(self) -> set[str]:
        """As the catalog knows them: asking the API leaves traces of its own."""
        with closing(sqlite3.connect(f"file:{self._home.catalog_file}?mode=ro", uri=True)) as catalog:
            return {str(status) for (status,) in catalog.execute("SELECT status FROM sub_tasks")}

    def _statuses(self, client: Client) -> set[str]:
        wanted = [{"Key": "DataFlowIds", "Value": self._flow["DataFlowId"]}]
        answer: dict[str, Any] = client.call(
            "DescribeDataFlowSubTasks", {"FileSystemId": self._init["file_system_id"], "Filters": wanted}
        )
        return {str(item["Status"]) for item in answer["DataFlowSubTask"]["DataFlowSubTask"]}
