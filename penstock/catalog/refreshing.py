"""How dataflows are refreshed: their directories, policy and interval, each verb inside one transaction.

What the looks bring is for `relooking`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from penstock.catalog.database import Row
from penstock.catalog.doorbell import News
from penstock.catalog.refreshwork import EVERYTHING, MINUTE_NS
from penstock.catalog.session import Session
from penstock.errors import (
    ConflictError,
    InvalidStateError,
    NestedRefreshPathError,
    RefreshPathExistsError,
    RefreshPathNotFoundError,
    TooManyRefreshPathsError,
)
from penstock.model import NO_REFRESH, AutoRefresh, RefreshPolicy

PATHS_MAX = 5


def begin(session: Session, data_flow_number: int, wanted: AutoRefresh) -> None:
    """A dataflow was made that is refreshed so."""
    if wanted != NO_REFRESH:
        _keep(session, data_flow_number, None, wanted)


def apply(
    session: Session,
    flow: Row,
    paths: Sequence[str],
    policy: RefreshPolicy | None,
    interval_minutes: int | None,
) -> None:
    """Refresh these directories, too; None leaves the policy and the interval as they are."""
    if not session.run("refreshes.allow", number=flow["number"], now_ns=session.now_ns):
        raise _not_now(flow)
    row = session.row("refreshes.at", data_flow_number=flow["number"])
    now = settings_of(row)
    require_apart([*now.paths], paths)
    wanted = _changed(now, policy, interval_minutes, (*now.paths, *paths))
    _keep(session, flow["number"], row, wanted)


def modify(
    session: Session,
    flow: Row,
    policy: RefreshPolicy | None,
    interval_minutes: int | None,
) -> None:
    """Refresh with another policy, or at another interval; None leaves one as it is."""
    if not session.run("refreshes.allow_change", number=flow["number"], now_ns=session.now_ns):
        raise _not_now(flow)
    row = session.row("refreshes.at", data_flow_number=flow["number"])
    now = settings_of(row)
    _keep(session, flow["number"], row, _changed(now, policy, interval_minutes, now.paths))


def cancel(session: Session, flow: Row, path: str) -> None:
    """Refresh a directory no more, and forget what was seen of it. What it has brought so far goes on."""
    if not session.run("refreshes.allow_change", number=flow["number"], now_ns=session.now_ns):
        raise _not_now(flow)
    row = session.row("refreshes.at", data_flow_number=flow["number"])
    now = settings_of(row)
    if path not in now.paths:
        raise RefreshPathNotFoundError(f"dataflow {flow['data_flow_id']} does not refresh {path}")
    rest = tuple(one for one in now.paths if one != path)
    _keep(session, flow["number"], row, _changed(now, None, None, rest))
    prefix = flow["source_storage_path"].removeprefix("/") + path.removeprefix("/")
    session.run(
        "refreshes.forget_known_beneath",
        data_flow_number=flow["number"],
        behind=prefix,
        until=prefix + EVERYTHING,
    )


def require_apart(before: Sequence[str], paths: Sequence[str]) -> None:
    """New refresh paths are few, and none is another one or lies within one. Raises CatalogError."""
    if len(before) + len(paths) > PATHS_MAX:
        raise TooManyRefreshPathsError(f"a dataflow has at most {PATHS_MAX} refresh paths; it would have more")
    taken = [*before]
    for path in paths:
        for other in taken:
            if path == other:
                raise RefreshPathExistsError(f"{path} is refreshed already")
            if path.startswith(other) or other.startswith(path):
                raise NestedRefreshPathError(f"{path} and {other} lie within each other")
        taken.append(path)


def settings_of(row: Row | None) -> AutoRefresh:
    """How a dataflow is refreshed, out of its row."""
    if row is None:
        return NO_REFRESH
    return AutoRefresh(
        policy=RefreshPolicy(row["policy"]),
        interval_minutes=row["interval_minutes"],
        paths=tuple(json.loads(row["paths"])),
        is_late=bool(row["late"]),
    )


def of_file_system(session: Session, file_system_id: str) -> dict[int, AutoRefresh]:
    """How its dataflows are refreshed, by their numbers; those that never were are left out."""
    found = session.rows("refreshes.of_file_system", file_system_id=file_system_id)
    return {row["data_flow_number"]: settings_of(row) for row in found}


def _changed(
    now: AutoRefresh, policy: RefreshPolicy | None, interval_minutes: int | None, paths: tuple[str, ...]
) -> AutoRefresh:
    return AutoRefresh(
        policy=policy or now.policy, interval_minutes=interval_minutes or now.interval_minutes, paths=paths
    )


def _keep(session: Session, data_flow_number: int, row: Row | None, wanted: AutoRefresh) -> None:
    """Write it down. What is new is looked at now, and what is to be looked at more often not later than that."""
    is_new = row is None or settings_of(row).policy is not wanted.policy or settings_of(row).paths != wanted.paths
    soonest_ns = session.now_ns + wanted.interval_minutes * MINUTE_NS
    due_ns = session.now_ns if is_new or row is None else min(row["due_ns"], soonest_ns)
    session.run(
        "refreshes.add" if row is None else "refreshes.change",
        data_flow_number=data_flow_number,
        policy=wanted.policy.value,
        interval_minutes=wanted.interval_minutes,
        paths=json.dumps(wanted.paths, ensure_ascii=False),
        due_ns=due_ns,
    )
    session.ring(News.BATCH)


def _not_now(flow: Row) -> ConflictError | InvalidStateError:
    if flow["due_ns"]:
        return ConflictError(f"dataflow {flow['data_flow_id']} is {flow['status']}; wait until that is over")
    return InvalidStateError(f"dataflow {flow['data_flow_id']} is {flow['status']}: its status does not allow this")
