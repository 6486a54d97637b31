"""What do SIGKILL, SIGTERM and a cancel leave behind, seen from outside, while files really move?

PENSTOCK_TEST_SEED=7 PENSTOCK_SIGKILL_ROUNDS=5 make test PYTEST_ARGS=tests/e2e/test_sigkill.py
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss
import pytest
from fastcrc import crc64

from tests.e2e.sdk import DEADLINE_S, Flow, make_client, open_flow
from tests.fixtures.chance import seed_of
from tests.fixtures.service import WARM, init_home, start_service
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.waiting import wait_until

LARGE_BYTES = 48 << 20
SMALL_COUNT = 60
NAP_S = 0.005  # between two looks for what lasts a moment only
LARGE_COUNT = 3
HEARD_S = 2.0
BUSY_S = 6.0  # of a machine that others use; a cancel that is not heard is never done
ROUNDS = int(os.environ.get("PENSTOCK_SIGKILL_ROUNDS", "1"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A HOME made by init."""
    init_home(tmp_path / "home")
    return tmp_path / "home"


class World:
    """A served HOME that can be killed and started again, its bucket seen through the official OSS SDK."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.service = start_service(home, command=WARM)
        self.root = Path(self.service.init["root"])
        self.bucket = self.service.init["bucket"]

    def restart(self) -> None:
        self.service = start_service(self.home, command=WARM)

    def oss(self) -> oss.Client:
        config = oss.config.load_default()
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(
            self.service.init["access_key_id"], self.service.init["access_key_secret"]
        )
        config.region, config.endpoint = self.service.init["region"], self.service.oss
        return oss.Client(config)

    def client(self) -> Any:
        init = self.service.init
        return make_client(self.service.api, init["access_key_id"], init["access_key_secret"], algorithm=None, ca=None)

    def leftovers(self) -> list[str]:
        """Names that must not be there once all is settled: partial files, journals, unfinished uploads."""
        names = [str(path) for path in self.root.rglob(".penstock-*.*")]
        listing = self.oss().list_multipart_uploads(oss.ListMultipartUploadsRequest(bucket=self.bucket))
        return names + [str(upload.key) for upload in listing.uploads or []]


@pytest.fixture
def world(home: Path) -> Iterator[World]:
    """Stopped at the end, whichever process serves then."""
    made = World(home)
    yield made
    made.service.stop()


def open_both(world: World) -> tuple[Flow, Flow]:
    """One stream in, one stream out, on one versioned bucket."""
    init = world.service.init
    (world.root / "in").mkdir()
    (world.root / "out").mkdir()
    storage = f"oss://{world.bucket}"
    directories = ("/", "/")
    importing = open_flow(
        world.client(), init["file_system_id"], action="StreamImport", paths=("/in/", "/data/"), storage=storage,
        directories=directories,
    )  # fmt: skip
    exporting = open_flow(
        world.client(), init["file_system_id"], action="StreamExport", paths=("/out/", "/saved/"), storage=storage,
        directories=directories,
    )  # fmt: skip
    return importing, exporting


def contents(seed: int) -> dict[str, bytes]:
    """Name to bytes: many small files, a few large ones, one empty."""
    source = random.Random(seed)
    files = {f"small/{n:03}": source.randbytes(source.randrange(1, 20_000)) for n in range(SMALL_COUNT)}
    files |= {f"large/{n}": source.randbytes(LARGE_BYTES + n) for n in range(LARGE_COUNT)}
    return files | {"empty": b""}


def submit_all(flow: Flow, names: list[str]) -> dict[str, str]:
    """Sub-task id by name."""
    return {name: flow.move(f"/{name}", f"/{name}") for name in names}


def rebind(world: World, flow: Flow) -> Flow:
    """The same stream after a restart, on the new port."""
    return Flow(
        client=world.client(),
        file_system_id=flow.file_system_id,
        data_flow_id=flow.data_flow_id,
        task_id=flow.task_id,
    )


def wait_until_moved(flow: Flow, ids: list[str], count: int) -> None:
    """Return once `count` of these sub-tasks are COMPLETE: a moment that differs from seed to seed."""

    def are_moved() -> bool:
        moved = [one for one, item in flow.items().items() if one in ids and item["Status"] == "COMPLETE"]
        return len(moved) >= count

    wait_until(are_moved, DEADLINE_S, "nothing moves", nap_s=NAP_S)


def check_imported(world: World, files: dict[str, bytes]) -> None:
    for name, body in files.items():
        assert (world.root / "in" / name).read_bytes() == body, name


def check_exported(world: World, files: dict[str, bytes]) -> None:
    client = world.oss()
    for name, body in files.items():
        answer = client.head_object(oss.HeadObjectRequest(bucket=world.bucket, key=f"saved/{name}"))
        assert (int(answer.content_length), int(answer.hash_crc64)) == (len(body), crc64.xz(body)), name


@pytest.mark.seeded
@pytest.mark.parametrize("round_", range(ROUNDS))
def test_sigkill_of_the_service_loses_and_leaves_nothing(world: World, round_: int) -> None:
    seed = seed_of("TEST") + round_
    print(f"PENSTOCK_TEST_SEED={seed - round_}")
    moment, files = random.Random(seed), contents(seed)
    importing, exporting = open_both(world)
    client = world.oss()
    for name, body in files.items():
        client.put_object(oss.PutObjectRequest(bucket=world.bucket, key=f"data/{name}", body=body))
        (world.root / "out" / name).parent.mkdir(exist_ok=True)
        (world.root / "out" / name).write_bytes(body)
    names = moment.sample(sorted(files), len(files))
    incoming, outgoing = submit_all(importing, names), submit_all(exporting, names)
    watched = moment.choice([(importing, incoming), (exporting, outgoing)])
    wait_until_moved(watched[0], moment.sample(sorted(watched[1].values()), 12), moment.randrange(0, 12))
    world.service.kill()
    world.restart()
    importing, exporting = rebind(world, importing), rebind(world, exporting)
    for flow, ids in ((importing, incoming), (exporting, outgoing)):
        for name, sub_task in ids.items():
            item = flow.wait(sub_task)
            assert (item["Status"], item["ErrorMsg"]) == ("COMPLETE", ""), (seed, name, item)
            assert item["FileDetail"]["Checksum"] == f"crc64:{crc64.xz(files[name])}"
    check_imported(world, files)
    check_exported(world, files)
    wait_for_nothing_left(world)


def wait_for_nothing_left(world: World) -> None:
    """Journals are removed just after their sub-task is settled."""
    try:
        wait_until(lambda: not world.leftovers(), 30, "something is left")
    except TimeoutError as error:
        raise AssertionError(world.leftovers()) from error


def test_sigterm_drains_and_a_restart_goes_on(world: World) -> None:
    body = os.urandom(LARGE_BYTES * 4)
    importing, exporting = open_both(world)
    (world.root / "out/big").write_bytes(body)
    world.oss().put_object(oss.PutObjectRequest(bucket=world.bucket, key="data/big", body=body))
    ids = [(importing, importing.move("/big", "/big")), (exporting, exporting.move("/big", "/big"))]
    wait_until(lambda: importing.describe(ids[0][1])["Status"] != "CREATED", DEADLINE_S, "it is not begun", nap_s=NAP_S)
    assert world.service.stop() == 0
    world.restart()
    for flow, sub_task in ids:
        item = rebind(world, flow).wait(sub_task)
        assert item["Status"] == "COMPLETE", item
    check_imported(world, {"big": body})
    check_exported(world, {"big": body})
    wait_for_nothing_left(world)


def test_a_cancel_of_running_work_leaves_nothing(world: World) -> None:
    body = os.urandom(LARGE_BYTES * 8)
    importing, exporting = open_both(world)
    (world.root / "out/big").write_bytes(body)
    world.oss().put_object(oss.PutObjectRequest(bucket=world.bucket, key="data/big", body=body))
    for flow, target in ((importing, world.root / "in/big"), (exporting, None)):
        sub_task = flow.move("/big", "/big")
        wait_until(world.leftovers, DEADLINE_S, "no partial file and no upload: no bytes on their way", nap_s=NAP_S)
        flow.cancel(sub_task)
        watch = Stopwatch()
        item = flow.wait(sub_task)
        assert item["Status"] == "CANCELED", item
        assert watch.took_s() < HEARD_S + BUSY_S
        assert not world.leftovers()
        if target is not None:
            assert not target.exists()
        else:
            assert not world.oss().is_object_exist(world.bucket, "saved/big")
