"""One service for the tests of the client; each test has a directory, a dataflow and names of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from penstock.client import AsyncPenstock, Penstock
from tests.fixtures.service import WARM, RunningService, init_home, start_service

NUMBERS = count(1)


@pytest.hookimpl(tryfirst=True)  # xdist looks at the marks in this very hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They share a service, so they run in one worker."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("client"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A directory of the file system, `/name/`, that a dataflow may bind to `oss://examplebucket/name/`."""

    service: RunningService
    directory: Path
    path: str
    storage: str

    def write(self, files: int, *, size_bytes: int = 100) -> list[str]:
        """So many files; their names."""
        names = [f"f{number:04}" for number in range(files)]
        for name in names:
            (self.directory / name).write_bytes(name.encode().ljust(size_bytes, b"."))
        return names

    def penstock(self, endpoint: str = "", **more: float) -> Penstock:
        """A client of the service, or of what stands before it."""
        init = self.service.init
        return Penstock(
            endpoint or self.service.api,
            access_key_id=init["access_key_id"],
            access_key_secret=init["access_key_secret"],
            **more,  # type: ignore[arg-type]
        )

    def asynchronous(self, endpoint: str = "") -> AsyncPenstock:
        """The same on asyncio."""
        init = self.service.init
        return AsyncPenstock(
            endpoint or self.service.api,
            access_key_id=init["access_key_id"],
            access_key_secret=init["access_key_secret"],
        )


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A running service."""
    home = tmp_path_factory.mktemp("served") / "home"
    init_home(home, movers=1)
    running = start_service(home, command=WARM)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def spot(service: RunningService) -> Spot:
    """A place that no other module uses: a file system has ten dataflows, so tests of a module share one."""
    name = f"spot{next(NUMBERS)}"
    directory = Path(service.init["root"]) / name
    directory.mkdir()
    return Spot(service=service, directory=directory, path=f"/{name}/", storage=f"oss://examplebucket/{name}/")
