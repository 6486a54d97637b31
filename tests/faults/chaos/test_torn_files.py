"""A file that changes while it is exported: the object is the file as it was at one moment, or FAILED says why there is none."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
import pytest

from penstock.errors import FailureCode
from penstock.model import Condition, ConflictPolicy, Direction
from penstock.transfer.transfer import Verdict
from tests.faults.chaos.conftest import Opener
from tests.faults.chaos.stand import ATTEMPTS, CONTENTS, LANES, MODIFY_NS, OTHER, Ending, Stand
from tests.fixtures.chaosfaults import meanwhile
from tests.fixtures.chaosproxy import Rule

EVER = 1 << 30
CHANGED_NS = MODIFY_NS + 5_000_000_000


def rewrite(path: Path) -> None:
    """In place, the same size, and its time put back: only the kernel's own stamp can tell."""
    size = path.stat().st_size
    descriptor = os.open(path, os.O_WRONLY)
    os.pwrite(descriptor, OTHER[:size], 0)
    os.close(descriptor)
    os.utime(path, ns=(MODIFY_NS, MODIFY_NS))


def touch(path: Path) -> None:
    """The time alone."""
    os.utime(path, ns=(CHANGED_NS, CHANGED_NS))


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")
    touch(path)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)
    touch(path)


def replace(path: Path) -> None:
    """Another file of the same size and the same time takes its name."""
    beside = path.with_name("beside")
    beside.write_bytes(OTHER[: path.stat().st_size])
    os.utime(beside, ns=(MODIFY_NS, MODIFY_NS))
    beside.rename(path)


def restore(path: Path) -> None:
    """A copy of itself takes its name: nothing is torn, but who could tell."""
    beside = path.with_name("beside")
    beside.write_bytes(path.read_bytes())
    os.utime(beside, ns=(MODIFY_NS, MODIFY_NS))
    beside.rename(path)


CHANGES: dict[str, Callable[[Path], None]] = {
    change.__name__: change for change in (rewrite, touch, append, truncate, replace, restore)
}


@dataclass(frozen=True, slots=True)
class Moment:
    """When it changes: at the `nth` request of a kind. `is_seen`: the file is looked at once more after that."""

    size: str
    kind: str
    nth: int
    is_seen: bool


MOMENTS = {
    "small, between open and read": Moment("small", "head", 1, is_seen=False),
    "small, while it is sent": Moment("small", "put", 1, is_seen=False),
    "middling, between open and read": Moment("middling", "head", 1, is_seen=False),
    "middling, while it is sent": Moment("middling", "put", 1, is_seen=False),
    "large, before the first part": Moment("large", "initiate", 1, is_seen=True),
    "large, between parts": Moment("large", "put_part", 2, is_seen=True),
    "large, right before Complete": Moment("large", "put_part", 3, is_seen=True),
    "large, while it is completed": Moment("large", "complete", 1, is_seen=False),
}
CASES = [(change, moment, "Never") for change in CHANGES for moment in MOMENTS]
CASES += [(change, moment, "Enabled") for change in ("rewrite", "truncate") for moment in MOMENTS]


def opened(open_case: Opener, size: str, versioning: str) -> tuple[Stand, bytes]:
    """A stand by the true clock, one part at a time, with a file that was just written."""
    stand = open_case(workers=1, versioning=versioning)
    stand.gate.clock = time.time_ns
    stand.write(CONTENTS[size])
    return stand, CONTENTS[size]


def scripted(stand: Stand, moment: Moment, act: Callable[[], None], *, times: int = 1) -> None:
    stand.proxy.script(Rule(kind=moment.kind, fault=meanwhile(act), nth=moment.nth, times=times))


@pytest.mark.parametrize(("change", "moment", "versioning"), CASES)
def test_a_change_is_waited_out(open_case: Opener, change: str, moment: str, versioning: str) -> None:
    when = MOMENTS[moment]
    stand, content = opened(open_case, when.size, versioning)
    scripted(stand, when, lambda: CHANGES[change](stand.gate.target))
    ending = stand.carry(stand.what(Direction.EXPORT, ConflictPolicy.KEEP_LATEST), LANES[when.size])
    after = stand.gate.target.read_bytes()
    is_new = ending.outcomes[0].verdict is Verdict.RETRY or (when.kind == "head" and change in {"rewrite", "restore"})
    times = {after: stand.gate.target.stat().st_mtime_ns} if is_new else {}
    stand.judge_export(ending, content, after, times=times)
    assert ending.verdict is Verdict.COMPLETE, stand.told(ending)
    if when.is_seen:
        first = ending.outcomes[0]
        assert (first.verdict, first.code) == (Verdict.RETRY, FailureCode.SOURCE_CHANGED)
        assert first.message == "/base/data.bin was changed while it was read"
        assert stand.bytes_of() == after


@pytest.mark.parametrize(
    ("moment", "versioning"),
    [("large, between parts", "Never"), ("large, right before Complete", "Enabled")],
)
def test_a_file_that_never_rests_fails_as_changed(open_case: Opener, moment: str, versioning: str) -> None:
    when = MOMENTS[moment]
    stand, content = opened(open_case, when.size, versioning)
    scripted(stand, Moment(when.size, when.kind, 1, is_seen=True), lambda: append(stand.gate.target), times=EVER)
    ending = stand.carry(stand.what(Direction.EXPORT), LANES[when.size])
    stand.judge_export(ending, content)
    assert (ending.verdict, ending.code) == (Verdict.FAILED, FailureCode.SOURCE_CHANGED)
    assert len(ending.outcomes) == ATTEMPTS + 1


@pytest.mark.parametrize("moment", list(MOMENTS))
def test_a_file_that_is_deleted(open_case: Opener, moment: str) -> None:
    """Once its bytes are all on their way it counts as it was; before that there is nothing to export."""
    when = MOMENTS[moment]
    stand, content = opened(open_case, when.size, "Never")
    scripted(stand, when, stand.gate.target.unlink)
    ending = stand.carry(stand.what(Direction.EXPORT, ConflictPolicy.KEEP_LATEST), LANES[when.size])
    stand.judge_export(ending, content)
    if when.is_seen or when.kind == "head":
        assert (ending.verdict, ending.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND), stand.told(ending)
    else:
        assert ending.verdict is Verdict.COMPLETE


@pytest.mark.parametrize("moment", [name for name, when in MOMENTS.items() if when.is_seen])
def test_a_changed_file_that_no_longer_meets_its_condition(open_case: Opener, moment: str) -> None:
    when = MOMENTS[moment]
    stand, content = opened(open_case, when.size, "Never")
    scripted(stand, when, lambda: append(stand.gate.target))
    condition = Condition(modify_time_ns=MODIFY_NS, size_bytes=len(content))
    what = msgspec.structs.replace(stand.what(Direction.EXPORT), condition=condition)
    ending = stand.carry(what, LANES[when.size])
    stand.judge_export(ending)
    assert (ending.verdict, ending.code) == (Verdict.FAILED, FailureCode.CONDITION_NOT_MET)


class Writer:
    """Somebody who writes one generation after another over the same file, front to back, without a pause."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.generations = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(60)

    def _write(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY)
        while not self._ended.is_set():
            self.generations += 1
            os.pwrite(descriptor, bytes([self.generations % 251]) * self._size, 0)
        os.close(descriptor)


def check_one_moment(stand: Stand, ending: Ending) -> None:
    """What arrived is the file that a `Writer` writes as it was at one moment; or nothing did, because it never rests."""
    if ending.verdict is Verdict.COMPLETE:
        seen = stand.bytes_of()
        runs = [seen[at] for at in range(len(seen)) if at == 0 or seen[at] != seen[at - 1]]
        assert len(runs) == 1 or (len(runs) == 2 and (runs[0] - runs[1]) % 251 == 1), runs
    else:
        assert ending.code is FailureCode.SOURCE_CHANGED, stand.told(ending)


@pytest.mark.parametrize(("size", "exports"), [("small", 40), ("middling", 20), ("large", 1)])
def test_an_export_beside_a_writer_is_the_file_at_one_moment(open_case: Opener, size: str, exports: int) -> None:
    """At any moment the file is the beginning of one generation and the rest of the one before."""
    stand, content = opened(open_case, size, "Never")
    stand.write(bytes(len(content)))
    verdicts = set[Verdict]()
    with Writer(stand.gate.target, len(content)) as writer:
        for _ in range(exports):
            ending = stand.carry(stand.what(Direction.EXPORT), LANES[size])
            verdicts.add(ending.verdict)
            check_one_moment(stand, ending)
    assert writer.generations > 0
    if size == "large":
        assert verdicts == {Verdict.FAILED}


def test_a_large_file_that_is_still_written_is_waited_for(open_case: Opener) -> None:
    """Its time stamps cannot be believed before it has rested: an attempt begins with that, and costs nothing else."""
    stand, content = opened(open_case, "large", "Never")
    looks = iter(range(7))  # there are two in each rest

    def write_on() -> None:
        if next(looks, None) is not None:
            rewrite(stand.gate.target)

    stand.gate.hooks.on_stop_reason = write_on
    ending = stand.carry(stand.what(Direction.EXPORT), LANES["large"])
    stand.judge_export(ending, OTHER[: len(content)])
    assert [outcome.verdict for outcome in ending.outcomes] == [Verdict.COMPLETE], stand.told(ending)
