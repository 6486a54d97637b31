"""What is asked about one thing: the file system that is meant, a sub-task, a cancel, a wait. Steps only (`steps`)."""

from __future__ import annotations

from collections.abc import Callable

from penstock.client.signing import Call
from penstock.client.steps import LOOKS_S, Ground, Pause, Steps, ask, listed, page, patiently
from penstock.client.values import SubTask
from penstock.client.window import Moving, Window, not_moved
from penstock.errors import ApiRefusedError, NotReadyError, SubTaskGoneError, WaitOverError

ENDED_ALREADY = "OperationDenied.InvalidState"
Progress = Callable[[SubTask], None]


def only_file_system(ground: Ground) -> Steps[str]:
    """The id of the only file system that the key may see. Raises NotReadyError where it is not just one."""
    answer = yield from patiently(ground, Call(action="DescribeFileSystems", parameters={"PageSize": 20}))
    found = [str(each["FileSystemId"]) for each in listed(answer, "FileSystems", "FileSystem")]
    if len(found) == 1:
        return found[0]
    told = f"the service has {', '.join(found)}" if found else "this key may see none"
    raise NotReadyError(f"which file system? Give file_system_id; {told}")


def sub_task(ground: Ground, sub_task_id: str) -> Steps[SubTask]:
    """What is known of it. Raises SubTaskGoneError."""
    answer = yield from page(ground, "DescribeDataFlowSubTasks", {"DataFlowSubTaskIds": sub_task_id}, limit=20)
    found = listed(answer, "DataFlowSubTask", "DataFlowSubTask")
    if not found:
        raise SubTaskGoneError(f"there is no sub-task {sub_task_id} in this file system")
    return SubTask.of(found[0])


def cancel_sub_task(ground: Ground, flow_id: str, task_id: str, sub_task_id: str) -> Steps[None]:
    """Ask to withdraw it; for one that has ended, or is being withdrawn, this does nothing."""
    try:
        yield from ask(
            ground,
            "CancelDataFlowSubTask",
            DataFlowId=flow_id,
            DataFlowTaskId=task_id,
            DataFlowSubTaskId=sub_task_id,
            ClientToken=ground.token(),
        )
    except ApiRefusedError as error:
        if error.code != ENDED_ALREADY:
            raise


def withdraw(ground: Ground, window: Window) -> Steps[None]:
    """Ask to withdraw all that is under way."""
    ids = window.ids
    for sub_task_id in list(window.under_way):
        yield from cancel_sub_task(ground, ids.data_flow_id, ids.task_id, sub_task_id)


def cancel_stream(ground: Ground, flow_id: str, task_id: str) -> Steps[None]:
    """Close a stream for good. Raises ApiRefusedError while sub-tasks of it are live."""
    yield from ask(ground, "CancelDataFlowTask", DataFlowId=flow_id, TaskId=task_id, ClientToken=ground.token())


def wait_for(
    ground: Ground, window: Window, moving: Moving, *, timeout_s: float | None, on_progress: Progress
) -> Steps[SubTask]:
    """The file, once it is COMPLETE. Raises NotMovedError, WaitOverError, SubTaskGoneError.

    Whoever else looks at the window looks for this one, too: a look that has just been made is not made again.
    """
    until_s = None if timeout_s is None else ground.clock() + timeout_s
    looks, told = 0, moving.latest
    rested_s = ground.clock() - LOOKS_S[0]
    while (ended := moving.ended) is None:
        pause_s = LOOKS_S[min(looks, len(LOOKS_S) - 1)]
        if window.looked_s <= rested_s:  # nobody has looked since this began to rest
            yield from window.look()
        if moving.latest is not None and moving.latest is not told:
            told = moving.latest
            on_progress(told)
        left_s = pause_s if until_s is None else until_s - ground.clock()
        if moving.ended is None and left_s <= 0:
            raise WaitOverError(
                f"{moving.file.source} has not ended within {timeout_s:g} s; it goes on ({moving.sub_task_id})"
            )
        if moving.ended is None:
            rested_s = ground.clock()
            yield Pause(seconds=min(pause_s, left_s))
        looks += 1
    window.let_go(moving)
    if not ended.is_complete:
        raise not_moved([ended])
    return ended
