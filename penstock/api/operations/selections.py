"""What a batch task may be asked to move: the lists of CreateDataFlowTask, judged, and what SrcTaskId copies.

The lists are kept as the texts that came; whoever lists a source reads them again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from penstock.api.errors import ApiError, invalid_format
from penstock.api.paths import check_directory, check_file_path
from penstock.catalog import identifiers
from penstock.catalog.batchwork import Selection
from penstock.catalog.catalog import Catalog
from penstock.catalog.verbs import TaskQuery
from penstock.model import STREAM_ACTIONS, Task, TaskAction

ENTRY_LIST_MAX_BYTES = 64 << 10
INCLUDES_MAX_CHARACTERS = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is to be moved, and to where; directories start and end with `/`."""

    directory: str
    target_directory: str
    selection: Selection
    is_given: bool  # whether the call says what is to be moved
    is_target_given: bool


def entry_list(name: str, text: str) -> str:
    """A JSON array of paths, kept as text. Its size is judged first, as the vendor's table has it. Raises ApiError."""
    if len(text.encode()) >= ENTRY_LIST_MAX_BYTES:
        raise ApiError("InvalidParameter.SizeTooLarge", f"{name} has to be smaller than 64 KB.")
    return text


def includes(name: str, text: str) -> str:
    """A JSON array of directories, kept as text. Raises ApiError."""
    if len(text) > INCLUDES_MAX_CHARACTERS:
        raise invalid_format(name, f"it has at most {INCLUDES_MAX_CHARACTERS} characters")
    return text


def chosen(*, directory: str | None, target_directory: str | None, selection: Selection) -> Chosen:
    """What one call asks for. Raises ApiError for what does not go together, and for entries that are no paths."""
    ways = {
        "Directory": directory,
        "EntryList": selection.entry_list,
        "TransferFileListPath": selection.file_list_path,
    }
    given = [name for name, value in ways.items() if value]
    if len(given) > 1:
        raise ApiError("InvalidParameter.InvalidFormat", f"{' and '.join(given)}: only one of them may be given.")
    if selection.includes and not directory:
        raise invalid_format("Includes", "it goes with Directory")
    for entry in _strings("EntryList", selection.entry_list):
        check = check_directory if entry.endswith("/") else check_file_path
        check("EntryList", entry)
    for one in _strings("Includes", selection.includes):
        check_directory("Includes", one)
    return Chosen(
        directory=directory or "/",
        target_directory=target_directory or directory or "/",
        selection=selection,
        is_given=bool(given),
        is_target_given=bool(target_directory),
    )


def _strings(name: str, text: str) -> list[str]:
    try:
        found = json.loads(text) if text else []
    except (ValueError, RecursionError):
        raise invalid_format(name, "it is a JSON array of strings") from None
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found) or (text and not found):
        raise invalid_format(name, "it is a JSON array of strings, at least one")
    return found


async def source_task(catalog: Catalog, file_system_id: str, data_flow_id: str, task_id: str) -> Task | None:
    """The batch that SrcTaskId names; None where it names nothing. Raises ApiError InvalidSrcTaskId.*, CatalogError."""
    if not task_id:
        return None
    if identifiers.task_number(task_id) == identifiers.NO_NUMBER:
        raise ApiError("InvalidSrcTaskId.TaskIdInvalid", "SrcTaskId is no id of a task.")
    query = TaskQuery(file_system_id=file_system_id, task_ids=(task_id,))
    page = await catalog.tasks(query, next_token="", limit=1)
    if not page.items:
        raise ApiError("InvalidSrcTaskId.TaskIdNotFound", "The file system has no task with SrcTaskId.")
    (found,) = page.items
    if found.data_flow_id != data_flow_id:
        raise ApiError("InvalidSrcTaskId.NotFound", "The dataflow has no task with SrcTaskId; another one has.")
    if found.action in STREAM_ACTIONS:
        raise ApiError("InvalidSrcTaskId.TaskIdInvalid", f"SrcTaskId is a {found.action}; only batches are copied.")
    return found


def copied(asked: Chosen, source: Task, action: TaskAction) -> Chosen:
    """What the source task moved, where the call does not say what is to be moved. Raises ApiError for another action."""
    if action is not source.action:
        raise ApiError("InvalidSrcTaskId.TaskIdInvalid", f"SrcTaskId is {source.action}, and this task {action}.")
    if asked.is_given:
        return asked
    selection = Selection(entry_list=source.entry_list, includes=source.includes, file_list_path=source.file_list_path)
    target = asked.target_directory if asked.is_target_given else source.target_directory
    return replace(asked, directory=source.directory, target_directory=target, selection=selection)
