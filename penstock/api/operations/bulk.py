"""The bulk door: CreateDataFlowSubTasks, an action of our own, takes up to a thousand files of one stream in one call.

Each entry is judged as the one-file call judges it, and has its own result; what is wrong with the whole call refuses the
whole. One transaction of the catalog, so this is the quickest way in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from penstock.api.answers import Json
from penstock.api.errors import ApiError, illegal_characters, invalid_format, missing
from penstock.api.operation import STREAM_SINCE, Desk, Effect, Invocation, Operation, Origin, Reply, file_system_of
from penstock.api.operations.subtasks import DATA_FLOW_TASK_ID, PATH_BASE_MARK, modify_time_ns, size_bytes
from penstock.api.options import PathBase
from penstock.api.parameters import CLIENT_TOKEN, DATA_FLOW_ID, DRY_RUN, FILE_SYSTEM_ID, optional, required, word_of
from penstock.api.paths import check_file_path
from penstock.api.route import Route
from penstock.catalog.bulk import recall
from penstock.catalog.verbs import Accepted, CallMode, NewFile, NewSubTasks
from penstock.model import Condition

ENTRY_MEMBERS = frozenset({"SrcFilePath", "DstFilePath", "Condition"})
OF_THE_CALL = frozenset({"filesystemid", "dataflowid", "dataflowtaskid", "clienttoken", "dryrun", "pathbase"})
"""Members that would be dropped silently in an entry, though they mean something: they belong to the whole call."""
UNCONDITIONAL = Condition()
NO_PLACE = ("Throttling.User", "As many sub-tasks of this dataflow wait as may wait; come back later with this entry.")

_READER = msgspec.json.Decoder(list[object])


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """The parameter SubTasks: what it holds, and its text, which is what a ClientToken stands for."""

    text: str
    items: Sequence[object]

    def __str__(self) -> str:
        return self.text


def _entries(name: str, text: str) -> Entries:
    try:
        return Entries(text=text, items=_READER.decode(text))
    except (msgspec.DecodeError, RecursionError):
        raise invalid_format(name, "it is a JSON array of objects") from None
    except UnicodeError:
        raise illegal_characters(name, "it is not UTF-8") from None


_SUB_TASKS = required("SubTasks", _entries, Entries(text="", items=()))
_PATH_BASE = optional("PathBase", word_of(PathBase), None)


async def create_sub_tasks(desk: Desk, invocation: Invocation) -> Reply:
    """Accept many files to move. Raises ApiError, CatalogError for what concerns all of them."""
    values = invocation.values
    file_system_id = file_system_of(desk, values, since=STREAM_SINCE).file_system_id
    data_flow_id, task_id = values[DATA_FLOW_ID], values[DATA_FLOW_TASK_ID]
    entries = values[_SUB_TASKS].items
    if len(entries) > desk.options.bulk_entries_max:
        raise ApiError(
            "InvalidParameter.SizeTooLarge",
            f"SubTasks has {len(entries)} entries; a call takes {desk.options.bulk_entries_max}.",
        )
    if not entries:
        raise invalid_format("SubTasks", "it has at least one entry")
    stream = await desk.streams.find(file_system_id, data_flow_id, task_id)
    route = Route(stream, file_system_id=file_system_id, base=values[_PATH_BASE] or desk.options.subtask_path_base)
    files, refusals, marked = _judge(entries, route)
    call = invocation.call()
    accepted = await desk.catalog.create_sub_tasks(
        call,
        NewSubTasks(
            file_system_id=file_system_id,
            data_flow_id=data_flow_id,
            task_id=task_id,
            files=files,
            remark=_written(refusals),
        ),
    )
    return Reply(fields=_fields(accepted, call.mode), headers=PATH_BASE_MARK if marked else ())


# --------------------------------------------------------------------------------------------------------------- entries

Refusals = dict[tuple[str, str], list[int]]
"""Code and message of the entries at these places."""


def _judge(entries: Sequence[object], route: Route) -> tuple[list[NewFile], Refusals, bool]:
    """The files that can be accepted, what the others are refused with, and whether a path could be read in two ways."""
    files: list[NewFile] = []
    refusals: Refusals = {}
    marked = False
    for place, entry in enumerate(entries):
        try:
            source, target, condition = _entry(entry)
            source, target, rival, target_name, two_ways = route.way(source, target)
        except ApiError as error:
            refusals.setdefault((error.code, error.message), []).append(place)
        else:
            marked = marked or two_ways
            files.append(NewFile(source, target, rival, target_name, condition))
    return files, refusals, marked


def _entry(entry: object) -> tuple[str, str, Condition]:
    """Source, target and condition of one entry, as they are asked for. Raises ApiError."""
    if not isinstance(entry, dict):
        raise invalid_format("SubTasks", "each entry is a JSON object")
    source, target = _path("SrcFilePath", entry), _path("DstFilePath", entry)
    return source, target, UNCONDITIONAL if len(entry) == 2 else _condition(entry)


def _path(name: str, entry: Mapping[str, object]) -> str:
    path = entry.get(name)
    if not path:
        raise missing(name)
    if not isinstance(path, str):
        raise invalid_format(name, "it is a text")
    return check_file_path(name, path)


def _condition(entry: Mapping[str, object]) -> Condition:
    """What else an entry holds: other members are tolerated, but a guard is never dropped. Raises ApiError."""
    for name in entry.keys() - ENTRY_MEMBERS:
        if name.lower() in OF_THE_CALL:
            raise invalid_format(name, "it belongs to the whole call, not to an entry")
        if name.lower().startswith("condition"):
            raise invalid_format("Condition", "it is given as an object with ModifyTime and Size")
    condition = entry.get("Condition")
    if condition is None:
        return UNCONDITIONAL
    if not isinstance(condition, dict) or condition.keys() - {"ModifyTime", "Size"}:
        raise invalid_format("Condition", "it is given as an object with ModifyTime and Size")
    modified = _number("Condition.ModifyTime", condition.get("ModifyTime"))
    size = _number("Condition.Size", condition.get("Size"))
    return Condition(
        modify_time_ns=modify_time_ns("Condition.ModifyTime", modified) if modified else None,
        size_bytes=size_bytes("Condition.Size", size) if size else None,
    )


def _number(name: str, value: object) -> str:
    """A number's digits; "" where there is none. As text it is taken too: not every JSON writer has 64 bits."""
    if value is None:
        return ""
    if isinstance(value, str) or type(value) is int:
        return str(value)
    raise invalid_format(name, "it is a whole number")


# ---------------------------------------------------------------------------------------------------------------- answer


def _fields(accepted: Accepted, mode: CallMode) -> Mapping[str, Json]:
    """A result for each entry, in order. A pure function of what the catalog remembers: a repeated call is answered so."""
    refusals = _read(accepted.remark)
    refused = {place: fault for fault, places in refusals.items() for place in places}
    without_place = accepted.asked - len(accepted.sub_task_ids)
    identifiers = iter(accepted.sub_task_ids)
    results: list[Json] = []
    for place in range(accepted.asked + len(refused)):
        code, message = refused.get(place, ("", ""))
        if code:
            results.append({"Code": code, "Message": message})
            continue
        sub_task_id = next(identifiers, "")
        if sub_task_id:
            results.append({"DataFlowSubTaskId": "" if mode is CallMode.DRY_RUN else sub_task_id})
        else:
            results.append({"Code": NO_PLACE[0], "Message": NO_PLACE[1]})
    return {
        "RefusedCount": len(refused) + without_place,
        "DataFlowSubTask": {"DataFlowSubTask": results},
    }


def _recall(result: str, mode: CallMode) -> Mapping[str, Json]:
    return _fields(recall(result), mode)


def _written(refusals: Refusals) -> str:
    """Refusals as a short text, "" for none: however many entries are refused, there are few reasons."""
    if not refusals:
        return ""
    return json.dumps([[code, message, _ranges(places)] for (code, message), places in refusals.items()])


def _read(remark: str) -> Refusals:
    if not remark:
        return {}
    return {(code, message): list(_places(ranges)) for code, message, ranges in json.loads(remark)}


def _ranges(places: Iterable[int]) -> str:
    """`3,7-9` for rising places."""
    runs: list[list[int]] = []
    for place in places:
        if runs and runs[-1][1] == place - 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _places(ranges: str) -> Iterable[int]:
    for run in ranges.split(","):
        first, _, last = run.partition("-")
        yield from range(int(first), int(last or first) + 1)


OPERATIONS = (
    Operation(
        name="CreateDataFlowSubTasks",
        effect=Effect.WRITE,
        origin=Origin.OURS,
        parameters=(FILE_SYSTEM_ID, DATA_FLOW_ID, DATA_FLOW_TASK_ID, _SUB_TASKS, _PATH_BASE, DRY_RUN, CLIENT_TOKEN),
        run=create_sub_tasks,
        recall=_recall,
    ),
)
