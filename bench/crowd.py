"""Many finished sub-tasks in the catalog of a stopped service: copies of rows that real imports left there.

The catalog's own verbs would make about 10,000 of them a second, and each file would have to be moved; SQL makes the same rows
ten times as fast. Only what tells rows apart is made anew: number, id, paths with their digests, times. Nothing else in the
benchmarks looks inside Penstock.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.catalog import identifiers, rows

GAP_NS = 100
BATCH = 200_000
CACHE_KIB = 512 << 10
DIGITS = "-%010d"
FAILED_OF = 4
"""One row in so many has failed; the others are complete."""

MADE = {
    "number": ":base + i * :gap",
    "sub_task_id": "sub_task_id(:base + i * :gap)",
    "line": f"t.line || printf('{DIGITS}', i)",
    "source": f"t.source || printf('{DIGITS}', i)",
    "source_digest": f"digest(t.source || printf('{DIGITS}', i))",
    "target": f"t.target || printf('{DIGITS}', i)",
    "target_digest": f"digest(t.target || printf('{DIGITS}', i))",
    "created_ns": ":base + i * :gap",
    "started_ns": ":base + i * :gap + t.started_ns - t.created_ns",
    "ended_ns": ":base + i * :gap + t.ended_ns - t.created_ns",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A stream with one sub-task that is COMPLETE and one that is FAILED; their ids and full paths."""

    task_id: str
    complete_id: str
    complete_paths: tuple[str, str]
    failed_id: str
    failed_paths: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One of the rows that were made."""

    sub_task_id: str
    source: str
    target: str


class Crowd:
    """The rows of one catalog. Rows alternate among the models; every fourth of each is one that FAILED."""

    def __init__(self, catalog: Path, models: Sequence[Model]) -> None:
        self._catalog = catalog
        self._models = models
        self._spans: list[tuple[int, int, int]] = []  # first index, end, base
        self.count = 0

    def grow(self, count: int) -> None:
        """Adds rows until there are `count`. The service must be stopped."""
        raw = sqlite3.connect(self._catalog, isolation_level=None)
        try:
            raw.create_function("digest", 1, rows.path_digest, deterministic=True)
            raw.create_function("sub_task_id", 1, _sub_task_id, deterministic=True)
            for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{CACHE_KIB}"):
                raw.execute(f"PRAGMA {pragma}").fetchall()
            columns = [row[1] for row in raw.execute("PRAGMA table_info(sub_tasks)")]
            self._set_models(raw)
            while self.count < count:
                self._add(raw, columns, min(BATCH, count - self.count))
            raw.execute("PRAGMA journal_mode=WAL").fetchall()
        finally:
            raw.close()

    def picked(self, count: int) -> list[Known]:
        """Some of them, from all over, the same ones each time."""
        chance = random.Random(7)  # noqa: S311  (a sample, no secret)
        return [self._known(chance.randrange(self.count)) for _ in range(count)]

    def _known(self, index: int) -> Known:
        base = next(base for begin, end, base in self._spans if begin <= index < end)
        model = self._models[index % len(self._models)]
        is_failed = index // len(self._models) % FAILED_OF == FAILED_OF - 1
        source, target = model.failed_paths if is_failed else model.complete_paths
        tail = DIGITS % index
        return Known(sub_task_id=_sub_task_id(base + index * GAP_NS), source=source + tail, target=target + tail)

    def _set_models(self, raw: sqlite3.Connection) -> None:
        """The rows to copy, numbered as `_add` asks for them: a model's complete one, then its failed one."""
        ids = [each for model in self._models for each in (model.complete_id, model.failed_id)]
        raw.execute("CREATE TEMP TABLE models AS SELECT 0 AS place, * FROM sub_tasks WHERE 0")
        for place, each in enumerate(ids):
            sought = "INSERT INTO models SELECT ?, * FROM sub_tasks WHERE sub_task_id = ?"
            if raw.execute(sought, (place, each)).rowcount != 1:
                raise LookupError(f"the catalog lacks {each}")

    def _add(self, raw: sqlite3.Connection, columns: Sequence[str], count: int) -> None:
        newest = raw.execute("SELECT MAX(number) FROM sub_tasks").fetchone()[0]
        base = newest + GAP_NS - self.count * GAP_NS
        taken = ", ".join(MADE.get(column, f"t.{column}") for column in columns)
        streams = len(self._models)
        is_failed = f"(i / {streams} % {FAILED_OF} = {FAILED_OF - 1})"
        raw.execute("BEGIN")
        raw.execute(
            f"WITH RECURSIVE series(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM series WHERE i + 1 < :end) "  # noqa: S608
            f"INSERT INTO sub_tasks ({', '.join(columns)}) SELECT {taken} FROM series CROSS JOIN models t "
            f"ON t.place = i % {streams} * 2 + {is_failed}",
            {"first": self.count, "end": self.count + count, "base": base, "gap": GAP_NS},
        )
        raw.execute("COMMIT")
        self._spans.append((self.count, self.count + count, base))
        self.count += count


def _sub_task_id(number: int) -> str:
    """An id as the catalog makes it; its chance is none, so that it can be made again."""
    return identifiers.sub_task_ids(number, 1, number.to_bytes(8, "big")[-identifiers.CHANCE_BYTES :])[0]
