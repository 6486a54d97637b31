"""Are the statements portable, complete, and answered by the right indexes?"""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import penstock.catalog
from penstock.catalog import schema_versions, statements
from penstock.catalog.database import Dialect
from penstock.catalog.session import lists, portions
from penstock.catalog.sqlite import DIALECT, SqliteConnection
from penstock.catalog.statements import Statement, load, parse

ROOM = Path(penstock.catalog.__file__).parent
STATEMENTS = load(DIALECT)
NUMBER = re.compile(r"\?(\d+)")
# LIKE folds case differently everywhere; the others are one vendor's.
FORBIDDEN = re.compile(
    r"\b(I?LIKE|GLOB|AUTOINCREMENT|SERIAL|now\(|random\(|strftime|datetime|CURRENT_TIMESTAMP|json_\w+|rowid|IFNULL|"
    r"REPLACE|GREATEST|LEAST|printf|instr|NULLS)\b",
    re.IGNORECASE,
)
SMALL_TABLES = {
    "data_flows",
    "refreshes",
    "leases",
    "report_key",
    "nonce_turn",
    "last_number",
    "openings",
    "file_systems",
    "buckets",
    "counting",
}
"""Tables of tens of rows: read whole without harm."""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """An empty ledger."""
    path = tmp_path_factory.mktemp("ledger") / "catalog.db"
    connection = SqliteConnection(path, busy_wait_s=1)
    schema_versions.migrate(connection, DIALECT, schema_versions.LEDGER)
    connection.close()
    raw = sqlite3.connect(path)
    yield raw
    raw.close()


def plan(ledger: sqlite3.Connection, statement: Statement) -> list[str]:
    """The lines of SQLite's plan."""
    text = statement.for_size(4)
    count = max(map(int, NUMBER.findall(text)), default=0)
    return [row[3] for row in ledger.execute(f"EXPLAIN QUERY PLAN {text}", (1,) * count)]


@pytest.mark.parametrize("name", STATEMENTS)
def test_large_tables_are_searched_and_never_scanned_or_sorted(ledger: sqlite3.Connection, name: str) -> None:
    for line in plan(ledger, STATEMENTS[name]):
        scanned = re.match(r"SCAN (\w+)", line)
        if scanned and not re.match(r"SCAN (\d+ )?CONSTANT ROWS?", line):
            assert scanned[1] in {*SMALL_TABLES, "ring", "names", "claimable", "told", "counted"}, line
        assert "AUTOMATIC" not in line
        if "TEMP B-TREE" in line:  # grouping or sorting a handful of rows that were found by key
            assert name in {"sub_tasks.behind", "data_flows.watched"}, line


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("sub_tasks.page_of_data_flow", "sub_tasks_of_data_flow (data_flow_number=? AND number<?)"),
        ("sub_tasks.page_by_status", "sub_tasks_by_status (data_flow_number=? AND status=? AND number<?)"),
        ("sub_tasks.page_of_task", "sub_tasks_of_task (task_number=? AND status=? AND number<?)"),
        ("sub_tasks.page_by_source", "sub_tasks_by_source (data_flow_number=? AND <expr>=? AND source_digest=?"),
        ("sub_tasks.page_by_target", "sub_tasks_by_target (data_flow_number=? AND <expr>=? AND target_digest=?"),
        ("sub_tasks.oldest_waiting", "sub_tasks_by_status (data_flow_number=? AND status=?)"),
        ("sub_tasks.ended_before", "sub_tasks_ended (ended_ns>? AND ended_ns<?)"),
        ("sub_tasks.firsts", "sub_tasks_first (line=?)"),
        ("sub_tasks.behind", "sub_tasks_behind (line=?)"),
        ("tasks.page_of_data_flow", "tasks_of_data_flow (data_flow_number=? AND number<?)"),
        ("tasks.page_by_status", "tasks_by_status (data_flow_number=? AND status=? AND number<?)"),
        ("data_flows.in_transition", "data_flows_due (due_ns>? AND due_ns<?)"),
        ("data_flows.next_transition", "data_flows_due (due_ns>?)"),
        ("tasks.in_transition", "tasks_due (due_ns>? AND due_ns<?)"),
        ("tasks.next_transition", "tasks_due (due_ns>?)"),
        ("claims.claim", "sub_tasks_queued (queue=? AND data_flow_number=? AND task_number=? AND due_ns<?)"),
        ("claims.wake", "sub_tasks_unanswered (data_flow_number=? AND due_ns>?)"),
        ("claims.without_room", "sub_tasks_without_room (data_flow_number=?)"),
        ("claims.without_room", "sub_tasks_without_room (data_flow_number=? AND task_number>?)"),
        ("claims.without_room", "sub_tasks_without_room (data_flow_number=? AND task_number=? AND due_ns>?)"),
        ("claims.wake_for_room", "sub_tasks_without_room (data_flow_number=? AND task_number=? AND due_ns>?)"),
        ("claims.wake_left", "sub_tasks_queued (queue=? AND data_flow_number=?)"),
        ("claims.next_tasks", "sub_tasks_queued (queue=? AND data_flow_number=? AND task_number>?)"),
        ("claims.queues", "sub_tasks_queued (queue=? AND data_flow_number>?)"),
        ("claims.next_due", "sub_tasks_due (due_ns>?)"),
        ("claims.release", "sub_tasks_owned (owner=?)"),
        ("claims.canceling", "sub_tasks_owned (owner=? AND status=?)"),
        ("reading.older_of_data_flow", "sub_tasks_of_data_flow (data_flow_number=? AND number>? AND number<?)"),
        ("reading.newer_of_data_flow", "sub_tasks_of_data_flow (data_flow_number=? AND number>? AND number<?)"),
        ("reading.older_by_status", "sub_tasks_by_status (data_flow_number=? AND status=? AND number>? AND number<?)"),
        ("reading.newer_by_status", "sub_tasks_by_status (data_flow_number=? AND status=? AND number>? AND number<?)"),
        ("reading.older_of_task", "sub_tasks_of_task (task_number=? AND status=? AND number>? AND number<?)"),
        ("reading.newer_of_task", "sub_tasks_of_task (task_number=? AND status=? AND number>? AND number<?)"),
        ("reading.from_source", "sub_tasks_by_source (data_flow_number=? AND <expr>>? AND <expr><?)"),
        ("reading.to_target", "sub_tasks_by_target (data_flow_number=? AND <expr>>? AND <expr><?)"),
        ("reading.due_before", "sub_tasks_queued (queue=? AND data_flow_number=? AND task_number=? AND due_ns<?)"),
        (
            "reading.made_before",
            "sub_tasks_queued (queue=? AND data_flow_number=? AND task_number=? AND due_ns=? AND number<?)",
        ),
        ("reading.standing", "sub_tasks_queued (queue=? AND data_flow_number=?)"),
        ("sub_tasks.oldest_waiting_of_all", "sub_tasks_by_status (data_flow_number=? AND status=?)"),
        ("sub_tasks.oldest_waiting_of_all", "sub_tasks_queued (queue=? AND data_flow_number=? AND task_number=?"),
        ("reading.first_at", "sub_tasks_first (line=?)"),
        ("reading.behind_before", "sub_tasks_behind (line=? AND number<?)"),
        ("reading.last_ended", "sub_tasks_ended (ended_ns>?)"),
        ("happenings.lately", "happenings_lately (data_flow_number=? AND last_ns>?)"),
        ("happenings.rescue", "sub_tasks_owned (owner=?)"),
        ("counts.hours", "flow_hours_1 (hour_ns>?)"),
        ("calls.token", "client_tokens_by_key (access_key_id=? AND client_token=?)"),
    ],
)
def test_the_hot_ones_go_by_their_index(ledger: sqlite3.Connection, name: str, index: str) -> None:
    assert any(index in line for line in plan(ledger, STATEMENTS[name])), plan(ledger, STATEMENTS[name])


@pytest.mark.parametrize("name", STATEMENTS)
def test_it_says_what_it_does_and_uses_no_vendors_words(name: str) -> None:
    statement = STATEMENTS[name]
    assert len(statement.comment) > 10
    assert not FORBIDDEN.search(re.sub(r"'[^']*'", "''", statement.text)), name
    assert "{" not in statement.for_size(2)
    assert statement.text.count(";") == 0


def test_the_schema_is_portable_and_compares_bytes() -> None:
    strange = Dialect(number_key="NUMBER KEY", bytewise="BYTEWISE", for_update="", skip_locked="", parameter="?")
    for versions in (schema_versions.LEDGER, schema_versions.NONCES):
        for _, text in schema_versions.files(versions):
            filled = statements.fill(text, strange)
            assert "{" not in filled
            assert not FORBIDDEN.search(filled)
            for line in filled.splitlines():
                if "TEXT" in line and "PRIMARY KEY" in line:
                    assert "BYTEWISE" in line


def test_the_versions_are_consecutive() -> None:
    versions = [version for version, _ in schema_versions.files(schema_versions.LEDGER)]
    assert versions == list(range(1, len(versions) + 1))


def named_in_code() -> set[str]:
    """Every text in the room's modules that has the shape of a statement's name."""
    found: set[str] = set()
    for module in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= {node.value} & STATEMENTS.keys()
            if isinstance(node, ast.JoinedStr):
                head = node.values[0]
                if isinstance(head, ast.Constant) and isinstance(head.value, str) and head.value:
                    found |= {name for name in STATEMENTS if name.startswith(head.value)}
    return found


def test_every_statement_is_used() -> None:
    assert named_in_code() == set(STATEMENTS)


def test_parsing_takes_names_comments_and_texts_apart() -> None:
    source = "-- not a head\n-- one: the first\nSELECT 1;\n\n-- two: the second\nSELECT 2\n WHERE 1 = :one;\n"
    assert [(s.name, s.comment, s.text) for s in parse("noun", source)] == [
        ("noun.one", "the first", "SELECT 1"),
        ("noun.two", "the second", "SELECT 2\n WHERE 1 = ?1"),
    ]


def test_lists_and_rows_grow_to_the_size_asked_for() -> None:
    added = Statement("n.s", "", "INSERT INTO t (a, b, c) VALUES {rows (:a, :b + :a, :now)} -- :now", "$")
    assert added.for_size(2) == "INSERT INTO t (a, b, c) VALUES ($2, $3 + $2, $4),\n($5, $6 + $5, $7) -- $1"
    assert added.values({"now": 9}) == [9]
    assert added.row_names == ("a", "b", "now")
    listed = Statement("n.s", "", "SELECT a FROM t WHERE a IN ({list numbers}) AND b = :b AND c > :b")
    assert listed.for_size(3) == "SELECT a FROM t WHERE a IN (?2, ?3, ?4) AND b = ?1 AND c > ?1"
    single = Statement("n.s", "", "INSERT INTO t (a) VALUES {rows (:a)}")
    assert single.for_size(2) == "INSERT INTO t (a) VALUES (?1),\n(?2)"


def test_runs_have_few_lengths_and_leave_nothing_out() -> None:
    for count in range(200):
        items = list(range(count))
        runs, padded = list(portions(items)), list(lists(items))
        assert [item for run in runs for item in run] == items
        assert {item for run in padded for item in run} == set(items)
        assert {len(run) for run in (*runs, *padded)} <= {1, 2, 4, 8, 16, 32, 64}
