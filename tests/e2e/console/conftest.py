"""A console and a browser that the tests of one module share, and a page that is logged in.

A browser's driver has an event loop of its own in the tests' thread, which no other test could bear: it ends with its module.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from penstock.client import Client, ClientOptions
from penstock.errors import ApiRefusedError
from penstock.model import AccessKey
from penstock.settings.editing import add_access_key
from penstock.settings.naming import new_access_key
from penstock.settings.reading import open_home
from tests.fixtures.service import WARM, RunningService, init_home, start_service
from tests.fixtures.visitor import Visitor
from tests.fixtures.waiting import wait_until

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 30_000


@pytest.hookimpl(tryfirst=True)  # xdist looks at the marks in this very hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of one module run in one worker, so that its service and its browser are started once."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group(f"console-{item.path.stem}"))


@dataclass(slots=True)
class Console:
    """A running service whose console is looked at. `complaints` is what pages said to the browser's own console."""

    service: RunningService
    complaints: list[str] = field(default_factory=list)
    look_only: AccessKey | None = None

    @property
    def url(self) -> str:
        """Of the console."""
        return self.service.console

    @property
    def init(self) -> dict[str, str]:
        """What `penstock init` answered."""
        return self.service.init

    def visitor(self) -> Visitor:
        """Somebody who has logged in, without a browser."""
        visitor = Visitor(self.url)
        answer = visitor.log_in(self.init["access_key_id"], self.init["access_key_secret"])
        assert answer.status == 303, answer.text
        return visitor

    def looker(self) -> Visitor:
        """Somebody whose key may only look."""
        if self.look_only is None:
            self.look_only = new_access_key(os.urandom, created_ns=1, allow=("nas:Describe*",))
            add_access_key(open_home(self.service.home), self.look_only)
        key, visitor = self.look_only, Visitor(self.url)
        self.wait_for(key)
        assert visitor.log_in(key.access_key_id, key.secret).status == 303
        return visitor

    def wait_for(self, key: AccessKey) -> None:
        """Until the service knows the key. Asked of the API: the console's door soon hears no more of who tries too often."""
        options = ClientOptions(
            endpoint=self.service.api, access_key_id=key.access_key_id, access_key_secret=key.secret
        )

        def known() -> bool:
            try:
                client.call("DescribeFileSystems", {})
            except ApiRefusedError as error:
                return error.code != "InvalidAccessKeyId.NotFound"
            return True

        with Client(options) as client:
            wait_until(known, 30, "the key is not known")

    def sign_in(self, page: Page, access_key_id: str, secret: str) -> None:
        """Through the form, as a person does."""
        page.goto(f"{self.url}/login")
        page.get_by_label("Access key id").fill(access_key_id)
        page.get_by_label("Access key secret").fill(secret)
        page.get_by_role("button", name="Log in").click()

    def watch(self, page: Page) -> None:
        """Keep what goes wrong in the page."""
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("console", lambda message: self._heard(page, message))

    def _heard(self, page: Page, message: Any) -> None:
        refused = message.text.startswith(
            "Failed to load resource"
        )  # an answer with 4xx, which may be what is asked about
        if message.type in ("error", "warning") and not refused:
            self.complaints.append(f"{page.url}: {message.text}")


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """One running service, for tests that do not stop it and use names of their own."""
    home = tmp_path_factory.mktemp("console") / "home"
    init_home(home, movers=1)
    running = start_service(home, command=WARM)
    yield Console(running)
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium of Debian, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Somebody's browser with nothing kept from others."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, permissions=["clipboard-read", "clipboard-write"]
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def anonymous(console: Console, context: BrowserContext) -> Iterator[Page]:
    """A page of somebody who has not logged in. What its scripts, or the policy for them, complain of fails the test."""
    page = context.new_page()
    console.watch(page)
    yield page
    complaints, console.complaints = console.complaints, []
    assert complaints == []


@pytest.fixture
def page(console: Console, anonymous: Page) -> Page:
    """A page of the holder of the first key, at the overview."""
    visitor = console.visitor()
    anonymous.context.add_cookies(
        [{"name": name, "value": value, "url": console.url} for name, value in visitor.cookies.items()]
    )
    anonymous.goto(console.url)
    return anonymous
