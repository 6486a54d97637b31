"""What a service makes of a disk after a power cut: it is started on it, and everything that must hold is looked at.

Catalog and engine are new for each disk, movers and (for imports, which change nothing there) the bucket server serve them all.
"""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

from penstock.app.registry import embed
from penstock.catalog.catalog import Catalog
from penstock.catalog.sqlite import SqliteDatabase
from penstock.catalog.verbs import Call
from penstock.engine.engine import Engine
from penstock.engine.local import LocalExecutorOptions
from penstock.engine.messages import MoverLimits
from penstock.engine.options import EngineOptions, RetryOptions
from penstock.model import Bucket, Registry
from penstock.settings.home import Home
from penstock.settings.reading import load_registry
from penstock.stores.base import Store
from penstock.stores.credentials import load_credentials
from penstock.stores.opening import open_store
from penstock.transfer import names
from tests.faults.matrix.smallservice import LIMITS
from tests.faults.power.keptmovers import KeptMovers
from tests.faults.power.recording import FINAL, HELPERS, File, Recording
from tests.faults.power.shores import Shore, Shores, shores
from tests.faults.power.states import State, States
from tests.fixtures.ledger import recount
from tests.fixtures.waiting import seen_until

PATIENCE_S = 60.0
THEIRS = b"what somebody else wrote"
LATER = "the machine's life after the power cut"
OPTIONS = EngineOptions(retry=RetryOptions(waits_s=(0.05, 0.1, 0.2, 0.5), tidy_wait_s=0.05))
MOVER_LIMITS = MoverLimits(small_files=8, small_threads=4, large_files=2, sweep_threads=1, transfer=LIMITS)


class Recoverer:
    """Starts a service on one disk after the other. Use it within `recoverer`."""

    def __init__(self, recording: Recording, path: Path, shores: Shores) -> None:
        path.mkdir()
        self._recording = recording
        self._path = path
        self._states: States = recording.states()
        self._bucket = recording.facts.init["bucket"]
        self._secrets = path / "secrets.toml"
        shutil.copy(recording.directory / "before" / "home" / "secrets.toml", self._secrets)
        self._secrets.chmod(0o600)
        self.movers = KeptMovers(
            LocalExecutorOptions(
                lock_path=path / "movers.lock", secrets_path=self._secrets, movers=1, limits=MOVER_LIMITS
            )
        )
        self._shores = shores
        self._shared: Shore | None = None
        if recording.facts.way.is_import:
            shutil.copytree(recording.world / "home" / "emulator", path / "shore")
            self._shared = self._start_shore(path / "shore")

    def _start_shore(self, root: Path) -> Shore:
        key = load_credentials(self._secrets, self._bucket)
        keys = self._path / "keys"
        keys.write_text(f"{key.access_key_id} {key.access_key_secret}\n")
        return self._shores.serve(root, keys)

    async def end(self) -> None:
        """End all processes."""
        await self.movers.end()
        if self._shared is not None:
            self._shared.stop()

    async def cancel(self, state: State, *, boot_id: str = LATER) -> bool:
        """Go on after that power cut, and cancel everything first. AssertionError, TimeoutError say what must not be.

        Whether something had been begun of which the catalog knows nothing is the answer; if not nothing is done.
        """
        home = self.check_promises(state)
        waiting = [one for one in self._recording.facts.files if _statuses(home).get(one.sub_task_id) == "CREATED"]
        if not waiting:
            return False
        shore = self._shared or self._start_shore(home.emulator)
        try:
            if not any(self._is_begun(file, home, shore) for file in waiting):
                return False
            await self._serve(home, shore, boot_id=boot_id, cancels=True)
            self._judge_canceled(home, shore)
        finally:
            if shore is not self._shared:
                shore.stop()
        return True

    def _is_begun(self, file: File, home: Home, shore: Shore) -> bool:
        """Whether there is anything of it, where it is to be or on its way there."""
        if not self._recording.facts.way.is_import:
            with closing(self._truth(home, shore)) as store:
                return any(one.key == file.path for one in store.list_objects(prefix=file.path).objects)
        target = home.path / "filesystem" / file.path
        return (target.parent / names.partial_name(file.sub_task_id).decode()).exists()

    def _judge_canceled(self, home: Home, shore: Shore) -> None:
        recount(home.catalog_file)
        ended = _statuses(home)
        assert set(ended.values()) <= {"COMPLETE", "CANCELED"}, _messages(home)
        for file in self._recording.facts.files:
            if ended.get(file.sub_task_id) == "CANCELED":
                assert not self._is_begun(file, home, shore), f"{file.path} is CANCELED, and there"
                is_import = self._recording.facts.way.is_import
                assert not is_import or not (home.path / "filesystem" / file.path).exists(), f"{file.path} was imported"

    async def run(self, state: State, *, overtaken: bool = False) -> bool:
        """Go on after that power cut. AssertionError says what must not be.

        With `overtaken` somebody replaces every large file that was published before the service is started; whether there was
        one is the answer.
        """
        home = self.check_promises(state)
        replaced = self._replaced(home) if overtaken and self._recording.facts.way.is_import else frozenset()
        shore = self._shared or self._start_shore(home.emulator)
        try:
            await self._serve(home, shore)
            self._judge(home, shore, replaced)
        finally:
            if shore is not self._shared:
                shore.stop()
        return bool(replaced)

    def explain(self, state: State) -> str:
        """How to see it again."""
        lost = "\n    ".join(self._states.lost(state))
        where = self._recording.directory
        return (
            f"state {state} of {self._recording.facts.way}; missing:\n    {lost}\n"
            f"once more: python -m tests.faults.power again {where} '{state}'"
        )

    # ---------------------------------------------------------------------------------------------------------- before it

    def _move_in(self, home: Home) -> None:
        """Settings and secrets, which name where everything is."""
        before = self._recording.directory / "before" / "home"
        text = (before / "penstock.toml").read_text().replace(str(self._recording.world), str(home.path.parent))
        home.settings_file.write_text(text)
        shutil.copy(before / "secrets.toml", home.secrets_file)
        home.settings_file.chmod(0o600)
        home.secrets_file.chmod(0o600)

    def check_promises(self, state: State) -> Home:
        """Make the disk. What was accepted is there; what is COMPLETE is at its target; what was said to be COMPLETE still is."""
        world = self._path / "world"
        shutil.rmtree(world, ignore_errors=True)
        self._states.disk(state).write(world)
        home = Home(path=world / "home")
        self._move_in(home)
        known = _statuses(home)
        for file in self._recording.facts.files:
            said = [
                one.data
                for one in self._recording.answers
                if one.begin <= state.line and file.sub_task_id.encode() in one.data
            ]
            assert not said or file.sub_task_id in known, f"{file.path} was accepted, and is forgotten"
            for end in ("COMPLETE", "CANCELED"):
                if any(_tells(answer, file, end) for answer in said):
                    assert known[file.sub_task_id] == end, f"{file.path} was said to be {end}"
            self._check_cancel(state, file, home, known)
            if known.get(file.sub_task_id) == "COMPLETE" and self._recording.facts.way.is_import:
                target = home.path / "filesystem" / file.path
                assert target.is_file(), f"{file.path} is COMPLETE, and not there"
                assert target.read_bytes() == file.body, f"{file.path} is COMPLETE, and torn"
        return home

    def _check_cancel(self, state: State, file: File, home: Home, known: Mapping[str, str]) -> None:
        """A cancel that was accepted is not forgotten; of what is CANCELED nothing is left, for nobody will look again."""
        facts = self._recording.facts
        if not facts.way.is_canceled:
            return
        status = known.get(file.sub_task_id)
        is_heard = any(facts.cancel.encode() in one.data for one in self._recording.answers if one.begin <= state.line)
        assert not is_heard or status in {"CANCELING", "CANCELED"}, f"{file.path}: its cancel is forgotten"
        if status == "CANCELED" and facts.way.is_import:
            assert _helpers(home) == [], f"{file.path} is CANCELED, and something is left"

    def _replaced(self, home: Home) -> frozenset[str]:
        found: set[str] = set()
        for file in self._recording.facts.files:
            target = home.path / "filesystem" / file.path
            if file.is_large and target.exists():
                target.unlink()
                target.write_bytes(THEIRS)
                found.add(file.path)
        return frozenset(found)

    # ----------------------------------------------------------------------------------------------------------- going on

    async def _serve(self, home: Home, shore: Shore, *, boot_id: str = LATER, cancels: bool = False) -> None:
        """Until all files have ended and nothing is left behind."""
        registry = embed(load_registry(home), endpoint=shore.endpoint, region=shore.region)
        catalog = await Catalog.open(
            SqliteDatabase(home.catalog_file),
            now_ns=time.time_ns,
            entropy=random.Random(str(home.path)).randbytes,
            boot_id=boot_id,
        )
        try:
            if cancels:
                await _cancel_all(catalog, home)
            engine = Engine(
                catalog=catalog,
                executor=self.movers,
                registry=lambda: registry,
                open_bucket=self._open_bucket,
                options=OPTIONS,
                now_ns=time.time_ns,
                jitter=random.Random(1).random,
            )
            await engine.start()
            running = asyncio.create_task(engine.run())
            try:
                await seen_until(
                    lambda: running.done() or set(_statuses(home).values()) <= FINAL,
                    PATIENCE_S,
                    "the files did not end",
                )
                await seen_until(lambda: running.done() or not _helpers(home), PATIENCE_S, "helper files did not go")
            finally:
                await engine.drain(deadline_s=5.0)
                await running
        finally:
            await catalog.close()

    def _truth(self, home: Home, shore: Shore) -> Store:
        registry: Registry = embed(load_registry(home), endpoint=shore.endpoint, region=shore.region)
        return self._open_bucket(replace(registry.buckets[self._bucket], endpoint=shore.endpoint))

    def _open_bucket(self, bucket: Bucket) -> Store:
        return open_store(bucket, load_credentials(self._secrets, bucket.name))

    # --------------------------------------------------------------------------------------------------------- after it

    def _judge(self, home: Home, shore: Shore, replaced: frozenset[str]) -> None:
        recount(home.catalog_file)
        ended = _statuses(home)
        known = {file.sub_task_id: file for file in self._recording.facts.files}
        assert set(ended) <= set(known), "sub-tasks that nobody asked for"
        way = self._recording.facts.way
        assert set(ended.values()) <= ({"COMPLETE", "CANCELED"} if way.is_canceled else {"COMPLETE"}), _messages(home)
        moved = [known[one] for one, status in ended.items() if status == "COMPLETE"]
        if way.is_import:
            for file in moved:
                wanted = THEIRS if file.path in replaced else file.body
                assert (home.path / "filesystem" / file.path).read_bytes() == wanted, f"{file.path} is wrong"
            for one in ended.keys() - {file.sub_task_id for file in moved}:
                assert not (home.path / "filesystem" / known[one].path).exists(), f"{known[one].path} is CANCELED"
        else:
            self._judge_bucket(home, shore, moved)

    def _judge_bucket(self, home: Home, shore: Shore, moved: Sequence[File]) -> None:
        with closing(self._truth(home, shore)) as store:
            for file in moved:
                with store.get(file.path) as stream:
                    body = bytearray(stream.length_bytes)
                    view, got = memoryview(body), 0
                    while (count := stream.readinto(view[got:])) > 0:
                        got += count
                assert bytes(body) == file.body, f"{file.path} is wrong in the bucket"
            assert [one.key for one in store.list_uploads(prefix="")] == [], "uploads are left"
            if self._recording.facts.way.is_canceled:
                there = [one.key for one in store.list_objects(prefix="").objects]
                assert there == [file.path for file in moved], "the object of what is CANCELED"


@asynccontextmanager
async def recoverer(recording: Recording, path: Path) -> AsyncIterator[Recoverer]:
    """One that works in `path`, which it makes."""
    with shores() as open_shores:
        made = Recoverer(recording, path, open_shores)
        try:
            yield made
        finally:
            await made.end()


async def _cancel_all(catalog: Catalog, home: Home) -> None:
    """Of what is live."""
    found = (
        "SELECT file_system_id, data_flow_id, task_id, sub_task_id FROM sub_tasks"
        " JOIN tasks ON tasks.number = sub_tasks.task_number"
        " JOIN data_flows ON data_flows.number = sub_tasks.data_flow_number"
        " WHERE sub_tasks.status IN ('CREATED', 'RUNNING')"
    )
    with closing(sqlite3.connect(home.catalog_file)) as ledger:
        live = ledger.execute(found).fetchall()
    for ids in live:
        await catalog.cancel_sub_task(Call(access_key_id="key", action="Cancel"), *ids)


def _statuses(home: Home) -> Mapping[str, str]:
    """What the catalog says, whether somebody serves it or not; nothing where there is none."""
    if not home.catalog_file.exists():
        return {}
    with closing(sqlite3.connect(home.catalog_file)) as catalog:
        return dict(catalog.execute("SELECT sub_task_id, status FROM sub_tasks"))


def _messages(home: Home) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(home.catalog_file)) as catalog:
        return list(catalog.execute("SELECT source, status, error_code, error_message FROM sub_tasks"))


def _tells(answer: bytes, file: File, status: str) -> bool:
    told = re.search(rb'"DataFlowSubTaskId":"%s".*?"Status":"(\w+)"' % re.escape(file.sub_task_id.encode()), answer)
    return told is not None and told[1] == status.encode()


def _helpers(home: Home) -> list[str]:
    """Partial files and journals, and what was taken for somebody's in their place: nobody is there but us."""
    root = home.path / "filesystem"
    return [path.name for pattern in (HELPERS, "kept-by-*") for path in root.rglob(pattern)]
