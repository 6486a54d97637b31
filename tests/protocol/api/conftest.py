"""One server for the tests of a module, which keep out of each other's way by names of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.apiserver import ApiServer, serving


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server that a module's tests share."""
    with serving(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    """A server of the test's own."""
    with serving(tmp_path) as own:
        yield own
