"""The console over TLS, in a real browser: does all of it work there, and is the session kept to encrypted connections?"""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from penstock.app.making import Tls
from tests.e2e.console.conftest import PATIENCE_MS, Console
from tests.fixtures.service import init_home, start_service


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A service with a certificate of its own authority."""
    home = tmp_path_factory.mktemp("console") / "home"
    init_home(home, tls=Tls.LOCAL)
    running = start_service(home)
    yield Console(running)
    running.stop()


@pytest.fixture
def page(console: Console, browser: Browser) -> Iterator[Page]:
    """A page of somebody who has told the browser to go on."""
    context = browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    console.watch(page)
    yield page
    context.close()
    assert console.complaints == []


def test_forms_streams_and_the_session_work_over_tls(console: Console, page: Page) -> None:
    assert console.url.startswith("https://")
    Path(console.init["root"], "train").mkdir()
    console.sign_in(page, console.init["access_key_id"], console.init["access_key_secret"])
    page.goto(f"{console.url}/dataflows/new")
    page.get_by_label("Path in the file system").fill("/train/")
    page.get_by_role("button", name="Create the dataflow").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("/train/")
    another = page.context.new_page()
    another.goto(page.url)
    another.get_by_role("link", name="Stop").click()
    another.get_by_role("button", name="Stop the dataflow").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Stopped")  # as the stream tells it
    expect(page.locator("section:has(#h-call)")).to_contain_text(f'ca="{console.service.home}/tls/ca.pem"')
    (session,) = [each for each in page.context.cookies() if each.get("httpOnly")]
    assert str(session.get("name")).startswith("__Host-")
    assert (session.get("secure"), session.get("sameSite"), session.get("path")) == (True, "Strict", "/")


def test_the_certificate_is_proved_by_the_authority_of_home(console: Console) -> None:
    trusting = ssl.create_default_context(cafile=console.service.home / "tls" / "ca.pem")
    with urllib.request.urlopen(f"{console.url}/login", context=trusting, timeout=60) as answer:
        assert answer.status == 200
    plain = console.url.replace("https://", "http://")
    with pytest.raises(OSError, match=r"reset|closed|disconnected|Remote end"):
        urllib.request.urlopen(f"{plain}/login", timeout=60)
