"""A served Penstock with few file descriptors, or a mover that gets no memory: is nothing lost, and does it go on by itself?"""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from penstock.errors import ApiUnreachableError
from tests.fixtures.service import COMMAND, init_home, start_service
from tests.fixtures.site import FINAL, PATIENCE_S, Site, Stream
from tests.fixtures.waiting import wait_until

FILES = 96
FEW = 80
"""Descriptors for each process: a mover moves 64 small files at once, each with a file, its directory and a connection."""


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service that was started with few descriptors, and may not ask for more."""
    home = tmp_path_factory.mktemp("few") / "home"
    init_home(home)
    command = ("prlimit", f"--nofile={FEW}:{FEW}", *COMMAND)
    site = Site.of(start_service(home, command=command))
    yield site
    site.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    init_home(tmp_path / "home")
    site = Site.of(start_service(tmp_path / "home"))
    yield site
    site.close()


def written(directory: Path, sizes: dict[str, int]) -> dict[str, bytes]:
    files = {name: os.urandom(size) for name, size in sizes.items()}
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return files


def test_with_few_descriptors_files_move_all_the_same(few: Site) -> None:
    (out, there), (back, here) = few.place(), few.place()
    files = written(out, {f"f{number:02}": 4096 for number in range(FILES)} | {"large": 9 << 20})
    export, imports = few.stream(there, "StreamExport"), few.stream(here, "StreamImport", prefix=there)
    for stream in (export, imports):
        few.move_all(stream, list(files))
        few.all_complete(stream, 2 * PATIENCE_S)
    assert {name: (back / name).read_bytes() for name in files} == files
    few.none_left()
    assert "service.few_files" in few.service.log_text()


def test_what_a_mover_loads_only_when_it_is_needed_is_there_already() -> None:
    """Python asks for it once: where loading it failed for want of memory or descriptors, it would be missing for good."""
    loaded = "import sys, penstock.engine.mover_process; sys.exit('encodings.idna' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0


def test_an_api_whose_descriptors_are_taken_answers_when_they_are_free_again(few: Site) -> None:
    address = urlsplit(few.service.api)
    assert address.hostname
    assert address.port
    few.client.close()  # the next call needs a new connection
    with ExitStack() as idle:
        for _ in range(2 * FEW):
            idle.enter_context(socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S))
    wait_until(lambda: answers(few), PATIENCE_S, "the API does not answer")


def answers(site: Site) -> bool:
    try:
        return bool(site.call("DescribeDataFlows"))
    except ApiUnreachableError:
        return False


def movers(site: Site) -> list[int]:
    """Process ids of its movers."""
    found = [int(name) for name in os.listdir("/proc") if name.isdigit() and parent(int(name)) == site.service.pid]
    return [pid for pid in found if b"mover_process" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


@pytest.mark.timeout(400)
def test_a_mover_that_gets_no_memory_loses_nothing_and_goes_on_when_it_does(site: Site) -> None:
    (out, there), (back, here) = site.place(), site.place()
    files = written(out, {f"f{number:02}": 4096 for number in range(20)} | {"one": 40 << 20, "two": 40 << 20})
    export, imports = site.stream(there, "StreamExport"), site.stream(here, "StreamImport", prefix=there)
    for stream in (export, imports):
        before = {pid: limit(pid, used(pid)) for pid in movers(site)}
        assert before
        site.move_all(stream, list(files))
        # A mover that has no memory left even to say that it lives is killed after a minute.
        wait_until(partial(is_over_or_in_trouble, site, stream), 2 * PATIENCE_S, "nothing happens")
        for pid, old in before.items():
            if Path(f"/proc/{pid}").exists():
                limit(pid, old)
        site.all_complete(stream, 2 * PATIENCE_S)
    assert {name: (back / name).read_bytes() for name in files} == files
    site.none_left()


def is_over_or_in_trouble(site: Site, stream: Stream) -> bool:
    """A mover that has all the memory it needs already may well do without more."""
    rows = site.rows(stream).values()
    return any(row["ErrorMsg"] for row in rows) or all(row["Status"] in FINAL for row in rows)


def used(pid: int) -> int:
    """The address space that it has now: with this as its limit it gets no more."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def limit(pid: int, size_bytes: int) -> int:
    """Sets the limit; what it was."""
    return resource.prlimit(pid, resource.RLIMIT_AS, (size_bytes, resource.RLIM_INFINITY))[0]
