"""Does `compare` find the dataflow, say what differs, write it down, and end with a code that tells?"""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.service import COMMAND, RunningService, environment, run_cli, try_cli
from tests.fixtures.waiting import wait_until

Place = Mapping[str, str]


@pytest.fixture
def place(service: RunningService) -> Place:
    """The environment that names the service."""
    return {"PENSTOCK_HOME": str(service.home)}


@pytest.fixture(scope="module")
def spot(service: RunningService) -> Path:
    """A directory whose files are in the bucket, too."""
    directory = Path(service.init["root"]) / "both"
    (directory / "深い").mkdir(parents=True)
    for name in ("a.bin", "b.bin", "深い/c.pt"):
        (directory / name).write_bytes(name.encode() * 100)
    place = {"PENSTOCK_HOME": str(service.home)}
    run_cli("export", str(directory), "--to", "oss://examplebucket/both/", environment=place)
    return directory


def test_what_differs_is_said_and_the_code_tells(place: Place, spot: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "differences.csv"
    same = try_cli("compare", str(spot), "--checksum", "--csv", str(sheet), environment=place)
    assert (same.returncode, same.stdout.partition(",")[0]) == (0, "3 same; 2.1 KiB read"), same.stderr
    assert "oss://examplebucket/both/" in same.stderr
    assert rows_of(sheet) == []
    (spot / "深い/c.pt").write_bytes(b"less")
    (spot / "new\nline").write_bytes(b"1")
    os.mkfifo(spot / "odd")
    try:
        found = try_cli("compare", str(spot), "oss://examplebucket/both/", "--csv", str(sheet), environment=place)
        lines = try_cli("compare", "fs:/both/", "--json", environment=place)
    finally:
        (spot / "new\nline").unlink()
        (spot / "odd").unlink()
    assert (found.returncode, lines.returncode) == (1, 1)
    said = found.stdout.splitlines()
    assert [line.split()[:2] for line in said[:-1]] == [
        ["OnlyInFileSystem", "/both/new\\nline"],
        ["Differs", "Size+ModifyTime"],
    ]
    assert said[-1].startswith("2 same, 1 differ, 1 only in the file system, 1 could not be compared, in ")
    assert "/both/odd: SourceNotRegular" in found.stderr
    assert [row["SrcFilePath"] for row in rows_of(sheet)] == ["/both/new\nline", "/both/深い/c.pt"]
    events = [json.loads(line) for line in lines.stdout.splitlines()]
    assert [event["event"] for event in events] == ["plan", "difference", "difference", "failed", "summary"]
    assert events[2].items() >= {"result": "Differs", "source_size": "4", "target_size": "1100"}.items()
    shown = run_cli("task", "show", events[-1]["task"], environment=place)
    assert "Same 2, Differs 1, OnlyInFileSystem 1, DiffersInSize 1, DiffersInModifyTime 1, Failed 1" in shown
    assert events[-1].items() >= {"Same": 2, "Differs": 1, "Failed": 1, "status": "Completed"}.items()


def test_a_name_that_is_mistyped_is_no_match(place: Place, spot: Path) -> None:
    missing = try_cli("compare", f"{spot}/none", environment=place)
    assert missing.returncode == 1
    assert "the comparison is Failed: SourceNotFound" in missing.stderr


def test_ctrl_c_cancels_it_though_the_bucket_is_silent(service: RunningService, place: Place, spot: Path) -> None:
    (bucket,) = (pid for pid in children(service.pid) if b"emulator" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(bucket, signal.SIGSTOP)
    try:
        with subprocess.Popen(
            [*COMMAND, "compare", str(spot)], env=environment(place), stderr=subprocess.PIPE
        ) as running:
            try:
                task = wait_until(lambda: newest(place, "Executing"), 30, "it does not begin")
                running.send_signal(signal.SIGINT)
                _, said = running.communicate(timeout=30)
            finally:
                running.kill()
        assert task is not None
        assert running.returncode == 130
        assert f"{task['TaskId']} is cancelled" in said.decode()
        wait_until(lambda: newest(place, "Canceled"), 30, "it goes on")
    finally:
        os.kill(bucket, signal.SIGCONT)


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def rows_of(sheet: Path) -> list[dict[str, str]]:
    text = sheet.read_bytes().decode()
    assert text.startswith("SrcFilePath,DstFilePath,Result,Reason,SrcSize,")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def newest(place: Place, status: str) -> dict[str, Any] | None:
    """The newest task, if it is in that state."""
    answer = json.loads(run_cli("task", "list", "--status", status, "--json", environment=place))
    found = answer["TaskInfo"]["Task"]
    return found[0] if found and found[0]["TaskAction"] == "Compare" else None
