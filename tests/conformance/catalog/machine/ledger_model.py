"""What a catalog ought to do, in plain Python: no database, no counters that are kept, no queues. Lists are gone through whole.

Statuses change along `penstock.catalog.states.TRANSITIONS` and nothing else. A verb raises what the catalog's verb has to refuse
with, and has changed nothing then. Ids are the catalog's own business: a verb that makes something is told what it was called.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from penstock.catalog.states import CONDITIONS, Noun, step
from penstock.catalog.verbs import Call, CallMode, Health, NewDataFlow, NewFile, NewTask
from penstock.errors import (
    ConflictError,
    DataFlowNotFoundError,
    DependencyViolationError,
    InvalidStateError,
    NonceUsedError,
    PenstockError,
    SubTaskNotFoundError,
    TaskNotFoundError,
    TokenMismatchError,
    TooManyWaitingError,
    VersioningRequiredError,
)
from penstock.model import (
    STREAM_ACTIONS,
    DataFlow,
    DataFlowStatus,
    SubTask,
    SubTaskStatus,
    Task,
    TaskCounters,
    TaskStatus,
)
from tests.conformance.catalog.machine.nouns import File, Flow, Stream, Token, counted

UNREACHABLE = "SourceStorageUnreachable"


class Ledger:
    """All of it. `now_ns` is set before each verb."""

    def __init__(self, *, waiting_max: int) -> None:
        self.now_ns = 0
        self.latest_ns = 0  # the largest `now_ns` ever
        self.waiting_max = waiting_max
        self.flows: dict[str, Flow] = {}
        self.streams: dict[str, Stream] = {}
        self.files: dict[str, File] = {}  # in the order of their creation
        self.tokens: dict[str, Token] = {}
        self.nonces: dict[str, int] = {}  # used up, and when
        self.leases: dict[str, int] = {}
        self.seen_ns = 0  # when leases were renewed last, or the catalog was closed

    def saved(self) -> bytes:
        """All of it as it is now."""
        return pickle.dumps(self)

    # ------------------------------------------------------------------------------------------------------- looking

    def move(self, noun: Noun, thing: Flow | Stream | File, name: str) -> bool:
        """Take a step of TRANSITIONS, if the status allows it; whether it did."""
        one = step(noun, name)
        if thing.status not in (one.before or ("",)):
            return False
        thing.status = one.after
        return True

    def visible(self, fs: str) -> list[Flow]:
        """The dataflows of a file system, newest first."""
        return [
            flow
            for flow in reversed(self.flows.values())
            if flow.new.file_system_id == fs and flow.status != DataFlowStatus.DELETED
        ]

    def flow(self, fs: str, flow_id: str) -> Flow:
        for flow in self.visible(fs):
            if flow.flow_id == flow_id:
                return flow
        raise DataFlowNotFoundError(flow_id)

    def stream(self, fs: str, flow_id: str, task_id: str) -> Stream:
        self.flow(fs, flow_id)
        stream = self.streams.get(task_id)
        if stream is None or stream.flow_id != flow_id:
            raise TaskNotFoundError(task_id)
        return stream

    def file(self, fs: str, flow_id: str, task_id: str, sub_task_id: str) -> File:
        self.stream(fs, flow_id, task_id)
        file = self.files.get(sub_task_id)
        if file is None or file.task_id != task_id:
            raise SubTaskNotFoundError(sub_task_id)
        return file

    def files_of(self, task_id: str) -> Iterator[File]:
        return (file for file in self.files.values() if file.task_id == task_id)

    def live_of(self, task_id: str) -> int:
        return sum(file.is_live for file in self.files_of(task_id))

    def waiting(self, flow_id: str) -> list[File]:
        """The CREATED ones of a dataflow, oldest first."""
        created = CONDITIONS["sub_task.waiting"]
        return [file for file in self.files.values() if file.flow_id == flow_id and file.status in created]

    def first(self, target_name: str) -> File | None:
        """Whose turn it is at a target: the oldest live one's."""
        return next(
            (file for file in self.files.values() if file.is_live and file.new.target_name == target_name), None
        )

    def doubt(self) -> None:
        """Power was cut: nobody knows any more what was claimed."""
        for file in self.files.values():
            file.in_doubt = True

    def open_tasks(self, flow_id: str) -> int:
        live = {TaskStatus.PENDING, TaskStatus.EXECUTING}
        return sum(stream.flow_id == flow_id and stream.status in live for stream in self.streams.values())

    # -------------------------------------------------------------------------------------------------- around a call

    def guarded(self, call: Call, verb: Callable[[], Sequence[str]]) -> Sequence[str]:
        """A verb with its nonce, its token, and as a rehearsal only; what it answers, nothing for a rehearsal."""
        self.use_nonce(call.nonce)
        token = self.tokens.get(call.client_token)
        if token is not None:
            if token.fingerprint != call.fingerprint:
                raise TokenMismatchError(call.client_token)
            return () if call.mode is CallMode.DRY_RUN else token.result
        if call.mode is CallMode.DRY_RUN:
            before = pickle.dumps(self.__dict__)
            verb()
            self.__dict__.update(pickle.loads(before))
            return ()
        result = tuple(verb())
        if call.client_token:
            self.tokens[call.client_token] = Token(
                fingerprint=call.fingerprint, result=result, brought_ns=self.now_ns, latest_ns=self.latest_ns
            )
        return result

    def use_nonce(self, nonce: str) -> None:
        if nonce in self.nonces:
            raise NonceUsedError(nonce)
        self.nonces[nonce] = self.now_ns

    # ------------------------------------------------------------------------------------------------------ dataflows

    def create_flow(self, new: NewDataFlow, made: str) -> None:
        flow = Flow(flow_id=made, new=new, created_ns=self.now_ns, updated_ns=self.now_ns, description=new.description)
        others = self.visible(new.file_system_id)
        if len(others) >= new.data_flows_max:
            raise DependencyViolationError("too many")
        if any(o.new.file_system_path == new.file_system_path and o.bucket != flow.bucket for o in others):
            raise ConflictError("bound to another bucket")
        everywhere = [one for one in self.flows.values() if one.status != DataFlowStatus.DELETED]
        if any(one.bucket == flow.bucket for one in everywhere) and not new.versioned:
            raise VersioningRequiredError("not versioned")
        self.move(Noun.DATA_FLOW, flow, "create")
        self.flows[made] = flow

    def modify_flow(self, fs: str, flow_id: str, description: str) -> None:
        flow = self.flow(fs, flow_id)
        if flow.status not in CONDITIONS["data_flow.modify"]:
            raise InvalidStateError(flow.status)
        flow.description, flow.updated_ns = description, self.now_ns

    def stop_flow(self, fs: str, flow_id: str) -> None:
        flow = self.flow(fs, flow_id)
        if not self.move(Noun.DATA_FLOW, flow, "stop"):
            raise InvalidStateError(flow.status)
        flow.error, flow.updated_ns, flow.since_ns = "", self.now_ns, flow.since_ns or self.now_ns

    def start_flow(self, fs: str, flow_id: str) -> None:
        flow = self.flow(fs, flow_id)
        if not self.move(Noun.DATA_FLOW, flow, "start"):
            raise InvalidStateError(flow.status)
        self._runs_again(flow)

    def _runs_again(self, flow: Flow) -> None:
        flow.stopped_ns += self.now_ns - flow.since_ns
        flow.since_ns, flow.updated_ns = 0, self.now_ns

    def delete_flow(self, fs: str, flow_id: str) -> None:
        flow = self.flow(fs, flow_id)
        if self.open_tasks(flow_id):
            raise DependencyViolationError("live tasks")
        if not self.move(Noun.DATA_FLOW, flow, "delete"):
            raise InvalidStateError(flow.status)

    def set_health(self, flow_id: str, health: Health) -> None:
        flow = self.flows[flow_id]
        if health is Health.UNREACHABLE and self.move(Noun.DATA_FLOW, flow, "lose_source"):
            flow.error, flow.since_ns, flow.updated_ns = UNREACHABLE, self.now_ns, self.now_ns
        if health is Health.REACHABLE and self.move(Noun.DATA_FLOW, flow, "find_source"):
            flow.error = ""
            self._runs_again(flow)

    # ---------------------------------------------------------------------------------------------------------- tasks

    def create_task(self, new: NewTask, made: str) -> None:
        flow = self.flow(new.file_system_id, new.data_flow_id)
        if flow.status not in CONDITIONS["data_flow.work"]:
            raise InvalidStateError(flow.status)
        stream = Stream(task_id=made, flow_id=flow.flow_id, new=new, created_ns=self.now_ns)
        self.move(Noun.TASK, stream, "open" if new.action in STREAM_ACTIONS else "queue")
        self.streams[made] = stream

    def cancel_task(self, fs: str, flow_id: str, task_id: str) -> None:
        stream = self.stream(fs, flow_id, task_id)
        if self.live_of(task_id):
            raise DependencyViolationError("live sub-tasks")
        if not self.move(Noun.TASK, stream, "cancel"):
            raise InvalidStateError(stream.status)
        stream.ended_ns = self.now_ns

    # ------------------------------------------------------------------------------------------------------ sub-tasks

    def accept(self, task: tuple[str, str, str], files: Sequence[NewFile], made: Sequence[str]) -> None:
        """Take these files, called so: all, or as many as there are places for; none at all is a refusal."""
        flow, stream = self.flow(*task[:2]), self.stream(*task)
        places = self.waiting_max - len(self.waiting(flow.flow_id))
        if flow.status not in CONDITIONS["data_flow.work"] or stream.new.action not in STREAM_ACTIONS:
            raise InvalidStateError(flow.status)
        if stream.status not in CONDITIONS["task.take"]:
            raise InvalidStateError(stream.status)
        if files and places <= 0:
            raise TooManyWaitingError("no place")
        accepted = files[: max(places, 0)]
        assert len(accepted) == len(made) or not made
        for file, name in zip(accepted, made, strict=False):
            assert name not in self.files
            row = File(
                sub_task_id=name,
                task_id=stream.task_id,
                flow_id=flow.flow_id,
                new=file,
                created_ns=self.now_ns,
                stopped_before_ns=flow.stopped_ns,
            )
            self.move(Noun.SUB_TASK, row, "create")
            self.files[name] = row

    def cancel_file(self, fs: str, flow_id: str, task_id: str, sub_task_id: str) -> None:
        file = self.file(fs, flow_id, task_id, sub_task_id)
        doubtful = file.in_doubt and self.first(file.new.target_name) is file
        if self.move(Noun.SUB_TASK, file, "doubt" if doubtful else "drop"):
            if doubtful:
                file.started_ns = file.canceled_ns = self.now_ns
            else:
                file.ended_ns = self.now_ns
        elif self.move(Noun.SUB_TASK, file, "cancel"):
            file.due_ns, file.canceled_ns = 0, self.now_ns
        else:
            raise InvalidStateError(file.status)

    # ---------------------------------------------------------------------------------------------------------- upkeep

    def expire(self, older_than_ns: int, limit: int) -> int:
        """End what has waited too long, pauses of its dataflow not counted, oldest first."""
        left = limit
        firsts = [file for file in self.files.values() if self.first(file.new.target_name) is file]
        for flow in self.flows.values():
            pause_ns = self.now_ns - flow.since_ns if flow.since_ns else 0
            overdue = [
                file.created_ns + flow.stopped_ns - file.stopped_before_ns + pause_ns < older_than_ns
                for file in self.waiting(flow.flow_id)[:left]
            ]
            if not any(overdue[:1]):
                continue  # where the oldest may still wait so may the others, even if a clock went back meanwhile
            for file, is_overdue in zip(self.waiting(flow.flow_id), overdue, strict=False):
                doubtful = file.in_doubt and file in firsts
                if is_overdue and self.move(Noun.SUB_TASK, file, "expire"):
                    file.ended_ns, file.tidy, left = self.now_ns, doubtful, left - 1
        return limit - left

    def prune(self, sub_tasks_before_ns: int, limit: int) -> int:
        """Remove ended sub-tasks, oldest end first, then what deleted dataflows have left; how many rows."""
        ended = [file for file in self.files.values() if file.ended_ns and file.ended_ns < sub_tasks_before_ns]
        removed = self._remove(sorted(ended, key=lambda file: file.ended_ns or 0), limit)
        for flow in [flow for flow in self.flows.values() if flow.status in CONDITIONS["data_flow.gone"]]:
            removed += self._remove([f for f in self.files.values() if f.flow_id == flow.flow_id], limit - removed)
            empty = [
                s for s in self.streams.values() if s.flow_id == flow.flow_id and not any(self.files_of(s.task_id))
            ]
            for stream in empty[: limit - removed]:
                del self.streams[stream.task_id]
                removed += 1
            left = any(one.flow_id == flow.flow_id for one in self.files.values())
            left = left or any(one.flow_id == flow.flow_id for one in self.streams.values())
            if removed < limit and not left:
                del self.flows[flow.flow_id]
                removed += 1
        return removed

    def _remove(self, files: Sequence[File], limit: int) -> int:
        chosen = [file for file in files if not (file.is_live or file.tidy or file.owner)][:limit]
        for file in chosen:
            self.streams[file.task_id].gone += counted(file)
            del self.files[file.sub_task_id]
        return len(chosen)

    # -------------------------------------------------------------------------------------------------- what is answered

    def counters(self, task_id: str) -> TaskCounters:
        """Counted afresh, each time."""
        total: Counter[str] = Counter(self.streams[task_id].gone)
        for file in self.files_of(task_id):
            total.update(counted(file))
        return TaskCounters(**total)

    def data_flow(self, flow: Flow) -> DataFlow:
        return DataFlow(
            file_system_id=flow.new.file_system_id,
            data_flow_id=flow.flow_id,
            file_system_path=flow.new.file_system_path,
            source_storage=flow.new.source_storage,
            source_storage_path=flow.new.source_storage_path,
            source_security_type=flow.new.source_security_type,
            description=flow.description,
            status=DataFlowStatus(flow.status),
            error_message=flow.error,
            created_ns=flow.created_ns,
            updated_ns=flow.updated_ns,
        )

    def task(self, stream: Stream) -> Task:
        flow = self.flows[stream.flow_id]
        pending = stream.new.action not in STREAM_ACTIONS
        return Task(
            file_system_id=stream.new.file_system_id,
            data_flow_id=stream.flow_id,
            task_id=stream.task_id,
            action=stream.new.action,
            data_type=stream.new.data_type,
            conflict_policy=stream.new.conflict_policy,
            directory=stream.new.directory,
            target_directory=stream.new.target_directory,
            create_dir_if_not_exist=stream.new.create_dir_if_not_exist,
            originator="User",
            status=TaskStatus(stream.status),
            error_message="",
            created_ns=stream.created_ns,
            started_ns=None if pending else stream.created_ns,
            ended_ns=stream.ended_ns,
            counters=self.counters(stream.task_id),
            source_storage=flow.new.source_storage,
            file_system_path=flow.new.file_system_path,
        )

    def sub_task(self, file: File) -> SubTask:
        return SubTask(
            file_system_id=self.flows[file.flow_id].new.file_system_id,
            data_flow_id=file.flow_id,
            task_id=file.task_id,
            sub_task_id=file.sub_task_id,
            source=file.new.source,
            target=file.new.target,
            status=SubTaskStatus(file.status),
            attempt=file.attempt,
            condition=file.new.condition,
            bytes_total=file.bytes_total,
            bytes_done=file.bytes_done,
            actual_bytes=file.actual_bytes,
            moving_ns=file.moving_ns,
            detail=file.detail,
            error_code=file.error_code,
            error_message=file.error_message,
            guarantee=file.guarantee,
            note=file.note,
            created_ns=file.created_ns,
            started_ns=file.started_ns,
            ended_ns=file.ended_ns,
            due_ns=file.due_ns,
        )


def refusal(verb: Callable[[], object]) -> type[PenstockError] | None:
    """The kind of error that a verb of the model refuses with, if it does."""
    try:
        verb()
    except PenstockError as error:
        return type(error)
    return None
