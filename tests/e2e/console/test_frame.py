"""What every page has: the way in and out, the navigation, the switches, the keyboard. In a real browser."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.console.conftest import Console


def test_a_newcomer_finds_in_and_out(console: Console, anonymous: Page) -> None:
    anonymous.goto(console.url)
    expect(anonymous.get_by_role("heading", name="Log in with an access key")).to_be_visible()
    anonymous.get_by_text("Where is my key?").click()
    expect(anonymous.get_by_text(f"{console.service.home}/secrets.toml")).to_be_visible()
    console.sign_in(anonymous, console.init["access_key_id"], "wrong")
    expect(anonymous.get_by_role("alert")).to_contain_text("do not belong together")
    expect(anonymous.get_by_label("Access key id")).to_have_value(console.init["access_key_id"])
    console.sign_in(anonymous, console.init["access_key_id"], console.init["access_key_secret"])
    expect(anonymous.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    anonymous.get_by_role("button", name="Log out").click()
    expect(anonymous.get_by_text("You are logged out.")).to_be_visible()
    assert "note=" not in anonymous.url


def test_colours_are_chosen_and_kept(page: Page) -> None:
    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.emulate_media(color_scheme="light")
    light = ground()
    page.get_by_label("Colours").select_option("dark")
    dark = ground()
    assert light != dark
    page.reload()
    assert ground() == dark
    page.get_by_label("Colours").select_option("auto")
    assert ground() == light
    page.emulate_media(color_scheme="dark")
    assert ground() == dark


def test_times_are_told_as_chosen(context: BrowserContext, page: Page) -> None:
    told = page.locator("time[data-time]").first
    page.get_by_label("Times").select_option("utc")
    expect(told).to_have_text(f"{told.get_attribute('datetime')}".replace("T", " ").replace("Z", " UTC"))
    page.get_by_label("Times").select_option("relative")
    expect(told).to_contain_text("ago")
    page.reload()
    expect(told).to_contain_text("ago")


def test_the_keyboard_is_enough(page: Page) -> None:
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("j")
    expect(page.locator("[data-row]").first).to_have_attribute("aria-selected", "true")
    page.goto(f"{page.url}nowhere")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_an_id_is_copied(console: Console, page: Page) -> None:
    page.get_by_role("button", name="Copy the id").first.click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == console.init["file_system_id"]


def test_a_narrow_page_needs_no_scrolling_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.get_by_role("link", name="Overview")).to_be_visible()
