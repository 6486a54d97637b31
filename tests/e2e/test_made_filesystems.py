"""Does a file system that the API makes come into being once, whoever dies, work at once, and never take a file with it?"""

import os
from pathlib import Path
from typing import Any

import pytest
from tomlkit import TOMLDocument

from penstock import failpoints
from penstock.client import Client, ClientOptions
from penstock.errors import ApiRefusedError, ApiUnreachableError
from penstock.settings.reading import open_home
from penstock.settings.writing import change_settings
from tests.fixtures.service import RunningService, init_home, start_service
from tests.fixtures.waiting import wait_until

ASKED = {
    "FileSystemType": "bmcpfs",
    "ProtocolType": "cpfs",
    "StorageType": "bm_advance_400",
    "Description": "of a team",
    "ClientToken": "once",
}


def client_of(service: RunningService) -> Client:
    """One that asks once."""
    return Client(
        ClientOptions(
            endpoint=service.api,
            access_key_id=service.init["access_key_id"],
            access_key_secret=service.init["access_key_secret"],
        )
    )


def refused(client: Client, action: str, asked: dict[str, str]) -> ApiRefusedError:
    with pytest.raises(ApiRefusedError) as caught:
        client.call(action, asked)
    return caught.value


def move_a_file_out(client: Client, own: dict[str, str], root: Path) -> str:
    """By a dataflow of the new file system's own; its id."""
    (root / "file").write_bytes(b"bytes")
    made = {"FileSystemPath": "/", "SourceStorage": "oss://examplebucket", "SourceStoragePath": "/out/"}
    flow = own | {"DataFlowId": client.call("CreateDataFlow", own | made)["DataFlowId"]}
    stream = client.call("CreateDataFlowTask", flow | {"TaskAction": "StreamExport", "ConflictPolicy": "KEEP_LATEST"})
    task = {"DataFlowTaskId": stream["TaskId"]}
    client.call("CreateDataFlowSubTask", flow | task | {"SrcFilePath": "/file", "DstFilePath": "/file"})

    def statuses() -> list[str]:
        listed = client.call("DescribeDataFlowSubTasks", own)["DataFlowSubTask"]["DataFlowSubTask"]
        return [each["Status"] for each in listed]

    wait_until(lambda: statuses() == ["COMPLETE"], 30.0, "the file was not moved")
    client.call("CancelDataFlowTask", flow | {"TaskId": stream["TaskId"]})
    return str(flow["DataFlowId"])


@pytest.mark.rule("FS-4")
@pytest.mark.rule("FS-5")
@pytest.mark.rule("FS-6")
@pytest.mark.rule("FS-7")
def test_a_file_system_is_made_once_used_at_once_and_removed_when_it_is_empty(tmp_path: Path) -> None:
    home, base, traps = tmp_path / "home", tmp_path / "base", tmp_path / "traps"
    first = {"FileSystemId": init_home(home)["file_system_id"]}
    base.mkdir()
    traps.mkdir()
    armed = {failpoints.VARIABLE: str(traps)}
    (traps / "filesystem.made.1").touch()
    service = start_service(home, environment=armed)
    with client_of(service) as client:
        assert "file_system_root" in str(refused(client, "CreateFileSystem", ASKED))
    service.stop()

    def name_the_root(settings: TOMLDocument) -> None:
        settings["file_system_root"] = str(base)

    change_settings(open_home(home), name_the_root)
    for point in ("filesystem.made", "filesystem.registered"):
        (traps / f"{point}.1").touch()
        service = start_service(home, environment=armed)
        with client_of(service) as client, pytest.raises(ApiUnreachableError):
            client.call("CreateFileSystem", ASKED)
        service.ended()
    (traps / "filesystem.removed.1").touch()
    service = start_service(home, environment=armed)
    with client_of(service) as client:
        assert client.call("CreateFileSystem", ASKED | {"ClientToken": "", "DryRun": "true"})["FileSystemId"] == ""
        own = {"FileSystemId": client.call("CreateFileSystem", ASKED)["FileSystemId"]}
        assert own["FileSystemId"] == client.call("CreateFileSystem", ASKED)["FileSystemId"]
        (root,) = base.iterdir()
        assert root.name == own["FileSystemId"]
        second = {"FileSystemId": client.call("CreateFileSystem", ASKED | {"ClientToken": "twice"})["FileSystemId"]}
        client.call("ModifyFileSystem", second | {"Description": "of nobody"})
        assert described(client) == {own["FileSystemId"]: "of a team", second["FileSystemId"]: "of nobody"} | {
            first["FileSystemId"]: "made by init"
        }
        flow = move_a_file_out(client, own, root)
        assert refused(client, "DeleteFileSystem", own).code == "OperationDenied.DependencyViolation"
        client.call("DeleteDataFlow", own | {"DataFlowId": flow})
        assert refused(client, "DeleteFileSystem", own).code == "OperationDenied.DependencyViolation"
        assert (root / "file").read_bytes() == b"bytes"
        assert refused(client, "DeleteFileSystem", first).code == "InvalidOperation.DeletionProtection"
        (root / "file").unlink()
        with pytest.raises(ApiUnreachableError):
            client.call("DeleteFileSystem", own)
    service.ended()
    assert os.listdir(base) == [second["FileSystemId"]]
    service = start_service(home)
    with client_of(service) as client:
        for each in (own, second):
            client.call("DeleteFileSystem", each)
        assert list(described(client)) == [first["FileSystemId"]]
    service.stop()
    assert os.listdir(base) == []


def described(client: Client) -> dict[str, Any]:
    """The description of each file system, by its id."""
    listed = client.call("DescribeFileSystems", {})["FileSystems"]["FileSystem"]
    return {each["FileSystemId"]: each["Description"] for each in listed}
