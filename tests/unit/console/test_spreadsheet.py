"""Is the list as CSV whole, and does no name in it become a formula?"""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.console.spreadsheet import COLUMNS, head, line, lines
from penstock.model import FileDetail
from tests.unit.console.things import sub_task


def read(raw: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw.decode(), newline="")))


def test_a_line_has_what_its_columns_say() -> None:
    (found,) = read(head() + lines([line(sub_task(), "export")]))
    assert list(found) == list(COLUMNS)
    assert found["sub_task_id"] == "subtask-1"
    assert found["direction"] == "export"
    assert found["bytes_total"] == "2048"
    assert found["checksum"] == "crc64:12345678901234567890"
    assert found["created"] == "2023-11-14T22:13:20.123456789Z"


def test_what_has_not_happened_is_empty() -> None:
    (found,) = read(head() + lines([line(sub_task(started_ns=None, ended_ns=None, detail=None), "export")]))
    assert (found["started"], found["ended"], found["checksum"], found["source_modified"]) == ("", "", "", "")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "  =1", "\u3000=1", "\n=1"])
def test_no_text_from_outside_begins_a_formula(text: str) -> None:
    (found,) = read(head() + lines([line(sub_task(error_message=text, note=text), "export")]))
    assert found["error_message"] == f"'{text}"
    assert found["note"] == f"'{text}"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_name_stays_in_its_cell(name: str) -> None:
    (found,) = read(head() + lines([line(sub_task(source=f"/{name}"), "import")]))
    assert found["source"] == f"/{name}"
    assert found["task_id"] == "task-1"


@pytest.mark.parametrize("time_ns", [-(1 << 63), -1, (1 << 63) - 1])
def test_a_source_may_be_of_any_time(time_ns: int) -> None:
    detail = FileDetail(modify_time_ns=time_ns, size_bytes=1)
    (found,) = read(head() + lines([line(sub_task(detail=detail), "import")]))
    assert found["source_modified"]
