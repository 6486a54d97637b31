"""What stands in which column of the tables that are not about moving files. A table of tables, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.scenarios.scenario import Row

MIB = 1 << 20

Column = tuple[str, str, float, str]
"""Heading, key, factor (0: it is text), format."""


def cells_of(columns: Sequence[Column], row: Row) -> list[str]:
    """One row as text; a figure that was not measured then is left out."""
    return [_cell(row.get(key, ""), factor, form) for _, key, factor, form in columns]


def _cell(value: Any, factor: float, form: str) -> str:
    return str(value) if not factor or value == "" else format(value * factor, form)


TABLES: Sequence[tuple[str, str, Sequence[Column]]] = (
    (
        "requests",
        "Requests: a lean client, a fresh nonce each",
        (
            ("", "what", 0, ""),
            ("waiting before", "waiting", 1, ",.0f"),
            ("connections", "connections", 1, ".0f"),
            ("calls", "calls", 1, ",.0f"),
            ("a second", "per_second", 1, ",.0f"),
            ("p50 ms", "p50_s", 1e3, ".1f"),
            ("p99 ms", "p99_s", 1e3, ".1f"),
            ("CPU µs each", "cpu_s_per_call", 1e6, ".0f"),
        ),
    ),
    (
        "latency",
        "From idle to COMPLETE: one import of 4 KiB",
        (
            ("samples", "samples", 1, ".0f"),
            ("COMPLETE p50 ms", "complete_p50_s", 1e3, ".1f"),
            ("p95 ms", "complete_p95_s", 1e3, ".1f"),
            ("create p50 ms", "create_p50_s", 1e3, ".1f"),
            ("fdatasync p50 ms", "fdatasync_p50_s", 1e3, ".2f"),
            ("store p50 ms", "store_p50_s", 1e3, ".2f"),
            ("fdatasyncs besides the store", "fdatasyncs_p50", 1, ".1f"),
        ),
    ),
    (
        "fairness",
        "A new 4 KiB import while ten large ones run",
        (
            ("what", "what", 0, ""),
            ("run", "run", 1, ".0f"),
            ("samples", "samples", 1, ".0f"),
            ("COMPLETE p50 ms", "p50_s", 1e3, ".0f"),
            ("p95 ms", "p95_s", 1e3, ".0f"),
            ("create p50 ms", "create_p50_s", 1e3, ".0f"),
            ("a bare publish p50 ms", "bare_p50_s", 1e3, ".0f"),
            ("p95 ms", "bare_p95_s", 1e3, ".0f"),
            ("large imports", "imports", 1, ".0f"),
            ("of them moved meanwhile", "moving", 1, ".0f"),
            ("GiB each", "import_bytes", 1 / (1 << 30), ",.0f"),
            ("MiB/s meanwhile", "bytes_per_s", 1 / MIB, ",.0f"),
        ),
    ),
    (
        "memory",
        "Memory (PSS; processes of one kind: the largest)",
        (
            ("when", "when", 0, ""),
            ("process", "process", 0, ""),
            ("MiB", "pss_bytes", 1 / MIB, ".0f"),
        ),
    ),
    (
        "pages",
        "A page of DescribeDataFlowSubTasks as the catalog grows (one connection, the whole call)",
        (
            ("rows", "rows", 1, ",.0f"),
            ("filter", "filter", 0, ""),
            ("page", "page", 0, ""),
            ("sub-tasks on it", "answered", 1, ".0f"),
            ("p50 ms", "p50_s", 1e3, ".2f"),
            ("p99 ms", "p99_s", 1e3, ".2f"),
            ("against the smallest", "ratio", 1, ".2f"),
        ),
    ),
    (
        "growth",
        "Cost of a sub-task (create, claim, move 4 KiB, settle) as the catalog grows",
        (
            ("rows", "rows", 1, ",.0f"),
            ("files", "files", 1, ",.0f"),
            ("files a second", "per_second", 1, ",.0f"),
            ("CPU µs a file", "cpu_s_per_file", 1e6, ",.0f"),
            ("against the smallest", "ratio", 1, ".2f"),
        ),
    ),
    (
        "slow-calls",
        "4 KiB files on a file system each of whose calls takes its time",
        (
            ("a call takes ms", "delay_s", 1e3, ".1f"),
            ("what", "name", 0, ""),
            ("runs", "runs", 1, ".0f"),
            ("files a second", "files_per_s", 1, ",.0f"),
            ("against Penstock, bulk door", "ratio", 1, ".2f"),
            ("CPU µs a file", "cpu_s_per_file", 1e6, ",.0f"),
            ("calls a file", "calls_per_file", 1, ".1f"),
            ("memory MiB", "memory_bytes", 1 / MIB, ".0f"),
        ),
    ),
    (
        "slow-neighbour",
        "One 4 KiB import after the other to a disk, while six at a time go to a slow file system of the same service",
        (
            ("a call there takes", "delay", 0, ""),
            ("samples", "samples", 1, ".0f"),
            ("COMPLETE p50 ms", "p50_s", 1e3, ",.0f"),
            ("p95 ms", "p95_s", 1e3, ",.0f"),
            ("longest ms", "worst_s", 1e3, ",.0f"),
            ("moved there meanwhile", "moved_there", 1, ",.0f"),
        ),
    ),
    (
        "profile",
        "Where the time goes: CPU by process, and samples of py-spy (those within a call of the kernel may wait)",
        (
            ("process", "process", 0, ""),
            ("where", "where", 0, ""),
            ("share", "share", 100, ".1f"),
            ("most of it in", "functions", 0, ""),
        ),
    ),
)
