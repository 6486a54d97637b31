"""The six operations on dataflows: create, describe, modify, start, stop, delete.

Creating one asks the file system (is the directory there?) and the bucket (tag, versioning) before the catalog decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from penstock.api import flavour, kinds, places, sources
from penstock.api.answers import Json
from penstock.api.descriptions import description
from penstock.api.errors import ApiError
from penstock.api.filters import exact_text, filters, ids, one_text, words_of
from penstock.api.operation import (
    DATA_FLOW_SINCE,
    STREAM_SINCE,
    Desk,
    Effect,
    Invocation,
    Operation,
    Reply,
    file_system_of,
    version_of,
)
from penstock.api.operations import refreshes
from penstock.api.options import Fidelity
from penstock.api.parameters import (
    CLIENT_TOKEN,
    DATA_FLOW_ID,
    DRY_RUN,
    FILE_SYSTEM_ID,
    NEXT_TOKEN,
    max_results,
    optional,
    optional_directory,
    required,
)
from penstock.api.times import utc_text
from penstock.catalog.catalog import Catalog
from penstock.catalog.verbs import Call, Changes, DataFlowQuery, NewDataFlow
from penstock.errors import FailureCode, StoreError
from penstock.model import Bucket, DataFlow, DataFlowStatus, FileSystem
from penstock.transfer.refusals import from_store

_NO_SECURITY = ("none", "null")
_SSL = "SSL"
_FILTER_MAX_CHARACTERS = 1024
_TOO_SLOW = "ThroughputTooLow"  # for its auto-refresh
_ANSWERED_STATUSES = tuple(status.value for status in DataFlowStatus if status is not DataFlowStatus.DELETED)


def _security(name: str, text: str) -> str:
    """`SSL`, or one of the spellings of none, which is answered later as it was written: Terraform compares the text."""
    if text.upper() == _SSL:
        return _SSL
    if text.lower() not in _NO_SECURITY:
        raise ApiError("InvalidSourceSecurityType.NotSupport", f"{name} is None or {_SSL}.")
    return text


def _source(name: str, text: str) -> str:
    sources.parse_source(name, text)
    return text


_FILE_SYSTEM_PATH = optional_directory("FileSystemPath")
_SOURCE_STORAGE = required("SourceStorage", _source, "")
_SOURCE_STORAGE_PATH = optional_directory("SourceStoragePath")
_SECURITY_TYPE = optional("SourceSecurityType", _security, "None")
_DESCRIPTION_TEXT = optional("Description", description, "")

_MAX_RESULTS = max_results(10)
_FILTERS = filters(
    {
        "DataFlowIds": ids,
        "FsetIds": ids,
        "FileSystemPath": one_text(_FILTER_MAX_CHARACTERS),
        "SourceStorage": exact_text(_FILTER_MAX_CHARACTERS),
        "SourceStoragePath": one_text(_FILTER_MAX_CHARACTERS),
        "ThroughputList": words_of(flavour.THROUGHPUTS),
        "Description": one_text(_FILTER_MAX_CHARACTERS),
        "Status": words_of(_ANSWERED_STATUSES),
    },
    max_count=10,
)


# ---------------------------------------------------------------------------------------------------------------- create


async def create_data_flow(desk: Desk, invocation: Invocation) -> Reply:
    """Bind a directory to a prefix. Raises ApiError, CatalogError, StoreError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=DATA_FLOW_SINCE)
    flavour.refuse_auto_refresh_if_strict(desk, values, file_system.file_system_id)
    auto_refresh = refreshes.asked_for(values)
    throughput = flavour.throughput_of(desk, values, file_system.file_system_id)
    kinds.require_throughput(file_system, throughput)
    flavour.refuse_fileset_if_strict(desk, values, file_system.file_system_id)
    path = await kinds.bound_path(desk, file_system, values[flavour.FSET_ID], values[_FILE_SYSTEM_PATH])
    source_path = kinds.source_path(file_system, values[_SOURCE_STORAGE_PATH])
    source = sources.parse_source("SourceStorage", values[_SOURCE_STORAGE])
    if source.scheme != sources.VENDORS_SCHEME and desk.options.fidelity is Fidelity.STRICT:
        raise ApiError("InvalidSourceStorage.NotSupport", "SourceStorage begins with oss:// (fidelity = strict).")
    if source.account and version_of(file_system.version) < STREAM_SINCE:
        raise ApiError("InvalidFilesystemVersion.NotSupport", "Buckets of another account need version 2.6.0 or later.")
    bucket = sources.registered(source, desk.registry().buckets)
    if desk.options.fidelity is Fidelity.STRICT:
        sources.require_region(bucket, file_system.region)
    if values[_SECURITY_TYPE] == _SSL and not bucket.endpoint.startswith("https://"):
        raise ApiError(
            "InvalidSourceSecurityType.NotSupport",
            f"SSL was asked for, but the bucket {bucket.name} is registered with an http:// endpoint.",
        )
    versioned = False
    if await invocation.answered_before(desk.catalog) is None:
        await _look_at_directory(desk, file_system, path)
        await refreshes.require_directories(desk, file_system, path, auto_refresh.paths)
        versioned = await _look_at_bucket(desk, bucket)
    data_flow_id = await desk.catalog.create_data_flow(
        invocation.call(),
        NewDataFlow(
            file_system_id=file_system.file_system_id,
            file_system_path=path,
            fset_id=values[flavour.FSET_ID] if kinds.is_general_purpose(file_system.file_system_id) else "",
            source_storage=values[_SOURCE_STORAGE],
            source_storage_path=source_path,
            source_security_type=values[_SECURITY_TYPE],
            description=values[_DESCRIPTION_TEXT],
            versioned=versioned,
            data_flows_max=desk.options.data_flows_max,
            auto_refresh=auto_refresh,
            throughput=throughput,
            bandwidth=values[flavour.BANDWIDTH] or 0,
        ),
    )
    return Reply(fields={"DataFlowId": data_flow_id})


async def _look_at_directory(desk: Desk, file_system: FileSystem, path: str) -> None:
    limit_s = desk.options.file_system_time_s
    try:
        await desk.file_systems.ask(
            file_system.file_system_id,
            lambda: places.require_directory(file_system, path, limit_s=limit_s),
            limit_s=limit_s,
        )
    except TimeoutError as error:
        raise ApiError(
            "ServiceTimeout",
            "The file system did not answer in time.",
            retry_after_s=desk.options.throttled_retry_after_s,
        ) from error


async def _look_at_bucket(desk: Desk, bucket: Bucket) -> bool:
    """What comes of it counts for how the bucket is shown, too: nobody else may ask it for long."""
    try:
        versioned = await desk.stores.ask(
            bucket.name, lambda: sources.examine(bucket, desk.open_bucket), limit_s=desk.options.store_time_s
        )
    except TimeoutError as error:
        words = f"The store of the bucket {bucket.name} did not answer in time."
        desk.seeing.bucket_asked(bucket.name, FailureCode.STORE_UNAVAILABLE, words)
        raise ApiError("InvalidSourceStorage.Unreachable", words) from error
    except StoreError as error:
        desk.seeing.bucket_asked(bucket.name, from_store(error).code, str(error))
        raise
    desk.seeing.bucket_asked(bucket.name, "", "")
    return versioned


# -------------------------------------------------------------------------------------------------------------- describe


async def describe_data_flows(desk: Desk, invocation: Invocation) -> Reply:
    """One page, newest first. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=DATA_FLOW_SINCE)
    asked = values[_FILTERS]
    page = await desk.catalog.data_flows(
        DataFlowQuery(
            file_system_id=file_system.file_system_id,
            data_flow_ids=asked.words("DataFlowIds"),
            source_storages=asked.words("SourceStorage"),
            statuses=asked.words("Status"),
            file_system_path_part=asked.text("FileSystemPath"),
            source_storage_path_part=asked.text("SourceStoragePath"),
            description_part=asked.text("Description"),
            throughputs=_numbers(asked.words("ThroughputList")),
            fset_ids=asked.words("FsetIds"),
        ),
        next_token=values[NEXT_TOKEN],
        limit=values[_MAX_RESULTS],
    )
    flows = [_fields(flow) | await _bound_to(desk, flow) for flow in page.items]
    fields: dict[str, Json] = {"DataFlowInfo": {"DataFlow": flows}}
    if page.next_token:
        fields["NextToken"] = page.next_token
    return Reply(fields=fields)


def _numbers(words: Sequence[str] | None) -> Sequence[int] | None:
    return None if words is None else [int(word) for word in words]


async def _bound_to(desk: Desk, flow: DataFlow) -> dict[str, Json]:
    """The fields of its fileset, where it has one; that one cannot be deleted meanwhile."""
    if not flow.fset_id:
        return {}
    fileset = await desk.catalog.filesets.one(flow.file_system_id, flow.fset_id)
    return {"FsetId": fileset.fset_id, "FsetDescription": fileset.description}


def _fields(flow: DataFlow) -> dict[str, Json]:
    refresh = flow.auto_refresh
    limits = {"Throughput": flow.throughput, "Bandwidth": flow.bandwidth}
    return {
        "FileSystemId": flow.file_system_id,
        "DataFlowId": flow.data_flow_id,
        "FileSystemPath": flow.file_system_path,
        "SourceStorage": flow.source_storage,
        "SourceStoragePath": flow.source_storage_path,
        "SourceSecurityType": flow.source_security_type,
        "Description": flow.description,
        "Status": flow.status.value,
        "ErrorMessage": flow.error_message or (_TOO_SLOW if refresh.is_late else ""),
        "AutoRefreshPolicy": refresh.policy.value,
        "AutoRefreshInterval": refresh.interval_minutes,
        "AutoRefresh": {"AutoRefresh": [{"RefreshPath": path} for path in refresh.paths]},
        "CreateTime": utc_text(flow.created_ns),
        "UpdateTime": utc_text(flow.updated_ns),
        **{name: limit for name, limit in limits.items() if limit},
    }


# ------------------------------------------------------------------------------------------- modify, start, stop, delete


async def modify_data_flow(desk: Desk, invocation: Invocation) -> Reply:
    """Change the description, or what it may move in a second. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=DATA_FLOW_SINCE)
    throughput = flavour.throughput_of(desk, values, file_system.file_system_id)
    changes = Changes(
        description=values[_DESCRIPTION_TEXT] or None,
        throughput=throughput or None,
        bandwidth=values[flavour.BANDWIDTH],
    )
    await desk.catalog.modify_data_flow(invocation.call(), file_system.file_system_id, values[DATA_FLOW_ID], changes)
    return Reply(fields={})


async def start_data_flow(desk: Desk, invocation: Invocation) -> Reply:
    """Stopped to Running. Raises ApiError, CatalogError."""
    kinds.refuse_if_not_stoppable(desk, file_system_of(desk, invocation.values, since=DATA_FLOW_SINCE), "StartDataFlow")
    return await _step(desk, invocation, Catalog.start_data_flow)


async def stop_data_flow(desk: Desk, invocation: Invocation) -> Reply:
    """Running to Stopped: no new work starts. Raises ApiError, CatalogError."""
    kinds.refuse_if_not_stoppable(desk, file_system_of(desk, invocation.values, since=DATA_FLOW_SINCE), "StopDataFlow")
    return await _step(desk, invocation, Catalog.stop_data_flow)


async def delete_data_flow(desk: Desk, invocation: Invocation) -> Reply:
    """Take a dataflow and its ended history out of sight. Raises ApiError, CatalogError."""
    return await _step(desk, invocation, Catalog.delete_data_flow)


async def _step(
    desk: Desk, invocation: Invocation, verb: Callable[[Catalog, Call, str, str], Awaitable[None]]
) -> Reply:
    values = invocation.values
    file_system = file_system_of(desk, values, since=DATA_FLOW_SINCE)
    await verb(desk.catalog, invocation.call(), file_system.file_system_id, values[DATA_FLOW_ID])
    return Reply(fields={})


_ONE = (FILE_SYSTEM_ID, DATA_FLOW_ID, DRY_RUN, CLIENT_TOKEN)

CREATE = Operation(
    name="CreateDataFlow",
    answers_id="DataFlowId",
    effect=Effect.WRITE,
    parameters=(
        FILE_SYSTEM_ID,
        _FILE_SYSTEM_PATH,
        _SOURCE_STORAGE,
        _SOURCE_STORAGE_PATH,
        _SECURITY_TYPE,
        _DESCRIPTION_TEXT,
        flavour.FSET_ID,
        flavour.THROUGHPUT,
        flavour.BANDWIDTH,
        flavour.REFRESH_PATHS,
        flavour.REFRESH_POLICY,
        flavour.REFRESH_INTERVAL,
        DRY_RUN,
        CLIENT_TOKEN,
    ),
    run=create_data_flow,
)
DESCRIBE = Operation(
    name="DescribeDataFlows",
    effect=Effect.READ,
    parameters=(FILE_SYSTEM_ID, _FILTERS, _MAX_RESULTS, NEXT_TOKEN),
    run=describe_data_flows,
)
MODIFY = Operation(
    name="ModifyDataFlow",
    effect=Effect.WRITE,
    parameters=(*_ONE, _DESCRIPTION_TEXT, flavour.THROUGHPUT, flavour.BANDWIDTH),
    run=modify_data_flow,
)
START = Operation(name="StartDataFlow", effect=Effect.WRITE, parameters=_ONE, run=start_data_flow)
STOP = Operation(name="StopDataFlow", effect=Effect.WRITE, parameters=_ONE, run=stop_data_flow)
DELETE = Operation(name="DeleteDataFlow", effect=Effect.WRITE, parameters=_ONE, run=delete_data_flow)

OPERATIONS = (CREATE, DESCRIBE, MODIFY, START, STOP, DELETE)
