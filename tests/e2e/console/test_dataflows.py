"""Dataflows in the console: browsing for both ends, looking before making, start, stop, delete, and who may."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from alibabacloud_nas20170626 import models as nas
from playwright.sync_api import Page, expect

from penstock.console.directories import NAMES_MAX
from tests.e2e.console.conftest import Console
from tests.e2e.sdk import make_client
from tests.fixtures.visitor import Visitor

JSON = {"Accept": "application/json"}
DEEP = "/数据集/2026 年/a-directory-with-a-very-long-name-that-has-no-blank-and-goes-on/"


@pytest.fixture(scope="module", autouse=True)
def root(console: Console) -> Path:
    """The file system, with directories to choose from."""
    root = Path(console.init["root"])
    for path in ("train/checkpoints", "plain", "gone", "listed", "seen", DEEP.strip("/")):
        (root / path).mkdir(parents=True)
    (root / "plain" / "file.txt").write_text("no directory")
    (root / "leads-out").symlink_to("/")
    (root / "plain" / ".penstock-0123456789abcdef.partial").mkdir()
    os.mkdir(os.fsencode(root / "plain") + b"/not-utf8-\xff")
    return root


def wish(console: Console, **changed: str) -> dict[str, str]:
    """What the form would send."""
    usual = {"file_system_id": console.init["file_system_id"], "bucket": console.init["bucket"]}
    return {**usual, "path": "/train/", "prefix": "/data/", **changed}


def made(console: Console, visitor: Visitor, **changed: str) -> str:
    """The path of a new dataflow's page."""
    answer = visitor.post("/dataflows/create", wish(console, **changed), JSON)
    assert answer.status == 200, answer.text
    return str(json.loads(answer.text)["location"]).partition("?")[0]


def browsed(console: Console, path: str) -> dict[str, object]:
    """What browsing this directory answers."""
    answer = console.visitor().get(
        f"/dataflows/browse/directories?file_system_id={console.init['file_system_id']}&path={path}", JSON
    )
    return dict(json.loads(answer.text))


def test_browsing_shows_directories_and_nothing_else(console: Console) -> None:
    found = browsed(console, "/")
    assert {"plain", "train", "数据集"} <= set(found["names"])  # type: ignore[call-overload]
    assert "leads-out" not in found["names"]  # type: ignore[operator]
    assert browsed(console, "/plain/")["names"] == []


@pytest.mark.parametrize(
    "path", ["/../", "/train/../../", "/leads-out/", "/leads-out/etc/", "/plain/file.txt/", "/nowhere/", "%00", "//etc"]
)
def test_browsing_never_leaves_the_file_system(console: Console, path: str) -> None:
    found = browsed(console, path)
    assert found["names"] == []
    assert found["trouble"]


def test_browsing_has_an_end(console: Console, root: Path) -> None:
    for number in range(NAMES_MAX + 1):
        (root / "listed" / f"d{number:04d}").mkdir()
    found = browsed(console, "/listed/")
    assert (len(found["names"]), found["is_cut"]) == (NAMES_MAX, True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "name", "mend"),
    [
        ({"path": "/nowhere/"}, "Directory", "mkdir -p"),
        ({"bucket": "unheard-of"}, "Bucket", "penstock bucket add {home} unheard-of"),
        ({"security": "SSL"}, "Rehearsal", "https:// endpoint"),
        ({"description": "1"}, "Rehearsal", "check again"),
    ],
)
def test_what_is_in_the_way_is_said_with_what_mends_it(
    console: Console, changed: dict[str, str], name: str, mend: str
) -> None:
    answer = console.visitor().post("/dataflows/check", wish(console, **changed), JSON)
    (bad,) = [each for each in json.loads(answer.text)["checks"] if each["verdict"] == "bad"]
    assert bad["name"] == name
    assert mend.format(home=console.service.home) in bad["advice"] + bad["mend"]
    assert bad["words"]


def test_a_newcomer_binds_a_directory(console: Console, page: Page) -> None:
    page.get_by_role("link", name="Dataflows").click()
    page.get_by_role("link", name="New dataflow").first.click()
    dialog = page.get_by_role("dialog", name="New dataflow")
    dialog.get_by_role("button", name="Browse").first.click()
    for name in DEEP.strip("/").split("/"):
        dialog.get_by_role("button", name=name).click()
    dialog.get_by_role("button", name="Take this").click()
    expect(dialog.get_by_label("Path in the file system")).to_have_value(DEEP)
    dialog.get_by_role("button", name="Browse").last.click()
    expect(dialog.get_by_text("No prefix below this one.")).to_be_visible()
    dialog.get_by_role("button", name="Take this").click()
    dialog.get_by_label("Prefix in the bucket").fill("图片")
    dialog.get_by_role("button", name="Check first").click()
    expect(dialog.get_by_text("The service would make it.")).to_be_visible()
    dialog.get_by_label("Description").fill("!")
    dialog.get_by_role("button", name="Create the dataflow").click()
    expect(dialog.get_by_role("alert")).to_contain_text("begins with a letter")
    expect(dialog.get_by_label("Path in the file system")).to_have_value(DEEP)
    dialog.get_by_label("Description").fill("pictures")
    dialog.get_by_role("button", name="Create the dataflow").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(DEEP)
    expect(page.get_by_text("The dataflow is there.")).to_be_visible()
    expect(page.get_by_text("oss://examplebucket/图片/", exact=True)).to_be_visible()
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_it_is_stopped_started_and_deleted(console: Console, page: Page) -> None:
    there = made(console, console.visitor(), path="/gone/")
    page.goto(console.url + there)
    page.get_by_role("link", name="Stop").click()
    stopping = page.get_by_role("dialog", name="Stop this dataflow?")
    expect(stopping).to_contain_text("go on to their end")
    stopping.get_by_role("link", name="Let it run").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Running")
    page.get_by_role("link", name="Stop").click()
    stopping.get_by_role("button", name="Stop the dataflow").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Stopped")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Running")
    page.get_by_role("link", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete this dataflow?")
    dialog.get_by_role("link", name="Keep it").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("link", name="Delete").click()
    dialog.get_by_role("button", name="Delete the dataflow").click()
    expect(page.get_by_text("Files and objects are where they were.")).to_be_visible()
    assert console.visitor().get(there).status == 404


def test_what_others_do_to_a_dataflow_is_seen(console: Console, page: Page) -> None:
    somebody = console.visitor()
    there = made(console, somebody, path="/seen/")
    page.goto(console.url + there)
    expect(page.get_by_text("No task yet")).to_be_visible()
    flow_id = there.rpartition("/")[2]
    opened = somebody.post("/tasks/create", {"flow": flow_id, "action": "StreamExport", "policy": "SKIP_THE_FILE"})
    assert opened.status == 303, opened.text
    expect(page.get_by_role("link", name="Export / → /")).to_be_visible()
    somebody.post(f"{there}/stop", {})
    expect(page.get_by_role("heading", level=1)).to_contain_text("Stopped")
    expect(page.get_by_role("button", name="Start")).to_be_visible()
    expect(page.get_by_text("It is stopped: what ran has gone on to its end")).to_be_visible()
    page.goto(f"{console.url}/dataflows")
    row = page.locator(f'[data-part="flow:{flow_id}"]')
    expect(row).to_contain_text("Stopped")
    somebody.post(f"{there}/start", {})
    expect(row).to_contain_text("Running")


def test_pages_are_whole_without_scripts(console: Console) -> None:
    visitor = console.visitor()
    there = made(console, visitor, path="/train/checkpoints/")
    checked = visitor.post("/dataflows/check", wish(console, path="/train/"))
    assert "of dataflow" in checked.text
    assert "Choose a directory beside it" in checked.text
    refused = visitor.post("/dataflows/create", wish(console, path="/nowhere/"))
    assert (refused.status, "mkdir -p" in refused.text, "/nowhere/" in refused.text) == (404, True, True)
    assert visitor.post(f"{there}/stop", {}).headers["location"] == f"{there}?note=flow.stopped"
    assert there in visitor.get("/dataflows?search=CHECKPOINTS").text
    assert "Nothing matches" in visitor.get("/dataflows?search=no+such+thing").text
    for attempt in ("<script>alert(1)</script>", "'\"><img src=x>"):
        assert (
            attempt not in visitor.get("/dataflows?" + "search=" + attempt.replace(" ", "+").replace('"', "%22")).text
        )


def test_its_page_tells_how_it_is_refreshed_and_limited(console: Console) -> None:
    visitor = console.visitor()
    there = made(console, visitor, path="/plain/", prefix="/told/")
    assert "Auto-refresh" not in visitor.get(there).text
    file_system_id, flow_id = there.split("/")[-2:]
    init = console.init
    client = make_client(console.service.api, init["access_key_id"], init["access_key_secret"], algorithm=None, ca=None)
    client.apply_data_flow_auto_refresh(
        nas.ApplyDataFlowAutoRefreshRequest(
            file_system_id=file_system_id,
            data_flow_id=flow_id,
            auto_refreshs=[nas.ApplyDataFlowAutoRefreshRequestAutoRefreshs(refresh_path="/")],
        )
    )
    assert "turned off (AutoRefreshPolicy None)" in visitor.get(there).text
    client.modify_data_flow_auto_refresh(
        nas.ModifyDataFlowAutoRefreshRequest(
            file_system_id=file_system_id, data_flow_id=flow_id, auto_refresh_policy="ImportChanged"
        )
    )
    assert "every 10 minutes" in visitor.get(there).text


def test_a_key_that_may_only_look_has_no_buttons_and_is_refused(console: Console) -> None:
    owner = console.visitor()
    there = made(console, owner, path="/plain/")
    looker = console.looker()
    for path in ("/dataflows", there):
        assert offered(owner.get(path).text)
        assert not offered(looker.get(path).text), path
    assert looker.get("/dataflows/new").status == 404
    assert looker.post("/dataflows/check", wish(console), JSON).status == 404
    browse = f"/dataflows/browse/directories?file_system_id={console.init['file_system_id']}&path=/"
    assert looker.get(browse, JSON).status == 404
    assert looker.get(f"/dataflows/browse/prefixes?bucket={console.init['bucket']}&prefix=/", JSON).status == 404
    for act in ("stop", "delete"):
        refused = looker.post(f"{there}/{act}", {})
        assert (refused.status, "has no right to" in refused.text) == (403, True)


def offered(text: str) -> list[str]:
    """What a page offers to do, beside logging out and what only concerns the reader."""
    offers = ("New dataflow", ">Stop<", ">Start<", "/delete")
    return [each for each in offers if each in text]
