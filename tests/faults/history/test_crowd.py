"""Do all answers to everybody fit together, while movers and the service are killed under mixed work?

PENSTOCK_HISTORY_SEED=7 make test PYTEST_ARGS="tests/faults/history -s"
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss
import pytest
from fastcrc import crc64

from tests.faults.history.crowd import LIVE, PATIENCE_S, Caller, Site, Stream, crowd
from tests.faults.matrix.smallservice import LARGE_BYTES
from tests.fixtures.chance import seed_of
from tests.fixtures.history import History
from tests.fixtures.waiting import wait_until

SEED = seed_of("HISTORY")
ROUNDS = int(os.environ.get("PENSTOCK_HISTORY_ROUNDS", "3"))  # kills; each gets its share of the files
FILES = 50 * ROUNDS


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A served HOME, and the history of all that it answers, kept as text beside it."""
    with (tmp_path / "history.jsonl").open("w") as log:
        made = Site(tmp_path / "home", History(log=log))
        yield made
        made.done.set()
        made.service.stop()


def bucket_of(site: Site) -> oss.Client:
    """The official SDK, at whoever serves now."""
    config = oss.config.load_default()
    keys = site.init["access_key_id"], site.init["access_key_secret"]
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(*keys)
    config.region, config.endpoint = site.init["region"], site.service.oss
    return oss.Client(config)


class Cargo:
    """What is to be moved, and what came of it. Some sources are missing, and some targets are asked for twice."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self.chance = chance
        sizes = [0, 1, 4_000, 20_000, LARGE_BYTES, 3 * LARGE_BYTES]
        self.files = {f"d{n % 7}/f{n:04}": chance.randbytes(chance.choice(sizes)) for n in range(FILES)}
        client = bucket_of(site)
        for name, content in self.files.items():
            client.put_object(oss.PutObjectRequest(bucket=site.bucket, key=f"data/{name}", body=content))
            (site.root / "out" / name).parent.mkdir(parents=True, exist_ok=True)
            (site.root / "out" / name).write_bytes(content)
        (site.root / "in").mkdir()

    def names(self, turn: int) -> list[str]:
        """The files of one of three creators, in an order of chance, with some that are not there and some again."""
        mine = sorted(self.files)[turn::3]
        self.chance.shuffle(mine)
        for name in mine[::9]:
            mine.insert(self.chance.randrange(len(mine)), name)
        for number in range(len(mine) // 15):
            mine.insert(self.chance.randrange(len(mine)), f"missing/{turn}-{number}")
        return mine


@pytest.mark.seeded
def test_all_answers_fit_together(site: Site) -> None:
    print(f"PENSTOCK_HISTORY_SEED={SEED} PENSTOCK_HISTORY_ROUNDS={ROUNDS}")
    cargo = Cargo(site, random.Random(SEED))
    caller = Caller(site)
    streams = [
        caller.open_stream("StreamImport", "/in/", "/data/"),
        caller.open_stream("StreamExport", "/out/", "/saved/"),
    ]
    errands = Errands(streams, cargo)
    with crowd(site, errands.all()) as threads:
        kill_now_and_then(site, caller, random.Random(SEED + 1))
        for thread in threads[: len(errands.creating())]:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), f"{thread.name} does not come to an end"
        filters = [{"DataFlowTaskIds": stream.task_id, "Status": LIVE} for stream in streams]
        wait_until(lambda: not any(map(caller.walk, filters)), PATIENCE_S, "not all sub-tasks have ended")
    found = [caller.walk({"DataFlowTaskIds": stream.task_id}, page=20) for stream in streams]
    for stream in streams:
        caller.call("CancelDataFlowTask", DataFlowId=stream.data_flow_id, TaskId=stream.task_id)
        caller.call("DescribeDataFlowTasks")
    caller.walk({})
    caller.call("DeleteDataFlow", DataFlowId=streams[0].data_flow_id)
    caller.walk({})
    caller.close()
    site.history.check()
    judge_files(site, cargo, found)
    seen = Counter(item["Status"] for items in found for item in items)
    assert seen["COMPLETE"] >= FILES // 2, seen
    assert seen["CANCELED"], seen
    assert seen["FAILED"], seen
    assert site.killed >= ROUNDS


class Errands:
    """What everybody does. Chance is dealt out before, for threads take turns as they like."""

    def __init__(self, streams: list[Stream], cargo: Cargo) -> None:
        self.streams = streams
        self.made: list[tuple[Stream, str]] = []
        self.names = [cargo.names(turn) for turn in range(3)]
        self.dice = [random.Random(cargo.chance.random()) for _ in range(6)]

    def create_with_tokens(self, caller: Caller) -> None:
        dice = self.dice[0]
        for number, name in enumerate(self.names[0]):
            stream = dice.choice(self.streams)
            for _ in range(dice.choice([1, 1, 2])):
                sub_task = caller.move(stream, name, token=f"single-{number}") or ""
            self.made.append((stream, sub_task))

    def create_without(self, caller: Caller) -> None:
        for name in self.names[1]:
            stream = self.dice[1].choice(self.streams)
            sub_task = caller.move(stream, name)
            if sub_task:
                self.made.append((stream, sub_task))

    def create_many(self, caller: Caller) -> None:
        for number in range(0, len(self.names[2]), 12):
            stream = self.dice[2].choice(self.streams)
            for _ in range(self.dice[2].choice([1, 2])):
                ids = caller.move_all(stream, self.names[2][number : number + 12], f"bulk-{number}")
            self.made.extend((stream, one) for one in ids)

    def cancel_some(self, caller: Caller) -> None:
        left = FILES // 5  # most are to arrive
        while left and not caller.site.done.wait(0.03):
            if self.made:
                left -= caller.cancel(*self.dice[3].choice(self.made[-20:]))

    def look_at_some(self, caller: Caller) -> None:
        while not caller.site.done.wait(0.01):
            if self.made:
                chosen = sorted({self.dice[4].choice(self.made)[1] for _ in range(10)})
                caller.walk({"DataFlowSubTaskIds": ",".join(chosen)})

    def look_at_all(self, caller: Caller) -> None:
        dice = self.dice[5]
        while not caller.site.done.wait(0.02):
            of_one = {"DataFlowIds": dice.choice(self.streams).data_flow_id}
            ended = {"Status": dice.choice(["COMPLETE", "CANCELED,FAILED", LIVE])}
            caller.walk(dice.choice([{}, of_one, ended, {**of_one, **ended}]), page=dice.choice([20, 100]))
            caller.call("DescribeDataFlowTasks")

    def creating(self) -> list[Callable[[Caller], None]]:
        """Those that come to an end by themselves."""
        return [self.create_with_tokens, self.create_without, self.create_many]

    def all(self) -> list[Callable[[Caller], None]]:
        """All, those first."""
        return [*self.creating(), self.cancel_some, self.look_at_some, self.look_at_all]


def kill_now_and_then(site: Site, caller: Caller, chance: random.Random) -> None:
    """A mover or the service, in turn, each when some more files have come to their end."""

    def ended() -> int:
        tasks = caller.call("DescribeDataFlowTasks")["TaskInfo"]["Task"]
        return sum(task["ProgressStats"]["FilesDone"] for task in tasks)

    for number in range(ROUNDS):
        goal = ended() + chance.randrange(2, FILES // (2 * ROUNDS))
        wait_until(lambda goal=goal: ended() >= goal, PATIENCE_S, "nothing moves")  # type: ignore[misc]
        if number % 2:
            site.kill_a_mover(chance)
        else:
            site.kill()


def judge_files(site: Site, cargo: Cargo, found: list[list[dict[str, Any]]]) -> None:
    """What is COMPLETE is there and right; nothing half is anywhere."""
    client = bucket_of(site)
    importing, exporting = found
    for item in importing + exporting:
        name = item["SrcFilePath"].removeprefix("/data/").removeprefix("/out/")
        if name not in cargo.files:
            assert item["Status"] in {"FAILED", "CANCELED"}, item
            continue
        assert item["Status"] in {"COMPLETE", "CANCELED"}, item
        if item["Status"] == "COMPLETE":
            assert item["FileDetail"]["Checksum"] == f"crc64:{crc64.xz(cargo.files[name])}", item
    for item in importing:
        name = item["SrcFilePath"].removeprefix("/data/")
        if item["Status"] == "COMPLETE":
            assert (site.root / "in" / name).read_bytes() == cargo.files[name], name
    for item in exporting:
        name = item["SrcFilePath"].removeprefix("/out/")
        if item["Status"] == "COMPLETE":
            answer = client.head_object(oss.HeadObjectRequest(bucket=site.bucket, key=f"saved/{name}"))
            assert int(answer.hash_crc64 or 0) == crc64.xz(cargo.files[name]), name

    def left() -> list[str]:
        listing = client.list_multipart_uploads(oss.ListMultipartUploadsRequest(bucket=site.bucket))
        return [str(path) for path in site.root.rglob(".penstock-*.*")] + [
            str(one.key) for one in listing.uploads or []
        ]

    wait_until(lambda: not left(), 20, "something is left behind")
