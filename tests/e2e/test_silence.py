"""A store that takes every request and answers none: do other buckets go on, are cancels heard, does the service stop?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from penstock.model import AddressingStyle, Bucket, BucketKind, Credentials
from penstock.stores.base import Store
from penstock.stores.opening import open_store
from tests.e2e.cli.processes import alive, descendants
from tests.e2e.sdk import Flow, make_client, open_flow
from tests.faults.matrix.file import HELPERS
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.objects import put_object
from tests.fixtures.service import WARM, RunningService, init_home, run_cli, start_service
from tests.fixtures.silentproxy import SilentProxy
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.waiting import wait_until

LARGE_BYTES = 24 << 20
SMALL = tuple(f"small{number:03}" for number in range(120))  # more than two movers have under way for one bucket
LARGE = tuple(f"large{number}" for number in range(6))
FEW_SMALL, FEW_LARGE = SMALL[:30], LARGE[:2]
PROMPT_S = 40.0  # on a busy machine; who waits for the silent store waits for a minute
AT_ONCE_S = 15.0
KNOWN_S = 45.0
STOP_S = 15.0  # less than the whole time that a drain may take
FINAL = frozenset({"COMPLETE", "FAILED", "CANCELED"})


class World:
    """A served HOME with a bucket that is well, and one behind a proxy that can fall silent."""

    def __init__(self, home: Path, emulator: EmulatorServer, proxy: SilentProxy) -> None:
        self.home = home
        self.proxy = proxy
        self.silent = emulator.bucket(versioning="Enabled")
        self._emulator = emulator
        run_cli(
            "bucket", "add", str(home), self.silent, "--kind", "oss", "--endpoint", proxy.endpoint,
            "--region", emulator.region,
            environment={
                "OSS_ACCESS_KEY_ID": emulator.access_key_id, "OSS_ACCESS_KEY_SECRET": emulator.access_key_secret,
            },
        )  # fmt: skip
        self.service: RunningService = start_service(home, command=WARM)
        self.root = Path(self.service.init["root"])
        self.well = self.service.init["bucket"]

    def store(self, bucket: str) -> Store:
        """A bucket seen from outside, past the proxy."""
        init = self.service.init
        inside = bucket == self.well
        described = Bucket(
            name=bucket,
            kind=BucketKind.OSS,
            endpoint=self.service.oss if inside else self._emulator.endpoint,
            region=init["region"] if inside else self._emulator.region,
            addressing_style=AddressingStyle.PATH,
            abilities={"crc64": True},
        )
        return open_store(
            described,
            Credentials(
                access_key_id=init["access_key_id"] if inside else self._emulator.access_key_id,
                access_key_secret=init["access_key_secret"] if inside else self._emulator.access_key_secret,
            ),
        )

    def flow(
        self, bucket: str, action: str, policy: str = "OVERWRITE_EXISTING", *, names: tuple[str, ...] = ()
    ) -> Flow:
        """A stream between /ACTION-BUCKET-POLICY/ and that prefix of the bucket; whatever is moved lies there already."""
        place = f"{action}-{bucket}-{policy}"
        (self.root / place).mkdir()
        flow = open_flow(
            self.client(), self.service.init["file_system_id"], action=action, paths=(f"/{place}/", f"/{place}/"),
            storage=f"oss://{bucket}", directories=("/", "/"), policy=policy,
        )  # fmt: skip
        names = names or (FEW_SMALL + FEW_LARGE if bucket == self.well else SMALL + LARGE)
        if action == "StreamExport":
            for name in names:
                (self.root / place / name).write_bytes(content(name))
            return flow
        with closing(self.store(bucket)) as store:
            for name in names:
                put_object(store, f"{place}/{name}", content(name))
        return flow

    def client(self) -> Any:
        init = self.service.init
        return make_client(self.service.api, init["access_key_id"], init["access_key_secret"], algorithm=None, ca=None)

    def rebind(self, flow: Flow) -> Flow:
        """The same stream, after a restart."""
        return Flow(
            client=self.client(),
            file_system_id=flow.file_system_id,
            data_flow_id=flow.data_flow_id,
            task_id=flow.task_id,
        )

    def leftovers(self) -> list[str]:
        """What must not be there once all has ended."""
        found = [str(path) for path in self.root.rglob(HELPERS)]
        for bucket in (self.well, self.silent):
            with closing(self.store(bucket)) as store:
                found += [upload.key for upload in store.list_uploads(prefix="")]
        return found


@pytest.fixture
def world(tmp_path: Path, emulator: EmulatorServer) -> Iterator[World]:
    """Stopped at the end, whichever process serves then."""
    init_home(tmp_path / "home")
    with SilentProxy(emulator.endpoint) as proxy:
        made = World(tmp_path / "home", emulator, proxy)
        yield made
        made.service.stop()


def content(name: str) -> bytes:
    """What lies under a name, everywhere."""
    return (name.encode() * 4) if name.startswith("small") else (name.encode() * (LARGE_BYTES // len(name)))


Moves = list[tuple[Flow, dict[str, str]]]


def submitted(flows: list[Flow], names: tuple[str, ...]) -> Moves:
    """Sub-task ids by name, of each flow."""
    return [(flow, {name: flow.move(f"/{name}", f"/{name}") for name in names}) for flow in flows]


def settled(moves: Moves, is_done: Callable[[dict[str, Any]], bool], patience_s: float) -> dict[str, dict[str, Any]]:
    """Every sub-task by id, once `is_done` was seen of each. Fails with what is not done."""
    wanted = [(flow, set(ids.values())) for flow, ids in moves]
    done: dict[str, dict[str, Any]] = {}
    late: list[dict[str, Any]] = []

    def all_done() -> bool:
        late.clear()
        for flow, ids in wanted:
            if ids <= done.keys():
                continue
            items = flow.items()
            new = [items[one] for one in ids - done.keys()]
            done.update({item["DataFlowSubTaskId"]: item for item in new if is_done(item)})
            late.extend(item for item in new if item["DataFlowSubTaskId"] not in done)
        return not late

    try:
        wait_until(all_done, patience_s, "not all are done")
    except TimeoutError as error:
        raise AssertionError(f"{len(late)} not done within {patience_s:g} s, such as {late[0]}") from error
    return done


def is_complete(item: dict[str, Any]) -> bool:
    assert item["Status"] not in {"FAILED", "CANCELED"}, item
    return bool(item["Status"] == "COMPLETE")


def is_final(item: dict[str, Any]) -> bool:
    return item["Status"] in FINAL


def is_final_or_explained(item: dict[str, Any]) -> bool:
    return item["Status"] in FINAL or (item["Status"] == "CANCELING" and bool(item["ErrorMsg"]))


def check_well(world: World, actions: list[Flow]) -> None:
    """Files of the other bucket, of either size and in either direction, arrive as if there were no silence."""
    settled(submitted(actions, FEW_SMALL + FEW_LARGE), is_complete, PROMPT_S)


def cancel_all(moves: Moves) -> None:
    for flow, ids in moves:
        for sub_task in ids.values():
            flow.cancel(sub_task)


def test_a_silent_store_holds_up_nobody_else_and_lets_go(world: World) -> None:
    """Found by a stranger: small files of other buckets stood still. Here from the first request to the last leftover."""
    imports = world.flow(world.silent, "StreamImport")
    exports = [
        world.flow(world.silent, "StreamExport"),
        world.flow(world.silent, "StreamExport", "SKIP_THE_FILE"),
    ]
    well = [world.flow(world.well, action) for action in ("StreamImport", "StreamExport")]
    world.proxy.fall_silent()
    coming, going = submitted([imports], SMALL + LARGE), submitted(exports, SMALL + LARGE)
    wait_until(lambda: world.proxy.heard >= 8, PROMPT_S, "too little was asked of the silent store")
    check_well(world, well)

    cancel_all(coming)
    ended = settled(coming, is_final, AT_ONCE_S)
    assert {item["Status"] for item in ended.values()} == {"CANCELED"}
    cancel_all(going)
    settled(going, is_final_or_explained, KNOWN_S)
    check_well(world, well)

    children = descendants(world.service.pid)
    watch = Stopwatch()
    assert world.service.stop() == 0
    assert watch.took_s() < STOP_S
    assert alive(children) == []

    world.proxy.speak()
    world.service = start_service(world.home, command=WARM)
    ended = settled([(world.rebind(flow), ids) for flow, ids in going], is_final, KNOWN_S)
    assert {item["Status"] for item in ended.values()} == {"CANCELED"}
    wait_until(lambda: not world.leftovers(), PROMPT_S, "something is left behind")
    with closing(world.store(world.silent)) as store:
        assert not [info.key for info in store.list_objects(prefix="StreamExport").objects]
