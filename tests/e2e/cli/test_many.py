"""Do many files go by one command: from arguments and lists, with a result for each, and where there is no bulk door?"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli.processes import descendants, emulator_of
from tests.fixtures.ports import free_port
from tests.fixtures.service import (
    COMMAND,
    WARM,
    RunningService,
    environment,
    init_home,
    read_line,
    run_cli,
    start_service,
    try_cli,
)
from tests.fixtures.waiting import wait_until


@pytest.fixture
def place(service: RunningService) -> Mapping[str, str]:
    """The environment that names the service."""
    return {"PENSTOCK_HOME": str(service.home)}


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"t{os.urandom(4).hex()}"


def stream(service: RunningService, name: str, direction: str, *more: str) -> str:
    """A stream between /NAME/ and NAME/ of the embedded bucket."""
    place = {"PENSTOCK_HOME": str(service.home)}
    (Path(service.init["root"]) / name).mkdir(exist_ok=True)
    flow = run_cli("flow", "create", f"/{name}/", f"oss://examplebucket/{name}/", environment=place).strip()
    return run_cli("task", "create", flow, direction, *more, environment=place).strip()


def write(service: RunningService, name: str, count: int) -> dict[str, bytes]:
    """Files to export, in a directory of the name that the stream's directory has."""
    root = Path(service.init["root"]) / name
    files = {f"train/{number:04}": f"{name} {number}".encode() for number in range(count)}
    for path, body in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(body)
    return files


def taken(service: RunningService, key: str) -> bytes:
    """An object's bytes."""
    back = service.home / "back"
    run_cli("object", "get", str(service.home), "examplebucket", key, str(back))
    body = back.read_bytes()
    back.unlink()
    return body


def test_a_list_of_more_than_a_page_is_moved_and_waited_for(
    service: RunningService, place: Mapping[str, str], name: str
) -> None:
    files = write(service, name, 1200)
    task = stream(service, name, "export")
    listed = "\0".join(files).encode() + b"\0"
    said = run_cli("subtask", "create", task, "--from", "-", "--null", "--wait", environment=place, stdin=listed)
    assert said == "1200 files: 1200 COMPLETE\n"
    for path in ("train/0000", "train/1199"):
        assert taken(service, f"{name}/{path}") == files[path]
    stats = json.loads(run_cli("task", "show", task, "--json", environment=place))["ProgressStats"]
    assert (stats["FilesTotal"], stats["FilesDone"], stats["ActualFiles"]) == (1200, 1200, 1200)


def test_every_argument_is_a_source_and_has_one_meaning(
    service: RunningService, place: Mapping[str, str], name: str
) -> None:
    """`train/0000` beneath the task's directory `/train/` is `/train/train/0000`, even where both exist."""
    write(service, name, 1)
    write(service, f"{name}/train", 2)
    task = stream(service, name, "export", "--directory", "/train/")
    said = run_cli("subtask", "create", task, "--each", "train/0000", "/train/0001", "--wait", environment=place)
    assert said == "2 files: 2 COMPLETE\n"
    assert taken(service, f"{name}/train/train/0000") == f"{name}/train 0".encode()


@pytest.mark.parametrize("base", ["walkthrough", "task"])
@pytest.mark.parametrize("fidelity", ["lenient", "strict"])
def test_one_source_has_one_meaning_under_every_setting(tmp_path: Path, name: str, base: str, fidelity: str) -> None:
    """Beneath `/train/`, `0000` is `/train/0000`, though `/train/train/0000` exists, too; by the bulk door so is the reverse."""
    init_home(tmp_path / "home", movers=1)
    settings = tmp_path / "home" / "penstock.toml"
    text = settings.read_text()
    assert 'fidelity = "lenient"' in text
    assert 'subtask_path_base = "walkthrough"' in text
    text = text.replace('fidelity = "lenient"', f'fidelity = "{fidelity}"')
    settings.write_text(text.replace('subtask_path_base = "walkthrough"', f'subtask_path_base = "{base}"'))
    service = start_service(tmp_path / "home", command=WARM)
    try:
        place = {"PENSTOCK_HOME": str(service.home)}
        write(service, name, 1)
        write(service, f"{name}/train", 1)
        task = stream(service, name, "export", "--directory", "/train/")
        sources = ["0000"] if fidelity == "strict" else ["0000", "train/0000"]
        for source in sources:
            done = try_cli("subtask", "create", task, source, "--wait", "--json", environment=place)
            assert (done.returncode, done.stderr) == (0, "")
            assert json.loads(done.stdout)["SrcFilePath"] == f"/{name}/train/{source}"
    finally:
        service.stop()


def test_one_source_that_is_refused_says_why_and_prints_no_id(
    service: RunningService, place: Mapping[str, str], name: str
) -> None:
    task = stream(service, name, "export")
    done = try_cli("subtask", "create", task, "a/../b", environment=place)
    assert (done.returncode, done.stdout) == (1, "")
    assert "IllegalCharacters" in done.stderr
    made = json.loads(run_cli("subtask", "create", task, "a", "--json", environment=place))
    assert list(made) == ["DataFlowSubTaskId"]


def test_a_line_may_name_the_target_and_ids_are_printed(
    service: RunningService, place: Mapping[str, str], name: str
) -> None:
    write(service, name, 2)
    task = stream(service, name, "export")
    listed = b"train/0000\telse where/a\r\n\ntrain/0001"
    ids = run_cli("subtask", "create", task, "--from", "-", environment=place, stdin=listed).split()
    found = [json.loads(run_cli("subtask", "show", each, "--json", environment=place)) for each in ids]
    assert [(item["SrcFilePath"], item["DstFilePath"]) for item in found] == [
        (f"/{name}/train/0000", f"/{name}/else where/a"),
        (f"/{name}/train/0001", f"/{name}/train/0001"),
    ]


def test_what_fails_and_what_is_refused_is_told_and_exits_with_1(
    service: RunningService, place: Mapping[str, str], name: str, tmp_path: Path
) -> None:
    files = write(service, name, 2)
    task = stream(service, name, "export")
    entries: list[dict[str, Any]] = [
        {"SrcFilePath": "train/0000", "Condition": {"Size": len(files["train/0000"])}},
        {"SrcFilePath": "train/0001", "DstFilePath": "/b", "Condition": {"Size": "1", "ModifyTime": None}},
        {"SrcFilePath": "a/../b"},
        {"SrcFilePath": "none"},
    ]
    listed = tmp_path / "list.json"
    listed.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    more = ("--from", str(listed), "--json-lines")
    done = try_cli("subtask", "create", task, *more, "--wait", "--json", environment=place)
    told = json.loads(done.stdout)
    assert (done.returncode, told["Complete"]) == (1, 1)
    assert [item["Code"] for item in told["Refused"]] == ["IllegalCharacters"]
    assert sorted(item["ErrorMsg"].partition(":")[0] for item in told["NotComplete"]) == [
        "ConditionNotMet",
        "SourceNotFound",
    ]
    done = try_cli("subtask", "create", task, *more, "--wait", environment=place)
    assert (done.returncode, done.stdout) == (1, "4 files: 1 COMPLETE, 2 FAILED, 1 refused\n")
    assert "a/../b: IllegalCharacters" in done.stderr
    assert "SourceNotFound" in done.stderr
    done = try_cli("subtask", "create", task, *more, "--json", environment=place)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert ["Code" in line for line in lines] == [False, False, True, False]
    assert all("DataFlowSubTaskId" in line for line in lines if "Code" not in line)


def test_a_name_that_is_not_utf8_stops_no_other(service: RunningService, place: Mapping[str, str], name: str) -> None:
    task = stream(service, name, "export")
    done = try_cli("subtask", "create", task, "--from", "-", "--json", environment=place, stdin=b"a\xff\nplain\n")
    assert (done.returncode, "not UTF-8" in done.stderr) == (1, True)
    odd, plain = (json.loads(line) for line in done.stdout.splitlines())
    assert (odd["SrcFilePath"], odd["Code"]) == ("a\udcff", "IllegalCharacters")
    assert (plain["SrcFilePath"], "DataFlowSubTaskId" in plain) == ("plain", True)


MEANINGLESS: list[tuple[list[str], bytes, int, str]] = [
    (["a", "b", "c"], b"", 2, "--each"),
    (["--each"], b"", 2, "at least one SOURCE"),
    ([], b"", 2, "--each"),
    (["a", "--from", "-"], b"b", 2, "not both"),
    (["--each", "a", "--size", "5"], b"", 2, "--json-lines"),
    (["a", "--null"], b"", 2, "--from"),
    (["--from", "-", "--json-lines"], b'"a"', 1, "entry 1"),
    (["--from", "-", "--json-lines"], b'{"SrcFilePath":"a","Conditoin":{}}', 1, "entry 1"),
    (["--from", "-", "--null"], b"a\n" * 100_000, 1, "separated"),
    (["--from", "/nowhere"], b"", 2, "/nowhere"),
]


def test_what_cannot_be_meant_is_refused_before_anything_is_moved(
    service: RunningService, place: Mapping[str, str], name: str
) -> None:
    task = stream(service, name, "export")
    for arguments, stdin, code, says in MEANINGLESS:
        done = try_cli("subtask", "create", task, *arguments, environment=place, stdin=stdin)
        assert (done.returncode, done.stdout) == (code, ""), arguments
        assert says in done.stderr
    stats = json.loads(run_cli("task", "show", task, "--json", environment=place))["ProgressStats"]
    assert stats["FilesTotal"] == 0


def test_a_stopped_dataflow_refuses_the_whole_and_says_how_far_it_came(
    service: RunningService, place: Mapping[str, str], name: str
) -> None:
    task = stream(service, name, "import")
    flow = json.loads(run_cli("task", "show", task, "--json", environment=place))["DataFlowId"]
    run_cli("flow", "stop", flow, environment=place)
    done = try_cli("subtask", "create", task, "--each", "a", "b", "--wait", environment=place)
    assert (done.returncode, done.stdout) == (1, "")
    assert "0 files were accepted" in done.stderr
    assert "OperationDenied.InvalidState" in done.stderr


@pytest.mark.parametrize("sources", [["train/0000"], ["--each", "train/0000", "train/0001"]])
def test_who_waits_goes_on_when_the_service_is_killed_and_comes_back(home: Path, name: str, sources: list[str]) -> None:
    """Nothing can move before, because the bucket's server stands still."""
    port = ["--port", str(free_port())]  # to come back on, taken by nobody meanwhile
    service = start_service(home, extra_args=port, command=WARM)
    write(service, name, 2)
    task = stream(service, name, "export")
    family = descendants(service.pid)
    os.kill(emulator_of(service.pid), signal.SIGSTOP)
    waiting = subprocess.Popen(
        [*COMMAND, "subtask", "create", task, *sources, "--wait"],
        env=environment({"PENSTOCK_HOME": str(home)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert waiting.stderr is not None
        show = ("task", "show", task, "--json")

        def accepted() -> bool:
            shown = json.loads(run_cli(*show, environment={"PENSTOCK_HOME": str(home)}))
            return bool(shown["ProgressStats"]["FilesTotal"])

        wait_until(accepted, 30, "nothing was accepted")
        service.kill()
        for process_id in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        assert b"asking again for 60 s" in read_line(waiting.stderr, 30)
        service = start_service(home, extra_args=port, command=WARM)
        said, remarks = waiting.communicate(timeout=60)
        assert (waiting.returncode, b"COMPLETE" in said) == (0, True), remarks
        assert b"answers again" in remarks
    finally:
        waiting.kill()
        waiting.communicate()
        service.stop()


def test_without_a_bulk_door_files_go_one_by_one(tmp_path: Path, name: str) -> None:
    init_home(tmp_path / "home", movers=1)
    settings = tmp_path / "home" / "penstock.toml"
    settings.write_text(settings.read_text().replace('fidelity = "lenient"', 'fidelity = "strict"'))
    service = start_service(tmp_path / "home", command=WARM)
    try:
        files = write(service, name, 3)
        task = stream(service, name, "export")
        place = {"PENSTOCK_HOME": str(service.home)}
        done = try_cli("subtask", "create", task, "--each", *files, "a//b", "--wait", environment=place)
        assert (done.returncode, done.stdout) == (1, "4 files: 3 COMPLETE, 1 refused\n")
        assert "no bulk door" in done.stderr
        assert taken(service, f"{name}/train/0002") == files["train/0002"]
    finally:
        service.stop()


def test_more_files_than_places_are_all_moved(tmp_path: Path, name: str) -> None:
    init_home(tmp_path / "home", movers=1)
    settings = tmp_path / "home" / "penstock.toml"
    text = settings.read_text()
    assert "waiting_max = 1000000" in text
    settings.write_text(text.replace("waiting_max = 1000000", "waiting_max = 100"))
    service = start_service(tmp_path / "home", command=WARM)
    try:
        files = write(service, name, 350)
        task = stream(service, name, "export")
        place = {"PENSTOCK_HOME": str(service.home)}
        listed = "\n".join(files).encode()
        done = try_cli("subtask", "create", task, "--from", "-", "--wait", environment=place, stdin=listed)
        assert (done.returncode, done.stdout) == (0, "350 files: 350 COMPLETE\n"), done.stderr
        assert "when there are places again" in done.stderr
    finally:
        service.stop()
