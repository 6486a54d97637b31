"""What people are shown: values that `catalog.reading` answers from the ledger, and those that the engine's sight adds to them.

Plain data for the console, the API's overview and metrics; the words for a person are made by whoever shows them. Times are UTC
nanoseconds, speeds are bytes a second. Computes nothing, reads nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from penstock.model import DataFlow, Direction, SubTask, SubTaskStatus, Task

_REQUEST_ID = re.compile(r"request id ([\w-]{1,100})", re.ASCII)

# ------------------------------------------------------------------------------------------------- what the ledger tells


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
    """One incident, or `times` of the same one after the other from `at_ns` to `last_ns`; `attempt` and `due_ns` are the last's."""

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
class FlowView:
    """A dataflow with its counters. `day.since_ns` is 23 to 24 hours ago, or when counting began (an upgrade), if that is later."""

    flow: DataFlow
    counts: Counts
    day: Spell


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerView:
    """The overview of what is kept: all visible dataflows of the file systems asked for, newest first, and their sums."""

    as_of_ns: int
    counted_since_ns: int  # hours before that were not counted: the catalog is older than they are
    flows: tuple[FlowView, ...]
    counts: Counts
    day: Spell
    hours: tuple[Spell, ...]  # the last 24, oldest first; those without anything are there, too


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


# ------------------------------------------------------------------------------------------------ what the engine adds


class Limiter(StrEnum):
    """What limits the speed right now: the first of these, from above, that holds."""

    NO_MOVER = "no-mover"  # no mover process is up
    CATALOG = "catalog"  # outcomes wait for the catalog's disk
    BUCKET_SILENT = "bucket-silent"  # `about` answers nothing, or nothing but errors
    BUCKET_THROTTLES = "bucket-throttles"  # `about` asks to slow down
    FILE_SYSTEM_AWAY = "file-system-away"  # `about` is away, read-only or full
    FILE_SYSTEM_SLOW = "file-system-slow"  # movers wait for `about`
    PROCESSOR = "processor"  # movers use all of the CPU that there is
    BUCKET_SLOW = "bucket-slow"  # requests wait for a place in what `about` serves well at once
    SLOTS = "slots"  # all places of movers are taken, and more waits
    BANDWIDTH = "bandwidth"  # large files move, and more at once made it no faster
    STORE_TIME = "store-time"  # few files are under way: each takes its store's time
    STOPPED = "stopped"  # all that waits waits for dataflows that are not Running
    RETRIES = "retries"  # all that is left waits for its next try
    NOTHING_TO_DO = "nothing-to-do"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The limiter with the bucket, file system or number it is about ("" where none), and who else is in trouble."""

    limiter: Limiter
    about: str = ""


class Soundness(StrEnum):
    """How something that Penstock depends on is."""

    WELL = "well"
    SLOW = "slow"  # it works, but asks for, or takes, time
    BAD = "bad"  # it does not work now
    UNKNOWN = "unknown"  # nothing was asked of it yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Totals since the service began; they only grow. Bytes are told while they move."""

    bytes_in: int = 0
    bytes_out: int = 0
    files_in: int = 0
    files_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast, over about the last three seconds."""

    bytes_in_per_s: int = 0
    bytes_out_per_s: int = 0
    files_per_s: float = 0.0


class Cell(StrEnum):
    """What a cell of a part map holds, as one character of `PartMap.cells`."""

    WAITING = "."
    MOVING = ">"
    DONE = "#"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartMap:
    """Parts of a large file under way. `cells` has at most 256 characters (see Cell), each for `parts / len(cells)` parts: DONE
    when all are, MOVING when one moves now (or some are done and none moves)."""

    part_size_bytes: int
    parts: int
    done: int
    moving: int
    cells: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flying:
    """One attempt that a mover (or the quarantine's line, `mover` "") has now. `speed` is of the last few seconds."""

    file_system_id: str
    data_flow_id: str
    task_id: str
    sub_task_id: str
    direction: Direction
    bucket: str
    path: str  # below the file system's root
    key: str
    attempt: int
    mover: str
    is_large: bool
    is_moving: bool  # bytes have moved; else it waits in its mover, or was only begun
    since_ns: int
    bytes_total: int
    bytes_done: int
    speed: int
    eta_s: int | None
    progress_ns: int | None  # when its mover told these numbers
    parts: PartMap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPulse:
    """One dataflow, live."""

    data_flow_id: str
    moving: int  # attempts that movers have
    moved: Moved
    speed: Speed


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketView:
    """A registered bucket as the movers see it. Requests are counted since the movers began; `window` is what it serves well."""

    name: str
    soundness: Soundness
    code: str  # why it is not WELL: BucketSilent, StoreThrottled, NoSpace, BucketUnusable (a dataflow is Misconfigured)
    message: str
    next_look_ns: int | None
    window: int
    in_flight: int
    waiting: int
    paused_ms: int
    requests_ok: int
    requests_throttled: int
    requests_unavailable: int
    requests_refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MountView:
    """The root of a registered file system."""

    file_system_id: str
    root: str
    soundness: Soundness
    code: str  # FileSystemUnavailable, NoSpace, ReadOnlyFileSystem, NoAnswer (a look at it hangs)
    message: str
    next_look_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MoverView:
    """A mover process. Restarts count since the service began."""

    name: str
    soundness: Soundness
    process_id: int | None
    up_since_ns: int | None
    heard_ns: int | None
    small: int  # attempts it has by lane
    large: int
    places_small: int
    places_large: int
    resident_bytes: int
    cpu_ms: int
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineView:
    """The engine at this moment. `moving` are attempts that movers have; `unsettled` outcomes that the catalog has not kept yet."""

    as_of_ns: int
    started_ns: int
    moving: int
    moved: Moved
    speed: Speed
    flows: Mapping[str, FlowPulse]  # by data_flow_id
    limit: Limit
    buckets: tuple[BucketView, ...]
    mounts: tuple[MountView, ...]
    movers: tuple[MoverView, ...]
    unsettled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Ledger and engine together. `engine` is None where there is none in this process."""

    ledger: LedgerView
    engine: EngineView | None
    flying: tuple[Flying, ...] = field(default=())  # the fastest first, then those that were begun first


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One sub-task, kept and live."""

    kept: InFull
    flying: Flying | None


class Seeing(Protocol):
    """What is shown of the whole service. Each verb answers what the given file systems allow; `penstock.app.seeing` makes it."""

    async def overview(self, file_systems: Sequence[str], *, flying_max: int) -> Overview:
        """Everything at a glance. CatalogUnavailableError."""
        ...

    async def browse(self, query: Browse, *, cursor: str, limit: int) -> Sheet:
        """A page of sub-tasks, with live numbers in those that move. InvalidNextTokenError, CatalogUnavailableError."""
        ...

    async def among(self, file_systems: Sequence[str], sub_task_ids: Sequence[str]) -> Mapping[str, Listed]:
        """These sub-tasks as they are now, live numbers included; those that are gone or out of sight are left out."""
        ...

    async def detail(self, file_systems: Sequence[str], sub_task_id: str) -> Detail:
        """One in full. SubTaskNotFoundError."""
        ...

    async def changes(self, file_systems: Sequence[str], cursor: str) -> Changes:
        """What happened since `cursor`; "" answers a cursor of now and nothing else."""
        ...

    async def troubles(self, file_systems: Sequence[str], *, limit: int) -> tuple[Trouble, ...]:
        """What befell sub-tasks lately, newest first."""
        ...

    def flying(self, file_systems: Sequence[str], *, most: int) -> tuple[Flying, ...]:
        """What moves at this moment; costs no look at the catalog."""
        ...

    def flying_of(self, sub_task_id: str) -> Flying | None:
        """The same of one sub-task. Whoever asks has seen to it that it may be seen."""
        ...

    async def pulse(self, file_systems: Sequence[str]) -> EngineView | None:
        """The engine alone: for a graph, once a second."""
        ...
