"""Does this version serve a HOME of an older one: is its history told, and does all that was unfinished come to its end?"""

from __future__ import annotations

import json
import os
import sqlite3
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastcrc import crc64

from penstock.catalog.schema_versions import LEDGER, files
from penstock.settings.reading import load_registry, open_home
from penstock.stores.base import Store
from penstock.stores.keychain import Keychain
from penstock.stores.opening import open_store
from tests.e2e.batches import reports
from tests.fixtures.objects import read_object
from tests.fixtures.service import start_service
from tests.fixtures.site import PATIENCE_S, Site, Stream
from tests.fixtures.waiting import wait_until
from tests.upgrades.story import (
    ABSENT,
    BATCH,
    BATCHING,
    FINISHED,
    LARGE_IN,
    LARGE_OUT,
    STORY_FILE,
    WAITING,
    Told,
    content,
    task_of,
)

HERE = Path(__file__).parent
OLD_HOMES = sorted(HERE.glob("home-*.tar.xz"))


@pytest.fixture(params=OLD_HOMES, ids=lambda path: path.name.partition(".")[0])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Told]:
    """An old HOME, unpacked somewhere else than where it was made, as after a move to another machine."""
    archive: Path = request.param
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="fully_trusted")
    told = Told(**json.loads((tmp_path / STORY_FILE).read_text()))
    home = tmp_path / "home"
    settings = home / "penstock.toml"
    settings.write_text(settings.read_text().replace(told.home, str(home)))
    assert schema_of(home) == int(archive.name.removeprefix("home-").partition(".")[0])
    (tmp_path / "home.init.json").write_text(json.dumps(who_may(home)))
    return home, told


@pytest.fixture
def site(old: tuple[Path, Told]) -> Iterator[Site]:
    """It is served."""
    served = Site.of(start_service(old[0]))
    yield served
    served.close()


def who_may(home: Path) -> dict[str, str]:
    """What `init --json` had printed."""
    registry = load_registry(open_home(home))
    (key,), (file_system,), (bucket,) = (
        registry.access_keys.values(), registry.file_systems.values(), registry.buckets.values(),
    )  # fmt: skip
    return {
        "access_key_id": key.access_key_id,
        "access_key_secret": key.secret,
        "file_system_id": file_system.file_system_id,
        "root": file_system.root,
        "bucket": bucket.name,
    }


def schema_of(home: Path) -> int:
    """The newest schema that its catalog has. Only read: its log is left for the service to take up."""
    with closing(sqlite3.connect(f"file:{home / 'catalog.db'}?mode=ro", uri=True)) as raw:
        return int(raw.execute("SELECT max(version) FROM schema_versions").fetchone()[0])


def bucket_of(site: Site) -> Store:
    """The embedded bucket, with the keys of HOME."""
    home = open_home(site.service.home)
    (bucket,) = load_registry(home).buckets.values()
    return open_store(replace(bucket, endpoint=site.service.oss), Keychain(home.secrets_file, os.environ).of(bucket))


def told_of(site: Site, told: Told, task_id: str) -> dict[str, Any]:
    """A batch that had ended, or now has."""
    return dict(task_of(site, stream_of(told, task_id)))


def stream_of(told: Told, task_id: str) -> Stream:
    """A stream that was open then."""
    flow = told.waiting_flow if task_id == told.waiting else told.flow
    return Stream(data_flow_id=flow, task_id=task_id)


def test_an_old_home_is_served_and_what_was_unfinished_moves(old: tuple[Path, Told], site: Site) -> None:
    home, told = old
    assert schema_of(home) == max(version for version, _ in files(LEDGER))

    done = site.rows(stream_of(told, told.finished)).values()
    assert {row["DstFilePath"].removeprefix("/finished/") for row in done} == set(FINISHED)
    for row in done:
        whole = content(row["DstFilePath"].removeprefix("/finished/"))
        assert (row["Status"], row["Progress"]) == ("COMPLETE", 10_000)
        assert row["FileDetail"]["Checksum"] == f"crc64:{crc64.xz(whole)}"
    failed = site.rows(stream_of(told, told.failed)).values()
    assert [row["Status"] for row in failed] == ["FAILED"] * len(ABSENT)
    assert all(row["ErrorMsg"].startswith("SourceNotFound") for row in failed)

    for task_id in (told.importing, told.exporting):
        site.all_complete(stream_of(told, task_id))
    assert (site.root / "in" / LARGE_IN).read_bytes() == content(LARGE_IN)
    with closing(bucket_of(site)) as bucket:
        for name in LARGE_OUT:
            assert read_object(bucket, f"out/{name}") == content(name)
        assert list(bucket.list_uploads(prefix="")) == []
    if told.batch:
        done_before = reports(told_of(site, told, told.batch))
        assert {name.removeprefix("/") for name in done_before["Success"]} == set(BATCH)
        task = wait_until(lambda: ended(told_of(site, told, told.batching)), PATIENCE_S, "a batch of then does not end")
        assert set(reports(task)["Success"]) == {f"/{name}" for name in BATCHING}
        with closing(bucket_of(site)) as bucket:
            assert all(read_object(bucket, name) == content(name) for name in BATCHING)
    site.none_left()


def ended(task: dict[str, Any]) -> dict[str, Any]:
    return task if task["Status"] == "Completed" else {}


def test_what_waited_in_an_old_home_waits_until_its_dataflow_is_started(old: tuple[Path, Told], site: Site) -> None:
    told = old[1]
    waiting = stream_of(told, told.waiting)
    before = Counter(row["Status"] for row in site.rows(waiting).values())
    assert before["CANCELED"] == 1
    assert before["CREATED"] > len(WAITING) // 2
    site.call("StartDataFlow", DataFlowId=told.waiting_flow)
    after = Counter(row["Status"] for row in site.ended(waiting).values())
    assert after == {"CANCELED": 1, "COMPLETE": len(WAITING) - 1}
    with closing(bucket_of(site)) as bucket:
        for name in WAITING[:-1]:
            assert read_object(bucket, name) == content(name)
