"""Mounts that are gone after each test, and a gate with an object to import through it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.transfer.imports import CONTENT
from tests.fixtures.gate import KIB, Gate, open_gate
from tests.fixtures.memorystore import MemoryStore
from tests.fixtures.mounts import clean_mounts


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """An empty directory; what is mounted in it is unmounted at the end."""
    with clean_mounts(tmp_path):
        yield tmp_path


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate over an empty file system."""
    made = open_gate(tmp_path / "fs")
    yield made
    made.close()


@pytest.fixture
def store() -> MemoryStore:
    """A bucket that holds `CONTENT`."""
    store = MemoryStore(chunk_bytes=16 * KIB)
    store.seed("in/data.bin", CONTENT)
    return store
