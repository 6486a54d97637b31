"""What the API is told by its configuration: fidelity, path base, time zone and every bound on a request.

Plain values; nothing is read from the environment or from files here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fidelity(StrEnum):
    """How strictly the vendor's `bmcpfs-` rules hold; STRICT refuses what is our extension."""

    LENIENT = "lenient"
    STRICT = "strict"


class PathBase(StrEnum):
    """What a sub-task's path is relative to when it lies under the task's own directory (docs/fidelity.md, SUB-PATH-1)."""

    WALKTHROUGH = "walkthrough"
    TASK = "task"


class BucketCodes(StrEnum):
    """Which of the vendor's two sets of codes tell what is wrong with a bucket: those of the operation, or of the product."""

    SOURCE_STORAGE = "InvalidSourceStorage"
    BUCKET = "DataFlow.Bucket"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions:
    """Every choice and bound of the API. Sizes are bytes, times seconds, `api_time_zone` is an IANA name."""

    subtask_path_base: PathBase = PathBase.WALKTHROUGH
    fidelity: Fidelity = Fidelity.LENIENT
    bucket_codes: BucketCodes = BucketCodes.SOURCE_STORAGE
    api_time_zone: str = "UTC"
    log_made: bool = True
    clock_skew_s: int = 900
    data_flows_max: int = 10
    filesets_max: int = 500
    header_max_bytes: int = 32 << 10
    header_max_count: int = 128  # short ones cost more to keep than their bytes
    query_max_bytes: int = 256 << 10  # SDKs put all into it; an EntryList of 64 KB has 192 KiB, escaped
    body_max_bytes: int = 4 << 20  # a thousand files with paths of 1,023 letters fit
    older_body_max_bytes: int = 256 << 10  # of Signature 1.0; an EntryList of 64 KB has 192 KiB, escaped
    believed_body_max_bytes: int = 64 << 10  # decoded before its signature is judged; a longer one afterwards
    unnamed_max_bytes: int = 4 << 10  # query and body; of longer ones only what names a key of ours is decoded
    older_at_once_max_bytes: int = 16 << 10  # the same of Signature 1.0; longer ones are read one after another
    older_waiting_max: int = 16  # of those
    bodies_max_bytes: int = 64 << 20  # of all connections together; long heads count, too
    framing_max_bytes: int = 256 << 10  # of a chunked body: sizes, extensions, trailers
    body_time_s: float = 10.0
    head_max_bytes: int = 320 << 10  # first line and headers, as they come in
    head_time_s: float = 20.0
    keep_alive_s: float = 75.0
    linger_s: float = 2.0  # for callers to read a refusal while they are still sending
    connections_max: int = 4096  # a process may have fewer files open: `app.limits`
    parameter_max_count: int = 256
    bulk_entries_max: int = 1000
    store_time_s: float = 10.0
    file_system_time_s: float = 10.0
    errand_threads: int = 4  # for each bucket, and for each file system
    throttled_retry_after_s: int = 1
    streams_cached_max: int = 4096
    scheme: str = "http"  # of the listener, for links
    report_link_s: int = 86_400  # a link to a report is good for so long
