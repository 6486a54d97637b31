"""Another program that makes a file, link or directory of a given name, in one of the ways in which programs do that."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping

from penstock.transfer import posix
from tests.faults.races.striking import orders, say, spin

THEIRS = b"theirs, of another program"
SPARE = "spare"


def _exclusive(place: int, name: str, spares: int) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=place)
    os.write(descriptor, THEIRS)
    os.close(descriptor)


def _link(place: int, name: str, spares: int) -> None:
    os.link(SPARE, name, src_dir_fd=spares, dst_dir_fd=place)


def _rename(place: int, name: str, spares: int) -> None:
    os.rename(SPARE, name, src_dir_fd=spares, dst_dir_fd=place)


def _rename_new(place: int, name: str, spares: int) -> None:
    os.rename(SPARE, f"{name}.theirs", src_dir_fd=spares, dst_dir_fd=place)
    try:
        posix.rename_without_replacing(place, os.fsencode(f"{name}.theirs"), os.fsencode(name))
    except FileExistsError:
        os.unlink(f"{name}.theirs", dir_fd=place)
        raise


def _mkdir(place: int, name: str, spares: int) -> None:
    os.mkdir(name, dir_fd=place)


def _symlink(place: int, name: str, spares: int) -> None:
    os.symlink("nowhere", name, dir_fd=place)


ACTS: Mapping[str, Callable[[int, str, int], None]] = {
    "open": _exclusive,
    "link": _link,
    "rename": _rename,
    "rename-new": _rename_new,
    "mkdir": _mkdir,
    "symlink": _symlink,
}


def _make_spare(spares: int) -> None:
    """What it renames or links is there before it is let loose."""
    try:
        descriptor = os.open(SPARE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=spares)
    except FileExistsError:
        return
    os.write(descriptor, THEIRS)
    os.close(descriptor)


def main() -> None:
    """Until nobody gives orders any more."""
    asked = orders()
    told = next(asked)
    place, spares = (os.open(told[name], os.O_RDONLY | os.O_DIRECTORY) for name in ("place", "spares"))
    _make_spare(spares)
    say(ready=True)
    for order in asked:
        spin(order["wait_ns"])
        try:
            ACTS[order["act"]](place, order["name"], spares)
        except OSError as error:
            say(won=False, error=errno.errorcode[error.errno or 0])
        else:
            say(won=True, error="")
        _make_spare(spares)


if __name__ == "__main__":
    main()
