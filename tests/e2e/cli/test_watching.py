"""Does `watch` export every file once, when it is complete, whatever is renamed, lost or killed meanwhile?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest

from tests.e2e.cli.processes import emulator_of, state_of
from tests.fixtures.ports import free_port
from tests.fixtures.service import (
    COMMAND,
    WARM,
    RunningService,
    environment,
    init_home,
    run_cli,
    start_service,
    try_cli,
)
from tests.fixtures.waiting import wait_until

Place = Mapping[str, str]
PATIENCE_S = 60.0
EVENTS_MAX = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


@pytest.fixture
def place(service: RunningService, tmp_path: Path) -> Place:
    """The environment that names the service, with a memory of its own."""
    return {"PENSTOCK_HOME": str(service.home), "XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture(scope="module", autouse=True)
def wide_flow(service: RunningService) -> str:
    """A dataflow of `/watched/`."""
    (Path(service.init["root"]) / "watched").mkdir()
    place = {"PENSTOCK_HOME": str(service.home)}
    return run_cli("flow", "create", "/watched/", "oss://examplebucket/watched/", environment=place).strip()


@pytest.fixture
def spot(service: RunningService, place: Place, wide_flow: str) -> Path:
    """A directory that no other test uses, with a stream of its own."""
    directory = Path(service.init["root"]) / "watched" / f"t{os.urandom(4).hex()}"
    directory.mkdir()
    return directory


class Watch:
    """A watch that runs."""

    def __init__(self, spot: Path, place: Place, *options: str) -> None:
        self._log = spot.parent.parent.parent.parent / f"{spot.name}.{os.urandom(3).hex()}.watch"
        to = f"oss://examplebucket/watched/{spot.name}/"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "watch", str(spot), "--to", to, "--settle", "0.1", "--json", *options],
                env=environment(place),
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: "watching /" in self.said, PATIENCE_S, f"it does not begin: {self.said}")

    @property
    def said(self) -> str:
        return self._log.read_text()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.said.splitlines() if line.startswith("{")]

    @property
    def exported(self) -> list[str]:
        """The names of what ended COMPLETE, in order."""
        files = [event for event in self.events if event["event"] == "file" and event["status"] == "COMPLETE"]
        return [event["source"].split("/", 3)[3] for event in files]

    def until(self, *names: str) -> None:
        """Returns once all of these are exported."""
        wait_until(lambda: set(names) <= set(self.exported), PATIENCE_S, f"not all of {names} in {self.said}")

    def stopped(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def stream_of(watch: Watch) -> str:
    text = next(event["text"] for event in watch.events if "stream task-" in event.get("text", ""))
    return str(text[text.index("task-") :].split()[0])


def accepted(place: Place, task: str) -> int:
    """How many sub-tasks the stream has ever taken."""
    return int(json.loads(run_cli("task", "show", task, "--json", environment=place))["ProgressStats"]["FilesTotal"])


def test_files_are_exported_when_they_are_complete(spot: Path, place: Place) -> None:
    (spot / "before").write_text("it was there")
    (spot / "sub").mkdir()
    (spot / ".penstock-0123456789abcdef.partial").write_text("ours")
    with Watch(spot, place, "--exclude", "*.tmp") as watch:
        (spot / "plain").write_text("1")
        (spot / "x.tmp").write_text("not yet")
        os.rename(spot / "x.tmp", spot / "renamed")
        (spot / "new/deep").mkdir(parents=True)
        (spot / "new/deep/later").write_text("in a directory that came later")
        os.link(spot / "before", spot / "sub/linked")
        with (spot / "open").open("w") as file:
            file.write("the beginning")
            file.flush()
            watch.until("before", "plain", "renamed", "new/deep/later", "sub/linked")
            (spot / "another").write_text("written after it")
            watch.until("another")
            assert "open" not in watch.exported
            file.write(" and the end")
        watch.until("open")
        os.rename(spot / "new", spot / "moved")
        watch.until("moved/deep/later")
        (spot / "moved/deep/last").write_text("beneath a directory that was moved")
        watch.until("moved/deep/last")
        assert watch.stopped() == 0
        sizes = {
            event["source"].rpartition("/")[2]: event["bytes"] for event in watch.events if event["event"] == "file"
        }
        assert sizes["open"] == len("the beginning and the end")
        assert sorted(watch.exported) == sorted(set(watch.exported))
        assert not {name for name in watch.exported if "penstock" in name or "tmp" in name}
        assert watch.events[-1]["statuses"] == {"COMPLETE": 9}


def test_a_restart_after_sigkill_exports_nothing_twice_and_forgets_nothing(
    service: RunningService, spot: Path, place: Place
) -> None:
    for number in range(20):
        (spot / f"f{number}").write_text(f"{number}")
    bucket_server = emulator_of(service.pid)
    with Watch(spot, place) as first:
        first.until(*(f"f{number}" for number in range(20)))
        os.kill(bucket_server, signal.SIGSTOP)
        try:
            for number in range(20, 30):
                (spot / f"f{number}").write_text(f"{number}")
            task = stream_of(first)
            wait_until(lambda: accepted(place, task) == 30, PATIENCE_S, "they are not handed over", nap_s=0.2)
            first.process.kill()
            first.process.wait()
        finally:
            os.kill(bucket_server, signal.SIGCONT)
    (spot / "f3").write_text("it was changed meanwhile")
    (spot / "meanwhile").write_text("nobody was there")
    with Watch(spot, place) as second:
        second.until("f3", "meanwhile", *(f"f{number}" for number in range(20, 30)))
        assert second.stopped() == 0
        assert not {f"f{number}" for number in range(20) if number != 3} & set(second.exported)
    with Watch(spot, place) as third:
        (spot / "last").write_text("1")
        third.until("last")
        assert third.exported == ["last"]
    assert accepted(place, task) == 33


def test_a_memory_that_was_lost_exports_nothing_twice_either(spot: Path, place: Place, tmp_path: Path) -> None:
    (spot / "once").write_text("1")
    with Watch(spot, place, "--state", str(tmp_path / "one")) as first:
        first.until("once")
        task = stream_of(first)
        assert first.stopped() == 0
    with Watch(spot, place, "--state", str(tmp_path / "two")) as second:
        second.until("once")
    assert accepted(place, task) == 1  # the service knew it by its token


def test_notices_that_were_lost_are_made_up_by_a_scan(spot: Path, place: Place) -> None:
    noisy = [spot / "noise.tmp", spot / "noise2.tmp"]
    with Watch(spot, place, "--exclude", "*.tmp", "--rescan", "3600") as watch:
        (spot / "first").write_text("1")
        watch.until("first")
        watch.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: state_of(watch.process.pid) == "T", PATIENCE_S, "it does not stand still")
        for _ in range(EVENTS_MAX // 2 + 1000):  # those that follow each other are one: so two files in turns
            for path in noisy:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        (spot / "unseen").mkdir()
        (spot / "unseen/lost").write_text("of this the kernel does not tell")
        watch.process.send_signal(signal.SIGCONT)
        watch.until("unseen/lost")
        assert "the kernel lost notices" in watch.said
        (spot / "unseen/after").write_text("of this it does again")
        watch.until("unseen/after")


def test_what_fails_is_told_and_exported_once_it_has_changed(spot: Path, place: Place) -> None:
    with Watch(spot, place) as watch:
        bad = spot / f"bad{chr(0x7F)}name"
        bad.write_text("a name that the API refuses")
        (spot / "good").write_text("1")
        watch.until("good")
        wait_until(lambda: "REFUSED" in watch.said, PATIENCE_S, "it is not told")
        os.rename(bad, spot / "mended")
        watch.until("mended")


def test_a_second_watch_of_the_same_is_refused(spot: Path, place: Place) -> None:
    with Watch(spot, place):
        done = try_cli("watch", str(spot), "--to", f"oss://examplebucket/watched/{spot.name}/", environment=place)
        assert done.returncode == 1
        assert "another watch of this directory runs" in done.stderr
    done = try_cli("watch", str(spot / "nowhere"), environment=place)
    assert done.returncode == 1
    assert "is no directory" in done.stderr


def test_a_stopped_dataflow_is_waited_for(spot: Path, place: Place, wide_flow: str) -> None:
    with Watch(spot, place) as watch:
        run_cli("flow", "stop", wide_flow, environment=place)
        try:
            (spot / "patient").write_text("1")
            wait_until(lambda: "Waiting until the stream takes files again" in watch.said, PATIENCE_S, "it is not told")
        finally:
            run_cli("flow", "start", wide_flow, environment=place)
        watch.until("patient")


def test_a_service_that_is_killed_and_comes_back_is_waited_for(tmp_path: Path) -> None:
    home = tmp_path / "served" / "home"
    home.parent.mkdir()
    directory = Path(init_home(home, movers=1)["root"]) / "watched" / "here"
    directory.mkdir(parents=True)
    port = ("--port", str(free_port()))
    running = start_service(home, extra_args=port, command=WARM)
    place = {"PENSTOCK_HOME": str(home), "XDG_STATE_HOME": str(tmp_path / "state")}
    with Watch(directory, place) as watch:
        (directory / "before").write_text("1")
        watch.until("before")
        running.kill()
        (directory / "while").write_text("nobody was there")
        wait_until(lambda: "asking again for 60 s" in watch.said, PATIENCE_S, "it is not told")
        again = start_service(home, extra_args=port, command=WARM)
        watch.until("while")
        assert watch.stopped() == 0
        again.stop()


@pytest.fixture(autouse=True)
def none_left(service: RunningService) -> Iterator[None]:
    """The bucket server goes on whatever a test does."""
    yield
    os.kill(emulator_of(service.pid), signal.SIGCONT)
