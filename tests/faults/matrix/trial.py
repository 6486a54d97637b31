"""One trial: a file is submitted, somebody is killed on its way, the service goes on, and everything is looked at."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import alibabacloud_oss_v2 as oss
from fastcrc import crc64

from penstock.errors import ApiRefusedError
from penstock.failpoints import PASSES_MAX, POINTS, Point
from penstock.model import ConflictPolicy
from tests.faults.matrix.cases import BY_THE_CLOCK, UNCLAIMED, Case, Death, Way
from tests.faults.matrix.smallservice import (
    LARGE_BYTES,
    MIDDLING_BYTES,
    PART_BYTES,
    PARTS_IN_FLIGHT,
    SMALL_BYTES,
)
from tests.faults.matrix.world import BUCKET, PATIENCE_S, World
from tests.fixtures.waiting import wait_until

FINAL = frozenset({"COMPLETE", "FAILED", "CANCELED", "EXPIRED"})
HELD_AT_BYTES = 2 * PART_BYTES
HELPERS = ".penstock-????????????????.*"  # the mark of the root has another name
PASSED_WITHIN_S = 10.0  # after the file has ended: journals are removed, and the runner looks for more work
_numbers = itertools.count(1)


class NotPassedError(AssertionError):
    """Nobody was killed: the point was passed less often. Or somebody was, but for something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How it ended: the sub-task's last status, and how many bytes moved more than once."""

    status: str
    again_bytes: int


def tried(world: World, case: Case) -> Verdict | None:
    """How it ended; of an earlier passing of its point, which was passed less often this time; None when that fails as well."""
    for passing in (case.passing, max(1, case.passing - 1), 1):
        try:
            return Trial(world, case.way).run(replace(case, passing=passing))
        except NotPassedError:
            world.forget()
    return None


class Trial:
    """One file on its way. `run` says how it ended and raises AssertionError for what must not be."""

    def __init__(self, world: World, way: Way, policy: ConflictPolicy = ConflictPolicy.OVERWRITE_EXISTING) -> None:
        self._world = world
        self._way = way
        self._name = f"f{next(_numbers)}"
        self._body = random.Random(self._name).randbytes(_size_of(way))
        action = "StreamImport" if way.is_import else "StreamExport"
        self._flow = world.flow(action, policy)
        self._key = f"{action}/{self._name}/deep/file"
        self._path = world.root / self._name / "deep" / "file"
        self._sub_task = ""
        self._beside = Trial(world, Way.IMPORT_SMALL, policy) if way.is_beside else None

    def run(self, case: Case) -> Verdict:
        """Be killed there."""
        if self._way.is_beside and case.point in UNCLAIMED and case.passing == 1:
            self._world.meanwhile = self._check_unclaimed
        return self._judged(self._killed(case), deaths=1)

    def run_twice(self, case: Case, again: Case) -> Verdict:
        """Be killed there, together with the service, and once more by another trap when it goes on."""
        assert again.death is not Death.BOTH, "the next service's process id is not known beforehand"
        self._world.meanwhile = lambda: self._world.traps.lay(again.point, again.passing)
        status = self._killed(case)
        self._wait_sprung(again)
        return self._judged(status, deaths=2)

    def run_overtaken(self, case: Case, theirs: bytes) -> None:
        """Be killed there, together with the service, right after publishing; before it goes on somebody else has replaced it."""
        self._world.meanwhile = lambda: self._replace(theirs)
        status = self._killed(case)
        self._wait(lambda: not self._left_behind(), "helper files or uploads did not go")
        assert status == "COMPLETE"
        if self._way.is_import:
            assert self._path.read_bytes() == theirs
        else:
            assert self._world.versions(self._key) == [crc64.xz(theirs), crc64.xz(self._body)]
        self._world.traps.clear()

    def _killed(self, case: Case) -> str:
        """Submit it with one trap laid; its final status."""
        together_with = self._world.service.pid if case.death is Death.BOTH else None
        status = self._went(lambda: self._world.traps.lay(case.point, case.passing, together_with=together_with))
        self._wait_sprung(case)
        return status

    def _wait_sprung(self, case: Case) -> None:
        try:
            self._wait(lambda: self._world.traps.is_sprung(case.point), "", patience_s=PASSED_WITHIN_S)
        except TimeoutError:
            raise NotPassedError(f"{case}: that point is not passed so often") from None

    def _check_unclaimed(self) -> None:
        """Nobody is up: the catalog has it, and it is nobody's."""
        found = self._world.status_in_catalog(f"/{self._name}/deep/file")
        if found != "CREATED":
            raise NotPassedError(f"the service died for another reason: the sub-task is {found or 'not there'}")

    def _replace(self, theirs: bytes) -> None:
        if self._way.is_import:
            self._path.unlink()
            self._path.write_bytes(theirs)
        else:
            self._world.bucket.put_object(oss.PutObjectRequest(bucket=BUCKET, key=self._key, body=theirs))

    def passings(self) -> Mapping[Point, int]:
        """Live on, and count how often each point is passed; those that are passed by the clock count as one."""
        traps, counted = self._world.traps, [point for point in POINTS if point not in BY_THE_CLOCK]
        status = self._went(lambda: traps.lay_all(counted, PASSES_MAX))
        self._wait(lambda: not self._left_behind(), "helper files or uploads did not go")
        counts = {point: PASSES_MAX - traps.left(point) for point in counted}
        self._judged(status, deaths=0)
        return dict.fromkeys(BY_THE_CLOCK, 1) | {point: count for point, count in counts.items() if count}

    # ---------------------------------------------------------------------------------------------------------- going on

    def _went(self, lay: Callable[[], None]) -> str:
        """Submit it with traps laid; its final status."""
        self._make_source()
        if self._beside:
            return self._went_beside(self._beside, lay)
        if not self._way.is_canceled:
            lay()
            self._submit()
            return self._final()
        self._world.proxy.hold(**{"down_bytes" if self._way.is_import else "up_bytes": HELD_AT_BYTES}, trickle=True)
        try:
            self._submit()
            begun = 2 if self._way.is_import else 1  # partial file and journal, or an upload
            self._wait(lambda: len(self._left_behind()) == begun, "nothing was begun")
            self._world.proxy.wait_held()
            lay()
            self._cancel()
            wait_until(lambda: self._world.revive() or self._has_settled(), PATIENCE_S, "nobody noticed the cancel")
        finally:
            self._world.proxy.release()
        return self._final()

    def _went_beside(self, other: Trial, lay: Callable[[], None]) -> str:
        """The other one's answer is held back until a mover has this one as well."""
        other._make_source()
        self._world.traps.lay("claim", PASSES_MAX)
        self._world.proxy.hold(down_bytes=0)
        try:
            other._submit()
            self._world.proxy.wait_held()
            self._wait(lambda: self._world.traps.left("claim") < PASSES_MAX, "the runner did not look for more")
            self._world.traps.clear()  # from here on it looks when something comes, or seconds later
            lay()
            self._submit()
            self._wait(lambda: self._described()["Status"] != "CREATED", "it was not claimed")
        finally:
            self._world.proxy.release()
        return self._final()

    def _make_source(self) -> None:
        if self._way.is_import:
            self._world.bucket.put_object(oss.PutObjectRequest(bucket=BUCKET, key=self._key, body=self._body))
        else:
            self._path.parent.mkdir(parents=True)
            self._path.write_bytes(self._body)

    def _submit(self) -> None:
        file = f"/{self._name}/deep/file"
        answer = self._world.ask(
            "CreateDataFlowSubTask", **self._flow, SrcFilePath=file, DstFilePath=file, ClientToken=self._name
        )
        self._sub_task = answer["DataFlowSubTaskId"]

    def _cancel(self) -> None:
        try:
            self._world.ask("CancelDataFlowSubTask", **self._flow, DataFlowSubTaskId=self._sub_task)
        except ApiRefusedError as error:  # asked a second time, because the service died of the first
            if error.code != "OperationDenied.InvalidState":
                raise

    def _described(self) -> Mapping[str, Any]:
        wanted = [{"Key": "DataFlowSubTaskIds", "Value": self._sub_task}]
        answer = self._world.ask("DescribeDataFlowSubTasks", Filters=wanted)
        (item,) = answer["DataFlowSubTask"]["DataFlowSubTask"]
        return dict(item)

    def _has_settled(self) -> bool:
        return self._described()["Status"] in FINAL

    def _final(self) -> str:
        self._wait(self._has_settled, "the file did not end")
        return str(self._described()["Status"])

    def _wait(self, look: Callable[[], bool], otherwise: str, *, patience_s: float = PATIENCE_S) -> None:
        """Look again and again, and start the service again whenever it is killed."""
        wait_until(lambda: not self._world.revive() and look(), patience_s, otherwise)

    # ------------------------------------------------------------------------------------------------------------ judging

    def _judged(self, status: str, *, deaths: int) -> Verdict:
        """Look at the tree, the bucket, the API's answers, and what was sent."""
        self._wait(lambda: not self._left_behind(), "helper files or uploads did not go")
        item = self._described()
        assert item["Status"] == status, "a final status changed"
        assert item["ErrorMsg"] == "", item
        assert status in ({"CANCELED", "COMPLETE"} if self._way.is_canceled else {"COMPLETE"}), item
        if status == "COMPLETE":
            self._check_complete(item)
        else:
            self._check_absent()
        again_bytes = self._moved_bytes() - len(self._body)
        if not self._way.is_canceled:
            bound = len(self._body) if self._way.is_whole else PARTS_IN_FLIGHT * PART_BYTES
            assert 0 <= again_bytes <= deaths * bound, f"{again_bytes} bytes were sent again, of {len(self._body)}"
        if self._beside:
            self._beside._judged(self._beside._final(), deaths=deaths)
        self._world.traps.clear()
        return Verdict(status=status, again_bytes=max(0, again_bytes))

    def _left_behind(self) -> list[str]:
        partial = [str(path) for path in self._world.root.rglob(HELPERS)]
        return partial + self._world.uploads()

    def _check_complete(self, item: Mapping[str, Any]) -> None:
        assert item["FileDetail"]["Checksum"] == f"crc64:{crc64.xz(self._body)}", item
        assert item["FileDetail"]["Size"] == len(self._body), item
        stats = item["ProgressStats"]
        assert stats["BytesDone"] == stats["BytesTotal"] == len(self._body), item
        assert item["Progress"] == 10000, item
        assert self._path.read_bytes() == self._body
        assert self._world.versions(self._key) == [crc64.xz(self._body)]

    def _check_absent(self) -> None:
        if self._way.is_import:
            assert not self._path.exists()
        else:
            assert self._world.versions(self._key) == []

    def _moved_bytes(self) -> int:
        """Bytes of this very file that went over the network, in parts where it is large."""
        mine = [one for one in self._world.requests() if one.path.endswith(f"/{self._key}") and one.method != "POST"]
        mine = [one for one in mine if self._way.is_whole or one.part]
        return sum(one.sent_bytes if self._way.is_import else one.received_bytes for one in mine)


def _size_of(way: Way) -> int:
    if way.is_middling:
        return MIDDLING_BYTES
    return SMALL_BYTES if way.is_whole else LARGE_BYTES
