"""Movers that are killed with SIGKILL before every single step they take, and what their successors make of it.

Run as a program (`python -m tests.faults.transfer.victims SCENARIO DIRECTORY`), single-threaded, so that it can fork: each kill
point is a child that dies there, followed by a child that recovers. Prints one JSON line: how many points, and what went wrong.

An import dies before each call that changes the file system. An export dies before each request to the store, and after each
request but before its answer; the store lives in the parent, over a socket.
"""

from __future__ import annotations

import errno
import json
import os
import random
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from penstock.model import ConflictPolicy, Direction
from penstock.stores.base import Abilities, Versioning
from penstock.transfer import crc64, posix
from penstock.transfer.transfer import Intent, Lane, Outcome, Verdict
from tests.faults.transfer.farshore import KEY, RemoteStore, Shore
from tests.faults.transfer.killer import Killer, in_child
from tests.fixtures.gate import KIB, LIMITS, Gate, open_gate, transfer
from tests.fixtures.memorystore import Fault, Meanwhile, MemoryStore

MODIFIED_NS = 1_600_000_000_000_000_000

OLD = b"what was there before"

THEIRS = b"what somebody else wrote"

NEVER = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is moved, and how a successor recovers."""

    direction: Direction
    content: bytes
    policy: ConflictPolicy
    recovery: Intent
    existing: bytes | None = None
    appears: bool = False  # somebody else makes the target right before it would be published
    renames: bool = True  # False: NFS, where names are taken without replacing by link and unlink
    versioning: Versioning = Versioning.NEVER

    @property
    def is_large(self) -> bool:
        return len(self.content) > LIMITS.small_file_max_bytes

    @property
    def lane(self) -> Lane:
        return Lane.LARGE if self.is_large else Lane.SMALL


LARGE = random.Random(3).randbytes(2 * 64 * KIB + 77)

SMALL = LARGE[:5000]

IMPORT, EXPORT = Direction.IMPORT, Direction.EXPORT

OVERWRITE, SKIP = ConflictPolicy.OVERWRITE_EXISTING, ConflictPolicy.SKIP_THE_FILE

SCENARIOS = {
    "import-large-overwrite": Scenario(
        direction=IMPORT, content=LARGE, policy=OVERWRITE, recovery=Intent.MOVE, existing=OLD
    ),
    "import-large-skip": Scenario(direction=IMPORT, content=LARGE, policy=SKIP, recovery=Intent.MOVE),
    "import-large-withdraw": Scenario(
        direction=IMPORT, content=LARGE, policy=OVERWRITE, recovery=Intent.WITHDRAW, existing=OLD
    ),
    "import-large-kept": Scenario(direction=IMPORT, content=LARGE, policy=SKIP, recovery=Intent.MOVE, appears=True),
    "import-large-nfs": Scenario(direction=IMPORT, content=LARGE, policy=SKIP, recovery=Intent.MOVE, renames=False),
    "import-large-nfs-withdraw": Scenario(
        direction=IMPORT, content=LARGE, policy=SKIP, recovery=Intent.WITHDRAW, renames=False
    ),
    "import-small-overwrite": Scenario(
        direction=IMPORT, content=SMALL, policy=OVERWRITE, recovery=Intent.MOVE, existing=OLD
    ),
    "import-small-skip": Scenario(direction=IMPORT, content=SMALL, policy=SKIP, recovery=Intent.MOVE),
    "import-small-withdraw": Scenario(direction=IMPORT, content=SMALL, policy=OVERWRITE, recovery=Intent.WITHDRAW),
    "export-large-overwrite": Scenario(
        direction=EXPORT, content=LARGE, policy=OVERWRITE, recovery=Intent.MOVE, existing=OLD
    ),
    "export-large-skip": Scenario(direction=EXPORT, content=LARGE, policy=SKIP, recovery=Intent.MOVE),
    "export-large-versioned": Scenario(
        direction=EXPORT, content=LARGE, policy=SKIP, recovery=Intent.MOVE, versioning=Versioning.ENABLED
    ),
    "export-large-withdraw": Scenario(
        direction=EXPORT, content=LARGE, policy=OVERWRITE, recovery=Intent.WITHDRAW, existing=OLD
    ),
    "export-small-skip": Scenario(direction=EXPORT, content=SMALL, policy=SKIP, recovery=Intent.MOVE),
    "export-small-withdraw": Scenario(direction=EXPORT, content=SMALL, policy=OVERWRITE, recovery=Intent.WITHDRAW),
}

CHANGING = (
    "open",
    "mkdir",
    "pwrite",
    "write",
    "fsync",
    "fdatasync",
    "fchmod",
    "utime",
    "rename",
    "link",
    "unlink",
    "close",
)


def a_gate(path: Path) -> Gate:
    """A gate over `path`, which may exist already."""
    gate = open_gate(path, workers=1)
    gate.limits = replace(LIMITS, buffer_bytes=64 * KIB, part_tries=1)
    return gate


# ----------------------------------------------------------------------------------------------------------------- imports


def run_import(scenario: Scenario, path: Path) -> Iterator[str]:
    lived, total = in_child(lambda: import_once(scenario, path / "whole", NEVER)[1])
    assert lived
    yield str(total)
    for nth in range(1, total + 1):
        place = path / f"{nth}"
        lived, _ = in_child(lambda place=place, nth=nth: import_once(scenario, place, nth))  # type: ignore[misc]
        if lived:
            yield f"{nth}: it was not killed"
            continue
        target = place / "base/data.bin"
        before = target.read_bytes() if target.exists() else None
        if before not in {scenario.existing, scenario.content, THEIRS if scenario.appears else scenario.existing}:
            yield f"{nth}: a torn target"
        lived, outcome = in_child(lambda place=place: recover_import(scenario, place))  # type: ignore[misc]
        if not lived:
            yield f"{nth}: the recovery died"
            continue
        yield from judge_import(scenario, place, nth, before == scenario.content, outcome)


def import_once(scenario: Scenario, path: Path, nth: int) -> tuple[Outcome, int]:
    gate = a_gate(path)
    if scenario.existing is not None:
        gate.target.write_bytes(scenario.existing)
    store = a_bucket(scenario)
    if scenario.appears:
        store.script(Fault("head", nth=2, action=Meanwhile(lambda: gate.target.write_bytes(THEIRS))))
    if not scenario.renames:
        setattr(posix, "rename_without_replacing", not_offered)  # noqa: B010
    killer = Killer(nth)
    for name in CHANGING:
        killer.guard(os, name)
    killer.guard(posix, "rename_without_replacing")
    killer.guard(posix, "reserve")
    outcome = gate.move(transfer(conflict_policy=scenario.policy), store, lane=scenario.lane)
    assert outcome.verdict is (Verdict.SKIPPED if scenario.appears else Verdict.COMPLETE), outcome
    return outcome, killer.count


def not_offered(*args: object) -> None:
    """What NFS answers to renameat2."""
    raise OSError(errno.EINVAL, "not offered")


def recover_import(scenario: Scenario, path: Path) -> Outcome:
    if not scenario.renames:
        setattr(posix, "rename_without_replacing", not_offered)  # noqa: B010
    gate = a_gate(path)
    what = transfer(conflict_policy=scenario.policy, attempt=2, intent=scenario.recovery)
    outcome = gate.move(what, a_bucket(scenario), lane=scenario.lane)
    tidied = gate.move(msgspec.structs.replace(what, intent=Intent.TIDY), a_bucket(scenario))
    assert tidied.verdict is Verdict.TIDIED
    return outcome


def a_bucket(scenario: Scenario) -> MemoryStore:
    store = MemoryStore(chunk_bytes=64 * KIB)
    store.seed(KEY, scenario.content, modified_ns=MODIFIED_NS)
    return store


def judge_import(scenario: Scenario, place: Path, nth: int, was_published: bool, outcome: Outcome) -> Iterator[str]:
    target = place / "base/data.bin"
    after = target.read_bytes() if target.exists() else None
    helpers = [path.name for path in place.rglob(".penstock-*")]
    if helpers:
        yield f"{nth}: left behind {helpers}"
    if after == THEIRS:
        if outcome.verdict is not Verdict.SKIPPED:
            yield f"{nth}: {outcome.verdict} although somebody else's file was kept"
        return
    expected = {Verdict.COMPLETE}
    if scenario.recovery is Intent.WITHDRAW:
        expected = {Verdict.COMPLETE if was_published and scenario.is_large else Verdict.CANCELED}
    elif scenario.policy is SKIP and was_published and not scenario.is_large:
        expected = {Verdict.SKIPPED}  # at least once: a small file has no journal
    if outcome.verdict not in expected:
        yield f"{nth}: {outcome.verdict} ({outcome.code}: {outcome.message}), published before: {was_published}"
    wanted = scenario.content if outcome.verdict is not Verdict.CANCELED or was_published else scenario.existing
    if after != wanted:
        yield f"{nth}: another content after {outcome.verdict}"


def export_once(scenario: Scenario, path: Path, shore: Shore, nth: int, **changes: Any) -> tuple[bool, Any]:
    """One mover in a child, the shore in this process."""
    ours, theirs = socket.socketpair()

    def work() -> tuple[Outcome, int]:
        ours.close()
        gate = a_gate(path)
        killer = Killer(nth)
        store = RemoteStore(theirs, shore.store.abilities, killer)
        gate.hooks.on_checkpoint = lambda record: store.ask("checkpoint", record)
        what = transfer(EXPORT, conflict_policy=scenario.policy, checkpoint=shore.record, **changes)
        return gate.move(what, store, lane=scenario.lane), killer.count

    def meanwhile() -> None:
        theirs.close()
        shore.serve(ours)
        ours.close()

    return in_child(work, meanwhile)


def a_shore(scenario: Scenario) -> tuple[Shore, str]:
    """A bucket with what was there before, and a foreign upload on the same key."""
    able = scenario.versioning is Versioning.NEVER
    store = MemoryStore(
        abilities=Abilities(crc64=True, create_only_put=able, create_only_complete=able, versioning=scenario.versioning)
    )
    if scenario.existing is not None:
        store.seed(KEY, scenario.existing)
    return Shore(store), store.initiate(KEY, metadata={})


def run_export(scenario: Scenario, path: Path) -> Iterator[str]:
    gate = a_gate(path / "source")
    gate.target.write_bytes(scenario.content)
    os.utime(gate.target, ns=(MODIFIED_NS, MODIFIED_NS))
    gate.close()
    lived, told = export_once(scenario, gate.path, a_shore(scenario)[0], NEVER)
    assert lived, "the whole run failed"
    assert told[0].verdict is Verdict.COMPLETE, told
    total = told[1]
    yield str(total)
    for nth in range(1, total + 1):
        shore, foreign = a_shore(scenario)
        lived, _ = export_once(scenario, gate.path, shore, nth)
        if lived:
            yield f"{nth}: it was not killed"
            continue
        before = shore.content()
        if before not in {scenario.existing, scenario.content}:
            yield f"{nth}: a torn object"
        lived, told = export_once(scenario, gate.path, shore, NEVER, attempt=2, intent=scenario.recovery)
        if not lived:
            yield f"{nth}: the recovery died"
            continue
        yield from judge_export(scenario, shore, nth, before == scenario.content, told[0])
        left = [upload.upload_id for upload in shore.store.unfinished()]
        if left != [foreign]:
            yield f"{nth}: unfinished uploads {left}, only {foreign} is somebody else's"


def judge_export(scenario: Scenario, shore: Shore, nth: int, was_published: bool, outcome: Outcome) -> Iterator[str]:
    expected = Verdict.COMPLETE if scenario.recovery is Intent.MOVE or was_published else Verdict.CANCELED
    if outcome.verdict is not expected:
        yield f"{nth}: {outcome.verdict} ({outcome.code}: {outcome.message}), published before: {was_published}"
    after = shore.content()
    if after != (scenario.content if outcome.verdict is Verdict.COMPLETE else scenario.existing):
        yield f"{nth}: another object after {outcome.verdict}"
    detail = outcome.detail
    if outcome.verdict is Verdict.COMPLETE and (
        detail is None or detail.checksum != f"crc64:{crc64.update(scenario.content)}"
    ):
        yield f"{nth}: the outcome tells {detail}"


def main(name: str, directory: str) -> None:
    """Run one scenario."""
    scenario = SCENARIOS[name]
    run = run_import if scenario.direction is IMPORT else run_export
    total, *wrong = run(scenario, Path(directory))
    print(json.dumps({"points": int(total), "wrong": wrong}))


if __name__ == "__main__":
    main(*sys.argv[1:])
