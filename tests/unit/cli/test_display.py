"""Does the display fit its terminal whatever the names are, and say amounts and times as people read them?"""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from penstock.cli.display import SPARE_CELLS, Live, amount, remaining
from penstock.cli.fitting import padded, shortened
from penstock.cli.tally import Tally
from penstock.client import SubTask, SubTaskStatus

NAMES = (
    "検査点/" * 30 + "ステップ.safetensors",
    "a/very/long/path/of/an/experiment/" * 5 + "step-000100.pt",
    "emoji-🚀🚀🚀-\x1b[2Jtrick\n.bin",
    "short",
)


def seen(name: str, *, error: str = "", done: int = 5 << 40) -> SubTask:
    return SubTask(
        sub_task_id=name, flow_id="df", task_id="t", source=name, target=name, status=SubTaskStatus.RUNNING, progress=0.5,
        bytes_total=1023 << 40, bytes_done=done, bytes_moved=0, average_speed=1023 << 20, error=error,
    )  # fmt: skip


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50), (60, 10), (100, 8)])
def test_no_line_is_wider_than_the_terminal(columns: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "penstock.cli.display.Console", lambda **_: Console(width=columns, height=rows, file=io.StringIO())
    )
    live = Live()
    tally = Tally(lambda: 0.0)
    for _ in range(1_234_567):
        tally.found += 1
    moving = [*map(seen, NAMES), seen("waits", error="StoreThrottled: it asks to slow down", done=0)]
    live.progress(tally, moving, 5 << 50, 1023 << 50)
    console = Console(width=columns, height=rows, file=io.StringIO())
    console.print(live._drawn)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert 2 <= len(lines) <= min(7, rows - 4)
    assert all(cell_len(line) <= columns - SPARE_CELLS for line in lines)
    assert not any(letter in line for line in lines for letter in "\x1b\n")
    if rows > 20:
        assert "StoreThrottled" in lines[-1]
        assert "…" in lines[1]


@given(st.text(), st.integers(3, 60))
def test_a_shortened_text_fits(text: str, cells: int) -> None:
    short = shortened(text, cells)
    assert cell_len(short) <= cells
    assert short == text or "…" in short
    assert cell_len(padded(text, cells)) == cells


def test_the_end_of_a_path_is_kept() -> None:
    assert shortened("experiments/2026/run-7/step-000100.pt", 24) == "experime…/step-000100.pt"


def test_amounts_and_times_are_short() -> None:
    assert amount(0, None) == "0 B"
    assert amount(3, 7) == "3/7 B"
    assert amount(1 << 20, 3 << 30) == "0.0/3.0 GiB"
    assert remaining(0, 100, 0) == ""
    assert remaining(40, 100, 1) == "1:00"
    assert remaining(0, 3600 * 30, 1) == "30h00m"
