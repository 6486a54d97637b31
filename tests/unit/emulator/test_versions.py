"""Do the rules of versioning hold over any history? Held against a model that is a list for every key."""

from __future__ import annotations

import itertools
import sqlite3
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from penstock.emulator.storage import buckets, contents, listing, schema, versions
from penstock.emulator.storage.buckets import Bucket, Versioning
from penstock.emulator.storage.ledger import Transaction
from penstock.emulator.storage.traits import NONE
from penstock.emulator.storage.vault import Blob
from penstock.emulator.storage.versions import Draft

KEYS = st.sampled_from([b"a", b"a/b", "中".encode()])


@dataclass
class Kept:
    """One version of the model, newest first in its key's list."""

    version_id: str
    body: bytes | None  # None: a delete marker


@dataclass
class Model:
    versioning: Versioning = Versioning.UNSET
    keys: dict[bytes, list[Kept]] = field(default_factory=dict)

    def change(self, key: bytes, version_id: str, body: bytes | None) -> None:
        history = self.keys.setdefault(key, [])
        history[:] = [Kept(version_id, body), *(kept for kept in history if kept.version_id != version_id)]


class VersioningMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        for statement in schema.statements():
            self.database.execute(statement)
        buckets.create(self.database, name="bucket", created_ns=0, storage="Standard", redundancy="LRS")
        self.numbers = itertools.count(1)
        self.tokens = itertools.count(1)
        self.freed: list[str] = []
        self.model = Model()

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()

    @property
    def bucket(self) -> Bucket:
        found = buckets.find(self.database, "bucket")
        assert found is not None
        return found

    def transaction(self) -> Transaction:
        transaction = Transaction(self.database, lambda: next(self.numbers))
        transaction.freed = self.freed
        return transaction

    def token(self) -> str:
        return f"{next(self.tokens):032X}"[::-1]

    @rule(enabled=st.booleans())
    def set_versioning(self, *, enabled: bool) -> None:
        self.model.versioning = Versioning.ENABLED if enabled else Versioning.SUSPENDED
        buckets.set_versioning(self.database, self.bucket, self.model.versioning)

    @rule(key=KEYS, body=st.binary(max_size=3))
    def put(self, key: bytes, body: bytes) -> None:
        transaction, content = self.transaction(), self.token()
        blob = Blob(id=self.token(), size_bytes=len(body), md5=b"", crc64=0, inline=body)
        contents.add(transaction, content, blob)
        draft = Draft(
            kind="Normal", size_bytes=len(body), etag="E", crc64=None, headers={}, content=content, traits=NONE
        )
        told = versions.add(transaction, self.bucket, key, draft, token=self.token(), modified_ns=0)
        assert (told == "null") == (self.model.versioning is not Versioning.ENABLED)
        self.model.change(key, told, body)

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        done = versions.delete(self.transaction(), self.bucket, key, token=self.token(), modified_ns=0)
        if self.model.versioning is Versioning.UNSET:
            assert (done.version_id, done.marker) == ("", False)
            self.model.keys.pop(key, None)
            return
        assert done.marker
        assert (done.version_id == "null") == (self.model.versioning is Versioning.SUSPENDED)
        self.model.change(key, done.version_id, None)

    @rule(key=KEYS, data=st.data())
    def delete_version(self, key: bytes, data: st.DataObject) -> None:
        history = self.model.keys.get(key, [])
        chosen = data.draw(st.sampled_from([*(kept.version_id for kept in history), "F" * 32, "null"]))
        done = versions.delete_version(self.transaction(), self.bucket, key, chosen)
        removed = [kept for kept in history if kept.version_id == chosen]
        assert done.version_id == chosen
        assert done.marker == any(kept.body is None for kept in removed)
        history[:] = [kept for kept in history if kept.version_id != chosen]

    def read(self, version: versions.Version) -> bytes | None:
        if version.is_marker:
            return None
        segments = contents.segments(self.database, version.content)
        return b"".join(segment.inline or b"" for segment in segments)

    @invariant()
    def the_newest_is_what_the_model_says(self) -> None:
        if not hasattr(self, "database"):
            return
        for key in (b"a", b"a/b", "中".encode()):
            history = self.model.keys.get(key) or []
            found = versions.newest(self.database, self.bucket, key)
            assert (found is None) == (not history)
            if found is not None:
                assert (found.version_id, self.read(found)) == (history[0].version_id, history[0].body)

    @invariant()
    def the_listing_of_versions_is_the_model(self) -> None:
        if not hasattr(self, "database"):
            return
        expected = [
            (key, kept.version_id, index == 0, kept.body)
            for key, history in sorted(self.model.keys.items())
            for index, kept in enumerate(history)
        ]
        found = []
        key_marker, older_than = b"", None
        for _ in range(200):
            page = listing.all_versions(
                self.database,
                self.bucket,
                prefix=b"",
                delimiter=b"",
                key_marker=key_marker,
                older_than=older_than,
                limit=2,
            )
            found += [(row.key, row.version_id, row.latest, self.read(row)) for row in page.rows]
            if not page.truncated:
                break
            assert isinstance(page.last, versions.Version)
            key_marker = page.last.key
            older_than = versions.number_behind(self.database, self.bucket, key_marker, page.last.version_id)
        assert found == expected

    @invariant()
    def nothing_is_kept_that_no_version_needs(self) -> None:
        if not hasattr(self, "database"):
            return
        bodies = sum(kept.body is not None for history in self.model.keys.values() for kept in history)
        for table in ("segments", "blobs"):
            assert self.database.execute(f"SELECT count(*) FROM {table}").fetchone() == (bodies,)


TestVersioning = VersioningMachine.TestCase
TestVersioning.settings = settings(max_examples=60, stateful_step_count=25)


def test_a_marker_that_was_removed_keeps_its_place() -> None:
    """A client lists a page, deletes all of it, and asks for what comes behind."""
    machine = VersioningMachine()
    machine.start()
    machine.set_versioning(enabled=True)
    for number in range(5):
        machine.put(b"a", bytes([number]))
    ids = [kept.version_id for kept in machine.model.keys[b"a"]]
    for removed in ids[:2]:
        versions.delete_version(machine.transaction(), machine.bucket, b"a", removed)
    behind = versions.number_behind(machine.database, machine.bucket, b"a", ids[1])
    page = listing.all_versions(
        machine.database, machine.bucket, prefix=b"", delimiter=b"", key_marker=b"a", older_than=behind, limit=10
    )
    assert [row.version_id for row in page.rows] == ids[2:]
    machine.teardown()


def test_a_copy_keeps_the_blob_alive() -> None:
    machine = VersioningMachine()
    machine.start()
    transaction = machine.transaction()
    contents.add(transaction, "first", Blob(id="blob", size_bytes=9, md5=b"", crc64=0, inline=None))
    contents.join(transaction, "second", ["first"])
    contents.drop(transaction, "first")
    assert machine.freed == []
    contents.drop(transaction, "second")
    assert machine.freed == ["blob"]
    machine.teardown()
