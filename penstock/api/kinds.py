"""The two kinds of file systems that the vendor has dataflows for, told by their ids, and what the kind decides.

`bmcpfs-` is CPFS for Lingjun: its dataflows name a directory, and its tasks may be streams. `cpfs-` is the general-purpose
CPFS: its dataflows are bound to a fileset, buy a bandwidth, and are started and stopped. Asks the catalog about filesets only.
"""

from __future__ import annotations

from enum import StrEnum

from penstock.api.errors import ApiError, invalid_format, missing
from penstock.api.operation import Desk
from penstock.api.options import Fidelity
from penstock.catalog.filesetwork import FilesetStatus
from penstock.errors import FilesetNotFoundError
from penstock.model import STREAM_ACTIONS, ConflictPolicy, FileSystem, TaskAction

DATA_TYPE = "MetaAndData"
_UNBUILT = frozenset({TaskAction.EVICT, TaskAction.INVENTORY})


class Kind(StrEnum):
    """By the beginning of its id. Any other id is taken for the first one's."""

    LINGJUN = "bmcpfs"
    GENERAL_PURPOSE = "cpfs"


def kind_of(file_system_id: str) -> Kind:
    """Which kind a file system is of."""
    return Kind.GENERAL_PURPOSE if file_system_id.startswith("cpfs-") else Kind.LINGJUN


def is_general_purpose(file_system_id: str) -> bool:
    """Whether a file system is of the older kind."""
    return kind_of(file_system_id) is Kind.GENERAL_PURPOSE


async def bound_path(desk: Desk, file_system: FileSystem, fset_id: str, path: str) -> str:
    """The FileSystemPath of a new dataflow: what was asked for, or its fileset's. Raises ApiError."""
    if kind_of(file_system.file_system_id) is Kind.LINGJUN:
        if not path:
            raise missing("FileSystemPath")
        return path
    if not fset_id:
        raise missing("FsetId")
    try:
        fileset = await desk.catalog.filesets.one(file_system.file_system_id, fset_id)
    except FilesetNotFoundError as error:
        raise ApiError("InvalidFsetId.NotFound", f"{error}; CreateFileset makes one.") from error
    if fileset.status is not FilesetStatus.CREATED:
        raise ApiError(
            "OperationDenied.DependFset", f"The fileset {fset_id} is {fileset.status}: try again in a minute."
        )
    if path not in ("", fileset.file_system_path):
        raise invalid_format("FileSystemPath", f"the dataflow is bound to the directory of {fset_id}, and to no other")
    return fileset.file_system_path


def source_path(file_system: FileSystem, path: str) -> str:
    """The SourceStoragePath of a new dataflow: the whole bucket where the kind knows no other. Raises ApiError."""
    if path:
        return path
    if kind_of(file_system.file_system_id) is Kind.LINGJUN:
        raise missing("SourceStoragePath")
    return "/"


def require_throughput(file_system: FileSystem, throughput: int) -> None:
    """Raises ApiError MissingThroughput where a bandwidth has to be bought."""
    if kind_of(file_system.file_system_id) is Kind.GENERAL_PURPOSE and not throughput:
        raise missing("Throughput")


def check_task(desk: Desk, file_system: FileSystem, action: TaskAction | None, data_type: str) -> None:
    """Raises ApiError where this kind has no such task."""
    if kind_of(file_system.file_system_id) is Kind.LINGJUN:
        if data_type != DATA_TYPE:
            raise ApiError("InvalidDataType.NotSupported", f"DataType is {DATA_TYPE} for this kind of file system.")
        if action in _UNBUILT:
            raise ApiError("InvalidTaskAction.NotSupported", f"{action} is not for this kind of file system.")
        return
    if data_type != DATA_TYPE or action in _UNBUILT:
        what = data_type if data_type != DATA_TYPE else action
        raise ApiError(
            "NotImplemented", f"{what} is not built: here a file is in the file system whole, or not at all."
        )
    if action in STREAM_ACTIONS and desk.options.fidelity is Fidelity.STRICT:
        raise ApiError("InvalidTaskAction.NotSupported", f"{action} is for CPFS for Lingjun only (fidelity = strict).")


def conflict_policy(file_system: FileSystem, asked: ConflictPolicy | None) -> ConflictPolicy:
    """What a task does where its target exists. Raises ApiError where it has to be said."""
    if asked is not None:
        return asked
    if kind_of(file_system.file_system_id) is Kind.LINGJUN:
        raise missing("ConflictPolicy")
    return ConflictPolicy.KEEP_LATEST


def refuse_quota(file_system: FileSystem) -> None:
    """Raises ApiError OperationDenied.FilesetNotSupported where filesets have no quotas."""
    if kind_of(file_system.file_system_id) is Kind.GENERAL_PURPOSE:
        raise ApiError("OperationDenied.FilesetNotSupported", "Filesets of this kind of file system have no quota.")


def refuse_if_not_stoppable(desk: Desk, file_system: FileSystem, what: str) -> None:
    """Raises ApiError OperationDenied.DataFlowNotSupported for what is of the older kind only, where strictness was asked for."""
    if kind_of(file_system.file_system_id) is Kind.LINGJUN and desk.options.fidelity is Fidelity.STRICT:
        raise ApiError(
            "OperationDenied.DataFlowNotSupported", f"{what} is not for this kind of file system (fidelity = strict)."
        )
