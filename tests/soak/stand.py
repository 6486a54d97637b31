"""What a soak happens in: an OSS emulator, proxies before it that lie and fall silent, and a served HOME that may die.

Three buckets: `straight` is reached without lies, `rough` and `versions` through a chaos proxy; all of them fall silent when
told to. Calls of the API go on over a service that is away. Knows no wave and no trouble by name.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

from penstock.client import ClientOptions, Parameter
from penstock.errors import ApiRefusedError, ApiUnreachableError, StoreUnavailableError
from penstock.stores.base import Store
from tests.faults.chaos.stand import PATIENT, open_at
from tests.fixtures.chaosproxy import ChaosProxy
from tests.fixtures.emulator import EmulatorServer, start_emulator
from tests.fixtures.history import NO_FORM, History, RecordedClient
from tests.fixtures.service import RunningService, init_home, run_cli, start_service
from tests.fixtures.silentproxy import SilentProxy
from tests.fixtures.waiting import wait_until

Answer = TypeVar("Answer")

PATIENCE_S = 180.0
BUSY = ("Throttling", "ServiceUnavailable", "InternalError")
MODULE_OF_A_MOVER = b"penstock.engine.mover_process"
VERSIONING = {"straight": "", "rough": "", "versions": "Enabled"}


class Caller:
    """Calls the service that lives now, again while it is away or busy, and writes the history of it. One thread at a time."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._client: RecordedClient | None = None
        self._address = ""
        self.history = History()

    def call(
        self, action: str, parameters: Mapping[str, Parameter | None], *, form: Mapping[str, str] = NO_FORM
    ) -> dict[str, Any]:
        """The answer to one call. Raises ApiRefusedError, and TimeoutError in the end."""
        return self._patiently(lambda client: client.call(action, parameters, form=form))

    def walk(self, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """All pages of DescribeDataFlowSubTasks."""
        return self._patiently(lambda client: client.walk_sub_tasks(self._stand.init["file_system_id"], filters))

    def _patiently(self, ask: Callable[[RecordedClient], Answer]) -> Answer:
        def asked() -> tuple[Answer] | None:
            try:
                return (ask(self._current()),)
            except ApiUnreachableError:
                return None
            except ApiRefusedError as error:
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
    """Everything that runs. `lives` counts the service's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.emulator = start_emulator(directory / "store")
        self.chaos = ChaosProxy(self.emulator.endpoint)
        self.silences = {"lies": SilentProxy(self.chaos.endpoint), "none": SilentProxy(self.emulator.endpoint)}
        self.home = directory / "home"
        self.init = init_home(self.home)
        self.root = Path(self.init["root"])
        self.buckets = {name: self._add_bucket(name) for name in VERSIONING}
        self._lock = threading.Lock()
        self.service: RunningService = start_service(self.home)
        self.lives = 1
        self.flows = {name: self._open_flow(name) for name in self.buckets}

    def _add_bucket(self, name: str) -> str:
        bucket = self.emulator.bucket(versioning=VERSIONING[name])
        endpoint = self.silences["none" if name == "straight" else "lies"].endpoint
        keys = {
            "OSS_ACCESS_KEY_ID": self.emulator.access_key_id,
            "OSS_ACCESS_KEY_SECRET": self.emulator.access_key_secret,
        }
        where = ("--endpoint", endpoint, "--region", self.emulator.region, "--addressing", "path")
        run_cli("bucket", "add", str(self.home), bucket, "--kind", "oss", *where, environment=keys)
        return bucket

    def _open_flow(self, name: str) -> str:
        (self.root / name).mkdir()
        asked = {
            "FileSystemId": self.init["file_system_id"],
            "FileSystemPath": f"/{name}/",
            "SourceStorage": f"oss://{self.buckets[name]}",
            "SourceStoragePath": "/",
        }
        with closing(Caller(self)) as caller:
            return str(caller.call("CreateDataFlow", asked)["DataFlowId"])

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
        return [
            os.path.join(where, name)
            for where, _, names in os.walk(self.root)
            for name in names
            if name.startswith(".penstock-") and not name.startswith(".penstock-root")
        ]

    def close(self) -> None:
        """End everything."""
        self.service.stop()
        self.chaos.close()
        for proxy in self.silences.values():
            proxy.__exit__(None, None, None)
        self.emulator.stop()
