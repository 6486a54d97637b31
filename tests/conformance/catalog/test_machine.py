"""Does the catalog agree with a model of it, in whatever order people call, movers work, time passes and machines die?

An ordinary run is the same each time. `make state-machine` takes a seed of chance, tells it, and goes on as long as it is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conformance.catalog.machine.machine import machine_on
from tests.fixtures.ledgerdisk import SqliteDisk

EXAMPLES = int(os.environ.get("PENSTOCK_MACHINE_EXAMPLES", "40"))
STEPS = int(os.environ.get("PENSTOCK_MACHINE_STEPS", "60"))
SEED = int(os.environ.get("PENSTOCK_MACHINE_SEED", "0"))
"""0 is the ordinary run."""

ORDINARY = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    derandomize=not SEED,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(600)  # 15 seconds of work, and many commits: slow where others use the disk
def test_the_catalog_is_its_model(disks: Callable[[Path], SqliteDisk]) -> None:
    print(f"PENSTOCK_MACHINE_SEED={SEED} PENSTOCK_MACHINE_EXAMPLES={EXAMPLES} PENSTOCK_MACHINE_STEPS={STEPS}")

    run(disks, ORDINARY)


def run(disks: Callable[[Path], SqliteDisk], how: settings) -> None:
    """Let the machine run until it has found something, or its examples are used up."""
    machine = machine_on(disks)
    run_state_machine_as_test(seed(SEED)(machine) if SEED else machine, settings=how)
