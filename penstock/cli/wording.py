"""Under which name this program was started, so that the commands it prints can be typed as they stand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys

COMMAND = "penstock"
COMPLETE_VARIABLE = "_PENSTOCK_COMPLETE"
"""By which a shell asks what may come next."""

OURS = re.compile(
    r"(?<![\w./~-])penstock(?= (?:init|serve|filesystem|bucket|key|profile|object|flow|task|subtask|import|export|watch|top"
    r"|doctor|backup|restore|completion|emulator)\b)"
)


def started_as() -> str:
    """What a person typed to start it, where that is not what a shell finds by the name of penstock."""
    typed = sys.argv[0]
    if os.path.basename(typed) != COMMAND or shutil.which(COMMAND) == os.path.abspath(typed):
        return COMMAND
    return shlex.quote(typed)


def spoken(text: str) -> str:
    """Text with its commands under that name."""
    name = started_as()
    return text if name == COMMAND else OURS.sub(lambda _: name, text)
