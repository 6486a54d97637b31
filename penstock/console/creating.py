"""New files to move, from what a form holds to what the API is asked, and what came of each.

All go through the bulk door, a thousand a call; where fidelity is strict there is none, and they go one by one. Calls nobody but
the API, as the visitor.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.console.viewer import Result, Viewer

FILES_MAX = 1000
NO_SUCH_ACTION = "InvalidApi.NotFound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One file, its paths relative to the task's directories; a condition that is empty asks for nothing."""

    source: str
    target: str
    modify_time: str = ""
    size: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Where the files go."""

    file_system_id: str
    data_flow_id: str
    task_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedFile:
    """One that was not taken, and why."""

    wanted: Wanted
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What came of all of them. `failed` is the refusal of a whole call, after which nothing more was asked."""

    sub_task_ids: tuple[str, ...] = ()
    refused: tuple[RefusedFile, ...] = ()
    failed: Result | None = None


def read_lines(text: str) -> tuple[Wanted, ...]:
    """A line is a source, or a source, a tab and a target. Empty lines are none. Paths may begin with a slash or not."""
    found: list[Wanted] = []
    for line in text.split("\n"):
        source, _, target = line.partition("\t")
        if source.strip():
            found.append(Wanted(source=_rooted(source), target=_rooted(target or source)))
    return tuple(found)


def _rooted(path: str) -> str:
    return "/" + path.strip().lstrip("/")


async def submit(viewer: Viewer, stream: Stream, files: Sequence[Wanted], *, token: str) -> Submitted:
    """Have these moved. The same `token` with the same files is answered as the first time, and creates nothing twice."""
    ids: list[str] = []
    refused: list[RefusedFile] = []
    for place in range(0, len(files), FILES_MAX):
        portion = files[place : place + FILES_MAX]
        asked = _whole(stream) | {
            "SubTasks": json.dumps([_entry(each) for each in portion], ensure_ascii=False),
            "PathBase": "task",
            "ClientToken": f"{token}-{place // FILES_MAX}",
        }
        result = await viewer.perform("CreateDataFlowSubTasks", asked)
        if result.code == NO_SUCH_ACTION:
            return await _one_by_one(viewer, stream, files, token=token)
        if not result.ok:
            return Submitted(sub_task_ids=tuple(ids), refused=tuple(refused), failed=result)
        told = result.body["DataFlowSubTask"]["DataFlowSubTask"]
        for wanted, each in zip(portion, told, strict=True):
            if each.get("Code"):
                refused.append(RefusedFile(wanted=wanted, code=each["Code"], message=each["Message"]))
            else:
                ids.append(each["DataFlowSubTaskId"])
    return Submitted(sub_task_ids=tuple(ids), refused=tuple(refused))


async def _one_by_one(viewer: Viewer, stream: Stream, files: Iterable[Wanted], *, token: str) -> Submitted:
    ids: list[str] = []
    refused: list[RefusedFile] = []
    for number, wanted in enumerate(files):
        asked = _whole(stream) | {"SrcFilePath": wanted.source, "DstFilePath": wanted.target}
        asked |= {f"Condition.{name}": value for name, value in _condition(wanted).items()}
        result = await viewer.perform("CreateDataFlowSubTask", asked | {"ClientToken": f"{token}.{number}"})
        if result.ok:
            ids.append(str(result.body["DataFlowSubTaskId"]))
        else:
            refused.append(RefusedFile(wanted=wanted, code=result.code, message=result.message))
    return Submitted(sub_task_ids=tuple(ids), refused=tuple(refused))


def _whole(stream: Stream) -> dict[str, str]:
    return {
        "FileSystemId": stream.file_system_id,
        "DataFlowId": stream.data_flow_id,
        "DataFlowTaskId": stream.task_id,
    }


def _entry(wanted: Wanted) -> Mapping[str, Any]:
    paths = {"SrcFilePath": wanted.source, "DstFilePath": wanted.target}
    condition = _condition(wanted)
    return {**paths, "Condition": condition} if condition else paths


def _condition(wanted: Wanted) -> Mapping[str, str]:
    given = {"ModifyTime": wanted.modify_time, "Size": wanted.size}
    return {name: value for name, value in given.items() if value}
