"""What does a command say of files that it handed over, when it is broken off, refused, or left without an answer?"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from penstock.cli import feeding
from penstock.cli.feeding import Feeder, create_many
from penstock.cli.patience import Patience
from penstock.client import Created, FileToMove
from penstock.errors import ApiRefusedError, ApiUnreachableError

STREAM = {"DataFlowId": "df-1", "TaskId": "task-1", "Directory": "/", "DstDirectory": "/"}
SILENT = ApiUnreachableError("it does not answer")
BUSY = ApiRefusedError("going down", code="ServiceUnavailable", status=503)
STOPPED = ApiRefusedError("the dataflow is stopped", code="OperationDenied.InvalidState", status=403)
STRICT = ApiRefusedError("no such action", code="InvalidApi.NotFound", status=404)

Event = BaseException | str


class Door:
    """A service whose calls end as a script says: an answer ("ok", "refused"), or what is raised. It sleeps in no time."""

    def __init__(self, *script: Event) -> None:
        self._script = iter(script)
        self.tokens: list[str] = []
        self.now_s = 100.0
        self.client = SimpleNamespace(create_sub_tasks=self.create)
        self.file_system_id = "bmcpfs-1"

    def create(self, files: Sequence[FileToMove], *, client_token: str, **_: str) -> list[Created]:
        self.tokens.append(client_token)
        self._next()
        return [
            Created(code="IllegalCharacters") if "bad" in file.source else Created(sub_task_id="s") for file in files
        ]

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        assert action == "CreateDataFlowSubTask"
        self.tokens.append(parameters["ClientToken"])
        self._next()
        return {"DataFlowSubTaskId": "s"}

    def _next(self) -> None:
        event = next(self._script, "ok")
        if isinstance(event, BaseException):
            raise event

    def sleep(self, pause_s: float) -> None:
        self.now_s += pause_s


def files(count: int) -> list[FileToMove]:
    return [FileToMove(source=f"f{number}", target=f"f{number}") for number in range(count)]


FILES = [*files(999), FileToMove(source="bad", target="bad"), *files(501)]


def last_words(door: Door, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says at the end, broken off as it is."""
    monkeypatch.setattr(feeding, "Patience", lambda: Patience(clock=lambda: door.now_s, sleep=door.sleep))
    with pytest.raises((ApiRefusedError, ApiUnreachableError, KeyboardInterrupt)):
        create_many(cast("Any", door), STREAM, iter(FILES), wait=True, as_json=False)
    return capsys.readouterr().err.splitlines()[-1]


DOUBT = ", and up to {} more, of which the service did not tell"


@pytest.mark.parametrize(
    ("script", "accepted", "in_doubt"),
    [
        (["ok", KeyboardInterrupt()], 999, 501),
        (["ok", STOPPED], 999, 0),
        (["ok", SILENT, STOPPED], 999, 501),
        (["ok", *[SILENT] * 200], 999, 501),
        (["ok", *[BUSY] * 200], 999, 501),
        ([SILENT, "ok", STOPPED], 999, 0),
        ([KeyboardInterrupt()], 0, 1000),
        ([STRICT, *["ok"] * 5, KeyboardInterrupt()], 5, 1),
        ([STRICT, *["ok"] * 5, STOPPED], 5, 0),
    ],
)
def test_what_was_accepted_and_what_is_in_doubt(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    script: list[Event],
    accepted: int,
    in_doubt: int,
) -> None:
    """1,501 files, of which one of the first thousand is refused."""
    last = last_words(Door(*script), monkeypatch, capsys)
    words = DOUBT.format(in_doubt) if in_doubt else ""
    assert last == f"{accepted} files were accepted before this{words}; they are being moved"


def test_a_call_is_repeated_with_its_own_token() -> None:
    door = Door(SILENT, BUSY, "ok")
    feeder = Feeder(cast("Any", door), STREAM)
    feeder._patience = Patience(clock=lambda: door.now_s, sleep=door.sleep)
    assert [created.sub_task_id for _, created in feeder.feed(files(2))] == ["s", "s"]
    assert len(door.tokens) == 3
    assert len(set(door.tokens)) == 1
