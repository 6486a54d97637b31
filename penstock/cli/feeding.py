"""The files of one command: their list is read as it comes, they go to the service by the bulk door, page by page.

Nothing is created twice: a page that got no answer is sent again with its ClientToken, for as long as `patience` says. Where
the service has no bulk door (strict fidelity) the files go one by one.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, BinaryIO

import click

from penstock.cli.answers import Thing, page, print_raw, things
from penstock.cli.bars import count_bar
from penstock.cli.connection import Service
from penstock.cli.failure import ExitCode
from penstock.cli.output import note, visible
from penstock.cli.patience import BUSY, NO_PLACE, Patience
from penstock.cli.tasks import find_task
from penstock.client import Created, FileToMove, bulk_pages
from penstock.client.bulk import NOT_TEXT, is_text, one_file_path
from penstock.errors import ApiRefusedError, ApiUnreachableError, SettingsError

LIST_CHUNK_BYTES = 1 << 20
NAME_MAX_BYTES = 64 << 10
LOOKS_S = (0.05, 0.1, 0.2, 0.4, 0.8)
SHOWN_MAX = 20
LIVE = "CREATED,RUNNING,CANCELING"
NOT_DONE = "FAILED,CANCELED,EXPIRED"
OF_ONE_FILE = ("IllegalCharacters", "InvalidParameter.", "MissingSrcFilePath", "MissingDstFilePath")


class ListForm(StrEnum):
    """How a list of files is written."""

    LINES = "lines"
    NULL = "null"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command that waits tells."""

    accepted: int
    refused: Sequence[tuple[FileToMove, Created]]
    not_done: Sequence[Thing]


# ------------------------------------------------------------------------------------------------------------- the list


def listed_files(source: BinaryIO, *, form: ListForm) -> Iterator[FileToMove]:
    """The files of a list, while it is read; bytes that are not UTF-8 are kept. Raises SettingsError for what is no list."""
    read = _entry if form is ListForm.JSON else _named
    for number, raw in enumerate(_records(source, b"\0" if form is ListForm.NULL else b"\n"), start=1):
        text = raw if form is ListForm.NULL else raw.removesuffix(b"\r")
        if text:
            try:
                yield read(os.fsdecode(text))
            except (ValueError, SettingsError) as error:
                raise SettingsError(f"the list's entry {number} cannot be read: {error}") from error


def listed_names(source: BinaryIO, *, null: bool) -> Iterator[str]:
    """The names of a list, while it is read; bytes that are not UTF-8 are kept, as of names that the system tells.

    Raises SettingsError for what is no list.
    """
    for raw in _records(source, b"\0" if null else b"\n"):
        text = raw if null else raw.removesuffix(b"\r")
        if text:
            yield os.fsdecode(text)


def _records(source: BinaryIO, separator: bytes) -> Iterator[bytes]:
    left = b""
    while chunk := source.read1(LIST_CHUNK_BYTES) if hasattr(source, "read1") else source.read(LIST_CHUNK_BYTES):
        *whole, left = (left + chunk).split(separator)
        yield from whole
        if len(left) > NAME_MAX_BYTES:
            raise SettingsError("the list holds an entry that is too long for a file's name: how is it separated?")
    yield left


def _named(text: str) -> FileToMove:
    source, _, target = text.partition("\t")
    return FileToMove(source=source, target=target or source)


def _entry(text: str) -> FileToMove:
    entry = json.loads(text)
    if not isinstance(entry, dict) or not isinstance(entry.get("SrcFilePath"), str):
        raise SettingsError("it is no JSON object with SrcFilePath")
    condition = entry.pop("Condition", None) or {}
    target = entry.get("DstFilePath") or entry["SrcFilePath"]
    if entry.keys() - {"SrcFilePath", "DstFilePath"} or not isinstance(target, str):
        raise SettingsError("it holds more than SrcFilePath, DstFilePath and Condition")
    if not isinstance(condition, dict) or condition.keys() - {"ModifyTime", "Size"}:
        raise SettingsError("Condition has ModifyTime and Size")
    return FileToMove(
        source=entry["SrcFilePath"],
        target=target,
        modify_time_ns=_whole(condition.get("ModifyTime")),
        size_bytes=_whole(condition.get("Size")),
    )


def _whole(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) or type(value) is int:
        return int(value)
    raise SettingsError("ModifyTime and Size are whole numbers")


# ------------------------------------------------------------------------------------------------------------- the door


class Feeder:
    """Hands files of one stream to the service.

    `accepted` counts those that were answered with an id; `in_doubt` those of a call that got no answer, and may have been.
    """

    def __init__(self, service: Service, stream: Thing) -> None:
        self._service = service
        self._stream = stream
        self._by_bulk = True
        self._patience = Patience()
        self.accepted = 0
        self.in_doubt = 0

    def feed(self, files: Sequence[FileToMove]) -> Iterator[tuple[FileToMove, Created]]:
        """What became of each file, in order of being decided. Waits while the service has no places."""
        odd = [file for file in files if not (is_text(file.source) and is_text(file.target))]
        yield from ((file, NOT_TEXT) for file in odd)
        files = [file for file in files if file not in odd] if odd else files
        while files:
            waiting: list[FileToMove] = []
            for file, created in zip(files, self._send(files), strict=True):
                if created.code == NO_PLACE:
                    waiting.append(file)
                else:
                    yield file, created
            if waiting:
                self._patience.await_places()
            files = waiting

    def so_far(self) -> str:
        """What to say of the files where no more are handed over."""
        doubtful = f", and up to {self.in_doubt} more, of which the service did not tell" if self.in_doubt else ""
        return f"{self.accepted} files were accepted before this{doubtful}; they are being moved"

    def _send(self, files: Sequence[FileToMove]) -> Sequence[Created]:
        if self._by_bulk:
            try:
                return self._bulk(files)
            except ApiRefusedError as error:
                if error.code != "InvalidApi.NotFound":
                    raise
                self._by_bulk = False
                if len(files) > 1:
                    note("the service has no bulk door (fidelity = strict, or it is older): files go one by one")
        return [self._single(file) for file in files]

    def _bulk(self, files: Sequence[FileToMove]) -> Sequence[Created]:
        token = secrets.token_hex(16)
        return self._answered(
            len(files),
            lambda: self._service.client.create_sub_tasks(
                files,
                file_system_id=self._service.file_system_id,
                data_flow_id=self._stream["DataFlowId"],
                task_id=self._stream["TaskId"],
                client_token=token,
            ),
        )

    def _single(self, file: FileToMove) -> Created:
        condition = {"Size": file.size_bytes, "ModifyTime": file.modify_time_ns}
        parameters: dict[str, Any] = {
            "DataFlowId": self._stream["DataFlowId"],
            "DataFlowTaskId": self._stream["TaskId"],
            "SrcFilePath": one_file_path(self._stream["Directory"], file.source),
            "DstFilePath": one_file_path(self._stream["DstDirectory"], file.target),
            "Condition": {name: value for name, value in condition.items() if value is not None} or None,
            "ClientToken": secrets.token_hex(16),
        }

        def create() -> Sequence[Created]:
            answer = self._service.call("CreateDataFlowSubTask", **parameters)
            return [Created(sub_task_id=str(answer["DataFlowSubTaskId"]))]

        try:
            (created,) = self._answered(1, create)
        except ApiRefusedError as error:
            if not error.code.startswith(OF_ONE_FILE):
                raise
            return Created(code=error.code, message=str(error))
        return created

    def _answered(self, count: int, create: Callable[[], Sequence[Created]]) -> Sequence[Created]:
        """The answer of a call that creates `count` files with one ClientToken, which makes it safe to ask again."""

        def ask() -> Sequence[Created]:
            in_doubt, self.in_doubt = self.in_doubt, count
            try:
                return create()
            except ApiRefusedError as error:
                if error.code != BUSY:
                    self.in_doubt = in_doubt  # this try did nothing; one before it may have
                raise

        answer = self._patience.asked(ask)
        self.accepted += sum(not created.code for created in answer)
        self.in_doubt = 0
        return answer


def create_one(service: Service, stream: Thing, file: FileToMove) -> str:
    """Have this file moved; the id of its sub-task. Raises ApiRefusedError, ApiUnreachableError."""
    ((_, created),) = Feeder(service, stream).feed([file])
    if created.code:
        raise ApiRefusedError(created.message, code=created.code, status=400)
    return created.sub_task_id


def create_many(service: Service, stream: Thing, files: Iterator[FileToMove], *, wait: bool, as_json: bool) -> None:
    """Have all of these files moved. Raises Exit with 1 where one was refused or, with `wait`, is not COMPLETE."""
    feeder = Feeder(service, stream)
    made: list[str] = []
    refused: list[tuple[FileToMove, Created]] = []
    try:
        with count_bar("accepted") as tell:
            for files_of_page in bulk_pages(files):
                for file, created in feeder.feed(files_of_page):
                    if created.code:
                        refused.append((file, created))
                        note(f"{visible(file.source)}: {created.code}: {created.message}")
                    else:
                        made.append(created.sub_task_id)
                    if not wait:
                        _tell_file(file, created, as_json=as_json)
                tell(len(made), len(made))
    except (ApiRefusedError, ApiUnreachableError, SettingsError, KeyboardInterrupt):
        note(feeder.so_far())
        raise
    not_done: Sequence[Thing] = []
    if wait:
        try:
            not_done = await_all(service, stream, made)
        except (ApiRefusedError, ApiUnreachableError, SettingsError, KeyboardInterrupt):
            note(f"{len(made)} files were accepted and are moved, though nobody waits for them any more; what is left:")
            note(f"  penstock subtask list --task {stream['TaskId']} --status {LIVE}")
            note(f"and what did not become COMPLETE: the same with --status {NOT_DONE}")
            raise
        _tell_all(Outcome(accepted=len(made), refused=refused, not_done=not_done), stream, as_json=as_json)
    if refused or not_done:
        raise click.exceptions.Exit(ExitCode.FAILED)


# --------------------------------------------------------------------------------------------------------------- the end


def await_all(service: Service, stream: Thing, sub_task_ids: Sequence[str]) -> Sequence[Thing]:
    """Wait until all of these are final; those that are not COMPLETE. The stream may have other sub-tasks, too.

    A restart of the service meanwhile is waited for.
    """
    mine = frozenset(sub_task_ids)
    if not mine:
        return []
    oldest, newest = min(mine), max(mine)
    patience = Patience()
    looks, more = 0, True
    with count_bar("files of the stream") as tell:
        while more:
            # They end about in the order in which they were made. So while the newest is live no more is looked at.
            more = patience.asked(lambda: _is_live(service, newest)) or any(
                item in mine for item in _found(service, patience, stream, LIVE, oldest)
            )
            stats = patience.asked(lambda: find_task(service, stream["TaskId"]))["ProgressStats"]
            tell(stats["FilesDone"], stats["FilesTotal"])
            if more:
                time.sleep(LOOKS_S[min(looks, len(LOOKS_S) - 1)])
                looks += 1
    found = _found(service, patience, stream, NOT_DONE, oldest)
    return [item for sub_task_id, item in found.items() if sub_task_id in mine]


def _is_live(service: Service, sub_task_id: str) -> bool:
    answer = _page(service, {"DataFlowSubTaskIds": sub_task_id})
    return any(item["Status"] in LIVE.split(",") for item in _items(answer))


def _found(service: Service, patience: Patience, stream: Thing, statuses: str, oldest: str) -> dict[str, Thing]:
    """The stream's sub-tasks in these statuses, back to the one called `oldest`: ids begin with their time."""
    found: dict[str, Thing] = {}
    filters: dict[str, str | None] = {"DataFlowTaskIds": stream["TaskId"], "Status": statuses}
    token = ""
    while True:
        answer = patience.asked(partial(_page, service, filters, next_token=token))
        items = _items(answer)
        found |= {item["DataFlowSubTaskId"]: item for item in items}
        token = answer.get("NextToken", "")
        if not token or (items and items[-1]["DataFlowSubTaskId"] < oldest):
            return found


def _page(service: Service, filters: dict[str, str | None], *, next_token: str = "") -> Thing:
    return page(service, "DescribeDataFlowSubTasks", filters=filters, limit=100, next_token=next_token)


def _items(answer: Thing) -> list[Thing]:
    return things(answer, "DataFlowSubTask", "DataFlowSubTask")


def _tell_file(file: FileToMove, created: Created, *, as_json: bool) -> None:
    """A line for each file where nobody waits: its id, or with --json what is known of it."""
    if as_json:
        told = {"DataFlowSubTaskId": created.sub_task_id, "Code": created.code, "Message": created.message}
        given = {name: value for name, value in told.items() if value}
        paths = {"SrcFilePath": file.source, "DstFilePath": file.target}
        click.echo(json.dumps(paths | given, ensure_ascii=created is NOT_TEXT))
    elif created.sub_task_id:
        click.echo(created.sub_task_id)


def _tell_all(outcome: Outcome, stream: Thing, *, as_json: bool) -> None:
    complete = outcome.accepted - len(outcome.not_done)
    if as_json:
        refused = [
            {
                "SrcFilePath": visible(file.source),
                "DstFilePath": visible(file.target),
                "Code": created.code,
                "Message": created.message,
            }
            for file, created in outcome.refused
        ]
        print_raw({"Complete": complete, "Refused": refused, "NotComplete": list(outcome.not_done)})
        return
    counts = {"COMPLETE": complete, **Counter(item["Status"] for item in outcome.not_done)}
    words = [f"{count} {status}" for status, count in counts.items()]
    if outcome.refused:
        words.append(f"{len(outcome.refused)} refused")
    click.echo(f"{outcome.accepted + len(outcome.refused)} files: {', '.join(words)}")
    for item in outcome.not_done[:SHOWN_MAX]:
        note(f"{item['DataFlowSubTaskId']}  {visible(item['SrcFilePath'])}: {item['Status']}: {item['ErrorMsg']}")
    if len(outcome.not_done) > SHOWN_MAX:
        note(f"and more; see: penstock subtask list --task {stream['TaskId']} --status {NOT_DONE}")
