"""The gate, and every kind of store's server with a fresh bucket for it to push files to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.stores.base import Store, Versioning
from tests.conformance.stores.conftest import MARKS, SHORES
from tests.conformance.stores.shores import Shore
from tests.fixtures.gate import KIB, Gate, open_gate

NAMES = ("memory", "moto", "oss-v4", "ceph")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate over an empty file system that holds `base`."""
    made = open_gate(tmp_path / "fs", workers=1)  # so that a stop finds parts that were not begun
    made.clock = lambda: time.time_ns() + 10 * 10**9  # by which every source has been quiet for a while
    yield made
    made.close()


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, ())) for name in NAMES])
def shore(request: pytest.FixtureRequest, gate: Gate) -> Iterator[Shore]:
    """One of the servers; the gate's parts are as small as it takes."""
    made = SHORES[request.param](request)
    gate.limits = replace(gate.limits, part_size_bytes=max(made.part_size_bytes, 64 * KIB))
    yield made
    made.close()


@pytest.fixture(params=[Versioning.NEVER, Versioning.ENABLED], ids=["plain", "versioned"])
def store(request: pytest.FixtureRequest, shore: Shore) -> Store:
    """A fresh bucket, without versions and with them."""
    return shore.open(shore.make_bucket(request.param), versioning=request.param)
