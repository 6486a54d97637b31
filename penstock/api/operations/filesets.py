"""The seven operations on filesets: create, describe, get, modify, delete, and the quota.

The catalog says first that a fileset is to be, then its directory is made, then the catalog hears of that: whatever dies in
between, the directory of an id is made in the end, and a repeated call finds it. It is removed only while it is empty.
"""

from __future__ import annotations

from enum import StrEnum

from penstock.api import grounds, kinds
from penstock.api.answers import Json
from penstock.api.descriptions import description
from penstock.api.errors import ApiError, invalid_format
from penstock.api.filters import filters, ids, one_text, words_of
from penstock.api.operation import (
    FILESET_SINCE,
    Desk,
    Effect,
    Invocation,
    Operation,
    Reply,
    file_system_of,
)
from penstock.api.parameters import (
    CLIENT_TOKEN,
    DRY_RUN,
    FILE_SYSTEM_ID,
    NEXT_TOKEN,
    Parameter,
    Values,
    boolean,
    identifier,
    integer,
    max_results,
    optional,
    required,
    word_of,
)
from penstock.api.paths import check_directory
from penstock.api.times import zone_text
from penstock.catalog.filesetwork import (
    Fileset,
    FilesetChanges,
    FilesetOrder,
    FilesetQuery,
    FilesetStatus,
    NewFileset,
    Quota,
)
from penstock.errors import CatalogError, FilesetNotFoundError
from penstock.model import FileSystem
from penstock.transfer import filesetdir

DEPTH_MAX = 8
PATH_MAX_CHARACTERS = 990
GIB = 1 << 30
SIZE_LIMIT_LEAST = 10 * GIB
SIZE_LIMIT_MOST = 1 << 62
FILE_COUNT_LEAST, FILE_COUNT_MOST = 10_000, 10_000_000_000
_FILTER_MAX_CHARACTERS = 1024


class _SortOrder(StrEnum):
    ASCENDING = "asc"
    DESCENDING = "desc"


def _path(name: str, text: str) -> str:
    """Raises ApiError."""
    try:
        check_directory(name, text)
    except ApiError as error:
        illegal = error.code == "IllegalCharacters"
        code = "InvalidFileSystemPath.InvalidCharacters" if illegal else "InvalidFilesetPath.InvalidParameter"
        raise ApiError(code, error.message) from error
    if text == "/" or len(text) > PATH_MAX_CHARACTERS:
        raise ApiError(
            "InvalidFilesetPath.InvalidParameter",
            f"{name} is a directory beneath the root, of at most {PATH_MAX_CHARACTERS} characters.",
        )
    if text.count("/") - 1 > DEPTH_MAX:
        raise ApiError("OperationDenied.TooManyDepths", f"{name} has at most {DEPTH_MAX} levels.")
    return text


def _size(name: str, text: str) -> int:
    size = integer(SIZE_LIMIT_LEAST, SIZE_LIMIT_MOST)(name, text)
    if size % GIB:
        raise invalid_format(name, f"it is a multiple of {GIB} bytes (1 GiB)")
    return size


_count = integer(FILE_COUNT_LEAST, FILE_COUNT_MOST)

_FSET_ID = required("FsetId", identifier, "")
_FILE_SYSTEM_PATH = required("FileSystemPath", _path, "")
_DESCRIPTION = optional("Description", description, "")
_PROTECTION: Parameter[bool | None] = optional("DeletionProtection", boolean, None)
_QUOTA_SIZE = optional("Quota.SizeLimit", _size, 0)
_QUOTA_FILES = optional("Quota.FileCountLimit", _count, 0)
_SIZE_LIMIT = optional("SizeLimit", _size, 0)
_FILE_COUNT_LIMIT = optional("FileCountLimit", _count, 0)
_MAX_RESULTS = max_results(10)
_ORDER = optional("OrderByField", word_of(FilesetOrder), FilesetOrder.NEWEST)
_SORT_ORDER = optional("SortOrder", word_of(_SortOrder), _SortOrder.DESCENDING)
_FILTERS = filters(
    {
        "FsetIds": ids,
        "FileSystemPath": one_text(_FILTER_MAX_CHARACTERS),
        "Description": one_text(_FILTER_MAX_CHARACTERS),
        "QuotaExists": words_of(("true", "false")),
    },
    max_count=5,
)


# ---------------------------------------------------------------------------------------------------------------- create


async def create_fileset(desk: Desk, invocation: Invocation) -> Reply:
    """A new directory with an id. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=FILESET_SINCE)
    quota = Quota(size_bytes=values[_QUOTA_SIZE], file_count=values[_QUOTA_FILES])
    if quota != Quota():
        kinds.refuse_quota(file_system)
    if await invocation.answered_before(desk.catalog) is None:
        await grounds.ask(desk, file_system, filesetdir.may_make, values[_FILE_SYSTEM_PATH])
    fset_id = await desk.catalog.filesets.create(
        invocation.call(),
        NewFileset(
            file_system_id=file_system.file_system_id,
            file_system_path=values[_FILE_SYSTEM_PATH],
            description=values[_DESCRIPTION],
            deletion_protection=bool(values[_PROTECTION]),
            quota=quota,
            filesets_max=desk.options.filesets_max,
        ),
    )
    if fset_id:
        await _make(desk, file_system, fset_id)
    return Reply(fields={"FsetId": fset_id})


async def _make(desk: Desk, file_system: FileSystem, fset_id: str) -> None:
    """Make its directory, unless that is done. Raises ApiError when it cannot be; then there is no such fileset."""
    filesets = desk.catalog.filesets
    try:
        fileset = await filesets.one(file_system.file_system_id, fset_id)
    except FilesetNotFoundError:
        return  # a ClientToken stands for its first answer, whatever has become of the fileset
    if fileset.status is FilesetStatus.CREATED:
        return
    try:
        await grounds.ask(desk, file_system, filesetdir.make, fileset.file_system_path)
    except ApiError:
        if await filesets.withdraw(fileset):
            raise
        return  # the same call, sent twice, has made it meanwhile
    await filesets.be_made(fileset)


# -------------------------------------------------------------------------------------------------------------- describe


async def describe_filesets(desk: Desk, invocation: Invocation) -> Reply:
    """One page, newest first unless another order is asked for. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=FILESET_SINCE)
    asked = values[_FILTERS]
    quotas = asked.words("QuotaExists")
    page = await desk.catalog.filesets.page(
        FilesetQuery(
            file_system_id=file_system.file_system_id,
            fset_ids=asked.words("FsetIds"),
            file_system_path_part=asked.text("FileSystemPath"),
            description_part=asked.text("Description"),
            has_quota=None if quotas is None or len(quotas) > 1 else quotas == ("true",),
            order=values[_ORDER],
            is_falling=values[_SORT_ORDER] is _SortOrder.DESCENDING,
        ),
        next_token=values[NEXT_TOKEN],
        limit=values[_MAX_RESULTS],
    )
    fields: dict[str, Json] = {
        "FileSystemId": file_system.file_system_id,
        "Entries": {"Entrie": [_fields(desk, fileset) for fileset in page.items]},
    }
    if page.next_token:
        fields["NextToken"] = page.next_token
    return Reply(fields=fields)


async def get_fileset(desk: Desk, invocation: Invocation) -> Reply:
    """One fileset. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=FILESET_SINCE)
    fileset = await desk.catalog.filesets.one(file_system.file_system_id, values[_FSET_ID])
    return Reply(fields={"Data": _fields(desk, fileset)})


def _fields(desk: Desk, fileset: Fileset) -> dict[str, Json]:
    fields: dict[str, Json] = {
        "FileSystemId": fileset.file_system_id,
        "FsetId": fileset.fset_id,
        "FileSystemPath": fileset.file_system_path,
        "Description": fileset.description,
        "DeletionProtection": fileset.deletion_protection,
        "Status": fileset.status.value,
        "Quota": _quota(fileset.quota),
        "CreateTime": zone_text(fileset.created_ns, desk.zone),
        "UpdateTime": zone_text(fileset.updated_ns, desk.zone),
    }
    if fileset.space_usage_bytes >= 0:  # else nobody could count
        fields |= {"SpaceUsage": fileset.space_usage_bytes, "FileCountUsage": fileset.file_count_usage}
    return fields


def _quota(quota: Quota) -> dict[str, Json]:
    limits = {"SizeLimit": quota.size_bytes, "FileCountLimit": quota.file_count}
    return {name: limit for name, limit in limits.items() if limit}


# --------------------------------------------------------------------------------------------------------------- changes


async def modify_fileset(desk: Desk, invocation: Invocation) -> Reply:
    """Another description or protection. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=FILESET_SINCE)
    await desk.catalog.filesets.modify(
        invocation.call(),
        file_system.file_system_id,
        values[_FSET_ID],
        FilesetChanges(description=values[_DESCRIPTION] or None, deletion_protection=values[_PROTECTION]),
    )
    return Reply(fields={})


async def delete_fileset(desk: Desk, invocation: Invocation) -> Reply:
    """Take away the id, and the directory, which must be empty. Raises ApiError, CatalogError.

    The directory goes first: should we die in between, the fileset is there still and can be deleted once more.
    """
    values = invocation.values
    file_system = file_system_of(desk, values, since=FILESET_SINCE)
    if await invocation.answered_before(desk.catalog) is not None:
        return Reply(fields={})
    fileset = await desk.catalog.filesets.require_free(file_system.file_system_id, values[_FSET_ID])
    only_asks = values[DRY_RUN]
    question = filesetdir.is_empty if only_asks else filesetdir.remove
    await grounds.ask(desk, file_system, question, fileset.file_system_path)
    try:
        await desk.catalog.filesets.delete(invocation.call(), file_system.file_system_id, fileset.fset_id)
    except CatalogError:
        if not only_asks:
            await grounds.ask(desk, file_system, filesetdir.make, fileset.file_system_path)  # it stays, so does this
        raise
    return Reply(fields={})


async def set_fileset_quota(desk: Desk, invocation: Invocation) -> Reply:
    """Give it limits; one that is not named is none. Raises ApiError, CatalogError."""
    values = invocation.values
    quota = Quota(size_bytes=values[_SIZE_LIMIT], file_count=values[_FILE_COUNT_LIMIT])
    if quota == Quota():
        raise invalid_format("SizeLimit", "it or FileCountLimit is given; CancelFilesetQuota takes a quota away")
    return await _limit(desk, invocation, quota)


async def cancel_fileset_quota(desk: Desk, invocation: Invocation) -> Reply:
    """Take its limits away. Raises ApiError, CatalogError."""
    return await _limit(desk, invocation, Quota())


async def _limit(desk: Desk, invocation: Invocation, quota: Quota) -> Reply:
    values: Values = invocation.values
    file_system = file_system_of(desk, values, since=FILESET_SINCE)
    kinds.refuse_quota(file_system)
    await desk.catalog.filesets.limit(invocation.call(), file_system.file_system_id, values[_FSET_ID], quota)
    return Reply(fields={})


_ONE = (FILE_SYSTEM_ID, _FSET_ID, DRY_RUN, CLIENT_TOKEN)

OPERATIONS = (
    Operation(
        name="CreateFileset",
        answers_id="FsetId",
        effect=Effect.WRITE,
        parameters=(
            FILE_SYSTEM_ID,
            _FILE_SYSTEM_PATH,
            _DESCRIPTION,
            _PROTECTION,
            _QUOTA_SIZE,
            _QUOTA_FILES,
            DRY_RUN,
            CLIENT_TOKEN,
        ),
        run=create_fileset,
    ),
    Operation(
        name="DescribeFilesets",
        effect=Effect.READ,
        parameters=(FILE_SYSTEM_ID, _FILTERS, _ORDER, _SORT_ORDER, _MAX_RESULTS, NEXT_TOKEN),
        run=describe_filesets,
    ),
    Operation(name="GetFileset", effect=Effect.READ, parameters=(FILE_SYSTEM_ID, _FSET_ID), run=get_fileset),
    Operation(
        name="ModifyFileset", effect=Effect.WRITE, parameters=(*_ONE, _DESCRIPTION, _PROTECTION), run=modify_fileset
    ),
    Operation(name="DeleteFileset", effect=Effect.WRITE, parameters=_ONE, run=delete_fileset),
    Operation(
        name="SetFilesetQuota",
        effect=Effect.WRITE,
        parameters=(*_ONE, _SIZE_LIMIT, _FILE_COUNT_LIMIT),
        run=set_fileset_quota,
    ),
    Operation(name="CancelFilesetQuota", effect=Effect.WRITE, parameters=_ONE, run=cancel_fileset_quota),
)
