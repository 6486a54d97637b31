"""The newcomer's path: four steps, for real; and the calls that the page shows do what its buttons do."""

from __future__ import annotations

import ast
import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fastcrc import crc64
from playwright.sync_api import Page, expect

from penstock.console.example import example
from tests.e2e.console.conftest import Console
from tests.fixtures.service import WARM, environment, init_home, run_cli, start_service
from tests.fixtures.visitor import Visitor


def test_a_newcomer_moves_a_file_in_four_steps(console: Console, page: Page) -> None:
    page.goto(f"{console.url}/learn")
    page.get_by_role("button", name="Make the dataflow").click()
    page.get_by_role("button", name="Open the stream").click()
    page.get_by_role("button", name="Put the example, and move it").click()
    expect(page.get_by_role("heading", name="That was all of it")).to_be_visible()
    expect(page.get_by_text("the same", exact=True)).to_be_visible()
    arrived = Path(console.init["root"]) / "learn" / "hello.txt"
    assert arrived.read_bytes() == example()
    expect(page.get_by_text(f"crc64:{crc64.xz(example())}").first).to_be_visible()
    expect(page.get_by_text(str(arrived))).to_be_visible()
    page.get_by_role("button", name="Move it once more").click()
    expect(page.get_by_role("heading", name="That was all of it")).to_be_visible()
    page.get_by_role("button", name="Tidy up").click()
    expect(page.get_by_role("button", name="Make the dataflow")).to_be_visible()
    assert arrived.read_bytes() == example()


def test_a_step_that_is_not_due_changes_nothing(console: Console) -> None:
    visitor = console.visitor()
    before = visitor.get("/learn").text
    for step in ("task", "file", "tidy"):
        assert visitor.post(f"/learn/{step}", {}).status == 303
    assert re.findall(r"<h2>.*", visitor.get("/learn").text) == re.findall(r"<h2>.*", before)


def test_a_key_that_may_only_look_learns_what_is_missing(console: Console) -> None:
    looker = console.looker()
    assert "There is nothing to learn on" in looker.get("/learn").text
    assert looker.post("/learn/flow", {}).status == 404
    assert "No dataflow yet" in looker.get("/dataflows").text


def test_what_keeps_a_step_from_being_taken_is_said(console: Console) -> None:
    blocked = Path(console.init["root"]) / "learn"
    shutil.rmtree(blocked, ignore_errors=True)
    blocked.write_text("a file in the way")
    try:
        refused = console.visitor().post("/learn/flow", {})
        assert (refused.status, "is no directory" in refused.text) == (409, True)
    finally:
        blocked.unlink()


def snippets(visitor: Visitor) -> list[str]:
    """The calls that the page shows, in its order."""
    found = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", visitor.get("/learn").text, re.DOTALL)
    return [html.unescape(each) for each in found]


@pytest.mark.parametrize("way", ["commands", "program"])
def test_the_calls_that_are_shown_do_it_too(tmp_path: Path, way: str) -> None:
    """Typed as they stand, one after the other: each step's call has the ids that the one before has made."""
    home = tmp_path / "home"
    init_home(home, movers=1)
    service = start_service(home, command=WARM)
    try:
        visitor = Console(service).visitor()
        (tmp_path / "hello.txt").write_bytes(b"put by hand")
        secret = service.init["access_key_secret"]
        known = dict(re.findall(r"export (\w+)=(\S+)", snippets(visitor)[8]))
        assert known.pop("PENSTOCK_ACCESS_KEY_SECRET") == "'…'"
        (home / "filesystem" / "learn").mkdir()
        run_cli("object", "put", str(home), "examplebucket", str(tmp_path / "hello.txt"), "learn/hello.txt")
        printed = ""
        for step in range(4):
            shown = snippets(visitor)
            if way == "program":
                ast.parse(shown[9])
                command = [sys.executable, "-c", shown[9] + shown[2 * step + 1]]
            else:
                script = shown[2 * step].replace("penstock ", f"{sys.executable} -m penstock.cli ")
                command = ["sh", "-ec", script]
            done = subprocess.run(
                command,
                cwd=tmp_path,
                env=environment({**known, "PENSTOCK_ACCESS_KEY_SECRET": secret, "PENSTOCK_HOME": str(home)}),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            printed = done.stdout
        assert re.search("COMPLETE|RUNNING|CREATED", printed)
    finally:
        service.stop()
