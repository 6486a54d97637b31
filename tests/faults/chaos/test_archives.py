"""What is exported into an archive cannot be read: is what was published ever called FAILED for that, or said to be compared?

A real emulator of OSS (it tells CRC-64), and moto with keys of a KMS (no ETag is an MD5 there), behind the chaos proxy.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from msgspec import structs

from penstock.model import AddressingStyle, Bucket, BucketKind, ConflictPolicy, Direction, ExportOptions, Verify
from penstock.stores.base import Abilities, Checksum, Store, Versioning
from penstock.stores.opening import abilities_to_mapping, open_store
from penstock.transfer.transfer import Checkpoint, Intent, Lane, Outcome, Transfer, Verdict
from penstock.transfer.verification import BY_ITSELF, UNREADABLE
from tests.faults.chaos.stand import LIMITS, MODIFY_NS, PATIENT
from tests.fixtures.chaosfaults import FAULTS
from tests.fixtures.chaosproxy import ChaosProxy, Rule
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.gate import Gate, open_gate, transfer
from tests.fixtures.moto import MotoServer

PARTS = {BucketKind.OSS: 100 << 10, BucketKind.S3: 5 << 20}  # the least that each takes
BYTES = random.Random(51).randbytes(2 * (5 << 20) + 12_345)
KINDS = {"small": "put", "large": "complete"}
JUDGED = f"{UNREADABLE}: {BY_ITSELF}"
OVERWRITE, SKIP = ConflictPolicy.OVERWRITE_EXISTING, ConflictPolicy.SKIP_THE_FILE


@dataclass(slots=True, kw_only=True)
class Archive:
    """A gate, and a bucket whose objects cannot be read, through the proxy and past it."""

    kind: BucketKind
    gate: Gate
    proxy: ChaosProxy
    store: Store
    truth: Store

    def write(self, size: str) -> None:
        """The file that is exported, long quiet."""
        count = 3000 if size == "small" else 2 * PARTS[self.kind] + 12_345
        self.gate.target.write_bytes(BYTES[:count])
        os.utime(self.gate.target, ns=(MODIFY_NS, MODIFY_NS))

    def move(self, size: str, **changes: object) -> Outcome:
        """One attempt."""
        return self.gate.move(self.what(**changes), self.store, lane=Lane.SMALL if size == "small" else Lane.LARGE)

    def what(self, **changes: object) -> Transfer:
        return structs.replace(transfer(Direction.EXPORT, bucket=self.store.bucket), **changes)

    @property
    def last(self) -> Checkpoint | None:
        """What is durable of an attempt that was killed."""
        return self.gate.hooks.checkpoints[-1] if self.gate.hooks.checkpoints else None

    def check(self, outcome: Outcome, note: str) -> None:
        """COMPLETE with that note, by the one object that was ever made, which is there."""
        assert (outcome.verdict, outcome.code, outcome.message) == (Verdict.COMPLETE, None, "")
        assert outcome.note == note
        made = self.truth.head("in/data.bin")
        assert (made.size_bytes, made.storage_class) == (
            outcome.bytes_total,
            "Archive" if self.kind is BucketKind.OSS else "GLACIER",
        )
        if self.store.abilities.versioning is Versioning.ENABLED:
            assert [one.version_id for one in self.truth.list_versions(prefix="")] == [made.version_id]
        assert list(self.truth.list_uploads(prefix="")) == []

    def note(self, by_oss: str, by_s3: str) -> str:
        return by_oss if self.kind is BucketKind.OSS else by_s3


Opener = Callable[..., Archive]


@pytest.fixture(params=["oss", pytest.param("s3", marks=pytest.mark.xdist_group("moto"))])
def kind(request: pytest.FixtureRequest) -> BucketKind:
    """The protocol."""
    return BucketKind(request.param)


@pytest.fixture(params=[Versioning.NEVER, Versioning.ENABLED], ids=["plain", "versioned"])
def versioning(request: pytest.FixtureRequest) -> Versioning:
    """What the bucket keeps."""
    found: Versioning = request.param
    return found


@pytest.fixture
def open_archive(
    request: pytest.FixtureRequest, tmp_path: Path, kind: BucketKind, versioning: Versioning
) -> Iterator[Opener]:
    """Opens the bucket, with what `verify` asks for."""
    server: EmulatorServer | MotoServer = request.getfixturevalue("emulator" if kind is BucketKind.OSS else "moto")
    with ExitStack() as opened:

        def open_one(verify: Verify = Verify.STORE) -> Archive:
            gate = open_gate(tmp_path / "fs")
            opened.callback(gate.close)
            gate.limits = replace(LIMITS, part_size_bytes=PARTS[kind])
            gate.clock = lambda: time.time_ns() + 10 * 10**9  # by which every source has been quiet for a while
            proxy = opened.enter_context(ChaosProxy(server.endpoint))
            described = bucket_of(server, kind, versioning, verify)
            truth = open_store(described, server.credentials, timeouts=PATIENT)
            opened.callback(truth.close)
            store = open_store(replace(described, endpoint=proxy.endpoint), server.credentials, timeouts=PATIENT)
            opened.callback(store.close)
            return Archive(kind=kind, gate=gate, proxy=proxy, store=store, truth=truth)

        yield open_one


def bucket_of(server: EmulatorServer | MotoServer, kind: BucketKind, versioning: Versioning, verify: Verify) -> Bucket:
    """A fresh one, as probing would find it."""
    state = "" if versioning is Versioning.NEVER else versioning.value
    if isinstance(server, EmulatorServer):
        name = server.bucket(versioning=state)
        abilities = Abilities(crc64=True, part_etag_is_md5=True, versioning=versioning)
    else:
        name = server.make_bucket(versioning=state)
        abilities = Abilities(checksum=Checksum.CRC32C, versioning=versioning)  # ETags are no MD5s
    return Bucket(
        name=name,
        kind=kind,
        endpoint=server.endpoint,
        region=server.region,
        addressing_style=AddressingStyle.PATH,
        export=ExportOptions(
            storage_class="Archive" if kind is BucketKind.OSS else "GLACIER",
            encryption="" if kind is BucketKind.OSS else "aws:kms",
        ),
        verify=verify,
        abilities=abilities_to_mapping(abilities),
    )


@pytest.mark.parametrize("size", KINDS)
def test_the_record_says_what_was_compared_and_that_nothing_was_read(open_archive: Opener, size: str) -> None:
    archive = open_archive(Verify.READ_BACK)
    archive.write(size)
    archive.check(archive.move(size), archive.note(UNREADABLE, f"crc32c; {UNREADABLE}"))


@pytest.mark.parametrize("verify", list(Verify))
@pytest.mark.parametrize("policy", [OVERWRITE, SKIP])
def test_an_answer_of_complete_that_is_lost(open_archive: Opener, policy: ConflictPolicy, verify: Verify) -> None:
    archive = open_archive(verify)
    archive.write("large")
    archive.proxy.script(Rule(kind="complete", fault=FAULTS["lost by close"]))
    outcome = archive.move("large", conflict_policy=policy)
    assert len(archive.proxy.struck) == 1
    archive.check(outcome, archive.note(UNREADABLE if verify is Verify.READ_BACK else "", f"crc32c; {JUDGED}"))


@pytest.mark.parametrize("verify", list(Verify))
def test_an_answer_of_a_put_that_is_lost(open_archive: Opener, verify: Verify) -> None:
    archive = open_archive(verify)
    archive.write("small")
    archive.proxy.script(Rule(kind="put", fault=FAULTS["lost by close"]))
    outcome = archive.move("small", conflict_policy=SKIP)
    assert len(archive.proxy.struck) == 1
    suffix = UNREADABLE if verify is Verify.READ_BACK else ""
    archive.check(outcome, archive.note(suffix, f"crc32c; {suffix}" if suffix else "crc32c"))


@pytest.mark.parametrize("what_comes", ["the next attempt", "a cancel", "a source that is gone"])
@pytest.mark.parametrize("verify", list(Verify))
@pytest.mark.parametrize("size", KINDS)
def test_a_mover_that_died_right_after_it_had_published(
    open_archive: Opener, size: str, verify: Verify, what_comes: str
) -> None:
    archive = open_archive(verify)
    archive.write(size)
    assert archive.move(size).verdict is Verdict.COMPLETE
    if what_comes == "a source that is gone":
        archive.gate.target.unlink()
    intent = Intent.WITHDRAW if what_comes == "a cancel" else Intent.MOVE
    outcome = archive.move(size, attempt=2, intent=intent, checkpoint=archive.last)
    by_crc64 = UNREADABLE if verify is Verify.READ_BACK else ""
    by_itself = f"crc32c; {JUDGED}"
    if size == "small" and what_comes == "the next attempt":  # the file is there to be compared with what was sent
        by_itself = f"crc32c; {UNREADABLE}" if verify is Verify.READ_BACK else "crc32c"
    archive.check(outcome, archive.note(by_crc64, by_itself))


def test_a_cancel_while_the_answer_is_on_its_way(open_archive: Opener) -> None:
    """The attempt gives up with the object published and unheard; its withdrawal ends, and says so."""
    archive = open_archive()
    archive.write("large")
    looks = 2 if archive.store.abilities.versioning is Versioning.NEVER else 1  # one of them right before Complete
    archive.proxy.script(
        Rule(kind="complete", fault=FAULTS["lost by close"]),
        Rule(kind="head", fault=FAULTS["503"], nth=looks, times=9),
    )
    first = archive.move("large")
    assert first.verdict is Verdict.RETRY
    assert archive.proxy.unmet() == []
    archive.proxy.script()
    outcome = archive.move("large", attempt=2, intent=Intent.WITHDRAW, checkpoint=first.checkpoint)
    archive.check(outcome, archive.note("", f"crc32c; {JUDGED}"))
