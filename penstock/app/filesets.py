"""What is done for filesets beside the calls: a directory is made that a death has left unmade, and what is in them is counted.

One fileset at a time, longest ago first; counting goes on in a process of its own, and takes at most a twentieth of the time.
Asks the catalog and the file system. Removes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from penstock import telemetry
from penstock.api.errands import Errands
from penstock.catalog.catalog import Catalog
from penstock.catalog.filesetwork import Fileset, FilesetStatus
from penstock.errors import CatalogError
from penstock.model import FileSystem, Registry
from penstock.transfer import filesetdir
from penstock.transfer.aside import ASIDE
from penstock.transfer.filesetdir import Found

LOOK_S = 10.0
COUNT_EVERY_S = 900.0
COUNT_LIMIT_S = 600.0
REST_PER_COUNT = 19.0
_MAKE_LIMIT_S = 10.0
_NS = 1_000_000_000


class FilesetKeeper:
    """`step` does what is due next for one fileset; `run` goes on until it is cancelled."""

    def __init__(self, catalog: Catalog, *, registry: Callable[[], Registry], now_ns: Callable[[], int]) -> None:
        self._filesets = catalog.filesets
        self._registry = registry
        self._now_ns = now_ns
        self._errands = Errands("fileset-keeper", threads_each=1)

    async def run(self) -> None:
        """Look again and again."""
        while True:
            began_s = time.monotonic()
            try:
                await self.step()
            except CatalogError as error:
                telemetry.failure("filesets.not_looked_at", error)
            await asyncio.sleep(LOOK_S + REST_PER_COUNT * (time.monotonic() - began_s))

    async def step(self) -> bool:
        """Look after the fileset whose turn it is; False where it is nobody's."""
        fileset = await self._filesets.to_look_at(self._now_ns() - int(COUNT_EVERY_S * _NS))
        if fileset is None:
            return False
        file_system = self._registry().file_systems.get(fileset.file_system_id)
        if file_system is None:
            await self._filesets.count(fileset.fset_id, None)  # its turn comes again
        elif fileset.status is FilesetStatus.CREATING:
            await self._make(file_system, fileset)
        else:
            await self._count(file_system, fileset)
        return True

    async def _make(self, file_system: FileSystem, fileset: Fileset) -> None:
        try:
            ground = await self._errands.ask(
                file_system.file_system_id,
                lambda: ASIDE.ask(filesetdir.make, file_system, fileset.file_system_path, limit_s=_MAKE_LIMIT_S),
                limit_s=_MAKE_LIMIT_S,
            )
        except TimeoutError:
            return
        if ground.found is Found.DONE:
            await self._filesets.be_made(fileset)
        elif ground.found is not Found.UNAVAILABLE and await self._filesets.withdraw(fileset):
            telemetry.event(
                "fileset.withdrawn",
                level=telemetry.Level.WARNING,
                file_system=file_system.file_system_id,
                path=fileset.file_system_path,
                why=ground.words or ground.found.value,
            )

    async def _count(self, file_system: FileSystem, fileset: Fileset) -> None:
        try:
            usage = await self._errands.ask(
                file_system.file_system_id,
                lambda: ASIDE.ask(filesetdir.count, file_system, fileset.file_system_path, limit_s=COUNT_LIMIT_S),
                limit_s=COUNT_LIMIT_S,
            )
        except TimeoutError:
            usage = None
        await self._filesets.count(fileset.fset_id, usage)
