"""Makes a HOME as a version of Penstock leaves it behind that was killed in the middle of its work, and packs it.

    git worktree add ../old COMMIT && cp -r tests/upgrades ../old/tests/ && cd ../old && make venv
    .venv/bin/python -m tests.upgrades.make tests/upgrades/home-0012.tar.xz COMMIT

To be run with the code whose HOME is wanted: it uses the service, and knows nothing of the catalog. What comes of it is the same
each time but for ids, keys and times. In it are sub-tasks that are COMPLETE, FAILED and CANCELED, some that wait because their
dataflow is stopped, and large files on their way in and out, whose movers were killed in between; a batch that has ended, and one
whose files were listed and wait. HOME was not stopped in order, so its log (-wal) is packed too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tomlkit import TOMLDocument

from penstock import failpoints
from penstock.settings.choices import Settings
from penstock.settings.reading import open_home
from penstock.settings.writing import change_settings
from tests.e2e.cli.processes import descendants, state_of
from tests.fixtures.service import init_home, run_cli, start_service
from tests.fixtures.site import Site, Stream
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
    WAITING_COUNT,
    Told,
    content,
    task_of,
)

PATIENCE_S = 20.0


def main(target: Path, made_by: str) -> None:
    """Make it, pack it."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "home"
        told = _lived_through(home, Path(directory), made_by)
        (home.parent / STORY_FILE).write_text(json.dumps(asdict(told), indent=1) + "\n")
        with tarfile.open(target, "w:xz", format=tarfile.PAX_FORMAT, preset=9) as archive:
            for name in ("home", STORY_FILE):
                archive.add(home.parent / name, arcname=name, filter=_nobodys)
    print(f"{target}: {target.stat().st_size} bytes")


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _lived_through(home: Path, directory: Path, made_by: str) -> Told:
    init_home(home)
    change_settings(open_home(home), _keep_for_years)
    change_settings(open_home(home), _take_few)
    traps = directory / "traps"
    traps.mkdir()
    site = Site.of(start_service(home, environment={failpoints.VARIABLE: str(traps)}))
    try:
        finished, failed = _ended(site)
        batch = _ended_batch(site)
        importing = _stopped_by(site, traps, "journal.written.3", lambda: _import(site))
        exporting = _stopped_by(site, traps, "part.sent.3", lambda: _export(site))
        waiting_flow, waiting = _waiting(site)
        batching = _batching(site)
    finally:
        movers = descendants(site.service.pid)
        site.service.kill()
        for mover in movers:  # those that stand still do not see that the service is gone
            if state_of(mover) != "X":
                os.kill(mover, signal.SIGKILL)
        wait_until(lambda: all(state_of(each) in "XZ" for each in movers), PATIENCE_S, "processes are left")
    change_settings(open_home(home), _take_as_usual)
    return Told(
        made_by=made_by,
        home=str(home),
        flow=site.data_flow_id,
        finished=finished,
        failed=failed,
        waiting_flow=waiting_flow,
        waiting=waiting,
        importing=importing,
        exporting=exporting,
        batch=batch,
        batching=batching,
    )


def _keep_for_years(settings: TOMLDocument) -> None:
    """So that whoever opens it in years finds what there was."""
    settings["subtask_expiry_days"] = 3650
    settings["history_retention_days"] = 36500
    settings["attempts_deadline_h"] = 8760


def _take_few(settings: TOMLDocument) -> None:
    """So that files wait while two movers stand still."""
    settings["mover_small_files"] = 1


def _take_as_usual(settings: TOMLDocument) -> None:
    settings["mover_small_files"] = Settings().mover_small_files


def _put(site: Site, key: str, name: str) -> None:
    file = site.root / "to-put"
    file.write_bytes(content(name))
    run_cli("object", "put", str(site.service.home), site.service.init["bucket"], str(file), key)
    file.unlink()


def _write(site: Site, path: str, name: str) -> None:
    file = site.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content(name))
    os.utime(file, (1_700_000_000, 1_700_000_000))


def _ended(site: Site) -> tuple[str, str]:
    """Finished ones, in and out again; failed ones, and one that is canceled while it waits."""
    for directory in ("finished", "failed", "in"):
        (site.root / directory).mkdir()
    for name in FINISHED:
        _put(site, f"finished/{name}", name)
    come = site.stream("finished", "StreamImport")
    site.move_all(come, FINISHED)
    site.all_complete(come)
    go = site.stream("finished", "StreamExport", prefix="finished-again")
    site.move_all(go, FINISHED)
    site.all_complete(go)
    fail = site.stream("failed", "StreamImport")
    site.move_all(fail, ABSENT)
    assert {row["Status"] for row in site.ended(fail).values()} == {"FAILED"}
    return come.task_id, fail.task_id


def _waiting(site: Site) -> tuple[str, str]:
    """A dataflow of its own, stopped while its files wait; the last of them is canceled."""
    for name in WAITING:
        _write(site, name, name)
    shared, site.data_flow_id = site.data_flow_id, ""
    made = site.call(
        "CreateDataFlow", FileSystemPath="/waiting/", SourceStorage=f"oss://{site.service.init['bucket']}",
        SourceStoragePath="/waiting/",
    )  # fmt: skip
    flow = str(made["DataFlowId"])
    task = site.call(
        "CreateDataFlowTask", DataFlowId=flow, TaskAction="StreamExport", ConflictPolicy="OVERWRITE_EXISTING",
        Directory="/", DstDirectory="/",
    )  # fmt: skip
    stream = Stream(data_flow_id=flow, task_id=str(task["TaskId"]))
    ids = [site.move(stream, f"/{Path(name).name}", f"/{Path(name).name}") for name in WAITING]
    site.call("StopDataFlow", DataFlowId=flow)
    site.call("CancelDataFlowSubTask", DataFlowId=flow, DataFlowTaskId=stream.task_id, DataFlowSubTaskId=ids[-1])
    statuses = Counter(row["Status"] for row in site.rows(stream).values())
    assert statuses["CREATED"] > WAITING_COUNT // 2, statuses
    site.data_flow_id = shared
    return flow, stream.task_id


def _ended_batch(site: Site) -> str:
    """An import of a directory, which has its reports."""
    (site.root / "batch").mkdir()
    for name in BATCH:
        _put(site, name, name)
    batch = site.stream("batch", "Import")
    wait_until(lambda: task_of(site, batch)["Status"] == "Completed", PATIENCE_S, "the batch does not end")
    return batch.task_id


def _batching(site: Site) -> str:
    """An export of a directory, which was listed: its files wait, as both movers stand still."""
    for name in BATCHING:
        _write(site, name, name)
    batch = site.stream("batching", "Export")
    wait_until(
        lambda: task_of(site, batch)["ProgressStats"]["FilesTotal"] == len(BATCHING), PATIENCE_S, "nobody lists it"
    )
    return batch.task_id


def _import(site: Site) -> Stream:
    _put(site, f"in/{LARGE_IN}", LARGE_IN)
    stream = site.stream("in", "StreamImport")
    site.move_all(stream, [LARGE_IN])
    return stream


def _export(site: Site) -> Stream:
    """Several, because the mover that stands still already may be given one."""
    for name in LARGE_OUT:
        _write(site, f"out/{name}", name)
    stream = site.stream("out", "StreamExport")
    site.move_all(stream, LARGE_OUT)
    return stream


def _stopped_by(site: Site, traps: Path, trap: str, begin: Callable[[], Stream]) -> str:
    """Begins it, and returns its task once the mover that has it stands still at the trap."""
    (traps / trap).write_text(f"{failpoints.STOP}\n")
    stream = begin()
    point = trap.rpartition(".")[0]
    wait_until((traps / f"{point}.0").exists, PATIENCE_S, f"nobody passes {trap}")
    return stream.task_id


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
