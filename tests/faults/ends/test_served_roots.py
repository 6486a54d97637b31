"""A served Penstock whose file system is unmounted, mounted again, made read-only: does it wait, say why, and go on by itself?"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.fixtures.mounts import bind, clean_mounts, must, unmount
from tests.fixtures.service import WARM, init_home, run_cli, start_service
from tests.fixtures.site import PATIENCE_S, Site
from tests.fixtures.waiting import wait_until

FILES = 60
LARGE_BYTES = 9 << 20
BENEATH = [".penstock-root"]
"""What lies under the mount point: `init` had marked the directory before anything was mounted there."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("site")
    with clean_mounts(place):
        home, disk = place / "home", place / "disk"
        disk.mkdir()
        made = init_home(home)
        bind(disk, Path(made["root"]))
        run_cli("filesystem", "confirm", str(home), made["file_system_id"])
        running = Site.of(start_service(home, command=WARM), disk)
        yield running
        running.close()


@pytest.fixture
def site(service: Site) -> Iterator[Site]:
    """However a test ends, the next one finds the file system mounted, for writing."""
    yield service
    if service.root.stat().st_ino != service.files.stat().st_ino:
        bind(service.files, service.root)
    must("mount", "-o", "remount,bind,rw", str(service.root))


def shown(site: Site) -> list[str]:
    """All that is at the root's path."""
    return sorted(str(path.relative_to(site.root)) for path in site.root.rglob("*"))


def written(directory: Path) -> dict[str, bytes]:
    files = {f"f{number:03}": os.urandom(4096) for number in range(FILES)} | {"large": os.urandom(LARGE_BYTES)}
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return files


def test_while_it_is_unmounted_nothing_is_written_and_afterwards_all_goes_on(site: Site) -> None:
    (out, there), (back, here) = site.place(), site.place()
    files = written(out)
    export, imports = site.stream(there, "StreamExport"), site.stream(here, "StreamImport", prefix=there)
    unmount(site.root)
    assert shown(site) == BENEATH
    site.move_all(export, list(files))
    assert "it carries the mark of another root" in site.reason(export, "FileSystemUnavailable: ")
    wait_until(lambda: "root.unavailable" in site.service.log_text(), PATIENCE_S, "the log says nothing")
    assert shown(site) == BENEATH
    bind(site.files, site.root)
    site.all_complete(export)
    wait_until(lambda: "root.available" in site.service.log_text(), PATIENCE_S, "the log does not say that it is back")
    flapping = threading.Thread(target=flap, args=(site, back))
    flapping.start()
    site.move_all(imports, list(files))
    flapping.join()
    site.all_complete(imports)
    assert {name: (back / name).read_bytes() for name in files} == files
    site.none_left()
    unmount(site.root)
    assert shown(site) == BENEATH


def have_come(back: Path, count: int) -> bool:
    return len(list(back.iterdir())) >= count


def flap(site: Site, back: Path) -> None:
    """Unmount it again and again while files come in."""
    for times in range(5):
        arrived = times * FILES // 6
        wait_until(partial(have_come, back, arrived), PATIENCE_S, "nothing comes in")
        unmount(site.root)
        assert shown(site) == BENEATH
        bind(site.files, site.root)


def test_a_read_only_mount_gives_files_and_takes_them_when_it_may_be_written_again(site: Site) -> None:
    (out, there), (back, here) = site.place(), site.place()
    files = written(out)
    export, imports = site.stream(there, "StreamExport"), site.stream(here, "StreamImport", prefix=there)
    must("mount", "-o", "remount,bind,ro", str(site.root))
    site.move_all(export, list(files))
    site.all_complete(export)
    site.move_all(imports, list(files))
    assert "mounted read-only: remount it" in site.reason(imports, "ReadOnlyFileSystem: ")
    must("mount", "-o", "remount,bind,rw", str(site.root))
    site.all_complete(imports)
    assert {name: (back / name).read_bytes() for name in files} == files
    site.none_left()
