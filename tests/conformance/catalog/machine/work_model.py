"""The model's other half: who works on what. Claims, leases, and what becomes of attempts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock.catalog.states import CONDITIONS, Noun
from penstock.catalog.verbs import (
    Claimed,
    ClaimLane,
    Claims,
    Demand,
    Explanation,
    Held,
    ProgressUpdate,
    Settlement,
    Settling,
)
from penstock.errors import FailureCode, FencedError
from penstock.model import DataFlowStatus, SubTaskStatus, TaskAction
from tests.conformance.catalog.machine.ledger_model import Ledger
from tests.conformance.catalog.machine.nouns import File

WAITS = "the dataflow is Misconfigured: its bucket, or the bucket's tag cpfs-dataflow=true, is gone; put it back"
LARGE_WAITS = "it is large, and as many large files as move at once are before it: it waits for its turn"
SILENT = ("StoreUnavailable", "StoreThrottled")
CLEAR, AGAIN, NEW = range(3)
"""The order of service within a task: what is to be cleared, what was there before, what is new."""

_LATER = {Settling.RETRY, Settling.WAITING}
_AGAIN = {*_LATER, Settling.RETURNED, Settling.LARGE}


class Work:
    """The verbs of the engine, on a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    # ----------------------------------------------------------------------------------------------------------- claims

    def standing(self, file: File) -> int | None:
        """In which queue it stands; None when nobody can claim it, whatever the time and its dataflow's status."""
        if file.owner:
            return None
        if not file.is_live:
            return CLEAR if file.tidy else None
        if file.status == SubTaskStatus.CANCELING:
            return CLEAR
        if self.ledger.first(file.new.target_name) is not file:
            return None
        return AGAIN if file.again else NEW

    def claimable(self, lane: ClaimLane) -> dict[str, list[File]]:
        """What can be claimed now in a lane, by task, in the order of service."""
        found: dict[str, list[tuple[int, int, int, File]]] = {}
        for number, file in enumerate(self.ledger.files.values()):
            standing = self.standing(file)
            if standing is None or file.due_ns > self.ledger.now_ns:
                continue
            working = self.ledger.flows[file.flow_id].status in CONDITIONS["data_flow.work"]
            if lane is (ClaimLane.SMALL if standing == CLEAR else file.lane) and (standing == CLEAR or working):
                found.setdefault(file.task_id, []).append((standing, file.due_ns, number, file))
        return {task: [file for *_, file in sorted(rows, key=lambda row: row[:3])] for task, rows in found.items()}

    def all_claimable(self) -> set[str]:
        """What can be claimed now, in any lane."""
        return {file.sub_task_id for lane in ClaimLane for files in self.claimable(lane).values() for file in files}

    def claim(self, task_id: str, lane: ClaimLane, limit: int, owner: str) -> list[File]:
        """Lease what is due of one task, in the order in which it has to be answered."""
        chosen = self.claimable(lane).get(task_id, [])[:limit]
        place = {name: number for number, name in enumerate(self.ledger.files)}
        chosen.sort(key=lambda file: (self.standing(file) or 0, place[file.sub_task_id]))
        for file in chosen:
            if self.ledger.move(Noun.SUB_TASK, file, "claim"):
                file.started_ns = self.ledger.now_ns
            file.begun = file.begun or (file.in_doubt and file.attempt == 0)
            file.attempt += 1
            file.owner = owner
            if file.error_message in {WAITS, LARGE_WAITS}:
                file.error_code = file.error_message = ""
        return chosen

    def next_due_ns(self) -> int | None:
        """When something becomes due that is not due yet."""
        files = [file for file in self.ledger.files.values() if self.standing(file) is not None]
        return min((file.due_ns for file in files if file.due_ns > self.ledger.now_ns), default=None)

    # ----------------------------------------------------------------------------------------------------------- leases

    def rescue(self, owners: Iterable[str]) -> int:
        """Void these owners' leases; how many sub-tasks that frees."""
        freed = 0
        for owner in set(owners):
            for file in self.ledger.files.values():
                if owner and file.owner == owner:
                    self._release(file)
                    freed += 1
            self.ledger.leases.pop(owner, None)
        return freed

    def overdue(self) -> list[str]:
        return [owner for owner, until_ns in self.ledger.leases.items() if until_ns < self.ledger.now_ns]

    def _release(self, file: File) -> None:
        running = file.status == SubTaskStatus.RUNNING
        misconfigured = self.ledger.flows[file.flow_id].status == DataFlowStatus.MISCONFIGURED
        if running and misconfigured and not file.error_message:
            file.error_code, file.error_message = "StoreUnavailable", WAITS
        file.owner, file.due_ns, file.begun = "", 0, True
        file.again = file.again or running

    def hasten(self) -> None:
        """What is to be cleared waits no longer, and nothing waits longer because the clock was put back."""
        now_ns = self.ledger.now_ns
        back_ns = max(0, self.ledger.seen_ns - now_ns)
        for file in self.ledger.files.values():
            if self.standing(file) is not None and file.due_ns > now_ns:
                file.due_ns = max(now_ns, file.due_ns - back_ns)
            if self.standing(file) == CLEAR:
                file.due_ns = min(file.due_ns, now_ns)
        self.ledger.seen_ns = min(self.ledger.seen_ns, now_ns)

    def wake(self, bucket: str) -> int:
        """Make due what waits because a bucket had not answered; how many."""
        woken = 0
        for file in self.ledger.files.values():
            waits = self.standing(file) is not None and file.due_ns > self.ledger.now_ns
            has_left = file.tidy and self.ledger.streams[file.task_id].new.action is TaskAction.STREAM_EXPORT
            if waits and (file.error_code in SILENT or has_left) and self.ledger.flows[file.flow_id].bucket == bucket:
                file.due_ns, woken = self.ledger.now_ns, woken + 1
                if file.status == SubTaskStatus.RUNNING:
                    file.error_code = file.error_message = ""
        return woken

    def explain(self, explanations: Sequence[Explanation]) -> None:
        """Those that are withdrawn and say nothing yet, or that they wait for their turn, say why that takes long."""
        for one in explanations:
            file = self.held(one.sub_task_id, one.attempt)
            if file is None or file.status != SubTaskStatus.CANCELING:
                continue
            if not file.error_message or file.error_code == FailureCode.WAITING_FOR_TURN:
                file.error_code, file.error_message = one.error_code, one.error_message

    def canceling(self, owner: str) -> list[tuple[str, int]]:
        files = self.ledger.files.values()
        held = [file for file in files if file.owner == owner and file.status == SubTaskStatus.CANCELING]
        return [(file.sub_task_id, file.attempt) for file in held]

    # --------------------------------------------------------------------------------------------------------- attempts

    def held(self, sub_task_id: str, attempt: int) -> File | None:
        """The sub-task, if that attempt holds it."""
        file = self.ledger.files.get(sub_task_id)
        return file if file is not None and file.owner and file.attempt == attempt else None

    def progress(self, updates: Sequence[ProgressUpdate]) -> None:
        for update in {(update.sub_task_id, update.attempt): update for update in updates}.values():
            file = self.held(update.sub_task_id, update.attempt)
            if file is None or not file.is_started:
                continue
            file.bytes_total, file.detail = update.bytes_total, update.detail
            same = file.progress_attempt == update.attempt
            for name in ("bytes_done", "actual_bytes", "moving_ns"):
                setattr(file, name, max(getattr(update, name), getattr(file, name) if same else 0))
            file.progress_attempt = update.attempt

    def checkpoint(self, sub_task_id: str, attempt: int, record: str) -> None:
        file = self.held(sub_task_id, attempt)
        if file is None:
            raise FencedError(sub_task_id)
        file.checkpoint = record

    def settle(self, settlements: Sequence[Settlement]) -> list[str]:
        """End attempts; those that were still theirs to end."""
        settled: list[str] = []
        for settlement in settlements:
            file = self.held(settlement.sub_task_id, settlement.attempt)
            if file is not None:
                settled.append(file.sub_task_id)
                self._settle(file, settlement)
                file.owner = ""
        return settled

    def _settle(self, file: File, settlement: Settlement) -> None:
        if not file.is_live:
            if file.status == SubTaskStatus.FAILED and settlement.error_message:
                file.error_message = settlement.error_message
            if settlement.settling in _AGAIN:
                file.due_ns, file.checkpoint = settlement.due_ns, settlement.checkpoint or file.checkpoint
            else:
                file.tidy, file.checkpoint = False, ""
        elif self._ends(file, settlement.settling):
            self._end(file, settlement)
        else:
            self._goes_again(file, settlement)

    def _ends(self, file: File, settling: Settling) -> bool:
        """Take the step to its end, if that is what was settled."""
        steps = {
            Settling.COMPLETE: ("complete",),
            Settling.FAILED: ("fail",),  # it may have left something, which a withdrawal has to find
            Settling.ABANDONED: ("abandon",),
            Settling.CANCELED: ("withdraw",),  # where nobody has asked for that it goes again
        }
        return any(self.ledger.move(Noun.SUB_TASK, file, name) for name in steps.get(settling, ()))

    def _end(self, file: File, settlement: Settlement) -> None:
        self._figures(file, settlement, anyhow=file.status == SubTaskStatus.COMPLETE)
        if settlement.skipped:
            file.bytes_done, file.actual_bytes = file.bytes_total, 0
        file.skipped = settlement.skipped
        canceled = file.status == SubTaskStatus.CANCELED
        file.error_code = "" if canceled else settlement.error_code
        file.error_message = "" if canceled else settlement.error_message
        file.guarantee, file.note, file.checkpoint = settlement.guarantee, settlement.note, settlement.checkpoint
        file.tidy, file.due_ns, file.ended_ns = settlement.tidy, 0, self.ledger.now_ns

    def _goes_again(self, file: File, settlement: Settlement) -> None:
        later = settlement.settling in _LATER
        self._figures(file, settlement, anyhow=False)
        file.failures += settlement.settling is Settling.RETRY
        file.due_ns = settlement.due_ns if later else 0
        file.again = True
        if settlement.settling is Settling.LARGE:
            file.lane = ClaimLane.LARGE
            if file.status == SubTaskStatus.RUNNING:
                file.again, file.due_ns = False, self.ledger.now_ns
        if later:
            file.error_code, file.error_message = settlement.error_code, settlement.error_message
        elif file.lane is ClaimLane.LARGE and file.status == SubTaskStatus.RUNNING and not file.error_message:
            file.error_code, file.error_message = FailureCode.WAITING_FOR_TURN, LARGE_WAITS
        file.guarantee = settlement.guarantee or file.guarantee
        file.note = settlement.note or file.note
        file.checkpoint = settlement.checkpoint or file.checkpoint
        file.begun = settlement.begun or file.begun

    def _figures(self, file: File, settlement: Settlement, *, anyhow: bool) -> None:
        """An attempt that does not know the size leaves what was known before."""
        if anyhow or settlement.bytes_total > 0:
            file.bytes_total, file.bytes_done = settlement.bytes_total, settlement.bytes_done
            file.actual_bytes, file.moving_ns = settlement.actual_bytes, settlement.moving_ns
        if settlement.detail is not None:
            file.detail = settlement.detail


# ---------------------------------------------------------------------------------------------------- judging real claims


def judge(work: Work, claims: Claims, demands: Sequence[Demand], owner: str, until_ns: int) -> None:
    """Claim in the model what the real claim was asked for, and compare."""
    found = False
    for demand, grant in zip(demands, claims.grants, strict=True):
        ready = work.claimable(demand.lane)
        assert grant.lane is demand.lane
        assert len(set(grant.ready)) == len(grant.ready) <= demand.ready_max
        assert set(grant.ready) <= ready.keys()
        assert len(grant.ready) == min(demand.ready_max, len(ready)), "a task that is ready was left out"
        for (task_id, limit), rows in zip(grant.shares, grant.claimed, strict=True):
            wanted = [_as_claimed(work.ledger, file) for file in work.claim(task_id, demand.lane, limit, owner)]
            assert list(rows) == wanted
            found = found or bool(wanted)
    if found:
        work.ledger.leases[owner] = until_ns
    assert claims.next_due_ns == work.next_due_ns()


def _as_claimed(ledger: Ledger, file: File) -> Claimed:
    row, stream = ledger.sub_task(file), ledger.streams[file.task_id]
    held = Held(*(getattr(row, name) for name in Held._fields))
    flow = ledger.flows[file.flow_id].new
    return Claimed(
        sub_task=held,
        lane=file.lane,
        action=stream.new.action,
        conflict_policy=stream.new.conflict_policy,
        file_system_path=flow.file_system_path,
        source_storage=flow.source_storage,
        rival=file.new.rival,
        checkpoint=file.checkpoint,
        tidy=file.tidy,
        failures=file.failures,
        begun=file.begun,
        canceled_ns=file.canceled_ns,
    )
