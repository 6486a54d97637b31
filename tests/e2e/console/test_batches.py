"""Batches in the console: are they looked at before, followed to their end, reported, and made again just as they were?"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.batches import Batches
from tests.e2e.console.conftest import Console
from tests.e2e.sdk import make_client
from tests.fixtures.service import COMMAND, environment

JSON = {"Accept": "application/json"}
SELECTION = (
    "TaskAction",
    "ConflictPolicy",
    "Directory",
    "DstDirectory",
    "EntryList",
    "Includes",
    "TransferFileListPath",
)


@pytest.fixture(scope="module")
def batches(console: Console) -> Batches:
    """A dataflow with some files, and the same as objects; one of them is a list."""
    init = console.init
    side = Path(init["root"], "side")
    for name in ("run", "lists"):
        (side / name).mkdir(parents=True)
    for name in ("数据.bin", "run/b.bin"):
        (side / name).write_bytes(name.encode())
    (side / "lists" / "names.csv").write_text("Name\nrun/b.bin\n")
    client = make_client(console.service.api, init["access_key_id"], init["access_key_secret"], algorithm=None, ca=None)
    made = Batches.on(client, init["file_system_id"], path="/side/", storage=f"oss://{init['bucket']}", prefix="/far/")
    made.run("Export", directory="/")
    return made


def test_a_directory_is_exported_by_the_dialog(console: Console, batches: Batches, page: Page) -> None:
    page.goto(f"{console.url}/tasks")
    page.get_by_role("link", name="New batch").first.click()
    dialog = page.get_by_role("dialog", name="New batch")
    dialog.get_by_label("Direction").select_option("Export")
    expect(dialog.get_by_label("Entries", exact=True)).to_be_hidden()
    dialog.get_by_label("Directory", exact=True).fill("nowhere")
    dialog.get_by_role("button", name="Check first").click()
    expect(dialog.get_by_text("mkdir -p")).to_be_visible()
    dialog.get_by_label("Directory", exact=True).fill("run")
    dialog.get_by_label("Targets go to").fill("out")
    dialog.get_by_role("button", name="Check first").click()
    expect(dialog.get_by_text("The service would begin it.")).to_be_visible()
    dialog.get_by_role("button", name="Begin").click()
    expect(page.locator('[data-part="counters"]')).to_contain_text("Completed")
    expect(page.locator('[data-part="counters"]')).to_contain_text(re.compile(r"Moved\s*1"))
    with page.expect_download() as download:
        page.get_by_role("link", name="What moved").click()
    lines = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(), newline="")))
    assert sorted(line["DstFilePath"] for line in lines) == ["/far/out/b.bin"]
    page.get_by_role("link", name="Copy as new").click()
    expect(dialog.get_by_label("Targets go to")).to_have_value("/out/")


@pytest.mark.parametrize(
    "more",
    [
        {"entry_list": json.dumps(["/数据.bin", "/run/"], ensure_ascii=False), "dst_directory": "/entries/"},
        {"transfer_file_list_path": "/far/lists/", "dst_directory": "/new/", "create_dir_if_not_exist": True},
    ],
    ids=["entries", "lists"],
)
def test_the_equal_call_moves_the_same_and_no_more(
    console: Console, batches: Batches, page: Page, more: dict[str, Any], tmp_path: Path
) -> None:
    first = batches.run("Import" if "create_dir_if_not_exist" in more else "Export", policy="KEEP_LATEST", **more)
    page.goto(f"{console.url}/tasks/{first['TaskId']}")
    python, shell = (each.inner_text() for each in page.locator("section:has(#h-call) code").all())
    program = tmp_path / "again.py"
    program.write_text(python)
    secret = environment({"PENSTOCK_ACCESS_KEY_SECRET": console.init["access_key_secret"]})
    typed = shell.replace("penstock task", f"{' '.join(COMMAND)} task")
    for words in ([COMMAND[0], str(program)], ["sh", "-ec", typed]):
        done = subprocess.run(words, env=secret, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        again = batches.wait(done.stdout.strip())
        assert {name: again.get(name) for name in SELECTION} == {name: first.get(name) for name in SELECTION}
        assert (again["Status"], again["ProgressStats"]["FilesTotal"]) == (
            "Completed",
            first["ProgressStats"]["FilesTotal"],
        )
    copy = console.visitor().get(f"/tasks/batch?copy={first['TaskId']}").text
    assert all(entry in copy for entry in json.loads(more.get("entry_list", "[]")))
    assert f'value="{more["dst_directory"]}"' in copy


@pytest.mark.parametrize(
    ("asked", "name", "advice"),
    [
        ({"action": "Export", "directory": "nowhere"}, "Source", "mkdir -p"),
        ({"action": "Import", "directory": "nowhere", "target": "run"}, "Source", "put objects there"),
        ({"action": "Import", "directory": "run", "target": "new-one"}, "Target", "mkdir -p"),
        ({"action": "Import", "directory": "run", "target": "new-one", "creates": "true"}, "", ""),
        ({"action": "Import", "what": "lists", "lists": "far/run"}, "Source", "column Name"),
        ({"action": "Import", "what": "lists", "lists": "far/lists"}, "", ""),
        ({"action": "Export", "what": "entries", "entries": "\n \n"}, "Source", "Name one a line"),
        ({"action": "Export", "what": "entries", "entries": "a\r\n/../b"}, "Rehearsal", "Change what it says"),
    ],
)
def test_what_is_in_the_way_of_a_batch_is_said_before(
    console: Console, batches: Batches, asked: dict[str, str], name: str, advice: str
) -> None:
    form = {"flow": batches.data_flow_id, "policy": "SKIP_THE_FILE", **asked}
    answer = console.visitor().post("/tasks/batch/check", form, JSON)
    checks = json.loads(answer.text)["checks"]
    bad = [each for each in checks if each["verdict"] == "bad"]
    assert [each["name"] for each in bad] == ([name] if name else []), checks
    assert all(advice in each["advice"] + each["mend"] for each in bad)


def test_a_compare_tells_its_counts_and_has_its_reports(console: Console, batches: Batches) -> None:
    task = batches.run("Compare", directory="/run/")
    page = console.visitor().get(f"/tasks/{task['TaskId']}").text
    assert re.search(r"The same</span><strong>1<", page)
    counts = console.visitor().get(f"/tasks/{task['TaskId']}/reports/SummaryReport.csv")
    assert (counts.status, "Same" in counts.text) == (200, True)


def test_who_may_only_look_makes_no_batch_and_reads_reports(console: Console, batches: Batches) -> None:
    looker = console.looker()
    form = {"flow": batches.data_flow_id, "action": "Export", "directory": "/", "policy": "SKIP_THE_FILE"}
    assert [looker.get(path).status for path in ("/tasks/batch", "/tasks/new", "/files/new")] == [404] * 3
    assert looker.post("/tasks/batch/check", form, JSON).status == 404
    assert looker.post("/tasks/batch/create", form).status == 403
    task = batches.run("Export", directory="/run/", dst_directory="/seen/")
    there = f"/tasks/{task['TaskId']}/reports"
    assert looker.get(f"{there}/SuccessFilesReport.csv").text.count("\n") == 2
    assert [looker.get(f"{there}/{each}.csv").status for each in ("FailedFilesReport", "nonsense")] == [404] * 2
