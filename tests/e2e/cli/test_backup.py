"""Is a backup of a served HOME whole, is it put back whole or not at all, and what becomes of work since then?"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from penstock.app.restoring import Extent, refuse_unfinished, restore
from penstock.cli.failure import ExitCode
from penstock.errors import ApiRefusedError, SettingsError
from penstock.settings.home import Home
from tests.fixtures.service import (
    WARM,
    environment,
    init_home,
    read_line,
    run_cli,
    start_service,
    try_cli,
    without_own_bucket,
)
from tests.fixtures.site import Site

MORTAL = """
import json, os, signal, sys
import penstock.cli.backing
from penstock.cli.program import main

def die_at(step):
    left = step
    def killing(name):
        true = getattr(os, name)
        def instead(*given, **named):
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return true(*given, **named)
        setattr(os, name, instead)
    for name in ("rename", "unlink", "fsync", "mkdir"):
        killing(name)

for line in sys.stdin:
    step, arguments = json.loads(line)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        die_at(step)
        sys.exit(main(arguments))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Runs `penstock` again and again, each time in a child that dies by SIGKILL before it changes or syncs something for the n-th
time (from 0). What they all import is imported once."""
STEPS_MAX = 60
Dying = Callable[..., int]


@pytest.fixture(scope="module")
def dying() -> Iterator[Dying]:
    """The exit code of a command that was killed at that step, if it came so far."""
    command = [sys.executable, "-P", "-c", MORTAL]
    with subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        asked, told = process.stdin, process.stdout
        assert asked is not None
        assert told is not None

        def die(step: int, *arguments: str) -> int:
            asked.write(json.dumps([step, arguments]).encode() + b"\n")
            asked.flush()
            return int(read_line(told, 60))

        yield die


@pytest.fixture
def site(home: Path) -> Iterator[Site]:
    served = Site.of(start_service(home, command=WARM))
    yield served
    served.close()


@pytest.fixture(scope="module")
def served_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a HOME that was served, and is not any more, and a backup of it."""
    place = tmp_path_factory.mktemp("served once")
    init_home(place / "home")
    without_own_bucket(place / "home", movers=1)
    start_service(place / "home", command=WARM).stop()
    run_cli("backup", str(place / "home"), str(place / "kept"))
    return place


@pytest.fixture
def stopped(served_once: Path, tmp_path: Path) -> Path:
    """A copy of that HOME."""
    shutil.copy(served_once / "home.init.json", tmp_path)
    return Path(shutil.copytree(served_once / "home", tmp_path / "home"))


def put(site: Site, *names: str) -> None:
    directory = site.files / "out"
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).write_bytes(name.encode() * 1000)


def objects(home: Path) -> set[str]:
    return {each["key"] for each in json.loads(run_cli("object", "ls", str(home), "examplebucket", "--json"))}


def test_an_older_catalog_moves_again_what_was_finished_since_and_gives_no_id_again(site: Site, tmp_path: Path) -> None:
    home = site.service.home
    put(site, *(f"before-{number}" for number in range(30)), "during", "after")
    stream = site.stream("out", "StreamExport")
    site.move_all(stream, [f"before-{number}" for number in range(30)])
    site.call("StopDataFlow", DataFlowId=stream.data_flow_id)
    path = run_cli("backup", str(home), str(tmp_path)).strip()  # while it is served
    then = site.rows(stream)
    site.call("StartDataFlow", DataFlowId=stream.data_flow_id)
    site.all_complete(stream)
    since = site.move(stream, "/after", "/after")
    site.all_complete(stream)
    assert try_cli("restore", path, str(home)).returncode == ExitCode.HOME_IN_USE
    assert try_cli("restore", path, str(tmp_path / "elsewhere")).returncode == ExitCode.HOME_IN_USE
    site.client.close()
    site.service.stop()

    said = try_cli("restore", path, str(home))
    assert (said.returncode, said.stdout.strip()) == (0, str(home))
    again = Site.of(start_service(home, command=WARM))
    try:
        known = again.rows(stream)
        assert set(known) == set(then)
        with pytest.raises(ApiRefusedError, match="has no sub-task"):
            again.call(
                "CancelDataFlowSubTask",
                DataFlowId=stream.data_flow_id,
                DataFlowTaskId=stream.task_id,
                DataFlowSubTaskId=since,
            )
        again.call("StartDataFlow", DataFlowId=stream.data_flow_id)
        fresh = again.move(stream, "/during", "/during")
        assert fresh > since
        again.all_complete(stream)
        assert objects(home) == {
            f"out/{name}" for name in [*(f"before-{number}" for number in range(30)), "during", "after"]
        }
        again.none_left()
    finally:
        again.close()
    (kept,) = home.glob("before-restore-*")
    with closing(sqlite3.connect(kept / "catalog.db")) as raw:
        assert raw.execute("SELECT count(*) FROM sub_tasks").fetchone() == (31,)


def test_secrets_are_taken_by_choice_and_are_their_owners_alone(stopped: Path, tmp_path: Path) -> None:
    secret = json.loads((tmp_path / "home.init.json").read_text())["access_key_secret"]
    for name in ("plain.tar", "plain", "all.tar", "all"):
        more = ["--with-secrets"] if name.startswith("all") else []
        told = json.loads(run_cli("backup", str(stopped), str(tmp_path / name), "--json", *more))
        assert told["secrets"] is bool(more)
        files = (
            [tmp_path / name]
            if name.endswith(".tar")
            else [each for each in (tmp_path / name).rglob("*") if each.is_file()]
        )
        assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
        assert any(secret.encode() in each.read_bytes() for each in files) is bool(more)
    for name in ("all.tar", "all"):
        copy = tmp_path / f"home of {name}"
        run_cli("restore", str(tmp_path / name), str(copy))
        assert stat.S_IMODE(copy.stat().st_mode) == 0o700
        for file in ("penstock.toml", "secrets.toml"):
            assert (copy / file).read_bytes() == (stopped / file).read_bytes()
            assert stat.S_IMODE((copy / file).stat().st_mode) == 0o600
        start_service(copy, command=WARM).stop()
    said = try_cli("restore", str(tmp_path / "plain.tar"), str(tmp_path / "without"))
    assert (said.returncode, "penstock key add" in said.stderr) == (0, True)


def other_byte(backup: Path) -> None:
    catalog = backup / "catalog.db"
    whole = bytearray(catalog.read_bytes())
    whole[len(whole) // 2] ^= 1
    catalog.write_bytes(whole)


def newer(backup: Path) -> None:
    """Made by a Penstock of years to come, and whole."""
    import hashlib

    with closing(sqlite3.connect(backup / "catalog.db")) as raw, raw:
        raw.execute("INSERT INTO schema_versions VALUES (999)")
    manifest = json.loads((backup / "manifest.json").read_text())
    data = (backup / "catalog.db").read_bytes()
    manifest["files"]["catalog.db"] = {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (backup / "manifest.json").write_text(json.dumps(manifest))


def stranger(backup: Path) -> None:
    manifest = json.loads((backup / "manifest.json").read_text())
    manifest["files"]["../outside"] = manifest["files"]["catalog.db"]
    (backup / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (other_byte, "is damaged"),
        (newer, "a newer Penstock"),
        (stranger, "is no backup"),
        (lambda backup: (backup / "manifest.json").unlink(), "is no backup"),
        (lambda backup: (backup / "catalog.db").unlink(), "not a whole one"),
    ],
    ids=["a byte", "a newer one", "a stranger", "no manifest", "no catalog"],
)
def test_what_is_no_whole_backup_is_refused_before_anything_is_touched(
    served_once: Path, stopped: Path, tmp_path: Path, harm: Callable[[Path], None], words: str
) -> None:
    shutil.copytree(served_once / "kept", tmp_path / "kept")
    harm(tmp_path / "kept")
    (stopped / "service.lock").unlink()
    before = {each.name: each.read_bytes() for each in stopped.iterdir() if each.is_file()}
    said = try_cli("restore", str(tmp_path / "kept"), str(stopped))
    assert (said.returncode, words in said.stderr) == (1, True), said.stderr
    after = {each.name: each.read_bytes() for each in stopped.iterdir() if each.is_file()}
    assert after == before
    start_service(stopped, command=WARM).stop()


def test_a_tar_file_of_others_is_refused(stopped: Path, tmp_path: Path) -> None:
    (tmp_path / "evil").write_text("x")
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        archive.add(tmp_path / "evil", arcname="../../evil-was-here")
    said = try_cli("restore", str(tmp_path / "evil.tar"), str(stopped))
    assert (said.returncode, "is no backup" in said.stderr) == (1, True)
    run_cli("backup", str(stopped), str(tmp_path / "kept.tar"))
    whole = (tmp_path / "kept.tar").read_bytes()
    (tmp_path / "kept.tar").write_bytes(whole[: len(whole) // 2])
    assert try_cli("restore", str(tmp_path / "kept.tar"), str(stopped)).returncode == 1
    assert not (stopped / "restore.unfinished").exists()


def test_a_backup_replaces_nothing_and_does_not_go_into_home(stopped: Path, tmp_path: Path) -> None:
    (tmp_path / "there.tar").write_text("somebody's")
    for target, words in (
        ("there.tar", "there already"),
        ("home/inside", "lies in HOME"),
        ("no/way.tar", "no directory"),
    ):
        said = try_cli("backup", str(stopped), str(tmp_path / target))
        assert (said.returncode, words in said.stderr) == (1, True)
    assert (tmp_path / "there.tar").read_text() == "somebody's"


def test_a_backup_that_is_killed_anywhere_is_none(dying: Dying, stopped: Path, tmp_path: Path) -> None:
    """By each step: nothing has the name of the backup, or all of it; the next one is not in the way of what is left."""
    for step in range(STEPS_MAX):
        code = dying(step, "backup", str(stopped), str(tmp_path / f"{step}.tar"))
        if code == 0:
            break
        assert code == -signal.SIGKILL
        made = tmp_path / f"{step}.tar"
        if made.exists():
            restore(made, tmp_path / f"of {step}", extent=Extent.ALL, tell=lambda _, __, ___: None)
    assert 3 < step < STEPS_MAX - 1
    left = list(tmp_path.glob(".penstock-backup-*"))
    assert left
    for each in left:
        os.utime(each, (0, 0))
    run_cli("backup", str(stopped), str(tmp_path / "last.tar"))
    assert not list(tmp_path.glob(".penstock-backup-*"))
    start_service(stopped, command=WARM).stop()


@pytest.mark.parametrize("is_new", [False, True], ids=["into a HOME", "into none"])
def test_a_restore_that_is_killed_anywhere_is_run_again(
    dying: Dying, stopped: Path, tmp_path: Path, is_new: bool
) -> None:
    """By each step: a service starts with the old catalog, or says that a restore is to be run again, which then is whole."""
    kept = tmp_path / "kept.tar"
    run_cli("backup", str(stopped), str(kept), "--with-secrets")
    with closing(sqlite3.connect(stopped / "catalog.db")) as raw, raw:
        raw.execute("CREATE TABLE since (what)")
    more = [] if is_new else ["--all"]
    unfinished = 0
    for step in range(STEPS_MAX):
        home = tmp_path / f"home {step}"
        if not is_new:
            shutil.copytree(stopped, home)
        code = dying(step, "restore", str(kept), str(home), *more)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        if (home / "restore.unfinished").exists():
            unfinished += 1
            with pytest.raises(SettingsError, match="run it again"):
                refuse_unfinished(Home(path=home))
            if unfinished == 1 and not is_new:
                assert "run it again" in try_cli("serve", str(home), "--port", "0").stderr
        elif not is_new:
            assert ("since" in tables(home / "catalog.db")) is not any(home.glob("before-restore-*"))
        restore(kept, home, extent=Extent.CATALOG if is_new else Extent.ALL, tell=lambda _, __, ___: None)
        assert "since" not in tables(home / "catalog.db")
        assert not (home / "restore.unfinished").exists()
        assert (home / "secrets.toml").read_bytes() == (stopped / "secrets.toml").read_bytes()
        if not is_new:
            old = [each for each in home.glob("before-restore-*/catalog.db") if "since" in tables(each)]
            assert len(old) == 1
        shutil.rmtree(home)
    assert 5 < step < STEPS_MAX - 1
    assert unfinished > 3


def tables(catalog: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)) as raw:
        return {name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
