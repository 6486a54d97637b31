"""Fixtures that every test may ask for: the servers that are started once, and the backend of async tests."""

from __future__ import annotations

import pytest
from hypothesis import settings

# Machines may be busy: how long an example takes says nothing. What is needed to play one again is printed.
settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")

pytest_plugins = ["tests.fixtures.ceph", "tests.fixtures.emulator", "tests.fixtures.moto"]


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the service does."""
    return "asyncio"
