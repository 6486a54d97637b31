"""A cancel whose bucket is not registered any more: CANCELING with a reason that names it, until it is once more."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import tomlkit
from msgspec.structs import replace as changed

from penstock.engine.harbour import Harbour
from penstock.engine.messages import Places
from penstock.errors import FailureCode
from penstock.model import AddressingStyle, Bucket, BucketKind, Direction
from penstock.settings.writing import drop_entry
from penstock.stores.base import Store
from penstock.stores.keychain import Keys
from penstock.stores.opening import open_store
from penstock.transfer.transfer import Checkpoint, Intent, Outcome, StopReason, Transfer, Verdict
from tests.faults.cancel.conftest import Opener
from tests.faults.cancel.stand import PART_BYTES, File, Tide
from tests.faults.chaos.stand import LARGE, LIMITS, SMALL
from tests.fixtures.chaosfaults import FAULTS
from tests.fixtures.chaosproxy import Rule
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.gate import Gate, open_gate, transfer
from tests.fixtures.waiting import wait_until

PATIENCE_S = 40.0
EVER = 1 << 30
NAMED = "penstock bucket add"


@dataclass(slots=True, kw_only=True)
class Dock:
    """A mover's harbour before the emulator, whose bucket can be taken out of the registry and put back."""

    gate: Gate
    harbour: Harbour
    bucket: Bucket

    def register(self, *buckets: Bucket) -> None:
        self.harbour.place(Places(file_systems=(self.gate.root.file_system,), buckets=buckets))

    def move(self, what: Transfer) -> Outcome:
        """One attempt, with what the harbour gives."""
        with self.harbour.store(what.bucket, what.intent) as store:
            return self.gate.move_told(what, store)

    def uploads(self) -> list[str]:
        """All that are unfinished in the bucket."""
        self.register(self.bucket)
        with self.harbour.store(self.bucket.name, Intent.MOVE) as store:
            return [upload.upload_id for upload in store.list_uploads(prefix="")]


@pytest.fixture
def dock(tmp_path: Path, emulator: EmulatorServer) -> Iterator[Dock]:
    name = emulator.bucket()
    bucket = Bucket(
        name=name,
        kind=BucketKind.OSS,
        endpoint=emulator.endpoint,
        region=emulator.region,
        addressing_style=AddressingStyle.PATH,
        abilities={"crc64": True},
    )
    secrets = tmp_path / "secrets.toml"
    secrets.write_text(
        f'[bucket.{name}]\naccess_key_id = "{emulator.access_key_id}"\naccess_key_secret = "{emulator.access_key_secret}"\n'
    )
    secrets.chmod(0o600)
    gate = open_gate(tmp_path / "fs")
    gate.limits = replace(LIMITS)
    with ExitStack() as opened:

        def open_one(described: Bucket, credentials: Keys) -> Store:
            return opened.enter_context(closing(open_store(described, credentials)))

        harbour = Harbour(places=Places(), secrets_path=secrets, store_opener=open_one)
        made = Dock(gate=gate, harbour=harbour, bucket=bucket)
        made.register(bucket)
        yield made
    gate.close()


def test_a_mover_that_does_not_know_the_bucket_says_so_and_forgets_nothing(dock: Dock) -> None:
    """It may have been told so after the withdrawal was handed to it; an embedded bucket is unknown while its server restarts."""
    dock.gate.target.write_bytes(LARGE)
    records: list[Checkpoint] = []

    def drain(record: Checkpoint) -> None:
        records.append(record)
        dock.gate.hooks.stop = StopReason.DRAIN if record.upload_id else None

    dock.gate.hooks.on_checkpoint = drain
    what = transfer(Direction.EXPORT, bucket=dock.bucket.name)
    assert dock.move(what).verdict is Verdict.RETURNED
    begun = dock.uploads()
    assert begun == [records[-1].upload_id]
    dock.gate.hooks.stop = None
    dock.register()
    withdrawal = changed(what, attempt=2, intent=Intent.WITHDRAW, checkpoint=records[-1])
    outcome = dock.move(withdrawal)
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.BUCKET_NOT_REGISTERED)
    assert dock.bucket.name in outcome.message
    assert NAMED in outcome.message
    assert outcome.checkpoint == records[-1]
    assert dock.uploads() == begun
    assert dock.move(changed(withdrawal, attempt=3)).verdict is Verdict.CANCELED
    assert dock.uploads() == []


@pytest.mark.parametrize("sent", [False, True])
def test_a_small_export_is_canceled_where_nothing_was_sent_and_else_asks_the_bucket(dock: Dock, sent: bool) -> None:
    dock.gate.target.write_bytes(SMALL)
    what = transfer(Direction.EXPORT, bucket=dock.bucket.name)
    if sent:
        assert dock.move(what).verdict is Verdict.COMPLETE  # its mover was killed before it could say so
    dock.register()
    withdrawal = changed(what, attempt=2, intent=Intent.WITHDRAW, begun=sent)
    outcome = dock.move(withdrawal)
    if not sent:
        assert (outcome.verdict, outcome.code) == (Verdict.CANCELED, None)
        return
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, FailureCode.BUCKET_NOT_REGISTERED)
    dock.register(dock.bucket)
    assert dock.move(changed(withdrawal, attempt=3)).verdict is Verdict.COMPLETE


def test_an_import_needs_no_bucket_to_leave_nothing(dock: Dock) -> None:
    dock.gate.target.write_bytes(LARGE)
    assert dock.move(transfer(Direction.EXPORT, bucket=dock.bucket.name)).verdict is Verdict.COMPLETE
    dock.gate.narrow()
    dock.gate.hooks.on_progress = lambda progress: setattr(
        dock.gate.hooks, "stop", StopReason.DRAIN if dock.gate.helpers() else None
    )
    what = transfer(bucket=dock.bucket.name, path="base/other")
    assert dock.move(what).verdict is Verdict.RETURNED
    assert len(dock.gate.helpers()) == 2
    dock.gate.hooks.stop = None
    dock.register()
    assert dock.move(changed(what, attempt=2, intent=Intent.WITHDRAW)).verdict is Verdict.CANCELED
    assert dock.gate.helpers() == []


# ------------------------------------------------------------------------------------------------------------- as a service


def without_bucket(text: str, name: str) -> str:
    """The settings without that bucket."""
    document = tomlkit.parse(text)
    drop_entry(document, "bucket", name)
    return tomlkit.dumps(document)


def changes_seen(tide: Tide) -> int:
    """How often the service has taken other settings over."""
    return tide.service.log.read_text().count("registry.changed")


def is_at_rest(tide: Tide, file: File) -> bool:
    """Whether no mover has it."""
    with closing(sqlite3.connect(f"file:{tide.home / 'catalog.db'}?mode=ro", uri=True)) as catalog:
        ((owner,),) = catalog.execute("SELECT owner FROM sub_tasks WHERE sub_task_id = ?", (file.sub_task_id,))
    return str(owner) == ""


def told(tide: Tide, file: File, status: str, words: str) -> None:
    """Wait until it says so."""

    def says() -> bool:
        item = tide.status(file)
        return item["Status"] == status and words in item["ErrorMsg"]

    wait_until(says, PATIENCE_S, f"it is not {status} {words}")


def test_it_is_canceling_until_the_bucket_is_registered_again(open_tide: Opener) -> None:
    tide = open_tide()
    dice = random.Random(4)
    large, small = (
        File(name=f"out/{name}", is_import=False, content=dice.randbytes(size), has_old=True)
        for name, size in (("large", 8 * PART_BYTES + 5), ("small", 5000))
    )
    incoming = File(name="in/large", is_import=True, content=dice.randbytes(8 * PART_BYTES), has_old=True)
    tide.lay([large, small, incoming])
    tide.proxy.script(
        *(Rule(kind=kind, fault=FAULTS["500"], nth=3, times=EVER) for kind in ("put_part", "range")),
        Rule(kind="put", fault=FAULTS["500"], times=EVER, key=small.name),
    )
    tide.submit([large, small, incoming])
    for file in (large, small, incoming):
        told(tide, file, "RUNNING", "StoreUnavailable")
    assert tide.uploads() == [large.name]

    settings = tide.home / "penstock.toml"
    text = settings.read_text()
    seen = changes_seen(tide)
    settings.write_text(without_bucket(text, tide.site.name))
    wait_until(lambda: changes_seen(tide) > seen, PATIENCE_S, "it was not seen")
    for file in (large, small, incoming):
        wait_until(lambda file=file: is_at_rest(tide, file), PATIENCE_S, "its attempt has no end")  # type: ignore[misc]
        assert tide.cancel(file)
    told(tide, incoming, "CANCELED", "")
    tide.judge(incoming, "CANCELED")
    for file in (large, small):
        told(tide, file, "CANCELING", f"BucketNotRegistered: bucket oss://{tide.site.name}")
        assert NAMED in tide.status(file)["ErrorMsg"]
    assert tide.uploads() == [large.name]

    tide.proxy.script()
    settings.write_text(text)
    for file in (large, small):
        told(tide, file, "CANCELED", "")
        tide.judge(file, "CANCELED")
    assert tide.uploads() == []
