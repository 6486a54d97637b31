"""What does a service do whose disks are full, for real: that of its files, and that of its own catalog?"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss
import pytest

from penstock.client import Client, ClientOptions
from penstock.errors import ApiRefusedError
from penstock.settings.home import Home
from penstock.stores.credentials import load_credentials
from tests.faults.matrix.smallservice import KIB, LARGE_BYTES, SMALL_BYTES
from tests.faults.power import patientservice
from tests.faults.power.recording import FINAL, HELPERS, ROOM, SERVICE, body_of
from tests.fixtures.service import COMMAND, RunningService, environment, init_home, start_service
from tests.fixtures.smalldisk import Kind, NoSmallDiskError, SmallDisk, small_disk
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.xdist_group("power")

PATIENCE_S = 60.0
PATIENT = (sys.executable, str(Path(patientservice.__file__)))
MIB = 1 << 20


@dataclass(slots=True, kw_only=True)
class Stand:
    """A served HOME and a client."""

    service: RunningService
    client: Client
    init: dict[str, str]
    file_system_id: str
    home: Home

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        return self.client.call(action, {"FileSystemId": self.file_system_id, **parameters})

    def stream(self, action: str) -> dict[str, str]:
        """Parameters that name a new stream."""
        flow = self.call(
            "CreateDataFlow",
            FileSystemPath="/",
            SourceStorage=f"oss://{self.init['bucket']}",
            SourceStoragePath="/",
        )
        task = self.call(
            "CreateDataFlowTask",
            DataFlowId=flow["DataFlowId"],
            TaskAction=action,
            DataType="MetaAndData",
            ConflictPolicy="OVERWRITE_EXISTING",
            Directory="/",
            DstDirectory="/",
        )
        return {"DataFlowId": flow["DataFlowId"], "DataFlowTaskId": task["TaskId"]}

    def ask(self, stream: dict[str, str], path: str) -> str:
        """Have one moved; its id."""
        answer = self.call("CreateDataFlowSubTask", **stream, SrcFilePath=f"/{path}", DstFilePath=f"/{path}")
        return str(answer["DataFlowSubTaskId"])

    def told(self, sub_task_id: str) -> dict[str, Any]:
        wanted = [{"Key": "DataFlowSubTaskIds", "Value": sub_task_id}]
        (item,) = self.call("DescribeDataFlowSubTasks", Filters=wanted)["DataFlowSubTask"]["DataFlowSubTask"]
        return dict(item)

    def ended(self, sub_task_id: str) -> dict[str, Any]:
        wait_until(lambda: self.told(sub_task_id)["Status"] in FINAL, PATIENCE_S, "it did not end")
        return self.told(sub_task_id)

    def tried(self, sub_task_id: str, times: int, words: str) -> None:
        """Wait until it was tried so often; it is RUNNING then, and says why."""
        catalog = self.home.path / "catalog.db"

        def often() -> bool:
            with closing(sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)) as found:
                ((attempts,),) = found.execute("SELECT attempt FROM sub_tasks WHERE sub_task_id = ?", (sub_task_id,))
            assert self.told(sub_task_id)["Status"] in {"CREATED", "RUNNING"}
            return int(attempts) > times and bool(self.told(sub_task_id)["ErrorMsg"])

        wait_until(often, PATIENCE_S, "it is not tried again")
        item = self.told(sub_task_id)
        assert (item["Status"], item["ErrorMsg"]) == ("RUNNING", words)

    def put(self, path: str, size_bytes: int) -> None:
        """Its bytes into the bucket."""
        key = load_credentials(self.home.secrets_file, self.init["bucket"])
        config = oss.config.load_default()
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(
            key.access_key_id, key.access_key_secret
        )
        config.region, config.endpoint, config.use_path_style = self.init["region"], self.service.oss, True
        oss.Client(config).put_object(
            oss.PutObjectRequest(bucket=self.init["bucket"], key=path, body=body_of(path, size_bytes))
        )


@contextmanager
def disk(tmp_path: Path, size_bytes: int, kind: Kind = Kind.TMPFS) -> Iterator[SmallDisk]:
    """A small disk; the test is skipped, loudly, or fails in CI, where there is none to be had."""
    try:
        with small_disk(tmp_path / "disk", size_bytes=size_bytes, kind=kind) as made:
            yield made
    except NoSmallDiskError as error:
        if os.environ.get("PENSTOCK_REQUIRE_STRACE") == "1" and os.geteuid() == 0:
            pytest.fail(str(error))
        pytest.skip(f"NOTHING IS SHOWN ABOUT FULL DISKS: {error}")


@contextmanager
def served(
    home: Path,
    small: SmallDisk,
    init: dict[str, str],
    file_system_id: str,
    seen: Path,
    *,
    command: tuple[str, ...] = SERVICE,
) -> Iterator[Stand]:
    """`seen` is where HOME is seen from here."""
    service = start_service(home, environment={"PYTHONPATH": str(ROOM)}, command=(*small.enter, *command))
    options = ClientOptions(
        endpoint=service.api, access_key_id=init["access_key_id"], access_key_secret=init["access_key_secret"]
    )
    try:
        with Client(options) as client:
            yield Stand(service=service, client=client, init=init, file_system_id=file_system_id, home=Home(path=seen))
    finally:
        service.stop()


# ------------------------------------------------------------------------------------------------------------- the files


FULL = "the file system is full: free some space"
WAITING = 40
FEW = 2  # attempts: a full disk costs none of them


@pytest.mark.parametrize("kind", Kind)
def test_a_full_file_system_is_waited_for_and_holds_up_no_others(tmp_path: Path, kind: Kind) -> None:
    """Files that fit go on, and those of other file systems; what does not fit says so, keeps nothing, and is moved when there is
    room."""
    with disk(tmp_path, 6 * MIB, kind) as small:
        home = tmp_path / "home"
        init = init_home(home)
        settings = home / "penstock.toml"
        settings.write_text(settings.read_text().replace("attempts_max = 8", f"attempts_max = {FEW}"))
        added = subprocess.run(
            [*small.enter, *COMMAND, "filesystem", "add", str(home), str(small.inside)],
            env=environment(), capture_output=True, check=True, text=True,
        )  # fmt: skip
        with served(home, small, init, added.stdout.strip(), home) as stand:
            stream = stand.stream("StreamImport")
            many = [f"many/{number}" for number in range(WAITING)]
            sizes = {"large": LARGE_BYTES, **dict.fromkeys(["new/small", "other", "elsewhere", *many], SMALL_BYTES)}
            for path, size_bytes in sizes.items():
                stand.put(path, size_bytes)
            (small.path / "other").write_bytes(b"old")
            small.fill(but_bytes=300 * KIB)
            waiting = {"large": stand.ask(stream, "large")}
            stand.tried(waiting["large"], FEW + 2, f"NoSpace: /large: {FULL}")
            assert stand.ended(stand.ask(stream, "new/small"))["Status"] == "COMPLETE"
            small.fill()
            waiting |= {path: stand.ask(stream, path) for path in ("other", *many)}
            for path, sub_task_id in waiting.items():
                stand.tried(sub_task_id, FEW + 2, f"NoSpace: /{path}: {FULL}")
            elsewhere = replace(stand, file_system_id=init["file_system_id"])
            done = elsewhere.ended(elsewhere.ask(elsewhere.stream("StreamImport"), "elsewhere"))
            assert (done["Status"], done["ErrorMsg"]) == ("COMPLETE", "")
            assert (small.path / "other").read_bytes() == b"old"
            small.empty()
            for path, sub_task_id in waiting.items():
                done = stand.ended(sub_task_id)
                assert (done["Status"], done["ErrorMsg"]) == ("COMPLETE", "")
                assert (small.path / path).read_bytes() == body_of(path, sizes[path])
            assert list(small.path.rglob(HELPERS)) == []


@pytest.mark.parametrize("size_bytes", [SMALL_BYTES, LARGE_BYTES], ids=["small", "large"])
def test_nobody_waits_for_long_once_there_is_room(tmp_path: Path, size_bytes: int) -> None:
    """By the ladder of waits they would be tried again after an hour."""
    with disk(tmp_path, 6 * MIB) as small:
        home = tmp_path / "home"
        init = init_home(home)
        added = subprocess.run(
            [*small.enter, *COMMAND, "filesystem", "add", str(home), str(small.inside)],
            env=environment(), capture_output=True, check=True, text=True,
        )  # fmt: skip
        with served(home, small, init, added.stdout.strip(), home, command=PATIENT) as stand:
            stream = stand.stream("StreamImport")
            paths = [f"waits/{number}" for number in range(5)]
            for path in paths:
                stand.put(path, size_bytes)
            (small.path / "waits").mkdir()
            small.fill()
            waiting = {path: stand.ask(stream, path) for path in paths}
            for path, sub_task_id in waiting.items():
                stand.tried(sub_task_id, 2, f"NoSpace: /{path}: {FULL}")  # once more than the ladder has it
            small.empty()
            for path, sub_task_id in waiting.items():
                assert stand.ended(sub_task_id)["Status"] == "COMPLETE"
                assert (small.path / path).read_bytes() == body_of(path, size_bytes)
            assert list(small.path.rglob(HELPERS)) == []


def test_what_is_waited_for_in_vain_ends_and_says_why(tmp_path: Path) -> None:
    with disk(tmp_path, 6 * MIB) as small:
        home = tmp_path / "home"
        init = init_home(home)
        settings = home / "penstock.toml"
        settings.write_text(settings.read_text().replace("attempts_deadline_h = 24", "attempts_deadline_h = 0.001"))
        added = subprocess.run(
            [*small.enter, *COMMAND, "filesystem", "add", str(home), str(small.inside)],
            env=environment(), capture_output=True, check=True, text=True,
        )  # fmt: skip
        with served(home, small, init, added.stdout.strip(), home) as stand:
            stand.put("large", LARGE_BYTES)
            small.fill()
            failed = stand.ended(stand.ask(stand.stream("StreamImport"), "large"))
            assert failed["Status"] == "FAILED"
            assert failed["ErrorMsg"].startswith("DeadlineExceeded: not done within 0.001 hours")
            assert f"NoSpace: /large: {FULL}" in failed["ErrorMsg"]
            assert list(small.path.rglob(HELPERS)) == []


# ----------------------------------------------------------------------------------------------------------- the catalog


def test_a_full_home_refuses_what_is_new_answers_who_asks_and_goes_on_by_itself(tmp_path: Path) -> None:
    with disk(tmp_path, 8 * MIB) as small:
        home, seen = small.inside / "home", small.path / "home"
        made = subprocess.run(
            [*small.enter, *COMMAND, "init", str(home), "--json"],
            env=environment(), capture_output=True, check=True, text=True,
        )  # fmt: skip
        init = json.loads(made.stdout)
        with served(home, small, init, init["file_system_id"], seen) as stand:
            stream = stand.stream("StreamExport")
            for number in range(60):
                (seen / "filesystem" / f"{number}").write_bytes(body_of(f"{number}", 100))
            accepted = [stand.ask(stream, "0")]
            stand.ended(accepted[0])
            small.fill()
            refusals: list[ApiRefusedError] = []
            for number in range(1, 60):
                try:
                    accepted.append(stand.ask(stream, f"{number}"))
                except ApiRefusedError as error:
                    refusals.append(error)
                assert stand.told(accepted[0])["Status"] == "COMPLETE"  # whoever asks is answered
            assert {error.code for error in refusals} == {"ServiceUnavailable"}
            assert "free some space where the service keeps its data (HOME)" in str(refusals[0])
            assert stand.service.process.poll() is None
            small.empty()
            accepted.append(stand.ask(stream, "59"))
            for sub_task_id in accepted:
                assert stand.ended(sub_task_id)["Status"] == "COMPLETE"
