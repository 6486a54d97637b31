"""Dataflows and streams: found by what they bind, or made. Steps only (`steps`); safe to call again, and by several at once.

Whoever asks for the same thing gets the same one, the oldest that fits. What is made has a ClientToken that its parameters
decide, so two programs that ask at once are answered with one id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from penstock.client.bulk import is_text
from penstock.client.signing import Parameter
from penstock.client.steps import Answer, Ground, Pause, Steps, ask, listed, page
from penstock.client.values import ACTIONS, FlowFacts, StreamFacts
from penstock.errors import NotReadyError
from penstock.model import ConflictPolicy, Direction

MAKING_MAX_S = 600.0
"""How long a dataflow or stream may be on its way to being ready (`transition_delay_s` of the service)."""
LOOK_S = 0.2
LIVES_MAX = 16
"""How often the same dataflow or stream may be made and deleted within 30 days before a token of chance takes over."""
TASK_FILTER_ACTIONS = ",".join(ACTIONS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowWish:
    """A dataflow between the directory `path` of the file system and `prefix` of `storage` (`oss://bucket`)."""

    path: str
    storage: str
    prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamWish:
    """A stream of a dataflow; the directories lie beneath its source and its target side."""

    flow_id: str
    direction: Direction
    directory: str
    target_directory: str
    policy: ConflictPolicy


def as_directory(path: str) -> str:
    """With the slashes that the API asks for at both ends."""
    inner = path.strip("/")
    return f"/{inner}/" if inner else "/"


def storage_parts(storage: str) -> tuple[str, str]:
    """`oss://bucket/some/prefix` as bucket and prefix. Raises ValueError for what is none."""
    scheme, found, rest = storage.partition("://")
    bucket, _, prefix = rest.partition("/")
    if not found or not scheme or not bucket:
        raise ValueError(f"{storage!r} is not oss://BUCKET/PREFIX/ or s3://BUCKET/PREFIX/")
    if not is_text(storage):
        raise ValueError(f"{storage!r} is not UTF-8, and the API takes no other names")
    return f"{scheme}://{bucket}", as_directory(prefix)


# ------------------------------------------------------------------------------------------------------------- dataflows


def flows(ground: Ground, **filters: str) -> Steps[list[FlowFacts]]:
    """The dataflows of the file system, newest first; a file system has a handful."""
    found = yield from _all(ground, "DescribeDataFlows", ("DataFlowInfo", "DataFlow"), filters)
    return [FlowFacts.of(each) for each in found]


def find_flow(ground: Ground, wish: FlowWish) -> Steps[FlowFacts | None]:
    """The oldest dataflow that binds just these, in whatever state; None where there is none."""
    found = yield from flows(ground, FileSystemPath=wish.path, SourceStorage=wish.storage)
    fitting = [
        each for each in found if (each.path, each.storage, each.prefix) == (wish.path, wish.storage, wish.prefix)
    ]
    return fitting[-1] if fitting else None


def make_flow(ground: Ground, wish: FlowWish) -> Steps[FlowFacts]:
    """The dataflow, found or made, once it is Running. Raises ApiRefusedError, ApiUnreachableError, NotReadyError."""
    found = yield from find_flow(ground, wish)
    if found is None:
        wanted: dict[str, Parameter | None] = {
            "FileSystemPath": wish.path,
            "SourceStorage": wish.storage,
            "SourceStoragePath": wish.prefix,
        }
        for token in _tokens(ground, "flow", wish.path, wish.storage, wish.prefix):
            answer = yield from ask(ground, "CreateDataFlow", **wanted, ClientToken=token)
            made = yield from flows(ground, DataFlowIds=str(answer["DataFlowId"]))
            if made:  # else the token is that of one that was deleted
                found = made[0]
                break
    assert found is not None
    return (yield from _running(ground, found))


def _running(ground: Ground, flow: FlowFacts) -> Steps[FlowFacts]:
    until_s = ground.clock() + MAKING_MAX_S
    while flow.status in {"Starting", "Updating"} and ground.clock() < until_s:
        yield Pause(seconds=LOOK_S)
        found = yield from flows(ground, DataFlowIds=flow.flow_id)
        if not found:
            raise NotReadyError(f"the dataflow {flow.flow_id} was deleted meanwhile")
        flow = found[0]
    if flow.status == "Running":
        return flow
    mending = f"; start it with: penstock flow start {flow.flow_id}" if flow.status == "Stopped" else ""
    because = f" ({flow.error})" if flow.error else ""
    raise NotReadyError(f"the dataflow {flow.flow_id} is {flow.status}{because}{mending}")


# --------------------------------------------------------------------------------------------------------------- streams


def streams(ground: Ground, **filters: str) -> Steps[list[StreamFacts]]:
    """The streams that are open, or about to be, newest first."""
    wanted = {"Status": "Pending,Executing", "TaskActions": TASK_FILTER_ACTIONS, **filters}
    found = yield from _all(ground, "DescribeDataFlowTasks", ("TaskInfo", "Task"), wanted)
    return [StreamFacts.of(each) for each in found]


def stream_of(ground: Ground, task_id: str) -> Steps[StreamFacts]:
    """The open stream of that id. Raises NotReadyError where there is none."""
    found = yield from streams(ground, TaskIds=task_id)
    if not found:
        raise NotReadyError(f"there is no open stream {task_id} in this file system")
    return found[0]


def find_stream(ground: Ground, wish: StreamWish) -> Steps[StreamFacts | None]:
    """The oldest open stream that is just so; None where there is none."""
    found = yield from streams(ground, DataFlowIds=wish.flow_id, TaskActions=ACTIONS[wish.direction])
    fitting = [each for each in found if _wish_of(each) == wish]
    return fitting[-1] if fitting else None


def make_stream(ground: Ground, wish: StreamWish) -> Steps[StreamFacts]:
    """The stream, found or made, once it takes files. Raises ApiRefusedError, ApiUnreachableError, NotReadyError."""
    found = yield from find_stream(ground, wish)
    if found is None:
        wanted: dict[str, Parameter | None] = {
            "DataFlowId": wish.flow_id,
            "TaskAction": ACTIONS[wish.direction],
            "DataType": "MetaAndData",
            "ConflictPolicy": wish.policy.value,
            "Directory": wish.directory,
            "DstDirectory": wish.target_directory,
        }
        for token in _tokens(ground, "stream", *map(str, wanted.values())):
            answer = yield from ask(ground, "CreateDataFlowTask", **wanted, ClientToken=token)
            made = yield from streams(ground, TaskIds=str(answer["TaskId"]))
            if made:  # else the token is that of one that was cancelled
                found = made[0]
                break
    assert found is not None
    until_s = ground.clock() + MAKING_MAX_S
    while found.status == "Pending" and ground.clock() < until_s:
        yield Pause(seconds=LOOK_S)
        found = yield from stream_of(ground, found.task_id)
    if found.status != "Executing":
        raise NotReadyError(f"the stream {found.task_id} is {found.status}")
    return found


def _wish_of(facts: StreamFacts) -> StreamWish:
    return StreamWish(
        flow_id=facts.flow_id,
        direction=facts.direction,
        directory=facts.directory,
        target_directory=facts.target_directory,
        policy=facts.policy,
    )


# ------------------------------------------------------------------------------------------------------------------ both


def _tokens(ground: Ground, *parts: str) -> Iterator[str]:
    """ClientTokens for one thing: those that its parameters decide, for its first lives, then one of chance."""
    told = "\0".join((ground.file_system_id, *parts))
    digest = hashlib.sha256(told.encode()).hexdigest()[:40]
    for life in range(LIVES_MAX):
        yield f"{digest}-{life}"
    while True:
        yield ground.token()


def _all(ground: Ground, action: str, where: tuple[str, str], filters: dict[str, str]) -> Steps[Sequence[Answer]]:
    found: list[Answer] = []
    token = ""
    while True:
        answer = yield from page(ground, action, filters, next_token=token)
        found += listed(answer, *where)
        token = str(answer.get("NextToken") or "")
        if not token:
            return found
