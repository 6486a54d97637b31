"""DescribeOverview and DescribeDataFlowSubTaskDetail, actions of our own: the service at a glance, and one sub-task in full.

What they tell is `desk.seeing`'s; here it gets its words on the wire: whole numbers only (XML has them too), and what does not
apply is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from penstock.api import rights
from penstock.api.answers import Json
from penstock.api.operation import (
    DATA_FLOW_SINCE,
    STREAM_SINCE,
    Desk,
    Effect,
    Invocation,
    Operation,
    Origin,
    Reply,
    file_system_of,
)
from penstock.api.operations.subtasks import SUB_TASK_ID, fields_of, record_of
from penstock.api.parameters import FILE_SYSTEM_ID, identifier, integer, optional
from penstock.api.unfamiliar import Unfamiliar
from penstock.catalog.live import (
    BucketView,
    EngineView,
    FlowPulse,
    Flying,
    MountView,
    Moved,
    MoverView,
    Overview,
    PartMap,
    Speed,
)
from penstock.catalog.views import Counts, FlowView, Happening, InFull, Spell, Trouble

_ONE_FILE_SYSTEM = optional("FileSystemId", identifier, "")
_MAX_MOVING = optional("MaxMoving", integer(0, 100), 20)
_MAX_TROUBLES = optional("MaxTroubles", integer(0, 100), 10)


# -------------------------------------------------------------------------------------------------------------- overview


async def describe_overview(desk: Desk, invocation: Invocation) -> Reply:
    """Everything at a glance that the key may see. Raises ApiError, CatalogError."""
    values = invocation.values
    if values[_ONE_FILE_SYSTEM]:
        seen = [file_system_of(desk, values, since=DATA_FLOW_SINCE).file_system_id]
    else:
        seen = [name for name in desk.registry().file_systems if rights.sees(invocation.principal, name)]
    overview = await desk.seeing.overview(seen, flying_max=values[_MAX_MOVING])
    troubles = await desk.seeing.troubles(seen, limit=values[_MAX_TROUBLES])
    told: dict[str, Json] = {**_overview(overview), "Troubles": {"Trouble": [_trouble(one) for one in troubles]}}
    if rights.sees_all(invocation.principal):
        told["Unfamiliar"] = _unfamiliar(desk.unfamiliar)
    return Reply(fields=told)


def _unfamiliar(unfamiliar: Unfamiliar) -> dict[str, Json]:
    """What callers ask by that is not known here, the latest first."""
    listed: list[Json] = [
        {
            "Kind": one.kind.value,
            "Action": one.action,
            "Name": one.name,
            "Count": one.count,
            "FirstNs": one.first_ns,
            "LastNs": one.last_ns,
        }
        for one in unfamiliar.listed()
    ]
    return {"Sighted": listed, "UnlistedCount": unfamiliar.unlisted}


def _overview(overview: Overview) -> dict[str, Json]:
    ledger, engine = overview.ledger, overview.engine
    pulses: Mapping[str, FlowPulse] = {} if engine is None else engine.flows
    fields: dict[str, Json] = {
        "NowNs": ledger.as_of_ns,
        "Ledger": {
            "CountedSinceNs": ledger.counted_since_ns,
            "Counts": _counts(ledger.counts),
            "Standing": {
                "InLine": ledger.standing.in_line,
                "Again": ledger.standing.again,
                "IsMore": ledger.standing.is_more,
            },
            "Day": _spell(ledger.day),
            "Hours": {"Hour": [_spell(hour) for hour in ledger.hours]},
        },
        "DataFlows": {"DataFlow": [_flow(view, pulses.get(view.flow.data_flow_id)) for view in ledger.flows]},
        "Moving": {"SubTask": [_flying(one) for one in overview.flying]},
    }
    return fields if engine is None else {**fields, **_engine(engine)}


def _engine(engine: EngineView) -> dict[str, Json]:
    return {
        "Engine": {
            "StartedNs": engine.started_ns,
            "Moving": engine.moving,
            "HeldUp": engine.held_up,
            "Unsettled": engine.unsettled,
            "Speed": _speed(engine.speed),
            "Moved": _moved(engine.moved),
            "Limit": {"Limiter": engine.limit.limiter.value, "About": engine.limit.about},
        },
        "Buckets": {"Bucket": [_bucket(one) for one in engine.buckets]},
        "FileSystems": {"FileSystem": [_mount(one) for one in engine.mounts]},
        "Movers": {"Mover": [_mover(one) for one in engine.movers]},
    }


def _flow(view: FlowView, pulse: FlowPulse | None) -> dict[str, Json]:
    flow = view.flow
    fields: dict[str, Json] = {
        "FileSystemId": flow.file_system_id,
        "DataFlowId": flow.data_flow_id,
        "FileSystemPath": flow.file_system_path,
        "SourceStorage": flow.source_storage,
        "SourceStoragePath": flow.source_storage_path,
        "Description": flow.description,
        "Status": flow.status.value,
        "ErrorMessage": flow.error_message,
        "Counts": _counts(view.counts),
        "Day": _spell(view.day),
    }
    if pulse is not None:
        fields |= {"Moving": pulse.moving, "Speed": _speed(pulse.speed), "Moved": _moved(pulse.moved)}
    return fields


def _counts(counts: Counts) -> dict[str, Json]:
    return {
        "Waiting": counts.waiting,
        "Running": counts.running,
        "Canceling": counts.canceling,
        "Complete": counts.complete,
        "Failed": counts.failed,
        "Canceled": counts.canceled,
        "Expired": counts.expired,
        "BytesIn": counts.bytes_in,
        "BytesOut": counts.bytes_out,
    }


def _spell(spell: Spell) -> dict[str, Json]:
    return {
        "SinceNs": spell.since_ns,
        "Complete": spell.complete,
        "Failed": spell.failed,
        "Canceled": spell.canceled,
        "Expired": spell.expired,
        "BytesIn": spell.bytes_in,
        "BytesOut": spell.bytes_out,
    }


def _speed(speed: Speed) -> dict[str, Json]:
    return {
        "BytesInPerSecond": speed.bytes_in_per_s,
        "BytesOutPerSecond": speed.bytes_out_per_s,
        "MilliFilesPerSecond": round(speed.files_per_s * 1000),
    }


def _moved(moved: Moved) -> dict[str, Json]:
    return {
        "BytesIn": moved.bytes_in,
        "BytesOut": moved.bytes_out,
        "FilesIn": moved.files_in,
        "FilesOut": moved.files_out,
    }


def _bucket(bucket: BucketView) -> dict[str, Json]:
    return {
        "Name": bucket.name,
        "Soundness": bucket.soundness.value,
        "Code": bucket.code,
        "Message": bucket.message,
        **_given(NextLookNs=bucket.next_look_ns),
        "Window": bucket.window,
        "InFlight": bucket.in_flight,
        "Waiting": bucket.waiting,
        "PausedMs": bucket.paused_ms,
        "RequestsOk": bucket.requests_ok,
        "RequestsThrottled": bucket.requests_throttled,
        "RequestsUnavailable": bucket.requests_unavailable,
        "RequestsRefused": bucket.requests_refused,
        "Overdue": bucket.overdue,
    }


def _mount(mount: MountView) -> dict[str, Json]:
    return {
        "FileSystemId": mount.file_system_id,
        "Soundness": mount.soundness.value,
        "Code": mount.code,
        "Message": mount.message,
        **_given(NextLookNs=mount.next_look_ns),
    }


def _mover(mover: MoverView) -> dict[str, Json]:
    return {
        "Name": mover.name,
        "Soundness": mover.soundness.value,
        **_given(UpSinceNs=mover.up_since_ns, HeardNs=mover.heard_ns),
        "Small": mover.small,
        "Large": mover.large,
        "PlacesSmall": mover.places_small,
        "PlacesLarge": mover.places_large,
        "ResidentBytes": mover.resident_bytes,
        "CpuMs": mover.cpu_ms,
        "Restarts": mover.restarts,
    }


def _flying(flying: Flying) -> dict[str, Json]:
    fields: dict[str, Json] = {
        "FileSystemId": flying.file_system_id,
        "DataFlowId": flying.data_flow_id,
        "DataFlowTaskId": flying.task_id,
        "DataFlowSubTaskId": flying.sub_task_id,
        "Direction": flying.direction.value,
        "Bucket": flying.bucket,
        "Path": flying.path,
        "Key": flying.key,
        "Attempt": flying.attempt,
        "Mover": flying.mover,
        "IsLarge": flying.is_large,
        "IsMoving": flying.is_moving,
        "SinceNs": flying.since_ns,
        "BytesTotal": flying.bytes_total,
        "BytesDone": flying.bytes_done,
        "Speed": flying.speed,
        **_given(EtaSeconds=flying.eta_s, ProgressNs=flying.progress_ns),
    }
    if flying.stay is not None:
        fields["Stay"] = {
            "Code": flying.stay.code,
            "Message": flying.stay.message,
            **_given(AgainNs=flying.stay.again_ns),
        }
    return fields if flying.parts is None else {**fields, "Parts": _parts(flying.parts)}


def _parts(parts: PartMap) -> dict[str, Json]:
    return {
        "PartSize": parts.part_size_bytes,
        "Parts": parts.parts,
        "Done": parts.done,
        "Moving": parts.moving,
        "Cells": parts.cells,
    }


def _trouble(trouble: Trouble) -> dict[str, Json]:
    return {
        **_happening(trouble.happening),
        "FileSystemId": trouble.file_system_id,
        "DataFlowId": trouble.data_flow_id,
        "DataFlowTaskId": trouble.task_id,
        "DataFlowSubTaskId": trouble.sub_task_id,
        "Status": trouble.status.value,
        "SrcFilePath": trouble.source,
        "DstFilePath": trouble.target,
    }


def _happening(happening: Happening) -> dict[str, Json]:
    return {
        "Kind": happening.kind.value,
        "AtNs": happening.at_ns,
        "LastNs": happening.last_ns,
        "Times": happening.times,
        "Attempt": happening.attempt,
        "Code": happening.code,
        "Message": happening.message,
        "RequestId": happening.request_id,
        **_given(DueNs=happening.due_ns),
    }


def _given(**numbers: int | None) -> dict[str, Json]:
    """Those that there are."""
    return {name: number for name, number in numbers.items() if number is not None}


# ---------------------------------------------------------------------------------------------------------------- detail


async def describe_detail(desk: Desk, invocation: Invocation) -> Reply:
    """One sub-task in full. Raises ApiError, CatalogError."""
    values = invocation.values
    file_system = file_system_of(desk, values, since=STREAM_SINCE)
    detail = await desk.seeing.detail([file_system.file_system_id], values[SUB_TASK_ID])
    sub_task = detail.kept.listed.sub_task
    told: dict[str, Json] = {"SubTask": fields_of(sub_task, desk.zone) | record_of(sub_task)}
    fields = {"NowNs": detail.kept.as_of_ns, **told, **_kept(detail.kept)}
    return Reply(fields=fields if detail.flying is None else {**fields, "Live": _flying(detail.flying)})


def _kept(kept: InFull) -> dict[str, Json]:
    listed, line = kept.listed, kept.line
    sub_task = listed.sub_task
    return {
        "Direction": listed.direction.value,
        "TaskAction": kept.task.action.value,
        "ConflictPolicy": kept.task.conflict_policy.value,
        "DataFlowStatus": kept.flow.status.value,
        "Attempts": sub_task.attempt,
        "Failures": listed.failures,
        "Wait": listed.wait.value,
        **_given(
            NextTryNs=listed.next_try_ns,
            CancelAskedNs=listed.cancel_asked_ns,
            CreatedNs=sub_task.created_ns,
            StartedNs=sub_task.started_ns,
            EndedNs=sub_task.ended_ns,
        ),
        "Line": {"Before": line.before, "IsMore": line.is_more, "Of": line.of, "First": line.first},
        "Happenings": {"Happening": _happenings(kept.happenings)},
        "HappeningsLeftOut": kept.left_out,
    }


def _happenings(happenings: Iterable[Happening]) -> list[Json]:
    return [_happening(one) for one in happenings]


OPERATIONS = (
    Operation(
        name="DescribeOverview",
        effect=Effect.READ,
        origin=Origin.OURS,
        parameters=(_ONE_FILE_SYSTEM, _MAX_MOVING, _MAX_TROUBLES),
        run=describe_overview,
    ),
    Operation(
        name="DescribeDataFlowSubTaskDetail",
        effect=Effect.READ,
        origin=Origin.OURS,
        parameters=(FILE_SYSTEM_ID, SUB_TASK_ID),
        run=describe_detail,
    ),
)
