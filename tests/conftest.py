"""Fixtures that every test may ask for: the servers that are started once, and the backend of async tests."""

from __future__ import annotations

import pytest

pytest_plugins = ["tests.fixtures.ceph", "tests.fixtures.emulator", "tests.fixtures.moto"]


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the service does."""
    return "asyncio"
