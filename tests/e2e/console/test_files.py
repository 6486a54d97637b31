"""Does the console show files as they are, find them by what is typed, and do to them what its buttons say?"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.console.conftest import Console
from tests.e2e.console.everybody import faint_texts, faults_for_keys, faults_for_listeners
from tests.e2e.sdk import Flow, make_client, open_flow, open_stream
from tests.fixtures.service import COMMAND, environment
from tests.fixtures.waiting import wait_until

SEEN_S = 20.0

LYING_UPON_EACH_OTHER = """() => {
  const seen = (cell) => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return { name: cell.dataset.label ?? "Pick", box: range.getBoundingClientRect() };
  };
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const pairs = (cells) => cells.flatMap((one, place) => cells.slice(place + 1).map((other) => [one, other]));
  return [...document.querySelectorAll("tr[data-row]")]
    .flatMap((row) => pairs([...row.cells].map(seen)))
    .filter(([one, other]) => meet(one.box, other.box))
    .map(([one, other]) => `${one.name} and ${other.name}`);
}"""
"""Pairs of cells of one row whose contents share a place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A stream of exports and one of imports on one dataflow, with a file of each kind of end."""

    root: Path
    out: Flow
    into: Flow


@pytest.fixture(scope="module")
def site(console: Console) -> Site:
    """The embedded bucket, bound to the whole file system."""
    init = console.init
    root = Path(init["root"])
    client = make_client(console.service.api, init["access_key_id"], init["access_key_secret"], algorithm=None, ca=None)
    out = open_flow(
        client, init["file_system_id"], action="StreamExport", paths=("/", "/files/"), storage="oss://examplebucket",
        directories=("/", "/"),
    )  # fmt: skip
    into = open_stream(
        client, init["file_system_id"], out.data_flow_id, action="StreamImport", directories=("/", "/back/")
    )
    (root / "数据").mkdir()
    for name in ("a.bin", "b.bin", "数据/检查点.bin", "=formula.bin"):
        (root / name).write_bytes(name.encode() * 100)
        out.wait(out.move(f"/{name}", f"/{name}"))
    return Site(root=root, out=out, into=into)


def rows(page: Page) -> list[str]:
    """The sources on a list, in their order."""
    expect(page.locator("main")).to_be_visible()
    return page.locator("tr[data-row] .file-cell a bdi").all_text_contents()


@pytest.mark.parametrize("width", [360, 390, 600])
def test_on_a_phone_no_part_of_a_row_lies_upon_another(console: Console, site: Site, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{console.url}/files")
    expect(page.locator("tr[data-row]")).not_to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(LYING_UPON_EACH_OTHER) == []


def test_the_list_shows_every_file_newest_first(console: Console, site: Site, page: Page) -> None:
    page.goto(f"{console.url}/files?task={site.out.task_id}&path=.bin&status=COMPLETE")
    assert rows(page) == ["/=formula.bin", "/数据/检查点.bin", "/b.bin", "/a.bin"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("path=/a", ["/a.bin"]),
        ("path=检查", ["/数据/检查点.bin"]),
        ("least=700&most=800&path=.bin", []),
        ("most=600&path=.bin", ["/b.bin", "/a.bin"]),
        ("status=EXPIRED", []),
        ("direction=import&path=/files/b", []),
    ],
)
def test_filters_of_the_url_are_what_is_listed(
    console: Console, site: Site, page: Page, query: str, found: list[str]
) -> None:
    page.goto(f"{console.url}/files?task={site.out.task_id}&{query}")
    assert rows(page) == found


def test_a_filter_that_is_typed_comes_into_the_url(console: Console, site: Site, page: Page) -> None:
    page.goto(f"{console.url}/files?task={site.out.task_id}")
    page.keyboard.press("/")
    page.keyboard.type("/数据/")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("path="))
    assert rows(page) == ["/数据/检查点.bin"]
    assert f"task={site.out.task_id}" in page.url
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url(f"{console.url}/files")


def test_a_mistake_in_a_filter_is_named_and_lists_nothing(console: Console, site: Site, page: Page) -> None:
    page.goto(f"{console.url}/files?least=much")
    expect(page.get_by_role("alert")).to_contain_text("Size from: write a size as")
    assert rows(page) == []


def test_a_cursor_of_another_list_leads_to_its_first_page(console: Console, site: Site, page: Page) -> None:
    page.goto(f"{console.url}/files?path=/a&cursor=nonsense")
    assert "cursor" not in page.url
    assert "/a.bin" in rows(page)


def test_new_files_are_counted_and_rows_do_not_move(console: Console, site: Site, page: Page) -> None:
    page.goto(f"{console.url}/files?task={site.out.task_id}&path=/live")
    expect(page.locator("[data-newer]")).to_be_hidden()
    for name in ("live-1.bin", "live-2.bin"):
        (site.root / name).write_bytes(b"x")
        site.out.wait(site.out.move(f"/{name}", f"/{name}"))
    expect(page.locator("[data-newer]")).to_have_text("2 newer")
    assert rows(page) == []
    page.locator("[data-newer]").click()
    expect(page.locator("tr[data-row]")).to_have_count(2)


def test_a_failed_file_says_whose_turn_it_is_and_is_retried(console: Console, site: Site, page: Page) -> None:
    failed = site.out.move("/not-there-yet.bin", "/not-there-yet.bin")
    site.out.wait(failed)
    page.goto(f"{console.url}/files/{failed}")
    turn = page.locator('[data-part="turn"]')
    expect(turn).to_contain_text("Needs you: The source is not there")
    expect(page.locator('[data-part="timeline"]')).to_contain_text("SourceNotFound")
    (site.root / "not-there-yet.bin").write_bytes(b"now it is")
    page.get_by_role("button", name="Retry").click()
    page.wait_for_url(re.compile(r"/files/(?!" + failed + ")"))
    expect(page.get_by_role("status").filter(has_text="moves anew")).to_be_visible()
    expect(page.locator('[data-part="state"]')).to_contain_text("Complete")
    expect(page.locator(".others")).to_contain_text("Failed")


def test_what_is_written_in_the_facts_is_what_the_api_says(console: Console, site: Site, page: Page) -> None:
    one = site.out.move("/a.bin", "/copy-of-a.bin")
    told = site.out.wait(one)
    page.goto(f"{console.url}/files/{one}")
    facts = page.locator('[data-part="facts"]')
    expect(facts).to_contain_text(told["FileDetail"]["Checksum"])
    expect(facts).to_contain_text(str(told["FileDetail"]["ModifyTime"]))
    page.get_by_text("The API's answer").click()
    (raw,) = json.loads(page.locator(".raw code").inner_text())["DataFlowSubTask"]["DataFlowSubTask"]
    assert raw.pop("Record")["Verification"] == "crc64"  # which the SDK does not know
    assert raw == site.out.describe(one)


def test_the_equal_call_can_be_run_as_it_stands(console: Console, site: Site, page: Page, tmp_path: Path) -> None:
    one = site.into.move("/b.bin", "/again/b.bin")
    first = site.into.wait(one)
    page.goto(f"{console.url}/files/{one}")
    python, shell = (each.inner_text() for each in page.locator("section:has(#h-call) code").all())
    secret = environment({"PENSTOCK_ACCESS_KEY_SECRET": console.init["access_key_secret"]})
    program = tmp_path / "again.py"
    program.write_text(python)
    made = run_program([COMMAND[0], str(program)], secret)
    typed = shell.replace("penstock subtask", f"{' '.join(COMMAND)} subtask")
    made += run_program(["sh", "-ec", typed], secret)
    for sub_task_id in made:
        again = site.into.wait(sub_task_id)
        assert (again["SrcFilePath"], again["DstFilePath"]) == (first["SrcFilePath"], first["DstFilePath"])
        assert again["Status"] == "COMPLETE"
    assert len(made) == 2


def run_program(words: list[str], env: dict[str, str]) -> list[str]:
    """What a program of a reader prints, line by line."""
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_files_are_moved_by_the_dialog(console: Console, site: Site, page: Page) -> None:
    page.goto(f"{console.url}/files")
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("On the stream").select_option(site.out.task_id)
    dialog.get_by_label("Files").fill("a.bin\tby-dialog/a.bin\nb.bin\tby-dialog/b.bin\n")
    dialog.get_by_role("button", name="Move", exact=True).click()
    page.wait_for_url(f"{console.url}/files?task={site.out.task_id}")
    found = wait_until(
        lambda: [item for item in site.out.items().values() if "/by-dialog/" in item["DstFilePath"]],
        SEEN_S,
        "no file of the dialog moves",
    )
    assert sorted(item["SrcFilePath"] for item in found) == ["/a.bin", "/b.bin"]


def test_what_is_refused_is_told_file_by_file(console: Console, site: Site) -> None:
    visitor = console.visitor()
    answer = visitor.post(
        "/files/create", {"task": site.out.task_id, "files": "a.bin\n../escape.bin\n", "token": os.urandom(8).hex()}
    )
    assert answer.status == 207
    assert "1 accepted, 1 not" in answer.text
    assert "IllegalCharacters" in answer.text


def test_who_may_only_look_is_refused_whatever_became_of_the_file(console: Console, site: Site) -> None:
    ended = site.out.move("/a.bin", "/ended.bin")
    site.out.wait(ended)
    refused = console.looker().post("/files/cancel", {"ids": ended})
    assert (refused.status, "has no right to" in refused.text) == (403, True)
    assert console.visitor().post("/files/cancel", {"ids": ended}).status == 303


def test_a_form_that_is_sent_twice_moves_files_once(console: Console, site: Site) -> None:
    visitor = console.visitor()
    fields = {"task": site.out.task_id, "files": "a.bin\ttwice.bin", "token": os.urandom(8).hex()}
    first, second = visitor.post("/files/create", fields), visitor.post("/files/create", fields)
    assert first.headers["location"] == second.headers["location"]


def test_a_copy_has_what_the_first_one_had(console: Console, site: Site, page: Page) -> None:
    one = site.out.move("/b.bin", "/copied/b.bin")
    page.goto(f"{console.url}/files/{one}")
    page.get_by_role("link", name="Copy as new").click()
    expect(page.get_by_role("dialog").get_by_label("Files")).to_have_value("/b.bin\t/copied/b.bin")


def test_the_whole_list_comes_as_csv(console: Console, site: Site, page: Page) -> None:
    page.goto(f"{console.url}/files?task={site.out.task_id}&path=formula")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    lines = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(), newline="")))
    assert [line["source"] for line in lines] == ["/=formula.bin"]
    assert lines[0]["status"] == "COMPLETE"
    assert lines[0]["checksum"].startswith("crc64:")


def test_failed_files_of_a_list_are_retried_together(console: Console, site: Site, page: Page) -> None:
    names = [f"late-{number}.bin" for number in range(3)]
    for name in names:
        site.out.wait(site.out.move(f"/{name}", f"/{name}"))
    for name in names:
        (site.root / name).write_bytes(b"here")
    page.goto(f"{console.url}/files?path=/late-&task={site.out.task_id}")
    page.get_by_role("link", name="Retry failed").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry 3").click()
    page.wait_for_url(re.compile("time=1h"))

    def moved() -> bool:
        ends = [item["Status"] for item in site.out.items().values() if "/late-" in item["SrcFilePath"]]
        return sorted(ends) == ["COMPLETE"] * 3 + ["FAILED"] * 3

    wait_until(moved, SEEN_S, "the failed files did not move")
    page.goto(f"{console.url}/files/retry?path=/late-&task={site.out.task_id}")
    expect(page.get_by_text("No file of this list has failed.")).to_be_visible()  # but the rows of the first attempts


@pytest.mark.parametrize("path", ["/files", "/files.csv", "/tasks", "/live/files", "/overview/pulse"])
def test_nobody_sees_anything_without_a_session(console: Console, path: str) -> None:
    visitor = console.visitor()
    visitor.cookies.clear()
    assert visitor.get(path).status in {303, 401}


def test_an_unknown_file_is_not_there(console: Console, page: Page) -> None:
    answer = page.goto(f"{console.url}/files/subTaskId-nothing")
    assert answer is not None
    assert answer.status == 404


# -------------------------------------------------------------------------------------------------------- for everybody


def paths_of_all(console: Console, site: Site) -> list[str]:
    """A page of each kind."""
    failed = site.out.move("/never-there.bin", "/never-there.bin")
    site.out.wait(failed)
    flow = f"/dataflows/{site.out.file_system_id}/{site.out.data_flow_id}"
    task = f"/tasks/{site.out.task_id}"
    return [
        "/", "/dataflows", flow, f"{flow}/delete", "/dataflows/new", "/tasks", "/tasks/new", "/tasks/batch", task,
        f"{task}/cancel", "/files?flow=x", "/files", "/files/new", f"/files/{failed}", "/files/retry", "/requests",
        "/learn", "/nowhere",
    ]  # fmt: skip


def test_every_page_can_be_heard_and_read_and_leads_somewhere(console: Console, site: Site, page: Page) -> None:
    links: set[str] = set()
    faults: dict[str, list[str]] = {}
    for path in paths_of_all(console, site):
        page.goto(console.url + path)
        found = faults_for_listeners(page)
        links |= set(page.eval_on_selector_all("a[href^='/']", "all => all.map((each) => each.getAttribute('href'))"))
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found += [f"{scheme}: {each}" for each in faint_texts(page)]
        if found:
            faults[path] = found
    assert faults == {}
    visitor = console.visitor()
    assert [each for each in sorted(links) if visitor.get(each).status != 200] == []


def test_keys_reach_everything_and_one_sees_where(console: Console, site: Site, page: Page) -> None:
    page.goto(f"{console.url}/files?path=/数据&least=1")
    expect(page.locator("tr[data-row]")).not_to_have_count(0)
    assert faults_for_keys(page) == []
