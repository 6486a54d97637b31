"""A batch that somebody wants, looked at before it is made, and how far one is.

Asks the file system, the store and the API, each for no longer than a bound; at last the API by a dry run, which decides.
Changes nothing.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from penstock.console import notes
from penstock.console.checks import LOOK_S, Check, Verdict
from penstock.console.directories import Listed, subdirectories
from penstock.console.prefixes import ListedPrefixes, subprefixes
from penstock.console.viewer import Viewer
from penstock.console.wishes import as_directory
from penstock.model import DataFlow, DataFlowStatus, Task, TaskAction

CREATE = "CreateDataFlowTask"
INCLUDES_LOOKED_AT = 8
NS_PER_S = 1_000_000_000
_NOT_MADE = "The batch would fail at once: make it, or choose another one."


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What the form says. Of `directory`, `entries` and `lists` only one is meant: the one that `what` names."""

    action: TaskAction
    what: str
    directory: str
    includes: tuple[str, ...]
    entries: tuple[str, ...]
    lists: str
    target: str
    policy: str
    creates: str  # "true": the directory that an import moves into is made where it is missing

    @classmethod
    def of(cls, form: Mapping[str, str]) -> Batch:
        """The form's fields, with the slashes that people leave out."""
        return cls(
            action=TaskAction.EXPORT if form.get("action") == TaskAction.EXPORT else TaskAction.IMPORT,
            what=form.get("what", "directory"),
            directory=as_directory(form.get("directory", "")),
            includes=tuple(map(as_directory, _lines(form.get("includes", "")))),
            entries=tuple("/" + each.lstrip("/") for each in _lines(form.get("entries", ""))),
            lists=as_directory(form.get("lists", "")),
            target=as_directory(form["target"]) if form.get("target", "").strip() else "",
            policy=form.get("policy", ""),
            creates="true" if form.get("creates") else "",
        )

    @property
    def goes_to(self) -> str:
        """The directory at the other end, as the API takes it where none is said."""
        return self.target or (self.directory if self.what == "directory" else "/")

    def parameters(self, flow: DataFlow) -> dict[str, str]:
        """Of CreateDataFlowTask."""
        chosen: Mapping[str, str] = {
            "directory": {
                "Directory": self.directory,
                "Includes": json.dumps(self.includes, ensure_ascii=False) if self.includes else "",
            },
            "entries": {"EntryList": json.dumps(self.entries, ensure_ascii=False)},
            "lists": {"TransferFileListPath": self.lists},
        }.get(self.what, {})
        asked = {
            "FileSystemId": flow.file_system_id,
            "DataFlowId": flow.data_flow_id,
            "TaskAction": self.action.value,
            "DataType": "MetaAndData",
            "ConflictPolicy": self.policy,
            "DstDirectory": self.goes_to,
            "CreateDirIfNotExist": self.creates if self.action is TaskAction.IMPORT else "",
            **chosen,
        }
        return {name: text for name, text in asked.items() if text}


def fields_of(task: Task) -> dict[str, str]:
    """A form filled in with what there is to copy."""
    what = "entries" if task.entry_list else "lists" if task.file_list_path else "directory"
    return {
        "flow": task.data_flow_id,
        "action": task.action.value,
        "what": what,
        "directory": task.directory,
        "includes": "\n".join(json.loads(task.includes)) if task.includes else "",
        "entries": "\n".join(json.loads(task.entry_list)) if task.entry_list else "",
        "lists": task.file_list_path,
        "target": task.target_directory,
        "policy": task.conflict_policy.value,
        "creates": "true" if task.create_dir_if_not_exist else "",
    }


# ------------------------------------------------------------------------------------------------------------- looking


async def look(viewer: Viewer, batch: Batch, flow: DataFlow) -> tuple[Check, ...]:
    """Everything that is worth knowing before this batch is made."""
    found = [_running(flow), *await _sources(viewer, batch, flow), await _target(viewer, batch, flow)]
    if any(each.verdict is Verdict.BAD for each in found):
        return tuple(found)
    return (*found, await _rehearsal(viewer, batch, flow))


def _running(flow: DataFlow) -> Check:
    if flow.status is DataFlowStatus.RUNNING:
        return Check(name="Dataflow", verdict=Verdict.GOOD, words="It is Running.")
    advice = "Start it first." if flow.status is DataFlowStatus.STOPPED else "Its page says what it needs."
    return Check(name="Dataflow", verdict=Verdict.BAD, words=f"It is {flow.status.value}.", advice=advice)


async def _sources(viewer: Viewer, batch: Batch, flow: DataFlow) -> list[Check]:
    """Whether there is something to move."""
    if batch.what == "entries":
        return [_entries(batch)]
    if batch.what == "lists":
        return [await _lists(viewer, batch, flow)]
    beneath = [batch.directory]
    if batch.includes:
        beneath = [batch.directory[:-1] + each for each in batch.includes[:INCLUDES_LOOKED_AT]]
    look_at = _directory if batch.action is TaskAction.EXPORT else _prefix
    return [await look_at(viewer, flow, each, "Source") for each in beneath]


def _entries(batch: Batch) -> Check:
    count = len(batch.entries)
    if not count:
        return Check(name="Source", verdict=Verdict.BAD, words="No entry is named.", advice="Name one a line.")
    words = f"{count:,} {'entry is' if count == 1 else 'entries are'} named."
    return Check(name="Source", verdict=Verdict.GOOD, words=words, advice="What is not there stands in the report.")


async def _lists(viewer: Viewer, batch: Batch, flow: DataFlow) -> Check:
    found = await _prefixes(viewer, flow, batch.lists)
    if isinstance(found, Check):
        return found
    if found.tables:
        words = f"{found.tables:,} {'list' if found.tables == 1 else 'lists'} in {flow.source_storage}{batch.lists}."
        return Check(name="Source", verdict=Verdict.GOOD, words=words)
    words = f"There is no *.csv in {flow.source_storage}{batch.lists}."
    advice = (
        "A list is an object below it whose first line has the column Name; the path starts at the top of the bucket."
    )
    return Check(name="Source", verdict=Verdict.BAD, words=words, advice=advice)


async def _prefix(viewer: Viewer, flow: DataFlow, directory: str, name: str) -> Check:
    prefix = flow.source_storage_path[:-1] + directory
    found = await _prefixes(viewer, flow, prefix)
    if isinstance(found, Check):
        return found
    if found.objects or found.names:
        more = "at least " if found.is_cut else ""
        counts = f"{more}{found.objects:,} objects right there, and {len(found.names):,} prefixes"
        words = f"{flow.source_storage}{prefix} has {counts}."
        return Check(name=name, verdict=Verdict.GOOD, words=words)
    words = f"There is no object beneath {flow.source_storage}{prefix}."
    return Check(
        name=name, verdict=Verdict.BAD, words=words, advice="Choose another directory, or put objects there first."
    )


async def _prefixes(viewer: Viewer, flow: DataFlow, prefix: str) -> ListedPrefixes | Check:
    bucket = viewer.reach.registry().buckets.get(flow.bucket)
    mend = f"penstock bucket probe {shlex.quote(viewer.reach.home)} {shlex.quote(flow.bucket)}"
    if bucket is None:
        return Check(name="Bucket", verdict=Verdict.BAD, words=f"{flow.bucket} is not registered any more.")
    try:
        found = await viewer.reach.stores.ask(
            bucket.name, lambda: subprefixes(bucket, prefix, viewer.reach.open_bucket), limit_s=LOOK_S
        )
    except TimeoutError:
        return Check(name="Bucket", verdict=Verdict.BAD, words="The store does not answer.", mend=mend)
    if found.trouble:
        return Check(name="Bucket", verdict=Verdict.BAD, words=found.trouble, mend=mend)
    return found


async def _target(viewer: Viewer, batch: Batch, flow: DataFlow) -> Check:
    if batch.action is TaskAction.EXPORT:
        found = await _prefixes(viewer, flow, flow.source_storage_path[:-1] + batch.goes_to)
        if isinstance(found, Check):
            return found
        words = f"Objects go to {flow.source_storage}{flow.source_storage_path[:-1]}{batch.goes_to}."
        return Check(name="Target", verdict=Verdict.GOOD, words=words)
    there = await _directory(viewer, flow, batch.goes_to, "Target")
    if there.verdict is Verdict.BAD and there.mend and batch.creates:
        return Check(name="Target", verdict=Verdict.GOOD, words=f"{batch.goes_to} is made where it is missing.")
    return there


async def _directory(viewer: Viewer, flow: DataFlow, directory: str, name: str) -> Check:
    file_system = viewer.reach.registry().file_systems.get(flow.file_system_id)
    if file_system is None:
        return Check(name=name, verdict=Verdict.BAD, words="The file system is not registered any more.")
    path = flow.file_system_path[:-1] + directory
    try:
        found: Listed = await viewer.reach.file_systems.ask(
            flow.file_system_id, lambda: subdirectories(file_system, path, limit_s=LOOK_S), limit_s=LOOK_S
        )
    except TimeoutError:
        words = "The file system does not answer. Is it mounted, and its server up?"
        return Check(name=name, verdict=Verdict.BAD, words=words, advice="See that it does, and check again.")
    if found.trouble:
        advice = _NOT_MADE if found.mend else "Choose another directory."
        return Check(name=name, verdict=Verdict.BAD, words=f"{path}: {found.trouble}", advice=advice, mend=found.mend)
    return Check(name=name, verdict=Verdict.GOOD, words=f"{path} is there.")


async def _rehearsal(viewer: Viewer, batch: Batch, flow: DataFlow) -> Check:
    result = await viewer.perform(CREATE, {**batch.parameters(flow), "DryRun": "true"})
    if result.ok:
        return Check(name="Rehearsal", verdict=Verdict.GOOD, words="The service would begin it.")
    advice = notes.advice(result.code, viewer.reach.home) or "Change what it says, and check again."
    return Check(name="Rehearsal", verdict=Verdict.BAD, words=f"{result.message} ({result.code})", advice=advice)


# ------------------------------------------------------------------------------------------------------------ how far


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a batch is, as ProgressStats has it: what was listed so far, what is there, what moved, what could not."""

    live: int
    failed: int
    bytes_per_s: int
    left_s: int | None

    @classmethod
    def of(cls, task: Task) -> Progress:
        """By the clock since the batch began; `left_s` is for what has been listed, None where that cannot be told."""
        counters = task.counters
        live = counters.created + counters.running + counters.canceling
        elapsed_ns = (task.ended_ns or task.seen_ns) - task.started_ns if task.started_ns is not None else 0
        speed = counters.actual_bytes * NS_PER_S // elapsed_ns if elapsed_ns > 0 else 0
        left_bytes = max(0, counters.bytes_total - counters.bytes_done)
        return cls(
            live=live,
            failed=max(0, counters.accepted - counters.complete - live),
            bytes_per_s=speed,
            left_s=-(-left_bytes // speed) if live and speed else None,
        )


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.split("\n") if line.strip())
