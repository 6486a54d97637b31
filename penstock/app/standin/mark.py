"""The mark of a stand-in's HOME, a file in it. Imports next to nothing: every service looks for it once, when it starts."""

from __future__ import annotations

import shlex
from enum import StrEnum

from penstock.errors import SettingsError
from penstock.settings.home import Home

MARK = "stand-in"
_TEXT = (
    "This HOME is a stand-in's: `penstock serve --stand-in`. A reset removes all that is below it. Not for real data.\n"
)


class Adoption(StrEnum):
    """Whether a HOME that is no stand-in's may become one."""

    REFUSED = "refused"
    ASKED_FOR = "asked for"


def is_stand_in(home: Home) -> bool:
    """Whether it carries the mark."""
    return (home.path / MARK).is_file()


def refuse_stand_in(home: Home) -> None:
    """Raises SettingsError for a stand-in's: what it holds was never durable, and its ids may come again."""
    if is_stand_in(home):
        raise SettingsError(
            f"{home.path} is a stand-in's, for tests of programs: penstock serve {shlex.quote(str(home.path))} --stand-in. "
            "For real data make another HOME: penstock init HOME"
        )


def put_mark(home: Home) -> None:
    """From now on it is one."""
    (home.path / MARK).write_text(_TEXT)
