"""The API of a stand-in: as any other, but armed faults are felt, and actions of its own are there beside the vendor's.

Only `penstock serve --stand-in` makes one; a service that is none has nothing of it in its way. Calls `application`, `faults` and
`operations.standin`. What only the whole service can do (reset, clock, snapshots) the operations ask of a `StandIn`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from penstock.api import dispatch, health
from penstock.api.answers import RequestIds
from penstock.api.application import Api
from penstock.api.callers import Callers
from penstock.api.errors import STATUSES, ApiError
from penstock.api.faults import Fault, FaultKind
from penstock.api.operation import Desk, Nonce, Operation, Reply
from penstock.api.operations.standin import StandIn, stand_in_operations
from penstock.api.options import Fidelity
from penstock.api.parameters import Wire
from penstock.api.perform import perform
from penstock.api.protocol import VERSION, Request
from penstock.api.signature import called
from penstock.model import AccessKey


class FaultAnswerError(ApiError):
    """What an armed fault answers: any code, with any status."""

    def __init__(self, fault: Fault) -> None:
        code = fault.code or ("Throttling.User" if fault.kind is FaultKind.THROTTLE else "InternalError")
        words = fault.message or f"A fault that was armed in this stand-in ({fault.fault_id})."
        pause_s = fault.retry_after_s or (1 if fault.kind is FaultKind.THROTTLE else 0)
        super().__init__("InternalError", words, retry_after_s=pause_s)
        self.code = code
        self.http_status = fault.status or STATUSES.get(code, 400)


class StandInApi(Api):
    """An API whose calls feel what was armed, and wait while everything behind them is exchanged."""

    def __init__(
        self,
        desk: Desk,
        stand_in: StandIn,
        *,
        system_ns: Callable[[], int],
        callers_ns: Callable[[], int],
        entropy: Callable[[int], bytes],
        reasons: health.Reasons,
    ) -> None:
        """`callers_ns` is the time that signatures are compared with; those of the stand-in's own actions with `system_ns`."""
        super().__init__(desk, now_ns=system_ns, entropy=entropy, reasons=reasons)
        self._stand_in = stand_in
        self._acts = {operation.name: operation for operation in stand_in_operations(stand_in)}
        self._judging = (system_ns, callers_ns)
        self._open = asyncio.Event()
        self._under_way = 0
        self._nobody_under_way = asyncio.Event()
        self._nobody_under_way.set()
        self._find = self._found
        self._run = self._felt
        self.move(desk, entropy=entropy)

    def move(self, desk: Desk, *, entropy: Callable[[int], bytes]) -> None:
        """From now on calls go to this desk; those that waited, too. RequestIds are of another chance."""
        self._desk = desk
        self._request_ids = RequestIds(entropy)
        self.callers = _StandInCallers(desk, acts=frozenset(self._acts), judging=self._judging, find=self._found)
        self.go_on()

    def go_on(self) -> None:
        """Nobody waits any more."""
        self._open.set()

    async def hold_back(self) -> None:
        """Let calls wait until `move` or `go_on`, but for the stand-in's own. Returns when none is under way."""
        self._open.clear()
        await self._nobody_under_way.wait()

    def _found(self, action: str, version: str, fidelity: Fidelity) -> Operation:
        act = self._acts.get(action)
        return act if act is not None and version == VERSION else dispatch.find(action, version, fidelity)

    async def _felt(
        self, operation: Operation, *, principal: AccessKey, wire: Wire, nonce: Nonce, host: str = ""
    ) -> Reply:
        """As `perform`, with what was armed for such a call; the console, in our own process, is spared.

        Raises ApiError; CancelledError where the answer is to be lost.
        """
        if operation.name in self._acts:
            return await perform(self._desk, operation, principal=principal, wire=wire, nonce=nonce, host=host)
        fault = self._stand_in.faults.of_call(operation.name, now_ns=time.monotonic_ns()) if nonce.text else None
        if fault is not None and fault.kind in (FaultKind.ANSWER, FaultKind.THROTTLE):
            raise FaultAnswerError(fault)
        if fault is not None and fault.delay_ms:
            await asyncio.sleep(fault.delay_ms / 1000)
        while not self._open.is_set():
            await self._open.wait()
        self._under_way += 1
        self._nobody_under_way.clear()
        try:
            reply = await perform(self._desk, operation, principal=principal, wire=wire, nonce=nonce, host=host)
            if fault is not None and fault.kind is FaultKind.LOSE:
                raise asyncio.CancelledError  # the connection that waits for the answer is cut, and nothing is said of it
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._nobody_under_way.set()
        return reply


class _StandInCallers(Callers):
    """Compares signatures with a clock that can be skewed; but who sets it right again is heard whatever it says."""

    def __init__(
        self,
        desk: Desk,
        *,
        acts: frozenset[str],
        judging: tuple[Callable[[], int], Callable[[], int]],
        find: Callable[[str, str, Fidelity], Operation],
    ) -> None:
        super().__init__(desk, now_ns=self._judging_ns, find=find)
        self._acts = acts
        self._system_ns, self._callers_ns = judging
        self._is_act = False

    def _signed(self, request: Request) -> tuple[Operation, AccessKey, Nonce]:
        self._is_act = called(request)[0] in self._acts
        try:
            return super()._signed(request)
        finally:
            self._is_act = False

    def _judging_ns(self) -> int:
        return self._system_ns() if self._is_act else self._callers_ns()
