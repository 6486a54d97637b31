"""What is shown of the whole service: the catalog's reading and the engine's sight joined, for console, API and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from penstock.app.processors import Processors
from penstock.catalog.catalog import Catalog
from penstock.catalog.live import Seeing
from penstock.catalog.shown import Shown
from penstock.engine.engine import Engine
from penstock.engine.executor import Watched
from penstock.engine.soundness import MountTrouble


def make_sight(
    *,
    catalog: Catalog,
    engine: Engine,
    executor: Watched,
    mounts: Callable[[], Mapping[str, MountTrouble]],
    clock_s: Callable[[], float],
) -> Seeing:
    """One sight of them all. `mounts` tells what looks at roots have found."""
    return Shown(catalog.reading, engine.sight(executor, mounts=mounts, idle=Processors(clock_s).idle))
