"""The messages between the runner and its movers: plain values, the same for threads, processes and other machines.

Down go `Hello`, `Places`, `Lease` and `Control`; up come `Ready` and `Report`. Callbacks, stores and secrets never cross:
credentials go by the bucket's name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from penstock.model import Bucket, FileSystem
from penstock.transfer.transfer import Checkpoint, Outcome, Progress, Transfer, TransferChoices, TransferLimits


class Lane(StrEnum):
    """Which of a mover's threads take a transfer.

    SMALL: whole files in one go. LARGE: coordinators of parts. SWEEP: withdrawals and tidying, so that a cancel never waits
    behind files that move.
    """

    SMALL = "small"
    LARGE = "large"
    SWEEP = "sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The file systems and buckets that a mover may touch: one whole snapshot, no access keys, no secrets."""

    file_systems: tuple[FileSystem, ...] = ()
    buckets: tuple[Bucket, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MoverLimits:
    """The bounds of one mover: files and threads by lane, when a file's progress is told, and what one transfer may take.

    `small_files` are under way at once, taken forward together by one thread; `small_threads` more do what would hold the
    others up. `large_files` is how many between one bucket and one file system: their parts share the same few threads.
    """

    small_files: int = 64
    small_threads: int = 8
    large_files: int = 12
    sweep_threads: int = 7
    progress_after_s: float = 0.3
    progress_every_s: float = 1.0
    transfer: TransferLimits = field(default_factory=TransferLimits)

    @property
    def large_places(self) -> int:
        """Places for large files: as many as one bucket may have with one file system, a quarter as many for other file systems
        of that bucket, and a quarter for other buckets, whatever hangs or is silent."""
        return self.large_files + 2 * (self.large_files // 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The first message to a mover: who it is, where secrets are kept (a path), what it may touch, its bounds, how it moves.

    `traps` is where failpoints look for traps; nowhere, but in tests.
    """

    mover: str
    secrets_path: str
    places: Places
    limits: MoverLimits
    choices: TransferChoices = field(default_factory=TransferChoices)
    traps: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A batch of work for one lane of one mover, bounded by count and bytes."""

    transfers: tuple[Transfer, ...]
    lane: Lane = Lane.SMALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What a mover should know now. `canceled`, `fenced` and `yielded` name (sub_task_id, attempt) pairs.

    A yielded attempt stops after its current buffer and is returned, so that another task's file gets its place.
    """

    canceled: tuple[tuple[str, int], ...] = ()
    fenced: tuple[tuple[str, int], ...] = ()
    yielded: tuple[tuple[str, int], ...] = ()
    checkpointed: tuple[int, ...] = ()  # sequence numbers of CheckpointRequest that are durable now
    refused: tuple[int, ...] = ()  # sequence numbers whose attempt is fenced off
    drain: bool = False
    registry_changed: bool = False
    ping: bool = False  # answered by any report, an empty one if there is nothing to say
    figures: bool = False  # answered by a report that has figures


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRequest:
    """A record that must be durable before the mover goes on; answered by `Control.checkpointed` or `.refused`."""

    sequence: int
    sub_task_id: str
    attempt: int
    record: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The first message of a mover: it has its bounds and takes work from now on."""

    mover: str
    process_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodFigures:
    """Requests to one bucket with one HTTP method, by what came of them. All numbers only grow within one mover's life.

    `latency_slots` counts answers by `telemetry.meters.LATENCY_BOUNDS_S`, one slot more for what took longer; `latency_s` is
    their sum.
    """

    method: str
    ok: int
    throttled: int
    unavailable: int
    refused: int
    latency_slots: tuple[int, ...]
    latency_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsMoved:
    """How far the parts of a large file are: so many, so many done and moving; `cells` as `transfer.partboard` writes them."""

    sub_task_id: str
    attempt: int
    part_size_bytes: int
    parts: int
    done: int
    moving: int
    cells: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketFigures:
    """One bucket as one mover sees it: the pace now (`rate_per_s` None: unbounded), and counts since the mover began.

    `paused_s`: for how long it is left alone still; `pause_s`: all such pauses so far. `parts` of large files are in flight; of
    `away` of them it is not the store that is waited for. `silent_s`: for how long nothing has come although something was asked,
    where that is no mere slowness any more; else 0.
    """

    bucket: str
    window: float
    rate_per_s: float | None
    in_flight: int
    waiting: int
    pause_s: float
    paused_s: float = 0.0
    parts: int = 0
    away: int = 0
    silent_s: float = 0.0
    methods: tuple[MethodFigures, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A mover's numbers, sent along every few seconds, and when they are asked for.

    CPU seconds of user and system together, memory resident. `part_width` parts of large files may move at once now, and
    `part_width_max` at most. `slow_file_systems` keep small files waiting.
    """

    cpu_s: float
    resident_bytes: int
    buckets: tuple[BucketFigures, ...] = ()
    part_width: int = 0
    part_width_max: int = 0
    slow_file_systems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a mover has to say, batched."""

    mover: str
    progress: tuple[Progress, ...] = ()
    checkpoints: tuple[CheckpointRequest, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    figures: Figures | None = None
    parts: tuple[PartsMoved, ...] = ()
