"""What moves one file is told and what it tells: plain data that a thread, a process or another machine can carry.

`Transfer` goes in, `Progress` and `Checkpoint` come out on the way, one `Outcome` comes out at the end.
No store, no file, no clock is touched here. What every file needs is a Struct: made in a tenth of the time that a frozen
dataclass takes, and an array on its way through a pipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from penstock.errors import FailureCode
from penstock.model import Condition, ConflictPolicy, Direction, FileDetail, Guarantee
from penstock.transfer.partboard import PartBoard

RESERVED_PREFIX = ".penstock-"
"""Names that begin so are ours: refused as source or target, never listed."""


class Intent(StrEnum):
    """What an attempt is for."""

    MOVE = "move"
    WITHDRAW = "withdraw"  # a cancel: leave nothing behind (or find that it was published already)
    TIDY = "tidy"  # the outcome is settled: remove what was kept for recovery only (the journal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What an object has to be, known before it was put together of parts: the file's time in nanoseconds, and its bytes.

    `etag` is what the MD5s of its parts make; empty where parts' ETags are none.
    """

    modify_ns: int
    size_bytes: int
    crc64: int
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """What lay at an export's key when its object was promised, as the store tells it: an object, or nothing (`is_there`)."""

    is_there: bool
    etag: str = ""
    size_bytes: int = 0
    last_modified_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """A directory in which helper files of an import were begun: which one it is, and where it lay then.

    `path` is relative to the root and has no link in it; empty where the kernel did not tell. `birth_ns` is 0 where that is not
    told.
    """

    path: bytes
    inode: int
    birth_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The durable record of what is unfinished. Of an import that is `begun_in` alone: where its helper files are, or may be,
    newest first, known before the first of them is made.

    Of an export it is that of its multipart upload: intent before Initiate, id before part 1.

    `intent_ns` is when the intent was recorded; `known_upload_ids` were unfinished on this key at that moment, so they are not
    ours. `upload_id` is empty until the store has answered Initiate. `source_*` identify the file whose parts were sent. `crc64`
    and `etag` are what the object has to have, known before Complete; `etag` is empty where the store makes it in its own way;
    `over` is what lay at the key then: None where nobody looked, as on buckets whose versions tell what became of the object, and
    from before the upload is aborted here.
    `earlier` is what the objects of earlier uploads had to be, newest first: they are, or were, at the key. With `intent_ns` 0
    nothing else is left: there is no unfinished upload. `checksum` is what the store was told at Initiate that parts come with,
    by the protocol's name.
    """

    key: str
    intent_ns: int
    known_upload_ids: tuple[str, ...] = ()
    upload_id: str = ""
    part_size_bytes: int = 0
    source_size_bytes: int = 0
    source_modify_ns: int = 0
    source_change_ns: int = 0
    source_inode: int = 0
    crc64: int | None = None
    etag: str = ""
    over: Over | None = None
    earlier: tuple[Promise, ...] = ()
    checksum: str = ""
    begun_in: tuple[Whereabouts, ...] = ()

    @property
    def promises(self) -> tuple[Promise, ...]:
        """What each object that this sub-task may have put together has to be, newest first."""
        if self.crc64 is None:
            return self.earlier
        own = Promise(
            modify_ns=self.source_modify_ns, size_bytes=self.source_size_bytes, crc64=self.crc64, etag=self.etag
        )
        return (own, *(promise for promise in self.earlier if promise != own))


class Transfer(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One file to move, fully resolved.

    `path` is relative to the file system's root, `key` is the object's key; neither begins with `/`. `base` is the dataflow's
    FileSystemPath, relative likewise ("" is the root itself): it must exist, what lies below it may be made on import.
    `rival` is the other way to read an ambiguous source (a path for an export, a key for an import; "" when there is none): if
    both readings exist the attempt fails as AmbiguousSource. `first_attempt_ns` is when the first attempt that is known of began,
    `accepted_ns` when its caller was told of the sub-task: no attempt is older, whatever a power cut has made forgotten. `begun`:
    an earlier attempt has left helper files of an import, or may have published it, or sent something of an export, or could
    not say so, or was forgotten by a power cut.
    """

    sub_task_id: str
    task_id: str
    attempt: int
    intent: Intent
    direction: Direction
    file_system_id: str
    bucket: str
    path: str
    base: str
    key: str
    rival: str
    conflict_policy: ConflictPolicy
    condition: Condition
    checkpoint: Checkpoint | None
    first_attempt_ns: int
    accepted_ns: int
    begun: bool = False
    data_flow_id: str = ""  # whose bytes they are


class Progress(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """How far a running attempt is: bytes never fall within one attempt. `moving_ns`: time in which bytes moved, as if those that
    earlier attempts had moved had gone at this one's speed."""

    sub_task_id: str
    attempt: int
    bytes_total: int
    bytes_done: int
    actual_bytes: int
    moving_ns: int
    detail: FileDetail


class Verdict(StrEnum):
    """How an attempt ended."""

    COMPLETE = "complete"  # published, durable, verified
    SKIPPED = "skipped"  # the target stays, as the conflict policy asks: COMPLETE with ActualBytes 0
    FAILED = "failed"  # permanent; nothing is left behind
    RETRY = "retry"  # waiting can help; what is kept is named by the checkpoint or the journal
    CANCELED = "canceled"  # withdrawn, nothing is left behind
    RETURNED = "returned"  # stopped by a drain, or not begun: costs no attempt
    LARGE = "large"  # not begun: larger than the small lane takes; `bytes_total` tells; costs no attempt
    TIDIED = "tidied"  # TIDY is done


class Outcome(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """The end of one attempt. Byte counts are of this attempt and cumulative where parts of earlier ones were kept."""

    sub_task_id: str
    attempt: int
    verdict: Verdict
    code: FailureCode | None = None
    message: str = ""
    bytes_total: int = 0
    bytes_done: int = 0
    actual_bytes: int = 0
    moving_ns: int = 0
    detail: FileDetail | None = None
    guarantee: Guarantee | None = None
    note: str = ""
    checkpoint: Checkpoint | None = None  # what must stay known for the next attempt
    retry_after_s: float | None = None
    tidy: bool = False  # helper files were kept, or may come back: send a TIDY once this outcome is settled
    begun: bool = False  # helper files are kept for the next attempt, or something was sent


class StopReason(StrEnum):
    """Why a running attempt should end early."""

    CANCEL = "cancel"
    DRAIN = "drain"
    HALT = "halt"  # a drain that waits no longer for this one: its store is silent
    FENCED = "fenced"


class Hooks(Protocol):
    """How a running attempt speaks to its mover. Called from several threads."""

    def stop_reason(self) -> StopReason | None:
        """Looked at between buffers and before every step that others can see; None means go on."""
        ...

    def progress(self, progress: Progress) -> None:
        """Say how far it is; cheap, called once a buffer; the mover thins it out."""
        ...

    def may_begin(self, size_bytes: int) -> bool:
        """Whether a part of that size may begin now; if so it is counted against what its dataflow may move."""
        ...

    def parts(self, board: PartBoard) -> None:
        """The file moves in these parts from now on; called once, or once more where it is begun anew."""
        ...

    def checkpoint(self, record: Checkpoint) -> None:
        """Make `record` durable; returns when it is. Raises FencedError when this attempt has lost its sub-task."""
        ...


class Lane(StrEnum):
    """Which kind of slot an attempt runs in: small files in one request each, large ones part by part through the pool."""

    SMALL = "small"
    LARGE = "large"


class Symlinks(StrEnum):
    """What becomes of a symbolic link that is to be exported."""

    REFUSE = "refuse"
    VENDOR = "vendor"  # an empty object; the link is not followed


class OwnerAndMode(StrEnum):
    """Whether a file's owner and permissions travel in the object's metadata."""

    LEAVE = "no"  # an imported file has the service's owner and umask
    KEEP = "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferChoices:
    """What was chosen about how files are moved; the defaults are the cautious ones."""

    symlinks: Symlinks = Symlinks.REFUSE
    owner_and_mode: OwnerAndMode = OwnerAndMode.LEAVE


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferLimits:
    """The bounds of one mover's transfers, in bytes, counts and seconds."""

    small_file_max_bytes: int = 8 << 20  # one request, no journal
    grain_bytes: int = 512 << 10  # what of such a file is in memory at a time
    direct_min_bytes: int = 1 << 20  # from here on such a file is written past the page cache, where that is offered
    part_size_bytes: int = 16 << 20  # grows with the file where the store's part count asks for it
    parts_in_flight: int = 4  # over all files of a mover, to begin with
    parts_in_flight_max: int = 16  # where more make it faster
    buffer_bytes: int = 1 << 20
    part_tries: int = 4
    part_try_wait_s: float = 0.2  # doubled each time, jittered
    unsynced_bytes_max: int = 256 << 20  # written since the last fdatasync, per file
