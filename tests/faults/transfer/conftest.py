"""The gate these tests push files through, and the store it pushes them to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.transfer.root import Root
from tests.faults.transfer.exports import later
from tests.fixtures.gate import Gate, open_gate
from tests.fixtures.memorystore import MemoryStore


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate over an empty file system that holds `base`."""
    made = open_gate(tmp_path / "fs")
    made.clock = later
    yield made
    made.close()


@pytest.fixture(params=["network", "local"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the file system is taken for: how sources are looked at again and partial files are closed depends on it."""
    monkeypatch.setattr(Root, "is_local", lambda root, device: request.param == "local")
    return str(request.param)


@pytest.fixture
def store() -> MemoryStore:
    """An empty bucket by the same clock."""
    return MemoryStore(clock=later)
