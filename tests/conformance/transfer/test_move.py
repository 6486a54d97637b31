"""Do files arrive whole, with their times, under each policy, on every kind of store?"""

from __future__ import annotations

import os
import random
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from penstock.errors import FailureCode
from penstock.model import Condition, ConflictPolicy, Direction, Guarantee, Verify
from penstock.stores.base import Abilities, ObjectStream, Overwrite, Store, Versioning
from penstock.transfer import crc64
from penstock.transfer.transfer import Intent, Lane, Outcome, StopReason, Transfer, Verdict
from penstock.transfer.verification import GAVE_WAY
from tests.conformance.stores.shores import Shore
from tests.fixtures.gate import Gate, RecordingHooks, transfer
from tests.fixtures.objects import read_object

S = 1_000_000_000
NOW_NS = 1_700_000_000 * S
SKIP, LATEST, OVERWRITE = ConflictPolicy.SKIP_THE_FILE, ConflictPolicy.KEEP_LATEST, ConflictPolicy.OVERWRITE_EXISTING
BYTES = random.Random(11).randbytes(13 << 20)
DEADLINE_S = 60.0


def content_of(gate: Gate, size: str) -> bytes:
    """Bytes of a small file, or of one with three parts on this store."""
    return BYTES[:3000] if size == "small" else BYTES[: 2 * gate.limits.part_size_bytes + 4711]


def lane_of(size: str) -> Lane:
    return Lane.SMALL if size == "small" else Lane.LARGE


def export(**changes: object) -> Transfer:
    return transfer(Direction.EXPORT, **changes)


def seed(store: Store, key: str, content: bytes, **metadata: str) -> None:
    """An object of a foreign writer."""
    named = {name.replace("_", "-"): value for name, value in metadata.items()}
    store.put(key, [content], crc64=crc64.update(content), metadata=named, precondition=Overwrite())


def check(outcome: Outcome, verdict: Verdict, content: bytes, store: Store) -> None:
    assert (outcome.verdict, outcome.code, outcome.message) == (verdict, None, "")
    assert (outcome.bytes_total, outcome.bytes_done) == (len(content), len(content))
    assert outcome.actual_bytes == (len(content) if verdict is Verdict.COMPLETE else 0)
    if verdict is Verdict.COMPLETE:
        assert outcome.detail is not None
        assert outcome.detail.checksum == f"crc64:{crc64.update(content)}"
        assert outcome.note in ({""} if store.abilities.crc64 else {"md5", "not compared"})


# ------------------------------------------------------------------------------------------------------------ there and back


@pytest.mark.parametrize(
    ("size", "modify_ns"),
    [
        ("small", 0),
        ("small", S),
        ("small", 63_072_000 * S + 5),
        ("small", 4_102_444_800 * S + 123_456_789),
        ("large", -86_400 * S - 1),
    ],
)
def test_out_and_in_again(gate: Gate, store: Store, size: str, modify_ns: int) -> None:
    content = content_of(gate, size)
    gate.target.write_bytes(content)
    os.utime(gate.target, ns=(0, modify_ns))
    out = gate.move(export(key="out/ü x"), store, lane=lane_of(size))
    check(out, Verdict.COMPLETE, content, store)
    assert out.note == ("" if store.abilities.crc64 else "md5")
    assert out.detail is not None
    assert out.detail.modify_time_ns == modify_ns
    assert read_object(store, "out/ü x") == content
    back = transfer(key="out/ü x", path="base/new/dir/ü y", sub_task_id="back")
    outcome = gate.move(back, store, lane=lane_of(size))
    check(outcome, Verdict.COMPLETE, content, store)
    assert outcome.note == ("" if store.abilities.crc64 else "not compared")
    arrived = gate.base / "new/dir/ü y"
    assert arrived.read_bytes() == content
    assert os.stat(arrived).st_mtime_ns == modify_ns
    assert outcome.detail is not None
    assert outcome.detail.modify_time_ns == modify_ns
    assert outcome.tidy == (size == "large")
    gate.move(transfer(intent=Intent.TIDY, key="out/ü x", path="base/new/dir/ü y", sub_task_id="back"), store)
    assert gate.helpers() == []
    assert list(store.list_uploads(prefix="")) == []


@pytest.mark.parametrize("size", ["small", "large"])
def test_what_was_exported_is_read_back_where_that_is_wanted(gate: Gate, shore: Shore, size: str) -> None:
    store = shore.open(shore.make_bucket(Versioning.NEVER), verify=Verify.READ_BACK)
    content = content_of(gate, size)
    gate.target.write_bytes(content)
    outcome = gate.move(export(), store, lane=lane_of(size))
    assert (outcome.verdict, outcome.note) == (Verdict.COMPLETE, "read-back")


@pytest.mark.parametrize("is_heeded", [True, False], ids=["If-Match heeded", "If-Match lost"])
def test_an_object_that_gives_way_between_two_ranges_of_its_reading_is_not_taken_for_a_damaged_one(
    gate: Gate, shore: Shore, monkeypatch: pytest.MonkeyPatch, is_heeded: bool
) -> None:
    """Of a mixture of both nothing could be said; what stands there now is somebody else's, and stays."""
    store = shore.open(shore.make_bucket(Versioning.NEVER), verify=Verify.READ_BACK)
    content = content_of(gate, "large")
    gate.target.write_bytes(content)
    theirs, kind, asked = content[::-1], type(store.heeding(lambda: False)), []
    plain = kind.get

    def get(of: Store, key: str, **how: Any) -> AbstractContextManager[ObjectStream]:
        asked.append(how["byte_range"])
        if len(asked) == 2:
            seed(store, key, theirs)
        return plain(of, key, **(how if is_heeded else {**how, "if_match": ""}))

    with monkeypatch.context() as patched:
        patched.setattr(kind, "get", get)
        outcome = gate.move(export(), store)
    compared = "" if store.abilities.crc64 else "md5; "
    assert (outcome.verdict, outcome.note, len(asked)) == (Verdict.COMPLETE, f"{compared}{GAVE_WAY}", 2)
    assert read_object(store, "in/data.bin") == theirs


@pytest.mark.parametrize("size", ["small", "large"])
def test_reading_back_costs_a_request_a_part(
    gate: Gate, shore: Shore, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    store = shore.open(shore.make_bucket(Versioning.NEVER), verify=Verify.READ_BACK)
    content = content_of(gate, size)
    gate.target.write_bytes(content)
    kind, asked = type(store.heeding(lambda: False)), []
    plain = kind.get

    def get(of: Store, key: str, **how: Any) -> AbstractContextManager[ObjectStream]:
        asked.append(how["byte_range"])
        return plain(of, key, **how)

    with monkeypatch.context() as patched:
        patched.setattr(kind, "get", get)
        assert gate.move(export(), store, lane=lane_of(size)).note == "read-back"
    assert sum(wanted.length_bytes for wanted in asked) == len(content)
    assert len(asked) == (1 if size == "small" else 3)


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("versioning", [Versioning.NEVER, Versioning.ENABLED])
def test_a_bucket_that_nobody_has_probed_loses_nothing_and_promises_nothing(
    gate: Gate, shore: Shore, size: str, versioning: Versioning
) -> None:
    """So an earlier version may have registered it: what is not known is taken for not there."""
    bucket = shore.make_bucket(versioning)
    store = shore.open(bucket, abilities=Abilities())
    content, lane = content_of(gate, size), lane_of(size)
    gate.target.write_bytes(content)
    seed(store, "foreign", b"stays")
    kept = gate.move(export(key="foreign", conflict_policy=SKIP), store, lane=lane)
    assert (kept.verdict, read_object(store, "foreign")) == (Verdict.SKIPPED, b"stays")
    tells_crc64 = shore.expected.crc64 and shore.address is not None  # memory's store tells what it is said to tell
    out = gate.move(export(key="new", conflict_policy=SKIP, sub_task_id="out"), store, lane=lane)
    assert (out.verdict, out.guarantee) == (Verdict.COMPLETE, Guarantee.BEST_EFFORT)
    assert out.note == ("" if tells_crc64 else "not compared")
    back = gate.move(transfer(key="new", path="base/back", sub_task_id="back"), store, lane=lane)
    assert (back.verdict, (gate.base / "back").read_bytes()) == (Verdict.COMPLETE, content)
    assert out.detail is not None
    assert out.detail.checksum == f"crc64:{crc64.update(content)}"
    assert list(store.list_uploads(prefix="")) == []


@pytest.mark.parametrize("lane", list(Lane))
def test_empty_files(gate: Gate, store: Store, lane: Lane) -> None:
    gate.target.touch()
    check(gate.move(export(), store, lane=lane), Verdict.COMPLETE, b"", store)
    check(gate.move(transfer(path="base/back"), store, lane=lane), Verdict.COMPLETE, b"", store)
    assert (gate.base / "back").read_bytes() == b""


def test_a_foreign_objects_time_is_its_last_modified(gate: Gate, store: Store) -> None:
    seed(store, "in/data.bin", b"foreign")
    outcome = gate.move(transfer(), store, lane=Lane.SMALL)
    assert outcome.detail is not None
    assert outcome.detail.modify_time_ns == store.head("in/data.bin").last_modified_ns
    assert os.stat(gate.target).st_mtime_ns == outcome.detail.modify_time_ns
    seed(store, "in/data.bin", b"foreign", alihbr_sync_mtime="1721167603")
    gate.move(transfer(sub_task_id="s2"), store, lane=Lane.SMALL)
    assert os.stat(gate.target).st_mtime_ns == 1_721_167_603 * S


# ---------------------------------------------------------------------------------------------------------------- policies


@dataclass(frozen=True)
class Row:
    """`target_ns` relative to the source's time; None: there is no target."""

    policy: ConflictPolicy
    target_ns: int | None
    verdict: Verdict


TABLE = [
    Row(SKIP, None, Verdict.COMPLETE),
    Row(SKIP, -1, Verdict.SKIPPED),
    Row(SKIP, 1, Verdict.SKIPPED),
    Row(LATEST, None, Verdict.COMPLETE),
    Row(LATEST, -1, Verdict.COMPLETE),
    Row(LATEST, 0, Verdict.SKIPPED),
    Row(LATEST, 1, Verdict.SKIPPED),
    Row(OVERWRITE, None, Verdict.COMPLETE),
    Row(OVERWRITE, 1, Verdict.COMPLETE),
]


@pytest.mark.parametrize("size", ["small", "large"])
def test_policies_of_exports(gate: Gate, store: Store, size: str) -> None:
    content = content_of(gate, size)
    gate.target.write_bytes(content)
    os.utime(gate.target, ns=(0, NOW_NS))
    able = store.abilities.create_only_put if size == "small" else store.abilities.create_only_complete
    for number, row in enumerate(TABLE):
        key = f"row/{number}"
        if row.target_ns is not None:
            seed(store, key, b"theirs", penstock_mtime_ns=str(NOW_NS + row.target_ns))
        what = export(key=key, conflict_policy=row.policy, sub_task_id=f"s{number}")
        outcome = gate.move(what, store, lane=lane_of(size))
        check(outcome, row.verdict, content, store)
        assert read_object(store, key) == (b"theirs" if row.verdict is Verdict.SKIPPED else content), row
        if row.policy is OVERWRITE:
            assert outcome.guarantee is Guarantee.ATOMIC
        elif row.target_ns is None:
            assert outcome.guarantee is (Guarantee.ATOMIC if able else Guarantee.BEST_EFFORT)
    assert list(store.list_uploads(prefix="")) == []


@pytest.mark.rule("SUB-7")
@pytest.mark.parametrize("size", ["small", "large"])
def test_policies_of_imports(gate: Gate, store: Store, size: str) -> None:
    content = content_of(gate, size)
    gate.target.write_bytes(content)
    os.utime(gate.target, ns=(0, NOW_NS))
    gate.move(export(sub_task_id="seed"), store)
    for number, row in enumerate(TABLE):
        target = gate.base / f"row{number}"
        if row.target_ns is not None:
            target.write_bytes(b"theirs")
            os.utime(target, ns=(0, NOW_NS + row.target_ns))
        what = transfer(path=f"base/row{number}", conflict_policy=row.policy, sub_task_id=f"s{number}")
        outcome = gate.move(what, store, lane=lane_of(size))
        check(outcome, row.verdict, content, store)
        assert target.read_bytes() == (b"theirs" if row.verdict is Verdict.SKIPPED else content), row
        gate.move(replace(what, intent=Intent.TIDY), store)
        if row.verdict is Verdict.SKIPPED:
            assert outcome.detail is not None
            assert bool(outcome.detail.checksum) == store.abilities.crc64
    assert gate.helpers() == []


@pytest.mark.parametrize("size", ["small", "large"])
def test_two_exports_to_one_key_under_skip(gate: Gate, shore: Shore, store: Store, size: str) -> None:
    """Where the store can promise it, exactly one of two that start together is COMPLETE, and its bytes stay."""
    able = store.abilities.create_only_put if size == "small" else store.abilities.create_only_complete
    able = able and shore.name != "moto"  # a stand-in that looks and stores in two steps
    for race in range(4 if size == "small" else 2):
        contents = [bytes([number]) * len(content_of(gate, size)) for number in range(2)]
        for number in range(2):
            (gate.base / f"{race}-{number}").write_bytes(contents[number])
        outcomes = race_for(gate, store, race, lane_of(size))
        assert {outcome.verdict for outcome in outcomes} <= {Verdict.COMPLETE, Verdict.SKIPPED}, outcomes
        kept = read_object(store, f"race/{race}")
        assert kept in contents
        if able:
            assert [outcome.verdict is Verdict.COMPLETE for outcome in outcomes] == [kept == one for one in contents]
    assert list(store.list_uploads(prefix="")) == []


def race_for(gate: Gate, store: Store, race: int, lane: Lane) -> list[Outcome]:
    """Two movers export two files to one key at the same moment."""
    outcomes: dict[int, Outcome] = {}
    barrier = threading.Barrier(2)

    def run(number: int) -> None:
        what = export(
            path=f"base/{race}-{number}", key=f"race/{race}", sub_task_id=f"s-{race}-{number}", conflict_policy=SKIP
        )
        barrier.wait(DEADLINE_S)
        outcomes[number] = gate.move(what, store, lane=lane, hooks=RecordingHooks())

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    return [outcomes[number] for number in range(2)]


# ----------------------------------------------------------------------------------------------------------------- failing


@pytest.mark.parametrize("lane", list(Lane))
def test_what_is_not_there(gate: Gate, store: Store, lane: Lane) -> None:
    outcome = gate.move(transfer(), store, lane=lane)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND)
    seed(store, "in/data.bin/below", b"x")
    outcome = gate.move(transfer(), store, lane=lane)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.SOURCE_IS_DIRECTORY)
    seed(store, "in/data.bin", b"x")
    store.delete("in/data.bin")  # on a versioned bucket: a delete marker
    store.delete("in/data.bin/below")
    outcome = gate.move(transfer(), store, lane=lane)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.SOURCE_NOT_FOUND)


@pytest.mark.rule("SUB-13")
@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("size", ["small", "large"])
def test_conditions(gate: Gate, store: Store, direction: Direction, size: str) -> None:
    content = content_of(gate, size)
    gate.target.write_bytes(content)
    os.utime(gate.target, ns=(0, NOW_NS))
    gate.move(export(sub_task_id="seed"), store)
    for condition, met in (
        (Condition(modify_time_ns=NOW_NS + 1000), False),
        (Condition(size_bytes=len(content) + 1), False),
        (Condition(modify_time_ns=NOW_NS + 999, size_bytes=len(content)), True),
    ):
        outcome = gate.move(transfer(direction, condition=condition), store, lane=lane_of(size))
        if met:
            check(outcome, Verdict.COMPLETE, content, store)
        else:
            assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.CONDITION_NOT_MET)
    gate.move(transfer(intent=Intent.TIDY), store)
    assert gate.helpers() == []
    assert list(store.list_uploads(prefix="")) == []


# ------------------------------------------------------------------------------------------------- stopping and going on


def stopping(reason: StopReason, gate: Gate) -> RecordingHooks:
    """Hooks that stop once a part is done."""
    hooks = RecordingHooks()

    def look(progress: object) -> None:
        if hooks.progressed[-1].bytes_done >= gate.limits.part_size_bytes:
            hooks.stop = reason

    hooks.on_progress = look
    return hooks


@pytest.mark.parametrize("direction", list(Direction))
def test_a_drain_goes_on_with_the_next_attempt(gate: Gate, store: Store, direction: Direction) -> None:
    content = content_of(gate, "large")
    gate.target.write_bytes(content)
    gate.move(export(sub_task_id="seed"), store)
    first = gate.move(transfer(direction), store, hooks=stopping(StopReason.DRAIN, gate))
    assert first.verdict is Verdict.RETURNED
    second = gate.move(transfer(direction, attempt=2, checkpoint=first.checkpoint), store)
    check(second, Verdict.COMPLETE, content, store)
    gate.move(transfer(intent=Intent.TIDY), store)
    assert gate.target.read_bytes() == read_object(store, "in/data.bin") == content
    assert gate.helpers() == []
    assert list(store.list_uploads(prefix="")) == []


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("stopped_by", [StopReason.CANCEL, StopReason.DRAIN])
def test_a_cancel_leaves_nothing(gate: Gate, store: Store, direction: Direction, stopped_by: StopReason) -> None:
    """At once, or by a withdrawal of what an attempt before left."""
    content = content_of(gate, "large")
    gate.target.write_bytes(content)
    if direction is Direction.IMPORT:
        gate.move(export(sub_task_id="seed"), store)
        gate.target.unlink()
    outcome = gate.move(transfer(direction), store, hooks=stopping(stopped_by, gate))
    if stopped_by is StopReason.DRAIN:
        what = transfer(direction, attempt=2, intent=Intent.WITHDRAW, checkpoint=outcome.checkpoint)
        outcome = gate.move(what, store)
    assert (outcome.verdict, outcome.code, outcome.checkpoint) == (Verdict.CANCELED, None, None)
    assert gate.helpers() == []
    assert list(store.list_uploads(prefix="")) == []
    if direction is Direction.IMPORT:
        assert not gate.target.exists()
    else:
        assert [info.key for info in store.list_objects(prefix="in/").objects] == []
