"""`penstock serve --stand-in`: finds or makes the HOME, and serves it. Calls `homes` and `service`."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from penstock.app.service import ServeOptions, serve_as
from penstock.app.standin.homes import stand_in_home, throw_away_home
from penstock.app.standin.mark import Adoption
from penstock.app.standin.service import StandInOptions, stand_in_service


def serve_stand_in(path: Path | None, options: ServeOptions, chosen: StandInOptions, *, adoption: Adoption) -> None:
    """Serves the stand-in's HOME at `path`, or one that is thrown away. Raises as `serve_home`, and for a HOME that is none."""
    make = stand_in_service(chosen)
    if path is not None:
        serve_as(make, stand_in_home(path, adoption=adoption, entropy=_names(chosen)), options)
        return
    free = replace(
        options,
        port=options.port or 0,
        emulator_port=options.emulator_port or 0,
        console_port=options.console_port or 0,
    )
    with throw_away_home(_names(chosen)) as home:
        serve_as(make, home, free)


def _names(chosen: StandInOptions) -> Callable[[int], bytes]:
    """What the file system's id is made of."""
    if chosen.seed is None:
        return os.urandom
    return random.Random(f"{chosen.seed} file system").randbytes  # noqa: S311  it is to be foreseen
