"""Do `penstock flow | task | subtask` lead a stranger through a dataflow's whole life?"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from penstock.client import Client, ClientOptions
from penstock.model import Credentials
from penstock.settings.editing import add_bucket
from penstock.settings.home import Home
from tests.fixtures.registered import registered_bucket
from tests.fixtures.service import RunningService, run_cli, try_cli
from tests.fixtures.waiting import wait_until


@pytest.fixture
def place(service: RunningService) -> Mapping[str, str]:
    """The environment that names the service."""
    return {"PENSTOCK_HOME": str(service.home)}


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"t{os.urandom(4).hex()}"


def put(service: RunningService, key: str, body: bytes) -> None:
    """An object of the embedded bucket."""
    run_cli("object", "put", str(service.home), "examplebucket", "-", key, stdin=body)


def make_stream(
    service: RunningService, place: Mapping[str, str], name: str, direction: str, *more: str
) -> tuple[str, str]:
    """A dataflow between /NAME/ and NAME/, and a stream on it."""
    (Path(service.init["root"]) / name).mkdir()
    flow = run_cli("flow", "create", f"/{name}/", f"oss://examplebucket/{name}/", environment=place).strip()
    return flow, run_cli("task", "create", flow, direction, *more, environment=place).strip()


def as_json(place: Mapping[str, str], *arguments: str) -> Any:
    """What a command prints with --json."""
    return json.loads(run_cli(*arguments, "--json", environment=place))


def test_the_first_steps_of_the_help_work(service: RunningService, place: Mapping[str, str], name: str) -> None:
    put(service, f"{name}/file.xml", b"<a/>")
    flow, task = make_stream(service, place, name, "import")
    said = run_cli("subtask", "create", task, "/file.xml", "--wait", environment=place)
    assert "COMPLETE" in said
    assert "100 %" in said
    assert (Path(service.init["root"]) / name / "file.xml").read_bytes() == b"<a/>"
    assert flow in run_cli("flow", "list", environment=place)
    assert task in run_cli("task", "list", "--flow", flow, environment=place)
    assert f"/{name}/file.xml" in run_cli("subtask", "list", "--task", task, environment=place)


def test_a_fileset_is_made_shown_and_deleted(service: RunningService, place: Mapping[str, str], name: str) -> None:
    fset_id = run_cli("fileset", "create", f"/{name}/", "--description", "of a team", environment=place).strip()
    assert (Path(service.init["root"]) / name).is_dir()
    assert fset_id in run_cli("fileset", "list", environment=place)
    assert "of a team" in run_cli("fileset", "show", fset_id, environment=place)
    assert "is deleted" in try_cli("fileset", "delete", fset_id, environment=place).stderr
    assert not (Path(service.init["root"]) / name).exists()


def test_an_export_comes_back_the_same(service: RunningService, place: Mapping[str, str], name: str) -> None:
    body = os.urandom(300_000)
    _, task = make_stream(
        service, place, name, "export", "--directory", "/a/", "--target-directory", "/b/", "--existing", "skip"
    )
    source = Path(service.init["root"]) / name / "a" / "x.bin"
    source.parent.mkdir()
    source.write_bytes(body)
    found = as_json(place, "subtask", "create", task, "x.bin", "c/y.bin", "--wait")
    assert (found["Status"], found["DstFilePath"]) == ("COMPLETE", f"/{name}/b/c/y.bin")
    assert found["FileDetail"]["ModifyTime"] == str(source.stat().st_mtime_ns)
    run_cli("object", "get", str(service.home), "examplebucket", f"{name}/b/c/y.bin", str(source.parent / "back"))
    assert (source.parent / "back").read_bytes() == body


def test_a_directory_of_its_own_name_has_one_meaning(
    service: RunningService, place: Mapping[str, str], name: str
) -> None:
    put(service, f"{name}/train/train/a", b"inner")
    put(service, f"{name}/train/a", b"outer")
    _, task = make_stream(service, place, name, "import", "--directory", "/train/")
    found = as_json(place, "subtask", "create", task, "train/a", "--wait")
    assert found["SrcFilePath"] == f"/{name}/train/train/a"


def test_a_file_that_is_not_there_fails_with_1(service: RunningService, place: Mapping[str, str], name: str) -> None:
    _, task = make_stream(service, place, name, "import")
    done = try_cli("subtask", "create", task, "nope", "--wait", environment=place)
    assert done.returncode == 1
    assert "SourceNotFound" in done.stdout
    waiting = try_cli("subtask", "create", task, "nope2", "--wait", "--json", environment=place)
    assert (waiting.returncode, json.loads(waiting.stdout)["Status"]) == (1, "FAILED")


def test_a_condition_is_sent(service: RunningService, place: Mapping[str, str], name: str) -> None:
    put(service, f"{name}/a", b"12345")
    _, task = make_stream(service, place, name, "import")
    done = try_cli("subtask", "create", task, "a", "--size", "6", "--wait", environment=place)
    assert (done.returncode, "ConditionNotMet" in done.stdout) == (1, True)
    run_cli("subtask", "create", task, "a", "--size", "5", "--wait", environment=place)


def test_a_dataflow_is_modified_stopped_started_and_deleted(
    service: RunningService, place: Mapping[str, str], name: str
) -> None:
    flow, task = make_stream(service, place, name, "import")
    run_cli("flow", "modify", flow, "--description", "another", environment=place)
    assert "another" in run_cli("flow", "show", flow, environment=place)
    run_cli("flow", "stop", flow, environment=place)
    assert as_json(place, "flow", "show", flow)["Status"] == "Stopped"
    refused = try_cli("subtask", "create", task, "a", environment=place)
    assert refused.returncode == 1
    assert "OperationDenied.InvalidState" in refused.stderr
    run_cli("flow", "start", flow, environment=place)
    busy = try_cli("flow", "delete", flow, environment=place)
    assert (busy.returncode, "OperationDenied.DependencyViolation" in busy.stderr) == (1, True)
    run_cli("task", "cancel", task, environment=place)
    assert as_json(place, "task", "show", task)["Status"] == "Canceled"
    run_cli("flow", "delete", flow, environment=place)
    gone = try_cli("flow", "show", flow, environment=place)
    assert (gone.returncode, gone.stdout) == (1, "")
    assert f"there is no dataflow {flow}" in gone.stderr


def test_a_sub_task_whose_store_is_away_is_cancelled(
    service: RunningService, place: Mapping[str, str], name: str
) -> None:
    away = registered_bucket(name, tag_check=False, versioning_check=False)
    add_bucket(Home(path=service.home), away, Credentials(access_key_id="AK", access_key_secret="SK"))
    (Path(service.init["root"]) / name).mkdir()
    flow = wait_until(
        lambda: try_cli("flow", "create", f"/{name}/", f"oss://{name}/", environment=place).stdout, 30, ""
    )
    task = run_cli("task", "create", flow.strip(), "import", environment=place).strip()
    sub_task = run_cli("subtask", "create", task, "a", environment=place).strip()
    said = run_cli("subtask", "cancel", sub_task, environment=place)
    assert said == ""
    found = wait_until(
        lambda: (item := as_json(place, "subtask", "show", sub_task))["Status"] == "CANCELED" and item,
        10,
        "not canceled",
    )
    assert found["ProgressStats"]["ActualBytes"] == 0
    again = try_cli("subtask", "cancel", sub_task, environment=place)
    assert (again.returncode, "OperationDenied.InvalidState" in again.stderr) == (1, True)


def test_a_refusal_has_code_message_and_request_id(place: Mapping[str, str]) -> None:
    done = try_cli("flow", "create", "/nowhere/", "oss://examplebucket/", environment=place)
    assert (done.returncode, done.stdout) == (1, "")
    assert "penstock: InvalidFileSystemPath.NotFound: " in done.stderr
    assert "request id: " in done.stderr


def test_lists_page(service: RunningService, place: Mapping[str, str], name: str) -> None:
    flow, _ = make_stream(service, place, name, "import")
    options = ClientOptions(
        endpoint=service.api,
        access_key_id=service.init["access_key_id"],
        access_key_secret=service.init["access_key_secret"],
    )
    with Client(options) as client:
        for _ in range(24):
            client.call(
                "CreateDataFlowTask",
                {
                    "FileSystemId": service.init["file_system_id"],
                    "DataFlowId": flow,
                    "TaskAction": "StreamImport",
                    "DataType": "MetaAndData",
                    "ConflictPolicy": "SKIP_THE_FILE",
                },
            )
    first = as_json(place, "task", "list", "--flow", flow, "--limit", "20")
    assert len(first["TaskInfo"]["Task"]) == 20
    second = as_json(place, "task", "list", "--flow", flow, "--limit", "20", "--next-token", first["NextToken"])
    assert len(second["TaskInfo"]["Task"]) == 5
    assert "NextToken" not in second
    printed = try_cli("task", "list", "--flow", flow, "--limit", "20", environment=place)
    assert printed.stdout.count("StreamImport") == 20
    assert "--next-token" in printed.stderr


def test_address_and_key_may_be_said_outright(service: RunningService) -> None:
    said = {
        "PENSTOCK_ENDPOINT": service.api,
        "PENSTOCK_ACCESS_KEY_ID": service.init["access_key_id"],
        "PENSTOCK_ACCESS_KEY_SECRET": service.init["access_key_secret"],
        "PENSTOCK_FILE_SYSTEM": service.init["file_system_id"],
    }
    assert run_cli("flow", "list", environment=said).startswith("ID")
    wrong = try_cli("flow", "list", environment={**said, "PENSTOCK_ACCESS_KEY_SECRET": "hush"})
    assert wrong.returncode == 1
    assert "SignatureDoesNotMatch" in wrong.stderr
    assert "hush" not in wrong.stderr


@pytest.mark.parametrize(
    ("environment", "code", "said"),
    [
        ({}, 1, "export PENSTOCK_HOME"),
        ({"PENSTOCK_ENDPOINT": "http://127.0.0.1:1"}, 1, "set PENSTOCK_ACCESS_KEY_ID"),
        (
            {
                "PENSTOCK_ENDPOINT": "http://127.0.0.1:1",
                "PENSTOCK_ACCESS_KEY_ID": "a",
                "PENSTOCK_ACCESS_KEY_SECRET": "b",
            },
            4,  # it is the service that tells which file systems there are
            "does not answer",
        ),
    ],
)
def test_what_is_missing_is_said(environment: dict[str, str], code: int, said: str) -> None:
    done = try_cli("flow", "list", environment=environment)
    assert (done.returncode, done.stdout) == (code, "")
    assert said.lower() in done.stderr.lower()


def test_a_service_that_does_not_run_exits_with_4(home: Path) -> None:
    done = try_cli("flow", "list", "--home", str(home))
    assert done.returncode == 4
    assert "penstock serve" in done.stderr


def test_a_key_without_the_right_is_refused(service: RunningService) -> None:
    made = json.loads(run_cli("key", "add", str(service.home), "--allow", "nas:Describe*", "--json"))
    place = {
        "PENSTOCK_HOME": str(service.home),
        "PENSTOCK_ACCESS_KEY_ID": made["access_key_id"],
        "PENSTOCK_ACCESS_KEY_SECRET": made["access_key_secret"],
    }
    wait_until(lambda: try_cli("flow", "list", environment=place).returncode == 0, 30, "the key was not seen")
    refused = try_cli("flow", "create", "/", "oss://examplebucket/", environment=place)
    assert refused.returncode == 1
    assert "Forbidden.RAM" in refused.stderr


def test_a_wrong_secret_is_said_with_where_it_came_from(service: RunningService, place: Mapping[str, str]) -> None:
    key_id = service.init["access_key_id"]
    wrong = {**place, "PENSTOCK_ACCESS_KEY_ID": key_id, "PENSTOCK_ACCESS_KEY_SECRET": "wrong"}
    done = try_cli("flow", "list", environment=wrong)
    assert done.returncode == 1
    assert f"hint: used was access key {key_id} with the secret of PENSTOCK_ACCESS_KEY_SECRET" in done.stderr
    assert "x-acs" not in done.stderr


def test_directories_get_the_slashes_that_the_api_asks_for(
    service: RunningService, place: Mapping[str, str], name: str
) -> None:
    (Path(service.init["root"]) / name / "w1").mkdir(parents=True)
    put(service, f"{name}/v1/file.xml", b"<a/>")
    flow = run_cli("flow", "create", name, f"oss://examplebucket/{name}", environment=place).strip()
    more = ("--directory", "v1", "--target-directory", "w1")
    task = run_cli("task", "create", flow, "import", *more, environment=place).strip()
    found = as_json(place, "task", "show", task)
    assert (found["Directory"], found["DstDirectory"]) == ("/v1/", "/w1/")


@pytest.mark.parametrize("right", ["oss:Get*", "oss:", "s3:*"])
def test_a_right_that_grants_nothing_is_refused(home: Path, right: str) -> None:
    before = (home / "secrets.toml").read_bytes()
    done = try_cli("key", "add", str(home), "--allow", right)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is no right" in done.stderr
    assert (home / "secrets.toml").read_bytes() == before


def test_a_key_for_an_unknown_file_system_is_made_with_a_warning(home: Path) -> None:
    done = try_cli("key", "add", str(home), "--file-system", "bmcpfs-unknown")
    assert done.returncode == 0
    assert "warning: file system bmcpfs-unknown is not registered" in done.stderr
