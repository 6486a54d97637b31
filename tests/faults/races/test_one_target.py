"""Of sub-tasks with one target, however they lead to it, does one run at a time, in the order in which they were created?"""

from __future__ import annotations

import random
from typing import Any

import alibabacloud_oss_v2 as oss
import pytest
from fastcrc import crc64

from penstock.errors import ApiRefusedError
from penstock.model import ConflictPolicy
from tests.faults.matrix.smallservice import LARGE_BYTES, SMALL_BYTES
from tests.faults.matrix.world import BUCKET, PATIENCE_S, Flow, World
from tests.faults.matrix.worlds import Worlds
from tests.faults.races.conftest import RACES
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.xdist_group("races-world")
FINAL = frozenset({"COMPLETE", "FAILED", "CANCELED", "EXPIRED"})
SIZES = pytest.mark.parametrize("size_bytes", [SMALL_BYTES, LARGE_BYTES] if RACES else [SMALL_BYTES])


def data_flow(world: World, path: str, storage_path: str) -> str:
    """A dataflow between a path of the file system and one of the bucket."""
    made = world.ask(
        "CreateDataFlow", FileSystemPath=path, SourceStorage=f"oss://{BUCKET}", SourceStoragePath=storage_path
    )
    return str(made["DataFlowId"])


def stream(world: World, action: str, of: str, source: str, target: str) -> Flow:
    """A stream of a dataflow between two of its directories."""
    task = world.ask(
        "CreateDataFlowTask",
        DataFlowId=of,
        TaskAction=action,
        DataType="MetaAndData",
        ConflictPolicy="OVERWRITE_EXISTING",
        Directory=source,
        DstDirectory=target,
    )
    return {"DataFlowId": of, "DataFlowTaskId": task["TaskId"]}


def create(world: World, of: Flow, source: str, target: str) -> str:
    """A sub-task's id."""
    return str(world.ask("CreateDataFlowSubTask", **of, SrcFilePath=source, DstFilePath=target)["DataFlowSubTaskId"])


def described(world: World, sub_tasks: list[str]) -> dict[str, dict[str, Any]]:
    """What the API says of each."""
    wanted = [{"Key": "DataFlowSubTaskIds", "Value": ",".join(sub_tasks)}]
    answer = world.ask("DescribeDataFlowSubTasks", Filters=wanted)
    return {item["DataFlowSubTaskId"]: item for item in answer["DataFlowSubTask"]["DataFlowSubTask"]}


def gone_through(world: World, sub_tasks: list[str]) -> None:
    """Let the first go on, and all end; at no time are two of them under way, and they end in their order."""

    def ended() -> bool:
        found = described(world, sub_tasks)
        states = [found[each]["Status"] for each in sub_tasks]
        assert states.count("RUNNING") <= 1, states
        done = [state in FINAL for state in states]
        assert done == sorted(done, reverse=True), states
        return all(done)

    world.proxy.release()
    wait_until(ended, PATIENCE_S, "they did not end")
    found = described(world, sub_tasks)
    assert [found[each]["Status"] for each in sub_tasks] == ["COMPLETE"] * len(sub_tasks)
    ends = [(found[each]["StartTime"], found[each]["EndTime"]) for each in sub_tasks]
    assert ends == sorted(ends)


@SIZES
def test_imports_of_several_flows_and_tasks_to_one_file(worlds: Worlds, size_bytes: int) -> None:
    with worlds.use() as world:
        top = f"c{size_bytes}"
        bodies = {f"from{n}/{top}": random.Random(n).randbytes(size_bytes) for n in range(4)}
        for key, body in bodies.items():
            world.bucket.put_object(oss.PutObjectRequest(bucket=BUCKET, key=f"{top}/{key}", body=body))
        (world.root / top / "deep").mkdir(parents=True)
        outer, inner = data_flow(world, f"/{top}/", f"/{top}/"), data_flow(world, f"/{top}/deep/", f"/{top}/")
        wide = stream(world, "StreamImport", outer, "/", "/")
        narrow = stream(world, "StreamImport", inner, "/", "/")
        directed = stream(world, "StreamImport", outer, "/from2/", "/deep/")
        world.proxy.hold(down_bytes=0)
        made = [
            create(world, wide, f"/from0/{top}", "/deep/f"),
            create(world, narrow, f"/from1/{top}", "/f"),
            create(world, directed, f"/{top}", "/f"),
            create(world, wide, f"/from3/{top}", "/deep/f"),
        ]
        world.proxy.wait_held()
        found = described(world, made)
        assert {found[each]["DstFilePath"] for each in made} == {f"/{top}/deep/f"}
        assert [found[each]["Status"] for each in made] == ["RUNNING", "CREATED", "CREATED", "CREATED"]
        gone_through(world, made)
        assert (world.root / top / "deep" / "f").read_bytes() == bodies[f"from3/{top}"]


def test_exports_of_several_flows_and_tasks_to_one_key(worlds: Worlds) -> None:
    with worlds.use() as world:
        top, size_bytes = "exported", LARGE_BYTES
        bodies = [random.Random(n).randbytes(size_bytes) for n in range(3)]
        (world.root / top / "deep").mkdir(parents=True)
        for number, body in enumerate(bodies):
            (world.root / top / "deep" / f"from{number}").write_bytes(body)
        outer, inner = data_flow(world, f"/{top}/", f"/{top}/"), data_flow(world, f"/{top}/deep/", f"/{top}/to/")
        wide = stream(world, "StreamExport", outer, "/", "/")
        narrow = stream(world, "StreamExport", inner, "/", "/")
        directed = stream(world, "StreamExport", outer, "/deep/", "/to/")
        world.proxy.hold(down_bytes=0)
        made = [
            create(world, wide, "/deep/from0", "/to/f"),
            create(world, narrow, "/from1", "/f"),
            create(world, directed, "/from2", "/f"),
        ]
        world.proxy.wait_held()
        found = described(world, made)
        assert [found[each]["Status"] for each in made] == ["RUNNING", "CREATED", "CREATED"]
        gone_through(world, made)
        assert world.versions(f"{top}/to/f") == [crc64.xz(body) for body in reversed(bodies)]


def test_names_that_mean_the_same_have_one_form(worlds: Worlds) -> None:
    with worlds.use() as world:
        of = world.flow("StreamImport", ConflictPolicy.OVERWRITE_EXISTING)
        for name in "/a//b", "/./a", "/a/./b", "/a/../b", "//a", "/a/", "a", "/a/.":
            with pytest.raises(ApiRefusedError) as refused:
                create(world, of, "/source", name)
            assert refused.value.code in {"IllegalCharacters", "InvalidParameter.InvalidFormat"}, name
