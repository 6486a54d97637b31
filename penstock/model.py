"""The nouns that rooms exchange: plain, frozen values, named as the vendor and S3 name them.

No behaviour beyond what a value can say of itself, no I/O. Times are UTC nanoseconds (`_ns`), sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from msgspec import Struct


class DataFlowStatus(StrEnum):
    """Status of a dataflow, in the wire's words."""

    STARTING = "Starting"
    RUNNING = "Running"
    UPDATING = "Updating"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    DELETING = "Deleting"
    DELETED = "Deleted"  # never answered: a deleted dataflow is out of the API's sight until pruned
    MISCONFIGURED = "Misconfigured"


class TaskStatus(StrEnum):
    """Status of a task, in the wire's words."""

    PENDING = "Pending"
    EXECUTING = "Executing"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELING = "Canceling"
    CANCELED = "Canceled"


class SubTaskStatus(StrEnum):
    """Status of a sub-task, in the wire's words."""

    CREATED = "CREATED"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


LIVE_SUB_TASK_STATUSES = frozenset({SubTaskStatus.CREATED, SubTaskStatus.RUNNING, SubTaskStatus.CANCELING})
FINAL_SUB_TASK_STATUSES = frozenset(SubTaskStatus) - LIVE_SUB_TASK_STATUSES


class TaskAction(StrEnum):
    """What a task does; the streams are open channels for sub-tasks."""

    IMPORT = "Import"
    EXPORT = "Export"
    STREAM_IMPORT = "StreamImport"
    STREAM_EXPORT = "StreamExport"
    EVICT = "Evict"
    INVENTORY = "Inventory"
    COMPARE = "Compare"  # ours: both sides are looked at, and nothing moves


STREAM_ACTIONS = frozenset({TaskAction.STREAM_IMPORT, TaskAction.STREAM_EXPORT})


class Report(StrEnum):
    """The reports of a batch task, by the vendor's names: each file that it listed is a line in one of them.

    The last two are ours, of a Compare, which has a line only for what is not the same on both sides.
    """

    SUCCESS = "SuccessFilesReport"
    SKIPPED = "SkippedFilesReport"
    FAILED = "FailedFilesReport"
    DIFFERENCES = "DifferencesReport"
    SUMMARY = "SummaryReport"

    @property
    def result(self) -> str:
        """What became of the files in it, in one word."""
        return self.value.removesuffix("FilesReport")


class Direction(StrEnum):
    """Which way bytes flow: IMPORT is bucket to file system, EXPORT is file system to bucket."""

    IMPORT = "import"
    EXPORT = "export"


class ConflictPolicy(StrEnum):
    """What to do when the target name exists already."""

    SKIP_THE_FILE = "SKIP_THE_FILE"
    KEEP_LATEST = "KEEP_LATEST"
    OVERWRITE_EXISTING = "OVERWRITE_EXISTING"


class Guarantee(StrEnum):
    """How firmly the conflict policy held while others could write at the same moment."""

    ATOMIC = "atomic"
    BEST_EFFORT = "best effort"


class Verification(StrEnum):
    """How the bytes of a moved file were compared with the store's; all but CRC64 stand in a sub-task's note."""

    CRC64 = "crc64"  # of the whole object: what the store told is what was read or sent
    CRC32C = "crc32c"  # the store compared each body that was sent
    SHA256 = "sha256"  # likewise
    MD5 = "md5"  # likewise, or the ETag told it
    READ_BACK = "read-back"  # the object was read once more, whole
    NONE = "not compared"


class BucketKind(StrEnum):
    """The protocol that a registered bucket speaks; EMBEDDED is our own emulator, spoken to as OSS."""

    OSS = "oss"
    S3 = "s3"
    EMBEDDED = "embedded"


class AddressingStyle(StrEnum):
    """Where a request names its bucket: in the path, in the host name, or nowhere (the host is the bucket's own domain)."""

    PATH = "path"
    VIRTUAL_HOST = "virtual"
    CNAME = "cname"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    """A registered file system. `root` is an absolute path; nothing outside of it is ever touched.

    So that nothing is written under a mount point whose file system is gone, the directory is known by its `mark`, which a
    small file in it carries, or where none can be written by `mount_type` and `mount_source`. These and `mount_point` are as the
    mount table last told them while the root was known to be the right one. Empty strings mean that something was not recorded.
    """

    file_system_id: str
    root: str
    version: str = "2.7.0"
    description: str = ""
    region: str = "cn-hangzhou"
    created_ns: int = 0
    mount_type: str = ""
    mount_source: str = ""
    mount_point: str = ""
    mark: str = ""


ENVIRONMENT = "environment"
"""As `Bucket.credentials`: the key pair stands in the environment of the service."""


class Verify(StrEnum):
    """How an exported object is compared with the file."""

    STORE = "store"  # by what the store tells, or checks
    READ_BACK = "read-back"  # the object is read once more, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What new objects of a bucket are given. Empty: what the bucket itself says.

    `encryption` is the store's word for it (AES256, KMS, ...), `encryption_key` the id of a key that it manages.
    """

    storage_class: str = ""
    acl: str = ""
    encryption: str = ""
    encryption_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A registered bucket: where it is and how it is spoken to. Secrets are found by `name`, never carried.

    `endpoint` is `http[s]://host[:port]`, `proxy` the same of an HTTP proxy on the way to it. `credentials` is where the key pair
    comes from: empty (secrets.toml), ENVIRONMENT, the absolute path of a file, or a URL. `tag_check` and `versioning_check` are
    the prerequisites of the vendor that can be waived for stores that lack them. Without `exports` no task may export into it.
    `restore_days`: archived objects that are to be imported are restored for so many days; 0: they are refused. `abilities` is
    what probing found (see `penstock.stores.base.Abilities`).
    """

    name: str
    kind: BucketKind
    endpoint: str
    region: str
    addressing_style: AddressingStyle
    tag_check: bool = True
    versioning_check: bool = True
    ca_file: str = ""
    credentials: str = ""
    proxy: str = ""
    requester_pays: bool = False
    exports: bool = True
    export: ExportOptions = ExportOptions()
    restore_days: int = 0
    verify: Verify = Verify.STORE
    abilities: Mapping[str, str | bool | int] = field(default_factory=dict)

    @property
    def scheme(self) -> str:
        """The scheme of SourceStorage that names this bucket: `s3` for kind s3, else `oss`."""
        return "s3" if self.kind is BucketKind.S3 else "oss"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A key pair for an object store, with the session token of temporary ones."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """A caller of the API. `allow` holds patterns of actions (`nas:Describe*`, `oss:*`, `*`); `file_systems` ids or `*`."""

    access_key_id: str
    secret: str = field(repr=False)
    allow: tuple[str, ...] = ("*",)
    file_systems: tuple[str, ...] = ("*",)
    active: bool = True
    description: str = ""
    created_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """One consistent snapshot of what is registered; a running service replaces it whole when its files change."""

    file_systems: Mapping[str, FileSystem]
    buckets: Mapping[str, Bucket]
    access_keys: Mapping[str, AccessKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What the source must look like, if stated. `modify_time_ns` is compared as equal when closer than 1 microsecond."""

    modify_time_ns: int | None = None
    size_bytes: int | None = None


class FileDetail(Struct, frozen=True, kw_only=True):
    """What the source was: nanoseconds, bytes, and `crc64:<decimal>` (empty when the checksum is not known)."""

    modify_time_ns: int
    size_bytes: int
    checksum: str = ""


class RefreshPolicy(StrEnum):
    """Whether a dataflow imports by itself what changes in its bucket, in the wire's words."""

    NONE = "None"
    IMPORT_CHANGED = "ImportChanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoRefresh:
    """How a dataflow is refreshed: the directories beneath it, and how often its bucket is looked at for them.

    `is_late`: the last look was not over, or what it found not moved, when the next one was due.
    """

    policy: RefreshPolicy = RefreshPolicy.NONE
    interval_minutes: int = 10
    paths: tuple[str, ...] = ()
    is_late: bool = False


NO_REFRESH = AutoRefresh()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFlow:
    """A binding of one directory of a file system to one prefix of one bucket. Both paths start and end with `/`."""

    file_system_id: str
    data_flow_id: str
    file_system_path: str
    source_storage: str
    source_storage_path: str
    source_security_type: str
    description: str
    status: DataFlowStatus
    error_message: str
    created_ns: int
    updated_ns: int
    fset_id: str = ""  # of the fileset that it is bound to, where its file system's kind has that
    auto_refresh: AutoRefresh = NO_REFRESH
    throughput: int = 0  # in MB a second, as bought
    bandwidth: int = 0  # the same, as it is limited beside that; 0: it is not

    @property
    def bucket(self) -> str:
        """The registered bucket's name, out of `oss://[uid:]name`."""
        return self.source_storage.split("://", 1)[1].rsplit(":", 1)[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCounters:
    """Counters of a task's sub-tasks, kept in the transactions that change them."""

    accepted: int = 0
    created: int = 0
    running: int = 0
    canceling: int = 0
    complete: int = 0
    failed: int = 0
    canceled: int = 0
    expired: int = 0
    moved: int = 0  # COMPLETE and really transferred (not skipped)
    bytes_total: int = 0  # of sub-tasks whose source size is known
    bytes_done: int = 0  # of COMPLETE ones, skipped included
    actual_bytes: int = 0
    moving_ns: int = 0  # time in which bytes moved, summed over sub-tasks


class Checksums(StrEnum):
    """Whether a Compare looks into files, and where it has the checksums of objects from."""

    NONE = "None"  # sizes and times are compared, files are not read
    STORED = "Stored"  # files are read; of objects, what the store tells
    READ = "Read"  # likewise, and objects whose store does not tell are read, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a Compare has found so far: counts of paths. Each differs in one or several ways."""

    same: int = 0
    differs: int = 0
    only_in_file_system: int = 0
    only_in_bucket: int = 0
    by_size: int = 0
    by_modify_time: int = 0
    by_checksum: int = 0
    untold_times: int = 0  # on both sides, of which the object does not tell the file's time
    untold_checksums: int = 0  # likewise, where checksums were asked for and the store tells none
    skipped: int = 0  # not files: links, directories, what marks one
    failed: int = 0  # could not be compared
    read_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task of a dataflow. Directories are as the caller gave them (start and end with `/`)."""

    file_system_id: str
    data_flow_id: str
    task_id: str
    action: TaskAction
    data_type: str
    conflict_policy: ConflictPolicy
    directory: str
    target_directory: str
    create_dir_if_not_exist: bool
    originator: str
    status: TaskStatus
    error_message: str
    created_ns: int
    started_ns: int | None
    ended_ns: int | None
    counters: TaskCounters
    source_storage: str  # of its dataflow, as DescribeDataFlowTasks answers it
    file_system_path: str  # of its dataflow
    entry_list: str = ""  # of a batch, as are those below
    includes: str = ""
    file_list_path: str = ""
    reports: tuple[Report, ...] = ()  # once it has ended: those with any line
    report_path: str = ""  # where they lie in the bucket
    checksums: Checksums | None = None  # of a Compare, as is what it has found
    comparison: Comparison | None = None
    seen_ns: int = field(default=0, compare=False)  # when all this was so

    @property
    def direction(self) -> Direction:
        """Which way this task's bytes flow."""
        importing = self.action in {TaskAction.IMPORT, TaskAction.STREAM_IMPORT}
        return Direction.IMPORT if importing else Direction.EXPORT


@dataclass(frozen=True, slots=True, kw_only=True)
class SubTask:
    """One file to move. `source` and `target` are the full answered paths (`/bmcpfs/test/file.xml`)."""

    file_system_id: str
    data_flow_id: str
    task_id: str
    sub_task_id: str
    source: str
    target: str
    status: SubTaskStatus
    attempt: int
    condition: Condition
    bytes_total: int
    bytes_done: int
    actual_bytes: int
    moving_ns: int
    detail: FileDetail | None
    error_code: str
    error_message: str
    guarantee: str  # a Guarantee, or empty before it is known
    note: str  # a Verification other than CRC64, and what else there is to say
    created_ns: int
    started_ns: int | None
    ended_ns: int | None
    due_ns: int  # when the next attempt may start

    @property
    def progress(self) -> int:
        """0..10000; 10000 if and only if COMPLETE (zero-byte files too)."""
        if self.status is SubTaskStatus.COMPLETE:
            return 10000
        if self.bytes_total <= 0:
            return 0
        return min(9999, 10000 * self.bytes_done // self.bytes_total)

    @property
    def verification(self) -> Verification | None:
        """How the file was compared; None before it is COMPLETE, and where nothing was moved because the target was kept."""
        if self.status is not SubTaskStatus.COMPLETE or (self.bytes_total > 0 and self.actual_bytes == 0):
            return None
        said = self.note.split("; ")
        return next((word for word in Verification if word.value in said), Verification.CRC64)

    @property
    def remarks(self) -> str:
        """What there is to say beside how the file was compared."""
        verification = self.verification
        return "; ".join(said for said in self.note.split("; ") if verification is None or said != verification.value)

    @property
    def average_speed(self) -> int:
        """Bytes a second over the time in which bytes moved; 0 if none did."""
        return 0 if self.moving_ns <= 0 else self.actual_bytes * 1_000_000_000 // self.moving_ns
