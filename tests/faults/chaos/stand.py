"""A gate before a chaos proxy before a real emulator: one file moved as the engine would, and a judge of what is left.

`carry` makes attempt after attempt until the file has ended, and withdraws what was given up. The judge looks past the proxy: at
the bucket's versions and uploads, and at the tree.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import fastcrc
import msgspec

from penstock.errors import FailureCode
from penstock.model import AddressingStyle, Bucket, BucketKind, ConflictPolicy, Direction
from penstock.stores.base import Overwrite, Store, Version
from penstock.stores.opening import Timeouts, open_store
from penstock.transfer.parts import PartPool
from penstock.transfer.transfer import Checkpoint, Intent, Lane, Outcome, Transfer, TransferLimits, Verdict
from tests.fixtures.chaosproxy import ChaosProxy
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.gate import KIB, Gate, open_gate, transfer
from tests.fixtures.objects import read_object
from tests.fixtures.stopwatch import Stopwatch

LIMITS = TransferLimits(
    small_file_max_bytes=160 * KIB,
    grain_bytes=16 * KIB,
    direct_min_bytes=100 * KIB,
    part_size_bytes=100 * KIB,  # the least that OSS takes
    parts_in_flight=3,
    buffer_bytes=32 * KIB,
    part_tries=3,
    part_try_wait_s=0.0,
)
LARGE = random.Random(41).randbytes(2 * 100 * KIB + 12_345)  # three parts
MIDDLING = LARGE[: 150 * KIB + 77]
SMALL = LARGE[: 20 * KIB]
OTHER = random.Random(42).randbytes(len(LARGE))
CONTENTS = {"small": SMALL, "middling": MIDDLING, "large": LARGE}
LANES = {"small": Lane.SMALL, "middling": Lane.SMALL, "large": Lane.LARGE}
MODIFY_NS = 1_600_000_000_123_456_789
ATTEMPTS = 3
FAREWELLS = 3
BOUND_S = 20.0  # a case takes milliseconds; this is the bound that no case may pass, whatever the machine does
NO_TIMES: Mapping[bytes, int] = MappingProxyType({})
SUB_TASK_NAME = "penstock-sub-task"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a file ended after all its attempts. `verdict` is COMPLETE, SKIPPED or FAILED, as the API would say."""

    verdict: Verdict
    code: FailureCode | None
    message: str
    outcomes: tuple[Outcome, ...]
    left_behind: str = ""  # why what was begun could not be removed; FAILED names it then


@dataclass(slots=True, kw_only=True)
class Stand:
    """One bucket, one gate, two ways to the bucket: `store` through the proxy, `truth` past it."""

    gate: Gate
    proxy: ChaosProxy
    store: Store
    truth: Store
    key: str
    foreign: tuple[str, ...] = ()  # ids of uploads of somebody else

    def what(self, direction: Direction, policy: ConflictPolicy = ConflictPolicy.OVERWRITE_EXISTING) -> Transfer:
        """The transfer of this case."""
        return transfer(direction, key=self.key, conflict_policy=policy, bucket=self.store.bucket)

    def seed(self, content: bytes, *, sub_task: str = "") -> str:
        """Somebody's object under the key; its version id."""
        metadata = {"penstock-mtime-ns": str(MODIFY_NS), **({SUB_TASK_NAME: sub_task} if sub_task else {})}
        crc = int(fastcrc.crc64.xz(content))
        return self.truth.put(self.key, [content], crc64=crc, metadata=metadata, precondition=Overwrite()).version_id

    def write(self, content: bytes) -> None:
        """The file that is exported, long quiet."""
        self.gate.target.write_bytes(content)
        os.utime(self.gate.target, ns=(MODIFY_NS, MODIFY_NS))

    # -------------------------------------------------------------------------------------------------------- moving

    def carry(self, what: Transfer, lane: Lane) -> Ending:
        """Attempt after attempt, as the engine makes them, then a withdrawal of what was given up."""
        watch = Stopwatch()
        outcomes: list[Outcome] = []
        checkpoint: Checkpoint | None = None
        for attempt in range(1, ATTEMPTS + 1):
            outcome = self._attempt(what, attempt, checkpoint, lane)
            outcomes.append(outcome)
            checkpoint = outcome.checkpoint
            if outcome.verdict is not Verdict.RETRY:
                break
        ending = self._ended(what, outcomes)
        assert not watch.is_past(BOUND_S), f"took longer than {BOUND_S} s: {self.proxy.struck}"
        return ending

    def _attempt(self, what: Transfer, attempt: int, checkpoint: Checkpoint | None, lane: Lane) -> Outcome:
        return self.gate.move(
            msgspec.structs.replace(what, attempt=attempt, checkpoint=checkpoint), self.store, lane=lane
        )

    def _ended(self, what: Transfer, outcomes: list[Outcome]) -> Ending:
        last = outcomes[-1]
        if last.verdict is not Verdict.RETRY:
            if last.tidy:
                tidied = self.gate.move(msgspec.structs.replace(what, intent=Intent.TIDY, attempt=9), self.store)
                assert tidied.verdict is Verdict.TIDIED
            return Ending(verdict=last.verdict, code=last.code, message=last.message, outcomes=tuple(outcomes))
        checkpoint, farewell = last.checkpoint, last
        for number in range(FAREWELLS):
            parting = msgspec.structs.replace(
                what, intent=Intent.WITHDRAW, attempt=ATTEMPTS + 1 + number, checkpoint=checkpoint
            )
            farewell = self.gate.move(parting, self.store)
            checkpoint = farewell.checkpoint
            if farewell.verdict is not Verdict.RETRY:
                break
        outcomes.append(farewell)
        if farewell.verdict is Verdict.COMPLETE:
            return Ending(verdict=Verdict.COMPLETE, code=None, message="", outcomes=tuple(outcomes))
        code, message, left = last.code, last.message, ""
        if farewell.verdict is Verdict.FAILED:  # e.g. BadObjectLeft: that is the reason to tell
            code, message = farewell.code, farewell.message
        elif farewell.verdict is Verdict.RETRY:
            left = f"{farewell.code}: {farewell.message}"
        return Ending(verdict=Verdict.FAILED, code=code, message=message, outcomes=tuple(outcomes), left_behind=left)

    # ------------------------------------------------------------------------------------------------------- judging

    def versions(self) -> list[Version]:
        """All versions of the key, newest first, as the store has them."""
        return [version for version in self.truth.list_versions(prefix=self.key) if version.key == self.key]

    def bytes_of(self, version_id: str = "") -> bytes:
        """An object's bytes."""
        return read_object(self.truth, self.key, version_id=version_id)

    def judge_import(
        self, ending: Ending, *contents: bytes, before: bytes | None = None, times: Mapping[bytes, int] = NO_TIMES
    ) -> None:
        """The target has one of `contents` whole, or it is as it was before and the ending says why.

        `times` are modification times, in ns, of contents that have another one than `MODIFY_NS`.
        """
        told = self.told(ending)
        assert self.gate.helpers() == [], told
        if ending.verdict is Verdict.COMPLETE:
            content = self.gate.target.read_bytes()
            assert content in contents, f"torn: {told}"
            self._judge_complete(ending, content, times, told)
            assert os.stat(self.gate.target).st_mtime_ns == times.get(content, MODIFY_NS), told
            return
        self._judge_failed(ending, told)
        there = self.gate.target.read_bytes() if self.gate.target.exists() else None
        assert there == before, told

    def judge_export(
        self, ending: Ending, *contents: bytes, before: bytes | None = None, times: Mapping[bytes, int] = NO_TIMES
    ) -> None:
        """The object has one of `contents` whole, or is as it was before and the ending says why; no upload is left."""
        told = self.told(ending)
        uploads = {upload.upload_id for upload in self.truth.list_uploads(prefix="") if upload.key == self.key}
        assert ending.left_behind or uploads == set(self.foreign), told
        mine = [
            self.bytes_of(version.version_id)
            for version in self.versions()
            if not version.is_delete_marker
            and self.truth.head(self.key, version_id=version.version_id).metadata.get(SUB_TASK_NAME) == "subtask-1"
        ]
        if ending.verdict is Verdict.COMPLETE:
            content = self.bytes_of()
            assert content in contents, f"torn: {told}"
            assert set(mine) == {content}, f"another object of ours was left: {told}"
            self._judge_complete(ending, content, times, told)
            return
        if ending.verdict is Verdict.SKIPPED:
            assert (mine, self.bytes_of()) == ([], before), told
            return
        self._judge_failed(ending, told)
        if ending.code is FailureCode.BAD_OBJECT_LEFT:
            assert self.key in ending.message, told
            return
        if ending.left_behind:  # FAILED says so; then it may be there, but not torn
            assert set(mine) <= set(contents), told
            return
        assert mine == [], f"an object of ours was left that nobody vouched for: {told}"
        assert [self.bytes_of(one.version_id) for one in self.versions()][:1] == ([] if before is None else [before]), (
            told
        )

    def _judge_complete(self, ending: Ending, content: bytes, times: Mapping[bytes, int], told: str) -> None:
        detail = ending.outcomes[-1].detail
        assert detail is not None, told
        assert detail.checksum in {"", f"crc64:{fastcrc.crc64.xz(content)}"}, told
        assert detail.size_bytes == len(content), told
        assert detail.modify_time_ns == times.get(content, MODIFY_NS), told

    def _judge_failed(self, ending: Ending, told: str) -> None:
        assert ending.verdict is Verdict.FAILED, told
        assert ending.code is not None, told
        assert ending.code is not FailureCode.INTERNAL, told
        assert ending.message, told

    def told(self, ending: Ending) -> str:
        """All that an assertion that fails should say: the ending, every outcome on the way there, and the faults that struck."""
        rows = [f"{one.verdict} {one.code} {one.message}" for one in ending.outcomes]
        return "\n".join([f"{ending.verdict} {ending.code} {ending.left_behind}", *rows, *self.proxy.struck])


PATIENT = Timeouts(connect_s=5.0, send_s=5.0, first_byte_s=10.0, read_s=10.0, document_s=10.0, slot_s=10.0)
HASTY = replace(PATIENT, first_byte_s=0.3, read_s=0.3)


@contextmanager
def open_stand(
    path: Path,
    proxy: ChaosProxy,
    emulator: EmulatorServer,
    bucket: str,
    key: str,
    *,
    versioning: str = "Never",
    timeouts: Timeouts = PATIENT,
    workers: int = LIMITS.parts_in_flight,
) -> Iterator[Stand]:
    """A gate over `path` and both ways to the bucket."""
    gate = open_gate(path, workers=workers)
    gate.pool.close()
    gate.pool, gate.limits = PartPool(workers, buffer_bytes=LIMITS.buffer_bytes), LIMITS
    gate.clock = lambda: time.time_ns() + 10 * 10**9  # by which every source has been quiet for a while
    store = open_at(proxy.endpoint, emulator, bucket, versioning, timeouts)
    truth = open_at(emulator.endpoint, emulator, bucket, versioning, PATIENT)
    try:
        yield Stand(gate=gate, proxy=proxy, store=store, truth=truth, key=key)
    finally:
        gate.close()
        store.close()
        truth.close()


def open_at(endpoint: str, emulator: EmulatorServer, bucket: str, versioning: str, timeouts: Timeouts) -> Store:
    """The bucket at that endpoint, as probing would have found it."""
    is_plain = versioning == "Never"
    described = Bucket(
        name=bucket,
        kind=BucketKind.EMBEDDED,
        endpoint=endpoint,
        region=emulator.region,
        addressing_style=AddressingStyle.PATH,
        abilities={
            "create_only_put": is_plain,
            "create_only_complete": is_plain,
            "crc64": True,
            "part_etag_is_md5": True,
            "versioning": versioning,
        },
    )
    return open_store(described, emulator.credentials, timeouts=timeouts)
