"""The one table of states: every status a dataflow, task or sub-task can take, and each step between them.

The SQL statements take their `status IN (…)` lists and new statuses from here, docs/states.md is compared with it,
and nothing else decides what may follow what. This module calls nobody and holds no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from penstock.catalog.verbs import Settling
from penstock.model import STREAM_ACTIONS, DataFlowStatus, SubTaskStatus, TaskAction, TaskStatus


class Noun(StrEnum):
    """What has a status."""

    DATA_FLOW = "data_flow"
    TASK = "task"
    SUB_TASK = "sub_task"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One named step: from any of `before` (none: the thing comes into being) to `after`, because of `cause`."""

    name: str
    before: tuple[str, ...]
    after: str
    cause: str


_FLOW, _TASK, _SUB = DataFlowStatus, TaskStatus, SubTaskStatus

TRANSITIONS: Mapping[Noun, tuple[Step, ...]] = {
    Noun.DATA_FLOW: (
        Step(name="create", before=(), after=_FLOW.RUNNING, cause="CreateDataFlow"),
        Step(name="stop", before=(_FLOW.RUNNING, _FLOW.MISCONFIGURED), after=_FLOW.STOPPED, cause="StopDataFlow"),
        Step(name="start", before=(_FLOW.STOPPED,), after=_FLOW.RUNNING, cause="StartDataFlow"),
        Step(name="lose_source", before=(_FLOW.RUNNING,), after=_FLOW.MISCONFIGURED, cause="source unreachable"),
        Step(name="find_source", before=(_FLOW.MISCONFIGURED,), after=_FLOW.RUNNING, cause="source reachable again"),
        Step(
            name="delete",
            before=(_FLOW.RUNNING, _FLOW.MISCONFIGURED, _FLOW.STOPPED),
            after=_FLOW.DELETED,
            cause="DeleteDataFlow",
        ),
        # The same with transition_delay_s: the call leads into a transition, and time leads out of it.
        Step(name="create_slowly", before=(), after=_FLOW.STARTING, cause="CreateDataFlow with a delay"),
        Step(name="start_slowly", before=(_FLOW.STOPPED,), after=_FLOW.STARTING, cause="StartDataFlow with a delay"),
        Step(
            name="stop_slowly",
            before=(_FLOW.RUNNING, _FLOW.MISCONFIGURED),
            after=_FLOW.STOPPING,
            cause="StopDataFlow with a delay",
        ),
        Step(
            name="modify_slowly",
            before=(_FLOW.RUNNING, _FLOW.MISCONFIGURED),
            after=_FLOW.UPDATING,
            cause="ModifyDataFlow with a delay",
        ),
        Step(
            name="delete_slowly",
            before=(_FLOW.RUNNING, _FLOW.MISCONFIGURED, _FLOW.STOPPED),
            after=_FLOW.DELETING,
            cause="DeleteDataFlow with a delay",
        ),
        Step(
            name="become_running",
            before=(_FLOW.STARTING, _FLOW.UPDATING),
            after=_FLOW.RUNNING,
            cause="the delay is over",
        ),
        Step(
            name="become_misconfigured",
            before=(_FLOW.UPDATING,),
            after=_FLOW.MISCONFIGURED,
            cause="the delay is over, and it was so before",
        ),
        Step(name="become_stopped", before=(_FLOW.STOPPING,), after=_FLOW.STOPPED, cause="the delay is over"),
        Step(name="become_deleted", before=(_FLOW.DELETING,), after=_FLOW.DELETED, cause="the delay is over"),
    ),
    Noun.TASK: (
        Step(name="open", before=(), after=_TASK.EXECUTING, cause="CreateDataFlowTask, a stream"),
        Step(name="queue", before=(), after=_TASK.PENDING, cause="CreateDataFlowTask, a batch"),
        Step(name="cancel", before=(_TASK.PENDING, _TASK.EXECUTING), after=_TASK.CANCELED, cause="CancelDataFlowTask"),
        Step(name="open_slowly", before=(), after=_TASK.PENDING, cause="CreateDataFlowTask, a stream with a delay"),
        # A batch has an end of its own; one that has begun is withdrawn file by file.
        Step(name="begin", before=(_TASK.PENDING,), after=_TASK.EXECUTING, cause="a batch has a place"),
        Step(
            name="complete", before=(_TASK.EXECUTING,), after=_TASK.COMPLETED, cause="all that a batch listed is final"
        ),
        Step(name="fail", before=(_TASK.EXECUTING,), after=_TASK.FAILED, cause="a batch cannot be listed"),
        Step(
            name="withdraw",
            before=(_TASK.EXECUTING,),
            after=_TASK.CANCELING,
            cause="CancelDataFlowTask, a batch that has begun",
        ),
        Step(
            name="withdrawn", before=(_TASK.CANCELING,), after=_TASK.CANCELED, cause="nothing of a batch moves any more"
        ),
        Step(name="become_executing", before=(_TASK.PENDING,), after=_TASK.EXECUTING, cause="the delay is over"),
    ),
    Noun.SUB_TASK: (
        Step(name="create", before=(), after=_SUB.CREATED, cause="CreateDataFlowSubTask"),
        Step(name="claim", before=(_SUB.CREATED,), after=_SUB.RUNNING, cause="claimed by a mover"),
        Step(name="drop", before=(_SUB.CREATED,), after=_SUB.CANCELED, cause="CancelDataFlowSubTask"),
        Step(name="cancel", before=(_SUB.RUNNING,), after=_SUB.CANCELING, cause="CancelDataFlowSubTask"),
        Step(
            name="doubt",
            before=(_SUB.CREATED,),
            after=_SUB.CANCELING,
            cause="CancelDataFlowSubTask, a power cut may have forgotten that it was RUNNING",
        ),
        Step(name="expire", before=(_SUB.CREATED,), after=_SUB.EXPIRED, cause="not started in time"),
        Step(
            name="complete",
            before=(_SUB.RUNNING, _SUB.CANCELING),
            after=_SUB.COMPLETE,
            cause="published, or kept as the policy asks",
        ),
        Step(name="fail", before=(_SUB.RUNNING,), after=_SUB.FAILED, cause="cannot be moved"),
        Step(name="withdraw", before=(_SUB.CANCELING,), after=_SUB.CANCELED, cause="nothing is left behind"),
        Step(
            name="abandon",
            before=(_SUB.CANCELING,),
            after=_SUB.FAILED,
            cause="its file system has barred the withdrawal for too long",
        ),
    ),
}

RESERVED_STATUSES: Mapping[Noun, frozenset[str]] = {
    # The vendor's words that no verb writes.
    Noun.DATA_FLOW: frozenset(),
    Noun.TASK: frozenset(),
    Noun.SUB_TASK: frozenset(),
}

CONDITIONS: Mapping[str, tuple[str, ...]] = {
    # What a verb asks of a status that it does not change.
    "data_flow.modify": (_FLOW.RUNNING, _FLOW.MISCONFIGURED),
    "data_flow.work": (_FLOW.RUNNING,),
    "data_flow.watch": (_FLOW.RUNNING, _FLOW.MISCONFIGURED),
    "data_flow.refresh": (_FLOW.RUNNING, _FLOW.MISCONFIGURED, _FLOW.STOPPED),
    "data_flow.gone": (_FLOW.DELETED,),
    "task.take": (_TASK.EXECUTING,),
    "task.busy": (_TASK.EXECUTING, _TASK.CANCELING),
    "task.stream": tuple(sorted(STREAM_ACTIONS)),
    "task.importing": (TaskAction.IMPORT, TaskAction.STREAM_IMPORT),
    "sub_task.attempt": (_SUB.RUNNING, _SUB.CANCELING),
    "sub_task.waiting": (_SUB.CREATED,),
    "sub_task.withdraw": (_SUB.CANCELING,),
    "sub_task.withdrawable": (_SUB.CREATED, _SUB.RUNNING),
}

SETTLING_STEPS: Mapping[Settling, tuple[str, ...]] = {
    # The step that ends a sub-task. An attempt that failed may have left something behind, and says so; so when a cancel
    # came meanwhile, FAILED on a CANCELING row ends nothing: only a withdrawal that found nothing left makes it CANCELED.
    Settling.COMPLETE: ("complete",),
    Settling.FAILED: ("fail",),
    Settling.CANCELED: ("withdraw",),
    Settling.ABANDONED: ("abandon",),
}


def step(noun: Noun, name: str) -> Step:
    """The step of that name; KeyError when the table has none."""
    for candidate in TRANSITIONS[noun]:
        if candidate.name == name:
            return candidate
    raise KeyError(f"{noun}.{name}")


@cache  # asked for every file; there are few statuses and fewer settlings
def ending(settling: Settling, status: str) -> str | None:
    """The final status that `settling` leads to from `status`; None when it ends nothing there."""
    for name in SETTLING_STEPS.get(settling, ()):
        candidate = step(Noun.SUB_TASK, name)
        if status in candidate.before:
            return candidate.after
    return None
