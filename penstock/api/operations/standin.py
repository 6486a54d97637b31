"""What a stand-in can be told, and nobody else: arm faults, set the clock, forget everything, keep a state and come back to it.

These actions are Penstock's own, in every fidelity, and there in a stand-in alone; anywhere else they are unknown. They read
their parameters and ask a `StandIn`, which is the service as a whole. They never touch the catalog.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from penstock.api.answers import Json
from penstock.api.errors import ApiError, invalid_format
from penstock.api.faults import FAULTS_MAX, OF_FILES, Fault, FaultBook, FaultKind
from penstock.api.operation import Desk, Effect, Invocation, Operation, Origin, Reply
from penstock.api.parameters import boolean, bounded_text, identifier, integer, optional, required, text, word_of
from penstock.errors import FailureCode

YEARS_S = 10 * 365 * 86_400
DELAY_MAX_MS = 600_000
RATE_MAX = 1 << 40
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,99}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_STATUSES = frozenset(status.value for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockView:
    """How the clock stands: the service's time, by how much it was advanced, how far callers' clocks are taken to be behind."""

    now_ns: int
    advanced_s: int
    skew_s: int
    is_frozen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockWish:
    """What is to become of the clock; None leaves it."""

    advance_s: int
    skew_s: int | None
    frozen: bool | None


class StandIn(Protocol):
    """The service, as far as a stand-in lets itself be told."""

    @property
    def faults(self) -> FaultBook:
        """What is armed."""

    @property
    def seed(self) -> int | None:
        """What ids are made of; None where they are made of chance."""

    def clock(self) -> ClockView:
        """How it stands."""

    def set_clock(self, wish: ClockWish) -> ClockView:
        """How it stands now."""

    async def reset(self) -> None:
        """Forget everything: dataflows, tasks, files, objects, faults, the clock. Raises ApiError."""

    async def snapshot(self, name: str) -> None:
        """Keep what is there now under this name. Raises ApiError."""

    async def restore(self, name: str) -> None:
        """Come back to what was kept so. Raises ApiError."""

    def snapshots(self) -> Sequence[str]:
        """What was kept, by name."""


def _code(name: str, given: str) -> str:
    if _CODE.fullmatch(given) is None:
        raise invalid_format(name, "it is an error code, such as Throttling.User")
    return given


def _status(name: str, given: str) -> int:
    if not given.isdecimal() or int(given[:9]) not in _STATUSES:
        raise invalid_format(name, "it is an HTTP status from 400 to 511")
    return int(given)


def _snapshot_name(name: str, given: str) -> str:
    if _NAME.fullmatch(given) is None:
        raise invalid_format(
            name, "it has 1 to 64 letters, digits, `_`, `.` and `-`, and begins with a letter or a digit"
        )
    return given


_KIND = required("Kind", word_of(FaultKind), FaultKind.FAIL)
_COUNT = optional("Count", integer(0, 1_000_000), None)
_PATH = optional("Path", text, "*")
_TASK = optional("TaskId", identifier, "")
_ACTION = optional("ActionName", identifier, "*")
_FAILURE = optional("FailureCode", word_of(FailureCode), FailureCode.STORE_REFUSED)
_ERROR_CODE = optional("ErrorCode", _code, "")
_MESSAGE = optional("ErrorMessage", bounded_text(500), "")
_STATUS = optional("Status", _status, 0)
_RETRY_AFTER = optional("RetryAfterSeconds", integer(0, 3600), 0)
_BYTES_PER_S = optional("BytesPerSecond", integer(1, RATE_MAX), 0)
_CALLS_PER_S = optional("CallsPerSecond", integer(1, 1_000_000), 0)
_DELAY = optional("DelayMilliseconds", integer(1, DELAY_MAX_MS), 0)
_FAULT_ID = optional("FaultId", identifier, "")
_ADVANCE = optional("AdvanceSeconds", integer(0, YEARS_S), 0)
_SKEW = optional("SkewSeconds", integer(-YEARS_S, YEARS_S), None)
_FROZEN = optional("Frozen", boolean, None)
_NAME_OF = required("Name", _snapshot_name, "")

_NEEDS: Mapping[FaultKind, str] = {
    FaultKind.SLOW: _BYTES_PER_S.names[0],
    FaultKind.THROTTLE: _CALLS_PER_S.names[0],
    FaultKind.DELAY: _DELAY.names[0],
}


class _Acts:
    """The actions, of one stand-in."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    async def arm(self, _: Desk, invocation: Invocation) -> Reply:
        """Raises ApiError: too many are armed, or something is missing that this kind needs."""
        fault = _fault(invocation)
        if len(self._stand_in.faults) >= FAULTS_MAX:
            raise ApiError(
                "OperationDenied.InvalidState", f"{FAULTS_MAX} faults are armed: remove some by RemoveStandInFault."
            )
        return Reply(fields={"FaultId": self._stand_in.faults.arm(fault)})

    async def remove(self, _: Desk, invocation: Invocation) -> Reply:
        """One, or all of them. Raises ApiError."""
        faults, fault_id = self._stand_in.faults, invocation.values[_FAULT_ID]
        if not fault_id:
            faults.clear()
        elif not faults.remove(fault_id):
            raise invalid_format("FaultId", "no such fault is armed; DescribeStandIn lists them")
        return Reply(fields={})

    async def describe(self, _: Desk, __: Invocation) -> Reply:
        """What is armed, how the clock stands, what was kept."""
        stand_in = self._stand_in
        return Reply(
            fields={
                "Faults": {"Fault": [_told(fault) for fault in stand_in.faults]},
                "Clock": _clock(stand_in.clock()),
                "Seed": "" if stand_in.seed is None else str(stand_in.seed),
                "Snapshots": {"Snapshot": list(stand_in.snapshots())},
            }
        )

    async def set_clock(self, _: Desk, invocation: Invocation) -> Reply:
        """How it stands then."""
        values = invocation.values
        wish = ClockWish(advance_s=values[_ADVANCE], skew_s=values[_SKEW], frozen=values[_FROZEN])
        return Reply(fields={"Clock": _clock(self._stand_in.set_clock(wish))})

    async def reset(self, _: Desk, __: Invocation) -> Reply:
        """As `StandIn` says."""
        await self._stand_in.reset()
        return Reply(fields={})

    async def snapshot(self, _: Desk, invocation: Invocation) -> Reply:
        """As `StandIn` says."""
        await self._stand_in.snapshot(invocation.values[_NAME_OF])
        return Reply(fields={})

    async def restore(self, _: Desk, invocation: Invocation) -> Reply:
        """As `StandIn` says."""
        await self._stand_in.restore(invocation.values[_NAME_OF])
        return Reply(fields={})


def stand_in_operations(stand_in: StandIn) -> tuple[Operation, ...]:
    """The actions that are there in a stand-in alone. None of them writes to the catalog: their nonces are kept as reads' are."""
    acts = _Acts(stand_in)
    fault = (_KIND, _COUNT, _PATH, _TASK, _ACTION, _FAILURE, _ERROR_CODE, _MESSAGE, _STATUS, _RETRY_AFTER)
    declared = (
        ("ArmStandInFault", (*fault, _BYTES_PER_S, _CALLS_PER_S, _DELAY), acts.arm),
        ("RemoveStandInFault", (_FAULT_ID,), acts.remove),
        ("DescribeStandIn", (), acts.describe),
        ("SetStandInClock", (_ADVANCE, _SKEW, _FROZEN), acts.set_clock),
        ("ResetStandIn", (), acts.reset),
        ("SnapshotStandIn", (_NAME_OF,), acts.snapshot),
        ("RestoreStandIn", (_NAME_OF,), acts.restore),
    )
    return tuple(
        Operation(name=name, effect=Effect.READ, parameters=parameters, run=run, origin=Origin.OURS)
        for name, parameters, run in declared
    )


def _fault(invocation: Invocation) -> Fault:
    values = invocation.values
    kind, count = values[_KIND], values[_COUNT]
    fault = Fault(
        kind=kind,
        count=(0 if kind is FaultKind.THROTTLE else 1) if count is None else count,
        path=values[_PATH],
        task_id=values[_TASK],
        action=values[_ACTION],
        failure=values[_FAILURE],
        code=values[_ERROR_CODE],
        message=values[_MESSAGE],
        status=values[_STATUS],
        retry_after_s=values[_RETRY_AFTER],
        bytes_per_s=values[_BYTES_PER_S],
        calls_per_s=values[_CALLS_PER_S],
        delay_ms=values[_DELAY],
    )
    lacks = {FaultKind.SLOW: fault.bytes_per_s, FaultKind.THROTTLE: fault.calls_per_s, FaultKind.DELAY: fault.delay_ms}
    if not lacks.get(kind, 1):
        raise invalid_format(_NEEDS[kind], f"a fault of the kind {kind} needs it")
    return fault


def _told(fault: Fault) -> dict[str, Json]:
    fields: dict[str, Json] = {
        "FaultId": fault.fault_id,
        "Kind": fault.kind.value,
        "Count": fault.count,
        "Used": fault.used,
    }
    if fault.kind in OF_FILES:
        fields |= {"Path": fault.path, "TaskId": fault.task_id}
    else:
        fields |= {"ActionName": fault.action}
    more: dict[str, Json] = {
        "FailureCode": fault.failure.value if fault.kind is FaultKind.FAIL else "",
        "ErrorCode": fault.code,
        "ErrorMessage": fault.message,
        "Status": fault.status,
        "RetryAfterSeconds": fault.retry_after_s,
        "BytesPerSecond": fault.bytes_per_s,
        "CallsPerSecond": fault.calls_per_s,
        "DelayMilliseconds": fault.delay_ms,
    }
    return fields | {name: value for name, value in more.items() if value}


def _clock(view: ClockView) -> dict[str, Json]:
    return {
        "NowNs": view.now_ns,
        "AdvancedSeconds": view.advanced_s,
        "SkewSeconds": view.skew_s,
        "Frozen": view.is_frozen,
    }
