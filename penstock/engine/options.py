"""The bounds of the engine's control side, with their defaults. Plain values; nobody looks anything up here."""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.transfer.transfer import Symlinks

NS_PER_S = 1_000_000_000
DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryOptions:
    """When a file that could not be moved is tried again, and when that ends. Waits are jittered to 50..150 %, but
    for the last one where there is no room.

    An outage (store or file system away, full, or asking for patience) is nothing that a file can help: it is waited out for as
    long as `deadline_s` allows. `attempts_max` bounds everything else.
    """

    attempts_max: int = 8
    deadline_s: float = DAY_S  # since the first attempt began
    waits_s: tuple[float, ...] = (1, 2, 5, 15, 60, 300, 900)  # after the first failure, the second, ...
    unregistered_wait_max_s: float = 300.0  # between looks whether a bucket or file system is registered again
    canceling_wait_max_s: float = 15.0  # a cancel whose store is away is tried again soon after it is back
    outage_after_s: float = 5.0  # a bucket that has answered nothing for so long, while files wait for it, is away
    scout_every_s: float = 10.0  # one file looks so often whether it is back, or whether there is room again
    room_look_max_s: float = 60.0  # the latter more and more seldom, up to this
    tidy_wait_s: float = 60.0  # at least, between attempts to remove a journal; given up after `deadline_s`
    tidy_wait_max_s: float = (
        3600.0  # what a FAILED export has left is never given up, and looked for so seldom in the end
    )
    retry_after_max_s: float = 3600.0  # a store's own wish is followed this far
    cleanups_max: int = 16  # attempts to leave nothing behind, after the last attempt to move


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimOptions:
    """How much work is taken at once, and how it is shared among tasks."""

    ready_tasks_max: int = 256
    batch_max: int = 256  # files in one claim
    window_s: float = 0.5  # small files handed to a mover ahead, in seconds of its present rate
    window_files_max: int = 512
    unsettled_max: int = 4096  # outcomes that wait for the catalog before claiming stops
    small_file_cost_bytes: int = 256 << 10  # what one small file costs a task besides its bytes
    large_file_cost_bytes: int = 8 << 20
    acquit_s: float = 5.0  # a suspect that has run alone so long may get company
    patience_s: float = 30.0  # a task whose large file finds no place so long may ask for one
    yield_after_s: float = 600.0  # a large file gives its place up only after having had it so long
    after_ahead_s: float = 0.02  # after what was claimed in the transaction that brought it, the next look
    look_again_s: float = 5.0  # the longest pause without a bell
    kept_look_s: float = 0.25  # the same while no places are free but those kept for buckets with little under way


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperOptions:
    """The rhythms and ages of the keeper's duties."""

    lease_s: float = 60.0
    renew_every_s: float = 15.0
    rescue_every_s: float = 10.0
    expire_every_s: float = 60.0
    prune_every_s: float = 300.0
    tags_every_s: float = 60.0
    tags_soonest_s: float = 5.0  # between two looks that something else than the rhythm asked for
    duty_limit_s: float = 30.0
    subtask_expiry_s: float = 7 * DAY_S
    history_retention_s: float = 90 * DAY_S
    token_retention_s: float = 30 * DAY_S
    nonce_retention_s: float = 31 * 60
    batch_max: int = 500
    batches_max: int = 40  # in one run of a duty
    tag_threads: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionOptions:
    """How transitions are ended. `delay_s` is how long those last that begin now, as the catalog was told; 0: none begin."""

    delay_s: float = 0.0
    look_least_s: float = 0.25  # between two looks for new ones; a status may be late by as much
    batch_max: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ListerOptions:
    """How batches are listed. So many files of one wait at most, and so many that were seen are held in memory."""

    symlinks: Symlinks = Symlinks.REFUSE
    waiting_max: int = 2_000
    feed_max: int = 1_000  # files in one transaction
    feed_least: int = 500  # room for fewer is not worth one, while others wait
    report_lines: int = 500  # in one transaction
    busy_look_s: float = 0.25  # while batches are under way, without a bell
    look_again_s: float = 5.0  # while there are none
    gap_s: float = 0.02  # two looks lie so far apart, however much is settled in between
    look_limit_s: float = 120.0  # for one look at a file system that may hang
    wait_max_s: float = 60.0  # between two looks at a source that is away
    report_waits_s: tuple[float, ...] = (
        1,
        2,
        5,
        15,
        60,
    )  # after the first try to write reports into a bucket, the second, ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """All bounds of the control side."""

    retry: RetryOptions = field(default_factory=RetryOptions)
    claim: ClaimOptions = field(default_factory=ClaimOptions)
    keeper: KeeperOptions = field(default_factory=KeeperOptions)
    transitions: TransitionOptions = field(default_factory=TransitionOptions)
    lister: ListerOptions = field(default_factory=ListerOptions)
    progress_every_s: float = 1.0
    busy_flights: int = 32  # with more under way, steps lie apart so that they make batches:
    busy_gap_s: float = 0.005  # up to three times that
    trouble_wait_s: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 5.0)  # after a step that failed: first, second, ...


def to_ns(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return int(seconds * NS_PER_S)
