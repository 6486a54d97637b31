"""A served HOME before a store that takes its time, files of chance on their way both ways, and a judge who looks past it.

The service is the installed command with large files that begin at 64 KiB (`matrix/smallservice.py`). Instants are counted in
requests that have reached the store, not in seconds, so that a seed means the same on a slow machine.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.client import Client, ClientOptions, FileToMove
from penstock.errors import ApiRefusedError
from penstock.model import AddressingStyle, Bucket, BucketKind, Credentials
from penstock.stores.base import Store
from penstock.stores.opening import open_store
from penstock.transfer import names
from tests.faults.matrix import smallservice
from tests.faults.matrix.file import HELPERS
from tests.fixtures.chaosproxy import ChaosProxy
from tests.fixtures.objects import put_object, read_object
from tests.fixtures.service import (
    RunningService,
    add_bucket,
    add_file_system,
    init_home,
    start_service,
    without_own_bucket,
)
from tests.fixtures.warm import Warm

SERVICE = Warm(Path(smallservice.__file__))
KIB = 1024
PART_BYTES = smallservice.PART_BYTES
LIVE = frozenset({"CREATED", "RUNNING", "CANCELING"})
OLD = b"what was there before"
OLD_NS = 1_500_000_000_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A bucket: how it is registered, and how it is reached past every proxy."""

    name: str
    kind: BucketKind
    endpoint: str
    region: str
    credentials: Credentials = field(repr=False)

    def opened(self) -> Store:
        """From outside."""
        described = Bucket(
            name=self.name,
            kind=self.kind,
            endpoint=self.endpoint,
            region=self.region,
            addressing_style=AddressingStyle.PATH,
            abilities={"crc64": self.kind is BucketKind.OSS},
        )
        return open_store(described, self.credentials)


@dataclass(slots=True, kw_only=True)
class File:
    """One file on its way. `cancel_at`: canceled when so many requests have come; None: never."""

    name: str
    is_import: bool
    content: bytes = field(repr=False)
    has_old: bool
    cancel_at: int | None = None
    sub_task_id: str = ""
    called_s: float = 0.0
    took_s: float | None = None
    status: str = ""
    before: object = None  # what the target was


class Tide:
    """The stand. `ask` talks to the API as the one key of HOME. With `root` its file system is that of another stand.

    One mover comes up more quickly; with two, what one has begun may go on in the other, which has not seen its directory.
    """

    def __init__(self, home: Path, site: Site, opened: ExitStack, *, root: Path | None = None, movers: int = 2) -> None:
        self.home = home
        self.command = SERVICE
        self.foreign: set[str] = set()  # ids of uploads of somebody else
        self.site = site
        self.proxy = opened.enter_context(ChaosProxy(site.endpoint))
        self.truth = site.opened()
        opened.callback(self.truth.close)
        self._init = init_home(self.home)
        without_own_bucket(self.home, movers=movers)
        self._file_system_id = self._init["file_system_id"]
        self.root = root or Path(self._init["root"])
        if root is not None:
            self._file_system_id = add_file_system(home, root)
        for directory in ("in", "out"):
            (self.root / directory).mkdir(exist_ok=True)
        add_bucket(
            self.home,
            site.name,
            endpoint=self.proxy.endpoint,
            region=site.region,
            credentials=site.credentials,
            kind=site.kind,
            addressing="path",
        )
        self._client: Client | None = None
        self.service = self.start()
        opened.callback(self.close)
        flow = self.ask(
            "CreateDataFlow",
            FileSystemPath="/",
            SourceStorage=f"{'oss' if site.kind is BucketKind.OSS else 's3'}://{site.name}",
            SourceStoragePath="/",
        )
        self.flow = str(flow["DataFlowId"])
        self.tasks = {is_import: self._stream(is_import) for is_import in (True, False)}

    def start(self, **environment: str) -> RunningService:
        """Serve HOME."""
        self.service = start_service(self.home, command=self.command, environment=environment)
        if self._client is not None:
            self._client.close()
        self._client = self.client()
        return self.service

    def client(self) -> Client:
        """One more connection to the API, for another thread."""
        return Client(
            ClientOptions(
                endpoint=self.service.api,
                access_key_id=self._init["access_key_id"],
                access_key_secret=self._init["access_key_secret"],
            )
        )

    def close(self) -> None:
        """End the service, whichever it is now."""
        if self._client is not None:
            self._client.close()
        self.service.stop()

    def ask(self, action: str, **parameters: Any) -> dict[str, Any]:
        """One call."""
        assert self._client is not None
        return self._client.call(action, {"FileSystemId": self._file_system_id, **parameters})

    def _stream(self, is_import: bool) -> str:
        made = self.ask(
            "CreateDataFlowTask",
            DataFlowId=self.flow,
            TaskAction="StreamImport" if is_import else "StreamExport",
            DataType="MetaAndData",
            ConflictPolicy="OVERWRITE_EXISTING",
            Directory="/",
            DstDirectory="/",
        )
        return str(made["TaskId"])

    # ------------------------------------------------------------------------------------------------------------ files

    def lay(self, files: Sequence[File]) -> None:
        """Put the sources where they belong, and what is at the targets before."""
        for file in files:
            target = self.root / file.name
            if file.is_import:
                self.put(file.name, file.content)
            else:
                target.write_bytes(file.content)
                os.utime(target, ns=(OLD_NS, OLD_NS))
            if file.has_old and file.is_import:
                target.write_bytes(OLD)
                os.utime(target, ns=(OLD_NS, OLD_NS))
            elif file.has_old:
                self.put(file.name, OLD)
            file.before = self.target(file)

    def put(self, key: str, content: bytes) -> str:
        """Somebody's object; its ETag."""
        return put_object(self.truth, key, content).etag

    def submit(self, files: Sequence[File]) -> None:
        """All of them, by the bulk door."""
        assert self._client is not None
        for is_import, task in self.tasks.items():
            going = [file for file in files if file.is_import is is_import]
            if not going:
                continue
            made = self._client.create_sub_tasks(
                [FileToMove(source=f"/{file.name}", target=f"/{file.name}") for file in going],
                file_system_id=self._file_system_id,
                data_flow_id=self.flow,
                task_id=task,
            )
            for file, created in zip(going, made, strict=True):
                assert not created.code, created
                file.sub_task_id = created.sub_task_id

    def cancel(self, file: File, client: Client | None = None) -> bool:
        """Whether it was still to be had."""
        file.called_s = time.monotonic()
        names = {
            "FileSystemId": self._file_system_id,
            "DataFlowId": self.flow,
            "DataFlowTaskId": self.tasks[file.is_import],
            "DataFlowSubTaskId": file.sub_task_id,
        }
        asked = client or self._client
        assert asked is not None
        try:
            asked.call("CancelDataFlowSubTask", names)
        except ApiRefusedError as error:
            if "cannot be cancelled" not in str(error):  # it had ended
                raise
            return False
        return True

    def items(self, **filters: str) -> dict[str, dict[str, Any]]:
        """What DescribeDataFlowSubTasks says, all pages, by id."""
        found: dict[str, dict[str, Any]] = {}
        token: str | None = None
        while True:
            pairs = [{"Key": key, "Value": value} for key, value in filters.items()]
            page = self.ask("DescribeDataFlowSubTasks", Filters=pairs, NextToken=token, MaxResults=20)
            found |= {item["DataFlowSubTaskId"]: item for item in page["DataFlowSubTask"]["DataFlowSubTask"]}
            token = page.get("NextToken")
            if not token:
                return found

    def status(self, file: File) -> dict[str, Any]:
        """One of them."""
        (item,) = self.items(DataFlowSubTaskIds=file.sub_task_id).values()
        return item

    # ---------------------------------------------------------------------------------------------------------- judging

    def target(self, file: File) -> object:
        """What tells whether somebody touched it."""
        if file.is_import:
            try:
                there = (self.root / file.name).stat()
            except FileNotFoundError:
                return None
            return (there.st_ino, there.st_size, there.st_mtime_ns, (self.root / file.name).read_bytes())
        return [
            (one.version_id, one.etag, one.size_bytes)
            for one in self.truth.list_objects(prefix=file.name).objects
            if one.key == file.name
        ]

    def left_of(self, file: File) -> list[str]:
        """What is left of its way: partial file, journal, uploads with their parts."""
        directory = (self.root / file.name).parent
        helpers = [names.partial_name(file.sub_task_id), names.journal_name(file.sub_task_id)]
        found = [name.decode() for name in helpers if (directory / name.decode()).exists()]
        if not file.is_import:
            for upload in self.truth.list_uploads(prefix=file.name):
                if upload.upload_id in self.foreign or upload.key != file.name:
                    continue
                parts = [part.number for part in self.truth.list_parts(upload.key, upload.upload_id)]
                found.append(f"upload {upload.upload_id} with parts {parts}")
        return found

    def judge(self, file: File, status: str) -> None:
        """What is there now is what the status says."""
        told = f"{file.name} ({file.sub_task_id}) {status}, canceled at {file.cancel_at}"
        if status == "CANCELED":
            assert self.left_of(file) == [], told
            assert self.target(file) == file.before, told
        elif status == "COMPLETE":
            assert self.content(file) == file.content, told
        else:
            raise AssertionError(told)

    def content(self, file: File) -> bytes:
        """The target's bytes."""
        if file.is_import:
            return (self.root / file.name).read_bytes()
        return read_object(self.truth, file.name)

    def helpers(self) -> list[str]:
        """All names of ours in the tree, but the mark of its root."""
        return sorted(path.name for path in self.root.rglob(HELPERS))

    def uploads(self) -> list[str]:
        """All unfinished uploads of the bucket that are nobody else's."""
        return [upload.key for upload in self.truth.list_uploads(prefix="") if upload.upload_id not in self.foreign]


LARGE_BYTES = (3 * PART_BYTES, 9 * PART_BYTES)


def dealt(
    dice: random.Random, *, large: int, small: int, requests: int, large_bytes: tuple[int, int] = LARGE_BYTES
) -> list[File]:
    """Files in both directions, a third of them to be canceled at some request: small ones early, for all begin at once."""
    files: list[File] = []
    for number in range(large + small):
        is_large = number < large
        size = dice.randrange(*large_bytes) if is_large else dice.choice([0, 100, 5000, 40_000])
        is_import = number % 2 == 0
        files.append(
            File(
                name=f"{'in' if is_import else 'out'}/{'large' if is_large else 'small'}{number:04}",
                is_import=is_import,
                content=dice.randbytes(size),
                has_old=dice.random() < 0.5,
                cancel_at=dice.randrange(requests if is_large else small) if dice.random() < 1 / 3 else None,
            )
        )
    dice.shuffle(files)
    return files


def quantiles(seconds: Sequence[float]) -> Mapping[str, float]:
    """Of how long it took."""
    ordered = sorted(seconds)
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3)
        for name, share in (("p50", 0.5), ("p75", 0.75), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }
