"""One bucket that lives on and one HOME whose service is killed and started again, with traps to be killed by."""

from __future__ import annotations

import signal
import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss

from penstock import failpoints
from penstock.client import Client, ClientOptions
from penstock.errors import ApiUnreachableError
from penstock.failpoints import Point
from penstock.model import ConflictPolicy
from tests.faults.matrix import countedemulator, smallservice
from tests.faults.matrix.countedemulator import Request, requests_of
from tests.fixtures.emulator import start_emulator
from tests.fixtures.holdproxy import HoldProxy
from tests.fixtures.service import init_home, run_cli, start_service

PATIENCE_S = 40.0
SERVICE = (sys.executable, "-P", str(Path(smallservice.__file__)))
BUCKET = "matrix"

Flow = Mapping[str, str]


class Traps:
    """The directory of traps."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()

    def lay(self, point: Point, passing: int, *, together_with: int | None = None) -> None:
        """Who passes `point` for the `passing`-th time from now on dies, and that other process with it."""
        self._lay(point, passing, "" if together_with is None else str(together_with))

    def lay_stop(self, point: Point, passing: int = 1) -> None:
        """Who passes `point` for the `passing`-th time from now on stands still, with all of its threads."""
        self._lay(point, passing, failpoints.STOP)

    def _lay(self, point: Point, passing: int, words: str) -> None:
        (self.directory / f"{point}.0").unlink(missing_ok=True)
        made = self.directory.with_name("made")  # outside: whoever is started now refuses what is no trap
        made.write_text(words)
        made.rename(self.directory / f"{point}.{passing}")

    def lay_all(self, points: Iterable[Point], passing: int) -> None:
        """One at each of these points."""
        for point in points:
            self.lay(point, passing)

    def is_sprung(self, point: Point) -> bool:
        """Whether somebody died there."""
        return (self.directory / f"{point}.0").exists()

    def left(self, point: Point) -> int:
        """How many passings are missing; raises ValueError where no trap was laid."""
        (found,) = (int(name.suffix[1:]) for name in self.directory.iterdir() if name.stem == point)
        return found

    def clear(self) -> None:
        """Take all away."""
        for name in self.directory.iterdir():
            name.unlink()


class World:
    """`ask` talks to the API; should the service have died, it is started again first. `close` ends everything."""

    def __init__(self, path: Path, *, service: Sequence[str] = SERVICE) -> None:
        self._command = service
        self._emulator = start_emulator(path / "far" / "emulator", program=(countedemulator.__file__,))
        self._emulator.bucket(versioning="Enabled", name=BUCKET)
        self.proxy = HoldProxy(self._emulator.endpoint)
        self.home = path / "home"
        self._init = init_home(self.home)
        keys = {
            "OSS_ACCESS_KEY_ID": self._emulator.access_key_id,
            "OSS_ACCESS_KEY_SECRET": self._emulator.access_key_secret,
        }
        where = ("--endpoint", self.proxy.endpoint, "--region", self._emulator.region)
        run_cli("bucket", "add", str(self.home), BUCKET, "--kind", "oss", *where, environment=keys)
        self.root = Path(self._init["root"])
        self.traps = Traps(path / "traps")
        self._catalog = self.home / "catalog.db"
        self.bucket = self._bucket_client()
        self.meanwhile = _nothing
        self._flows: dict[tuple[str, ConflictPolicy], Flow] = {}
        self.start()

    def start(self) -> None:
        """Serve HOME."""
        traps = {failpoints.VARIABLE: str(self.traps.directory)}
        self.service = start_service(self.home, environment=traps, command=self._command)
        self._client = Client(
            ClientOptions(
                endpoint=self.service.api,
                access_key_id=self._init["access_key_id"],
                access_key_secret=self._init["access_key_secret"],
            )
        )

    def close(self) -> None:
        """End all processes."""
        self._client.close()
        self.service.stop()
        self.proxy.close()
        self._emulator.stop()

    # ---------------------------------------------------------------------------------------------------------- the bucket

    def _bucket_client(self) -> oss.Client:
        """The official SDK, past the proxy."""
        config = oss.config.load_default()
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(
            self._emulator.access_key_id, self._emulator.access_key_secret
        )
        config.region, config.endpoint = self._emulator.region, self._emulator.endpoint
        return oss.Client(config)

    def uploads(self) -> list[str]:
        """Keys of multipart uploads that nobody has ended."""
        listing = self.bucket.list_multipart_uploads(oss.ListMultipartUploadsRequest(bucket=BUCKET))
        return [str(upload.key) for upload in listing.uploads or []]

    def versions(self, key: str) -> list[int]:
        """The crc64 of every version of exactly this key."""
        listing = self.bucket.list_object_versions(oss.ListObjectVersionsRequest(bucket=BUCKET, prefix=key))
        return [
            int(
                self.bucket.head_object(
                    oss.HeadObjectRequest(bucket=BUCKET, key=key, version_id=version.version_id)
                ).hash_crc64
            )
            for version in listing.version or []
        ]

    def requests(self) -> list[Request]:
        """All requests that have ended."""
        return requests_of(self._emulator.root)

    # --------------------------------------------------------------------------------------------------------- the catalog

    def status_in_catalog(self, target: str) -> str:
        """What the catalog says of the sub-task with this target, whether a service is up or not; "" where there is none."""
        row = self._row("SELECT status FROM sub_tasks WHERE target = ?", target)
        return str(row[0]) if row else ""

    def attempts_of(self, sub_task_id: str) -> int:
        """How often a sub-task was claimed, likewise."""
        row = self._row("SELECT attempt FROM sub_tasks WHERE sub_task_id = ?", sub_task_id)
        return int(row[0]) if row else 0

    def leases_are_over(self) -> bool:
        """Whether all leases have ended by the clock, and were there."""
        row = self._row("SELECT MAX(until_ns) < CAST(? AS INTEGER) FROM leases", str(time.time_ns()))
        return bool(row and row[0])

    def _row(self, statement: str, value: str) -> tuple[Any, ...] | None:
        with closing(sqlite3.connect(f"file:{self._catalog}?mode=ro", uri=True)) as catalog:
            found: tuple[Any, ...] | None = catalog.execute(statement, (value,)).fetchone()
        return found

    # --------------------------------------------------------------------------------------------------------- the service

    def forget(self) -> None:
        """Take away all traps, and what was to be done before the next start."""
        self.traps.clear()
        self.meanwhile = _nothing

    def revive(self) -> bool:
        """Start the service again if it was killed; whether it was. `meanwhile` is done before, once."""
        if self.service.process.poll() is None:
            return False
        assert self.service.ended() == -signal.SIGKILL, self.service.log_text()
        self._client.close()
        meanwhile, self.meanwhile = self.meanwhile, _nothing
        meanwhile()
        self.start()
        return True

    def ask(self, action: str, **parameters: Any) -> dict[str, Any]:
        """One call; asked again, with the same parameters, of the next service when the one that was asked died of it."""
        while True:
            self.revive()
            try:
                return self._client.call(action, {"FileSystemId": self._init["file_system_id"], **parameters})
            except ApiUnreachableError:
                self.service.process.wait(PATIENCE_S)

    def flow(self, action: str, policy: ConflictPolicy) -> Flow:
        """Parameters that name a stream; made when it is first asked for."""
        found = self._flows.get((action, policy))
        if found is None:
            found = self._flows[action, policy] = self._open(action, policy)
        return found

    def _open(self, action: str, policy: ConflictPolicy) -> Flow:
        flow = self.ask(
            "CreateDataFlow", FileSystemPath="/", SourceStorage=f"oss://{BUCKET}", SourceStoragePath=f"/{action}/"
        )
        task = self.ask(
            "CreateDataFlowTask",
            DataFlowId=flow["DataFlowId"],
            TaskAction=action,
            DataType="MetaAndData",
            ConflictPolicy=policy.value,
            Directory="/",
            DstDirectory="/",
        )
        return {"DataFlowId": flow["DataFlowId"], "DataFlowTaskId": task["TaskId"]}


def _nothing() -> None:
    """What is to be done meanwhile, but for what a test wants."""
