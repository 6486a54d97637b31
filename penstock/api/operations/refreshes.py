"""The three operations on auto-refreshes: apply, modify, cancel. They say what is to be looked at and how often.

The engine looks. A refresh path is a directory beneath both sides of the dataflow, as Directory is, and has to be there in the
file system.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from penstock.api import flavour, kinds, places
from penstock.api.errors import ApiError, missing
from penstock.api.operation import (
    DATA_FLOW_SINCE,
    Desk,
    Effect,
    Invocation,
    Operation,
    Reply,
    file_system_of,
    refuse_if_strict,
)
from penstock.api.parameters import CLIENT_TOKEN, DATA_FLOW_ID, DRY_RUN, FILE_SYSTEM_ID, Values, required
from penstock.catalog import refreshing
from penstock.errors import NestedRefreshPathError, RefreshPathExistsError, TooManyRefreshPathsError
from penstock.model import NO_REFRESH, AutoRefresh, FileSystem, RefreshPolicy

_REFRESH_PATH = required("RefreshPath", flavour.refresh_path, "")


def asked_for(values: Values) -> AutoRefresh:
    """What CreateDataFlow asks for. Raises ApiError."""
    paths = values[flavour.REFRESH_PATHS]
    try:
        refreshing.require_apart((), paths)
    except TooManyRefreshPathsError as error:
        raise ApiError("InvalidAutoRefresh.TooManyAutoRefreshes", f"{error}.") from error
    except RefreshPathExistsError as error:
        raise ApiError("InvalidRefreshPath.Duplicated", f"AutoRefreshs: {error}.") from error
    except NestedRefreshPathError as error:
        raise ApiError("InvalidRefreshPath.InvalidParameter", f"AutoRefreshs: {error}.") from error
    return AutoRefresh(
        policy=values[flavour.REFRESH_POLICY] or RefreshPolicy.NONE,
        interval_minutes=values[flavour.REFRESH_INTERVAL] or NO_REFRESH.interval_minutes,
        paths=paths,
    )


async def require_directories(desk: Desk, file_system: FileSystem, base: str, paths: Sequence[str]) -> None:
    """Refresh paths have to be directories of the file system. Raises ApiError."""
    limit_s = desk.options.file_system_time_s
    for path in paths:
        whole = base + path.removeprefix("/")
        try:
            await desk.file_systems.ask(
                file_system.file_system_id,
                partial(places.require_directory, file_system, whole, limit_s=limit_s),
                limit_s=limit_s,
            )
        except ApiError as error:
            if error.code != places.NOT_FOUND:
                raise
            words = f"RefreshPath {path} is beneath FileSystemPath, and {whole} is no directory of the file system."
            raise ApiError("InvalidRefreshPath.NotFound", words) from error
        except TimeoutError as error:
            words = "The file system did not answer in time."
            retry_after_s = desk.options.throttled_retry_after_s
            raise ApiError("ServiceUnavailable", words, retry_after_s=retry_after_s) from error


async def apply(desk: Desk, invocation: Invocation) -> Reply:
    """Have directories of a dataflow refreshed. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = _file_system(desk, invocation)
    paths = values[flavour.REFRESH_PATHS]
    if not paths:
        raise missing("AutoRefreshs")
    if await invocation.answered_before(desk.catalog) is None:
        flow = await desk.catalog.data_flow(file_system.file_system_id, values[DATA_FLOW_ID])
        await require_directories(desk, file_system, flow.file_system_path, paths[: refreshing.PATHS_MAX])
    await desk.catalog.refreshes.apply(
        invocation.call(),
        file_system.file_system_id,
        values[DATA_FLOW_ID],
        paths=paths,
        policy=values[flavour.REFRESH_POLICY],
        interval_minutes=values[flavour.REFRESH_INTERVAL],
    )
    return Reply(fields={})


async def modify(desk: Desk, invocation: Invocation) -> Reply:
    """Refresh with another policy, or at another interval. Raises ApiError, CatalogError."""
    values = invocation.values
    await desk.catalog.refreshes.modify(
        invocation.call(),
        _file_system(desk, invocation).file_system_id,
        values[DATA_FLOW_ID],
        policy=values[flavour.REFRESH_POLICY],
        interval_minutes=values[flavour.REFRESH_INTERVAL],
    )
    return Reply(fields={})


async def cancel(desk: Desk, invocation: Invocation) -> Reply:
    """Have a directory refreshed no more. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system_id = _file_system(desk, invocation).file_system_id
    await desk.catalog.refreshes.cancel(invocation.call(), file_system_id, values[DATA_FLOW_ID], values[_REFRESH_PATH])
    return Reply(fields={})


def _file_system(desk: Desk, invocation: Invocation) -> FileSystem:
    file_system = file_system_of(desk, invocation.values, since=DATA_FLOW_SINCE)
    if not kinds.is_general_purpose(file_system.file_system_id):
        refuse_if_strict(desk, invocation.operation.name)
    return file_system


_ONE = (FILE_SYSTEM_ID, DATA_FLOW_ID, DRY_RUN, CLIENT_TOKEN)
_HOW = (flavour.REFRESH_POLICY, flavour.REFRESH_INTERVAL)

OPERATIONS = (
    Operation(
        name="ApplyDataFlowAutoRefresh",
        effect=Effect.WRITE,
        parameters=(*_ONE, flavour.REFRESH_PATHS, *_HOW),
        run=apply,
    ),
    Operation(name="ModifyDataFlowAutoRefresh", effect=Effect.WRITE, parameters=(*_ONE, *_HOW), run=modify),
    Operation(name="CancelDataFlowAutoRefresh", effect=Effect.WRITE, parameters=(*_ONE, _REFRESH_PATH), run=cancel),
)
