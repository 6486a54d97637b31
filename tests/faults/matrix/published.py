"""How a file goes its way that is published, and of which then something else becomes than its mover could tell.

Its mover stands still right behind publishing it, or at a later point; then something happens, and then it dies, alone or with
the service. Where the service dies at a point of its own, that happens while nobody lives. So what the next attempt meets is
no matter of chance.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from tests.faults.matrix.cases import Case, Death
from tests.faults.matrix.doom import Doom, NotPassedError, Passed
from tests.faults.matrix.file import File
from tests.faults.matrix.world import PATIENCE_S
from tests.fixtures.waiting import wait_until


def recalled(file: File, doom: Doom) -> None:
    """It is canceled; if nobody lives, before the next attempt hears anything of the store."""
    proxy = file.world.proxy
    try:
        _die(file, doom, file.cancel, down=lambda: proxy.hold(down_bytes=0))
        file.cancel()
    finally:
        proxy.release()


def orphaned(file: File, doom: Doom) -> None:
    """Its source is removed."""
    _die(file, doom, file.remove_source)


def barred(file: File, doom: Doom) -> None:
    """The store refuses whatever it is asked for; the key gets its right back when the next attempt has met that."""
    try:
        _die(file, doom, lambda: file.world.bar("AccessDenied"))
        file.wait(lambda: file.was_refused() or file.has_settled(), "nobody tries it again")
    finally:
        file.world.unbar()


def consumed(file: File, doom: Doom) -> None:
    """Whoever waited for it takes it away."""
    _die(file, doom, file.remove_target)


def replaced(file: File, doom: Doom) -> None:
    """Somebody writes to its target."""
    _die(file, doom, file.replace_target)


def unsynced(file: File, doom: Doom) -> None:
    """Nothing happens to it, but whether somebody makes a directory durable is counted from there on."""
    _die(file, doom, lambda: file.world.traps.count("directory.synced"))


def _die(file: File, doom: Doom, event: Callable[[], None], *, down: Callable[[], None] | None = None) -> None:
    """Have it published, `event` happen, and somebody die; `down` is what happens instead while nobody lives."""
    case, world = doom.case, file.world
    mover = _publish(file)
    if case is None:
        _count(file, doom, mover)
        event()
    elif case.death is Death.CONTROL:
        world.meanwhile = then = down or event
        doom.lay()
        os.kill(mover, signal.SIGCONT)
        file.wait(lambda: world.meanwhile is not then or file.has_settled(), "nobody died")
    else:
        mover = _advanced(file, case, mover)
        event()
        world.strike(mover, case.death)


def _publish(file: File) -> int:
    """Submit it. The process id of its mover, which stands still right behind publishing it."""
    world, point = file.world, file.way.publishing
    world.traps.lay_stop(point)
    file.submit()
    mover = wait_until(world.stopped_mover, PATIENCE_S, f"nobody came to {point}")
    while not (file.way.is_import or file.versions()):  # another answer than that to its PUT
        world.traps.lay_stop(point)
        os.kill(mover, signal.SIGCONT)
        mover = wait_until(world.stopped_mover, PATIENCE_S, f"nobody came to {point}")
    return mover


def _count(file: File, doom: Doom, mover: int) -> None:
    """Let it go on, and count from here on; it stands behind a first passing."""
    point, traps = file.way.publishing, file.world.traps
    doom.seen = {point: Passed(count=1, places=frozenset(traps.places(point)[-1:]))}
    doom.lay()
    os.kill(mover, signal.SIGCONT)
    file.wait(file.has_settled, "the file did not end")


def _advanced(file: File, case: Case, mover: int) -> int:
    """Let it go on to where it is to die. The process id of the mover that stands still there."""
    world = file.world
    if case.point == file.way.publishing:
        return mover
    world.traps.lay_stop(case.point, case.passing)
    os.kill(mover, signal.SIGCONT)
    try:
        return wait_until(world.stopped_mover, PATIENCE_S / 4, "")
    except TimeoutError:
        raise NotPassedError(
            f"{case}: that point is not passed so often", passed=world.traps.passed(case.point)
        ) from None
