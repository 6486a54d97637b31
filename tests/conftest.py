"""What holds for every test: servers that are started once, the backend of async tests, and patience with made-up examples."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# Machines may be busy: how long an example takes says nothing. What is needed to play one again is printed.
settings.register_profile("house", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

pytest_plugins = [
    "tests.fixtures.ceph",
    "tests.fixtures.emulator",
    "tests.fixtures.inmemory",
    "tests.fixtures.moto",
    "tests.fixtures.rclone",
    "tests.fixtures.swift",
]


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the service does."""
    return "asyncio"
