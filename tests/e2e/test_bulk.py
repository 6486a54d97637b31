"""Is a bulk of files moved once when the service is killed while it takes them, and every call is repeated by its token?"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Sequence
from hashlib import md5
from pathlib import Path

import pytest

from penstock.client import Client, ClientOptions, Created, FileToMove
from penstock.errors import ApiUnreachableError
from tests.e2e.sdk import DEADLINE_S
from tests.fixtures.chance import seed_of
from tests.fixtures.service import WARM, RunningService, init_home, run_cli, start_service
from tests.fixtures.waiting import wait_until

CALLS, FILES_EACH = 12, 250


class Caller:
    """Asks for the same calls as often as it is told, on whichever port the service is."""

    def __init__(self, service: RunningService) -> None:
        self.service = service
        self.answers = threading.Semaphore(0)
        root = Path(service.init["root"]) / "out"
        root.mkdir()
        for number in range(CALLS * FILES_EACH):
            (root / f"{number:05}").write_bytes(b"%d" % number)
        with self.client() as client:
            made = client.call(
                "CreateDataFlow",
                {
                    **self.fs,
                    "FileSystemPath": "/out/",
                    "SourceStorage": f"oss://{service.init['bucket']}",
                    "SourceStoragePath": "/",
                },
            )
            self.flow = str(made["DataFlowId"])
            stream = {"TaskAction": "StreamExport", "ConflictPolicy": "OVERWRITE_EXISTING"}
            self.task = str(client.call("CreateDataFlowTask", {**self.fs, "DataFlowId": self.flow, **stream})["TaskId"])

    @property
    def fs(self) -> dict[str, str]:
        return {"FileSystemId": self.service.init["file_system_id"]}

    def client(self) -> Client:
        init = self.service.init
        options = ClientOptions(
            endpoint=self.service.api,
            access_key_id=init["access_key_id"],
            access_key_secret=init["access_key_secret"],
        )
        return Client(options)

    def ask(self, client: Client, number: int) -> Sequence[Created]:
        names = [f"{index:05}" for index in range(number * FILES_EACH, (number + 1) * FILES_EACH)]
        return client.create_sub_tasks(
            [FileToMove(source=name, target=name) for name in names],
            file_system_id=self.fs["FileSystemId"],
            data_flow_id=self.flow,
            task_id=self.task,
            client_token=f"call-{number}",
        )

    def ask_until_nobody_answers(self, found: dict[int, Sequence[Created]]) -> None:
        with self.client() as client:
            for number in range(CALLS):
                try:
                    found[number] = self.ask(client, number)
                except ApiUnreachableError:
                    return
                self.answers.release()

    def stats(self) -> dict[str, int]:
        with self.client() as client:
            told = client.call("DescribeDataFlowTasks", self.fs)
            return dict(told["TaskInfo"]["Task"][0]["ProgressStats"])


@pytest.mark.seeded
def test_killed_while_it_takes_files_each_is_made_and_moved_once(tmp_path: Path) -> None:
    seed = seed_of("TEST")
    print(f"PENSTOCK_TEST_SEED={seed}")
    init_home(tmp_path / "home")
    caller = Caller(start_service(tmp_path / "home", command=WARM))
    answered: dict[int, Sequence[Created]] = {}
    asking = threading.Thread(target=caller.ask_until_nobody_answers, args=(answered,))
    asking.start()
    for _ in range(random.Random(seed).randrange(CALLS)):
        assert caller.answers.acquire(timeout=DEADLINE_S), "nobody answers"
    caller.service.kill()  # the next call is under way: before its COMMIT, after it, or not begun
    asking.join()
    caller.service = start_service(tmp_path / "home", command=WARM)
    try:
        with caller.client() as client:
            again = [caller.ask(client, number) for number in range(CALLS)]
        assert all(again[number] == made for number, made in answered.items())
        made = [one.sub_task_id for results in again for one in results]
        assert len(set(made)) == CALLS * FILES_EACH
        wait_until(lambda: caller.stats()["FilesDone"] >= CALLS * FILES_EACH, DEADLINE_S, "not all were moved")
        stats = caller.stats()
        assert stats["FilesTotal"] == stats["FilesDone"] == CALLS * FILES_EACH
        told = json.loads(run_cli("object", "ls", str(caller.service.home), caller.service.init["bucket"], "--json"))
        assert {each["key"]: each["etag"].lower() for each in told} == {
            f"{number:05}": md5(b"%d" % number).hexdigest() for number in range(CALLS * FILES_EACH)
        }
    finally:
        caller.service.stop()
