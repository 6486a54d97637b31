"""What pages look like: can everybody read it, is all of it packed, and does it come from here alone?"""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from penstock.console.amounts import binary, duration, exact_bytes, ns_of, utc
from penstock.console.rendering import wrapped

ROOT = Path(__file__).parents[3]
CONSOLE = ROOT / "penstock" / "console"
TOKENS = (CONSOLE / "static" / "tokens.css").read_text()
COLOURS = dict(re.findall(r"--([a-z-]+): (light-dark\([^;]*\)|#\w{6});", TOKENS))
TONES = ("good", "moves", "waits", "warns", "bad", "quiet")
PAIRS = [
    *((tone, f"{tone}-ground") for tone in TONES),
    *(
        (text, ground)
        for text in ("text", "muted", "accent")
        for ground in ("ground", "surface", "raised", "sunken", "hover")
    ),
    ("text", "moves-ground"),
    *(("text", f"{tone}-ground") for tone in TONES),
    ("on-accent", "accent-ground"),
    ("on-accent", "accent-hover"),
    ("on-accent", "danger"),
    ("danger-text", "surface"),
    ("danger-text", "bad-ground"),
]


def luminance(colour: str) -> float:
    """As WCAG has it."""
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def colours(name: str) -> list[str]:
    """In the light and in the dark."""
    found = re.findall(r"#\w{6}", COLOURS[name])
    return found if len(found) == 2 else found * 2


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_stands_out_from_its_ground(text: str, ground: str, scheme: int) -> None:
    high, low = sorted((luminance(colours(text)[scheme]), luminance(colours(ground)[scheme])), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_all_of_it_is_packed() -> None:
    """A wheel takes what lies beneath the package, but for what the repository ignores."""
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert hatch == {"packages": ["penstock"]}
    files = sorted(
        str(path.relative_to(ROOT))
        for folder in ("static", "templates")
        for path in (CONSOLE / folder).rglob("*")
        if path.is_file()
    )
    assert {"penstock/console/static/main.js", "penstock/console/templates/base.html"} <= set(files)
    ignored = subprocess.run(
        ["git", "check-ignore", "--stdin"],
        input="\n".join(files),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ignored.stdout == ""


@pytest.mark.parametrize("path", sorted((CONSOLE / "static").glob("*.*s")), ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    if path.suffix == ".js":
        assert text.startswith("// @ts-check\n")
        made_of_text = (
            path.name != "morph.js"
        )  # which takes pages' parts as the server has escaped them, into a template
        assert not made_of_text or not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text
        )


@pytest.mark.parametrize("path", sorted((CONSOLE / "templates").rglob("*.html")), ids=lambda path: path.name)
def test_templates_escape_everything_and_have_no_script_of_their_own(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\|\s*safe\b|autoescape", text)
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc=)", text)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (10239, "10.0 KiB"),
        (1048064, "1.00 MiB"),
        (1 << 20, "1.00 MiB"),
        (5 << 60, "5.00 EiB"),
        (5000 << 60, "5000 EiB"),
    ],
)
def test_sizes_are_binary(count: int, words: str) -> None:
    assert binary(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 ms"),
        (0.85, "850 ms"),
        (12.34, "12.3 s"),
        (59.96, "1 min 00 s"),
        (245, "4 min 05 s"),
        (11_220, "3 h 07 min"),
        (187_200, "2 d 04 h"),
    ],
)
def test_durations_have_two_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_times_come_and_go() -> None:
    assert utc(ns_of("2026-01-31T12:00:00Z")) == "2026-01-31 12:00:00"
    assert ns_of("2026-01-31T20:00:00+08:00") == ns_of("2026-01-31T12:00:00Z")
    assert ns_of("never") == 0
    assert (exact_bytes(1), exact_bytes(1610612736)) == ("1 byte", "1,610,612,736 bytes")


def test_a_path_breaks_after_its_slashes_and_is_escaped() -> None:
    assert wrapped("/a/<b>.bin") == "/<wbr>a/<wbr>&lt;b&gt;.bin"
    assert wrapped("/数据/图片") == "/<wbr>数据/<wbr>图片"
    assert str(wrapped("x" * 30 + "-y")).count("<wbr>") == 1
