"""Killed after the file was published, before anybody was told: a cancel, or a failure that is final, then finds it COMPLETE."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import alibabacloud_oss_v2 as oss
import pytest
from fastcrc import crc64

from penstock.failpoints import Point
from tests.faults.matrix.cases import OVERWRITE, OVERWRITE_PLAIN, Terms, Way
from tests.faults.matrix.file import OLDER, File
from tests.faults.matrix.world import PATIENCE_S, World
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.xdist_group("published-world")  # else each worker would make one


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A served HOME that is killed again and again."""
    made = World(tmp_path_factory.mktemp("published"), movers=1)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def calm(world: World) -> Iterator[World]:
    """The same; nothing is held back and no trap is laid afterwards."""
    yield world
    world.proxy.release()
    world.traps.clear()


def killed(file: File, point: Point, meanwhile: Callable[[], None], *, passing: int = 1) -> None:
    """Submit it; mover and service die at that point, and `meanwhile` is done while nobody lives."""
    world = file.world
    world.traps.lay(point, passing, together_with=world.service.process.pid)
    world.meanwhile = meanwhile
    file.submit()
    wait_until(lambda: world.traps.is_sprung(point), PATIENCE_S, f"nobody passed {point}")
    world.service.process.wait(PATIENCE_S)


def canceled_after(world: World, way: Way, point: Point) -> File:
    """An import over an older file: killed at that point, and canceled while the store does not answer."""
    file = File(world, way, OVERWRITE_PLAIN)
    file.make()
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(OLDER)
    killed(file, point, lambda: world.proxy.hold(down_bytes=0))
    file.cancel()
    return file


@pytest.mark.parametrize("way", [Way.IMPORT_SMALL, Way.IMPORT_MIDDLING, Way.IMPORT_LARGE])
def test_a_published_import_that_is_canceled_is_complete(calm: World, way: Way) -> None:
    file = canceled_after(calm, way, "renamed")
    if way.is_whole:  # only the object tells
        file.wait(lambda: file.described()["ErrorMsg"] != "", "nobody says for whom it waits")
        assert file.described()["Status"] == "CANCELING"
        calm.proxy.release()
    assert file.final() == "COMPLETE"
    assert file.path.read_bytes() == file.body
    described = file.described()
    assert described["ProgressStats"]["BytesDone"] == len(file.body)
    file.wait(lambda: not file.left_behind(), "its journal did not go")  # which comes after its last status


@pytest.mark.parametrize("then", ["canceled", "goes on"])
def test_what_was_published_where_its_path_led_to_is_complete(calm: World, then: str) -> None:
    """A link on the way is turned while nobody lives. Who had been told at once would have found it there."""
    file = File(calm, Way.IMPORT_LARGE, OVERWRITE_PLAIN)
    file.make()
    link = file.path.parent
    for name in ("run41", "run42"):
        (link.parent / name).mkdir(parents=True)
    link.symlink_to("run41")

    def turn() -> None:
        link.unlink()
        link.symlink_to("run42")
        calm.proxy.hold(down_bytes=0)  # nobody needs the store to know

    killed(file, "renamed", turn)
    if then == "canceled":
        file.cancel()
    assert file.final() == "COMPLETE"
    assert (link.parent / "run41" / "file").read_bytes() == file.body
    assert not file.path.exists()
    assert "run41/file, where its path led to" in str(file.described())
    file.wait(lambda: not file.left_behind(), "its journal did not go")


@pytest.mark.parametrize("change", ["turned", "exchanged"])
@pytest.mark.parametrize("then", ["canceled", "goes on"])
def test_what_a_killed_mover_left_of_a_small_import_is_looked_for_where_its_path_led_to(
    calm: World, then: str, change: str
) -> None:
    """Nothing was recorded; but that the directory is newer than the attempt, or a link on the way, can be seen."""
    file = File(calm, Way.IMPORT_SMALL, OVERWRITE_PLAIN)
    file.make()
    there = file.path.parent
    if change == "turned":
        for name in ("run41", "run42"):
            (there.parent / name).mkdir(parents=True)
        there.symlink_to("run41")
    else:
        there.mkdir(parents=True)

    def exchange() -> None:
        there.rename(there.parent / "aside")
        if change == "turned":
            there.symlink_to("run42")
        else:
            there.mkdir()
        if then == "canceled":
            calm.proxy.hold(down_bytes=0)

    killed(file, "rename", exchange)
    if then == "canceled":
        file.cancel()
        file.wait(lambda: bool(file.described()["ErrorMsg"]) or file.has_settled(), "nothing becomes of it")
        calm.proxy.release()
    assert file.final() == ("CANCELED" if then == "canceled" else "COMPLETE")
    assert len(file.left_behind()) == 1
    assert ("may be left" in str(file.described())) is (then == "canceled")
    there.rename(there.parent / "newer")
    (there.parent / "aside").rename(there)
    file.wait(lambda: not file.left_behind(), "nobody looks again")


@pytest.mark.parametrize("way", [Way.IMPORT_SMALL, Way.IMPORT_MIDDLING])
def test_an_import_that_was_not_published_is_canceled(calm: World, way: Way) -> None:
    file = canceled_after(calm, way, "rename")
    file.wait(lambda: bool(file.described()["ErrorMsg"]) or file.has_settled(), "nothing becomes of it")
    calm.proxy.release()
    assert file.final() == "CANCELED"
    assert file.path.read_bytes() == OLDER
    assert file.left_behind() == []


@pytest.mark.parametrize("terms", [OVERWRITE_PLAIN, OVERWRITE], ids=["plain", "versioned"])
@pytest.mark.parametrize("way", [Way.EXPORT_SMALL, Way.EXPORT_MIDDLING, Way.EXPORT_LARGE])
def test_a_published_export_whose_source_is_refused_then_is_complete(calm: World, way: Way, terms: Terms) -> None:
    file = File(calm, way, terms)
    file.make()

    def become_a_directory() -> None:
        file.path.unlink()
        file.path.mkdir()

    killed(file, "request.answered" if way.is_whole else "upload.completed", become_a_directory)
    assert file.final() == "COMPLETE"
    assert file.versions() == [crc64.xz(file.body)]
    assert file.left_behind() == []


@pytest.mark.parametrize("way", [Way.IMPORT_SMALL, Way.IMPORT_LARGE])
def test_an_import_whose_object_is_gone_then_says_what_is_known(calm: World, way: Way) -> None:
    file = File(calm, way, OVERWRITE_PLAIN)
    file.make()

    def remove() -> None:
        calm.bucket.delete_object(oss.DeleteObjectRequest(bucket=file.terms.bucket, key=file.key))

    killed(file, "renamed", remove)
    if way.is_whole:  # it keeps no journal
        assert file.final() == "FAILED"
        assert "may have published what lies at" in file.described()["ErrorMsg"]
    else:
        assert file.final() == "COMPLETE"
    assert file.path.read_bytes() == file.body
    shutil.rmtree(file.path.parent)
