"""The pictures of the console in docs/images/: a service in a temporary HOME, files that really move, and Chromium to look at it.

Runs the installed command as anybody would; needs the tests' packages and Debian's chromium. What it made is removed.

    python -m scripts.screenshots              all pictures
    python -m scripts.screenshots files learn  those whose names begin so
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from penstock.client import Client, ClientOptions, Parameter
from penstock.errors import ApiRefusedError

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
PENSTOCK = [sys.executable, "-m", "penstock.cli"]
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
READY_S, END_S, MOVES_S = 30.0, 40.0, 60.0
LOOKS = {
    "dataflow": ("light",),
    "dataflows": ("light",),
    "failed": ("light",),
    "file": ("light", "dark"),
    "files": ("light", "phone"),
    "learn": ("light", "phone"),
    "new-dataflow": ("light", "dark"),
    "overview": ("light", "dark", "phone"),
    "requests": ("light", "dark"),
    "tasks": ("light",),
}
WIDE, NARROW = (1280, 800), (390, 844)
SHARDS, SHARD_BYTES = 240, 192 << 10
LARGE, LARGE_BYTES = 10, 1 << 30
DATASETS, CHECKPOINTS, PICTURES = "/datasets/imagenet/", "/train/checkpoints/", "/数据集/街景图片/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running service and who may use it."""

    console: str
    init: dict[str, str]
    client: Client

    def call(self, action: str, **parameters: Parameter) -> dict[str, Any]:
        """One signed call."""
        return dict(self.client.call(action, {"FileSystemId": self.init["file_system_id"], **parameters}))

    def flow(self, path: str, prefix: str, description: str) -> str:
        """A dataflow's id."""
        storage = f"oss://{self.init['bucket']}"
        named: dict[str, Parameter] = {"FileSystemPath": path, "SourceStorage": storage, "SourceStoragePath": prefix}
        return str(self.call("CreateDataFlow", Description=description, **named)["DataFlowId"])

    def task(self, flow: str, action: str) -> str:
        """A stream's id."""
        named: dict[str, Parameter] = {
            "TaskAction": action,
            "DataType": "MetaAndData",
            "ConflictPolicy": "OVERWRITE_EXISTING",
        }
        return str(self.call("CreateDataFlowTask", DataFlowId=flow, **named)["TaskId"])

    def move(self, flow: str, task: str, name: str) -> str:
        """A sub-task's id."""
        named: dict[str, Parameter] = {"SrcFilePath": name, "DstFilePath": name}
        answer = self.call("CreateDataFlowSubTask", DataFlowId=flow, DataFlowTaskId=task, **named)
        return str(answer["DataFlowSubTaskId"])

    def of(self, task: str, status: str) -> list[str]:
        """The newest sub-tasks of a task in this state."""
        filters: list[Parameter] = [{"Key": "DataFlowTaskIds", "Value": task}, {"Key": "Status", "Value": status}]
        answer = self.call("DescribeDataFlowSubTasks", Filters=filters, MaxResults=100)
        return [each["DataFlowSubTaskId"] for each in answer["DataFlowSubTask"]["DataFlowSubTask"]]


@contextmanager
def running_site() -> Iterator[Site]:
    """A service of its own, for as long as the context lasts."""
    place = Path(tempfile.mkdtemp(prefix="penstock-"))
    home = place / "penstock"
    made = subprocess.run([*PENSTOCK, "init", str(home), "--json"], capture_output=True, check=True)
    init = json.loads(made.stdout)
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            [*PENSTOCK, "serve", str(home), "--port", "0", "--emulator-port", "0"], stdout=subprocess.PIPE, stderr=log
        )
    try:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], READY_S)
        ready = json.loads(process.stdout.readline() if readable else b"null")
        options = ClientOptions(
            endpoint=ready["api"], access_key_id=init["access_key_id"], access_key_secret=init["access_key_secret"]
        )
        with Client(options) as client:
            yield Site(console=ready["console"], init=init, client=client)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(END_S)
        shutil.rmtree(place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What moves: ids for the pictures of single things."""

    imports: str
    exports: str
    flow: str
    failed: str


def put_to_work(site: Site) -> Work:
    """Small files both ways, one that is not there, and large ones that take their time."""
    root = Path(site.init["root"])
    for path in (DATASETS, CHECKPOINTS, PICTURES):
        (root / path.strip("/")).mkdir(parents=True)
    datasets = site.flow(DATASETS, "/imagenet/2026/", "ImageNet shards")
    pictures = site.flow(PICTURES, PICTURES, "Street views")
    checkpoints = site.flow(CHECKPOINTS, "/runs/llm-7b/", "Checkpoints of llm-7b")
    shards_out, shards_in = site.task(datasets, "StreamExport"), site.task(datasets, "StreamImport")
    street = site.task(pictures, "StreamExport")
    exports = site.task(checkpoints, "StreamExport")
    for number in range(SHARDS):
        (root / DATASETS.strip("/") / f"shard-{number:05d}.tar").write_bytes(os.urandom(SHARD_BYTES))
        site.move(datasets, shards_out, f"/shard-{number:05d}.tar")
    for number in range(24):
        name = f"/北京市-朝阳区-{number:03d}.jpg"
        (root / PICTURES.strip("/") / name.strip("/")).write_bytes(os.urandom(SHARD_BYTES * 4))
        site.move(pictures, street, name)
    wait_until(lambda: not site.of(shards_out, "RUNNING") and not site.of(shards_out, "CREATED"))
    for number in range(0, SHARDS, 3):
        site.move(datasets, shards_in, f"/shard-{number:05d}.tar")
    failed = site.move(datasets, shards_in, "/shard-99999.tar")
    for number in range(LARGE):
        name = f"/step-{12_000 + 500 * number}/model-00001-of-00004.safetensors"
        place = root / CHECKPOINTS.strip("/") / name.strip("/")
        place.parent.mkdir()
        with place.open("wb") as file:
            file.truncate(LARGE_BYTES)
        site.move(checkpoints, exports, name)
    wait_until(lambda: bool(site.of(exports, "RUNNING")) and bool(site.of(shards_in, "FAILED")))
    return Work(imports=shards_in, exports=exports, flow=checkpoints, failed=failed)


def wait_until(look: Callable[[], bool]) -> None:
    """Raises TimeoutError."""
    until_s = time.monotonic() + MOVES_S
    while not look():
        if time.monotonic() > until_s:
            raise TimeoutError("what was to be photographed did not happen")
        time.sleep(0.2)  # house: a command that waits for a service, no test


class Photographer:
    """Looks at pages in one of the two colours and at one size, and keeps what it sees."""

    def __init__(
        self, browser: Browser, site: Site, *, scheme: Any, size: tuple[int, int], wanted: tuple[str, ...]
    ) -> None:
        context = browser.new_context(
            color_scheme=scheme,
            viewport={"width": size[0], "height": size[1]},
            timezone_id="UTC",
        )
        self.page: Page = context.new_page()
        self._site = site
        self._wanted = wanted
        self._suffix = "phone" if size == NARROW else str(scheme)
        self.page.goto(f"{site.console}/login")
        self.page.get_by_label("Access key id").fill(site.init["access_key_id"])
        self.page.get_by_label("Access key secret").fill(site.init["access_key_secret"])
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("heading", level=1).wait_for()

    def take(self, name: str, path: str, act: Callable[[Page], object] | None = None, *, settle_s: float = 2.5) -> None:
        """One picture: of the page, after `act` and a moment in which live parts come up."""
        if self._suffix not in LOOKS[name] or (self._wanted and not name.startswith(self._wanted)):
            return
        self.page.goto(self._site.console + path)
        if act is not None:
            act(self.page)
        self.page.wait_for_timeout(settle_s * 1000)
        self.page.screenshot(path=IMAGES / f"{name}-{self._suffix}.png")


def learn(page: Page) -> None:
    """All four steps."""
    for name in ("Make the dataflow", "Open the stream", "Put the example, and move it"):
        button = page.get_by_role("button", name=name)
        if button.count():
            button.click()
    page.get_by_role("heading", name="That was all of it").wait_for()


def new_dataflow(page: Page) -> None:
    """The form with a directory being chosen, and what was found out."""
    page.get_by_role("link", name="New dataflow").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Path in the file system").fill("/datasets/")
    dialog.get_by_role("button", name="Browse").first.click()
    dialog.get_by_role("button", name="imagenet").wait_for()
    dialog.get_by_label("Prefix in the bucket").fill("/imagenet/")
    dialog.get_by_role("button", name="Check first").click()
    dialog.get_by_text("Other dataflows").first.wait_for()


def first_call(page: Page) -> None:
    """The newest call that made a dataflow, with its hints."""
    page.get_by_role("link", name="CreateDataFlow", exact=True).first.click()
    page.get_by_role("dialog").wait_for()


def photograph(browser: Browser, site: Site, work: Work, wanted: tuple[str, ...]) -> None:
    """Everything, while it moves: what moves comes first."""
    for scheme, size in (("light", WIDE), ("dark", WIDE), ("light", NARROW)):
        camera = Photographer(browser, site, scheme=scheme, size=size, wanted=wanted)
        moving = site.of(work.exports, "RUNNING") or site.of(work.exports, "COMPLETE")
        camera.take("file", f"/files/{moving[0]}")
        camera.take("overview", "/", settle_s=6)
        camera.take("files", "/files")
        camera.take("tasks", "/tasks")
    for scheme, size in (("light", WIDE), ("dark", WIDE), ("light", NARROW)):
        camera = Photographer(browser, site, scheme=scheme, size=size, wanted=wanted)
        camera.take("failed", f"/files/{work.failed}")
        camera.take("dataflows", "/dataflows")
        camera.take("dataflow", f"/dataflows/{site.init['file_system_id']}/{work.flow}")
        camera.take("new-dataflow", "/dataflows", new_dataflow, settle_s=0.5)
        with suppress(ApiRefusedError):
            site.call(
                "CreateDataFlow", FileSystemPath="/datasets/", SourceStorage="s3://elsewhere", SourceStoragePath="/"
            )
        camera.take("requests", "/requests?search=DataFlow", first_call, settle_s=0.5)
        camera.take("learn", "/learn", learn, settle_s=0.5)


def main() -> int:
    """The pictures that were asked for by the beginnings of their names, or all."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with running_site() as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        photograph(browser, site, put_to_work(site), tuple(sys.argv[1:]))
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
