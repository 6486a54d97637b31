"""Does a page follow what happens, say when it cannot, and catch up after a restart, without moving what is being read?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from alibabacloud_tea_openapi.exceptions import ClientException
from playwright.sync_api import Browser, Page, expect

from tests.e2e.console.conftest import PATIENCE_MS, Console
from tests.e2e.sdk import Flow, make_client, open_flow
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.holdproxy import HoldProxy
from tests.fixtures.service import WARM, add_bucket, start_service
from tests.fixtures.waiting import wait_until

SEEN_S = 20.0
SMALL_BYTES = 4 << 20
LARGE_BYTES = 48 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrow:
    """A stream of exports into a bucket whose server lets as many bytes pass as the test says."""

    root: Path
    flow: Flow
    proxy: HoldProxy


@pytest.fixture(scope="module")
def narrow(console: Console, emulator: EmulatorServer) -> Iterator[Narrow]:
    """The bucket is registered with the running service, and bound."""
    init = console.init
    bucket = emulator.bucket()
    with HoldProxy(emulator.endpoint) as proxy:
        add_bucket(
            console.service.home, bucket, endpoint=proxy.endpoint, region=emulator.region,
            credentials=emulator.credentials,
        )  # fmt: skip
        client = make_client(
            console.service.api, init["access_key_id"], init["access_key_secret"], algorithm=None, ca=None
        )

        def opened() -> Flow | None:
            try:
                return open_flow(
                    client, init["file_system_id"], action="StreamExport", paths=("/", "/"),
                    storage=f"oss://{bucket}", directories=("/", "/"),
                )  # fmt: skip
            except ClientException:  # the bucket is not seen yet
                return None

        flow = wait_until(opened, SEEN_S, "the new bucket was not seen")
        assert flow is not None
        yield Narrow(root=Path(init["root"]), flow=flow, proxy=proxy)
        proxy.release()


def percent(page: Page) -> int:
    """How far the page says that the file is."""
    return int(page.locator(".state-line strong").inner_text().split()[0])


def test_a_file_is_seen_moving_to_its_end(console: Console, narrow: Narrow, page: Page) -> None:
    (narrow.root / "large.bin").write_bytes(bytes(LARGE_BYTES))
    narrow.proxy.hold(up_bytes=LARGE_BYTES // 2)
    one = narrow.flow.move("/large.bin", "/large.bin")
    page.goto(f"{console.url}/files/{one}")
    expect(page.locator('[data-part="state"]')).to_contain_text("Running")
    cancel = page.get_by_role("button", name="Cancel", exact=True)
    cancel.focus()
    wait_until(lambda: 0 < percent(page) < 100, SEEN_S, "no progress is seen")
    narrow.proxy.release()
    expect(page.locator('[data-part="state"]')).to_contain_text("Complete")
    assert percent(page) == 100
    expect(page.locator('[data-part="facts"]')).to_contain_text("crc64:")
    expect(page.locator('[data-part="timeline"]')).to_contain_text("Complete")
    expect(cancel).to_have_count(0)
    expect(page.locator("main")).to_be_focused()


def test_those_selected_are_canceled_and_the_rows_say_so(console: Console, narrow: Narrow, page: Page) -> None:
    narrow.proxy.hold(up_bytes=0)
    names = [f"waits-{number}.bin" for number in range(3)]
    for name in names:
        (narrow.root / name).write_bytes(bytes(SMALL_BYTES))
        narrow.flow.move(f"/{name}", f"/{name}")
    page.goto(f"{console.url}/files?path=/waits-")
    expect(page.locator("tr[data-row]")).to_have_count(3)
    page.locator("tr[data-row]").nth(0).locator("[data-pick]").check()
    page.locator("tr[data-row]").nth(2).locator("[data-pick]").check()
    expect(page.locator("[data-selected]")).to_contain_text("2 selected")
    page.locator("[data-selected]").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status").filter(has_text="nothing of it is left behind")).to_be_visible()
    expect(page.locator("tr[data-row]").nth(0)).to_contain_text(re.compile("Cancel(ing|ed)"))
    narrow.proxy.cut()
    narrow.proxy.release()
    expect(page.locator("tr[data-row]").nth(0)).to_contain_text("Canceled")
    expect(page.locator("tr[data-row]").nth(1)).to_contain_text("Complete")
    expect(page.locator("tr[data-row]").nth(2)).to_contain_text("Canceled")


def test_all_of_it_works_without_scripts(console: Console, narrow: Narrow, browser: Browser) -> None:
    narrow.proxy.hold(up_bytes=0)
    (narrow.root / "plain.bin").write_bytes(bytes(SMALL_BYTES))
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    console.sign_in(page, console.init["access_key_id"], console.init["access_key_secret"])
    expect(page.locator("noscript .no-script")).to_be_visible()
    page.goto(f"{console.url}/files/new?task={narrow.flow.task_id}")
    page.get_by_label("Files").fill("plain.bin")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.locator('[data-part="state"]')).to_contain_text(re.compile("Created|Running"))
    page.get_by_role("link", name="Files", exact=True).first.click()
    page.get_by_label("Path").fill("/plain")
    page.get_by_label("Direction").select_option("export")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="/plain.bin").first.click()
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator('[data-part="state"]')).to_contain_text(re.compile("Cancel(ing|ed)"))
    narrow.proxy.cut()
    narrow.proxy.release()
    page.get_by_role("link", name="Dataflows").first.click()
    page.get_by_role("link", name="/", exact=True).first.click()
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_text("the service refuses as long as that is so")).to_be_visible()
    context.close()


def test_what_is_selected_and_read_stays_while_the_page_goes_on(console: Console, narrow: Narrow, page: Page) -> None:
    narrow.proxy.hold(up_bytes=0)
    (narrow.root / "read.bin").write_bytes(b"x")
    narrow.flow.move("/read.bin", "/read.bin")
    page.goto(f"{console.url}/files?path=/read.bin")
    row = page.locator("tr[data-row]")
    row.locator("[data-pick]").check()
    page.keyboard.press("Escape")
    row.locator("[data-open]").focus()
    narrow.proxy.release()
    expect(row).to_contain_text("Complete")
    expect(row.locator("[data-pick]")).to_be_checked()
    expect(row.locator("[data-open]")).to_be_focused()


def test_a_restart_is_said_and_what_happened_meanwhile_is_caught_up_with(
    console: Console, narrow: Narrow, page: Page
) -> None:
    narrow.proxy.release()
    port = console.url.rsplit(":", 1)[1]
    (narrow.root / "before.bin").write_bytes(b"x")
    narrow.flow.wait(narrow.flow.move("/before.bin", "/before.bin"))
    page.goto(f"{console.url}/files?path=/before")
    expect(page.locator("tr[data-row]")).to_have_count(1)
    expect(page.locator("#connection")).to_be_hidden()
    console.service.stop()
    expect(page.locator("#connection")).to_contain_text(re.compile("Connection lost; data as of .*Trying again"))
    again = start_service(console.service.home, extra_args=["--console-port", port], command=WARM)
    again.init.update(console.service.init)
    console.service = again
    client = make_client(
        again.api, again.init["access_key_id"], again.init["access_key_secret"], algorithm=None, ca=None
    )
    flow = Flow(
        client=client, file_system_id=narrow.flow.file_system_id, data_flow_id=narrow.flow.data_flow_id,
        task_id=narrow.flow.task_id,
    )  # fmt: skip
    (narrow.root / "before-2.bin").write_bytes(b"x")
    flow.wait(flow.move("/before-2.bin", "/before-2.bin"))
    expect(page.locator("#connection")).to_be_hidden(timeout=60_000)
    expect(page.locator("[data-newer]")).to_have_text("1 newer")
    expect(page.locator("tr[data-row]")).to_have_count(1)


def test_the_overview_follows(console: Console, page: Page) -> None:
    page.goto(console.url)
    expect(page.locator('[data-part="figures"]')).to_contain_text("Finished in 24 h")
    expect(page.locator(".graph canvas")).to_be_visible()
    expect(page.locator('[data-part="flows"] tr[data-row]')).not_to_have_count(0)
    with page.expect_response(re.compile("/live/overview")):
        page.reload()
