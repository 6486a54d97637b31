"""Does a service that is started after a power cut keep every promise, whatever of the unsynced writes is missing?"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.app.boot import boot_id
from tests.faults.power.disk import changes_of
from tests.faults.power.operations import Kind
from tests.faults.power.recording import WAYS, Recording, Way
from tests.faults.power.recovery import recoverer
from tests.fixtures.chance import seed_of

pytestmark = [pytest.mark.anyio, pytest.mark.seeded, pytest.mark.xdist_group("power")]

Recorded = Callable[[Way], Recording]

SEED = seed_of("POWER")
TRIED = {
    Way.IMPORT_SMALL: 6,
    Way.IMPORT_LARGE: 10,
    Way.EXPORT_SMALL: 1,
    Way.EXPORT_LARGE: 3,
    Way.ACCEPTED: 4,
    Way.SYNC_FAILS: 4,
    Way.IMPORT_MIDDLING: 6,
    Way.CANCEL_IMPORT: 6,
    Way.CANCEL_EXPORT: 3,
    Way.IMPORT_KILLED: 4,
}
"""How many disks are tried here, others each time; `make power-cuts` tries all. Those of exports need a bucket server each."""


@pytest.mark.parametrize("way", WAYS)
async def test_after_a_power_cut_nothing_is_lost_and_nothing_torn(recorded: Recorded, tmp_path: Path, way: Way) -> None:
    recording, chance = recorded(way), random.Random(SEED)
    async with recoverer(recording, tmp_path / "disk") as made:
        for state in recording.states().some(TRIED[way], chance):
            try:
                await made.run(state, overtaken=chance.random() < 0.5)
            except (AssertionError, TimeoutError) as error:
                error.add_note(f"PENSTOCK_POWER_SEED={SEED}: {made.explain(state)}")
                raise


NO_CHANCE = "in this record every claim was made durable by chance, by what came right after it"


@pytest.mark.parametrize("way", [Way.IMPORT_SMALL, Way.EXPORT_SMALL])
async def test_what_was_begun_and_forgotten_is_not_canceled_unlooked_at(
    recorded: Recorded, tmp_path: Path, way: Way
) -> None:
    """A claim waits for no disk: its file may have been begun, and the catalog knows nothing of it."""
    recording = recorded(way)
    async with recoverer(recording, tmp_path / "disk") as made:
        for state in recording.forgetful():
            try:
                if await made.cancel(state):
                    return
            except (AssertionError, TimeoutError) as error:
                error.add_note(made.explain(state))
                raise
    pytest.skip(NO_CHANCE)


async def test_a_service_that_notices_no_power_cut_leaves_it_there(recorded: Recorded, tmp_path: Path) -> None:
    """That there are such disks at all: the catalog is opened as if the machine had lived on."""
    recording = recorded(Way.EXPORT_SMALL)
    async with recoverer(recording, tmp_path / "disk") as made:
        for state in recording.forgetful():
            try:
                if await made.cancel(state, boot_id=boot_id(os.urandom)):
                    pytest.fail(f"an object is not left: {state}")
            except AssertionError as error:
                assert "is CANCELED, and there" in str(error)  # noqa: PT017  (of any of the states)
                return
    pytest.skip(NO_CHANCE)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        (r".partial", "is COMPLETE, and torn"),
        ("deep", "is COMPLETE, and not there"),
        ("catalog.db-wal", "was accepted, and is forgotten"),
    ],
)
async def test_without_a_sync_there_is_a_disk_that_breaks_a_promise(
    recorded: Recorded, tmp_path: Path, path: str, what: str
) -> None:
    """The very states that would have been found, had the program forgotten to sync."""
    recording = recorded(Way.IMPORT_LARGE)
    careless = Recording(recording.directory)
    careless.operations = [
        one for one in recording.operations if not (one.kind in {Kind.SYNC, Kind.DATA_SYNC} and one.path.endswith(path))
    ]
    careless.changes, careless.end = changes_of(
        careless.before, careless.operations, careless.world, matters=careless.matters
    )
    async with recoverer(careless, tmp_path / "disk") as made:
        for state in reversed(careless.states().some(400, random.Random(SEED))):
            try:
                made.check_promises(state)
            except AssertionError as error:
                if what in str(error):
                    return
            except sqlite3.DatabaseError:
                continue  # without its log's syncs the catalog itself is not to be read any more
    pytest.fail("no disk shows it")
