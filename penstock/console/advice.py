"""What each failure code and state means to a person, who has to act, and the command that mends it: one table for all.

Pure: knows the closed set of codes and the model, and nothing of pages. The console, `doctor` and `top` speak with these words.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from penstock.errors import FailureCode
from penstock.model import Direction, SubTask, SubTaskStatus


class Turn(StrEnum):
    """Whose turn it is."""

    NOBODY = "nothing to do"
    HEALS = "heals itself"
    YOU = "needs you"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What a code means, whose turn it is while tries go on, what to do about it, and with which command ("" = none).

    A command may name `{home}`, `{bucket}`, `{file_system}`, `{task}`, and the `{directory}` of the source: in its bucket, or,
    where the other command is that of exports, in this machine.
    """

    means: str
    turn: Turn
    mend: str
    command: str = ""
    command_of_exports: str = ""  # instead


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a command has to name: the service's HOME, and the two ends of the dataflow. `root` is the file system's directory."""

    home: str
    bucket: str
    direction: Direction
    root: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to tell about one sub-task. `again_ns` is when it is tried again by itself; 0: it is not."""

    turn: Turn
    title: str
    words: str
    command: str = ""
    again_ns: int = 0


REMEDIES: Mapping[FailureCode, Remedy] = {
    FailureCode.SOURCE_NOT_FOUND: Remedy(
        means="The source is not there",
        turn=Turn.YOU,
        mend="Put it there and retry; or check the path, and whether the stream's direction is the one you meant, and copy it as "
        "new. What is there:",
        command="penstock object ls {home} {bucket} {directory}",
        command_of_exports="ls -la {directory}",
    ),
    FailureCode.SOURCE_IS_DIRECTORY: Remedy(
        means="The source is a directory", turn=Turn.YOU, mend="Name the files in it, one sub-task each."
    ),
    FailureCode.SOURCE_NOT_REGULAR: Remedy(
        means="The source is no regular file", turn=Turn.YOU, mend="Name a regular file."
    ),
    FailureCode.SOURCE_IS_SYMLINK: Remedy(
        means="The source is a symbolic link",
        turn=Turn.YOU,
        mend='Name the file that it points to, or set symlinks = "vendor" in penstock.toml and restart the service.',
    ),
    FailureCode.SOURCE_CHANGED: Remedy(
        means="Something writes to the source",
        turn=Turn.HEALS,
        mend="Wait until nobody writes to the source any more; then retry.",
    ),
    FailureCode.SOURCE_ARCHIVED: Remedy(
        means="The object is archived",
        turn=Turn.HEALS,
        mend="Restore the object at the store, or set restore_days for the bucket in penstock.toml; then retry.",
    ),
    FailureCode.AMBIGUOUS_SOURCE: Remedy(
        means="The path can be read in two ways, and both files exist",
        turn=Turn.YOU,
        mend="Name it relative to the task's directory with PathBase=task, as this console and the command line do.",
    ),
    FailureCode.CONDITION_NOT_MET: Remedy(
        means="The source is not what the condition asks for",
        turn=Turn.YOU,
        mend="Copy it as new with the right size and time, or with no condition.",
    ),
    FailureCode.TARGET_IS_DIRECTORY: Remedy(
        means="A directory has the target's name", turn=Turn.YOU, mend="Remove it, or choose another target."
    ),
    FailureCode.TARGET_NOT_DIRECTORY: Remedy(
        means="A file has the name of a directory above the target",
        turn=Turn.YOU,
        mend="Move that file away, or choose another target; then retry.",
    ),
    FailureCode.TARGET_NOT_REGULAR: Remedy(
        means="Something that is no regular file has the target's name",
        turn=Turn.YOU,
        mend="Move it away, or choose another target; then retry.",
    ),
    FailureCode.BASE_NOT_FOUND: Remedy(
        means="The dataflow's directory is gone",
        turn=Turn.YOU,
        mend="Make the directory that the message names; then retry.",
    ),
    FailureCode.OUTSIDE_FILE_SYSTEM: Remedy(
        means="A symbolic link leads out of the file system",
        turn=Turn.YOU,
        mend="Remove the link, or name a path without it; then retry.",
    ),
    FailureCode.RESERVED_NAME: Remedy(
        means="The name is kept for unfinished files", turn=Turn.YOU, mend="Choose another name."
    ),
    FailureCode.HELPER_NAME_TAKEN: Remedy(
        means="Something lies where the unfinished file belongs",
        turn=Turn.YOU,
        mend="Move away what the message names; it goes on by itself then.",
    ),
    FailureCode.NAME_TOO_LONG: Remedy(
        means="The name is too long for the target",
        turn=Turn.YOU,
        mend="Choose a shorter name: at most 255 bytes a name.",
    ),
    FailureCode.FILE_TOO_LARGE: Remedy(
        means="The target cannot hold a file so large", turn=Turn.YOU, mend="Split the file, or use another target."
    ),
    FailureCode.PERMISSION_DENIED: Remedy(
        means="The service's user lacks the right",
        turn=Turn.YOU,
        mend="Give the user that runs the service access to the path that the message names; then retry.",
    ),
    FailureCode.NO_SPACE: Remedy(
        means="There is no room at the target",
        turn=Turn.YOU,
        mend="Free some space or raise the quota; it goes on by itself within a minute of there being room.",
        command="penstock filesystem list {home}",
    ),
    FailureCode.READ_ONLY: Remedy(
        means="The file system is mounted read-only",
        turn=Turn.YOU,
        mend="Mount it for writing; it goes on by itself then.",
        command="penstock filesystem list {home}",
    ),
    FailureCode.IO_ERROR: Remedy(
        means="The file system answers with errors",
        turn=Turn.HEALS,
        mend="Look at the kernel's log (dmesg) for the disk or the mount that the message names; then retry.",
    ),
    FailureCode.FILE_SYSTEM_UNAVAILABLE: Remedy(
        means="What belongs at the file system's root is not there",
        turn=Turn.YOU,
        mend="Mount it again; it goes on by itself. If it is there, and was moved or restored, confirm it.",
        command="penstock filesystem confirm {home} {file_system}",
    ),
    FailureCode.BUCKET_NOT_REGISTERED: Remedy(
        means="The bucket, or the file system, is not registered any more",
        turn=Turn.YOU,
        mend="Add it again as it was; it goes on by itself then.",
        command="penstock bucket add {home} {bucket} --help",
    ),
    FailureCode.BUCKET_NOT_FOUND: Remedy(
        means="The store says that there is no such bucket",
        turn=Turn.YOU,
        mend="Make the bucket, or mend its name and endpoint; then probe it and retry.",
        command="penstock bucket probe {home} {bucket}",
    ),
    FailureCode.BUCKET_ACCESS_DENIED: Remedy(
        means="The store refuses the credentials",
        turn=Turn.YOU,
        mend="Mend the bucket's credentials or its policy; it goes on by itself then. This tells what is missing:",
        command="penstock bucket probe {home} {bucket}",
    ),
    FailureCode.STORE_REFUSED: Remedy(
        means="The store refuses the request",
        turn=Turn.YOU,
        mend="The message has the store's own code and request id; its support desk can tell more. This tries the bucket out:",
        command="penstock bucket probe {home} {bucket}",
    ),
    FailureCode.STORE_THROTTLED: Remedy(
        means="The store asks to slow down",
        turn=Turn.HEALS,
        mend="The bucket's limits were reached for too long: raise them at the store, or move less at once; then retry.",
    ),
    FailureCode.STORE_UNAVAILABLE: Remedy(
        means="The store does not answer",
        turn=Turn.HEALS,
        mend="Look whether the store's endpoint can be reached from this machine; then retry.",
        command="penstock bucket probe {home} {bucket}",
    ),
    FailureCode.NOT_SUPPORTED: Remedy(
        means="The store lacks an ability that is needed",
        turn=Turn.YOU,
        mend="Use another bucket. What this one can do:",
        command="penstock bucket probe {home} {bucket}",
    ),
    FailureCode.CHECKSUM_MISMATCH: Remedy(
        means="Bytes came differently than they were sent",
        turn=Turn.HEALS,
        mend="Memory, a disk or the network damages data, if this happens again: look at them; then retry.",
    ),
    FailureCode.BAD_OBJECT_LEFT: Remedy(
        means="A damaged object could not be removed",
        turn=Turn.YOU,
        mend="Remove the object that the message names; then retry.",
    ),
    FailureCode.MOVER_DIED: Remedy(
        means="The process that moved it ended",
        turn=Turn.HEALS,
        mend="See the service's log for why (out of memory?); then retry.",
    ),
    FailureCode.WAITING_FOR_TURN: Remedy(
        means="Others move before it", turn=Turn.NOBODY, mend="As many large files as may move at once do so already."
    ),
    FailureCode.DEADLINE_EXCEEDED: Remedy(
        means="It was tried for as long as attempts_deadline_h allows",
        turn=Turn.YOU,
        mend="Mend the last reason, which the message has; then retry.",
    ),
    FailureCode.INTERNAL: Remedy(
        means="A defect of Penstock",
        turn=Turn.HEALS,
        mend="Please report it, with the service's log; retry it after an update.",
    ),
}

_UNKNOWN = Remedy(means="It failed", turn=Turn.YOU, mend="The message says why; mend that, then retry.")


def remedy(code: str) -> Remedy:
    """The table's line of a code; one for codes that an older or newer service has written."""
    try:
        return REMEDIES[FailureCode(code)]
    except ValueError:
        return _UNKNOWN


def advice(sub_task: SubTask, around: Surroundings, *, now_ns: int) -> Advice | None:
    """What to tell about a sub-task in trouble, or one that waits between two tries; None where all is well."""
    known = remedy(sub_task.error_code)
    match sub_task.status:
        case SubTaskStatus.FAILED:
            return Advice(
                turn=Turn.YOU,
                title=known.means,
                words=known.mend,
                command=_command(known, sub_task, around),
            )
        case SubTaskStatus.EXPIRED:
            return Advice(
                turn=Turn.YOU,
                title="It never started in time",
                words="It waited for longer than subtask_expiry_days while its dataflow was Running. Retry it, "
                "and see on the overview what limits the speed.",
            )
        case SubTaskStatus.RUNNING if sub_task.error_code == FailureCode.WAITING_FOR_TURN:
            return None  # no trouble: its place in line says it all
        case SubTaskStatus.RUNNING | SubTaskStatus.CANCELING if sub_task.error_code:
            return _between_tries(sub_task, known, around, now_ns=now_ns)
    return None


def _between_tries(sub_task: SubTask, known: Remedy, around: Surroundings, *, now_ns: int) -> Advice:
    needs_hand = known.turn is Turn.YOU
    return Advice(
        turn=known.turn,
        title=known.means,
        words=known.mend if needs_hand else _HEALING[known.turn],
        command=_command(known, sub_task, around) if needs_hand else "",
        again_ns=max(sub_task.due_ns, now_ns) if sub_task.due_ns else 0,
    )


_HEALING = {
    Turn.HEALS: "It is tried again by itself; nothing is lost and nothing is to be done.",
    Turn.NOBODY: "It starts by itself when its turn comes.",
}


def _command(known: Remedy, sub_task: SubTask, around: Surroundings) -> str:
    is_export = around.direction is Direction.EXPORT
    command = (is_export and known.command_of_exports) or known.command
    directory = sub_task.source.rpartition("/")[0] + "/"
    return command.format(
        directory=shlex.quote(around.root.rstrip("/") + directory if is_export else directory.lstrip("/")),
        home=shlex.quote(around.home),
        bucket=shlex.quote(around.bucket),
        file_system=shlex.quote(sub_task.file_system_id),
        task=shlex.quote(sub_task.task_id),
    )
