"""A file system that answers nothing any more, under a running service: does a stop end, and does the next start go on?

Who waits for such a mount cannot be ended, not even by SIGKILL. The service goes without its movers then, and says so; they do
nothing any more but the call that they hang in.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from penstock.cli.failure import ExitCode
from penstock.engine import doomed
from penstock.engine.moverslock import take_shared, taken_alone
from penstock.errors import ApiRefusedError, HomeInUseError, SettingsError
from penstock.model import FileSystem
from penstock.settings import roots
from penstock.settings.home import Home
from penstock.settings.reading import load_registry
from penstock.transfer.aside import Aside
from tests.fixtures.deaddisk import DeadDisk, dead_disk
from tests.fixtures.mounts import bind, clean_mounts, must
from tests.fixtures.service import WARM, init_home, run_cli, start_service
from tests.fixtures.site import PATIENCE_S, Site
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.waiting import wait_until

FILES = 20
LARGE_BYTES = 9 << 20
DRAIN_S = 2
STOP_MORE_S = 15
"""As docs/operating.md has it: so much longer than `drain_s` a stop may take."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Served with a short drain."""
    made = tmp_path / "home"
    init_home(made)
    settings = made / "penstock.toml"
    settings.write_text(f"drain_s = {DRAIN_S}\n" + re.sub(r"(?m)^drain_s = .*$", "", settings.read_text()))
    return made


@pytest.fixture
def disk(home: Path) -> Iterator[DeadDisk]:
    root = home / "filesystem"
    with dead_disk(root) as one:
        yield one


@pytest.fixture
def site(home: Path, disk: DeadDisk) -> Iterator[Site]:
    """A served HOME whose file system is on that disk, and whose service is gone before the disk is."""
    (file_system_id,) = load_registry(Home(path=home)).file_systems
    run_cli("filesystem", "confirm", str(home), file_system_id)
    running = Site.of(start_service(home, command=WARM))
    try:
        yield running
    finally:
        disk.live()
        running.close()


def stopped(site: Site) -> int:
    """Stop it, within the time that is promised; its exit code."""
    watch = Stopwatch()
    site.client.close()
    code = site.service.stop()
    assert watch.took_s() < DRAIN_S + STOP_MORE_S
    return code


def contents(letter: str) -> dict[str, bytes]:
    small = {f"{letter}{number}": os.urandom(4096) for number in range(FILES)}
    return small | {f"{letter}-large": os.urandom(LARGE_BYTES)}


@pytest.mark.parametrize("call", ["create", "rename"])
def test_a_stop_leaves_hanging_movers_behind_and_the_next_start_goes_on(
    home: Path, disk: DeadDisk, site: Site, call: str
) -> None:
    (out, there), (back, here) = site.place(), site.place()
    older, newer = contents("a"), contents("b")
    for name, content in (older | newer).items():
        (out / name).write_bytes(content)
    export = site.stream(there, "StreamExport")
    site.move_all(export, list(older | newer))
    site.all_complete(export)
    imports = site.stream(here, "StreamImport", prefix=there)

    disk.die(at=call)
    targets = {f"/{old}": f"/{new}" for old, new in zip(older, newer, strict=True)}
    for target in targets:
        site.move(imports, target, target)
    wait_until(lambda: call in disk.held(), PATIENCE_S, f"nobody came to {call}")
    assert stopped(site) == ExitCode.LEFT_BEHIND
    last = site.service.log_text().splitlines()[-1]
    left = [int(pid) for pid in re.findall(r"process (\d+)", last)]
    assert left, last
    assert f"hangs in {home / 'filesystem'}" in last
    assert all(Path(f"/proc/{pid}").exists() for pid in left)

    again = Site.of(start_service(home, command=WARM))
    try:
        assert "executor.mover_hangs" in again.service.log_text()
        for target, source in targets.items():
            again.move(imports, source, target)
        assert all(row["Status"] != "COMPLETE" for row in again.rows(imports).values())
        disk.live()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), PATIENCE_S, "they did not end")
        again.all_complete(imports)
        assert {f"/{path.name}": path.read_bytes() for path in back.iterdir() if not path.name.startswith(".")} == {
            target: newer[source[1:]] for target, source in targets.items()
        }
        again.none_left()
        assert stopped(again) == ExitCode.DONE
    finally:
        again.close()


def test_a_dead_mount_keeps_no_service_from_starting_answering_and_ending(
    home: Path, disk: DeadDisk, site: Site
) -> None:
    """What the service itself asks of a root is asked by others, whom it can leave behind."""
    disk.die()
    wait_until(disk.held, PATIENCE_S, "nobody looks at the root")
    assert stopped(site) == ExitCode.DONE
    again = Site.of(start_service(home, command=WARM))
    try:
        with pytest.raises(ApiRefusedError, match="did not answer in time"):
            again.stream("any", "StreamImport")
        assert stopped(again) == ExitCode.DONE
    finally:
        again.close()


RENAMES = "import os, sys; at = os.open(sys.argv[1], os.O_RDONLY); os.rename('a', 'b', src_dir_fd=at, dst_dir_fd=at)"


def renaming(root: Path, lock: Path) -> subprocess.Popen[bytes]:
    """A process that has the lock as movers have it, and renames something."""
    held = take_shared(lock)
    try:
        return subprocess.Popen([sys.executable, "-c", RENAMES, str(root)], pass_fds=[held])
    finally:
        os.close(held)


@pytest.mark.anyio
async def test_only_who_was_killed_and_hangs_in_a_mount_that_is_still_there_is_passed_by(tmp_path: Path) -> None:
    """One that lives may do anything yet; the last call of one whose mount was taken away comes whenever it likes."""
    lock, root = tmp_path / "movers.lock", tmp_path / "far"
    root.mkdir()
    with dead_disk(root) as disk:
        (root / "a").write_bytes(b"")
        disk.die(at="rename")
        hanging = renaming(root, lock)
        wait_until(lambda: "rename" in disk.held(), PATIENCE_S, "it does not hang")
        assert doomed.holders(lock) == [hanging.pid]
        assert not doomed.does_nothing_more(hanging.pid)
        with pytest.raises(HomeInUseError, match=f"process {hanging.pid}"):
            async with taken_alone(lock, wait_s=0.1):
                pytest.fail("entered while it may do anything")
        hanging.kill()
        wait_until(lambda: doomed.does_nothing_more(hanging.pid), PATIENCE_S, "it is not seen to be killed")
        assert hanging.poll() is None
        async with taken_alone(lock, wait_s=0.1):
            os.close(take_shared(lock))  # movers of the new service hold it beside
        must("umount", "--lazy", "--no-canonicalize", str(root))
        assert not doomed.does_nothing_more(hanging.pid)
        with pytest.raises(HomeInUseError, match=f"process {hanging.pid}"):
            async with taken_alone(lock, wait_s=0.1):
                pytest.fail("entered though nobody keeps the order")
        disk.live()
        hanging.wait(PATIENCE_S)
        async with taken_alone(lock, wait_s=0.1):
            assert doomed.locks_on(lock) == 1


def test_no_more_is_asked_aside_while_too_many_questions_hang(tmp_path: Path) -> None:
    """Their processes are killed, and there all the same; once the mount answers they are gone."""
    aside = Aside(hanging_max=1)
    with dead_disk(tmp_path) as disk:
        assert aside.ask(os.path.isdir, str(tmp_path), limit_s=PATIENCE_S)
        disk.die()
        with pytest.raises(TimeoutError, match="within 5 s"):
            aside.ask(os.listdir, str(tmp_path), limit_s=5)
        assert disk.held(), "it has not come so far"
        with pytest.raises(TimeoutError, match="before this one"):
            aside.ask(os.path.isdir, "/", limit_s=PATIENCE_S)
        disk.live()
        assert wait_until(lambda: answered(aside), PATIENCE_S, "nothing is asked any more")


def answered(aside: Aside) -> bool:
    with suppress(TimeoutError):
        return aside.ask(os.path.isdir, "/", limit_s=PATIENCE_S)
    return False


def test_a_root_that_does_not_answer_is_judged_by_the_mount_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second mount of its directory is still seen as what it is."""
    monkeypatch.setattr(roots, "LOOK_LIMIT_S", 0.5)
    place, second = tmp_path / "far", tmp_path / "second"
    place.mkdir()
    second.mkdir()
    file_systems = {
        name: FileSystem(file_system_id=name, root=str(path), mount_type="fuse.slow")
        for name, path in (("one", place), ("two", second / "within"))
    }
    with dead_disk(place) as disk, clean_mounts(tmp_path):
        (place / "within").mkdir()
        bind(place, second)
        disk.die()
        with pytest.raises(SettingsError, match="hold the same files"):
            roots.judge_roots(Home(path=tmp_path / "home"), file_systems)
