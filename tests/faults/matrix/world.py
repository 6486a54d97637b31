"""Two buckets that live on and one HOME whose service is killed and started again, with traps to be killed by."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import tempfile
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
from tests.e2e.cli.processes import descendants, state_of
from tests.faults.matrix import countedemulator, smallservice
from tests.faults.matrix.cases import Bucket, Death
from tests.faults.matrix.countedemulator import Request, bar_of, damage_of, log_of, requests_of
from tests.fixtures.emulator import start_emulator
from tests.fixtures.holdproxy import HoldProxy
from tests.fixtures.ledger import recount
from tests.fixtures.service import add_bucket, init_home, start_service, without_own_bucket
from tests.fixtures.warm import Warm

PATIENCE_S = 40.0
MOVERS = 2
SERVICE = Warm(Path(smallservice.__file__))
BUCKET = Bucket.VERSIONED
GROUNDS = {Bucket.VERSIONED: "/", Bucket.PLAIN: "/plain/"}
VERSIONING = {Bucket.VERSIONED: "Enabled", Bucket.PLAIN: ""}

Flow = Mapping[str, str]


class Traps:
    """The directory of traps."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._laid: dict[Point, int] = {}
        directory.mkdir()

    def lay(self, point: Point, passing: int, *, together_with: int | None = None) -> None:
        """Who passes `point` for the `passing`-th time from now on dies, and that other process with it."""
        self._lay(point, passing, "" if together_with is None else str(together_with))

    def lay_stop(self, point: Point, passing: int = 1) -> None:
        """Who passes `point` for the `passing`-th time from now on stands still, with all of its threads."""
        self._lay(point, passing, failpoints.STOP)

    def _lay(self, point: Point, passing: int, words: str) -> None:
        (self.directory / f"{point}.0").unlink(missing_ok=True)
        self._laid[point] = passing
        made = self.directory.with_name("made")  # outside: whoever is started now refuses what is no trap
        made.write_text(words)
        made.rename(self.directory / f"{point}.{passing}")

    def lay_all(self, points: Iterable[Point], passing: int) -> None:
        """One at each of these points."""
        for point in points:
            self.lay(point, passing)

    def count(self, point: Point) -> None:
        """Have passings of `point` counted, if there is no trap that does already."""
        if point not in self._laid:
            self.lay(point, failpoints.PASSES_MAX)

    def is_sprung(self, point: Point) -> bool:
        """Whether somebody died there."""
        return (self.directory / f"{point}.0").exists()

    def was_passed(self, point: Point) -> bool:
        """Whether somebody passed there since the trap was laid."""
        return self.passed(point) > 0

    def left(self, point: Point) -> int:
        """How many passings are missing; raises ValueError where no trap was laid."""
        return int(self._found(point).suffix[1:])

    def passed(self, point: Point) -> int:
        """How often it was passed since the trap was laid."""
        return self._laid[point] - self.left(point)

    def places(self, point: Point) -> list[str]:
        """The functions in which it was passed since the trap was laid, in that order."""
        return self._found(point).read_text().split("\n")[1:]

    def _found(self, point: Point) -> Path:
        """Raises ValueError where no trap was laid. One that is being renamed right now may be listed under both names."""
        return min(
            (name for name in self.directory.iterdir() if name.stem == point), key=lambda name: int(name.suffix[1:])
        )

    def clear(self) -> None:
        """Take all away."""
        self._laid.clear()
        for name in self.directory.iterdir():
            name.unlink()


class World:
    """`ask` talks to the API; should the service have died, it is started again first. `close` ends everything.

    With one of its `movers` a service comes up more quickly, with two a file may go on in another one.
    """

    def __init__(self, path: Path, *, service: Sequence[str] | Warm = SERVICE, movers: int = MOVERS) -> None:
        self._command = service
        self._emulator = start_emulator(path / "far" / "emulator", program=(countedemulator.__file__,))
        for bucket, versioning in VERSIONING.items():
            self._emulator.bucket(versioning=versioning, name=bucket)
        self.proxy = HoldProxy(self._emulator.endpoint)
        self.home = path / "home"
        self._init = init_home(self.home)
        for bucket in Bucket:
            add_bucket(
                self.home,
                bucket,
                endpoint=self.proxy.endpoint,
                region=self._emulator.region,
                credentials=self._emulator.credentials,
            )
        without_own_bucket(self.home, movers=movers)
        self.root = Path(self._init["root"])
        for bucket in Bucket:
            self.ground(bucket).mkdir(exist_ok=True)
        self.traps = Traps(path / "traps")
        self._catalog = self.home / "catalog.db"
        self.bucket = self._bucket_client()
        self.meanwhile = _nothing
        self._flows: dict[Bucket, str] = {}
        self._streams: dict[tuple[str, ConflictPolicy, Bucket], Flow] = {}
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

    def ground(self, bucket: Bucket) -> Path:
        """The directory of the dataflow with that bucket."""
        return self.root / GROUNDS[bucket].strip("/")

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

    def put(self, key: str, body: bytes, *, bucket: Bucket = BUCKET, metadata: Mapping[str, str] | None = None) -> None:
        """Put an object, past Penstock."""
        self.bucket.put_object(
            oss.PutObjectRequest(
                bucket=bucket, key=key, body=body, metadata=None if metadata is None else dict(metadata)
            )
        )

    def damage(self, key: str, *, bucket: Bucket) -> None:
        """Have the body that is put there next arrive with another byte."""
        damage_of(self._emulator.root).write_text(f"/{bucket}/{key}")

    def bar(self, code: str) -> None:
        """Have the store refuse whatever it is asked for from now on."""
        bar_of(self._emulator.root).write_text(code)

    def unbar(self) -> None:
        """Have it answer again."""
        bar_of(self._emulator.root).unlink(missing_ok=True)

    def uploads(self) -> list[str]:
        """Keys of multipart uploads that nobody has ended."""
        listings = [
            self.bucket.list_multipart_uploads(oss.ListMultipartUploadsRequest(bucket=bucket)) for bucket in Bucket
        ]
        return [str(upload.key) for listing in listings for upload in listing.uploads or []]

    def delete(self, key: str, *, bucket: Bucket) -> None:
        """Delete every version of exactly this key."""
        listing = self.bucket.list_object_versions(oss.ListObjectVersionsRequest(bucket=bucket, prefix=key))
        for version in listing.version or []:
            self.bucket.delete_object(oss.DeleteObjectRequest(bucket=bucket, key=key, version_id=version.version_id))

    def versions(self, key: str, *, bucket: Bucket = BUCKET) -> list[int]:
        """The crc64 of every version of exactly this key, newest first."""
        listing = self.bucket.list_object_versions(oss.ListObjectVersionsRequest(bucket=bucket, prefix=key))
        assert not listing.delete_marker, "nothing is deleted but versions"
        return [
            int(
                self.bucket.head_object(
                    oss.HeadObjectRequest(bucket=bucket, key=key, version_id=version.version_id)
                ).hash_crc64
            )
            for version in listing.version or []
        ]

    def requests(self) -> list[Request]:
        """All requests that have ended, since they were forgotten last."""
        return requests_of(self._emulator.root)

    def forget_requests(self) -> None:
        """Begin anew: what was asked for by now is nobody's business any more."""
        os.truncate(log_of(self._emulator.root), 0)

    # --------------------------------------------------------------------------------------------------------- the catalog

    def status_in_catalog(self, target: str) -> str:
        """What the catalog says of the sub-task with this target, whether a service is up or not; "" where there is none."""
        row = self._row("SELECT status FROM sub_tasks WHERE target = ?", target)
        return str(row[0]) if row else ""

    def check_counters(self) -> None:
        """Compare every counter with the rows that it counts, as the service sees them at one moment."""
        recount(self._catalog)

    def _check_dead_counters(self) -> None:
        """The same while nobody is up, in a copy: whoever is started next finds what the dead one has left."""
        with tempfile.TemporaryDirectory(dir=self.home.parent) as path:
            for name in self.home.glob(f"{self._catalog.name}*"):
                shutil.copy(name, path)
            recount(Path(path) / self._catalog.name)

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

    def stopped_mover(self) -> int:
        """The process id of the mover that stands still, 0 while there is none."""
        return next((pid for pid in descendants(self.service.pid) if state_of(pid) == "T"), 0)

    def strike(self, mover: int, death: Death) -> None:
        """Kill a mover that stands still, and before it the service, if both are to die."""
        if death is Death.BOTH:
            self.service.process.kill()
            self.service.process.wait(PATIENCE_S)
        os.kill(mover, signal.SIGKILL)

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
        if self.proxy.held:
            self.proxy.cut()  # what is held back is of the dead: later on it would be taken for what the living have done
        self._check_dead_counters()
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

    def flow(self, action: str, policy: ConflictPolicy, bucket: Bucket = BUCKET) -> Flow:
        """Parameters that name a stream; made when it is first asked for."""
        found = self._streams.get((action, policy, bucket))
        if found is None:
            found = self._streams[action, policy, bucket] = self._open(action, policy, bucket)
        return found

    def _open(self, action: str, policy: ConflictPolicy, bucket: Bucket) -> Flow:
        if bucket not in self._flows:  # one without versions takes no second one
            near = {"FileSystemPath": GROUNDS[bucket]}
            made = self.ask("CreateDataFlow", **near, SourceStorage=f"oss://{bucket}", SourceStoragePath="/")
            self._flows[bucket] = made["DataFlowId"]
        far = f"/{action}/"
        task = self.ask(
            "CreateDataFlowTask",
            DataFlowId=self._flows[bucket],
            TaskAction=action,
            DataType="MetaAndData",
            ConflictPolicy=policy.value,
            Directory=far if action == "StreamImport" else "/",
            DstDirectory="/" if action == "StreamImport" else far,
        )
        return {"DataFlowId": self._flows[bucket], "DataFlowTaskId": task["TaskId"]}


def _nothing() -> None:
    """What is to be done meanwhile, but for what a test wants."""
