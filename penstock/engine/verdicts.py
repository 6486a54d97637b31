"""What is said of one path that was looked at on both sides: the same, different, in what, or why it is not compared. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from penstock.catalog.batchwork import Difference, Remark
from penstock.engine.feeding import sayable
from penstock.errors import FailureCode, TransferError
from penstock.model import Checksums, Report
from penstock.stores.base import ObjectInfo
from penstock.transfer import mtime, names
from penstock.transfer.crc64 import as_text
from penstock.transfer.listed import Kind, Listed
from penstock.transfer.merging import Pair
from penstock.transfer.transfer import Symlinks

DIFFERS, ONLY_IN_FILE_SYSTEM, ONLY_IN_BUCKET = "Differs", "OnlyInFileSystem", "OnlyInBucket"
SIZE, MODIFY_TIME, CHECKSUM = "Size", "ModifyTime", "Checksum"


class Subject:
    """One path, with all that is known of it by now: `info` where its object was asked for, `refusal` why it cannot be compared.

    `crc64` is the file's where it was read, `object_crc64` the object's, of which so many bytes were read for it.
    """

    def __init__(
        self, pair: Pair, here: Listed | None, *, info: ObjectInfo | None = None, refusal: TransferError | None = None
    ) -> None:
        self.pair = pair
        self.here = here  # as it was seen last
        self.info = info
        self.refusal = refusal
        self.crc64: int | None = None
        self.object_crc64: int | None = None
        self.read_bytes = 0

    @property
    def are_files(self) -> bool:
        """Whether there is a file on both sides, so that they can be compared."""
        return self.here is not None and self.here.kind is Kind.FILE and self.info is not None

    @property
    def size_bytes(self) -> int:
        """Its size in the file system; in the bucket where it is only there."""
        if self.here is not None:
            return self.here.size_bytes
        return self.pair.there.size_bytes if self.pair.there is not None else 0

    def differs_in(self) -> tuple[str, ...]:
        """In what both files differ, as far as it is known."""
        if self.here is None or self.info is None:
            return ()
        there_ns = modify_ns_of(self.info)
        found = []
        if self.here.size_bytes != self.info.size_bytes:
            found.append(SIZE)
        if there_ns is not None and self.here.modify_ns is not None and not mtime.agree(self.here.modify_ns, there_ns):
            found.append(MODIFY_TIME)
        if self.crc64 is not None and self.object_crc64 is not None and self.crc64 != self.object_crc64:
            found.append(CHECKSUM)
        return tuple(found)


def modify_ns_of(info: ObjectInfo) -> int | None:
    """The time of the file that an object was made of; None where its metadata do not tell it."""
    told = mtime.of_object(info)
    return told.ns if told.exact else None


class Names(NamedTuple):
    """Where both sides of a comparison lie: a path relative to them is said with these in front."""

    here: str
    there: str
    key_length_max_bytes: int


def remark(subject: Subject, where: Names, symlinks: Symlinks) -> Remark | None:
    """Why it is not compared; None for what is the same, differs, or is on one side only."""
    verdict = _refused(subject) or _odd(subject, symlinks) or _unnameable(subject.pair, where)
    if verdict is None:
        return None
    report, words = verdict
    seen = subject.here or subject.pair.there
    modify_ns = seen.modify_ns if seen is not None and seen is subject.here else None
    source, target = where.here + subject.pair.path, where.there + subject.pair.path
    return Remark(report, sayable(source), sayable(target), subject.size_bytes, modify_ns, words)


_Verdict = tuple[Report, str]


def _refused(subject: Subject) -> _Verdict | None:
    if subject.pair.closed and subject.pair.there is not None:
        words = f"the service's user may not look into {sayable(subject.pair.closed)}: see owner and mode"
        return Report.FAILED, f"{FailureCode.PERMISSION_DENIED}: {words}"
    if subject.refusal is None:
        return None
    return Report.FAILED, f"{subject.refusal.code}: {subject.refusal}"


def _odd(subject: Subject, symlinks: Symlinks) -> _Verdict | None:
    """What is no file, on one side or the other."""
    here, there = subject.here, subject.pair.there
    kind = here.kind if here is not None else there.kind if there is not None else Kind.FILE
    match kind:
        case Kind.SYMLINK if there is None or symlinks is Symlinks.VENDOR:
            return Report.SKIPPED, f"{FailureCode.SOURCE_IS_SYMLINK}: it is a symbolic link, and those are not followed"
        case Kind.SYMLINK:
            words = "it is a symbolic link here, and those are not followed; in the bucket it is an object"
            return Report.FAILED, f"{FailureCode.SOURCE_IS_SYMLINK}: {words}"
        case Kind.SPECIAL:
            return Report.FAILED, f"{FailureCode.SOURCE_NOT_REGULAR}: it is a device, socket or FIFO, not a file"
        case Kind.CLOSED:
            words = "the service's user may not look at it: see owner and mode"
            return Report.FAILED, f"{FailureCode.PERMISSION_DENIED}: {words}"
        case Kind.MARKER | Kind.EMPTY if there is not None and there.size_bytes:
            words = "its key ends with `/`, and no file can have such a name; it has content"
            return Report.FAILED, f"{FailureCode.SOURCE_IS_DIRECTORY}: {words}"
        case Kind.MARKER:
            return (
                Report.SKIPPED,
                f"{FailureCode.SOURCE_IS_DIRECTORY}: its key ends with `/`: it only marks a directory",
            )
        case Kind.EMPTY:
            return Report.SKIPPED, f"{FailureCode.SOURCE_IS_DIRECTORY}: it is an empty directory; buckets have none"
        case _:
            return None


def _unnameable(pair: Pair, where: Names) -> _Verdict | None:
    """A name that the other side cannot have."""
    try:
        if pair.there is None:
            if not pair.path.isascii() and sayable(pair.path) != pair.path:
                return (
                    Report.FAILED,
                    f"{FailureCode.NOT_SUPPORTED}: its name is not UTF-8, and an object's key has to be",
                )
            names.check_key((where.there + pair.path)[1:], length_max_bytes=where.key_length_max_bytes)
        elif pair.here is None:
            names.check_path((where.here + pair.path)[1:], directory_code=FailureCode.SOURCE_IS_DIRECTORY)
    except TransferError as error:
        return Report.FAILED, f"{error.code}: {error}"
    return None


def difference(subject: Subject, where: Names) -> Difference | None:
    """What is not the same on both sides; None where it is, as far as it was compared."""
    here, there, info = subject.here, subject.pair.there, subject.info
    reason = subject.differs_in()
    if here is None:
        result = ONLY_IN_BUCKET
    elif there is None or info is None:
        result = ONLY_IN_FILE_SYSTEM
    elif reason:
        result = DIFFERS
    else:
        return None
    told = info or (there if here is None else None)
    crc64 = subject.object_crc64 if subject.object_crc64 is not None or info is None else info.crc64
    return Difference(
        source=where.here + subject.pair.path,
        target=where.there + subject.pair.path,
        result=result,
        reason=" ".join(reason),
        source_size=here.size_bytes if here is not None else None,
        target_size=told.size_bytes if told is not None else None,
        source_modify_ns=here.modify_ns if here is not None else None,
        target_modify_ns=modify_ns_of(info) if info is not None else None,
        source_checksum=as_text(subject.crc64),
        target_checksum=as_text(crc64),
    )


_COUNTED = {DIFFERS: "differs", ONLY_IN_FILE_SYSTEM: "only_in_file_system", ONLY_IN_BUCKET: "only_in_bucket"}
_COUNTED_BY = {SIZE: "by_size", MODIFY_TIME: "by_modify_time", CHECKSUM: "by_checksum"}


def counted(subject: Subject, found: Difference | None, checksums: Checksums) -> Mapping[str, int]:
    """What it counts for in a Comparison, by the names of its fields."""
    counts = {_COUNTED[found.result] if found is not None else "same": 1}
    if found is not None:
        counts |= {_COUNTED_BY[each]: 1 for each in found.reason.split()}
    if subject.are_files and subject.info is not None:
        is_sum_wanted = checksums is not Checksums.NONE and SIZE not in subject.differs_in()
        counts["untold_times"] = int(modify_ns_of(subject.info) is None)
        counts["untold_checksums"] = int(is_sum_wanted and subject.object_crc64 is None)
    return counts
