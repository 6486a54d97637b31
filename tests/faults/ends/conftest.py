"""Mounts that are gone after each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.mounts import clean_mounts


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """An empty directory; what is mounted in it is unmounted at the end."""
    with clean_mounts(tmp_path):
        yield tmp_path
