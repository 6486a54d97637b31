"""Do batches move what they were asked to, whatever lies there, and is every report exactly true: after SIGKILLs, too?

PENSTOCK_TEST_SEED=7 make test PYTEST_ARGS=tests/e2e/test_batches.py; `make batches` has many more files and deaths.
"""

from __future__ import annotations

import json
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_nas20170626 import models as nas
from fastcrc import crc64

from penstock import failpoints
from tests.e2e.batches import DEADLINE_S, NAP_S, Batches, Lines, read_report, reports
from tests.e2e.sdk import open_stream
from tests.e2e.test_sigkill import World
from tests.fixtures.chance import seed_of
from tests.fixtures.service import WARM, init_home, start_service
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.waiting import wait_until

FILES = int(os.environ.get("PENSTOCK_BATCH_FILES", "1500"))
KILLS = int(os.environ.get("PENSTOCK_BATCH_KILLS", "2"))
PATIENCE_S = max(DEADLINE_S, FILES / 50)
COMMITS = 5
CANCEL_S = 10.0

Placed = tuple[Batches, Path, str]
"""Batches of a new dataflow, its directory, and its prefix in the bucket without `/` in front."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A served HOME."""
    home = tmp_path_factory.mktemp("batches") / "home"
    init_home(home)
    made = World(home)
    yield made
    made.service.stop()


@pytest.fixture(scope="module")
def place(world: World) -> Callable[[], Placed]:
    """Makes a dataflow of its own."""
    numbers = count(1)

    def make() -> Placed:
        number = next(numbers)
        root = world.root / f"side{number}"
        root.mkdir()
        storage, prefix = f"oss://{world.bucket}", f"far{number}/"
        init = world.service.init
        batches = Batches.on(
            world.client(), init["file_system_id"], path=f"/side{number}/", storage=storage, prefix=f"/{prefix}"
        )
        return batches, root, prefix

    return make


def put(world: World, prefix: str, objects: dict[str, bytes]) -> None:
    client = world.oss()
    for name, body in objects.items():
        client.put_object(oss.PutObjectRequest(bucket=world.bucket, key=prefix + name, body=body))


def get(world: World, key: str) -> bytes:
    body = world.oss().get_object(oss.GetObjectRequest(bucket=world.bucket, key=key)).body
    assert body is not None
    return bytes(body.read())


def keys(world: World, prefix: str) -> set[str]:
    found: set[str] = set()
    for page in (
        world.oss().list_objects_v2_paginator().iter_page(oss.ListObjectsV2Request(bucket=world.bucket, prefix=prefix))
    ):
        found |= {str(one.key).removeprefix(prefix) for one in page.contents or []}
    return found


def write(root: Path, files: dict[str, bytes]) -> None:
    for name, body in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(body)


def read(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def refreshed(batches: Batches, number: int) -> dict[str, Lines]:
    """The reports of the newest auto-refresh, once there were so many, and all of them are over."""
    request = nas.DescribeDataFlowTasksRequest(
        file_system_id=batches.file_system_id,
        filters=[
            nas.DescribeDataFlowTasksRequestFilters(key="Originator", value="System"),
            nas.DescribeDataFlowTasksRequestFilters(key="DataFlowIds", value=batches.data_flow_id),
        ],
    )

    def ended() -> dict[str, Any] | None:
        found = batches.client.describe_data_flow_tasks(request).to_map()["body"]["TaskInfo"]["Task"]
        return found[0] if len(found) == number and found[0]["Status"] == "Completed" else None

    newest = wait_until(ended, DEADLINE_S, f"there are no {number} auto-refreshes that have ended", nap_s=NAP_S)
    assert newest is not None
    return reports(newest)


def look_now(batches: Batches) -> None:
    """Turn its auto-refresh off and on: what is on anew is looked at at once."""
    for policy in ("None", "ImportChanged"):
        batches.client.modify_data_flow_auto_refresh(
            nas.ModifyDataFlowAutoRefreshRequest(
                file_system_id=batches.file_system_id, data_flow_id=batches.data_flow_id, auto_refresh_policy=policy
            )
        )


@pytest.mark.rule("REFRESH-5")
@pytest.mark.rule("REFRESH-6")
def test_an_auto_refresh_brings_what_has_changed_and_keeps_what_is_newer_here(
    world: World, place: Callable[[], Placed]
) -> None:
    batches, root, prefix = place()
    write(root, {"live/mine": b"newer", "live/gone": b"stays"})
    later = time.time() + 3600
    os.utime(root / "live/mine", (later, later))
    put(world, prefix, {"live/a": b"1", "live/deep/b": b"2", "live/mine": b"older", "aside": b"3"})
    path = nas.ApplyDataFlowAutoRefreshRequestAutoRefreshs(refresh_path="/live/")
    batches.client.apply_data_flow_auto_refresh(
        nas.ApplyDataFlowAutoRefreshRequest(
            file_system_id=batches.file_system_id,
            data_flow_id=batches.data_flow_id,
            auto_refreshs=[path],
            auto_refresh_policy="ImportChanged",
        )
    )
    first = refreshed(batches, 1)
    assert (len(first["Success"]), len(first["Skipped"]), len(first["Failed"])) == (2, 1, 0)
    before = {"live/mine": b"newer", "live/gone": b"stays", "live/a": b"1", "live/deep/b": b"2"}
    assert read(root) == before
    stamp = (root / "live/deep/b").stat().st_mtime_ns
    put(world, prefix, {"live/a": b"another", "live/new": b"4"})
    look_now(batches)
    world.service.kill()
    world.restart()
    batches.client = world.client()
    second = refreshed(batches, 2)
    assert second["Success"].keys() == {f"/{prefix}live/a", f"/{prefix}live/new"}
    assert read(root) == before | {"live/a": b"another", "live/new": b"4"}
    assert (root / "live/deep/b").stat().st_mtime_ns == stamp


def code(line: dict[str, str]) -> str:
    return line["Reason"].partition(":")[0]


@pytest.mark.rule("TASK-13")
@pytest.mark.rule("TASK-15")
@pytest.mark.rule("BATCH-1")
@pytest.mark.rule("BATCH-4")
def test_an_import_moves_all_and_says_what_it_could_not(world: World, place: Callable[[], Placed]) -> None:
    batches, root, prefix = place()
    plain = {"x/one": b"1", "x/two": b"22", "empty": b"", "ü/ö.bin": os.urandom(3_000_000)}
    odd = {"mark/": b"", "full/": b"7", "n" * 300: b"long", "x//y": b"twice"}
    put(world, prefix, plain | odd | {".penstock-mine": b"no", "both": b"b", "both/c": b"c"})
    task = batches.run("Import", directory="/")
    assert (task["Status"], task["ErrorMsg"]) == ("Completed", "")
    told = reports(task)
    lies = read(root)
    won = "both" if "both" in lies else "both/c"
    assert {name.removeprefix(f"/{prefix}") for name in told["Success"]} == {*plain, won}
    assert lies == plain | {won: b"b" if won == "both" else b"c"}
    line = told["Success"][f"/{prefix}ü/ö.bin"]
    body = plain["ü/ö.bin"]
    assert (line["DstFilePath"], line["Checksum"]) == (f"/{root.name}/ü/ö.bin", f"crc64:{crc64.xz(body)}")
    assert (line["Attempts"], line["Reason"], int(line["ModifyTime"]) > 10**18) == ("1", "", True)
    assert line["StartTime"] <= line["EndTime"]
    assert {name: code(line) for name, line in told["Skipped"].items()} == {f"/{prefix}mark/": "SourceIsDirectory"}
    failed = {name.removeprefix(f"/{prefix}"): code(line) for name, line in told["Failed"].items()}
    lost = {"both/c": "TargetParentIsNotDirectory", "both": "TargetIsDirectory"}
    assert failed == {
        "full/": "SourceIsDirectory",
        "n" * 300: "NameTooLong",
        "x//y": "OutsideFileSystem",
    } | {name: why for name, why in lost.items() if name != won}
    assert task["ReportPath"] == f"oss://{world.bucket}/{prefix}.penstock-reports/{task['TaskId']}/"
    for report in task["Reports"]["Report"]:
        key = f"{prefix}.penstock-reports/{task['TaskId']}/{report['Name']}.csv"
        with urllib.request.urlopen(report["Path"], timeout=30) as answer:
            assert answer.read() == get(world, key)
    assert "Reports" not in batches.describe(task["TaskId"], with_reports=False)
    again = batches.run("Import", directory="/", policy="SKIP_THE_FILE")
    assert {name for name, line in reports(again)["Skipped"].items() if code(line) == "TargetKept"} == {
        f"/{prefix}{name}" for name in (*plain, won)
    }


@pytest.mark.rule("BATCH-2")
def test_an_export_moves_all_and_says_what_it_could_not(world: World, place: Callable[[], Placed]) -> None:
    batches, root, prefix = place()
    files = {"deep/down/file": b"d", "zero": b"", "large": os.urandom(9_000_000)}
    write(root, files)
    (root / "link").symlink_to("zero")
    (root / "linked").symlink_to("deep")
    os.mkfifo(root / "fifo")
    (root / "hollow/inner").mkdir(parents=True)
    (root / ".penstock-0123456789abcdef.partial").write_bytes(b"ours")
    os.close(os.open(os.fsencode(root) + b"/\xff", os.O_CREAT | os.O_WRONLY))
    task = batches.run("Export", directory="/", dst_directory="/saved/")
    assert task["Status"] == "Completed"
    told = reports(task)
    assert {name.removeprefix(f"/{root.name}/") for name in told["Success"]} == set(files)
    saved = f"{prefix}saved/"
    assert {name: get(world, saved + name) for name in keys(world, saved)} == files
    skipped = {name.removeprefix(f"/{root.name}/"): code(line) for name, line in told["Skipped"].items()}
    links = dict.fromkeys(("link", "linked"), "SourceIsSymlink")
    assert skipped == {"hollow/inner/": "SourceIsDirectory", **links}
    failed = {name.removeprefix(f"/{root.name}/"): code(line) for name, line in told["Failed"].items()}
    assert failed == {"fifo": "SourceNotRegular", "\\xff": "NotSupported"}
    (root / ".penstock-0123456789abcdef.partial").unlink()  # whoever looks for what is left is not to find it


@pytest.mark.rule("BATCH-5")
def test_lists_say_what_is_moved(world: World, place: Callable[[], Placed]) -> None:
    batches, root, prefix = place()
    names = ("a/1", "a/2", "b/1", "b/c/1", "d/1", "top")
    put(world, prefix, {name: name.encode() for name in names})
    put(world, f"{prefix}lists/", {"1.csv": b"Name,Type\r\nb/,dir\r\ntop,file\r\n", "2.csv": b"Name\nd/1\nnone\n"})

    def moved(to: str, **asked: Any) -> set[str]:
        task = batches.run("Import", dst_directory=f"/{to}/", create_dir_if_not_exist=True, **asked)
        assert task["Status"] == "Completed", task
        told = reports(task)
        assert {name for name in told["Failed"] if not name.endswith("/none")} == set()
        return set(read(root / to))

    assert moved("1", directory="/b/") == {"1", "c/1"}
    assert moved("2", directory="/", includes='["/a/","/b/c/"]') == {"a/1", "a/2", "b/c/1"}
    assert moved("3", entry_list='["/top","/b/","/none","/b/1"]') == {"top", "b/1", "b/c/1"}
    assert moved("4", transfer_file_list_path=f"/{prefix}lists/") == {"b/1", "b/c/1", "top", "d/1"}
    put(world, f"{prefix}more/", {"1.csv": b'Name\nnot/\n"d/1"\nnot here/\n'})
    put(world, prefix, {"new\nline": b"n", "new": b"another"})
    put(world, f"{prefix}odd/", {"1.csv": b'Name\n"new\nline"\n'})
    for asked in ({"transfer_file_list_path": f"/{prefix}more/"}, {"entry_list": '["/not/","/d/1","/not here/"]'}):
        task = batches.run("Import", dst_directory="/5/", create_dir_if_not_exist=True, **asked)
        failed = {line["SrcFilePath"]: line["Reason"] for line in reports(task)["Failed"].values()}
        assert {name.removeprefix(f"/{prefix}") for name in failed} == {"not/", "not here/"}, (
            "silent about what is missing"
        )
        assert all(reason.startswith("SourceNotFound") for reason in failed.values())
        assert set(read(root / "5")) == {"d/1"}
    assert moved("6", transfer_file_list_path=f"/{prefix}odd/") == {"new\nline"}
    write(root / "out", {"e/f": b"f", "g": b"g", "h": b"h"})
    (root / "out/empty").mkdir()
    task = batches.run("Export", entry_list='["/out/none/","/out/empty/","/out/h"]', dst_directory="/some/")
    told = reports(task)
    assert keys(world, f"{prefix}some/") == {"out/h"}
    assert [line["Reason"].partition(":")[0] for line in told["Failed"].values()] == ["SourceNotFound"]
    assert [line["Reason"].partition(":")[0] for line in told["Skipped"].values()] == ["SourceIsDirectory"]
    task = batches.run("Export", entry_list='["/out/e/","/out/g"]', dst_directory="/back/")
    assert reports(task)["Failed"] == {}
    assert keys(world, f"{prefix}back/") == {"out/e/f", "out/g"}


@pytest.mark.rule("BATCH-3")
def test_what_cannot_be_listed_or_has_no_place_to_go_fails_and_says_so(
    world: World, place: Callable[[], Placed]
) -> None:
    batches, root, prefix = place()
    put(world, prefix, {"d/1": b"1", "lists/bad.csv": b"Path\nx\n"})
    wrong: dict[str, dict[str, Any]] = {
        "FileSystemPathNotFound": {"action": "Import", "directory": "/d/"},
        "SourceNotFound": {"action": "Import", "directory": "/none/", "create_dir_if_not_exist": True},
        "NotSupported": {"action": "Import", "transfer_file_list_path": f"/{prefix}lists/"},
    }
    for expected, asked in wrong.items():
        task = batches.run(**asked)
        assert (task["Status"], task["ErrorMsg"].partition(":")[0]) == ("Failed", expected)
        assert "Reports" not in task
        assert task["ProgressStats"]["FilesTotal"] == 0
    task = batches.run("Export", directory="/none/")
    assert (task["Status"], task["ErrorMsg"].partition(":")[0]) == ("Failed", "SourceNotFound")
    assert read(root) == {}


@pytest.mark.rule("BATCH-4")
def test_a_link_opens_one_report_for_a_while(world: World, place: Callable[[], Placed]) -> None:
    batches, root, _ = place()
    write(root, {"a": b"a"})
    task = batches.run("Export", directory="/")
    (report,) = task["Reports"]["Report"]
    assert report["Name"] == "SuccessFilesReport"
    assert len(read_report(report["Path"])) == 1
    link = report["Path"]
    other = link.replace("SuccessFilesReport", "FailedFilesReport")
    later = link.replace("Expires=1", "Expires=2")
    for changed in (other, later, link[:-1] + ("0" if link[-1] != "0" else "1"), link.split("&")[0]):
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(changed, timeout=30)
        assert json.loads(raised.value.read())["Code"] == "SignatureDoesNotMatch"
        raised.value.close()


@pytest.mark.rule("TASK-16")
def test_a_cancel_is_quick_and_says_of_each_file_what_became_of_it(world: World, place: Callable[[], Placed]) -> None:
    batches, root, prefix = place()
    bodies = {f"{number % 9}/{number:05}": b"x" * 5000 for number in range(4000)}
    write(root, bodies)
    pending = [batches.create("Export", directory="/", dst_directory=f"/{number}/") for number in range(5)]
    busy = pending[0]
    wait_until(lambda: batches.describe(busy)["Progress"] > 100, DEADLINE_S, "nothing moves", nap_s=NAP_S)
    assert batches.describe(pending[4])["Status"] == "Pending"
    batches.cancel(pending[4])
    assert batches.describe(pending[4])["Status"] == "Canceled"
    for task in pending[:4]:
        batches.cancel(task)
    watch = Stopwatch()
    found = [batches.wait(task) for task in pending[:4]]
    assert watch.took_s() < CANCEL_S
    assert {task["Status"] for task in found} == {"Canceled"}
    told = reports(found[0])
    assert {code(line) for line in told["Failed"].values()} <= {"Canceled"}
    assert {name.removeprefix(f"/{root.name}/") for name in told["Success"]} == keys(world, f"{prefix}0/")
    assert world.leftovers() == []


def test_a_batch_holds_up_no_stream(world: World, place: Callable[[], Placed]) -> None:
    batches, root, _ = place()
    write(root, {f"{number:05}": b"x" * 4000 for number in range(3000)})
    task = batches.create("Export", directory="/", dst_directory="/batch/")
    flow = open_stream(
        batches.client, batches.file_system_id, batches.data_flow_id, action="StreamExport", directories=("/", "/s/")
    )
    wait_until(lambda: batches.describe(task)["Progress"] > 200, DEADLINE_S, "nothing moves", nap_s=NAP_S)
    for number in range(5):
        flow.wait(flow.move(f"/{number:05}", f"/{number}"))
    assert batches.describe(task)["Status"] == "Executing", "five files one after another waited for thousands"
    assert {item["Status"] for item in flow.items().values()} == {"COMPLETE"}
    assert batches.wait(task)["ProgressStats"]["ActualFiles"] == 3000


@pytest.mark.seeded
@pytest.mark.rule("BATCH-1")
def test_sigkills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    seed = seed_of("TEST")
    print(f"PENSTOCK_TEST_SEED={seed}")
    chance = random.Random(seed)
    init_home(tmp_path / "home")
    world = World(tmp_path / "home")
    try:
        _killed(world, chance)
    finally:
        world.service.stop()


def _killed(world: World, chance: random.Random) -> None:
    files = {f"{chance.randrange(40)}/{number:05}": chance.randbytes(chance.randrange(4000)) for number in range(FILES)}
    files["large"] = chance.randbytes(20_000_000)
    (world.root / "back").mkdir()
    write(world.root / "out", files)
    init = world.service.init
    ways = {"Export": "out", "Import": "back"}
    for action, name in ways.items():
        flow = Batches.on(
            world.client(), init["file_system_id"], path=f"/{name}/", storage=f"oss://{world.bucket}", prefix="/far/"
        )
        watch = Stopwatch()
        task_id = flow.create(action, directory="/")
        for moment in sorted(chance.randrange(1, FILES) for _ in range(KILLS)):
            wait_until(partial(_is_at, flow, task_id, moment), PATIENCE_S, "nothing moves", nap_s=0.005)
            world.service.kill()
            world.restart()
            flow = Batches(world.client(), flow.file_system_id, flow.data_flow_id)
        task = flow.wait(task_id, PATIENCE_S)
        took_s, peak = watch.took_s(), peak_of(world.service.pid)
        print(f"{action}: {FILES + 1} files, {KILLS} deaths, {took_s:.0f} s; since the last one {peak} at most")
        assert (task["Status"], task["ErrorMsg"]) == ("Completed", "")
        told = reports(task)
        assert (told["Skipped"], told["Failed"]) == ({}, {})
        source = "/far/" if action == "Import" else "/out/"
        sums = {one.removeprefix(source): line["Checksum"] for one, line in told["Success"].items()}
        assert sums == {one: f"crc64:{crc64.xz(body)}" for one, body in files.items()}
    assert read(world.root / "back") == files
    wait_until(lambda: not world.leftovers(), 30, "something is left")


@pytest.mark.rule("BATCH-4")
def test_a_death_around_any_commit_changes_nothing_of_what_is_reported(tmp_path: Path) -> None:
    """Each commit of a small batch: made, begun, fed, claimed, settled, reported, ended; its reports are written in between."""
    init_home(tmp_path / "home")
    (tmp_path / "traps").mkdir()
    world = World(tmp_path / "home")
    try:
        init = world.service.init
        write(world.root / "out", {"a": b"a", "b/c": b"c"})
        (world.root / "out/link").symlink_to("a")
        flow = Batches.on(
            world.client(), init["file_system_id"], path="/out/", storage=f"oss://{world.bucket}", prefix="/far/"
        )
        world.service.stop()
        world.service = start_service(
            world.home, environment={failpoints.VARIABLE: str(tmp_path / "traps")}, command=WARM
        )
        for passing in range(1, COMMITS + 1):
            _die_once(world, flow, tmp_path / "traps", passing)
    finally:
        world.service.stop()


def _die_once(world: World, flow: Batches, traps: Path, passing: int) -> None:
    """One batch, and the death of the service at its so many-th commit."""
    flow = Batches(world.client(), flow.file_system_id, flow.data_flow_id)
    point = ("ledger.commit", "ledger.committed")[passing % 2]
    task_id = flow.create("Export", directory="/", dst_directory=f"/{passing}/")
    (traps / f"{point}.{passing}").touch()
    world.service.ended()  # renewing leases commits, too: it dies in any case
    (traps / f"{point}.0").unlink()
    world.service = start_service(world.home, environment={failpoints.VARIABLE: str(traps)}, command=WARM)
    flow = Batches(world.client(), flow.file_system_id, flow.data_flow_id)
    task = flow.wait(task_id)
    assert (task["Status"], task["ErrorMsg"]) == ("Completed", "")
    told = reports(task)
    assert {result: set(lines) for result, lines in told.items()} == {
        "Success": {"/out/a", "/out/b/c"}, "Skipped": {"/out/link"}, "Failed": set(),
    }  # fmt: skip
    assert keys(world, f"far/{passing}/") == {"a", "b/c"}
    names = {f"{report['Name']}.csv" for report in task["Reports"]["Report"]}
    assert keys(world, f"far/.penstock-reports/{task_id}/") == names


def peak_of(pid: int) -> str:
    """The most memory that was ever resident, in the kernel's words."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("VmHWM"))


def _is_at(flow: Batches, task_id: str, moved: int) -> bool:
    task = flow.describe(task_id, with_reports=False)
    stats = task["ProgressStats"]
    assert stats["FilesDone"] <= stats["FilesTotal"] <= FILES + 1
    assert stats["BytesDone"] <= stats["BytesTotal"]
    return bool(stats["FilesDone"] >= moved or task["Status"] not in {"Pending", "Executing"})
