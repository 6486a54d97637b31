"""What the API answers, as typed values: a dataflow, a stream, a sub-task. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from penstock.client.bulk import FileToMove
from penstock.model import FINAL_SUB_TASK_STATUSES, ConflictPolicy, Direction, SubTaskStatus

ACTIONS = {Direction.IMPORT: "StreamImport", Direction.EXPORT: "StreamExport"}
DIRECTIONS = {action: direction for direction, action in ACTIONS.items()}
PROGRESS_WHOLE = 10_000
_CRC64 = "crc64:"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFacts:
    """A dataflow: `path` is its directory of the file system, `storage` and `prefix` its place in a bucket."""

    flow_id: str
    path: str
    storage: str
    prefix: str
    status: str
    error: str = ""

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """From the API's answer."""
        return cls(
            flow_id=str(answer["DataFlowId"]),
            path=str(answer["FileSystemPath"]),
            storage=str(answer["SourceStorage"]),
            prefix=str(answer["SourceStoragePath"]),
            status=str(answer["Status"]),
            error=str(answer.get("ErrorMessage") or ""),
        )

    @property
    def there(self) -> str:
        """The side of the bucket, as people write it: `oss://bucket/prefix/`."""
        return f"{self.storage}{self.prefix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """A stream: sources lie beneath `directory`, targets beneath `target_directory`, each on its own side of the dataflow."""

    task_id: str
    flow_id: str
    direction: Direction
    directory: str
    target_directory: str
    policy: ConflictPolicy
    status: str

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """From the API's answer about a stream."""
        directory = str(answer.get("Directory") or "/")
        return cls(
            task_id=str(answer["TaskId"]),
            flow_id=str(answer["DataFlowId"]),
            direction=DIRECTIONS[str(answer["TaskAction"])],
            directory=directory,
            target_directory=str(answer.get("DstDirectory") or directory),
            policy=ConflictPolicy(str(answer["ConflictPolicy"])),
            status=str(answer["Status"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SubTask:
    """One file on its way or at its end.

    `source` and `target` are full paths as the API tells them; `submitted` is the file as it was submitted here, None where
    somebody else did. Sizes are bytes, `average_speed` is bytes a second, `modify_time_ns` counts from 1970. `error` is
    `Code: words`: final with FAILED, and with RUNNING the reason why it waits for its next try. Times are the API's texts.
    """

    sub_task_id: str
    flow_id: str
    task_id: str
    source: str
    target: str
    status: SubTaskStatus
    progress: float
    bytes_total: int
    bytes_done: int
    bytes_moved: int
    average_speed: int
    error: str = ""
    checksum: str = ""
    size_bytes: int | None = None
    modify_time_ns: int | None = None
    created: str = ""
    started: str = ""
    ended: str = ""
    note: str = ""
    submitted: FileToMove | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any], submitted: FileToMove | None = None) -> Self:
        """From the API's answer."""
        stats, detail = answer["ProgressStats"], answer.get("FileDetail", {})
        return cls(
            sub_task_id=str(answer["DataFlowSubTaskId"]),
            flow_id=str(answer["DataFlowId"]),
            task_id=str(answer["DataFlowTaskId"]),
            source=str(answer["SrcFilePath"]),
            target=str(answer["DstFilePath"]),
            status=SubTaskStatus(answer["Status"]),
            progress=answer["Progress"] / PROGRESS_WHOLE,
            bytes_total=int(stats["BytesTotal"]),
            bytes_done=int(stats["BytesDone"]),
            bytes_moved=int(stats["ActualBytes"]),
            average_speed=int(stats["AverageSpeed"]),
            error=str(answer.get("ErrorMsg") or ""),
            checksum=str(detail.get("Checksum") or ""),
            size_bytes=None if detail.get("Size") is None else int(detail["Size"]),
            modify_time_ns=None if detail.get("ModifyTime") is None else int(detail["ModifyTime"]),
            created=str(answer.get("CreateTime") or ""),
            started=str(answer.get("StartTime") or ""),
            ended=str(answer.get("EndTime") or ""),
            note=str(answer.get("Record", {}).get("Note") or ""),
            submitted=submitted,
        )

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in FINAL_SUB_TASK_STATUSES

    @property
    def is_complete(self) -> bool:
        """Whether the file is published, durable and verified."""
        return self.status is SubTaskStatus.COMPLETE

    @property
    def was_kept(self) -> bool:
        """Whether it is COMPLETE because the conflict policy kept the target that was there: nothing was moved."""
        return self.is_complete and self.bytes_total > 0 and self.bytes_moved == 0

    @property
    def crc64(self) -> int | None:
        """CRC-64/XZ of the bytes (the number of `x-oss-hash-crc64ecma`); None where it is not known."""
        number = self.checksum.removeprefix(_CRC64)
        return int(number) if self.checksum.startswith(_CRC64) and number.isdecimal() else None

    @property
    def name(self) -> str:
        """The source as it was submitted, or as the API tells it."""
        return self.source if self.submitted is None else self.submitted.source

    @property
    def words(self) -> str:
        """What became of it, for people: `name: STATUS: why`."""
        return f"{self.name}: {self.status.value}" + (f": {self.error}" if self.error else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A file that the API did not accept; the stream takes others."""

    file: FileToMove
    code: str
    message: str
