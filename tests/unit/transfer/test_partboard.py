"""Does a board say which parts wait, move and are there, in few signs however many there are?"""

from __future__ import annotations

import pytest

from penstock.model import Direction
from penstock.transfer.partboard import CELLS_MAX, PartBoard
from penstock.transfer.transfer import Progress, Verdict
from tests.fixtures.gate import Gate, RecordingHooks, transfer
from tests.fixtures.memorystore import MemoryStore
from tests.fixtures.objects import put_object


def board(parts: int) -> PartBoard:
    return PartBoard(parts=parts, part_size_bytes=16)


def test_each_part_of_a_few_has_a_cell_of_its_own() -> None:
    few = board(5)
    assert few.cells() == "....."
    few.begin(1)
    few.end(1)
    few.begin(3)
    few.begin(4)
    few.give_up(4)
    assert (few.cells(), few.parts, few.done, few.moving) == ("#.>..", 5, 1, 1)


@pytest.mark.parametrize("parts", [CELLS_MAX - 1, CELLS_MAX, CELLS_MAX + 1, 10_000])
def test_many_share_cells_in_order_and_none_is_left_out(parts: int) -> None:
    many = board(parts)
    width = min(parts, CELLS_MAX)
    for number in range(1, parts // 2 + 1):
        many.begin(number)
        many.end(number)
    cells = many.cells()
    assert len(cells) == width
    assert cells.rstrip(".").rstrip(">") == "#" * (width // 2)
    assert cells.count(">") <= 1
    for number in range(1, parts + 1):
        many.end(number)
    assert many.cells() == "#" * width
    many.give_up(parts)
    assert many.cells()[-1] in ".>"


def test_a_file_without_parts_has_no_cells() -> None:
    assert board(0).cells() == ""


@pytest.mark.parametrize("direction", Direction)
def test_a_large_file_notes_its_parts_while_they_move(gate: Gate, direction: Direction) -> None:
    hooks = RecordingHooks()
    seen: list[str] = []

    def look(_: Progress) -> None:
        seen.append(hooks.boards[-1].cells())

    hooks.on_progress = look
    data = bytes(range(256)) * 4096
    store = MemoryStore(bucket="memory")
    if direction is Direction.IMPORT:
        put_object(store, "in/data.bin", data)
    else:
        gate.target.write_bytes(data)
    outcome = gate.move(transfer(direction), store, hooks=hooks)
    assert outcome.verdict is Verdict.COMPLETE, outcome
    (only,) = hooks.boards
    assert only.parts > 4
    assert only.cells() == "#" * only.parts
    assert any(">" in cells for cells in seen)
    assert any("#" in cells and "." in cells for cells in seen)
