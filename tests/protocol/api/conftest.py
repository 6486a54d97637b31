"""One server for the tests of a module, which keep out of each other's way by names of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.apiserver import ApiServer, serving
from tests.fixtures.inmemory import memory_directory
from tests.protocol.api.bulkdoor import Door


@pytest.fixture(scope="module")
def shared() -> Iterator[ApiServer]:
    """A server that a module's tests share."""
    with memory_directory() as home, serving(Path(home)) as server:
        yield server


@pytest.fixture
def server(memory_path: Path) -> Iterator[ApiServer]:
    """A server of the test's own."""
    with serving(memory_path) as own:
        yield own


@pytest.fixture
def door(server: ApiServer) -> Door:
    """A stream of the test's own, to bring bulks to."""
    return Door(server)
