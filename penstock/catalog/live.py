"""What people are shown of the service at work: the engine's part, and `Seeing`, which joins it to the ledger's (`views`).

It stands here, below them all, because engine, API and console know nothing of each other. Plain data; times are UTC nanoseconds,
speeds bytes a second. Computes nothing, reads nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from penstock.catalog.views import Browse, BrowseTasks, Changes, InFull, LedgerView, Listed, Sheet, TaskSheet, Trouble
from penstock.model import Direction


class Limiter(StrEnum):
    """What limits the speed right now: the first of these, from above, that holds."""

    NO_MOVER = "no-mover"  # no mover process is up
    CATALOG = "catalog"  # outcomes wait for the catalog's disk
    BUCKET_SILENT = "bucket-silent"  # `about` answers nothing, or nothing but errors
    BUCKET_THROTTLES = "bucket-throttles"  # `about` asks to slow down
    THROUGHPUT = "throughput"  # the dataflow `about` moves as much in a second as it may
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
    """The limiter with the bucket, file system, dataflow or number it is about ("" where none), and who else is in trouble."""

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
class Stay:
    """Why an attempt that a mover has does not move: its bucket or its file system. `again_ns`: when that is looked at again
    (at the latest); None where that is not known."""

    code: str  # of the closed set of failure codes
    message: str
    again_ns: int | None = None


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
    stay: Stay | None = None  # set while its surroundings keep it from moving


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPulse:
    """One dataflow, live."""

    data_flow_id: str
    moving: int  # attempts that movers have, without those that their surroundings keep from moving
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
    overdue: int = 0  # requests under way that the bucket owes an answer, while it answers nothing


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
    """The engine at this moment. `moving`: attempts that movers have, without those that a silent bucket or a file system in
    trouble keeps from moving, which are `held_up`; `unsettled`: outcomes that the catalog has not kept yet."""

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
    held_up: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Ledger and engine together. `engine` is None where there is none in this process."""

    ledger: LedgerView
    engine: EngineView | None
    flying: tuple[Flying, ...] = ()  # the fastest first, then those that were begun first


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One sub-task, kept and live."""

    kept: InFull
    flying: Flying | None


class EngineSight(Protocol):
    """The engine's part of what is shown; of these file systems only. Costs no look at catalog, store or file system."""

    def view(self, file_systems: Collection[str], ledger: LedgerView | None) -> EngineView:
        """The engine at this moment. `ledger` is what the catalog tells of these file systems, None where it cannot be read."""
        ...

    def flying(self, file_systems: Collection[str], most: int) -> tuple[Flying, ...]:
        """What movers have now: the fastest first, then those that were begun first."""
        ...

    def bucket_asked(self, bucket: str, code: str, message: str) -> None:
        """Somebody else has asked this bucket something: why that came to nothing, "" where it answered."""
        ...

    def flying_of(self, sub_task_id: str) -> Flying | None:
        """One attempt, if a mover has it or is to have it."""
        ...

    def moving(self, sub_task_ids: Collection[str]) -> Mapping[str, Flying]:
        """Of these, those whose movers have told how far they are."""
        ...


class Seeing(Protocol):
    """What is shown of the whole service. Each verb answers what the given file systems allow; `penstock.app.seeing` makes it."""

    async def overview(self, file_systems: Sequence[str], *, flying_max: int = 20) -> Overview:
        """Everything at a glance. CatalogUnavailableError."""
        ...

    async def browse(self, query: Browse, *, cursor: str = "", limit: int = 50) -> Sheet:
        """A page of sub-tasks, with live numbers in those that move. InvalidNextTokenError, CatalogUnavailableError."""
        ...

    async def tasks(self, query: BrowseTasks, *, cursor: str, limit: int) -> TaskSheet:
        """A page of tasks. InvalidNextTokenError, CatalogUnavailableError."""
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

    async def troubles(self, file_systems: Sequence[str], *, limit: int = 20) -> tuple[Trouble, ...]:
        """What befell sub-tasks lately, newest first."""
        ...

    def flying(self, file_systems: Sequence[str], *, most: int = 20) -> tuple[Flying, ...]:
        """What moves at this moment; costs no look at the catalog."""
        ...

    def flying_of(self, sub_task_id: str) -> Flying | None:
        """The same of one sub-task. Whoever asks has seen to it that it may be seen."""
        ...

    def bucket_asked(self, bucket: str, code: str, message: str) -> None:
        """Somebody has asked this bucket something for a call: why that came to nothing, a failure code, or "" where it answered.
        It counts for how the bucket is."""
        ...

    async def pulse(self, file_systems: Sequence[str]) -> EngineView | None:
        """The engine alone: for a graph, once a second."""
        ...
