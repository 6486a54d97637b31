"""What a soak happens in: an OSS emulator, proxies before it that lie and fall silent, and a served HOME that may die.

Five dataflows, a bucket each. `straight` and `loose` are reached without lies, the others through a chaos proxy; all of them fall
silent when told to. The files of `loose` and `adrift` lie on a small disk whose mount may go away, where this machine lets us
mount anything. Calls of the API go on over a service that is away. Knows no wave and no trouble by name.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from penstock.client import ClientOptions, Parameter
from penstock.errors import ApiRefusedError, ApiUnreachableError, StoreUnavailableError
from penstock.stores.base import Store
from tests.faults.chaos.stand import PATIENT, open_at
from tests.fixtures.chaosproxy import ChaosProxy
from tests.fixtures.emulator import EmulatorServer, start_emulator
from tests.fixtures.history import NO_FORM, History, RecordedClient
from tests.fixtures.mounts import clean_mounts
from tests.fixtures.ports import free_port
from tests.fixtures.service import RunningService, add_bucket, add_file_system, init_home, start_service
from tests.fixtures.silentproxy import SilentProxy
from tests.fixtures.smalldisk import SmallDisk
from tests.fixtures.waiting import wait_until
from tests.soak.disks import HOME_IN_MEMORY_MIB, HOME_MIB, LooseDisk, NoDiskError, fill, make_disk, make_loose_disk

Answer = TypeVar("Answer")

PATIENCE_S = 180.0
BUSY = ("Throttling", "ServiceUnavailable")
DEFECT = "InternalError"
MODULE_OF_A_MOVER = b"penstock.engine.mover_process"
VERSIONING = {"straight": "", "rough": "", "versions": "Enabled", "loose": "", "adrift": "Enabled"}
LIES = frozenset({"rough", "versions", "adrift"})
ON_THE_LOOSE_DISK = frozenset({"loose", "adrift"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A dataflow. `files` is its directory as it is seen whatever is mounted, `is_loose` that it lies on the loose disk."""

    name: str
    bucket: str
    file_system_id: str
    data_flow_id: str
    files: Path
    is_loose: bool


class Caller:
    """Calls the service that lives now, again while it is away or busy, and writes the history of it. One thread at a time.

    `defects` are answers that no trouble explains.
    """

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._client: RecordedClient | None = None
        self._address = ""
        self.history = History()
        self.defects: list[str] = []

    def call(
        self, action: str, parameters: Mapping[str, Parameter | None], *, form: Mapping[str, str] = NO_FORM
    ) -> dict[str, Any]:
        """The answer to one call. Raises ApiRefusedError, and TimeoutError in the end."""
        return self._patiently(lambda client: client.call(action, parameters, form=form))

    def walk(self, file_system_id: str, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """All pages of DescribeDataFlowSubTasks."""
        return self._patiently(lambda client: client.walk_sub_tasks(file_system_id, filters))

    def _patiently(self, ask: Callable[[RecordedClient], Answer]) -> Answer:
        def asked() -> tuple[Answer] | None:
            try:
                return (ask(self._current()),)
            except ApiUnreachableError:
                return None
            except ApiRefusedError as error:
                if error.code == DEFECT:
                    self.defects.append(str(error))
                if error.status >= 500 or error.code.startswith(BUSY):
                    return None
                raise

        got = wait_until(asked, PATIENCE_S, "the service has no answer")
        assert got is not None
        return got[0]

    def _current(self) -> RecordedClient:
        address = self._stand.service.api
        if self._client is None or self._address != address:
            self.close()
            options = ClientOptions(
                endpoint=address,
                access_key_id=self._stand.init["access_key_id"],
                access_key_secret=self._stand.init["access_key_secret"],
                timeout_s=60.0,
            )
            self._client, self._address = RecordedClient(options, self.history), address
        return self._client

    def close(self) -> None:
        """Close the connection; a later call makes another."""
        if self._client is not None:
            self._client.close()
            self._client = None


class Stand:
    """Everything that runs, with these dataflows. `lives` counts the service's; `no_disks` says why no disk can be troubled."""

    def __init__(self, directory: Path, flows: Collection[str]) -> None:
        self.directory = directory.resolve()
        self._mounts = ExitStack()
        self._mounts.enter_context(clean_mounts(self.directory))
        self.home = self.directory / "home"
        self.home_disk: SmallDisk | None = None
        self.loose: LooseDisk | None = None
        self.no_disks = ""
        try:
            self.home_disk = make_disk(self.directory, "home", size_mib=HOME_MIB, in_memory_mib=HOME_IN_MEMORY_MIB)
            self.loose = make_loose_disk(self.directory)
        except NoDiskError as error:
            self.no_disks = str(error)
        self.emulator = start_emulator(
            self.directory / "store", port=free_port()
        )  # to come back on, taken by nobody meanwhile
        self.chaos = ChaosProxy(self.emulator.endpoint)
        self.silences = {"lies": SilentProxy(self.chaos.endpoint), "none": SilentProxy(self.emulator.endpoint)}
        self.init = init_home(self.home)
        self.root = self.directory / "steady"  # not in HOME, whose disk may be full
        self.root.mkdir()
        ids = {place: self._add_file_system(place) for place in (self.root, self.loose and self.loose.root) if place}
        names = [name for name in flows if self.loose or name not in ON_THE_LOOSE_DISK]
        self.buckets = {name: self._add_bucket(name) for name in names}
        self._lock = threading.Lock()
        self._room = threading.Lock()
        self.service: RunningService = start_service(self.home)
        self.lives = 1
        self.flows = {name: self._open_flow(name, ids) for name in names}

    def _add_file_system(self, place: Path) -> str:
        return add_file_system(self.home, place)

    def _add_bucket(self, name: str) -> str:
        bucket = self.emulator.bucket(versioning=VERSIONING[name])
        endpoint = self.silences["lies" if name in LIES else "none"].endpoint
        add_bucket(
            self.home,
            bucket,
            endpoint=endpoint,
            region=self.emulator.region,
            credentials=self.emulator.credentials,
            addressing="path",
        )
        return bucket

    def _open_flow(self, name: str, ids: Mapping[Path, str]) -> Flow:
        files, file_system_id, is_loose = self.root, ids[self.root], False
        if self.loose is not None and name in ON_THE_LOOSE_DISK:
            files, file_system_id, is_loose = self.loose.files, ids[self.loose.root], True
        (files / name).mkdir()
        asked = {
            "FileSystemId": file_system_id,
            "FileSystemPath": f"/{name}/",
            "SourceStorage": f"oss://{self.buckets[name]}",
            "SourceStoragePath": "/",
        }
        with closing(Caller(self)) as caller:
            made = str(caller.call("CreateDataFlow", asked)["DataFlowId"])
        return Flow(
            name=name,
            bucket=self.buckets[name],
            file_system_id=file_system_id,
            data_flow_id=made,
            files=files / name,
            is_loose=is_loose,
        )

    # ---------------------------------------------------------------------------------------------------- what may die

    def kill_service(self) -> None:
        """SIGKILL of the control process, and a new one."""
        with self._lock:
            self.service.kill()
            self._serve()

    def restart_service(self) -> int:
        """SIGTERM and a new one; the exit code of the old one."""
        with self._lock:
            code = self.service.stop()
            self._serve()
            return code

    def _serve(self) -> None:
        self.service = start_service(self.home)
        self.lives += 1

    def movers(self) -> list[int]:
        """Process ids of the movers that live now."""
        found = []
        for children in Path(f"/proc/{self.service.pid}/task").glob("*/children"):
            with suppress(OSError):  # a thread or a mover has ended meanwhile
                found += [
                    child
                    for child in map(int, children.read_text().split())
                    if MODULE_OF_A_MOVER in Path(f"/proc/{child}/cmdline").read_bytes()
                ]
        return found

    def kill_store(self) -> None:
        """SIGKILL of the emulator, which comes back on the same port with what it had acknowledged."""
        with self._lock:
            self.emulator.kill()
            port = int(self.emulator.endpoint.rpartition(":")[2])
            self.emulator = start_emulator(self.emulator.root, port=port)

    @contextmanager
    def home_full(self) -> Iterator[None]:
        """HOME's disk is full meanwhile; neither service nor store is started then."""
        assert self.home_disk is not None
        with self._lock:
            fill(self.home_disk)
            try:
                yield
            finally:
                self.home_disk.empty()

    @contextmanager
    def loose_full(self, *, but_bytes: int) -> Iterator[None]:
        """The loose disk is full meanwhile, but for so many bytes; nobody writes to it who asked for `room`."""
        assert self.loose is not None
        with self._room:
            fill(self.loose.disk, but_bytes=but_bytes)
            try:
                yield
            finally:
                self.loose.disk.empty()

    def room(self, flow: Flow) -> AbstractContextManager[object]:
        """Meanwhile the disk of that dataflow is not full."""
        return self._room if flow.is_loose else nullcontext()

    # --------------------------------------------------------------------------------------------------------- the truth

    def truly(self, name: str, work: Callable[[Store], Answer]) -> Answer:
        """What `work` answers about one of the buckets, past all proxies; it is done again where the store dies meanwhile."""

        def done() -> tuple[Answer] | None:
            server: EmulatorServer = self.emulator
            versioning = VERSIONING[name] or "Never"
            with closing(open_at(server.endpoint, server, self.buckets[name], versioning, PATIENT)) as store:
                try:
                    return (work(store),)
                except StoreUnavailableError:
                    return None

        got = wait_until(done, PATIENCE_S, "the store has no answer")
        assert got is not None
        return got[0]

    def helper_files(self) -> list[str]:
        """Names of ours that are for the time of a move only, foreign ones among them."""
        places = [self.root, *([self.loose.files] if self.loose else [])]
        return [
            os.path.join(where, name)
            for place in places
            for where, _, names in os.walk(place)
            for name in names
            if name.startswith(".penstock-") and not name.startswith(".penstock-root")
        ]

    def close(self) -> None:
        """End everything."""
        with self._mounts:
            self.service.stop()
            self.chaos.close()
            for proxy in self.silences.values():
                proxy.__exit__(None, None, None)
            self.emulator.stop()
