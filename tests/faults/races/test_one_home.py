"""Is a HOME ever served twice: under another path, without its locks, as a copy, while movers of a killed service live?"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from penstock.client import Client, ClientOptions
from tests.fixtures.service import COMMAND, RunningService, environment, init_home, start_service, try_cli
from tests.fixtures.waiting import wait_until

FREE_PORTS = ("--port", "0", "--emulator-port", "0")
HOME_IN_USE = 3
KEYS = 2


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A running service that is to notice nothing."""
    home = tmp_path_factory.mktemp("served") / "home"
    init_home(home)
    running = start_service(home)
    yield running
    running.stop()


def started(*arguments: str, command: Sequence[str] = COMMAND) -> subprocess.Popen[str]:
    """A command that runs beside others."""
    return subprocess.Popen(
        [*command, *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refusal_of(process: subprocess.Popen[str]) -> str:
    """What it says, once it has ended with nothing done."""
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (HOME_IN_USE, ""), err
    return err


def stamps(home: Path) -> Mapping[str, tuple[int, int, int]]:
    """Inode, size and time of all in HOME but what a service that does nothing writes now and then."""
    found = {str(path.relative_to(home)): path.stat() for path in home.rglob("*")}
    return {
        name: (state.st_ino, state.st_size, state.st_mtime_ns)
        for name, state in found.items()
        if not name.startswith(("catalog.db", "nonces.db"))
    }


def ids_of_keys(home: Path) -> set[str]:
    """The access keys in the settings."""
    return {each["access_key_id"] for each in json.loads(try_cli("key", "list", str(home), "--json").stdout)}


def answers(service: RunningService) -> bool:
    """Whether the service goes on."""
    options = ClientOptions(
        endpoint=service.api,
        access_key_id=service.init["access_key_id"],
        access_key_secret=service.init["access_key_secret"],
    )
    with Client(options) as client:
        return bool(client.call("DescribeFileSystems", {}))


def test_a_second_service_is_refused_under_every_path_and_touches_nothing(
    service: RunningService, tmp_path: Path
) -> None:
    home = service.home
    (tmp_path / "link").symlink_to(home)
    (tmp_path / "up").symlink_to(home.parent)
    (tmp_path / "bound").mkdir()
    before = stamps(home)
    paths = [home, tmp_path / "link", tmp_path / "up" / "home", home / "emulator" / ".."]
    running = [started("serve", str(path), *FREE_PORTS) for path in paths]
    bind = f'mount --bind "{home}" "{tmp_path}/bound" && exec "$@"'
    unshared = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", bind, "sh", *COMMAND)
    running.append(started("serve", str(tmp_path / "bound"), *FREE_PORTS, command=unshared))
    for process in running:
        said = refusal_of(process)
        assert f"is in use by another service (process {service.pid}); stop that one first" in said
        assert "Traceback" not in said
    assert stamps(home) == before
    assert answers(service)


def test_it_stays_in_use_whatever_is_done_to_its_directory(tmp_path: Path) -> None:
    """Locks removed as if they were stale, settings taken away, copied, moved."""
    home, copy, moved = (tmp_path / name for name in ("home", "copy", "moved"))
    init_home(home)
    for other in copy, moved:
        shutil.copy(tmp_path / "home.init.json", tmp_path / f"{other.name}.init.json")
    service = start_service(home)
    shutil.copytree(home, copy)
    copied = started("serve", str(copy), *FREE_PORTS)
    said = refusal_of(copied)
    assert f"{copy} is a copy of {home}, whose service (process {service.pid}) runs" in said
    assert "Stop that service first" in said
    (home / "penstock.toml").rename(tmp_path / "kept")
    assert "is in use by a service, although its penstock.toml is gone" in refusal_of(started("init", str(home)))
    (tmp_path / "kept").rename(home / "penstock.toml")
    for name in "service.lock", "movers.lock", "emulator.lock":
        (home / name).unlink()
    assert "is in use by another service" in refusal_of(started("serve", str(home), *FREE_PORTS))
    listed = try_cli("object", "ls", str(home), service.init["bucket"])
    assert listed.returncode == 0, "the running service is not found any more"
    assert answers(service)
    home.rename(moved)
    assert "is in use by another service" in refusal_of(started("serve", str(moved), *FREE_PORTS))
    init_home(home)
    assert service.ended() == 1
    assert "this HOME was moved and another put in its place" in service.log_text()
    new, again = start_service(home), start_service(moved)
    assert answers(new)
    assert answers(again)
    assert (new.stop(), again.stop()) == (0, 0)


def test_what_others_write_into_home_meanwhile_is_all_there(service: RunningService) -> None:
    home = service.home
    before = ids_of_keys(home)
    running = [started("key", "add", str(home), "--json") for _ in range(KEYS)]
    second, again = started("serve", str(home), *FREE_PORTS), started("init", str(home))
    made = {json.loads(process.communicate(timeout=60)[0])["access_key_id"] for process in running}
    assert "in use by another service" in refusal_of(second)
    assert "was made already; nothing was changed" in again.communicate(timeout=60)[1]
    assert again.returncode == 2
    assert ids_of_keys(home) == before | made
    assert len(made) == KEYS
    assert answers(service)


def held_by(lock: Path) -> list[int]:
    """Processes that have it open."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                links = [os.readlink(f"/proc/{name}/fd/{each}") for each in os.listdir(f"/proc/{name}/fd")]
            except OSError:
                continue
            if str(lock) in links:
                found.append(int(name))
    return found


def test_a_new_service_waits_for_a_stopped_mover_of_a_killed_one_and_goes_on(tmp_path: Path) -> None:
    home = tmp_path / "home"
    init_home(home)
    service = start_service(home)
    movers = wait_until(lambda: [pid for pid in held_by(home / "movers.lock") if pid != service.pid], 20, "no movers")
    os.kill(movers[0], signal.SIGSTOP)
    service.kill()
    wait_until(lambda: held_by(home / "movers.lock") == movers[:1], 30, "the other movers did not end")
    again = started("serve", str(home), *FREE_PORTS)
    wait_until(lambda: again.pid in held_by(home / "movers.lock"), 30, "it did not come to the lock")
    assert again.poll() is None
    os.kill(movers[0], signal.SIGCONT)
    assert again.stdout is not None
    assert json.loads(again.stdout.readline())["api"]
    again.terminate()
    again.communicate(timeout=40)
    assert again.returncode == 0
