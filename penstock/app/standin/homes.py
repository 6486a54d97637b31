"""Which HOMEs are a stand-in's: those that carry its mark. Makes one, for good or to be thrown away, and refuses all others.

A stand-in forgets everything when it is told to, and syncs nothing: it must never come upon a HOME that somebody relies on. Calls
`making`; the mark is a file in HOME.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tomlkit import TOMLDocument

from penstock.app.lock import service_runs
from penstock.app.making import Tls, make_home
from penstock.app.standin.mark import Adoption, is_stand_in, put_mark
from penstock.errors import SettingsError
from penstock.settings.home import Home
from penstock.settings.writing import change_settings

PREFIX = "penstock-stand-in-"
_MOVERS = 1
_LEFT_OVER_S = 60.0
"""One that is younger may be about to be served."""


def stand_in_home(path: Path, *, adoption: Adoption, entropy: Callable[[int], bytes]) -> Home:
    """The stand-in's HOME at `path`, made where nothing is. Raises SettingsError for one that is somebody's."""
    home = Home(path=Path(os.path.abspath(path.expanduser())))
    if not home.settings_file.exists():
        return _made(home, entropy)
    if not is_stand_in(home):
        if adoption is Adoption.REFUSED:
            raise SettingsError(
                f"{home.path} is no stand-in's: a stand-in would remove what is in it when it is reset. Let one be made: give a "
                "directory that is not there yet, or none at all. To turn this HOME into a stand-in's for ever: --adopt"
            )
        put_mark(home)
    return home


@contextlib.contextmanager
def throw_away_home(entropy: Callable[[int], bytes]) -> Iterator[Home]:
    """A HOME in a temporary directory, removed in the end; those of stand-ins that were killed go, too."""
    _remove_left_over()
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        yield _made(Home(path=directory / "home"), entropy)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _made(home: Home, entropy: Callable[[int], bytes]) -> Home:
    made = make_home(home.path, tls=Tls.NONE, now_ns=time.time_ns(), entropy=os.urandom, names=entropy).home
    put_mark(made)

    def change(settings: TOMLDocument) -> None:
        settings["movers"] = _MOVERS

    change_settings(made, change)
    return made


def _remove_left_over() -> None:
    """What stand-ins of ours have left that were killed: it carries their mark, and nobody serves it."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        home = Home(path=directory / "home")
        with contextlib.suppress(OSError):
            found = directory.stat()
            is_ours = found.st_uid == os.getuid() and time.time() - found.st_mtime > _LEFT_OVER_S and is_stand_in(home)
            if is_ours and not service_runs(home):
                shutil.rmtree(directory, ignore_errors=True)
