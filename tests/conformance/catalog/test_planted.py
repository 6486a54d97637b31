"""Would the machine find a fault? Some are planted, one at a time, and each has to be found within the machine's budget.

All of them, which takes a larger one:
PENSTOCK_MACHINE_SEED=1 PENSTOCK_MACHINE_EXAMPLES=300 make test PYTEST_ARGS=tests/conformance/catalog/test_planted.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import Phase, settings

from penstock.catalog import bulk, calls, catalog, claims, counting, pages, settling, subtasks, upkeep
from tests.conformance.catalog.test_machine import ORDINARY, SEED, run
from tests.fixtures.ledgerdisk import SqliteDisk
from tests.fixtures.planting import plant, plant_sql

UNTIL_FOUND = settings(ORDINARY, phases=[Phase.generate], report_multiple_bugs=False, print_blob=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What stands there, and what stands there instead; without a module it is a statement's text."""

    module: ModuleType | None = None
    right: str
    wrong: str


FAULTS = {
    "an attempt that was handed on is settled": Fault(
        module=settling, right="if attempt != settlement.attempt:", wrong="if False:"
    ),
    "a late checkpoint counts": Fault(
        right="sub_task_id = :sub_task_id AND attempt = :attempt AND owner <> ''",
        wrong="sub_task_id = :sub_task_id AND :attempt = :attempt AND owner <> ''",
    ),
    "counters are not written": Fault(module=counting, right="if any(counters.values()):", wrong="if False:"),
    "what ended is counted for one task only": Fault(
        module=counting, right="    if not changed:", wrong="    if len(changed) != 1:"
    ),
    "bytes are counted the wrong way": Fault(
        module=counting,
        right='"bytes_in" if importing[task] else "bytes_out"',
        wrong='"bytes_out" if importing[task] else "bytes_in"',
    ),
    "waiting sub-tasks are counted once and for all": Fault(
        module=counting, right="            if change:", wrong="            if change > 0:"
    ),
    "a ClientToken is not looked at": Fault(
        module=calls, right="if call.client_token else _rehearsed", wrong="if False else _rehearsed"
    ),
    "a ClientToken is not kept in company": Fault(module=subtasks, right="if c.call.client_token]", wrong="if False]"),
    "other parameters are not seen": Fault(
        module=calls, right='if known["fingerprint"] != _fingerprint(call):', wrong="if False:"
    ),
    "a nonce may be used twice": Fault(module=calls, right="    if call.nonce:", wrong="    if False:"),
    "a rehearsal is kept": Fault(
        module=calls,
        right="    result = verb()\n    if call.mode is CallMode.DRY_RUN:\n",
        wrong="    result = verb()\n    if False:\n",
    ),
    "who stands behind is forgotten": Fault(
        module=subtasks, right='if session.rows("sub_tasks.any_behind"):', wrong="if False:"
    ),
    "who stands behind a canceled one is forgotten": Fault(
        module=subtasks, right='if row["turn"] == _FIRST:', wrong="if False:"
    ),
    "nobody is told of what steps up": Fault(
        module=subtasks,
        right='number=row["number"]):\n            session.ring()',
        wrong='number=row["number"]):\n            pass',
    ),
    "nobody is told of rescued work": Fault(
        module=claims, right="    if freed:\n        session.ring()", wrong="    pass"
    ),
    "a settled end is not synced": Fault(
        module=catalog,
        right="settling.settle(session, settlements)) if",
        wrong="settling.settle(session, settlements), _UNSYNCED_WORK) if",
    ),
    "what was forgotten is canceled unlooked at": Fault(
        right="AND (turn = 2 OR number > (SELECT in_doubt FROM openings))", wrong=""
    ),
    "what was forgotten was never begun": Fault(
        right="begun = CASE WHEN attempt = 0 AND number <= (SELECT in_doubt FROM openings) THEN 1 ELSE begun END",
        wrong="begun = begun",
    ),
    "of whom nothing was heard has not begun": Fault(right="due_ns = 0, begun = 1,", wrong="due_ns = 0,"),
    "a checkpoint is not synced": Fault(
        module=catalog,
        right="settling.checkpoint(session, sub_task_id, attempt, record))",
        wrong="settling.checkpoint(session, sub_task_id, attempt, record), _UNSYNCED_WORK)",
    ),
    "a call is not synced": Fault(
        module=catalog,
        right="self._hands.writer, _WORK, guarded)",
        wrong="self._hands.writer, _UNSYNCED_WORK, guarded)",
    ),
    "a failure is not counted": Fault(
        module=settling, right="failures=int(settlement.settling is Settling.RETRY)", wrong="failures=0"
    ),
    "progress goes back": Fault(
        module=settling, right='never_back = row["progress_attempt"] == update.attempt', wrong="never_back = False"
    ),
    "a cancel finds nobody": Fault(
        right="queue = CASE WHEN owner = '' THEN 'clear' ELSE '' END, due_ns = 0", wrong="due_ns = 0"
    ),
    "a stopped dataflow's work is claimed": Fault(
        right="(SELECT number FROM data_flows WHERE status IN ({when data_flow.work})));",
        wrong="(SELECT number FROM data_flows));",
    ),
    "a closed stream takes files": Fault(right="status IN ({when task.take}) AND action IN", wrong="action IN"),
    "pauses count as waiting": Fault(
        module=upkeep, right='- flow["stopped_ns"] - pause_ns', wrong='- flow["stopped_ns"]'
    ),
    "what waits for tidying is removed": Fault(
        right="ended_ns < :before_ns AND tidy = 0", wrong="ended_ns < :before_ns"
    ),
    "a page leaves one out": Fault(
        module=pages,
        right="return Page(items=tuple(items), next_token=write_token(last, query))\n                items",
        wrong="return Page(items=tuple(items), next_token=write_token(number, query))\n                items",
    ),
    "a place stays empty": Fault(
        module=bulk,
        right='places = waiting_max - int(flow["waiting"])',
        wrong='places = waiting_max - int(flow["waiting"]) - 1',
    ),
}

ALWAYS = (
    "an attempt that was handed on is settled",
    "counters are not written",
    "a ClientToken is not looked at",
    "a ClientToken is not kept in company",
    "who stands behind is forgotten",
    "a settled end is not synced",
    "a page leaves one out",
)
"""Found among the first examples; the others are planted when the machine runs for longer."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FAULTS if SEED else ALWAYS)
def test_a_planted_fault_is_found(
    name: str, disks: Callable[[Path], SqliteDisk], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = FAULTS[name]
    if fault.module is None:
        plant_sql(monkeypatch, fault.right, fault.wrong)
    else:
        plant(monkeypatch, fault.module, fault.right, fault.wrong)
    with pytest.raises(BaseException) as found:  # an assertion, or whatever else the fault has broken
        run(disks, UNTIL_FOUND)
    print(found.typename, found.value)
