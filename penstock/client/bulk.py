"""Files for the bulk door: what one is, how it is written, and how many one call takes. Pure; nothing is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.client.signing import Call, form_text
from penstock.errors import ApiUnreachableError

BULK_FILES_MAX = 1000
BULK_FORM_MAX_BYTES = (4 << 20) - (64 << 10)
"""What one call of the bulk door takes: so many files, and a body of 4 MiB with room for the other parameters."""

Source = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""A path relative to a stream's directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamIds:
    """The ids by which the API knows a stream."""

    file_system_id: str
    data_flow_id: str
    task_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileToMove:
    """One file for the bulk door: paths beneath the task's directory and its target directory, and a condition."""

    source: str
    target: str
    modify_time_ns: int | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What became of one file at the bulk door: its sub-task's id ("" in a dry run), or the code and words of a refusal."""

    sub_task_id: str = ""
    code: str = ""
    message: str = ""


NOT_TEXT = Created(code="IllegalCharacters", message="its name is not UTF-8, and the API takes no other")
"""Of a file that cannot even be asked about; as the API would say it, had it been sent by itself."""


def bulk_entry(file: FileToMove) -> str:
    """One file as JSON text."""
    condition = {"ModifyTime": file.modify_time_ns, "Size": file.size_bytes}
    given = {name: str(value) for name, value in condition.items() if value is not None}
    paths = {"SrcFilePath": f"/{file.source.lstrip('/')}", "DstFilePath": f"/{file.target.lstrip('/')}"}
    return json.dumps({**paths, "Condition": given} if given else paths, separators=(",", ":"))


def file_of(
    source: Source, target: Source | None = None, *, size_bytes: int | None = None, modify_time_ns: int | None = None
) -> FileToMove:
    """A file that keeps its name unless a target is given; names are also taken as the bytes that the system has."""
    name = os.fsdecode(source)
    return FileToMove(
        source=name,
        target=name if target is None else os.fsdecode(target),
        size_bytes=size_bytes,
        modify_time_ns=modify_time_ns,
    )


def is_text(name: str) -> bool:
    """Whether a name is UTF-8: the API takes no others, and would refuse all files of a call for one."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def pages_of(files: Iterable[FileToMove | Source], most: int) -> Iterator[list[FileToMove]]:
    """As `bulk_pages`, with names for files, and at most so many in a page."""
    return bulk_pages((each if isinstance(each, FileToMove) else file_of(each) for each in files), most=most)


def bulk_pages(files: Iterable[FileToMove], *, most: int = BULK_FILES_MAX) -> Iterator[list[FileToMove]]:
    """The files, in order, in pages that one call takes, of at most so many."""
    page: list[FileToMove] = []
    size_bytes = 0
    for file in files:
        entry_bytes = len(form_text(bulk_entry(file))) + 1
        if page and (len(page) >= min(most, BULK_FILES_MAX) or size_bytes + entry_bytes > BULK_FORM_MAX_BYTES):
            yield page
            page, size_bytes = [], 0
        page.append(file)
        size_bytes += entry_bytes
    if page:
        yield page


def bulk_call(
    files: Sequence[FileToMove],
    *,
    stream: StreamIds,
    client_token: str | None,
    dry_run: bool | None = None,  # house: the API's own parameter
) -> Call:
    """The call that creates sub-tasks for these, at most one of `bulk_pages`."""
    return Call(
        action="CreateDataFlowSubTasks",
        parameters={
            "FileSystemId": stream.file_system_id,
            "DataFlowId": stream.data_flow_id,
            "DataFlowTaskId": stream.task_id,
            "PathBase": "task",  # so a path has one meaning under every setting of the service
            "ClientToken": client_token,
            "DryRun": dry_run,
        },
        form={"SubTasks": f"[{','.join(map(bulk_entry, files))}]"},
    )


def one_file_call(
    file: FileToMove, *, stream: StreamIds, directories: tuple[str, str], client_token: str | None
) -> Call:
    """The call that creates a sub-task for one file, where there is no bulk door. `directories` are the stream's two."""
    condition = {"Size": file.size_bytes, "ModifyTime": file.modify_time_ns}
    return Call(
        action="CreateDataFlowSubTask",
        parameters={
            "FileSystemId": stream.file_system_id,
            "DataFlowId": stream.data_flow_id,
            "DataFlowTaskId": stream.task_id,
            "SrcFilePath": one_file_path(directories[0], file.source),
            "DstFilePath": one_file_path(directories[1], file.target),
            "Condition": {name: value for name, value in condition.items() if value is not None} or None,
            "ClientToken": client_token,
        },
    )


def one_file_path(directory: str, relative: str) -> str:
    """The path beneath the task's directory as the one-file call is asked for it.

    By itself it has one meaning under every setting of the service, unless it begins with the directory's own name: such a
    one is taken from the dataflow's root there, so it gets the directory in front.
    """
    path = f"/{relative.lstrip('/')}"
    return f"{directory.rstrip('/')}{path}" if path.startswith(directory) and directory != "/" else path


def bulk_results(answer: Mapping[str, Any], count: int) -> list[Created]:
    """What became of each file, in order. Raises ApiUnreachableError where the answer is not about `count` files."""
    found = answer.get("DataFlowSubTask", {}).get("DataFlowSubTask", [])
    if len(found) != count:
        raise ApiUnreachableError(f"the API answered {len(found)} results for {count} files")
    return [
        Created(
            sub_task_id=str(result.get("DataFlowSubTaskId", "")),
            code=str(result.get("Code", "")),
            message=str(result.get("Message", "")),
        )
        for result in found
    ]
