"""The stand of a case, on the emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from penstock.model import BucketKind
from tests.faults.cancel.stand import Site, Tide
from tests.fixtures.emulator import EmulatorServer

Opener = Callable[..., Tide]


@pytest.fixture
def open_tide(tmp_path: Path, emulator: EmulatorServer) -> Iterator[Opener]:
    """Open it over a new bucket; everything is ended afterwards."""
    with ExitStack() as opened:

        def open_one(*, versioning: str = "", beside: Tide | None = None, movers: int = 2) -> Tide:
            """`beside`: another HOME over the tree and the bucket of that one."""
            site = Site(
                name=emulator.bucket(versioning=versioning) if beside is None else beside.site.name,
                kind=BucketKind.OSS,
                endpoint=emulator.endpoint,
                region=emulator.region,
                credentials=emulator.credentials,
            )
            if beside is not None:
                return Tide(tmp_path / "other", site, opened, root=beside.root, movers=movers)
            return Tide(tmp_path / "home", site, opened, movers=movers)

        yield open_one
