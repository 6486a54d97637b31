"""With a million files in the catalog: does each page come within a tenth of a second, and no later than with few?"""

from __future__ import annotations

import html
import http.client
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from bench.crowd import Crowd, Model
from tests.e2e.console.conftest import Console
from tests.e2e.sdk import make_client, open_flow
from tests.fixtures.service import WARM, init_home, start_service
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.visitor import Visitor

FEW = 20_000
MANY = 1_000_000
LOADS = 7
READ_BYTES = 4 << 20
GROWN_MAX_BYTES = 20 << 20
PAGE_MAX_S = 0.1
GROWTH_MAX_S = 0.05
"""What a page may take longer with fifty times as many files: a few more steps in each index, and chance."""

PAGES = {
    "newest": "/files",
    "failed": "/files?status=FAILED",
    "worst first": "/files?order=worst",
    "of a task": "/files?task={task}",
    "beginning": "/files?path=/many-0000",
    "imports": "/files?direction=import",
    "an hour": "/files?time=1h&status=COMPLETE",
    "older": "/files?{older}",
    "one file": "/files/{file}",
    "overview": "/",
    "tasks": "/tasks",
}
METRICS = "metrics"
LOOKED_THROUGH = {
    "part of a name": "/files?path=-00000199",
    "nowhere": "/files?path=is-not-in-any-name",
    "small ones": "/files?least=2",
}
"""What no index answers: a bounded number of rows is looked through, and the page says how far that went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vast:
    """A console over very many files, and the best time of each page with few of them and with all."""

    console: Console
    task_id: str
    few: Mapping[str, float]
    many: Mapping[str, float]


@pytest.fixture(scope="module")
def vast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vast]:
    """Rows of real files, copied by SQL: the catalog's own verbs would take minutes."""
    home = tmp_path_factory.mktemp("vast") / "home"
    init_home(home, movers=1)
    model = one_of_each(home)
    settings = home / "penstock.toml"
    written = settings.read_text()
    settings.write_text(re.sub(r"(?m)^metrics_listen = .*$", 'metrics_listen = "127.0.0.1:0"', written))
    crowd = Crowd(home / "catalog.db", [model])
    times = []
    for count in (FEW, MANY):
        crowd.grow(count)
        console = Console(start_service(home, command=WARM))
        times.append(best_times(console, model))
        if count == FEW:
            console.service.stop()
    yield Vast(console=console, task_id=model.task_id, few=times[0], many=times[1])
    console.service.stop()


@pytest.fixture(scope="module")
def console(vast: Vast) -> Console:
    """The one that is looked at."""
    return vast.console


def one_of_each(home: Path) -> Model:
    """A stream with one file that has arrived, and one that could not."""
    running = start_service(home, command=WARM)
    init = running.init
    client = make_client(running.api, init["access_key_id"], init["access_key_secret"], algorithm=None, ca=None)
    flow = open_flow(
        client, init["file_system_id"], action="StreamExport", paths=("/", "/files/"), storage="oss://examplebucket",
        directories=("/", "/"),
    )  # fmt: skip
    Path(init["root"], "many").write_bytes(b"x")
    complete, failed = flow.move("/many", "/many"), flow.move("/failed", "/failed")
    ends = {each: flow.wait(each) for each in (complete, failed)}
    running.stop()
    return Model(
        task_id=flow.task_id,
        complete_id=complete,
        complete_paths=(ends[complete]["SrcFilePath"], ends[complete]["DstFilePath"]),
        failed_id=failed,
        failed_paths=(ends[failed]["SrcFilePath"], ends[failed]["DstFilePath"]),
    )


def best_times(console: Console, model: Model) -> dict[str, float]:
    """Each page's best of several loads, from request to answer."""
    visitor = console.visitor()
    older = re.search(r'rel="next" href="/files\?([^"]+)"', visitor.get("/files").text)
    assert older is not None
    known = {"task": model.task_id, "file": model.complete_id, "older": html.unescape(older[1])}
    times = {
        name: min(loaded(visitor, path.format(**known)) for _ in range(LOADS))
        for name, path in (PAGES | LOOKED_THROUGH).items()
    }
    metrics = urlsplit(json.loads((console.service.home / "service.json").read_text())["metrics"])
    scraper = Visitor(f"{metrics.scheme}://{metrics.netloc}")
    return times | {METRICS: min(loaded(scraper, metrics.path) for _ in range(LOADS))}


def loaded(visitor: Visitor, path: str) -> float:
    watch = Stopwatch()
    answer = visitor.get(path)
    took_s = watch.took_s()
    assert answer.status == 200, answer.text
    return took_s


@pytest.mark.parametrize("name", [*PAGES, METRICS])
def test_a_page_comes_at_once_however_many_files_there_are(vast: Vast, name: str) -> None:
    assert vast.many[name] < PAGE_MAX_S
    assert vast.many[name] < vast.few[name] + GROWTH_MAX_S


@pytest.mark.parametrize("name", LOOKED_THROUGH)
def test_a_look_ends_in_time_and_says_how_far_it_went(vast: Vast, name: str) -> None:
    assert vast.many[name] < PAGE_MAX_S
    if name == "nowhere":
        text = vast.console.visitor().get(LOOKED_THROUGH[name]).text
        assert "Looked through to" in text
        assert "Nothing found so far" in text


def test_a_person_finds_one_among_all(vast: Vast, console: Console, page: Page) -> None:
    page.goto(f"{console.url}/files?task={vast.task_id}&status=FAILED&order=worst")
    expect(page.locator("tr[data-row]")).to_have_count(50)
    for _ in range(3):
        before = page.locator("[data-open]").first.get_attribute("href")
        page.get_by_role("link", name="Older").click()
        expect(page.locator("[data-open]").first).not_to_have_attribute("href", str(before))
    page.get_by_role("searchbox").fill("/many-0000123456")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_role("checkbox", name="Failed").uncheck(force=True)
    expect(page.locator("tr[data-row]")).to_have_count(1)
    page.get_by_role("link", name="/many-0000123456").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("/many-0000123456")


def test_memory_does_not_grow_with_the_list_that_is_downloaded(vast: Vast, console: Console) -> None:
    pid, visitor = console.service.pid, console.visitor()
    address = urlsplit(console.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    connection.request("GET", "/files.csv", headers={"Cookie": cookies})
    answer = connection.getresponse()
    assert len(answer.read(READ_BYTES)) == READ_BYTES
    before = resident_bytes(pid)
    for _ in range(5):  # rows that are 20 MiB as text, and several times that as values
        assert answer.read(READ_BYTES).count(b"\n") > 10_000
        assert resident_bytes(pid) - before < GROWN_MAX_BYTES
    answer.close()
    connection.close()


def resident_bytes(pid: int) -> int:
    """Of one process, without what the kernel could read again from files at any time."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) << 10
