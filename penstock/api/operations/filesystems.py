"""The four operations on file systems: which a key may see, from the registry; and to create, delete and describe one.

A new one is promised in the catalog, then made and registered: a call that is repeated with its ClientToken goes on from there.
"""

from __future__ import annotations

from enum import StrEnum

from penstock.api import rights
from penstock.api.answers import Json
from penstock.api.descriptions import description
from penstock.api.errors import ApiError, invalid_format
from penstock.api.founder import Order
from penstock.api.operation import Desk, Effect, Invocation, Operation, Reply, file_system_of
from penstock.api.parameters import (
    CLIENT_TOKEN,
    DRY_RUN,
    FILE_SYSTEM_ID,
    Parameter,
    Values,
    Wire,
    identifier,
    integer,
    optional,
    repeated,
    required,
    text,
    word_of,
)
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


# ------------------------------------------------------------------------------------------------ create, delete, modify


class _Kind(StrEnum):
    """FileSystemType, of those that can be made here."""

    LINGJUN = "bmcpfs"
    GENERAL_PURPOSE = "cpfs"


class _Protocol(StrEnum):
    """ProtocolType."""

    CPFS = "cpfs"


def _nothing(name: str, _: str) -> str:
    raise invalid_format(name, "there is no such thing here, and what asks for it would miss it")


_NEW_VERSION = "2.7.0"
_NEW_KIND = required("FileSystemType", word_of(_Kind), _Kind.LINGJUN)
_PROTOCOL = required("ProtocolType", word_of(_Protocol), _Protocol.CPFS)
_NEW_STORAGE_TYPE = required("StorageType", text, "")
_DESCRIPTION = optional("Description", description, "")
_REFUSED = tuple(optional(name, _nothing, "") for name in ("EncryptType", "KmsKeyId", "SnapshotId"))
_LET_GO = tuple(
    optional(name, text, "")
    for name in (
        "Bandwidth",
        "Capacity",
        "ChargeType",
        "Duration",
        "HpnZone",
        "RedundancyType",
        "RedundancyVSwitchIds.N",
        "ResourceGroupId",
        "VSwitchId",
        "VpcId",
        "ZoneId",
    )
)
"""What is bought, or belongs to a cloud's network: it means nothing here, and nobody misses it."""


def _no_object(whole: str, *fields: str) -> Parameter[str]:
    """An object that is refused in whatever form it comes: none of its fields means anything here."""

    def take(wire: Wire) -> str:
        for name, value in wire.items():
            if value and name.partition(".")[0] == whole:
                _nothing(whole, value)
        return ""

    return Parameter(names=tuple(f"{whole}.{field}" for field in fields), default="", take=take)


_OPTIONS = _no_object("Options", "EnableABE", "EnableOplock", "VscAccessPointAccessOnly")
_AUTO_UPGRADE = _no_object("AutoUpgradeConfig", "capacityUsedRatio", "enabled", "step", "time")


async def create_file_system(desk: Desk, invocation: Invocation) -> Reply:
    """A new directory in file_system_root, registered. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system_id = desk.founder.new_id(values[_NEW_KIND].value)
    if not rights.sees(invocation.principal, file_system_id):
        raise ApiError("Forbidden.RAM", "This access key is for other file systems: it would not see the new one.")
    if await invocation.answered_before(desk.catalog) is None:
        await desk.founder.may_found()
    founding = desk.catalog.founding
    file_system_id = await founding.promise(invocation.call(), file_system_id)
    if file_system_id and await founding.is_promised(file_system_id):
        order = Order(file_system_id=file_system_id, description=values[_DESCRIPTION], version=_NEW_VERSION)
        try:
            await desk.founder.found(order)
        except ApiError:
            await founding.withdraw(file_system_id)
            raise
        await founding.be_made(file_system_id)
    return Reply(fields={"FileSystemId": file_system_id})


async def delete_file_system(desk: Desk, invocation: Invocation) -> Reply:
    """Remove an empty one that was made so. Raises ApiError, CatalogError."""
    file_system = file_system_of(desk, invocation.values, since=(0,))
    await desk.catalog.founding.require_free(file_system.file_system_id)
    await desk.founder.remove(file_system.file_system_id)
    await desk.catalog.founding.forget(invocation.call(), file_system.file_system_id)
    return Reply(fields={})


async def modify_file_system(desk: Desk, invocation: Invocation) -> Reply:
    """Give it another description. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=(0,))
    await desk.catalog.founding.note(invocation.call())
    if values[_DESCRIPTION]:
        await desk.founder.describe(file_system.file_system_id, values[_DESCRIPTION])
    return Reply(fields={})


OPERATIONS = (
    Operation(
        name="CreateFileSystem",
        answers_id="FileSystemId",
        effect=Effect.WRITE,
        parameters=(
            _NEW_KIND,
            _PROTOCOL,
            _NEW_STORAGE_TYPE,
            _DESCRIPTION,
            *_REFUSED,
            *_LET_GO,
            _TAGS,
            DRY_RUN,
            CLIENT_TOKEN,
        ),
        run=create_file_system,
    ),
    Operation(name="DeleteFileSystem", effect=Effect.WRITE, parameters=(FILE_SYSTEM_ID,), run=delete_file_system),
    Operation(
        name="ModifyFileSystem",
        effect=Effect.WRITE,
        parameters=(FILE_SYSTEM_ID, _DESCRIPTION, _OPTIONS, _AUTO_UPGRADE),
        run=modify_file_system,
    ),
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
