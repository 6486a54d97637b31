"""How each kind of file goes its way: when it is held up, when the traps are laid, and what is done to it meanwhile.

A course ends when nothing holds the file up any more; the service may have been killed on the way, and started again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from penstock.failpoints import PASSES_MAX
from tests.faults.matrix import published
from tests.faults.matrix.cases import Fate, Size
from tests.faults.matrix.doom import Doom
from tests.faults.matrix.file import THEIRS, File
from tests.faults.matrix.smallservice import GRAIN_BYTES, PART_BYTES
from tests.faults.matrix.world import PATIENCE_S
from tests.fixtures.waiting import wait_until

HELD_AT_BYTES: Mapping[Size, int] = {Size.SMALL: 2500, Size.MIDDLING: 2 * GRAIN_BYTES, Size.LARGE: 2 * PART_BYTES}
"""What passes before a file is held up; the heads of requests and answers are part of it."""


def moved(file: File, doom: Doom) -> None:
    """Nothing happens to it."""
    doom.lay()
    file.submit()


def beside(file: File, doom: Doom) -> None:
    """Another one's answer is held back until a mover has this one as well."""
    world, other = file.world, file.other
    assert other is not None
    other.make()
    world.traps.lay("claim", PASSES_MAX)
    world.proxy.hold(down_bytes=0)
    try:
        other.submit()
        world.proxy.wait_held()
        file.wait(lambda: world.traps.was_passed("claim"), "the runner did not look for more")
        world.traps.clear()  # from here on it looks when something comes, or seconds later
        doom.lay()
        file.submit()
        file.wait(lambda: file.described()["Status"] != "CREATED", "it was not claimed")
    finally:
        world.proxy.release()


def canceled(file: File, doom: Doom) -> None:
    """It is held up in the middle, and canceled; a large one trickles on, others stand still until the cancel was told."""
    trickles = file.way.size is Size.LARGE
    _hold(file, trickle=trickles)
    try:
        _begin(file)
        doom.lay()
        _cancel(file, until=file.has_settled if trickles else _told(file))
    finally:
        file.world.proxy.release()


def failed(file: File, doom: Doom) -> None:
    """While it is held up in the middle, a directory takes the target's name, or the source is removed."""
    _hold(file, trickle=file.way.size is Size.LARGE)  # of which the first request asks for all, and takes what may pass
    try:
        _begin(file)
        doom.lay()
        if file.way.is_import:
            file.path.mkdir(parents=True)
        else:
            file.path.unlink()
    finally:
        file.world.proxy.release()


def turned(file: File, doom: Doom) -> None:
    """While it is held up in the middle, the link to its directory is turned to another one."""
    _hold(file, trickle=True)
    try:
        _begin(file)
        doom.lay()
        file.turn()
    finally:
        file.world.proxy.release()


def damaged(file: File, doom: Doom) -> None:
    """The first body that is sent arrives with another byte."""
    file.world.damage(file.key, bucket=file.terms.bucket)
    doom.lay()
    file.submit()


def withdrawn(file: File, doom: Doom) -> None:
    """That body's answer is held back until a cancel was told."""
    file.world.damage(file.key, bucket=file.terms.bucket)
    file.world.proxy.hold(down_bytes=0)
    try:
        file.submit()
        file.wait(lambda: bool(file.versions()), "it was not sent")
        doom.lay()
        _cancel(file, until=_told(file))
    finally:
        file.world.proxy.release()


def overtaken(file: File, doom: Doom) -> None:
    """While it is being sent, somebody else puts an object at its key, which is younger."""
    _hold(file)
    try:
        _begin(file)
        file.put(THEIRS)
        doom.lay()
    finally:
        file.world.proxy.release()


COURSES: Mapping[Fate, Callable[[File, Doom], None]] = {
    Fate.MOVED: moved,
    Fate.CACHED: moved,
    Fate.BESIDE: beside,
    Fate.CANCELED: canceled,
    Fate.FAILED: failed,
    Fate.TURNED: turned,
    Fate.DAMAGED: damaged,
    Fate.WITHDRAWN: withdrawn,
    Fate.RECALLED: published.recalled,
    Fate.ORPHANED: published.orphaned,
    Fate.BARRED: published.barred,
    Fate.CONSUMED: published.consumed,
    Fate.REPLACED: published.replaced,
    Fate.UNSYNCED: published.unsynced,
    Fate.OVERTAKEN: overtaken,
    Fate.EQUAL: moved,
    Fate.REFUSED: moved,
}


def _hold(file: File, *, trickle: bool = False) -> None:
    way = "down_bytes" if file.way.is_import else "up_bytes"
    file.world.proxy.hold(**{way: HELD_AT_BYTES[file.way.size]}, trickle=trickle)


def _begin(file: File) -> None:
    """Submit it, and return when it is held up."""
    file.submit()
    begun = _BEGUN.get((file.way.is_import, file.way.size), 0)
    file.wait(lambda: len(file.left_behind()) == begun, "nothing was begun")
    file.world.proxy.wait_held()


_BEGUN: Mapping[tuple[bool, Size], int] = {(True, Size.MIDDLING): 1, (True, Size.LARGE): 2, (False, Size.LARGE): 1}
"""How many helper files and uploads there are when it is in the middle: a partial file, its journal; an upload."""


def _cancel(file: File, *, until: Callable[[], bool]) -> None:
    """Cancel it, and return when that is so, or the service was killed and started again."""
    asked = file.world.service.pid
    file.cancel()  # it may be started again within that, too
    wait_until(
        lambda: file.world.revive() or file.world.service.pid != asked or until(),
        PATIENCE_S,
        "nobody noticed the cancel",
    )


def _told(file: File) -> Callable[[], bool]:
    """Whether its mover was told of the cancel."""
    file.world.traps.count("cancel.told")
    return lambda: file.world.traps.was_passed("cancel.told") or file.has_settled()
