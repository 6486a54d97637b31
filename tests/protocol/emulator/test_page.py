"""Does the emulator's page tell the truth? Its programs are run as they stand there; its lists are held against the routes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fixtures.emulator import EmulatorServer

PAGE = Path(__file__).resolve().parents[3] / "docs" / "emulator.md"
PROGRAM = re.compile(r"```python\n(.*?)```", re.DOTALL)
ELSEWHERE = "import oss2\n"  # its packages and those of the newer SDK are not installed together


def test_the_programs_of_the_page_run(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", emulator.access_key_id)
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", emulator.access_key_secret)
    programs = [text for text in PROGRAM.findall(PAGE.read_text()) if ELSEWHERE not in text]
    assert len(programs) == 2
    for text in programs:
        assert "http://127.0.0.1:8681" in text
        exec(compile(text.replace("http://127.0.0.1:8681", emulator.endpoint), str(PAGE), "exec"), {})
    assert capsys.readouterr().out == "b'world'\n" * 2


def test_the_page_states_what_the_suite_found() -> None:
    page = PAGE.read_text()
    for signature in ("V4", "V1"):
        found = re.search(rf"^\| {signature} \| (\d+) \| \*\*(\d+)\*\* \|", page, re.MULTILINE)
        assert found is not None
        in_scope, passed = map(int, found.groups())
        assert passed >= 0.95 * in_scope
    assert "a defect" not in page
