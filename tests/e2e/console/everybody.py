"""What a page is to those who use it otherwise: what Chromium tells assistive programs, how texts stand out, what keys reach.

Each judge answers with what is wrong, in words; an empty list is what is wanted.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from playwright.sync_api import Page

NAMED = frozenset(
    (
        "button",
        "link",
        "textbox",
        "searchbox",
        "combobox",
        "checkbox",
        "radio",
        "table",
        "dialog",
        "progressbar",
        "image",
    )
)
"""Roles that say nothing without a name."""

TABS_MAX = 300

FAINT = """() => {
  const parse = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return { rgb: numbers.slice(0, 3), alpha: numbers.length > 3 ? numbers[3] : 1 };
  };
  const over = (above, alpha, below) => above.map((channel, at) => channel * alpha + below[at] * (1 - alpha));
  const line = (element) => element ? [element, ...line(element.parentElement)] : [];
  const ground = (element) => line(element).reverse().reduce((below, each) => {
    const style = getComputedStyle(each);
    const own = parse(style.backgroundColor);
    return over(own.rgb, own.alpha, below);
  }, [255, 255, 255]);
  const light = (rgb) => {
    const linear = (each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = rgb.map((each) => linear(each / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint = (element, text, pseudo) => {
    const style = getComputedStyle(element, pseudo);
    const below = ground(element);
    const own = parse(style.color);
    const opacity = line(element).reduce((all, each) => all * Number(getComputedStyle(each).opacity), 1);
    const [low, high] = [light(over(own.rgb, own.alpha * opacity, below)), light(below)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    return ratio < 4.5 ? [`${text.trim().slice(0, 40)}: ${ratio.toFixed(2)}`] : [];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("script, template, option, noscript, :disabled, .visually-hidden, .skip")) continue;
    if (element.checkVisibility({ visibilityProperty: true })) found.push(...faint(element, node.data));
  }
  for (const field of document.querySelectorAll("[placeholder]:not([placeholder=''])")) {
    if (field.checkVisibility()) found.push(...faint(field, field.placeholder, "::placeholder"));
  }
  return found;
}"""
"""Texts that one sees whose contrast is less than 4.5, which is what WCAG asks of small ones."""

STOPS = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
  .filter((each) => each.type !== "hidden" && !each.disabled && each.tabIndex >= 0 && each.checkVisibility()).length"""

FOCUSED = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const numbers = (window.seenByTab ??= new Map());
  if (!numbers.has(element)) numbers.set(element, numbers.size);
  const outline = (each) => getComputedStyle(each).outlineStyle !== "none" && parseFloat(getComputedStyle(each).outlineWidth) > 0;
  const drawn = (each) => each && outline(each);
  const shown = drawn(element) || drawn(element.nextElementSibling) || drawn(element.closest("label"));
  return { number: numbers.get(element), shown, what: element.outerHTML.slice(0, 120) };
}"""


def faults_for_listeners(page: Page) -> list[str]:
    """Controls without a name, headings out of order, and landmarks that are missing."""
    session = page.context.new_cdp_session(page)
    nodes = [each for each in session.send("Accessibility.getFullAXTree")["nodes"] if not each["ignored"]]
    session.detach()
    faults = [f"a {_role(each)} without a name" for each in nodes if _role(each) in NAMED and not _name(each)]
    levels = [_level(each) for each in nodes if _role(each) == "heading"]
    if levels[:1] != [1] or levels.count(1) != 1:
        faults.append(f"headings begin {levels[:3]}")
    faults += [f"a heading {after} follows one {before}" for before, after in pairwise(levels) if after > before + 1]
    return faults + [f"{count} mains" for count in [sum(_role(each) == "main" for each in nodes)] if count != 1]


def faint_texts(page: Page) -> list[str]:
    """Texts that do not stand out from their ground, with their contrast."""
    return [str(each) for each in page.evaluate(FAINT)]


def faults_for_keys(page: Page) -> list[str]:
    """What the Tab key does not reach, and where one does not see that it is there."""
    wanted = page.evaluate(STOPS)
    reached: dict[int, dict[str, Any]] = {}
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUSED)
        if found is None or found["number"] in reached:
            break
        reached[found["number"]] = found
    unseen = [f"no focus is seen on {each['what']}" for each in reached.values() if not each["shown"]]
    return unseen + ([f"{len(reached)} of {wanted} are reached"] if len(reached) != wanted else [])


def _role(node: dict[str, Any]) -> str:
    return str(node.get("role", {}).get("value", ""))


def _name(node: dict[str, Any]) -> str:
    return str(node.get("name", {}).get("value", "")).strip()


def _level(node: dict[str, Any]) -> int:
    return next(int(each["value"]["value"]) for each in node["properties"] if each["name"] == "level")
