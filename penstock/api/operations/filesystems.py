"""DescribeFileSystems: which registered file systems a key may see. Reads the registry only, touches no file system."""

from __future__ import annotations

from penstock.api import rights
from penstock.api.answers import Json
from penstock.api.errors import ApiError
from penstock.api.operation import Desk, Effect, Invocation, Operation, Reply
from penstock.api.parameters import Parameter, Values, identifier, integer, optional, repeated, text
from penstock.api.times import utc_text
from penstock.model import FileSystem

_tag_groups = repeated("Tag", ("Key", "Value"))

_FILE_SYSTEM_ID = optional("FileSystemId", identifier, "")
_FILE_SYSTEM_TYPE = optional("FileSystemType", text, "all")
_STORAGE_TYPE = optional("StorageType", text, "")
_VPC_ID = optional("VpcId", identifier, "")
_RESOURCE_GROUP_ID = optional("ResourceGroupId", identifier, "")
_TAGS: Parameter[tuple[tuple[str, ...], ...]] = Parameter(
    names=("Tag.N.Key", "Tag.N.Value"), default=(), take=lambda wire: tuple(_tag_groups(wire))
)
_PAGE_NUMBER = optional("PageNumber", integer(1, 1_000_000), 1)
_PAGE_SIZE = optional("PageSize", integer(1, 100), 10)

_TYPES = ("bmcpfs", "cpfsse", "cpfs", "extreme")


async def describe_file_systems(desk: Desk, invocation: Invocation) -> Reply:
    """One page, newest first. Raises ApiError InvalidFileSystem.NotFound for an id that is unknown."""
    values = invocation.values
    wanted = values[_FILE_SYSTEM_ID]
    known = desk.registry().file_systems
    if wanted and wanted not in known:
        raise ApiError(
            "InvalidFileSystem.NotFound", "There is no such file system; `penstock filesystem add` makes one."
        )
    seen = [
        file_system
        for file_system in known.values()
        if rights.sees(invocation.principal, file_system.file_system_id) and _asked_for(file_system, values)
    ]
    seen.sort(key=lambda file_system: (-file_system.created_ns, file_system.file_system_id))
    number, size = values[_PAGE_NUMBER], values[_PAGE_SIZE]
    page = seen[(number - 1) * size : number * size]
    return Reply(
        fields={
            "PageNumber": number,
            "PageSize": size,
            "TotalCount": len(seen),
            "FileSystems": {"FileSystem": [_fields(file_system) for file_system in page]},
        }
    )


def _asked_for(file_system: FileSystem, values: Values) -> bool:
    """Whether the filters let it through; what no file system here has (VPC, tags, ...) lets nothing through."""
    if values[_STORAGE_TYPE] or values[_VPC_ID] or values[_RESOURCE_GROUP_ID] or values[_TAGS]:
        return False
    if values[_FILE_SYSTEM_ID] not in ("", file_system.file_system_id):
        return False
    kinds = {kind.strip() for kind in values[_FILE_SYSTEM_TYPE].split(",")}
    return "all" in kinds or _kind(file_system) in kinds


def _kind(file_system: FileSystem) -> str:
    prefix = file_system.file_system_id.partition("-")[0]
    return prefix if prefix in _TYPES else "standard"


def _fields(file_system: FileSystem) -> dict[str, Json]:
    return {
        "FileSystemId": file_system.file_system_id,
        "FileSystemType": _kind(file_system),
        "ProtocolType": "cpfs",
        "Version": file_system.version,
        "Status": "Running",
        "Description": file_system.description,
        "RegionId": file_system.region,
        "CreateTime": utc_text(file_system.created_ns),
        "MountTargets": {"MountTarget": []},
        "Packages": {"Package": []},
        "SupportedFeatures": {"SupportedFeature": ["FileSystem", "DataFlow"]},
        "Tags": {"Tag": []},
        "VswIds": {"VswId": []},
    }


OPERATIONS = (
    Operation(
        name="DescribeFileSystems",
        effect=Effect.READ,
        parameters=(
            _FILE_SYSTEM_ID,
            _FILE_SYSTEM_TYPE,
            _STORAGE_TYPE,
            _VPC_ID,
            _RESOURCE_GROUP_ID,
            _TAGS,
            _PAGE_NUMBER,
            _PAGE_SIZE,
        ),
        run=describe_file_systems,
    ),
)
