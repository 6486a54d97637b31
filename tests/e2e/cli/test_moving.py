"""Do `import` and `export` find their way, move what was named, tell what came of it, and end with the right code?"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.service import (
    COMMAND,
    WARM,
    RunningService,
    environment,
    init_home,
    run_cli,
    start_service,
    try_cli,
)

Place = Mapping[str, str]


@pytest.fixture
def place(service: RunningService) -> Place:
    """The environment that names the service."""
    return {"PENSTOCK_HOME": str(service.home)}


@pytest.fixture(scope="module", autouse=True)
def wide_flow(service: RunningService) -> str:
    """A dataflow of `/wide/`, so that tests need none of their own: a file system has ten."""
    (Path(service.init["root"]) / "wide").mkdir()
    place = {"PENSTOCK_HOME": str(service.home)}
    return run_cli("flow", "create", "/wide/", "oss://examplebucket/wide/", environment=place).strip()


@pytest.fixture
def spot(service: RunningService) -> Path:
    """A directory of the file system that no other test uses, with files."""
    directory = Path(service.init["root"]) / "wide" / f"t{os.urandom(4).hex()}"
    (directory / "深い").mkdir(parents=True)
    for name in ("a.bin", "b.bin", "深い/検査点.pt"):
        (directory / name).write_bytes(name.encode() * 1000)
    return directory


def keys(service: RunningService, prefix: str) -> list[str]:
    """The objects beneath a prefix."""
    listed = json.loads(run_cli("object", "ls", str(service.home), "examplebucket", prefix, "--json"))
    return [each["key"] for each in listed]


def events(text: str, kind: str) -> list[dict[str, Any]]:
    return [event for event in map(json.loads, text.splitlines()) if event["event"] == kind]


def test_a_directory_goes_to_where_a_dataflow_binds_it(
    service: RunningService, place: Place, spot: Path, wide_flow: str
) -> None:
    done = try_cli("export", str(spot), environment=place)
    assert done.returncode == 0, done.stderr
    prefix = f"wide/{spot.name}/"
    assert keys(service, prefix) == [f"{prefix}a.bin", f"{prefix}b.bin", f"{prefix}深い/検査点.pt"]
    assert "stream task-" in done.stderr
    assert wide_flow in done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("COMPLETE  ") and "crc64:" in line for line in lines[:3])
    assert lines[3].startswith("3 files: 3 COMPLETE; ")


def test_names_are_kept_beneath_what_was_named(service: RunningService, place: Place, spot: Path) -> None:
    to = f"oss://examplebucket/wide/{spot.name}-to/"
    for sources in ([f"{spot}/a.bin"], [f"{spot}/深い"], [f"{spot}/**/*.pt"], [f"fs:/wide/{spot.name}/b.bin"]):
        run_cli("export", *sources, "--to", to, environment=place)
    prefix = f"wide/{spot.name}-to/"
    assert keys(service, prefix) == [
        f"{prefix}a.bin",
        f"{prefix}b.bin",
        f"{prefix}検査点.pt",
        f"{prefix}深い/検査点.pt",
    ]


def test_lists_come_from_stdin(service: RunningService, place: Place, spot: Path) -> None:
    to = f"oss://examplebucket/wide/{spot.name}-list/"
    listed = f"{spot}/a.bin\0{spot}/深い/検査点.pt\0{spot}/gone\0".encode()
    done = try_cli("export", "-", "--null", "--base", str(spot), "--to", to, environment=place, stdin=listed)
    assert done.returncode == 1
    assert "UNFIT  " in done.stderr
    assert "gone: No such file" in done.stderr
    prefix = f"wide/{spot.name}-list/"
    assert keys(service, prefix) == [f"{prefix}a.bin", f"{prefix}深い/検査点.pt"]
    back = spot / "back"
    names = "a.bin\n深い/検査点.pt\n".encode()
    done = try_cli("import", "-", "--base", to, "--to", str(back), environment=place, stdin=names)
    assert done.returncode == 0, done.stderr
    assert (back / "深い/検査点.pt").read_bytes() == (spot / "深い/検査点.pt").read_bytes()


def test_a_dry_run_tells_and_changes_nothing(service: RunningService, place: Place, spot: Path) -> None:
    before = run_cli("flow", "list", "--json", environment=place)
    done = try_cli("export", str(spot), "--to", "oss://examplebucket/elsewhere/", "--dry-run", environment=place)
    assert done.returncode == 0
    assert f"/wide/{spot.name}/深い/検査点.pt -> 深い/検査点.pt" in done.stdout
    assert f"3 by a new dataflow between /wide/{spot.name}/ and oss://examplebucket/elsewhere/" in done.stdout
    assert "Nothing was changed" in done.stdout
    assert (
        json.loads(run_cli("flow", "list", "--json", environment=place))["DataFlowInfo"]
        == json.loads(before)["DataFlowInfo"]
    )
    done = try_cli("export", str(spot), "--dry-run", environment=place)
    assert "3 by dataflow df-" in done.stdout


def test_a_name_that_is_no_text_stops_no_other(place: Place, spot: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(b"odd\xff.bin")
    (spot / odd).write_text("1")
    listed = b"a.bin\n\nodd\xff.bin\nnu\0l\nb.bin\n"
    sheet = tmp_path / "sheet.csv"
    told = ("--summary-csv", str(sheet), "--base", str(spot))
    names = "\n".join(f"{spot}/{line}" for line in os.fsdecode(listed).split("\n") if line)
    done = try_cli("export", "-", *told, environment=place, stdin=os.fsencode(names))
    assert done.returncode == 1
    assert "odd\\udcff.bin: its name is not UTF-8" in done.stderr
    assert "4 files: 2 COMPLETE, 2 UNFIT" in done.stdout
    with sheet.open(encoding="utf-8") as file:
        assert sorted(row["status"] for row in csv.DictReader(file)) == ["COMPLETE", "COMPLETE", "UNFIT", "UNFIT"]
    there = f"oss://examplebucket/wide/{spot.name}/"
    done = try_cli("import", "-", "--base", there, "--json", environment=place, stdin=b"a.bin\nodd\xff.bin\nb.bin\n")
    assert sorted(event["status"] for event in events(done.stdout, "file")) == ["COMPLETE", "COMPLETE", "UNFIT"]
    for named in (("export", f"fs:/wide/{odd}"), ("export", str(spot / "a.bin"), "--to", f"{there}{odd}/")):
        done = try_cli(*named, environment=place)
        assert done.returncode in {1, 2}
        assert "not UTF-8" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_sheet_that_cannot_be_written_is_named_and_the_files_go_on(place: Place, spot: Path) -> None:
    done = try_cli("export", str(spot), "--summary-csv", "/dev/full", environment=place)
    assert done.returncode == 1
    assert "--summary-csv /dev/full cannot be written: No space left on device" in done.stderr
    told = run_cli("export", str(spot), "--summary-csv", "-", environment=place)
    assert len([line for line in told.splitlines() if line.startswith("COMPLETE,/wide/")]) == 3


def test_where_the_files_lie_tells_which_file_system_is_meant(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    init_home(home, movers=1)
    (other / "data").mkdir(parents=True)
    (other / "data" / "x").write_text("1")
    file_system = run_cli("filesystem", "add", str(home), str(other)).strip()
    running = start_service(home, command=WARM)
    try:
        place = {"PENSTOCK_HOME": str(home)}
        assert "1 COMPLETE" in run_cli(
            "export", str(other / "data"), "--to", "oss://examplebucket/x/", environment=place
        )
        run_cli("import", "oss://examplebucket/x/", "--to", str(other / "back"), environment=place)
        assert (other / "back" / "x").read_text() == "1"
        flows = run_cli("flow", "list", "--file-system", file_system, environment=place)
        assert "/back/" in flows, "bound to more than was asked for"
        done = try_cli("export", "fs:/data/x", "--to", "oss://examplebucket/x/", environment=place)
        assert "which file system?" in done.stderr
    finally:
        running.stop()


def test_a_key_with_the_signs_of_a_glob_is_itself_first(place: Place, spot: Path) -> None:
    (spot / "g*b[1].txt").write_text("itself")
    (spot / "gab1.txt").write_text("another")
    to = f"oss://examplebucket/wide/{spot.name}/"
    run_cli("export", str(spot), "--to", to, environment=place)
    back = spot / "back"
    run_cli("import", f"{to}g*b[1].txt", "--to", str(back), environment=place)
    assert [path.name for path in back.iterdir()] == ["g*b[1].txt"]
    run_cli("import", f"{to}g*b?.t*", "--to", str(back), environment=place)
    assert {path.name for path in back.iterdir()} == {"gab1.txt", "g*b[1].txt"}


def test_objects_are_listed_filtered_and_imported_as_policy_has_it(
    service: RunningService, place: Place, spot: Path, tmp_path: Path
) -> None:
    run_cli("export", str(spot), environment=place)
    here = f"oss://examplebucket/wide/{spot.name}"
    before = (spot / "a.bin").read_bytes()
    (spot / "a.bin").write_bytes(b"changed here")
    sheet = tmp_path / "sheet.csv"
    text = run_cli(
        "import",
        f"{here}/",
        "--existing",
        "skip",
        "--exclude",
        "b.*",
        "--json",
        "--summary-csv",
        str(sheet),
        environment=place,
    )
    assert sorted(event["source"].rpartition("/")[2] for event in events(text, "file")) == ["a.bin", "検査点.pt"]
    (summed,) = events(text, "summary")
    assert summed["statuses"] == {"COMPLETE": 2}
    assert (summed["kept"], summed["found"]) == (2, 2)
    assert (spot / "a.bin").read_bytes() == b"changed here"
    with sheet.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["status"], row["error"]) for row in rows] == [("COMPLETE", "")] * 2
    run_cli("import", f"{here}/[a]*", environment=place)
    assert (spot / "a.bin").read_bytes() == before
    done = try_cli("import", f"{here}/zzz/", environment=place)
    assert done.returncode == 1
    assert "there is no such object" in done.stderr


def test_what_fails_is_told_and_the_rest_is_moved(place: Place, spot: Path) -> None:
    (spot / "link").symlink_to("a.bin")
    (spot / "..penstock").write_text("not ours")
    done = try_cli("export", str(spot), str(spot / "link"), environment=place)
    assert done.returncode == 1
    assert "LEFT-OUT  " in done.stderr
    assert "FAILED  link: SourceIsSymlink" in done.stderr or "SourceIsSymlink" in done.stderr
    assert "4 COMPLETE" in done.stdout


def test_a_stream_and_a_dataflow_can_be_chosen(place: Place, spot: Path, wide_flow: str) -> None:
    task = run_cli(
        "task", "create", wide_flow, "export", "--directory", spot.name, "--target-directory", f"{spot.name}-chosen",
        environment=place,
    ).strip()  # fmt: skip
    text = run_cli("export", str(spot / "a.bin"), "--task", task, "--json", environment=place)
    assert events(text, "file")[0]["target"] == f"/wide/{spot.name}-chosen/a.bin"
    done = try_cli("import", "oss://examplebucket/wide/x", "--task", task, environment=place)
    assert done.returncode == 1
    assert "is a stream for exports" in done.stderr
    assert run_cli("export", str(spot / "a.bin"), "--flow", wide_flow, "--json", environment=place)
    done = try_cli("export", str(spot / "a.bin"), "--flow", "df-unknown", environment=place)
    assert "there is no dataflow df-unknown" in done.stderr
    for wrong in (
        ["--task", task, "--flow", wide_flow],
        ["--task", task, "--to", "oss://examplebucket/"],
        ["--to", "nowhere"],
    ):
        assert try_cli("export", str(spot), *wrong, environment=place).returncode == 2


def test_what_lies_elsewhere_is_told_what_to_do(service: RunningService, place: Place, tmp_path: Path) -> None:
    stray = tmp_path / "stray.bin"
    stray.write_bytes(b"x")
    done = try_cli("export", str(stray), environment=place)
    assert done.returncode == 1
    assert "does not lie beneath" in done.stderr
    assert "penstock filesystem add HOME" in done.stderr
    outside = Path(service.init["root"]) / "unbound.bin"
    outside.write_bytes(b"x")
    done = try_cli("export", str(outside), environment=place)
    assert done.returncode == 1
    assert "no running dataflow holds /unbound.bin" in done.stderr
    assert "--to oss://BUCKET/PREFIX/" in done.stderr


def test_it_works_from_elsewhere_by_the_mark_of_the_root(service: RunningService, spot: Path) -> None:
    init = service.init
    remote = {
        "PENSTOCK_ENDPOINT": service.api,
        "PENSTOCK_ACCESS_KEY_ID": init["access_key_id"],
        "PENSTOCK_ACCESS_KEY_SECRET": init["access_key_secret"],
    }
    assert "1 COMPLETE" in run_cli("export", str(spot / "a.bin"), environment=remote)
    assert "1 COMPLETE" in run_cli("export", f"fs:/wide/{spot.name}/b.bin", environment=remote)
    here = f"oss://examplebucket/wide/{spot.name}"
    assert "1 COMPLETE" in run_cli("import", f"{here}/a.bin", environment=remote)
    done = try_cli("import", f"{here}/", environment=remote)
    assert done.returncode == 1
    assert "--home HOME" in done.stderr
    done = try_cli("export", "/etc/hostname", environment=remote)
    assert "--root DIR" in done.stderr


def test_whoever_reads_our_output_may_go(place: Place, spot: Path) -> None:
    program = [*COMMAND, "export", str(spot), "--json"]
    with subprocess.Popen(program, env=environment(place), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


def test_nobody_is_asked_where_there_is_no_terminal(place: Place, spot: Path) -> None:
    slow = spot / "slow.bin"
    os.truncate(os.open(slow, os.O_CREAT | os.O_WRONLY), 2 << 30)
    program = [*COMMAND, "export", str(slow)]
    with subprocess.Popen(program, env=environment(place), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert b"stream task-" in first
        process.terminate()
        assert process.wait(60) == 130
        said = process.stderr.read().decode()
    assert "1 files go on without this command" in said
    command = said[said.index("penstock subtask list") :].splitlines()[0].split()[1:]
    listed = run_cli(*command, "--json", environment=place)
    (row,) = json.loads(listed)["DataFlowSubTask"]["DataFlowSubTask"]
    run_cli("subtask", "cancel", row["DataFlowSubTaskId"], environment=place)
    slow.unlink()


def test_help_comes_up_without_what_draws() -> None:
    code = (
        "import sys, penstock.cli.moving; print([name for name in sys.modules if name.startswith(('rich', 'inotify'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
