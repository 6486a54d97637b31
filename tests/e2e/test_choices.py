"""Do the settings that a person writes into penstock.toml reach the served HOME: transitions, links, owners?"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from alibabacloud_nas20170626 import models as nas
from alibabacloud_nas20170626.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException

from tests.e2e.sdk import Flow, make_client, open_stream
from tests.fixtures.service import WARM, RunningService, init_home, start_service
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.waiting import wait_until

DELAY_S = 2.0  # no request takes so long
LATE_S = 4.0  # ours is one; the rest is for a busy machine
CHOICES = {"transition_delay_s": f"{DELAY_S}", "symlinks": '"vendor"', "keep_owner_and_mode": '"yes"'}
Changed = TypeVar("Changed")
LINK_NS = 1_234_567_890_123_456_789


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """A HOME in whose penstock.toml a person has changed these lines."""
    home = tmp_path / "home"
    init_home(home)
    settings = home / "penstock.toml"
    lines = settings.read_text().splitlines()
    for name, value in CHOICES.items():
        (place,) = [number for number, line in enumerate(lines) if line.startswith(f"{name} = ")]
        lines[place] = f"{name} = {value}"
    settings.write_text("\n".join(lines) + "\n")
    running = start_service(home, command=WARM)
    yield running
    running.stop()


def becomes(
    change: Callable[[], Changed], look: Callable[[], str | None], meanwhile: str, after: str | None
) -> Changed:
    """What the change answered, once it was `meanwhile` for the whole delay and has become `after` soon after its end."""
    begun = time.monotonic()
    watch = Stopwatch()
    answer = change()
    assert look() == meanwhile or time.monotonic() - begun > DELAY_S  # on a machine that stood still

    def ended() -> bool:
        seen = look()
        assert seen in {meanwhile, after}
        return seen == after

    wait_until(ended, 30.0, f"it stayed {meanwhile}")
    assert time.monotonic() - begun >= DELAY_S
    assert watch.took_s() < DELAY_S + LATE_S
    return answer


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(ClientException) as caught:
        call()
    assert caught.value.code == "OperationDenied.InvalidState"


def test_what_was_chosen_is_what_happens(service: RunningService) -> None:
    client = make_client(
        service.api, service.init["access_key_id"], service.init["access_key_secret"], algorithm=None, ca=None
    )
    file_system = service.init["file_system_id"]
    root = Path(service.init["root"])
    request = nas.CreateDataFlowRequest(
        file_system_id=file_system,
        file_system_path="/",
        source_storage=f"oss://{service.init['bucket']}",
        source_storage_path="/",
    )

    def status() -> str | None:
        return flow_status(client, file_system)

    created = becomes(lambda: client.create_data_flow(request), status, "Starting", "Running")
    flow = str(created.body.data_flow_id)
    exporting = slow_stream(client, file_system, flow, "StreamExport")
    send_a_link_and_a_file(exporting, root)
    importing = slow_stream(client, file_system, flow, "StreamImport")
    fetch_them(importing, root)
    ids = {"file_system_id": file_system, "data_flow_id": flow}
    for stream in (exporting, importing):
        client.cancel_data_flow_task(nas.CancelDataFlowTaskRequest(**ids, task_id=stream.task_id))
    modify = nas.ModifyDataFlowRequest(**ids, description="other words")
    becomes(lambda: client.modify_data_flow(modify), status, "Updating", "Running")
    becomes(lambda: client.stop_data_flow(nas.StopDataFlowRequest(**ids)), status, "Stopping", "Stopped")
    becomes(lambda: client.start_data_flow(nas.StartDataFlowRequest(**ids)), status, "Starting", "Running")
    becomes(lambda: client.delete_data_flow(nas.DeleteDataFlowRequest(**ids)), status, "Deleting", None)


def flow_status(client: Client, file_system: str) -> str | None:
    """The status of the one dataflow; None when there is none."""
    request = nas.DescribeDataFlowsRequest(file_system_id=file_system)
    flows = client.describe_data_flows(request).body.data_flow_info.data_flow
    return str(flows[0].status) if flows else None


def slow_stream(client: Client, file_system: str, flow: str, action: str) -> Flow:
    """A stream that was Pending, took no sub-task then, and is Executing. The newest task comes first."""

    def status() -> str:
        request = nas.DescribeDataFlowTasksRequest(file_system_id=file_system)
        return str(client.describe_data_flow_tasks(request).body.task_info.task[0].status)

    def opened() -> Flow:
        stream = open_stream(client, file_system, flow, action=action, directories=("/", "/"))
        refused(lambda: stream.move("/file", "/x"))
        return stream

    return becomes(opened, status, "Pending", "Executing")


def send_a_link_and_a_file(stream: Flow, root: Path) -> None:
    """Both are COMPLETE; the link as an empty object with its own time."""
    (root / "file").write_bytes(b"content")
    (root / "file").chmod(0o4751)
    (root / "link").symlink_to("file")
    os.utime(root / "link", ns=(1, LINK_NS), follow_symlinks=False)
    link, file = stream.move("/link", "/sent/link"), stream.move("/file", "/sent/file")
    ended = stream.wait(link)
    assert (ended["Status"], ended["ErrorMsg"]) == ("COMPLETE", "")
    assert ended["FileDetail"] == {"Size": 0, "ModifyTime": LINK_NS, "Checksum": "crc64:0"}
    assert stream.wait(file)["Status"] == "COMPLETE"


def fetch_them(stream: Flow, root: Path) -> None:
    """The file comes back with its permissions, without its set-user-id bit; the link as an empty file."""
    for name in ("link", "file"):
        assert stream.wait(stream.move(f"/sent/{name}", f"/back/{name}"))["Status"] == "COMPLETE"
    file, link = (root / "back/file").stat(), (root / "back/link").lstat()
    assert (stat.S_IMODE(file.st_mode), file.st_uid, file.st_size) == (0o751, os.geteuid(), 7)
    assert stat.S_ISREG(link.st_mode)
    assert (link.st_size, link.st_mtime_ns) == (0, LINK_NS)
