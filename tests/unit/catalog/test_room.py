"""Does a look at a place without room, or a bucket's return, take the same work however many files wait, there and elsewhere?"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from penstock.catalog import schema_versions
from penstock.catalog.sqlite import DIALECT, SqliteConnection
from penstock.catalog.statements import load
from penstock.errors import FailureCode
from tests.fixtures.sqlsteps import counted_steps

STATEMENTS = load(DIALECT)
NOW_NS = 1_000
CODES = ", ".join(
    f"'{code}'" for code in (FailureCode.NO_SPACE, FailureCode.READ_ONLY, FailureCode.FILE_SYSTEM_UNAVAILABLE)
)
WAITING = (FailureCode.NO_SPACE, FailureCode.READ_ONLY, FailureCode.STORE_UNAVAILABLE)
"""Of each dataflow's tasks; that one of it waits for a silent store."""
Ask = Callable[[str, Mapping[str, str | int]], tuple[list[tuple[str | int, ...]], int]]


def fill(ledger: sqlite3.Connection, table: str, **values: str | int) -> None:
    """A row; what is not given is 0 or ''."""
    columns = {row[1]: row[2] for row in ledger.execute(f"PRAGMA table_info({table})")}
    row = {name: values.get(name, "" if kind == "TEXT" else 0) for name, kind in columns.items()}
    ledger.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", list(row.values()))


def wait(ledger: sqlite3.Connection, count: int) -> None:
    """Two dataflows, "fs1" with bucket "b1" and so on, with three tasks each, of which so many files each wait."""
    number = 0
    for flow in (1, 2, 3):
        fill(
            ledger, "data_flows", number=flow, data_flow_id=f"df-{flow}", file_system_id=f"fs{flow}", bucket=f"b{flow}"
        )
        for place, code in enumerate(WAITING if flow < 3 else ()):
            task = 10 * flow + place
            fill(ledger, "tasks", number=task, task_id=f"task-{task}", data_flow_number=flow, action="StreamImport")
            for _ in range(count):
                number += 1
                fill(
                    ledger, "sub_tasks", number=number, data_flow_number=flow, task_number=task, status="RUNNING",
                    queue="small-again", turn=1, line=str(number), due_ns=NOW_NS + number, error_code=code,
                )  # fmt: skip
    ledger.commit()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[int], Ask]]:
    """A ledger in which so many wait; asked by a statement's name it answers the rows, and the steps that took."""
    ledgers: list[sqlite3.Connection] = []

    def open_one(count: int) -> Ask:
        path = tmp_path / f"{count}.db"
        connection = SqliteConnection(path, busy_wait_s=1)
        schema_versions.migrate(connection, DIALECT, schema_versions.LEDGER)
        connection.close()
        ledger = sqlite3.connect(path)
        ledgers.append(ledger)
        wait(ledger, count)
        return lambda name, values: ask(ledger, name, values)

    yield open_one
    for ledger in ledgers:
        ledger.close()


def ask(
    ledger: sqlite3.Connection, name: str, values: Mapping[str, str | int]
) -> tuple[list[tuple[str | int, ...]], int]:
    statement = STATEMENTS[name]
    with counted_steps(ledger) as steps:
        rows = ledger.execute(statement.text, statement.values({"now_ns": NOW_NS, **values})).fetchall()
    return rows, steps.taken


@pytest.mark.parametrize(
    ("place", "tasks"),
    [
        (("fs1", ""), [10, 11]),
        (("", "b2"), [20, 21]),
        (("fs3", ""), []),
        (("none", ""), []),
        (("", ""), [10, 11, 20, 21]),
    ],
)
def test_the_tasks_that_wait_are_found_in_as_many_steps_however_many_files_wait(
    opened: Callable[[int], Ask], place: tuple[str, str], tasks: list[int]
) -> None:
    told = {"file_system_id": place[0], "bucket": place[1]}
    (few, few_steps), (many, many_steps) = (opened(count)("claims.without_room", told) for count in (3, 300))
    assert sorted(row[4] for row in few) == sorted(row[4] for row in many) == tasks
    assert many_steps == few_steps
    assert few_steps < 500


def test_a_few_are_made_due_in_as_many_steps_however_many_wait(opened: Callable[[int], Ask]) -> None:
    told = {"data_flow_number": 1, "task_number": 10, "limit": 2}
    few, many = (opened(count)("claims.wake_for_room", told)[1] for count in (3, 300))
    assert many == few


def test_the_index_is_of_what_waits_for_room() -> None:
    """Its codes stand in the schema, for all time; those of the engine are the same."""
    (text,) = (text for version, text in schema_versions.files(schema_versions.LEDGER) if version == 11)
    assert f"error_code IN ({CODES})" in text
    for name in ("claims.without_room", "claims.wake_for_room"):
        assert f"error_code IN ({CODES})" in STATEMENTS[name].text


@pytest.mark.parametrize("bucket", ["b1", "b3", "none"])
def test_a_bucket_that_is_back_wakes_a_few_in_as_many_steps_however_many_wait(
    opened: Callable[[int], Ask], bucket: str
) -> None:
    few, many = (opened(count)("claims.wake", {"bucket": bucket, "limit": 2})[1] for count in (3, 300))
    assert many == few


def test_the_index_is_of_what_waits_for_an_answer() -> None:
    (text,) = (text for version, text in schema_versions.files(schema_versions.LEDGER) if version == 12)
    codes = f"error_code IN ('{FailureCode.STORE_UNAVAILABLE}', '{FailureCode.STORE_THROTTLED}')"
    assert codes in text
    assert codes in STATEMENTS["claims.wake"].text
