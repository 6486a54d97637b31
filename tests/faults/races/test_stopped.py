"""Does a process that was stopped, and goes on late, ever touch what others have done meanwhile?

A mover that stands still is ended before its file is handed on, and a new service waits until no mover of the last one lives:
whoever is late is dead by then. Nobody has to be told that its lease is lost.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import alibabacloud_oss_v2 as oss
import pytest
from fastcrc import crc64

from penstock.failpoints import Point
from penstock.model import ConflictPolicy
from tests.e2e.cli.processes import descendants, state_of
from tests.faults.matrix.file import HELPERS
from tests.faults.matrix.smallservice import LARGE_BYTES, SMALL_BYTES
from tests.faults.matrix.world import BUCKET, PATIENCE_S, World
from tests.faults.matrix.worlds import Worlds
from tests.faults.races.conftest import RACES
from tests.fixtures.service import try_cli
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.xdist_group("races-world")
_numbers = itertools.count(1)
THEIRS = b"what somebody else wrote meanwhile"
FINAL = frozenset({"COMPLETE", "FAILED", "CANCELED", "EXPIRED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Which file is on its way, and where its mover stands still."""

    action: str
    size_bytes: int
    point: Point
    passing: int = 1
    policy: ConflictPolicy = ConflictPolicy.OVERWRITE_EXISTING

    @property
    def is_import(self) -> bool:
        return self.action == "StreamImport"

    def __str__(self) -> str:
        size = "small" if self.size_bytes == SMALL_BYTES else "large"
        return f"{self.action} {size} at {self.point} {self.policy}"


IMPORT, EXPORT, SKIP = "StreamImport", "StreamExport", ConflictPolicy.SKIP_THE_FILE
FEW = (
    Way(action=IMPORT, size_bytes=LARGE_BYTES, point="rename"),
    Way(action=EXPORT, size_bytes=LARGE_BYTES, point="upload.complete"),
)
MANY = (
    *FEW,
    *(Way(action=IMPORT, size_bytes=SMALL_BYTES, point=point)
      for point in ("request.sent", "partial.create", "partial.created", "partial.written", "rename", "renamed", "outcome.tell")),
    *(Way(action=IMPORT, size_bytes=LARGE_BYTES, point=point)
      for point in ("partial.created", "journal.created", "partial.written", "promise", "promised", "renamed", "outcome.tell")),
    *(Way(action=EXPORT, size_bytes=SMALL_BYTES, point=point) for point in ("request.send", "request.sent", "outcome.tell")),
    *(Way(action=EXPORT, size_bytes=LARGE_BYTES, point=point)
      for point in ("upload.intended", "upload.initiated", "upload.named", "part.send", "part.sent", "upload.completed")),
    Way(action=IMPORT, size_bytes=SMALL_BYTES, point="rename", policy=SKIP),
    Way(action=IMPORT, size_bytes=LARGE_BYTES, point="rename", policy=SKIP),
    Way(action=EXPORT, size_bytes=SMALL_BYTES, point="request.sent", passing=2, policy=SKIP),
)  # fmt: skip


class File:
    """One file on its way in a world, and what others do to its target."""

    def __init__(self, world: World, way: Way, name: str) -> None:
        self._world = world
        self.way = way
        self.name = name
        self.target = f"/{name}/target"
        self.path = world.root / name / "target"
        self.key = f"{way.action}/{name}/target"
        self.flow = world.flow(way.action, way.policy)

    def submit(self, source: str) -> tuple[str, bytes]:
        """A sub-task from another source to the one target; its id and what it brings."""
        body = random.Random(source).randbytes(self.way.size_bytes)
        if self.way.is_import:
            self._put(f"{self.way.action}/{self.name}/{source}", body)
        else:
            self.path.parent.mkdir(exist_ok=True)
            (self.path.parent / source).write_bytes(body)
        answer = self._world.ask(
            "CreateDataFlowSubTask", **self.flow, SrcFilePath=f"/{self.name}/{source}", DstFilePath=self.target
        )
        return str(answer["DataFlowSubTaskId"]), body

    def overwrite(self) -> None:
        """Somebody else writes the target."""
        if self.way.is_import:
            self.path.parent.mkdir(exist_ok=True)
            (self.path.parent / "theirs").write_bytes(THEIRS)
            (self.path.parent / "theirs").rename(self.path)
        else:
            self._put(self.key, THEIRS)

    def _put(self, key: str, body: bytes) -> None:
        self._world.bucket.put_object(oss.PutObjectRequest(bucket=BUCKET, key=key, body=body))

    def status(self, sub_task: str) -> str:
        wanted = [{"Key": "DataFlowSubTaskIds", "Value": sub_task}]
        answer = self._world.ask("DescribeDataFlowSubTasks", Filters=wanted)
        (item,) = answer["DataFlowSubTask"]["DataFlowSubTask"]
        assert item["ErrorMsg"] == "" or item["Status"] not in FINAL, item
        return str(item["Status"])

    def final(self, sub_task: str) -> str:
        """Its final status."""
        return wait_until(
            lambda: found if (found := self.status(sub_task)) in FINAL else "", PATIENCE_S, "the file did not end"
        )

    def check(self, *newest_first: bytes) -> None:
        """The target holds these (a file only the first), and nothing is left behind."""
        wait_until(lambda: not self.left(), PATIENCE_S, "helper files or uploads did not go")
        if self.way.is_import:
            assert self.path.read_bytes() == newest_first[0]
        else:
            assert self._world.versions(self.key) == [crc64.xz(body) for body in newest_first]

    def left(self) -> list[str]:
        """Helper files and unfinished uploads of anybody."""
        return [str(path) for path in self._world.root.rglob(HELPERS)] + self._world.uploads()


def stopped_child(world: World) -> int:
    """The mover that stands still, once one does."""
    return wait_until(
        lambda: next((pid for pid in descendants(world.service.pid) if state_of(pid) == "T"), 0),
        PATIENCE_S,
        "no mover came to its trap",
    )


@pytest.mark.parametrize("way", MANY if RACES else FEW, ids=str)
def test_a_stopped_mover_is_dead_before_its_file_is_handed_on(worlds: Worlds, way: Way) -> None:
    with worlds.use() as world:
        file = File(world, way, f"handed-{next(_numbers)}")
        world.traps.lay_stop(way.point, way.passing)
        first, body = file.submit("first")
        late = stopped_child(world)
        second, newer = file.submit("second")
        attempts, until_s = world.attempts_of(first), time.monotonic() + PATIENCE_S
        while True:  # as often as can be: between two looks it could be handed on
            assert time.monotonic() < until_s, "the one that stands still lives for ever"
            seen = world.attempts_of(first), file.status(second)
            if state_of(late) in "XZ":
                break
            assert seen == (attempts, "CREATED"), "handed on while the one that was late lives"
        wait_until(
            lambda: world.attempts_of(first) > attempts or file.status(first) in FINAL, PATIENCE_S, "nobody goes on"
        )
        with suppress(ProcessLookupError):
            os.kill(late, signal.SIGCONT)
        assert (file.final(first), file.final(second)) == ("COMPLETE", "COMPLETE")
        if way.policy is SKIP:
            file.check(body)
        else:
            file.check(newer, body)
        file.overwrite()
        file.check(THEIRS, *([body] if way.policy is SKIP else [newer, body]))
        world.traps.clear()


@pytest.mark.parametrize("policy", [ConflictPolicy.OVERWRITE_EXISTING, SKIP])
def test_a_new_service_hands_nothing_on_before_a_stopped_mover_of_the_last_one_is_gone(
    worlds: Worlds, policy: ConflictPolicy
) -> None:
    with worlds.use() as world:
        file = File(world, Way(action=IMPORT, size_bytes=SMALL_BYTES, point="rename", policy=policy), f"after-{policy}")
        world.traps.lay_stop("rename")
        sub_task, body = file.submit("first")
        late = stopped_child(world)
        world.service.kill()
        file.overwrite()
        starting = threading.Thread(target=world.revive)
        starting.start()
        wait_until(lambda: _waits_for_lock(world.home / "movers.lock", late), PATIENCE_S, "nobody waits")
        assert world.attempts_of(sub_task) == 1
        assert file.path.read_bytes() == THEIRS
        os.kill(late, signal.SIGCONT)
        starting.join(PATIENCE_S)
        assert file.final(sub_task) == "COMPLETE"
        file.check(body if policy is not SKIP else THEIRS)
        world.traps.clear()


def _waits_for_lock(lock: Path, late: int) -> bool:
    """Whether another process than `late` has the lock open."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != late:
            with suppress(OSError):
                if any(os.readlink(f"/proc/{name}/fd/{each}") == str(lock) for each in os.listdir(f"/proc/{name}/fd")):
                    return True
    return False


@pytest.mark.parametrize("size_bytes", [SMALL_BYTES, LARGE_BYTES] if RACES else [LARGE_BYTES])
def test_a_stopped_service_finds_what_its_mover_did_and_nobody_has_taken_it(worlds: Worlds, size_bytes: int) -> None:
    """Its leases end meanwhile by the clock, and no other service can come up."""
    with worlds.use() as world:
        file = File(world, Way(action=IMPORT, size_bytes=size_bytes, point="rename"), f"alone-{size_bytes}")
        world.proxy.hold(down_bytes=size_bytes // 2, trickle=True)
        try:
            sub_task, body = file.submit("first")
            if size_bytes == LARGE_BYTES:
                wait_until(lambda: len(file.left()) == 2, PATIENCE_S, "nothing was begun")
            world.proxy.wait_held()
            os.kill(world.service.pid, signal.SIGSTOP)
            attempts = world.attempts_of(sub_task)
            world.proxy.release()
            wait_until(file.path.exists, PATIENCE_S, "the mover does not go on")
            refused = try_cli("serve", str(world.home), "--port", "0", "--emulator-port", "0")
            assert (refused.returncode, refused.stdout) == (3, "")
            assert f"process {world.service.pid}" in refused.stderr
            wait_until(world.leases_are_over, PATIENCE_S, "the lease does not end")
        finally:
            world.proxy.release()
            os.kill(world.service.pid, signal.SIGCONT)
        assert file.final(sub_task) == "COMPLETE"
        file.check(body)
        tidied = int(size_bytes == LARGE_BYTES)
        assert world.attempts_of(sub_task) == attempts + tidied, "it was moved twice"
