"""A file system whose calls hang in the middle of large imports: do those of other file systems from the same bucket go on?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures.deaddisk import DeadDisk, dead_disk
from tests.fixtures.service import WARM, add_file_system, init_home, start_service
from tests.fixtures.site import PATIENCE_S, Site, Stream
from tests.fixtures.waiting import wait_until

LARGE_BYTES = 24 << 20
LONG_BYTES = 256 << 20
HUNG = 8
HELD = 4  # calls that wait: of most files one thread has what the others wait for
PROMPT_S = 40.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[DeadDisk]:
    (tmp_path / "hung").mkdir()
    with dead_disk(tmp_path / "hung") as one:
        yield one


@pytest.fixture
def sites(tmp_path: Path, disk: DeadDisk) -> Iterator[tuple[Site, Site]]:
    """A served HOME with one mover, seen from a file system that is well and from the one that is to hang."""
    home = tmp_path / "home"
    init_home(home)
    settings = home / "penstock.toml"
    settings.write_text("movers = 1\n" + re.sub(r"(?m)^movers = .*$", "", settings.read_text()))
    other = add_file_system(home, tmp_path / "hung")
    well = Site.of(start_service(home, command=WARM))
    hung = Site.of(replace(well.service, init={**well.service.init, "file_system_id": other}), tmp_path / "hung")
    try:
        yield well, hung
    finally:
        disk.live()
        hung.client.close()
        well.close()


def test_large_files_of_the_same_bucket_move_beside_those_of_a_file_system_that_hangs(
    disk: DeadDisk, sites: tuple[Site, Site]
) -> None:
    """It hangs in the middle of their parts: these hold all threads, and requests whose bodies nobody reads."""
    well, hung = sites
    (out, there), (back, here) = well.place(), well.place()
    for name, size_bytes in (("long", LONG_BYTES), ("large", LARGE_BYTES)):
        with (out / name).open("wb") as file:
            file.truncate(size_bytes)
    export = well.stream(there, "StreamExport")
    well.move_all(export, ["long", "large"])
    well.all_complete(export)

    _, nowhere = hung.place()
    lost = hung.stream(nowhere, "StreamImport", prefix=there)
    for number in range(HUNG):
        hung.move(lost, "/long", f"/long{number}")
    wait_until(lambda: bytes_done(hung, lost), PATIENCE_S, "nothing moves")
    disk.die()
    wait_until(lambda: sum(disk.held().values()) >= HELD, PATIENCE_S, "nobody comes to it any more")

    imports = well.stream(here, "StreamImport", prefix=there)
    for number in range(2):
        well.move(imports, "/large", f"/large{number}")
    well.all_complete(imports, PROMPT_S)
    assert [path.stat().st_size for path in back.glob("large?")] == [LARGE_BYTES] * 2
    assert sum(disk.held().values()) >= HELD, "it does not hang any more"
    found = Counter(row["Status"] for row in hung.rows(lost).values())
    assert found["RUNNING"] >= HELD
    assert found.keys() <= {"RUNNING", "COMPLETE"}, "one was given up that only waits"


def bytes_done(site: Site, stream: Stream) -> int:
    return sum(int(row["ProgressStats"]["BytesDone"]) for row in site.rows(stream).values())
