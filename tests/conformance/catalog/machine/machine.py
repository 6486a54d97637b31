"""The whole machine: every rule, in any order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis.stateful import initialize

from penstock.catalog.verbs import CallMode
from penstock.model import TaskAction
from tests.conformance.catalog.machine.callers import Callers
from tests.conformance.catalog.machine.engine import Engine
from tests.conformance.catalog.machine.fate import Fate
from tests.conformance.catalog.machine.looks import Looks
from tests.conformance.catalog.machine.stand import FSS
from tests.fixtures.ledgerdisk import SqliteDisk


def machine_on(disks: Callable[[Path], SqliteDisk]) -> type[CatalogMachine]:
    """The machine, on disks of this kind."""
    return type("Machine", (CatalogMachine,), {"disks": staticmethod(disks)})


class CatalogMachine(Callers, Engine, Looks, Fate):
    """Two file systems, a few dataflows and streams, four targets, two owners."""

    @initialize()
    def begin(self) -> None:
        """Something to begin with: otherwise most rules would find nothing to do."""
        self.create_flow(fs=FSS[0], path="/a/", bucket="u", versioned=True, token="", mode=CallMode.COMMIT)
        self.agrees()
        for action in (TaskAction.STREAM_IMPORT, TaskAction.STREAM_EXPORT):
            self.create_task(0, action, "", CallMode.COMMIT)
            self.agrees()
        for place, file in enumerate((("p", "x", None), ("q", "x", 7), ("P", "Y", None))):
            self.create(place, file, "", CallMode.COMMIT)
            self.agrees()
