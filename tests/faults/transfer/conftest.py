"""The gate these tests push files through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.gate import Gate, open_gate


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate over an empty file system that holds `base`."""
    made = open_gate(tmp_path / "fs")
    yield made
    made.close()
