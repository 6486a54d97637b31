"""Does a comparison tell what is the same and what is not, however odd it lies there, and move nothing: after SIGKILLs, too?"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from penstock.client import Client, ClientOptions
from tests.e2e.batches import DEADLINE_S, LIVE, NAP_S, Batches, read_report
from tests.e2e.test_batches import get, keys, put, read, write
from tests.e2e.test_sigkill import World
from tests.fixtures.chance import seed_of
from tests.fixtures.service import init_home
from tests.fixtures.waiting import wait_until

KILLS = 2
FILES = 300
NUMBERS = count(1)

Lines = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """A dataflow, its directory, its prefix in the bucket; and comparisons of them, by calls that the vendor's SDK has not."""

    world: World
    batches: Batches
    root: Path
    prefix: str

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        """One call of the API."""
        init = self.world.service.init
        options = ClientOptions(
            endpoint=self.world.service.api,
            access_key_id=init["access_key_id"],
            access_key_secret=init["access_key_secret"],
        )
        with Client(options) as client:
            return client.call(action, {"FileSystemId": self.batches.file_system_id, **parameters})

    def begin(self, **asked: Any) -> str:
        """CreateDataFlowTask; its id."""
        asked = {"TaskAction": "Compare", "ConflictPolicy": "SKIP_THE_FILE", **asked}
        return str(self.call("CreateDataFlowTask", DataFlowId=self.batches.data_flow_id, **asked)["TaskId"])

    def describe(self, task_id: str) -> dict[str, Any]:
        """The task as it is now."""
        answer = self.call("DescribeDataFlowTasks", Filters=[{"Key": "TaskIds", "Value": task_id}])
        (found,) = answer["TaskInfo"]["Task"]
        return dict(found)

    def wait(self, task_id: str) -> dict[str, Any]:
        """The task when it is final."""

        def final() -> Mapping[str, Any] | None:
            found = self.describe(task_id)
            return None if found["Status"] in LIVE else found

        found = wait_until(final, DEADLINE_S, f"{task_id} is not final", nap_s=NAP_S)
        assert found is not None
        return dict(found)

    def run(self, **asked: Any) -> dict[str, Any]:
        """Begin and wait."""
        return self.wait(self.begin(**asked))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A served HOME."""
    home = tmp_path_factory.mktemp("compare") / "home"
    init_home(home)
    made = World(home)
    yield made
    made.service.stop()


@pytest.fixture
def sides(world: World) -> Sides:
    """A dataflow of its own."""
    number = next(NUMBERS)
    root, prefix = world.root / f"side{number}", f"far{number}/"
    root.mkdir()
    file_system_id, storage = world.service.init["file_system_id"], f"oss://{world.bucket}"
    batches = Batches.on(world.client(), file_system_id, path=f"/side{number}/", storage=storage, prefix=f"/{prefix}")
    return Sides(world=world, batches=batches, root=root, prefix=prefix)


def told(task: dict[str, Any]) -> dict[str, Lines]:
    """The lines of a comparison's reports, by path beneath the dataflow; counted as the task counts them."""
    stats, top = task["CompareStats"], task["FsPath"]
    found: dict[str, Lines] = {"Differences": {}, "Skipped": {}, "Failed": {}}
    for report in task.get("Reports", {}).get("Report", []):
        lines = read_report(report["Path"])
        if report["Name"] == "SummaryReport":
            assert {line["What"]: int(line["Count"]) for line in lines} == stats
            continue
        name = report["Name"].removesuffix("FilesReport").removesuffix("Report")
        found[name] = {line["SrcFilePath"].removeprefix(top): line for line in lines}
        assert len(found[name]) == len(lines)
    results = [line["Result"] for line in found["Differences"].values()]
    for result in ("Differs", "OnlyInFileSystem", "OnlyInBucket"):
        assert results.count(result) == stats[result]
    for name in ("Skipped", "Failed"):
        assert len(found[name]) == stats[name]
    progress = task["ProgressStats"]
    assert progress["FilesTotal"] == stats["Same"] + len(results) + stats["Skipped"] + stats["Failed"]
    assert progress["FilesDone"] == progress["FilesTotal"] - stats["Failed"] == task["Progress"]
    assert progress["ActualFiles"] == progress["ActualBytes"] == 0
    return found


@pytest.mark.rule("COMPARE-2")
@pytest.mark.rule("COMPARE-4")
def test_it_tells_what_differs_and_what_cannot_be_compared(world: World, sides: Sides) -> None:
    batches, root, prefix = sides.batches, sides.root, sides.prefix
    alike = {"a/b": b"1", "a.b": b"22", "a-b/c": b"", "ü/ö": b"4444", "d/size": b"5", "d/time": b"6", "here": b"7"}
    write(root, alike)
    assert batches.run("Export", directory="/")["Status"] == "Completed"
    (root / "d/size").write_bytes(b"longer")
    os.utime(root / "d/time", ns=(5, 5))
    put(world, prefix, {"there": b"8", "foreign": b"9", "mark/": b"", "full/": b"10", "n" * 300: b"11"})
    put(world, prefix, {"link": b"", "odd": b""})
    write(root, {"foreign": b"0", "only/one": b"12", "odd/file": b"13"})
    (root / "hollow").mkdir()
    (root / "link").symlink_to("here")
    (root / "alone").symlink_to("here")
    os.mkfifo(root / "fifo")
    os.close(os.open(os.fsencode(root) + b"/\xff", os.O_CREAT | os.O_WRONLY))
    (root / ".penstock-0123456789abcdef.partial").write_bytes(b"ours")
    files, objects = read(root), keys(world, prefix)
    task = sides.run(Directory="/")
    (root / ".penstock-0123456789abcdef.partial").unlink()
    assert (task["Status"], task["ErrorMsg"]) == ("Completed", "")
    lines = told(task)
    assert {path: (line["Result"], line["Reason"]) for path, line in lines["Differences"].items()} == {
        "d/size": ("Differs", "Size ModifyTime"),
        "d/time": ("Differs", "ModifyTime"),
        "only/one": ("OnlyInFileSystem", ""),
        "odd/file": ("OnlyInFileSystem", ""),
        "odd": ("OnlyInBucket", ""),
        "there": ("OnlyInBucket", ""),
    }
    assert set(lines["Skipped"]) == {"alone", "hollow/", "mark/"}
    failed = {path: line["Reason"].partition(":")[0] for path, line in lines["Failed"].items()}
    assert failed == {
        "fifo": "SourceNotRegular",
        "full/": "SourceIsDirectory",
        "link": "SourceIsSymlink",
        "n" * 300: "NameTooLong",
        "\\xff": "NotSupported",
    }
    assert task["CompareStats"]["Same"] == 6, "with the foreign one, whose time nobody knows"
    assert task["CompareStats"]["ModifyTimeNotCompared"] == 1
    assert list(lines["Differences"]) == sorted(lines["Differences"], key=os.fsencode)
    assert read(root).keys() == files.keys() - {".penstock-0123456789abcdef.partial"}
    assert keys(world, prefix) == objects | {
        f".penstock-reports/{task['TaskId']}/{report['Name']}.csv" for report in task["Reports"]["Report"]
    }
    for report in task["Reports"]["Report"]:
        assert get(world, f"{prefix}.penstock-reports/{task['TaskId']}/{report['Name']}.csv").count(b"\n") >= 2


@pytest.mark.rule("COMPARE-1")
@pytest.mark.rule("COMPARE-3")
def test_checksums_find_what_sizes_and_times_do_not(world: World, sides: Sides) -> None:
    root = sides.root
    write(root, {"a": b"12345", "large": os.urandom(3_000_000), "same": b"same", "void": b""})
    assert sides.batches.run("Export", directory="/", dst_directory="/x/")["Status"] == "Completed"
    for name in ("a", "large"):
        state = (root / name).stat()
        content = bytearray((root / name).read_bytes())
        content[len(content) // 2] ^= 1
        (root / name).write_bytes(content)
        os.utime(root / name, ns=(state.st_mtime_ns, state.st_mtime_ns))
    asked = {"Directory": "/", "DstDirectory": "/x/"}
    assert sides.run(**asked)["CompareStats"]["Same"] == 4
    task = sides.run(**asked, CompareChecksum="Stored")
    lines = told(task)["Differences"]
    assert {path: line["Reason"] for path, line in lines.items()} == {"a": "Checksum", "large": "Checksum"}
    assert lines["a"]["SrcChecksum"] != lines["a"]["DstChecksum"] != ""
    assert (task["CompareStats"]["BytesRead"], task["CompareChecksum"]) == (3_000_009, "Stored")
    entries = sides.run(EntryList='["/same","/a","/none","/void"]', DstDirectory="/x/", CompareChecksum="Stored")
    found = told(entries)
    assert (set(found["Differences"]), set(found["Failed"])) == ({"a"}, {"none"})
    assert entries["CompareStats"]["Same"] == 2
    (root / "sub/in").mkdir(parents=True)
    (root / "sub/in/new").write_bytes(b"1")
    (root / "sub/out").write_bytes(b"2")
    included = sides.run(Directory="/sub/", Includes='["/in/","/none/"]', DstDirectory="/x/")
    assert (included["Status"], included["ErrorMsg"].partition(":")[0]) == ("Failed", "SourceNotFound")
    put(world, f"{sides.prefix}x/", {"in/new": b"1", "in/more": b"3"})
    (line,) = told(sides.run(Directory="/sub/", Includes='["/in/"]', DstDirectory="/x/"))["Differences"].values()
    assert line["DstFilePath"] == f"/{sides.prefix}x/in/more"
    nowhere = sides.run(Directory="/none/")
    assert (nowhere["Status"], nowhere["ErrorMsg"].partition(":")[0]) == ("Failed", "SourceNotFound")


def _is_at(sides: Sides, task_id: str, moment: int) -> bool:
    task = sides.describe(task_id)
    assert task["Status"] in LIVE, "it was too quick to be killed"
    return bool(task["ProgressStats"]["FilesTotal"] >= moment)


@pytest.mark.seeded
@pytest.mark.rule("COMPARE-4")
def test_sigkills_in_between_make_no_line_twice_and_lose_none(world: World, sides: Sides) -> None:
    chance = random.Random(seed_of("compare"))
    names = [
        f"{chance.choice('ab-0')}{chance.choice('/-.x')}{chance.choice('abc')}/{number}" for number in range(FILES)
    ]
    write(sides.root, {name: name.encode() for name in names})
    assert sides.batches.run("Export", directory="/")["Status"] == "Completed"
    gone, changed = names[::7], names[3::11]
    for name in gone:
        (sides.root / name).unlink()
    for name in {*changed} - {*gone}:
        (sides.root / name).write_bytes(b"other")
    expected = dict.fromkeys(gone, "OnlyInBucket") | dict.fromkeys({*changed} - {*gone}, "Differs")
    task_id = sides.begin(Directory="/", CompareChecksum="Stored")
    for moment in sorted(chance.randrange(1, FILES - 100) for _ in range(KILLS)):
        seen = partial(_is_at, sides, task_id, moment)
        wait_until(seen, DEADLINE_S, "nothing is compared", nap_s=0.005)
        world.service.kill()
        world.restart()
    task = sides.wait(task_id)
    assert {path: line["Result"] for path, line in told(task)["Differences"].items()} == expected
    assert task["CompareStats"]["Same"] == FILES - len(expected)
