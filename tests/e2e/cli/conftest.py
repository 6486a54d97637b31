"""Services that the tests of one module share, and HOMEs of one test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.service import WARM, RunningService, init_home, start_service

SHARING = frozenset({"service", "place"})


@pytest.hookimpl(tryfirst=True)  # xdist looks at the marks in this very hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share their module's service run in one worker, so that it is started once."""
    for item in items:
        if item.path.parent == Path(__file__).parent and SHARING & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One running service, for tests that do not stop it and use names of their own."""
    home = tmp_path_factory.mktemp("served") / "home"
    init_home(home, movers=1)
    running = start_service(home, command=WARM)
    yield running
    running.stop()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A HOME that nobody serves yet."""
    init_home(tmp_path / "home")
    return tmp_path / "home"
