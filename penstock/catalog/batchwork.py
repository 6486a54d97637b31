"""What the catalog's verbs on batch tasks take and give: plain values. The verbs are methods of `batches.Batches`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from penstock.model import Checksums, Comparison, Report, TaskAction, TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a batch was asked to move, besides its Directory: texts as the caller gave them, "" where it gave none.

    `checksums` is what a Compare was asked; None for any other batch.
    """

    entry_list: str = ""
    includes: str = ""
    file_list_path: str = ""
    checksums: Checksums | None = None


NO_SELECTION = Selection()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch task that has a place, as it is looked at.

    `seek` is how far its source was listed: the catalog does not look inside. `is_working`: its dataflow is Running.
    `is_refresh`: an auto-refresh made it, and feeds it.
    """

    task_id: str
    file_system_id: str
    action: TaskAction
    status: TaskStatus
    error_message: str
    directory: str
    target_directory: str
    create_dir_if_not_exist: bool
    file_system_path: str
    source_storage: str
    source_storage_path: str
    is_working: bool
    is_refresh: bool
    seek: str
    is_listed: bool
    trouble_code: str
    waiting: int
    live: int
    unreported: int


class BatchFile(NamedTuple):
    """One file to move. A tuple, because there are thousands a second. `size_bytes` is 0 where the listing did not tell it."""

    source: str
    target: str
    target_name: str
    size_bytes: int


class Remark(NamedTuple):
    """Something that was listed and is not moved: it goes into a report at once."""

    report: Report
    source: str
    target: str
    size_bytes: int
    modify_ns: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What was listed next. Counts only where the batch's `seek` is `before` still.

    `is_last`: there is no more.
    """

    before: str
    seek: str
    is_last: bool
    files: Sequence[BatchFile]
    remarks: Sequence[Remark] = ()


class Difference(NamedTuple):
    """A path that is not the same on both sides; None and "" for what is not known, or not there."""

    source: str
    target: str
    result: str
    reason: str
    source_size: int | None
    target_size: int | None
    source_modify_ns: int | None
    target_modify_ns: int | None
    source_checksum: str
    target_checksum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What was compared next. Counts only where the batch's `seek` is `before` still. `is_last`: there is no more."""

    before: str
    seek: str
    is_last: bool
    differences: Sequence[Difference]
    remarks: Sequence[Remark]
    found: Comparison
    bytes_total: int
    bytes_done: int


class Segment(NamedTuple):
    """Lines of a report; those behind it have higher numbers."""

    number: int
    lines: bytes


class Ended(NamedTuple):
    """A file that is final, for its report."""

    number: int
    source: str
    target: str
    status: str
    kept: int
    attempt: int
    bytes_total: int
    detail_modify_ns: int | None
    detail_size: int | None
    detail_checksum: str
    error_code: str
    error_message: str
    note: str
    started_ns: int
    ended_ns: int
    tidy: int
    owner: str
