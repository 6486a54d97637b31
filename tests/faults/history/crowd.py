"""A served HOME that is killed again and again, and people who call it meanwhile and write down every answer.

Everybody is a thread with a client of its own. Who gets no answer waits until somebody serves again, at another address; who
has a ClientToken then asks again.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.client import ClientOptions, FileToMove
from penstock.errors import ApiRefusedError, ApiUnreachableError
from tests.e2e.cli.processes import descendants
from tests.faults.matrix import smallservice
from tests.fixtures.history import History, RecordedClient
from tests.fixtures.service import init_home, start_service

PATIENCE_S = 60.0
SERVICE = (sys.executable, "-P", str(Path(smallservice.__file__)))
LIVE = "CREATED,RUNNING,CANCELING"


class Site:
    """The HOME and who serves it now."""

    def __init__(self, home: Path, history: History) -> None:
        self.init = init_home(home)
        self.root = Path(self.init["root"])
        self.bucket = self.init["bucket"]
        self.history = history
        self.killed = 0
        self.done = threading.Event()  # everybody may go home
        self._home = home
        self._changed = threading.Condition()
        self._generation = 0
        self.service = start_service(home, command=SERVICE)

    def kill(self) -> None:
        """SIGKILL of the control process, and with it of all; then somebody serves again."""
        self.service.kill()
        self.killed += 1
        started = start_service(self._home, command=SERVICE)
        with self._changed:
            self.service, self._generation = started, self._generation + 1
            self._changed.notify_all()

    def kill_a_mover(self, chance: random.Random) -> None:
        """SIGKILL of one of the movers, if one is there."""
        movers = [pid for pid in sorted(descendants(self.service.pid)) if is_mover(pid)]
        if movers:
            os.kill(chance.choice(movers), signal.SIGKILL)
            self.killed += 1

    def client(self) -> tuple[int, RecordedClient]:
        """A new client of who serves now, and which service that is."""
        with self._changed:
            options = ClientOptions(
                endpoint=self.service.api,
                access_key_id=self.init["access_key_id"],
                access_key_secret=self.init["access_key_secret"],
                timeout_s=PATIENCE_S,
            )
            return self._generation, RecordedClient(options, self.history)

    def wait_for_another(self, generation: int) -> None:
        """Return when another one serves than then."""
        with self._changed:
            self._changed.wait_for(lambda: self._generation != generation or self.done.is_set(), PATIENCE_S)
            assert self._generation != generation, "nobody serves any more"


def is_mover(pid: int) -> bool:
    """Whether this process moves files."""
    try:
        return b"mover_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The ids of an open stream."""

    data_flow_id: str
    task_id: str

    @property
    def named(self) -> dict[str, str]:
        """As parameters."""
        return {"DataFlowId": self.data_flow_id, "DataFlowTaskId": self.task_id}


class Caller:
    """One client, for one thread."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._generation, self._client = site.client()

    def ask(self, act: Callable[[RecordedClient], Any]) -> Any:
        """One try, with whoever serves now. Raises ApiUnreachableError after having waited for the next service."""
        try:
            return act(self._client)
        except ApiUnreachableError:
            self._client.close()
            self.site.wait_for_another(self._generation)
            self._generation, self._client = self.site.client()
            raise

    def insist(self, act: Callable[[RecordedClient], Any]) -> Any:
        """Ask until there is an answer."""
        while True:
            try:
                return self.ask(act)
            except ApiUnreachableError:
                continue

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        """One action, until there is an answer."""
        everything = {"FileSystemId": self.site.init["file_system_id"], **parameters}
        return dict(self.insist(lambda client: client.call(action, everything)))

    def open_stream(self, action: str, path: str, prefix: str) -> Stream:
        """A dataflow between a directory and a prefix of the bucket, with one stream."""
        storage = {"SourceStorage": f"oss://{self.site.bucket}", "SourceStoragePath": prefix}
        flow = self.call("CreateDataFlow", FileSystemPath=path, **storage)["DataFlowId"]
        how = {"TaskAction": action, "DataType": "MetaAndData", "ConflictPolicy": "OVERWRITE_EXISTING"}
        task = self.call("CreateDataFlowTask", DataFlowId=flow, Directory="/", DstDirectory="/", **how)["TaskId"]
        return Stream(data_flow_id=str(flow), task_id=str(task))

    def move(self, stream: Stream, name: str, *, token: str = "") -> str | None:
        """Create a sub-task: with a token until it is answered, else once; None when nobody knows what came of it."""
        paths = {"SrcFilePath": f"/{name}", "DstFilePath": f"/{name}"}
        if token:
            return str(
                self.call("CreateDataFlowSubTask", **stream.named, **paths, ClientToken=token)["DataFlowSubTaskId"]
            )
        everything = {"FileSystemId": self.site.init["file_system_id"], **stream.named, **paths}
        try:
            return str(self.ask(lambda client: client.call("CreateDataFlowSubTask", everything))["DataFlowSubTaskId"])
        except ApiUnreachableError:
            return None

    def move_all(self, stream: Stream, names: list[str], token: str) -> list[str]:
        """Create sub-tasks by the bulk door, until that is answered."""
        files = [FileToMove(source=name, target=name) for name in names]
        made = self.insist(
            lambda client: client.create_sub_tasks(
                files,
                file_system_id=self.site.init["file_system_id"],
                data_flow_id=stream.data_flow_id,
                task_id=stream.task_id,
                client_token=token,
            )
        )
        return [one.sub_task_id for one in made]

    def cancel(self, stream: Stream, sub_task: str) -> bool:
        """Cancel a sub-task; False when it is too late."""
        try:
            self.call("CancelDataFlowSubTask", **stream.named, DataFlowSubTaskId=sub_task)
        except ApiRefusedError as refusal:
            if refusal.code != "OperationDenied.InvalidState":
                raise
            return False
        return True

    def walk(self, filters: Mapping[str, str], *, page: int = 100) -> list[dict[str, Any]]:
        """All pages for these filters, until all of one walk have been answered."""
        fs = self.site.init["file_system_id"]
        return list(self.insist(lambda client: client.walk_sub_tasks(fs, filters, page=page)))

    def close(self) -> None:
        """No more calls."""
        self._client.close()


@contextmanager
def crowd(site: Site, errands: Sequence[Callable[[Caller], None]]) -> Iterator[list[threading.Thread]]:
    """Threads that run errands meanwhile; at the end all have ended, and none of them has failed."""
    failures: dict[str, BaseException] = {}

    def run(errand: Callable[[Caller], None]) -> None:
        caller = Caller(site)
        try:
            errand(caller)
        except BaseException as error:  # noqa: BLE001  it is raised again below, where the test sees it
            failures[errand.__name__] = error
        finally:
            caller.close()

    threads = [threading.Thread(target=run, args=(one,), name=one.__name__, daemon=True) for one in errands]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        site.done.set()
        for thread in threads:
            thread.join(2 * PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads), "somebody does not come home"
    for name, error in failures.items():
        raise AssertionError(f"{name} has failed: {error!r}") from error
