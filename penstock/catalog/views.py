"""What people are shown of the ledger: the values that `catalog.reading` answers, and what it is asked with.

Plain data for the console and the API's overview; the words for a person are made by whoever shows them. What the engine adds
stands in `live`. Times are UTC nanoseconds. Reads nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from penstock.model import DataFlow, Direction, SubTask, SubTaskStatus, Task, TaskStatus

_REQUEST_ID = re.compile(r"request id ([\w-]{1,100})", re.ASCII)


class HappeningKind(StrEnum):
    """What befell a sub-task on its way. Plain success leaves no row: creation, start and end stand in the sub-task itself."""

    FAILED_TRY = "failed-try"  # an attempt failed and is tried again at `due_ns`
    WAITS = "waits"  # its surroundings are in trouble: looked at again at `due_ns`; costs no attempt
    RETURNED = "returned"  # handed back unfinished (the service was stopped, another task's file had its turn); costs no attempt
    RESCUED = "rescued"  # whoever held it was gone without a word; it goes again
    CANCEL_ASKED = "cancel-asked"
    FAILED = "failed"  # for good
    TIDY_LATER = "tidy-later"  # it is final; what it left could not be removed yet, and is looked for again at `due_ns`


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One incident, or `times` of the same in a row, from `at_ns` to `last_ns`; `attempt` and `due_ns` are those of the last."""

    kind: HappeningKind
    at_ns: int
    last_ns: int
    times: int
    attempt: int
    code: str
    message: str
    due_ns: int | None  # when it was to be tried again

    @property
    def request_id(self) -> str:
        """The store's id of the request that failed, where the message names one."""
        found = _REQUEST_ID.search(self.message)
        return found.group(1) if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A happening with the sub-task that it befell, for the list of what happened lately."""

    happening: Happening
    file_system_id: str
    data_flow_id: str
    task_id: str
    sub_task_id: str
    status: SubTaskStatus  # now
    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Sub-tasks by status: live ones now, final ones ever, also those that history has forgotten since."""

    waiting: int = 0  # CREATED
    running: int = 0  # RUNNING, also between two attempts
    canceling: int = 0
    complete: int = 0
    failed: int = 0
    canceled: int = 0
    expired: int = 0
    bytes_in: int = 0  # of COMPLETE imports, as they ended
    bytes_out: int = 0  # of COMPLETE exports

    @property
    def live(self) -> int:
        """Those that are not final."""
        return self.waiting + self.running + self.canceling


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """What ended from `since_ns` on, up to now or for one hour. Bytes count when their file is COMPLETE."""

    since_ns: int
    complete: int = 0
    failed: int = 0
    canceled: int = 0
    expired: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Of those that are RUNNING, and whose dataflow is Running, so many that nobody has now: large files and returned ones that
    wait for their turn (`in_line`), and those that wait for their next try (`again`). `is_more`: too many to be counted."""

    in_line: int = 0
    again: int = 0
    is_more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowView:
    """A dataflow with its counters. `day.since_ns` is 23 to 24 hours ago, or when counting began (an upgrade), if that is
    later."""

    flow: DataFlow
    counts: Counts
    day: Spell
    standing: Standing = Standing()


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerView:
    """The overview of what is kept: all visible dataflows of the file systems asked for, newest first, and their sums."""

    as_of_ns: int
    counted_since_ns: int  # hours before that were not counted: the catalog is older than they are
    flows: tuple[FlowView, ...]
    counts: Counts
    day: Spell
    hours: tuple[Spell, ...]  # the last 24, oldest first; those without anything are there, too
    standing: Standing = Standing()


class Order(StrEnum):
    """How lists are sorted. WORST: FAILED, EXPIRED, CANCELING, RUNNING, CREATED, CANCELED, COMPLETE, each newest first."""

    NEWEST = "newest"
    WORST = "worst"


class PathEnd(StrEnum):
    """Which path a filter looks at."""

    SOURCE = "source"
    TARGET = "target"
    EITHER = "either"


class PathMatch(StrEnum):
    """How a filter compares: PREFIX and EXACT byte by byte, CONTAINS without regard to case."""

    CONTAINS = "contains"
    PREFIX = "prefix"
    EXACT = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFilter:
    """`text` is (part of) a full answered path, at most 1,024 characters."""

    text: str
    end: PathEnd = PathEnd.EITHER
    match: PathMatch = PathMatch.CONTAINS


@dataclass(frozen=True, slots=True, kw_only=True)
class Browse:
    """What of the sub-tasks to list; filters AND, values within one OR, None is no filter. Bounds are half open."""

    file_systems: tuple[str, ...]  # those that the caller may see, never more
    data_flow_ids: tuple[str, ...] | None = None
    task_ids: tuple[str, ...] | None = None
    statuses: tuple[SubTaskStatus, ...] | None = None
    direction: Direction | None = None
    path: PathFilter | None = None
    size_from_bytes: int | None = None  # of those whose size is known
    size_until_bytes: int | None = None
    created_from_ns: int | None = None
    created_until_ns: int | None = None
    order: Order = Order.NEWEST


class Wait(StrEnum):
    """Why a sub-task does not move at this moment, as the ledger knows it."""

    NONE = "none"  # a mover has it
    IN_LINE = "in-line"  # it can be claimed; those before it, and other tasks, have their turn first
    LARGE_LINE = "large-line"  # the same, in the line of large files
    BEHIND = "behind"  # another live sub-task writes the same target
    AGAIN = "again"  # an attempt failed: the next one is due at `next_try_ns`
    FLOW = "flow"  # its dataflow is not Running
    TASK = "task"  # its task is not Executing
    CLEAR = "clear"  # it is to be withdrawn or tidied, and waits for its turn (or for `next_try_ns`)
    FINAL = "final"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One sub-task of a list, and what its row tells beside."""

    sub_task: SubTask
    direction: Direction
    wait: Wait
    failures: int  # attempts that counted
    next_try_ns: int | None  # when it is tried (or cleaned up) next, where it waits for a time
    cancel_asked_ns: int | None
    line: Line | None = None  # where it stands, counted up to a page's bound; None where nobody counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A page of a list. Where `looked_to_ns` is set, only so much was looked through: rows created (in order NEWEST: back) to
    then; `older` (or `newer`, if that was asked for) goes on from there, and the page may be short or even empty until it does.
    """

    items: tuple[Listed, ...]
    newer: str  # the cursor of the page before; "" where this is the first
    older: str  # the cursor of the page behind; "" where this is the last
    looked_to_ns: int | None = None
    looked_status: SubTaskStatus | None = None  # in order WORST: in which status the look ended
    total: int | None = None  # how many there are in all, where counters or a narrow path tell it exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Where a waiting sub-task stands. `before` is exact up to LINE_MAX and then means "that many or more" (`is_more`)."""

    wait: Wait
    before: int = 0  # of its task; in BEHIND: at its target
    is_more: bool = False
    of: int = 0  # how many of its task wait
    first: str = ""  # in BEHIND: the id of the live sub-task at the target


@dataclass(frozen=True, slots=True, kw_only=True)
class InFull:
    """All that is kept of one sub-task. `happenings` are the first and the newest 32, oldest first; `left_out` in between."""

    as_of_ns: int
    listed: Listed
    task: Task
    flow: DataFlow
    line: Line
    happenings: tuple[Happening, ...]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What happened since a cursor. With `is_lost` nobody knows (a cursor of another life of the clock): read the list anew.

    Numbers are capped at CHANGES_MAX each: then `is_more`, and the ids are the newest of them.
    """

    cursor: str
    as_of_ns: int
    created: tuple[str, ...] = ()  # ids, oldest first
    ended: tuple[str, ...] = ()
    befallen: tuple[str, ...] = ()  # those with a new happening
    is_more: bool = False
    is_lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowseTasks:
    """What of the tasks to list, newest first; filters AND, values within one OR, None is no filter."""

    file_systems: tuple[str, ...]  # those that the caller may see, never more
    data_flow_ids: tuple[str, ...] | None = None
    task_ids: tuple[str, ...] | None = None
    statuses: tuple[TaskStatus, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskListed:
    """One task of a list, with its dataflow."""

    task: Task
    flow: DataFlow


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSheet:
    """A page of tasks; `older` is the cursor of the page behind, "" where this is the last."""

    items: tuple[TaskListed, ...]
    older: str
