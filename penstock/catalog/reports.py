"""The lines of a batch's reports: one a file, written when it is final, kept compressed, read in the order in which they came.

Pure functions; `batches` runs the statements.
"""

from __future__ import annotations

import base64
import csv
import io
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from penstock.catalog.batchwork import Difference, Ended, Remark
from penstock.model import Comparison, Report, SubTaskStatus

COLUMNS = (
    "SrcFilePath", "DstFilePath", "Size", "ModifyTime", "Checksum", "Result", "Reason", "Attempts", "StartTime", "EndTime",
)  # fmt: skip
DIFFERENCE_COLUMNS = (
    "SrcFilePath", "DstFilePath", "Result", "Reason", "SrcSize", "DstSize", "SrcModifyTime", "DstModifyTime", "SrcChecksum",
    "DstChecksum",
)  # fmt: skip
SUMMARY_COLUMNS = ("What", "Count")
KEPT = "TargetKept: the target's name was taken, and the task's ConflictPolicy keeps what is there"
CANCELED = "Canceled: the task was canceled before the file had moved"

Line = Sequence[str | int]


def report_of(ended: Ended) -> Report:
    """In which report a final file stands."""
    if ended.status != SubTaskStatus.COMPLETE:
        return Report.FAILED
    return Report.SKIPPED if ended.kept else Report.SUCCESS


def line_of(ended: Ended, report: Report) -> Line:
    """A final file as a line."""
    is_known = ended.detail_modify_ns is not None
    return (
        ended.source,
        ended.target,
        ended.detail_size if is_known and ended.detail_size is not None else ended.bytes_total,
        ended.detail_modify_ns if ended.detail_modify_ns is not None else "",
        ended.detail_checksum,
        report.result,
        _reason(ended, report),
        ended.attempt,
        _time(ended.started_ns),
        _time(ended.ended_ns),
    )


def line_of_remark(remark: Remark, now_ns: int) -> Line:
    """What was listed and is not moved, as a line."""
    modified = remark.modify_ns if remark.modify_ns is not None else ""
    size, result = remark.size_bytes, remark.report.result
    return remark.source, remark.target, size, modified, "", result, remark.reason, 0, "", _time(now_ns)


def line_of_difference(one: Difference) -> Line:
    """What is not the same on both sides, as a line."""
    return tuple("" if cell is None else cell for cell in one)


def summary_of(found: Comparison) -> Sequence[Line]:
    """The lines of a comparison's summary: its counts."""
    return list(told(found).items())


def told(found: Comparison) -> Mapping[str, int]:
    """The counts of a comparison by the names that the API and the summary give them."""
    return {
        "Same": found.same,
        "Differs": found.differs,
        "OnlyInFileSystem": found.only_in_file_system,
        "OnlyInBucket": found.only_in_bucket,
        "DiffersInSize": found.by_size,
        "DiffersInModifyTime": found.by_modify_time,
        "DiffersInChecksum": found.by_checksum,
        "ModifyTimeNotCompared": found.untold_times,
        "ChecksumNotCompared": found.untold_checksums,
        "Skipped": found.skipped,
        "Failed": found.failed,
        "BytesRead": found.read_bytes,
    }


def _reason(ended: Ended, report: Report) -> str:
    if report is Report.SUCCESS:
        return ended.note
    if report is Report.SKIPPED:
        return KEPT
    if ended.status == SubTaskStatus.CANCELED and not ended.error_message:
        return f"{CANCELED}; {ended.note}" if ended.note else CANCELED
    return f"{ended.error_code}: {ended.error_message}" if ended.error_code else ended.error_message


def _time(time_ns: int) -> str:
    """UTC, as RFC 3339 has it; "" where it has not come."""
    if time_ns <= 0:
        return ""
    seconds, ns = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns // 1_000_000:03}Z"


def written(lines: Iterable[Line]) -> bytes:
    """Lines as CSV (RFC 4180, UTF-8)."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    return text.getvalue().encode("utf-8", "backslashreplace")


HEAD = written([COLUMNS])
_HEADS = {Report.DIFFERENCES: written([DIFFERENCE_COLUMNS]), Report.SUMMARY: written([SUMMARY_COLUMNS])}


def head_of(report: Report) -> bytes:
    """The first line of a report."""
    return _HEADS.get(report, HEAD)


def packed(lines: bytes) -> str:
    """Lines as they are kept: neighbours' names are much alike, so this is a tenth."""
    return base64.b85encode(zlib.compress(lines, 6)).decode("ascii")


def unpacked(text: str) -> bytes:
    """Lines as they were written."""
    return zlib.decompress(base64.b85decode(text))
